//! The verbs, in the server's own words: each is one round trip about one key.
//!
//! A claim is a transaction and no script: on the server it costs little more than half as much. What compares before it
//! writes is a script, since a transaction cannot.

use std::time::Duration;

use ::redis::Value;

use super::connection::ConnectionFault;
use super::fault::RedisRefusal;
use super::reply::Request;
use super::servers::{Script, Servers};
use crate::store::extras::{CountLeft, no_counter, overflow};
use crate::store::{Claim, StoreError, Stored, Swap};

/// Stores `ARGV[2]` for `ARGV[3]` milliseconds if `ARGV[1]` is stored; else says what is.
pub(super) const REPLACE: Script = Script {
    text: "local held = redis.call('GET', KEYS[1]) \
           if held == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1 end \
           if held then return {held, redis.call('PTTL', KEYS[1])} end \
           return 0",
    sha1: "2d9fb84764e02bb56c2db3fa36f1421a4f721c00",
};

/// Removes what is stored if it is `ARGV[1]`; else says what is.
pub(super) const REMOVE: Script = Script {
    text: "local held = redis.call('GET', KEYS[1]) \
           if held == ARGV[1] then redis.call('DEL', KEYS[1]) return 1 end \
           if held then return {held, redis.call('PTTL', KEYS[1])} end \
           return 0",
    sha1: "9c17d920083000814e7c731fa5767cfaf1a35920",
};

/// Says what is stored. A full server takes no transaction, not even one that only reads, but it runs this.
pub(super) const READ: Script = Script {
    text: "local held = redis.call('GET', KEYS[1]) \
           if held then return {held, redis.call('PTTL', KEYS[1])} end \
           return false",
    sha1: "93125f2250d48dde38816fcd038740adf3b41b81",
};

const ENDLESS: &str = "what is stored under the key has no time to live, so it is none of ours; \
                       keep other programs and PERSIST away from these keys";

/// Says what is stored, and how long it has to live.
pub(super) async fn get(servers: &Servers, key: &str) -> Result<Value, ConnectionFault> {
    let name = key.as_bytes();
    match servers.call(key, Request::Atomic(&[&[b"GET", name], &[b"PTTL", name]])).await {
        Err(ConnectionFault::Refused(refusal)) if refusal.is("OOM") => servers.run(&READ, key, &[]).await,
        answer => answer,
    }
}

/// Stores a value if nothing is stored, and says what is stored afterwards.
pub(super) async fn claim(servers: &Servers, key: &str, value: &[u8], millis: u64) -> Result<Value, ConnectionFault> {
    let (name, millis) = (key.as_bytes(), millis.to_string());
    let set: [&[u8]; 6] = [b"SET", name, value, b"NX", b"PX", millis.as_bytes()];
    match servers.call(key, Request::Atomic(&[&set, &[b"GET", name], &[b"PTTL", name]])).await {
        // Nothing was done. What is stored already needs no space.
        Err(ConnectionFault::Refused(refusal)) if refusal.is("OOM") => match servers.run(&READ, key, &[]).await? {
            Value::Nil => Err(ConnectionFault::Refused(refusal)),
            held => match parts(held) {
                Some([value, left]) => Ok(Value::Array(vec![Value::Nil, value, left])),
                None => Err(ConnectionFault::Refused(refusal)),
            },
        },
        answer => answer,
    }
}

/// Adds to a number, which is made if nothing is stored.
pub(super) async fn add(servers: &Servers, key: &str, by: i64, millis: u64) -> Result<Value, ConnectionFault> {
    let (name, by, millis) = (key.as_bytes(), by.to_string(), millis.to_string());
    let set: [&[u8]; 6] = [b"SET", name, b"0", b"NX", b"PX", millis.as_bytes()];
    servers.call(key, Request::Atomic(&[&set, &[b"INCRBY", name, by.as_bytes()], &[b"PTTL", name]])).await
}

/// Reads the replies to SET NX, INCRBY and PTTL.
pub(super) fn read_add(reply: Value) -> Result<CountLeft, StoreError> {
    match parts(reply) {
        Some([_, Value::Int(sum), Value::Int(left)]) => match u64::try_from(left) {
            Ok(millis) => Ok((sum, Duration::from_millis(millis))),
            // It was added, to what is none of ours.
            Err(_) => Err(StoreError::outcome_unknown(ENDLESS)),
        },
        Some([_, Value::ServerError(error), _]) => Err(match error.details() {
            Some(detail) if detail.contains("overflow") => overflow(),
            Some(detail) if detail.contains("not an integer") => no_counter(),
            _ => RedisRefusal::of(&error).into_error(),
        }),
        _ => Err(unexpected()),
    }
}

/// Reads the replies to GET and PTTL.
pub(super) fn read_get(reply: Value) -> Result<Option<Stored>, StoreError> {
    if reply == Value::Nil {
        return Ok(None);
    }
    match parts(reply) {
        Some([value, left]) => stored(value, &left),
        None => Err(unexpected()),
    }
}

/// Reads the replies to SET NX, GET and PTTL.
pub(super) fn read_claim(reply: Value) -> Result<Claim, StoreError> {
    match parts(reply) {
        Some([Value::Okay, _, _]) => Ok(Claim::Claimed),
        Some([Value::Nil, value, left]) => match stored(value, &left)? {
            Some(stored) => Ok(Claim::Held(stored)),
            // It ended between two commands of the transaction, which servers since 6.2 rule out.
            None => Err(StoreError::not_sent("the record ended while it was read; ask again")),
        },
        Some([Value::ServerError(error), _, _]) => Err(RedisRefusal::of(&error).into_error()),
        _ => Err(unexpected()),
    }
}

/// Reads the reply to [`REPLACE`] or [`REMOVE`].
pub(super) fn read_swap(reply: Value) -> Result<Swap, StoreError> {
    match reply {
        Value::Int(1) => Ok(Swap::Swapped),
        Value::Int(0) => Ok(Swap::Lost(None)),
        reply => Ok(Swap::Lost(read_get(reply)?)),
    }
}

fn parts<const N: usize>(reply: Value) -> Option<[Value; N]> {
    match reply {
        Value::Array(parts) => parts.try_into().ok(),
        _ => None,
    }
}

/// What the replies to GET and PTTL say together.
pub(super) fn stored(value: Value, left: &Value) -> Result<Option<Stored>, StoreError> {
    let bytes = match (value, left) {
        (Value::ServerError(error), _) => return Err(RedisRefusal::of(&error).into_error()),
        (_, Value::ServerError(error)) => return Err(RedisRefusal::of(error).into_error()),
        (Value::BulkString(bytes), _) => bytes,
        (Value::Nil, _) => return Ok(None),
        _ => return Err(unexpected()),
    };
    match left {
        // Its time ended between the two commands, or had not begun.
        Value::Int(-2) => Ok(None),
        // Nothing of ours lives for ever, and a made-up time would make old facts look fresh.
        Value::Int(-1) => Err(StoreError::refused(ENDLESS)),
        Value::Int(millis) => {
            let millis = u64::try_from(*millis).map_err(|_| unexpected())?;
            Ok(Some(Stored { bytes, ttl_left: Duration::from_millis(millis) }))
        }
        _ => Err(unexpected()),
    }
}

/// The commands may have been executed: which of them the reply belongs to is unknown.
pub(super) fn unexpected() -> StoreError {
    StoreError::outcome_unknown("the answer is none that Redis gives to these commands")
}
