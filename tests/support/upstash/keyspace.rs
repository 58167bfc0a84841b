use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The database: text under keys, each with or without an end.
#[derive(Debug, Default)]
pub(super) struct Keyspace {
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    end: Option<Instant>,
}

impl Keyspace {
    pub(super) fn get(&mut self, key: &str) -> Option<&[u8]> {
        self.drop_ended(key);
        self.entries.get(key).map(|entry| &*entry.value)
    }

    /// Milliseconds, rounded up; -1 for no end, -2 for no entry.
    pub(super) fn pttl(&mut self, key: &str) -> i64 {
        self.drop_ended(key);
        match self.entries.get(key).map(|entry| entry.end) {
            None => -2,
            Some(None) => -1,
            Some(Some(end)) => {
                let left = end.saturating_duration_since(Instant::now());
                i64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
            }
        }
    }

    pub(super) fn set(&mut self, key: &str, value: &[u8], ttl: Option<Duration>) {
        let end = ttl.and_then(|ttl| Instant::now().checked_add(ttl));
        self.entries.insert(key.to_owned(), Entry { value: value.to_vec(), end });
    }

    /// Sets another value, which ends when the one before it would have.
    pub(super) fn change(&mut self, key: &str, value: &[u8]) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.value = value.to_vec();
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> bool {
        self.drop_ended(key);
        self.entries.remove(key).is_some()
    }

    fn drop_ended(&mut self, key: &str) {
        let now = Instant::now();
        if self.entries.get(key).is_some_and(|entry| entry.end.is_some_and(|end| end <= now)) {
            self.entries.remove(key);
        }
    }
}
