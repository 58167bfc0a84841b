//! The way to a lease, or to what another call left behind: claim, look at what is found, wait, take over.
//!
//! | what is found | what happens |
//! |---|---|
//! | nothing | the claim stands: a lease |
//! | what the call wants to know | it is the answer |
//! | another call's lease, running | waited for; busy once the deadline is over |
//! | another call's claim for the same end | assumed: a lease that several calls hold |
//! | a record that may be taken over | claimed by compare-and-swap: a lease, or a look at what was faster |
//! | a claim whose lease is over and whose work may not be done again | marked, so that later calls need not wait |
//!
//! Which of these it is, the kind of record decides ([`Decision`]). A claim whose outcome does not become known is removed
//! later, and so is what other processes made of it, where the kind allows late words.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::call::deadline::Deadline;

use super::claimable::{Claimable, Decide, Decision, LateWords};
use super::lease::{Asked, Lease, Origin};
use super::unconfirmed::Unconfirmed;
use super::{Claimed, Held, Key, Ledger, LedgerError, Nonce, Replaced, State, Waited, Watch};

/// Another call must have been faster each time; past this many something is wrong.
const MOST_ROUNDS: u32 = 10_000;

/// How a call comes to its end, or to its work.
pub(crate) enum Acquired<C: Claimable, A> {
    Lease(Box<Lease<C>>),
    /// What the record says to this call.
    Answer(A),
    /// Another call holds the lease for as long as this, and there is no time left to wait for it.
    Busy {
        lease_left: Duration,
    },
}

impl Ledger {
    /// Goes on until there is a lease or an answer, or the deadline is over. A deadline that is over already waits for
    /// nothing. `anew` is asked before each claim, and says what its lease carries; or what the answer is where no record
    /// is and the call may not claim one. Then it only looks.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the claim that it was asking for to be removed, if the kind has late words.
    pub(crate) async fn acquire<C: Claimable, A>(
        &self,
        what: &C,
        anew: impl Fn() -> Result<C::Carried, A>,
        deadline: Deadline,
        decide: impl Decide<C, A>,
    ) -> Result<Acquired<C, A>, LedgerError> {
        let (mut watch, mut waited_for, mut overheard) = (None, None, None);
        for _ in 0..MOST_ROUNDS {
            let found: Arc<Held> = match overheard.take() {
                Some(found) => found,
                None => match anew() {
                    Ok(carried) => match self.claim_for(what, carried).await? {
                        Tried::Lease(lease) => return Ok(Acquired::Lease(lease)),
                        Tried::Found(found) => Arc::new(found),
                    },
                    Err(otherwise) => match self.get(what.key()).await? {
                        Some(found) => Arc::new(found),
                        None => return Ok(Acquired::Answer(otherwise)),
                    },
                },
            };
            match decide(&found, waited_for)? {
                Decision::Answer(answer) => return Ok(Acquired::Answer(answer)),
                Decision::Wait if !deadline.allows(found.asked_at, Duration::ZERO) => {
                    return Ok(Acquired::Busy { lease_left: found.lease_left() });
                }
                Decision::Wait => {
                    let mut claim = found.under_way();
                    let watch: &mut Watch = watch.get_or_insert_with(|| self.watch(what.key()));
                    match watch.wait(&mut claim, deadline).await {
                        Waited::Turn => {}
                        Waited::Over(found) => overheard = Some(found),
                        Waited::OutOfTime(lease_left) => return Ok(Acquired::Busy { lease_left }),
                    }
                    waited_for = Some(claim.nonce);
                }
                Decision::Assume(carried) => {
                    let ours = Held::clone(&found).assume();
                    let lease = Lease::new(self, what, carried, ours, Asked::now(), Origin::Assumed);
                    return Ok(Acquired::Lease(Box::new(lease)));
                }
                Decision::TakeOver(carried) => {
                    if let Some(lease) = self.take_over_for(what, &found, carried).await? {
                        return Ok(Acquired::Lease(lease));
                    }
                }
                #[cfg(feature = "tower")]
                Decision::Mark(contents, answer) => {
                    if self.mark(what.key(), &found, contents).await? {
                        return Ok(Acquired::Answer(answer));
                    }
                }
            }
        }
        Err(LedgerError::Contended)
    }

    /// Claims the record where none is; else says which one is.
    async fn claim_for<C: Claimable>(&self, what: &C, carried: C::Carried) -> Result<Tried<C>, LedgerError> {
        let (nonce, asked) = (Nonce::draw()?, Asked::now());
        let entry = what.claim(&carried, asked.at)?.entry(nonce);
        let claiming = self.claim(what.key(), entry);
        Ok(match self.confirmed(C::LATE_WORDS, what.key(), nonce, claiming).await? {
            Claimed::Ours(ours) => {
                Tried::Lease(Box::new(Lease::new(self, what, carried, ours, asked, Origin::Claimed)))
            }
            Claimed::Held(found) => Tried::Found(found),
        })
    }

    /// Claims the record in the place of what was found; not where that has changed meanwhile.
    async fn take_over_for<C: Claimable>(
        &self,
        what: &C,
        found: &Held,
        carried: C::Carried,
    ) -> Result<Option<Box<Lease<C>>>, LedgerError> {
        // Another nonce than the claim bore that was asked for before: it may still be made, any time later.
        let (nonce, asked) = (Nonce::draw()?, Asked::now());
        let entry = what.claim(&carried, asked.at)?.entry(nonce);
        let taking = self.take_over(what.key(), found, entry);
        Ok(match self.confirmed(C::LATE_WORDS, what.key(), nonce, taking).await? {
            Replaced::Ours(ours) => {
                let had_lapsed = found.record.state == State::Claimed && found.lease_left().is_zero();
                let origin = if had_lapsed { Origin::Lapsed } else { Origin::Claimed };
                Some(Box::new(Lease::new(self, what, carried, ours, asked, origin)))
            }
            Replaced::Lost(_) => None,
        })
    }

    /// Asks for a claim, and removes it later when its outcome does not become known.
    async fn confirmed<T>(
        &self,
        late_words: LateWords,
        key: &Key,
        nonce: Nonce,
        asking: impl Future<Output = Result<T, LedgerError>>,
    ) -> Result<T, LedgerError> {
        if late_words == LateWords::None {
            return asking.await;
        }
        let unconfirmed = Unconfirmed::new(self, key, nonce);
        let outcome = asking.await;
        unconfirmed.confirm(&outcome);
        outcome
    }
}

/// What came of a claim.
enum Tried<C: Claimable> {
    Lease(Box<Lease<C>>),
    Found(Held),
}
