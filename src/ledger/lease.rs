//! The right to do what a record stands for, for a time, and how it ends.
//!
//! A lease has two verbs. A renewal is written over the own claim and over nothing else: where another process has written,
//! the lease is lost, and over at once. A last word may also be written over a mark of the own claim, since the process
//! that marked it could not know.

use std::future::{Future, pending};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::claimable::{Claimable, LateWords};
use super::later::{Holds, later};
use super::renewal::{renewal_pace, while_renewing};
use super::{Held, Ledger, LedgerError, Nonce, Ours, Replaced, Swapped};

/// Another process must have written in between each time.
const MOST_ROUNDS: u32 = 16;

/// The system's clock and the monotonic one may be this far apart before the difference says something.
const TOLERANCE: Duration = Duration::from_secs(1);

/// When a claim was asked for, by two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    by_system: SystemTime,
}

impl Asked {
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), by_system: SystemTime::now() }
    }

    /// How long ago that was; endlessly long where this process or its machine may have stood still for longer than its
    /// clock says.
    pub(crate) fn elapsed(&self) -> Duration {
        held_for(self.at.elapsed(), self.by_system.elapsed().ok())
    }
}

/// How long a claim has been held, by what the two clocks say.
///
/// The monotonic clock of many systems stands still while the machine sleeps, and the store's goes on: where the system's
/// clock is ahead, the lease counts as over.
pub(super) fn held_for(monotonic: Duration, by_system: Option<Duration>) -> Duration {
    match by_system {
        Some(by_system) if by_system > monotonic.saturating_add(TOLERANCE) => Duration::MAX,
        _ => monotonic,
    }
}

/// How a lease came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// By a claim of its own.
    Claimed,
    /// By a claim of its own, in the place of one whose lease was over without a word.
    Lapsed,
    /// By the claim of another call, which may be at work too. So this one neither renews it nor gives it up when it is
    /// dropped, and says nothing late.
    Assumed,
}

/// The right to do what a record stands for. Dropped without a last word, it does what the kind says, by default nothing.
#[derive(Debug)]
pub(crate) struct Lease<C: Claimable> {
    ledger: Ledger,
    what: C,
    carried: C::Carried,
    ours: Ours,
    asked: Asked,
    origin: Origin,
    /// Whether it has had its last word.
    is_over: bool,
}

impl<C: Claimable> Lease<C> {
    pub(super) fn new(
        ledger: &Ledger,
        what: &C,
        carried: C::Carried,
        ours: Ours,
        asked: Asked,
        origin: Origin,
    ) -> Self {
        Self { ledger: ledger.clone(), what: what.clone(), carried, ours, asked, origin, is_over: false }
    }

    pub(crate) fn what(&self) -> &C {
        &self.what
    }

    pub(crate) fn carried(&self) -> &C::Carried {
        &self.carried
    }

    /// The claim's, which an assumed lease shares.
    pub(crate) fn nonce(&self) -> Nonce {
        self.ours.record.nonce
    }

    /// From before the claim was asked for, so that the lease is never thought longer than it is.
    pub(crate) fn asked_at(&self) -> Instant {
        self.asked.at
    }

    /// How long it has been held; endlessly long where this process or its machine may have stood still for longer than its
    /// clock says.
    pub(crate) fn held_for(&self) -> Duration {
        self.asked.elapsed()
    }

    /// Whether another call had it, and its lease ended without a word.
    pub(crate) fn took_over(&self) -> bool {
        self.origin == Origin::Lapsed
    }

    /// Goes through the work, and renews the lease meanwhile if the kind says so.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let Some(length) = self.what.renewed().filter(|_| self.origin != Origin::Assumed) else { return work.await };
        let renewals = async {
            loop {
                sleep(renewal_pace(length)).await;
                // Lost is lost; an error may pass until the next time.
                if let Ok(false) = self.renew().await {
                    return pending().await;
                }
            }
        };
        while_renewing(work, renewals).await
    }

    /// Writes the claim anew, as of now. False when it is no longer there, or may be over without this process's knowing.
    async fn renew(&mut self) -> Result<bool, LedgerError> {
        if self.held_for() == Duration::MAX {
            return Ok(false);
        }
        let entry = self.what.claim(&self.carried, self.asked.at)?.entry(self.ours.record.nonce);
        match self.ledger.settle(self.what.key(), &self.ours, entry).await? {
            Replaced::Ours(renewed) => {
                self.ours = renewed;
                Ok(true)
            }
            Replaced::Lost(_) => Ok(false),
        }
    }

    /// Writes the last word. False when another process has taken over: what stands is its record. A word that is too large
    /// for a record leaves the lease as it was, for a smaller one.
    ///
    /// # Errors
    /// When the store did not confirm it. The word is then tried again for a minute, if the kind has late words.
    pub(crate) async fn conclude(&mut self, word: C::Word) -> Result<bool, LedgerError> {
        let word = self.last(word);
        let written = word.write().await;
        self.is_over |= !matches!(written, Err(LedgerError::TooLarge { .. }));
        match written {
            Ok(Written::Stands) => Ok(true),
            Ok(Written::Lost(_)) => Ok(false),
            Err(error) => {
                if self.is_over && C::LATE_WORDS != LateWords::None && self.origin != Origin::Assumed {
                    word.write_later();
                }
                Err(error)
            }
        }
    }

    /// Writes the last word on a claim that is never renewed and that several calls may hold: of all of them, at most one is
    /// told that it did so now. Nothing is tried again later.
    pub(crate) async fn conclude_once(mut self, word: C::Word) -> Result<Swapped, LedgerError> {
        self.is_over = true;
        let (key, nonce) = (self.what.key(), self.nonce());
        match self.what.last(&self.carried, &word)? {
            Some(contents) => self.ledger.settle_once(key, &self.ours, contents.entry(nonce)).await,
            None if self.ledger.release(key, &self.ours).await? => Ok(Swapped::Now),
            None => Ok(Swapped::Lost(None)),
        }
    }

    /// Removes the claim, where the last word could not be written: other calls need not wait for the end of the lease.
    pub(crate) async fn release(&mut self) -> Result<bool, LedgerError> {
        self.is_over = true;
        self.ledger.release(self.what.key(), &self.ours).await
    }

    fn last(&self, word: C::Word) -> LastWord<C> {
        let (ledger, what) = (self.ledger.clone(), self.what.clone());
        LastWord { ledger, what, carried: self.carried.clone(), ours: self.ours.clone(), word }
    }
}

impl<C: Claimable> Drop for Lease<C> {
    fn drop(&mut self) {
        if self.is_over || self.origin == Origin::Assumed {
            return;
        }
        // Without a runtime the lease ends by itself.
        if let (Some(word), Ok(runtime)) = (self.what.if_dropped(), Handle::try_current()) {
            let word = self.last(word);
            // A failure here means no more than that other calls wait for the end of the lease.
            runtime.spawn(async move { word.write().await.map(drop) });
        }
    }
}

/// A last word, and whose it is.
struct LastWord<C: Claimable> {
    ledger: Ledger,
    what: C,
    carried: C::Carried,
    ours: Ours,
    word: C::Word,
}

/// What came of a last word.
enum Written {
    Stands,
    /// This record stands there; none where it is gone.
    Lost(Option<Held>),
}

impl<C: Claimable> LastWord<C> {
    /// Writes it in the place of the own claim, or of a mark of it.
    async fn write(&self) -> Result<Written, LedgerError> {
        let (key, nonce) = (self.what.key(), self.ours.record.nonce);
        let mut found: Option<Held> = None;
        for _ in 0..MOST_ROUNDS {
            let Some(contents) = self.what.last(&self.carried, &self.word)? else {
                let is_removed = self.ledger.release(key, &self.ours).await?;
                return Ok(if is_removed { Written::Stands } else { Written::Lost(None) });
            };
            let entry = contents.entry(nonce);
            let replaced = match &found {
                None => self.ledger.settle(key, &self.ours, entry).await?,
                Some(found) => self.ledger.take_over(key, found, entry).await?,
            };
            match replaced {
                Replaced::Ours(_) => return Ok(Written::Stands),
                Replaced::Lost(Some(other)) if other.is_mark_of(nonce) => found = Some(other),
                Replaced::Lost(Some(other)) if other.is_word_on(nonce) => return Ok(Written::Stands),
                Replaced::Lost(other) => return Ok(Written::Lost(other)),
            }
        }
        Err(LedgerError::Contended)
    }

    /// Tries for a minute, in a task of its own.
    fn write_later(self) {
        let holds = match self.what.last(&self.carried, &self.word) {
            Ok(Some(contents)) => Holds::of(contents.payload.len()),
            _ => Holds::Claim,
        };
        tokio::spawn(async move { later(holds, || self.write_late()).await });
    }

    async fn write_late(&self) -> Result<(), LedgerError> {
        let Written::Lost(None) = self.write().await? else { return Ok(()) };
        match self.what.last(&self.carried, &self.word)? {
            // With a nonce of its own: the bytes that may have stood there must not stand there again.
            Some(contents) if C::LATE_WORDS.may_stand_alone() => {
                self.ledger.claim(self.what.key(), contents.entry(Nonce::draw()?)).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}
