//! The two records of a binding, in a store that changes one at a time.
//!
//! The payment's record says which order it pays, the order's record which payment pays it. A binding goes
//!
//! 1. claim the payment's record for the order, under a lease;
//! 2. claim the order's record for the payment and for this very claim, told by its nonce;
//! 3. settle the payment's record. This step decides: before it the payment pays nothing, after it the order is paid. Of
//!    the calls that had the claim, the one whose command the store says to have made was the first.
//!
//! What is left of a binding that broke off is taken over: the payment's record once its lease is over, the order's record once
//! the payment's no longer bears it out. A call that takes an order away from a claim under way makes the claim void first, so
//! that it cannot be settled afterwards. And since the order's record also names the claim, a new claim of the same payment
//! has to write it anew, and meets the call that is taking it away.
//!
//! The payment's record may also stand at a former place, from the time when its account was named in another way
//! ([`ProviderIdentity::former_redemptions`]). Nothing is recorded there any more. The former places are read once the first
//! step is done, beside the second: a settled record counts like one at the present place, and a claim whose lease is over
//! is made void. Where one is settled or under way, the binding takes its own two steps back, the payment's first.
//!
//! Waits end: the holder of the order's record waits for no other call, and every other call waits for such a holder. A
//! first redemption takes three round trips.

use std::time::Duration;

use futures_util::future::join;
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::{
    Acquired, Bound, Claimable, Contents, Decision, Held, Key, LateWords, Lease, LedgerError, PairLedger, State,
    Swapped,
};

use super::books::Books;
use super::error::RedeemError;
use super::receipt::{Occasion, Owner, Redeemed};
use super::records::{Payer, owner_in, payer_in};
use super::rules::{Hold, redeemed, used};

/// Longer than a binding may take, so that no call takes over from one that may still settle.
const LEASE: Duration = Duration::from_secs(30);

/// A claim that is neither settled nor taken over is gone after this.
const CLAIM_TTL: Duration = Duration::from_secs(60);

/// How long a voided claim keeps its place.
const VOID_TTL: Duration = Duration::from_secs(60);

/// What has just changed is looked at again soon.
pub(super) const SOON: Duration = Duration::from_millis(1);

/// A payment's record: which order the payment pays.
///
/// Only the first word on it counts, and no call may hear of it later than its caller does: there are no late words.
#[derive(Clone, Debug)]
struct PaymentRecord {
    key: Key,
    owner: Owner,
    retention: Duration,
}

impl PaymentRecord {
    fn contents(&self, state: State, ttl: Duration, lease: Duration) -> Result<Contents, LedgerError> {
        Ok(Contents { state, ttl, lease, payload: self.key.payload_of(&self.owner)? })
    }

    fn decide(&self, found: &Held) -> Result<Decision<Self, Box<Held>>, LedgerError> {
        Ok(match Hold::of(found) {
            Hold::Settled => Decision::Answer(Box::new(found.clone())),
            // Another call for the same order began; this one helps it to its end.
            Hold::UnderWay(_) if owner_in(found)? == self.owner => Decision::Assume(()),
            Hold::UnderWay(_) => Decision::Wait,
            Hold::Lapsed | Hold::Void => Decision::TakeOver(()),
        })
    }
}

impl Claimable for PaymentRecord {
    type Carried = ();
    /// There is one: the payment pays the order.
    type Word = ();

    fn late_words(&self, _word: Option<&()>) -> LateWords {
        LateWords::None
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn claim(&self, (): &(), _since: Instant) -> Result<Contents, LedgerError> {
        self.contents(State::Claimed, CLAIM_TTL, LEASE)
    }

    fn last(&self, (): &(), (): &()) -> Result<Option<Contents>, LedgerError> {
        self.contents(State::Settled, self.retention, Duration::ZERO).map(Some)
    }
}

/// What another record says to a binding.
enum Other<T> {
    /// Nothing stands in the way.
    Free,
    Used(T),
    /// It may be used in a moment, with so much left of the lease; zero where a record changed between two looks.
    Wait(Duration),
}

impl Books<'_> {
    /// Binds a payment to its owner, one record after the other.
    pub(super) async fn bind_one_by_one(
        &self,
        payment: &PaymentId,
        owner: &Owner,
        deadline: Deadline,
    ) -> Result<Redeemed, RedeemError> {
        let digest = self.identity.redemption(payment);
        let key = self.payment_key(&digest);
        let record = PaymentRecord { key, owner: owner.clone(), retention: self.retention };
        // Its own, shared with no other call: what others find at the payment's record is the claim of this one, and says
        // nothing of the order that this one waits for.
        let mut poll = self.ledger.poll();
        loop {
            let decide = |found: &Held, _| record.decide(found);
            let mut lease = match self.ledger.acquire(&record, || Ok(()), deadline, decide).await? {
                Acquired::Lease(lease) => lease,
                Acquired::Answer(found) => return used(payment, owner, &found),
                Acquired::Busy { lease_left } => return Err(RedeemError::InProgress { retry_after: lease_left }),
            };
            let (nonce, begun) = (lease.nonce(), Instant::now());
            let payer = Payer { record: *digest.as_bytes(), payment: payment.as_str().into(), claim: nonce };
            // Read once the claim is made, so that none is missed that was settled at a former place before it.
            let (former, order) = join(self.formerly(payment), self.claim_order(owner, &payer)).await;
            let lease_left = match (former?, order) {
                (Other::Used(found), _) => {
                    // The answer is known. Records that cannot be removed count no more once the lease is over.
                    let _ = self.step_back(lease, owner).await;
                    return used(payment, owner, &found);
                }
                (Other::Wait(lease_left), _) => {
                    self.step_back(lease, owner).await?;
                    lease_left
                }
                (Other::Free, Err(error)) => return Err(error),
                (Other::Free, Ok(Other::Wait(lease_left))) => lease_left,
                (Other::Free, Ok(Other::Used(by))) => {
                    if lease.release().await? {
                        return Err(RedeemError::OrderAlreadyPaid { by });
                    }
                    // Another call for the same order came to an end with this claim, one way or the other.
                    Duration::ZERO
                }
                (Other::Free, Ok(Other::Free)) => {
                    if deadline.left(begun).is_zero() {
                        return Err(RedeemError::InProgress { retry_after: LEASE });
                    }
                    // After a failover or a new start, the claim went to another server than the one that was asked.
                    self.check_restart().await?;
                    match lease.conclude_once(()).await? {
                        Swapped::Now => return Ok(redeemed(payment, owner, nonce, Occasion::First)),
                        // This call, whose reply was lost, or another that had the same claim: none of them can know.
                        Swapped::Before(found) => return used(payment, owner, &found),
                        Swapped::Lost(_) => continue,
                    }
                }
            };
            if !poll.wait(lease_left.max(SOON), deadline).await {
                return Err(RedeemError::InProgress { retry_after: lease_left });
            }
        }
    }

    /// Gives the claim of a payment up, and the order's record that names it. Not that one where the claim has ended in
    /// another way: another call that had it may have settled it.
    async fn step_back(&self, mut lease: Box<Lease<PaymentRecord>>, owner: &Owner) -> Result<(), LedgerError> {
        if lease.release().await? {
            self.free_order(owner, lease.nonce().into_bytes()).await?;
        }
        Ok(())
    }

    /// Claims the order's record for this payer, or takes it over from one that the payment's record does not bear out.
    async fn claim_order(&self, owner: &Owner, payer: &Payer) -> Result<Other<PaymentId>, RedeemError> {
        let place = self.order_key(owner);
        let ttl = self.order_ttl();
        let Bound::ToOthers(found) = self.ledger.bind(&place, payer, ttl).await? else { return Ok(Other::Free) };
        let holder = payer_in(&found)?;
        if holder.record != payer.record
            && let Some(order) = self.still_stands(owner, &holder).await?
        {
            return Ok(order);
        }
        let payload = place.payload_of(payer)?;
        let contents = Contents { state: State::Settled, ttl, lease: Duration::ZERO, payload };
        let is_replaced = self.ledger.replace(&place, &found, contents).await?;
        Ok(if is_replaced { Other::Free } else { Other::Wait(Duration::ZERO) })
    }

    /// Whether the payment that an order's record names bears it out. `None` says that the order is free.
    async fn still_stands(&self, owner: &Owner, holder: &Payer) -> Result<Option<Other<PaymentId>>, RedeemError> {
        let place = self.payment_key(&Fingerprint::from_bytes(holder.record));
        let Some(found) = self.ledger.get(&place).await? else { return Ok(None) };
        match Hold::of_payer(&found, owner)? {
            Hold::Settled => Ok(Some(Other::Used(PaymentId::parse(&holder.payment)?))),
            Hold::UnderWay(lease_left) => Ok(Some(Other::Wait(lease_left))),
            Hold::Lapsed => Ok((!self.make_void(&place, &found).await?).then_some(Other::Wait(Duration::ZERO))),
            Hold::Void => Ok(None),
        }
    }

    /// Keeps the owner of a claim whose lease is over from settling it. False when it changed meanwhile.
    async fn make_void(&self, place: &Key, found: &Held) -> Result<bool, LedgerError> {
        let void = Contents { state: State::Void, ttl: VOID_TTL, lease: Duration::ZERO, payload: Vec::new() };
        self.ledger.replace(place, found, void).await
    }

    /// What stands at the places where a redemption was recorded while the account was named in another way.
    async fn formerly(&self, payment: &PaymentId) -> Result<Other<Held>, LedgerError> {
        let found = PairLedger::one_by_one(self.ledger).get_many(&self.former_keys(payment)).await?;
        for (place, found) in found {
            match Hold::of(&found) {
                Hold::Settled => return Ok(Other::Used(found)),
                Hold::UnderWay(lease_left) => return Ok(Other::Wait(lease_left)),
                Hold::Lapsed if !self.make_void(&place, &found).await? => return Ok(Other::Wait(Duration::ZERO)),
                Hold::Lapsed | Hold::Void => {}
            }
        }
        Ok(Other::Free)
    }

    /// Removes the order's record, where it names this claim.
    async fn free_order(&self, owner: &Owner, claim: [u8; 16]) -> Result<(), LedgerError> {
        let mut records = PairLedger::one_by_one(self.ledger);
        if let Some((place, found)) = self.order_of(&mut records, owner, claim).await? {
            records.remove(&place, &found).await?;
        }
        Ok(())
    }
}
