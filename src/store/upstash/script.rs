//! The one script behind all four verbs, in two texts.
//!
//! One script is one command: one request, one key locked, nothing between the comparison and the change. Everything that
//! is not ASCII is left outside: values come and go as text, and a foreign value is named and not sent.

/// What every value of ours begins with; the rest is base64.
pub(super) const PREFIX: &str = "pp1:";

/// A script and the digest under which servers keep it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RestScript {
    pub(super) text: &'static str,
    /// SHA-1, as Redis has it. A wrong one costs a request per call and nothing else.
    pub(super) digest: &'static str,
}

/// ARGV: the verb, then `value, ttl` to claim, `expected, value, ttl` to replace, `expected` to remove.
///
/// Nothing may fail after a write, so that an error always means that nothing was done. Every answer begins with a colon,
/// which base64 does not have: so an encoded answer is told from a plain one.
macro_rules! record {
    () => {
        r"local verb, held = ARGV[1], redis.call('GET', KEYS[1])
if verb == 'claim' and not held then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return ':done'
elseif verb == 'replace' and held == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  return ':done'
elseif verb == 'remove' and held == ARGV[2] then
  redis.call('DEL', KEYS[1])
  return ':done'
elseif not held then
  return ':none'
elseif string.sub(held, 1, 4) ~= 'pp1:' then
  return ':foreign'
end
return ':held:' .. redis.call('PTTL', KEYS[1]) .. ':' .. held
"
    };
}

/// Locks the key alone. Without its first line Upstash locks the whole database.
pub(super) const LOCKING: RestScript = RestScript {
    text: concat!("#!lua flags=allow-key-locking\n", record!()),
    digest: "a5a32cc1327dbf8f9dd6de73bb70135a6bdf5da1",
};

/// For servers that refuse the flag, as Redis itself does; it needs none.
pub(super) const PLAIN: RestScript = RestScript { text: record!(), digest: "d09be30b3acfa469d54349e1cf3fcc552578227e" };
