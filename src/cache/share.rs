//! How much of a store that redemptions rely on a cache may fill.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::after;
use crate::lock::Lock;

/// The most bytes that this process's own entries may have in the store at once.
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

    /// Counts an entry, if there is room for it. One that is replaced counts until its own end.
    pub(super) fn takes(&self, bytes: usize, lives: Duration) -> bool {
        let (now, bytes) = (Instant::now(), u64::try_from(bytes).unwrap_or(u64::MAX));
        let mut live = self.live.lock();
        while let Some(first) = live.ends.first_entry().filter(|first| *first.key() <= now) {
            let over = first.remove();
            live.bytes = live.bytes.saturating_sub(over);
        }
        let with_it = live.bytes.saturating_add(bytes);
        if with_it > self.most {
            return false;
        }
        live.bytes = with_it;
        let of_end = live.ends.entry(after(now, lives)).or_default();
        *of_end = of_end.saturating_add(bytes);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn entries_past_their_life_make_room() {
        let (share, life) = (Share::new(100), Duration::from_secs(10));
        assert!(share.takes(60, life) && share.takes(40, life * 2) && !share.takes(1, life));
        tokio::time::advance(life).await;
        assert!(!share.takes(61, life) && share.takes(60, life));
    }
}
