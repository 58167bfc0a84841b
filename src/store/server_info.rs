//! What a server of the Redis family says of itself, and what follows from it for a look at the store.

use super::{Inspection, MemoryUse, StoreFinding};

/// The oldest version that is tested.
const OLDEST: (u32, u32) = (6, 2);

/// The same in words.
const OLDEST_NAME: &str = "6.2";

/// The field of this name in a reply to `INFO`.
pub(super) fn info_field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))
}

/// What a server does not say is a finding as well.
impl Inspection {
    /// Takes in the version that a reply to `INFO` says.
    pub(super) fn read_version(&mut self, info: &str) {
        let (valkey, redis) = (info_field(info, "valkey_version"), info_field(info, "redis_version"));
        let is_redis = valkey.is_none() && (redis.is_some() || *self.server == *"redis");
        self.version = valkey.or(redis).map(Into::into).or(self.version.take());
        match &self.version {
            None => self.unknown("the server's version"),
            Some(version) if is_redis && is_old(version) => {
                self.findings.push(StoreFinding::OldServer { version: version.clone(), oldest: OLDEST_NAME });
            }
            Some(_) => {}
        }
    }

    /// Takes in the use of memory that a reply to `INFO` says.
    pub(super) fn read_memory(&mut self, info: &str) {
        let number = |name| info_field(info, name)?.parse::<u64>().ok();
        let max_bytes = number("maxmemory").filter(|bytes| *bytes > 0);
        self.memory = number("used_memory").map(|used_bytes| MemoryUse { used_bytes, max_bytes });
    }

    /// Says that the server is nearly full, unless it makes room by itself.
    pub(super) fn note_memory(&mut self) {
        if let Some(memory) = self.memory.filter(|_| self.is_nearly_full()) {
            self.findings.push(StoreFinding::NearlyFull { memory });
        }
    }

    /// Takes in the role that a reply to `INFO` says.
    pub(super) fn read_role(&mut self, info: &str) {
        if info_field(info, "role") == Some("slave") && !self.findings.contains(&StoreFinding::Replica) {
            self.findings.push(StoreFinding::Replica);
        }
    }

    /// Takes in the setting `maxmemory-policy`.
    pub(super) fn read_policy(&mut self, policy: Option<&str>) {
        match policy {
            Some("noeviction") => {}
            Some(policy) => self.findings.push(StoreFinding::Evicts { policy: policy.into() }),
            None => self.unknown("whether the server evicts (`INFO memory`)"),
        }
    }
}

fn is_old(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    numbers.next().is_some_and(|major| (major, numbers.next().unwrap_or(0)) < OLDEST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn look(info: &str) -> Inspection {
        let mut look = Inspection::new("redis", Duration::ZERO);
        look.read_memory(info);
        look.note_memory();
        look
    }

    #[test]
    fn memory_is_what_the_server_says_and_none_where_it_does_not() {
        let said = look("# Memory\r\nused_memory:800\r\nused_memory_peak:999\r\nmaxmemory:1000\r\n");
        let memory = MemoryUse { used_bytes: 800, max_bytes: Some(1000) };
        assert_eq!((said.memory, said.findings), (Some(memory), vec![StoreFinding::NearlyFull { memory }]));
        assert_eq!(memory.to_string(), "80 % of 1000 bytes");
        let below = look("used_memory:799\r\nmaxmemory:1000\r\n");
        assert_eq!((below.memory.and_then(|memory| memory.percent()), below.findings), (Some(79), vec![]));
        let unlimited = look("used_memory:799\r\nmaxmemory:0\r\n");
        assert_eq!(unlimited.memory, Some(MemoryUse { used_bytes: 799, max_bytes: None }));
        assert_eq!((unlimited.memory.and_then(|memory| memory.percent()), unlimited.findings), (None, vec![]));
        assert_eq!(look("maxmemory:1000\r\n").memory, None);
    }

    #[test]
    fn a_server_that_makes_room_by_itself_is_not_told_to_be_full() {
        let mut evicts = Inspection::new("redis", Duration::ZERO);
        evicts.read_policy(Some("allkeys-lru"));
        evicts.read_memory("used_memory:999\r\nmaxmemory:1000\r\n");
        evicts.note_memory();
        assert_eq!(evicts.findings, [StoreFinding::Evicts { policy: "allkeys-lru".into() }]);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["5", "5.0.14", "6.0.16"] {
            assert!(is_old(version), "{version}");
        }
        for version in ["6.2.0", "7.0.15", "10.1", ""] {
            assert!(!is_old(version), "{version}");
        }
    }
}
