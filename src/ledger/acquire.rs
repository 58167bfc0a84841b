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
//! later, and so is a mark of it, where the kind allows late words. The first of two tries, which may be made after the
//! second, is removed in every kind.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::call::audience::{Audience, while_wanted};
use crate::call::deadline::Deadline;

use super::claimable::{Claimable, Decide, Decision};
use super::last_word::Unconfirmed;
use super::lease::{Lease, Origin, Unbacked};
use super::watch::{Waited, Watch};
use super::{Claimed, Held, Key, Ledger, LedgerError, Nonce, Replaced, State};

/// Another call must have been faster each time; past this many something is wrong.
const MOST_ROUNDS: u32 = 10_000;

/// How a call comes to its end, or to its work.
pub(crate) enum Acquired<C: Claimable, A> {
    Lease(Box<Lease<C>>),
    /// What the record says to this call.
    Answer(A),
    /// Another call holds the lease for as long as this, and there is no time left to wait for it, or no caller.
    Busy {
        lease_left: Duration,
    },
}

/// What a call knows when its turn comes to look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    /// What another call of this process found since.
    pub(crate) overheard: Option<Arc<Held>>,
    /// The claim that the call has waited for.
    pub(crate) waited_for: Option<Nonce>,
}

/// How a turn ends.
pub(crate) enum Turn<T> {
    Over(T),
    /// Another call holds the lease.
    Wait(Arc<Held>),
    /// Another call was faster.
    Again,
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
        self.acquire_from(Look::default(), what, anew, deadline, decide).await
    }

    /// The same for a call that has looked already, and knows what it found.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub(crate) async fn acquire_from<C: Claimable, A>(
        &self,
        first: Look,
        what: &C,
        anew: impl Fn() -> Result<C::Carried, A>,
        deadline: Deadline,
        decide: impl Decide<C, A>,
    ) -> Result<Acquired<C, A>, LedgerError> {
        let (anew, decide) = (&anew, &decide);
        let turn = |look| async move { Ok(self.look(what, anew, decide, look).await?) };
        let busy = |lease_left| Ok(Acquired::Busy { lease_left });
        self.in_turns((what.key(), what.audience()), first, deadline, turn, busy).await
    }

    /// Goes through turns until one is the last, and waits between them as long as another call holds the lease. The first one
    /// knows what `first` says. `busy` says what the end is where it is still held when the deadline is over, or when the last
    /// caller leaves.
    pub(crate) async fn in_turns<T, E, F>(
        &self,
        (key, audience): (&Key, Option<&Audience>),
        first: Look,
        deadline: Deadline,
        mut turn: impl FnMut(Look) -> F,
        busy: impl FnOnce(Duration) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<LedgerError>,
        F: Future<Output = Result<Turn<T>, E>>,
    {
        let (mut watch, mut look) = (None, first);
        for _ in 0..MOST_ROUNDS {
            let waited_for = look.waited_for;
            let found = match turn(look).await? {
                Turn::Over(end) => return Ok(end),
                Turn::Again => {
                    look = Look { overheard: None, waited_for };
                    continue;
                }
                Turn::Wait(found) => found,
            };
            if !deadline.allows(found.asked_at, Duration::ZERO) {
                return busy(found.lease_left());
            }
            let mut claim = found.under_way();
            // Boxed, as all that is rare here: a call has room for what it mostly does, which is to claim or to find.
            let watch: &mut Watch = watch.get_or_insert_with(|| Box::new(self.watch(key)));
            // Ended by its callers between two steps at the store, so that no claim which is asked for is let go of.
            let waited = Box::pin(while_wanted(audience, watch.wait(&mut claim, deadline))).await;
            let overheard = match waited {
                Some(Waited::Turn) => None,
                Some(Waited::Over(found)) => Some(found),
                Some(Waited::OutOfTime(lease_left)) => return busy(lease_left),
                None => return busy(claim.lease_left),
            };
            look = Look { overheard, waited_for: Some(claim.nonce) };
        }
        Err(LedgerError::Contended.into())
    }

    /// Looks once, and claims, takes over or marks the record where that follows.
    pub(crate) async fn look<C: Claimable, A>(
        &self,
        what: &C,
        anew: impl Fn() -> Result<C::Carried, A>,
        decide: impl Decide<C, A>,
        look: Look,
    ) -> Result<Turn<Acquired<C, A>>, Unbacked<C>> {
        let found = match look.overheard {
            Some(found) => found,
            None => match anew() {
                Ok(carried) => match self.claim_for(what, carried).await? {
                    Ok(lease) => return Ok(Turn::Over(Acquired::Lease(lease))),
                    Err(found) => Arc::new(found),
                },
                Err(otherwise) => match Box::pin(self.get(what.key())).await? {
                    Some(found) => Arc::new(found),
                    None => return Ok(Turn::Over(Acquired::Answer(otherwise))),
                },
            },
        };
        let end = match decide(&found, look.waited_for)? {
            Decision::Answer(answer) => Some(Acquired::Answer(answer)),
            Decision::Wait => return Ok(Turn::Wait(found)),
            Decision::Assume(carried) => Some(Acquired::Lease(Lease::assumed(self, what, carried, &found))),
            Decision::TakeOver(carried) => {
                Box::pin(self.take_over_for(what, &found, carried)).await?.map(Acquired::Lease)
            }
            Decision::Mark(contents, answer) => {
                Box::pin(self.mark(what.key(), &found, contents)).await?.then_some(Acquired::Answer(answer))
            }
        };
        Ok(end.map_or(Turn::Again, Turn::Over))
    }

    /// Claims the record where none is; else says which one is.
    async fn claim_for<C: Claimable>(
        &self,
        what: &C,
        carried: C::Carried,
    ) -> Result<Result<Box<Lease<C>>, Held>, Unbacked<C>> {
        let (lease, record) = Lease::asking(self, what, carried)?;
        // The first of two tries may still be made once the key is free, and no process would work under it.
        let on_open = |nonce| lease.orphan(Unconfirmed { nonce, or_again: false, why: None });
        match self.claim(what.key(), record, on_open).await {
            Ok(Claimed::Ours(ours)) => Ok(Ok(lease.confirmed(ours, Origin::Claimed))),
            Ok(Claimed::Held(found)) => {
                lease.was_not_made();
                Ok(Err(found))
            }
            Err(why) => Err(lease.unconfirmed(why)),
        }
    }

    /// Claims the record in the place of what was found; not where that has changed meanwhile.
    async fn take_over_for<C: Claimable>(
        &self,
        what: &C,
        found: &Held,
        carried: C::Carried,
    ) -> Result<Option<Box<Lease<C>>>, Unbacked<C>> {
        let (lease, record) = Lease::asking(self, what, carried)?;
        match self.take_over(what.key(), found, record).await {
            Ok(Replaced::Ours(ours)) => {
                let had_lapsed = found.record.state == State::Claimed && found.lease_left().is_zero();
                Ok(Some(lease.confirmed(ours, if had_lapsed { Origin::Lapsed } else { Origin::Claimed })))
            }
            Ok(Replaced::Lost(_)) => {
                lease.was_not_made();
                Ok(None)
            }
            Err(why) => Err(lease.unconfirmed(why)),
        }
    }
}
