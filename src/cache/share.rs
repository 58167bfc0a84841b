//! How much of a store that redemptions rely on a cache may fill.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::after;
use crate::lock::Lock;

/// What a record takes beside an entry's value: its key, its header and what it counts under, and the server's own tables.
const RECORD_BYTES: u64 = 512;

/// The most bytes that what this process wrote may have in the store at once.
#[derive(Debug)]
pub(super) struct Share {
    most: u64,
    live: Lock<Live>,
}

/// What was written here and still lives, by the end of its life.
#[derive(Debug, Default)]
struct Live {
    bytes: u64,
    ends: BTreeMap<Instant, u64>,
}

impl Share {
    pub(super) fn new(most: u64) -> Self {
        Self { most, live: Lock::default() }
    }

    /// Counts an entry with so many bytes of value, if there is room for it. One that is replaced counts until its own end.
    pub(super) fn takes(&self, value: usize, end: Instant) -> bool {
        let mut live = self.live.lock();
        let has_room = live.has_room(value, self.most);
        if has_room {
            live.add(of_record(value), end);
        }
        has_room
    }

    /// Whether there is room for an entry with so many bytes of value, which is not counted yet.
    pub(super) fn has_room(&self, value: usize) -> bool {
        self.live.lock().has_room(value, self.most)
    }

    /// Counts an entry no longer that was not written.
    pub(super) fn gives_back(&self, value: usize, end: Instant) {
        let mut live = self.live.lock();
        // One that is past its end was given back already.
        if let Some(of_end) = live.ends.get_mut(&end) {
            *of_end = of_end.saturating_sub(of_record(value));
            live.bytes = live.bytes.saturating_sub(of_record(value));
        }
    }

    /// Counts a tag, which is written whether or not there is room: without it no entry counts.
    pub(super) fn counts_tag(&self, lives: Duration) {
        let mut live = self.live.lock();
        live.drop_over();
        live.add(RECORD_BYTES, after(Instant::now(), lives));
    }
}

impl Live {
    fn has_room(&mut self, value: usize, most: u64) -> bool {
        self.drop_over();
        self.bytes.saturating_add(of_record(value)) <= most
    }

    fn drop_over(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.ends.first_entry().filter(|first| *first.key() <= now) {
            let over = first.remove();
            self.bytes = self.bytes.saturating_sub(over);
        }
    }

    fn add(&mut self, bytes: u64, end: Instant) {
        self.bytes = self.bytes.saturating_add(bytes);
        let of_end = self.ends.entry(end).or_default();
        *of_end = of_end.saturating_add(bytes);
    }
}

/// What an entry with so many bytes of value takes.
fn of_record(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX).saturating_add(RECORD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_past_their_life_make_room() {
        let (share, life) = (Share::new(2 * RECORD_BYTES + 100), Duration::from_secs(10));
        let in_lives = |lives| Instant::now() + life * lives;
        assert!(share.takes(60, in_lives(1)) && share.takes(40, in_lives(2)) && !share.takes(0, in_lives(1)));
        tokio::time::advance(life).await;
        assert!(!share.takes(61, in_lives(1)) && share.takes(60, in_lives(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_that_was_not_written_leaves_its_room_and_a_tag_takes_some() {
        let (share, end) = (Share::new(RECORD_BYTES + 1), Instant::now() + Duration::from_secs(10));
        assert!(share.takes(1, end) && !share.takes(0, end));
        share.gives_back(1, end);
        assert!(share.takes(1, end));
        share.gives_back(1, end);
        share.counts_tag(Duration::from_secs(20));
        assert!(!share.takes(1, end));
    }
}
