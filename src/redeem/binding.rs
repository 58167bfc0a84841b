//! Two records that have to agree, in a store that changes one at a time.
//!
//! The payment's record says which order it pays, the order's record which payment pays it. A binding goes
//!
//! 1. claim the payment's record for the order, under a lease;
//! 2. claim the order's record for the payment and for this very claim, told by its nonce;
//! 3. settle the payment's record. This step decides: before it the payment pays nothing, after it the order is paid. Of
//!    the calls that had the claim, the one whose command the store says to have made was the first.
//!
//! An order's record counts only while the payment's record that it names is claimed or settled for this order. What is
//! left of a binding that broke off is taken over: the payment's record once its lease is over, the order's record once
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
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::{
    Acquired, Bound, Claimable, Contents, Decision, Held, Key, LateWords, Lease, Ledger, LedgerError, Nonce,
    RecordKind, State, Swapped, Versioned,
};
use crate::provider::ProviderIdentity;

use super::error::RedeemError;
use super::receipt::{Occasion, Owner, Receipt, Redeemed, Redemption};

/// The longest a binding may take, waits for others included.
const LIMIT: Duration = Duration::from_secs(10);

/// Longer than that, so that no call takes over from one that may still settle.
const LEASE: Duration = Duration::from_secs(30);

/// A claim that is neither settled nor taken over is gone after this.
const CLAIM_TTL: Duration = Duration::from_secs(60);

/// How long a voided claim keeps its place.
const VOID_TTL: Duration = Duration::from_secs(60);

/// What has just changed is looked at again soon.
const SOON: Duration = Duration::from_millis(1);

/// The order's record lives on a little, so that it never ends before the payment's.
const ORDER_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// What the order's record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Payer {
    /// Where the payment's record stands: it may be another provider's.
    record: [u8; 32],
    payment: Box<str>,
    claim: Nonce,
}

impl Versioned<'_> for Payer {}

/// The records of redemptions.
#[derive(Debug)]
pub(super) struct Books<'e> {
    pub(super) ledger: &'e Ledger,
    pub(super) identity: &'e ProviderIdentity,
    pub(super) retention: Duration,
}

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
        Ok(match found.record.state {
            State::Settled => Decision::Answer(Box::new(found.clone())),
            State::Claimed if found.lease_left().is_zero() => Decision::TakeOver(()),
            // Another call for the same order began; this one helps it to its end.
            State::Claimed if owner_in(found)? == self.owner => Decision::Assume(()),
            State::Claimed => Decision::Wait,
            State::Failed | State::Void => Decision::TakeOver(()),
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
    /// Refuses a store that may forget at a restart what is about to be written.
    pub(super) async fn check_restart(&self) -> Result<(), RedeemError> {
        match self.ledger.refused_loss().await? {
            Some(loss) => Err(RedeemError::RestartLoses { loss }),
            None => Ok(()),
        }
    }

    /// Binds a payment to its owner.
    pub(super) async fn bind(&self, payment: &PaymentId, owner: Owner) -> Result<Redeemed, RedeemError> {
        let deadline = Deadline::after(Instant::now(), LIMIT);
        let digest = self.identity.redemption(payment);
        let key = self.ledger.key(RecordKind::Payment, &digest);
        let record = PaymentRecord { key, owner, retention: self.retention };
        let owner = &record.owner;
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
        let ttl = self.retention.saturating_add(ORDER_MARGIN);
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
        let place = self.ledger.key(RecordKind::Payment, &Fingerprint::from_bytes(holder.record));
        let Some(found) = self.ledger.get(&place).await? else { return Ok(None) };
        if matches!(found.record.state, State::Failed | State::Void) || owner_in(&found)? != *owner {
            return Ok(None);
        }
        match found.record.state {
            State::Settled => Ok(Some(Other::Used(PaymentId::parse(&holder.payment)?))),
            State::Claimed if !found.lease_left().is_zero() => Ok(Some(Other::Wait(found.lease_left()))),
            _ => Ok((!self.make_void(&place, &found).await?).then_some(Other::Wait(Duration::ZERO))),
        }
    }

    /// Keeps the owner of a claim whose lease is over from settling it. False when it changed meanwhile.
    async fn make_void(&self, place: &Key, found: &Held) -> Result<bool, LedgerError> {
        let void = Contents { state: State::Void, ttl: VOID_TTL, lease: Duration::ZERO, payload: Vec::new() };
        self.ledger.replace(place, found, void).await
    }

    /// What stands at the places where a redemption was recorded while the account was named in another way.
    async fn formerly(&self, payment: &PaymentId) -> Result<Other<Held>, LedgerError> {
        for (place, found) in self.found_at(&self.identity.former_redemptions(payment)).await? {
            match found.record.state {
                State::Settled => return Ok(Other::Used(found)),
                State::Claimed if !found.lease_left().is_zero() => return Ok(Other::Wait(found.lease_left())),
                State::Claimed if !self.make_void(&place, &found).await? => return Ok(Other::Wait(Duration::ZERO)),
                State::Claimed | State::Failed | State::Void => {}
            }
        }
        Ok(Other::Free)
    }

    /// The records of a payment that stand at these places. One that cannot be read fails all.
    async fn found_at(&self, digests: &[Fingerprint]) -> Result<Vec<(Key, Held)>, LedgerError> {
        let places: Vec<_> = digests.iter().map(|digest| self.ledger.key(RecordKind::Payment, digest)).collect();
        let found = self.ledger.get_many(&places).await;
        let there = places.into_iter().zip(found).filter_map(|(place, found)| Some((place, found.transpose()?)));
        there.map(|(place, found)| Ok((place, found?))).collect()
    }

    /// Every record by which the payment is used, the one at the present place first.
    async fn settled(&self, payment: &PaymentId) -> Result<Vec<(Key, Held)>, LedgerError> {
        let mut digests = self.identity.former_redemptions(payment);
        digests.insert(0, self.identity.redemption(payment));
        let mut found = self.found_at(&digests).await?;
        found.retain(|(_, found)| found.record.state == State::Settled);
        Ok(found)
    }

    /// What a payment was redeemed for.
    pub(super) async fn redemption(&self, payment: &PaymentId) -> Result<Option<Redemption>, LedgerError> {
        let settled = self.settled(payment).await?;
        let Some((_, found)) = settled.first() else { return Ok(None) };
        let receipt =
            Receipt { payment: payment.clone(), owner: owner_in(found)?, number: found.record.nonce.into_bytes() };
        Ok(Some(Redemption { receipt, age: found.told_age() }))
    }

    /// The payment's record that stands for a receipt; `None` where it is undone.
    ///
    /// # Errors
    /// When the payment was redeemed anew since then.
    pub(super) async fn standing(&self, receipt: &Receipt) -> Result<Option<(Key, Held)>, RedeemError> {
        let mut settled = self.settled(&receipt.payment).await?;
        match settled.iter().position(|(_, found)| found.record.nonce.into_bytes() == receipt.number) {
            Some(own) => Ok(Some(settled.swap_remove(own))),
            None => match settled.first() {
                Some((_, other)) => Err(already_redeemed(&owner_in(other)?, &receipt.owner)),
                None => Ok(None),
            },
        }
    }

    /// Undoes one redemption: the payment's record is the one which counts, and the order's is freed afterwards. Where it was
    /// not there any more, an earlier try of this call removed it, or another call at the same moment.
    pub(super) async fn undo(&self, (place, found): &(Key, Held)) -> Result<(), LedgerError> {
        self.ledger.remove(place, found).await.map(drop)
    }

    /// Removes the order's record, where it names this claim.
    pub(super) async fn free_order(&self, owner: &Owner, claim: [u8; 16]) -> Result<(), LedgerError> {
        let place = self.order_key(owner);
        if let Some(found) = self.ledger.get(&place).await?
            && payer_in(&found)?.claim.into_bytes() == claim
        {
            self.ledger.remove(&place, &found).await?;
        }
        Ok(())
    }

    /// Orders are the merchant's, whichever provider is paid through; test orders are none.
    fn order_key(&self, owner: &Owner) -> Key {
        let mode = self.identity.mode().as_str();
        let parts = [Some(mode), Some(&*owner.tenant), Some(&*owner.order), owner.part.as_deref()];
        self.ledger.key(RecordKind::Order, &Fingerprint::of("order", parts.map(|part| part.map(str::as_bytes))))
    }
}

/// The answer of a record by which the payment is used.
fn used(payment: &PaymentId, owner: &Owner, found: &Held) -> Result<Redeemed, RedeemError> {
    let holder = owner_in(found)?;
    if holder != *owner {
        return Err(already_redeemed(&holder, owner));
    }
    Ok(redeemed(payment, owner, found.record.nonce, Occasion::Repeat { age: found.told_age() }))
}

fn redeemed(payment: &PaymentId, owner: &Owner, claim: Nonce, occasion: Occasion) -> Redeemed {
    let receipt = Receipt { payment: payment.clone(), owner: owner.clone(), number: claim.into_bytes() };
    Redeemed { receipt, occasion }
}

fn already_redeemed(holder: &Owner, owner: &Owner) -> RedeemError {
    let by = (holder.tenant == owner.tenant).then(|| holder.order_and_part());
    RedeemError::AlreadyRedeemed { by }
}

fn owner_in(held: &Held) -> Result<Owner, LedgerError> {
    held.payload("holds no redemption")
}

fn payer_in(held: &Held) -> Result<Payer, LedgerError> {
    held.payload("holds no redemption")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::is_golden;

    #[test]
    fn golden_files_hold_what_is_written_of_orders() {
        let payer = Payer { record: [0x66; 32], payment: "pi_1".into(), claim: Nonce::of([0x77; 16]) };
        is_golden(RecordKind::Order, 1, "paid", State::Settled, false, &payer);
    }
}
