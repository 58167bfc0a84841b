//! The script of the crate's own REST stores, told by its text and run without Lua.
//!
//! That it does what the text says is proven elsewhere: the same tests run it in Redis.

use std::time::Duration;

use super::command::{Failed, Value};
use super::keyspace::Keyspace;
use super::script::{LOCKING, PLAIN, PREFIX, RestScript};

const SCRIPTS: [RestScript; 2] = [LOCKING, PLAIN];

/// The digest of a text, if it is one of the two.
pub(super) fn digest_of(text: &str) -> Option<&'static str> {
    SCRIPTS.into_iter().find(|script| script.text == text).map(|script| script.digest)
}

pub(super) fn run(keys: &mut Keyspace, names: &[&str], arguments: &[&str]) -> Result<Value, Failed> {
    if arguments == ["many"] {
        return Ok(Value::Text(many(keys, names)));
    }
    let [key] = *names else { return Err(Failed::new("ERR Error running script: there is more than one key")) };
    let held = keys.get(key).map(<[u8]>::to_vec);
    let is_held = |expected: &str| held.as_deref() == Some(expected.as_bytes());
    match *arguments {
        ["claim", value, ttl] if held.is_none() => keys.set(key, value.as_bytes(), Some(millis(ttl)?)),
        ["replace", expected, value, ttl] if is_held(expected) => {
            keys.set(key, value.as_bytes(), Some(millis(ttl)?));
        }
        ["remove", expected] if is_held(expected) => {
            keys.remove(key);
        }
        ["add", by, ttl] => return add(keys, key, by, millis(ttl)?),
        ["get"] | ["claim", _, _] | ["replace", _, _, _] | ["remove", _] => {
            return Ok(Value::Text(standing(keys, key)));
        }
        _ => return Err(Failed::new("ERR Error running script: these are not its arguments")),
    }
    Ok(Value::Text(b":done".to_vec()))
}

/// What the script says of an entry that it leaves as it is.
fn standing(keys: &mut Keyspace, key: &str) -> Vec<u8> {
    let pttl = keys.pttl(key);
    match keys.get(key) {
        None => b":none".to_vec(),
        Some(value) if pttl == -1 || !value.starts_with(PREFIX.as_bytes()) && number(value).is_none() => {
            b":foreign".to_vec()
        }
        Some(value) => [format!(":held:{pttl}:").as_bytes(), value].concat(),
    }
}

fn number(value: &[u8]) -> Option<i64> {
    str::from_utf8(value).ok()?.parse().ok()
}

fn many(keys: &mut Keyspace, names: &[&str]) -> Vec<u8> {
    let (mut said, mut length, mut full) = (b":many".to_vec(), 0_usize, false);
    for name in names {
        let line = standing(keys, name);
        let before = length;
        length = length.saturating_add(line.len());
        full |= before > 0 && length > 1_000_000;
        said.push(b'\n');
        said.extend(if full { b":later".to_vec() } else { line });
    }
    said
}

fn add(keys: &mut Keyspace, key: &str, by: &str, ttl: Duration) -> Result<Value, Failed> {
    let by: i64 = by.parse().map_err(|_| Failed::new("ERR value is not an integer or out of range"))?;
    let (held, pttl) = (keys.get(key).map(<[u8]>::to_vec), keys.pttl(key));
    let (sum, ttl) = match held.as_deref().map(number) {
        None => (Some(by), Some(ttl)),
        Some(Some(held)) if pttl >= 0 => (held.checked_add(by), None),
        Some(_) => return Ok(Value::Text(b":foreign".to_vec())),
    };
    let Some(sum) = sum else { return Ok(Value::Text(b":overflow".to_vec())) };
    match ttl {
        Some(ttl) => keys.set(key, sum.to_string().as_bytes(), Some(ttl)),
        None => keys.change(key, sum.to_string().as_bytes()),
    }
    Ok(Value::Text(standing(keys, key)))
}

fn millis(text: &str) -> Result<Duration, Failed> {
    let millis = text.parse().ok().filter(|millis| *millis > 0);
    millis.map(Duration::from_millis).ok_or_else(|| Failed::new("ERR invalid expire time in 'set' command"))
}
