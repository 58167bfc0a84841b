//! The one script behind the verbs, batch reads and counters, in two texts.
//!
//! One script is one command: one request, one key locked, nothing between the comparison and the change. Everything that
//! is not ASCII is left outside: values come and go as text, and a foreign value is named and not sent.

/// What every value of ours begins with; the rest is base64. A number stands as it is, so that the server can add to it.
pub(super) const PREFIX: &str = "pp1:";

/// A script and the digest under which servers keep it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RestScript {
    pub(super) text: &'static str,
    /// SHA-1, as Redis has it. A wrong one costs a request per call and nothing else.
    pub(super) digest: &'static str,
}

/// ARGV: the verb, then `value, ttl` to claim, `expected, value, ttl` to replace, `expected` to remove, `by, ttl` to add. KEYS is
/// one key; to read many, all of them, and the answer is one line for each. What does not fit into an answer is told so.
///
/// Nothing may fail after a write, so that an error always means that nothing was done. Every answer begins with a colon,
/// which base64 does not have: so an encoded answer is told from a plain one.
macro_rules! record {
    () => {
        r"local verb = ARGV[1]
local function is_number(held)
  return string.find(held, '^%-?%d+$')
end
local function said_of(key, held)
  if not held then
    return ':none'
  end
  local left = redis.call('PTTL', key)
  if left == -1 or (string.sub(held, 1, 4) ~= 'pp1:' and not is_number(held)) then
    return ':foreign'
  end
  return ':held:' .. left .. ':' .. held
end
if verb == 'many' then
  local said, length, full = {':many'}, 0, false
  for place, key in ipairs(KEYS) do
    local held = not full and redis.pcall('GET', key)
    local line = ':foreign'
    if type(held) ~= 'table' then
      line = said_of(key, held)
    elseif not string.find(held.err or '', 'WRONGTYPE') then
      return held
    end
    full = full or (length > 0 and length + string.len(line) > 1000000)
    said[place + 1] = full and ':later' or line
    length = length + string.len(line)
  end
  return table.concat(said, '\n')
end
local held = redis.call('GET', KEYS[1])
if verb == 'claim' and not held then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return ':done'
elseif verb == 'replace' and held == ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  return ':done'
elseif verb == 'remove' and held == ARGV[2] then
  redis.call('DEL', KEYS[1])
  return ':done'
elseif verb == 'add' and not held then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  held = ARGV[2]
elseif verb == 'add' then
  if not is_number(held) or redis.call('PTTL', KEYS[1]) == -1 then
    return ':foreign'
  end
  local sum = redis.pcall('INCRBY', KEYS[1], ARGV[2])
  if type(sum) == 'table' then
    return string.find(sum.err or '', 'overflow') and ':overflow' or ':foreign'
  end
  held = redis.call('GET', KEYS[1])
end
return said_of(KEYS[1], held)
"
    };
}

/// Locks the key alone. Without its first line Upstash locks the whole database.
pub(super) const LOCKING: RestScript = RestScript {
    text: concat!("#!lua flags=allow-key-locking\n", record!()),
    digest: "6cf2b8e47cfc19310c366d909838baa6eda3e068",
};

/// For servers that refuse the flag, as Redis itself does; it needs none.
pub(super) const PLAIN: RestScript = RestScript { text: record!(), digest: "c6b78c34e8744c443942b8ad75d14ebad7c8959f" };
