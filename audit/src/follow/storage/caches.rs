//! Stores of keys and values, such as Redis.

use super::super::Follower;
use super::super::calls::Site;
use super::super::origins::Origins;
use super::super::value::Value;
use crate::model::{Claimed, EventKind};

impl Follower<'_> {
    pub(super) fn cache_call(&mut self, verb: &str, given: &[Value], site: &Site<'_>) -> Option<Value> {
        let key = given.first().map(Value::whole).unwrap_or_default();
        let tenant = key.from.has(Origins::SESSION.and(Origins::TENANT));
        let options = given.iter().skip(2).any(|value| {
            value.is_text().is_some_and(|text| text.eq_ignore_ascii_case("nx"))
                || value.field("nx").is_some()
                || value.field("NX").is_some()
                || value.field("condition").is_some()
        });
        let claims =
            matches!(verb, "setnx" | "setNX" | "set_nx" | "hsetnx") || (verb == "set" && options) || (verb == "sadd");
        let event = !key.from.has(Origins::KEY) && key.from.has(Origins::EVENT.and(Origins::REQUEST));
        if claims {
            let claimed = Claimed { key: key.from.has(Origins::KEY), event, tenant, proven: true };
            self.emit(EventKind::Claim(claimed), site.frame, site.span);
            return Some(Value { from: Origins::STORED, ..Value::foreign("redis()") });
        }
        match verb {
            "get" | "hget" | "mget" | "exists" | "hgetall" | "hGetAll" | "getdel" | "json" => {
                Some(self.read("redis.get", &key, site))
            }
            "set" | "setex" | "setEx" | "hset" | "hSet" | "psetex" | "set_ex" => {
                if key.from.has(Origins::KEY) {
                    self.emit(EventKind::Store { tenant }, site.frame, site.span);
                }
                Some(Value::of(Origins::NONE))
            }
            "del" | "expire" | "incr" | "decr" | "ttl" | "publish" | "lpush" | "rpush" | "hdel" | "keys" | "srem"
            | "ping" | "connect" | "quit" | "incrby" | "zadd" | "multi" | "exec" | "pipeline" => {
                Some(Value::of(Origins::STORED))
            }
            _ => None,
        }
    }
}
