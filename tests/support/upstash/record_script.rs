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

pub(super) fn run(keys: &mut Keyspace, key: &str, arguments: &[String]) -> Result<Value, Failed> {
    let held = keys.get(key).map(<[u8]>::to_vec);
    let is_held = |expected: &str| held.as_deref() == Some(expected.as_bytes());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["claim", value, ttl] if held.is_none() => keys.set(key, value.as_bytes(), Some(millis(ttl)?)),
        ["replace", expected, value, ttl] if is_held(expected) => {
            keys.set(key, value.as_bytes(), Some(millis(ttl)?));
        }
        ["remove", expected] if is_held(expected) => {
            keys.remove(key);
        }
        ["get"] | ["claim", _, _] | ["replace", _, _, _] | ["remove", _] => {
            return Ok(Value::Text(standing(held, keys.pttl(key))));
        }
        _ => return Err(Failed::new("ERR Error running script: these are not its arguments")),
    }
    Ok(Value::Text(b":done".to_vec()))
}

/// What the script says of an entry that it leaves as it is.
fn standing(held: Option<Vec<u8>>, pttl: i64) -> Vec<u8> {
    match held {
        None => b":none".to_vec(),
        Some(value) if !value.starts_with(PREFIX.as_bytes()) => b":foreign".to_vec(),
        Some(value) => [format!(":held:{pttl}:").into_bytes(), value].concat(),
    }
}

fn millis(text: &str) -> Result<Duration, Failed> {
    let millis = text.parse().ok().filter(|millis| *millis > 0);
    millis.map(Duration::from_millis).ok_or_else(|| Failed::new("ERR invalid expire time in 'set' command"))
}
