//! The right to do what a record stands for, for a time.
//!
//! A lease has two verbs. A renewal is written over the own claim and over nothing else: where another process has written,
//! the lease is lost, and over at once. A last word may also be written over what others made of the own claim, as the kind
//! of record says, since they could not know.
//!
//! A lease may lack its claim, where the store did not confirm it. The work that is then done under it is protected by
//! something else, and its last word is said late. Where nothing is done, dropping the lease removes the claim: it may have been made
//! all the same, and would look like work that broke off.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::accessors::getters;

use super::claimable::{Claimable, LateWords};
use super::last_word::{LastWord, Unconfirmed, nonce_of};
use super::lease_end::{AskedAt, LeaseEnd};
use super::{Held, Ledger, LedgerError, Nonce, Ours, Record, Replaced, Swapped};

/// A lease is renewed this often within its time, so that one lost reply does not end it.
const RENEWALS_PER_LEASE: u32 = 3;

/// How a lease came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// By a claim of its own.
    Claimed,
    /// By a claim of its own, in the place of one whose lease was over without a word.
    Lapsed,
    /// By the claim of another call, which may be at work too: this one neither renews nor drops it, and says nothing late.
    Assumed,
}

/// The right to do what a record stands for. Dropped without a last word, it does what the kind says, by default nothing.
#[derive(Debug)]
pub(crate) struct Lease<C: Claimable> {
    /// It asks the store whatever the breaker says: what was begun comes to its end.
    ledger: Ledger,
    what: C,
    carried: C::Carried,
    claim: Result<Ours, Unconfirmed>,
    asked: AskedAt,
    end: LeaseEnd,
    origin: Origin,
    has_begun: bool,
    /// Whether it has had its last word, or never was one.
    is_over: bool,
}

/// Why no lease was had; for an unconfirmed claim with the lease that lacks it. Dropped, that one removes the claim.
pub(crate) struct Unbacked<C: Claimable>(pub(crate) Option<Box<Lease<C>>>, pub(crate) LedgerError);

impl<C: Claimable> From<LedgerError> for Unbacked<C> {
    fn from(why: LedgerError) -> Self {
        Self(None, why)
    }
}

impl<C: Claimable> From<Unbacked<C>> for LedgerError {
    fn from(Unbacked(_, why): Unbacked<C>) -> Self {
        why
    }
}

impl<C: Claimable> Lease<C> {
    /// One that is about to be asked for, and the record that asks for it.
    pub(super) fn asking(ledger: &Ledger, what: &C, carried: C::Carried) -> Result<(Box<Self>, Record), LedgerError> {
        // Another nonce than any claim bore that was asked for before: that one may still be made, any time later.
        let (nonce, asked) = (Nonce::draw()?, AskedAt::now());
        let record = what.claim(&carried, asked.at)?.record(nonce, what.marks(&carried, None));
        let (ledger, what, end) = (ledger.always(), what.clone(), LeaseEnd::new(asked, record.lease()));
        let claim = Err(Unconfirmed { nonce, or_again: true, why: None });
        let (origin, has_begun, is_over) = (Origin::Claimed, false, false);
        Ok((Box::new(Self { ledger, what, carried, claim, asked, end, origin, has_begun, is_over }), record))
    }

    /// One that another call has, too.
    pub(super) fn assumed(ledger: &Ledger, what: &C, carried: C::Carried, found: &Held) -> Box<Self> {
        let (ledger, what, asked) = (ledger.always(), what.clone(), AskedAt::now());
        let (claim, end) = (Ok(found.clone().assume()), LeaseEnd::new(asked, found.lease_left()));
        let (origin, has_begun, is_over) = (Origin::Assumed, false, false);
        Box::new(Self { ledger, what, carried, claim, asked, end, origin, has_begun, is_over })
    }

    pub(super) fn confirmed(mut self: Box<Self>, ours: Ours, origin: Origin) -> Box<Self> {
        (self.claim, self.origin) = (Ok(ours), origin);
        self
    }

    pub(super) fn unconfirmed(mut self: Box<Self>, error: LedgerError) -> Unbacked<C> {
        if let Err(Unconfirmed { why, .. }) = &mut self.claim {
            *why = Some(error.clone());
        }
        Unbacked(Some(self), error)
    }

    /// The store said that the claim was not made.
    pub(super) fn was_not_made(mut self: Box<Self>) {
        self.is_over = true;
        drop(self);
    }

    getters! {
        pub(crate) fn what(&self) -> &C => &self.what;

        pub(crate) fn carried(&self) -> &C::Carried => &self.carried;

        /// The claim's, which an assumed lease shares.
        pub(crate) fn nonce(&self) -> Nonce => nonce_of(&self.claim);

        /// From before the claim was asked for, so that the lease is never thought longer than it is.
        pub(crate) fn asked_at(&self) -> Instant => self.asked.at;

        /// How long it has been held: endlessly long where this process stood still for longer than its clock says.
        #[cfg(any(feature = "tower", feature = "webhook"))]
        pub(crate) fn held_for(&self) -> Duration => self.asked.elapsed();

        /// When it is over, for the work that it protects.
        pub(crate) fn end(&self) -> LeaseEnd => self.end.clone();

        /// Whether the store confirmed the claim.
        pub(crate) fn has_claim(&self) -> bool => self.claim.is_ok();

        /// Whether another call had it, and its lease ended without a word.
        pub(crate) fn took_over(&self) -> bool => self.origin == Origin::Lapsed;
    }

    /// Goes through the work, and renews the lease meanwhile if the kind says so.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.has_begun = true;
        let length = self.what.renewed().filter(|_| self.has_claim() && self.origin != Origin::Assumed);
        let Some(pace) = length.and_then(|length| length.checked_div(RENEWALS_PER_LEASE)) else { return work.await };
        let renewals = async {
            loop {
                sleep(pace).await;
                // Lost is lost; an error may pass until the next time.
                if let Ok(false) = self.renew().await {
                    self.end.set(None);
                    return pending::<Infallible>().await;
                }
            }
        };
        // A renewal that is under way when the work is done is dropped. It may still be made: the last word knows the record
        // in either edition.
        match select(pin!(work), pin!(renewals)).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => match never {},
        }
    }

    /// Writes the claim anew, as of now. False when it is no longer there, or may be over without this process's knowing.
    async fn renew(&mut self) -> Result<bool, LedgerError> {
        let Ok(ours) = &self.claim else { return Ok(false) };
        if self.end.since() == Duration::MAX {
            return Ok(false);
        }
        let asked = AskedAt::now();
        let contents = self.what.claim(&self.carried, self.asked.at)?;
        let record = contents.record(ours.record.nonce, self.what.marks(&self.carried, None));
        Ok(match self.ledger.settle(self.what.key(), ours, record).await? {
            Replaced::Ours(renewed) => {
                self.claim = Ok(renewed);
                self.end.set(Some(asked));
                true
            }
            Replaced::Lost(_) => false,
        })
    }

    /// Writes the last word. False when another process has taken over: what stands is its record.
    ///
    /// # Errors
    /// When the store did not confirm it, or the claim. It is then tried again for a minute, if the kind has late words.
    pub(crate) async fn conclude(&mut self, word: C::Word) -> Result<bool, LedgerError> {
        self.is_over = true;
        let word = self.last(Some(word));
        let outcome = match &self.claim {
            Err(Unconfirmed { why, .. }) => Err(why.clone().unwrap_or(LedgerError::Contended)),
            Ok(_) => word.write().await,
        };
        let is_followed = match &outcome {
            Ok(said) => word.follow(said).await.is_ok(),
            Err(_) => false,
        };
        let is_late = self.what.late_words(word.word.as_ref()) != LateWords::None && self.origin != Origin::Assumed;
        if !is_followed && is_late {
            word.say_late();
        }
        outcome.map(|said| said.stands())
    }

    /// Writes the last word on a claim that is never renewed and that several calls may hold: of all of them, at most one is
    /// told that it did so now. Nothing is tried again later.
    pub(crate) async fn conclude_once(mut self, word: C::Word) -> Result<Swapped, LedgerError> {
        self.is_over = true;
        let (last, nonce) = (self.what.last(&self.carried, &word)?, self.nonce());
        match (last, &self.claim) {
            (Some(contents), Ok(ours)) => {
                self.ledger.settle_once(self.what.key(), ours, contents.record(nonce, None)).await
            }
            _ => Ok(if self.release().await? { Swapped::Now } else { Swapped::Lost(None) }),
        }
    }

    /// Removes the claim, so that other calls need not wait for the end of the lease. False when it was no longer there.
    pub(crate) async fn release(&mut self) -> Result<bool, LedgerError> {
        self.is_over = true;
        Ok(self.last(None).write().await?.stands())
    }

    fn last(&self, word: Option<C::Word>) -> LastWord<C> {
        let (ledger, what) = (self.ledger.clone(), self.what.clone());
        LastWord { ledger, what, carried: self.carried.clone(), claim: self.claim.clone(), word }
    }

    /// Removes later what may become of a claim that no process works under, or says of it what the kind says.
    pub(super) fn orphan(&self, claim: Unconfirmed) {
        let mut word = self.last(self.what.if_orphaned(&self.carried));
        word.claim = Err(claim);
        word.say_late();
    }
}

impl<C: Claimable> Drop for Lease<C> {
    fn drop(&mut self) {
        // Without a runtime the lease ends by itself, and nothing was asked for.
        let (false, Ok(runtime)) = (self.is_over || self.origin == Origin::Assumed, Handle::try_current()) else {
            return;
        };
        match &self.claim {
            Ok(_) => {
                if let Some(word) = self.what.if_dropped() {
                    let word = self.last(Some(word));
                    // A failure here means no more than that other calls wait for the end of the lease.
                    runtime.spawn(async move { word.write().await.map(drop) });
                }
            }
            Err(claim) => {
                let may_be_made = claim.why.as_ref().is_none_or(LedgerError::is_outcome_unknown);
                if may_be_made && !self.has_begun && self.what.late_words(None) != LateWords::None {
                    self.orphan(claim.clone());
                }
            }
        }
    }
}
