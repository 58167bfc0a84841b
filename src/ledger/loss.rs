//! Whether the store still has what it acknowledged: a canary of this process's own, which lives for a day and is read and
//! written anew in one step each minute, so that an older copy of it is told from the last one.
//!
//! | what stands there | what follows |
//! |---|---|
//! | what was acknowledged last, or the step after it whose reply was lost | nothing |
//! | nothing, within the time to live of what was acknowledged | it is lost: a flush, an eviction, an empty server |
//! | nothing, after that time, as after a machine that slept | nothing: it ended by itself |
//! | anything else | it is lost: the store went back to an older copy, as in a failover |
//! | the store does not answer | nothing; the next look compares with the same |

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::intent::fingerprint::Fingerprint;
use crate::lock::Lock;
use crate::store::{Claim, RecordLoss, StoreFinding, Swap};

use super::canary::TTL;
use super::{Contents, Key, Ledger, LedgerError, Nonce, Ours, RecordKind, State};

/// How long a loss is told: as long as a canary lives, and as a move of the store's clock is.
const TOLD_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What this process knows of its canary.
#[derive(Debug, Default)]
pub(super) struct LossWatch(Lock<Watched>);

#[derive(Clone, Debug, Default)]
struct Watched {
    key: Option<Key>,
    acknowledged: Option<Acknowledged>,
    /// What is to stand there next. It is asked for again with the same bytes until the store has confirmed it.
    next: Option<Ours>,
    lost: Option<Lost>,
}

#[derive(Clone, Debug)]
struct Acknowledged {
    bytes: Vec<u8>,
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

impl Acknowledged {
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
            self.encode(&key, contents.record(Nonce::draw()?, None))?
        };
        {
            let mut watched = self.losses.0.lock();
            (watched.key, watched.next) = (Some(key.clone()), Some(next.clone()));
        }
        let asked = (Instant::now(), SystemTime::now());
        let found = match &acknowledged {
            None => self.put_canary(&key, &next, None).await?.and(None),
            Some(before) => self.put_canary(&key, &next, Some(&before.bytes)).await?.filter(|_| before.age() < TTL),
        };
        let mut watched = self.losses.0.lock();
        watched.next = None;
        watched.acknowledged = Some(Acknowledged { bytes: next.bytes, at: asked.0, at_system: asked.1 });
        let Some((loss, before)) = found.zip(acknowledged) else { return Ok(None) };
        watched.lost = Some(Lost { loss, found_at: Instant::now(), acknowledged_at: before.at });
        drop(watched);
        Ok(self.losses.found())
    }

    /// Puts the canary in the place of the last one, and says what else was found in its place.
    async fn put_canary(
        &self,
        key: &Key,
        next: &Ours,
        expected: Option<&[u8]>,
    ) -> Result<Option<RecordLoss>, LedgerError> {
        let mut loss = None;
        let mut stands = expected.map(<[u8]>::to_vec);
        // What is found instead is replaced at once; only this process writes here.
        for _ in 0..MOST_STEPS {
            let found = match &stands {
                Some(stands) => {
                    let replace = || self.store.replace(&key.text, stands, &next.bytes, TTL);
                    match self.patiently("replace", replace).await? {
                        Swap::Swapped => return Ok(loss),
                        Swap::Lost(found) => found,
                    }
                }
                None => match self.patiently("claim", || self.store.claim(&key.text, &next.bytes, TTL)).await? {
                    Claim::Claimed => return Ok(loss),
                    Claim::Held(found) => Some(found),
                },
            };
            match found {
                Some(found) if found.bytes == next.bytes => return Ok(loss),
                found => {
                    loss = loss.or(Some(if found.is_some() { RecordLoss::Older } else { RecordLoss::Gone }));
                    stands = found.map(|found| found.bytes);
                }
            }
        }
        Err(LedgerError::Contended)
    }
}

/// A look finds at most an older copy, and that gone in between.
const MOST_STEPS: usize = 4;
