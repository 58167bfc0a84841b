//! Those who wait for one record look at it together: one of them asks the store, and the others take what it found.
//!
//! A thousand duplicates of one request so ask the store as often as one does. Each keeps its own pace and its own limits,
//! and when its wait is over it uses the newest look of this process, if that was asked for after its own last one; so what
//! it uses is never older than its beginning. Else it asks itself. There is no one that the others depend on: who was to
//! ask may be cut off, or stand still with its runtime, and then the next one asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::lock::Lock;

use super::held::UnderWay;
use super::poll::PollJitter;
use super::{Held, Key, Ledger, Poll, State};

/// What this process knows of the records that it waits for.
#[derive(Debug, Default)]
pub(super) struct Watches {
    records: Lock<HashMap<Key, Watched>>,
    /// One for all waits, so that no two draw the same sequence.
    pub(super) jitter: Arc<PollJitter>,
}

#[derive(Debug, Default)]
struct Watched {
    /// Those who wait.
    by: usize,
    /// Since when one of them asks the store.
    asking_since: Option<Instant>,
    newest: Option<Arc<Held>>,
}

impl Watches {
    pub(super) fn seeded(seed: u64) -> Self {
        Self { jitter: Arc::new(PollJitter::seeded(seed)), ..Self::default() }
    }

    /// Tells those who wait what a claim found; nothing, where it failed or found the place free.
    pub(super) fn tell(&self, key: &Key, found: Option<&Held>) {
        let mut all = self.records.lock();
        if all.is_empty() {
            return;
        }
        let Some(watched) = all.get_mut(key) else { return };
        watched.asking_since = None;
        if let Some(found) = found
            && watched.newest.as_ref().is_none_or(|newest| newest.asked_at < found.asked_at)
        {
            watched.newest = Some(Arc::new(found.clone()));
        }
    }
}

/// One who waits for a record.
#[derive(Debug)]
pub(super) struct Watch {
    watches: Arc<Watches>,
    key: Key,
    poll: Poll,
    /// The longest that another one may ask.
    patience: Duration,
    /// Whether it is this one that asks.
    asks: bool,
}

/// How a wait ends.
#[derive(Debug)]
pub(super) enum Waited {
    /// It is this one's turn to ask the store.
    Turn,
    /// The claim was settled, or ended in another way, as another one found.
    Over(Arc<Held>),
    /// There is no time left. The claim is protected for as long as this.
    OutOfTime(Duration),
}

impl Ledger {
    /// Begins to wait for a record.
    pub(super) fn watch(&self, key: &Key) -> Watch {
        let watches = Arc::clone(&self.watches);
        let mut all = watches.records.lock();
        let record = all.entry(key.clone()).or_default();
        record.by = record.by.saturating_add(1);
        drop(all);
        // Two tries.
        let patience = self.timeout.saturating_mul(2);
        Watch { watches, key: key.clone(), poll: self.poll(), patience, asks: false }
    }
}

impl Watch {
    /// Waits until the claim has ended, or there is something to ask the store about. Keeps `claim` up to date meanwhile.
    pub(super) async fn wait(&mut self, claim: &mut UnderWay, deadline: Deadline) -> Waited {
        self.asks = false;
        loop {
            // A lease that is over is seen to by the one whose turn it is.
            let until = if claim.lease_left.is_zero() { Duration::MAX } else { claim.lease_left };
            if !self.poll.wait(until, deadline).await {
                return Waited::OutOfTime(claim.lease_left);
            }
            match self.newest(claim.asked_at) {
                Ok(held) if held.record.state == State::Claimed => *claim = held.under_way(),
                Ok(held) => return Waited::Over(held),
                Err(Asked::ByThisOne) => {
                    self.asks = true;
                    return Waited::Turn;
                }
                Err(Asked::ByAnother) => {}
            }
        }
    }

    /// What was found since then; else who finds out.
    fn newest(&self, since: Instant) -> Result<Arc<Held>, Asked> {
        let now = Instant::now();
        let mut all = self.watches.records.lock();
        let Some(watched) = all.get_mut(&self.key) else { return Err(Asked::ByThisOne) };
        if let Some(newest) = watched.newest.as_ref().filter(|newest| newest.asked_at > since) {
            return Ok(Arc::clone(newest));
        }
        if watched.asking_since.is_some_and(|since| now.saturating_duration_since(since) <= self.patience) {
            return Err(Asked::ByAnother);
        }
        watched.asking_since = Some(now);
        Err(Asked::ByThisOne)
    }
}

/// Who asks the store.
enum Asked {
    ByThisOne,
    ByAnother,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut all = self.watches.records.lock();
        if let Some(watched) = all.get_mut(&self.key) {
            watched.by = watched.by.saturating_sub(1);
            if self.asks {
                watched.asking_since = None;
            }
            if watched.by == 0 {
                all.remove(&self.key);
            }
        }
    }
}
