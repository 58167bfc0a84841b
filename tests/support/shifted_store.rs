//! A store whose own clock is moved: records grow older, or younger, than by the time that passes.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "numbers are small, and a lock is poisoned only by a test that has failed already"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::store::{Claim, Store, StoreError, Stored, Swap};
use tokio::time::Instant;

use crate::forward::says_what_it_holds;

/// Changes the time to live that another store tells.
#[derive(Clone, Debug)]
pub(crate) struct ShiftedStore<S> {
    store: S,
    clock: Arc<Mutex<Clock>>,
}

#[derive(Debug, Default)]
struct Clock {
    /// Whether records grow older with the runtime's clock, which the store does not know of.
    follows_the_runtime: bool,
    ahead: Duration,
    back: Duration,
    /// When each record was written, and how far the clock was moved then.
    written: HashMap<String, Written>,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    at: Instant,
    ahead: Duration,
    back: Duration,
}

impl<S: Store> ShiftedStore<S> {
    pub(crate) fn new(store: S) -> Self {
        Self { store, clock: Arc::default() }
    }

    /// For a store in another process, on a paused clock: its records grow older as the runtime's clock goes.
    pub(crate) fn following_the_runtime(store: S) -> Self {
        let shifted = Self::new(store);
        shifted.clock.lock().unwrap().follows_the_runtime = true;
        shifted
    }

    /// The store's clock jumps ahead.
    pub(crate) fn jump_ahead(&self, by: Duration) {
        self.clock.lock().unwrap().ahead += by;
    }

    /// The store's clock is set back.
    pub(crate) fn set_back(&self, by: Duration) {
        self.clock.lock().unwrap().back += by;
    }

    fn write(&self, key: &str) {
        let mut clock = self.clock.lock().unwrap();
        let written = Written { at: Instant::now(), ahead: clock.ahead, back: clock.back };
        clock.written.insert(key.to_owned(), written);
    }

    /// The record as the moved clock tells it; none once its time is over by that clock.
    fn told(&self, key: &str, stored: Stored) -> Option<Stored> {
        let clock = self.clock.lock().unwrap();
        let Some(Written { at, ahead, back }) = clock.written.get(key).copied() else { return Some(stored) };
        let passed = if clock.follows_the_runtime { at.elapsed() } else { Duration::ZERO };
        let (older, younger) = (clock.ahead.saturating_sub(ahead), clock.back.saturating_sub(back));
        let Stored { bytes, ttl_left } = stored;
        let ttl_left = (ttl_left + younger).checked_sub(passed + older).filter(|left| !left.is_zero())?;
        Some(Stored { bytes, ttl_left })
    }

    /// Takes away what is over by the moved clock alone, as the store would.
    async fn drop_over(&self, key: &str) -> Result<(), StoreError> {
        if let Some(stored) = self.store.get(key).await?
            && self.told(key, stored.clone()).is_none()
        {
            self.store.remove(key, &stored.bytes).await?;
        }
        Ok(())
    }
}

impl<S: Store> Store for ShiftedStore<S> {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        self.drop_over(key).await?;
        Ok(self.store.get(key).await?.and_then(|stored| self.told(key, stored)))
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        self.drop_over(key).await?;
        let claim = self.store.claim(key, value, ttl).await?;
        Ok(match claim {
            Claim::Claimed => {
                self.write(key);
                Claim::Claimed
            }
            // What is over was taken away a moment ago.
            Claim::Held(stored) => Claim::Held(self.told(key, stored.clone()).unwrap_or(stored)),
        })
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        self.drop_over(key).await?;
        let swap = self.store.replace(key, expected, value, ttl).await?;
        if swap == Swap::Swapped {
            self.write(key);
        }
        Ok(self.lost(key, swap))
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        self.drop_over(key).await?;
        let swap = self.store.remove(key, expected).await?;
        Ok(self.lost(key, swap))
    }

    says_what_it_holds!(store);
}

impl<S: Store> ShiftedStore<S> {
    fn lost(&self, key: &str, swap: Swap) -> Swap {
        match swap {
            Swap::Lost(Some(stored)) => Swap::Lost(self.told(key, stored)),
            other => other,
        }
    }
}
