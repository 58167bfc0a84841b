//! Whether the store still has what it acknowledged: a canary of this process's own, which lives for a day and is read and
//! written anew in one step each minute, so that an older copy of it is told from the last one.
//!
//! | what stands there | what follows |
//! |---|---|
//! | what was acknowledged last, or the step after it whose reply was lost | nothing |
//! | nothing, within the time to live of what was acknowledged | it is lost: a flush, an eviction, an empty server |
//! | nothing, after that time, as after a machine that slept | nothing: it ended by itself |
//! | anything else | it is lost: the store went back to an older copy, as in a failover |
//! | the store does not answer | nothing; the next look compares with the same, and tells what this one had found |
//!
//! It is one record in one place. Of a Redis Cluster it lies on one primary, so that the loss of that one is seen; one that
//! another primary loses is not.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::intent::fingerprint::Fingerprint;
use crate::lock::Lock;
use crate::store::{RecordLoss, StoreFinding, Stored};

use super::canary::TTL;
use super::{Contents, Key, Ledger, LedgerError, Nonce, RecordKind, State};

/// How long a loss is told: as long as a canary lives, and as a move of the store's clock is.
const TOLD_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What this process knows of its canary.
#[derive(Debug, Default)]
pub(super) struct LossWatch(Lock<Watched>);

#[derive(Clone, Debug, Default)]
struct Watched {
    key: Option<Key>,
    acknowledged: Option<Canary>,
    /// What is to stand there next. It is asked for again with the same bytes until the store has confirmed it.
    next: Option<Canary>,
    /// What looks have found that are not at their end yet.
    pending: Option<Lost>,
    lost: Option<Lost>,
}

#[derive(Clone, Debug)]
struct Canary {
    bytes: Vec<u8>,
    /// When the store was first asked to write it. It may stand since then, whichever try was confirmed.
    at: Instant,
    /// The clock that goes on while the machine sleeps.
    at_system: SystemTime,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    loss: RecordLoss,
    found_at: Instant,
    acknowledged_at: Instant,
}

impl Canary {
    fn age(&self) -> Duration {
        self.at.elapsed().max(self.at_system.elapsed().unwrap_or_default())
    }
}

impl LossWatch {
    /// The last loss that was found, within a day.
    pub(super) fn found(&self) -> Option<StoreFinding> {
        let lost = self.0.lock().lost.filter(|lost| lost.found_at.elapsed() < TOLD_FOR)?;
        let within = lost.found_at.saturating_duration_since(lost.acknowledged_at);
        Some(StoreFinding::RecordsLost { loss: lost.loss, ago: lost.found_at.elapsed(), within })
    }

    /// Something else stands in the canary's place. Kept at once, since the look that found it may come to no end.
    fn keep_loss(&self, loss: RecordLoss) {
        let mut watched = self.0.lock();
        // Before the first was acknowledged nothing is lost, and one past its time ended by itself.
        let Some(before) = watched.acknowledged.as_ref().filter(|before| before.age() < TTL) else { return };
        let acknowledged_at = before.at;
        watched.pending.get_or_insert(Lost { loss, found_at: Instant::now(), acknowledged_at });
    }
}

impl Ledger {
    /// Looks whether the canary stands as it was acknowledged, writes it anew, and says whether it was found lost just now.
    /// One round trip where all is well. Not to be asked by two at a time.
    ///
    /// # Errors
    /// When the store does not answer, which says nothing of what it holds.
    pub(crate) async fn look_for_loss(&self) -> Result<Option<StoreFinding>, LedgerError> {
        let Watched { key, acknowledged, next, .. } = self.losses.0.lock().clone();
        let key = match key {
            Some(key) => key,
            None => self.key(RecordKind::Canary, &Fingerprint::of("watch", [Some(&Nonce::draw()?.into_bytes()[..])])),
        };
        let next = if let Some(next) = next {
            next
        } else {
            let contents = Contents { state: State::Settled, ttl: TTL, lease: Duration::ZERO, payload: Vec::new() };
            let bytes = self.encode(&key, contents.record(Nonce::draw()?, None))?.bytes;
            Canary { bytes, at: Instant::now(), at_system: SystemTime::now() }
        };
        {
            let mut watched = self.losses.0.lock();
            (watched.key, watched.next) = (Some(key.clone()), Some(next.clone()));
        }
        let stands = acknowledged.map(|before| before.bytes);
        let hear = |found: Option<&Stored>| {
            self.losses.keep_loss(if found.is_some() { RecordLoss::Older } else { RecordLoss::Gone });
        };
        self.put_canary(&key, &next.bytes, stands, hear).await?;
        let mut watched = self.losses.0.lock();
        (watched.next, watched.acknowledged) = (None, Some(next));
        let Some(lost) = watched.pending.take() else { return Ok(None) };
        watched.lost = Some(lost);
        drop(watched);
        Ok(self.losses.found())
    }
}
