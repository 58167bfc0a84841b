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
//! the payment's no longer bears it out. Whoever takes an order away from a claim under way makes the claim void first, so
//! that it cannot be settled afterwards. And since the order's record also names the claim, a new claim of the same payment
//! has to write it anew, and meets whoever is taking it away.
//!
//! The payment's record may also stand at a former place, from the time when its account was named in another way
//! ([`ProviderIdentity::former_redemptions`]). Nothing is recorded there any more. It is looked at between the first step and
//! the second: a settled record counts like one at the present place, and a claim whose lease is over is made void.
//!
//! Nobody waits for ever: who holds the order's record waits for nobody, and everybody else waits for such a one.

use std::iter;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::{
    Claimed, Entry, Held, Key, Kind, Ledger, LedgerError, Nonce, Replaced, State, Swapped, UnderWay, Waited, Watch,
    payload_of,
};
use crate::provider::ProviderIdentity;

use super::error::RedeemError;
use super::receipt::{Occasion, Owner, Receipt, Redeemed, Redemption};

/// The longest a binding may take, waits for others included.
const LIMIT: Duration = Duration::from_secs(10);

/// Longer than that, so that nobody takes over from somebody who may still settle.
const LEASE: Duration = Duration::from_secs(30);

/// A claim that nobody settles or takes over is gone after this.
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

/// The records of redemptions.
#[derive(Debug)]
pub(super) struct Books<'e> {
    pub(super) ledger: &'e Ledger,
    pub(super) identity: &'e ProviderIdentity,
    pub(super) retention: Duration,
}

/// What came of the order's record.
enum Order {
    Ours,
    PaidBy(PaymentId),
    /// Somebody else is about to settle, with so much left of the lease.
    Wait(Duration),
    /// It changed under our hands.
    Again,
}

/// What came of a look at the former places of a payment's record.
enum Former {
    /// The payment is not used there.
    Free,
    /// It is, by this record.
    Used(Held),
    /// It may be in a moment, with so much left of the lease; nothing where a record changed between two looks.
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
        let place = self.ledger.key(Kind::Payment, &digest);
        let mut waiting = Waiting { ledger: self.ledger, place: &place, watch: None, deadline };
        let redeemed = |nonce: Nonce, occasion: Occasion| {
            let (payment, owner, number) = (payment.clone(), owner.clone(), nonce.into_bytes());
            Redeemed { receipt: Receipt { payment, owner, number }, occasion }
        };
        let repeated = |held: &Held| redeemed(held.record.nonce, Occasion::Repeat { age: held.told_age() });
        loop {
            // A new one each time, so that no record ever looks like one that was there before.
            let (nonce, begin) = (Nonce::draw()?, Instant::now());
            let claimed = match self.ledger.claim(&place, claim_of(&owner, nonce)?).await? {
                Claimed::Ours(ours) => Some(ours),
                Claimed::Held(held) => {
                    let is_void = matches!(held.record.state, State::Failed | State::Void);
                    let is_ours = !is_void && owner_in(&held)? == owner;
                    match held.record.state {
                        State::Settled if is_ours => return Ok(repeated(&held)),
                        State::Settled => return Err(already_redeemed(&owner_in(&held)?, &owner)),
                        // Another call for the same order began; this one helps it to its end.
                        State::Claimed if is_ours && !held.lease_left().is_zero() => Some(held.assume()),
                        State::Claimed if !held.lease_left().is_zero() => {
                            waiting.wait(nonce, begin, held.lease_left()).await?;
                            None
                        }
                        _ => {
                            // Another one than the claim bore: that may still be made.
                            let entry = claim_of(&owner, Nonce::draw()?)?;
                            match self.ledger.take_over(&place, &held, entry).await? {
                                Replaced::Ours(ours) => Some(ours),
                                Replaced::Lost(_) => None,
                            }
                        }
                    }
                }
            };
            let Some(ours) = claimed else {
                // Whatever it was, time goes on.
                if deadline.left(Instant::now()).is_zero() {
                    return Err(RedeemError::InProgress { retry_after: LEASE });
                }
                continue;
            };
            // Read once the claim is made, so that none is missed that was settled at a former place before it.
            match self.formerly(payment).await? {
                Former::Free => {}
                Former::Used(held) => {
                    // The answer is known, whether or not this claim can be removed. Left behind, it ends by itself.
                    let _ = self.ledger.release(&place, &ours).await;
                    let holder = owner_in(&held)?;
                    let is_ours = holder == owner;
                    return if is_ours { Ok(repeated(&held)) } else { Err(already_redeemed(&holder, &owner)) };
                }
                Former::Wait(lease_left) => {
                    waiting.wait(nonce, begin, lease_left).await?;
                    continue;
                }
            }
            let payer =
                Payer { record: *digest.as_bytes(), payment: payment.as_str().into(), claim: ours.record.nonce };
            match self.claim_order(&owner, &payer).await? {
                Order::Ours => {}
                Order::PaidBy(by) => {
                    if self.ledger.release(&place, &ours).await? {
                        return Err(RedeemError::OrderAlreadyPaid { by });
                    }
                    // Another call for the same order came to an end with this claim, one way or the other.
                    waiting.wait(nonce, begin, Duration::ZERO).await?;
                    continue;
                }
                Order::Wait(lease_left) => {
                    waiting.wait(nonce, begin, lease_left).await?;
                    continue;
                }
                Order::Again => {
                    waiting.wait(nonce, begin, Duration::ZERO).await?;
                    continue;
                }
            }
            if deadline.left(Instant::now()).is_zero() {
                return Err(RedeemError::InProgress { retry_after: LEASE });
            }
            // The claim may have gone to another server than the one that was asked: after a failover, or a new start.
            self.check_restart().await?;
            let settled = Entry {
                state: State::Settled,
                nonce: ours.record.nonce,
                ttl: self.retention,
                lease: Duration::ZERO,
                payload: ours.record.payload.clone(),
            };
            match self.ledger.settle_once(&place, &ours, settled).await? {
                Swapped::Now => return Ok(redeemed(ours.record.nonce, Occasion::First)),
                // This call, whose reply was lost, or another one that had the same claim: none of them can know.
                Swapped::Before(held) => return Ok(repeated(&held)),
                Swapped::Lost(_) => {}
            }
        }
    }

    /// Claims the order's record for this payer, or takes it over from one that the payment's record does not bear out.
    async fn claim_order(&self, owner: &Owner, payer: &Payer) -> Result<Order, RedeemError> {
        let place = self.order_key(owner);
        let entry = || -> Result<Entry, LedgerError> {
            Ok(Entry {
                state: State::Settled,
                nonce: Nonce::draw()?,
                ttl: self.retention.saturating_add(ORDER_MARGIN),
                lease: Duration::ZERO,
                payload: payload_of(payer)?,
            })
        };
        let held = match self.ledger.claim(&place, entry()?).await? {
            Claimed::Ours(_) => return Ok(Order::Ours),
            Claimed::Held(held) => held,
        };
        let holder = payer_in(&held)?;
        if holder == *payer {
            return Ok(Order::Ours);
        }
        if holder.record != payer.record
            && let Some(order) = self.still_stands(owner, &holder).await?
        {
            return Ok(order);
        }
        let taken = self.ledger.take_over(&place, &held, entry()?).await?;
        Ok(if matches!(taken, Replaced::Ours(_)) { Order::Ours } else { Order::Again })
    }

    /// Whether the payment that an order's record names bears it out. `None` says that the order is free.
    async fn still_stands(&self, owner: &Owner, holder: &Payer) -> Result<Option<Order>, RedeemError> {
        let place = self.ledger.key(Kind::Payment, &Fingerprint::from_bytes(holder.record));
        let Some(held) = self.ledger.get(&place).await? else { return Ok(None) };
        if matches!(held.record.state, State::Failed | State::Void) || owner_in(&held)? != *owner {
            return Ok(None);
        }
        match held.record.state {
            State::Settled => Ok(Some(Order::PaidBy(PaymentId::parse(&holder.payment)?))),
            State::Claimed if !held.lease_left().is_zero() => Ok(Some(Order::Wait(held.lease_left()))),
            _ => Ok((!self.make_void(&place, &held).await?).then_some(Order::Again)),
        }
    }

    /// Takes a claim whose lease is over its place, so that its owner cannot settle it any more. False when it changed
    /// meanwhile.
    async fn make_void(&self, place: &Key, held: &Held) -> Result<bool, LedgerError> {
        let nonce = Nonce::draw()?;
        let (ttl, lease, payload) = (VOID_TTL, Duration::ZERO, Vec::new());
        let void = Entry { state: State::Void, nonce, ttl, lease, payload };
        Ok(matches!(self.ledger.take_over(place, held, void).await?, Replaced::Ours(_)))
    }

    /// What stands at the places where a redemption was recorded while the account was named in another way.
    async fn formerly(&self, payment: &PaymentId) -> Result<Former, LedgerError> {
        let digests = self.identity.former_redemptions(payment);
        let places: Vec<_> = digests.iter().map(|digest| self.ledger.key(Kind::Payment, digest)).collect();
        let found = self.ledger.get_all(&places).await?;
        for (place, held) in places.iter().zip(found).filter_map(|(place, held)| Some((place, held?))) {
            match held.record.state {
                State::Settled => return Ok(Former::Used(held)),
                State::Claimed if !held.lease_left().is_zero() => return Ok(Former::Wait(held.lease_left())),
                State::Claimed if !self.make_void(place, &held).await? => return Ok(Former::Wait(Duration::ZERO)),
                State::Claimed | State::Failed | State::Void => {}
            }
        }
        Ok(Former::Free)
    }

    /// Every place where a redemption of the payment may stand, the present one first.
    fn places(&self, payment: &PaymentId) -> impl Iterator<Item = Key> {
        let digests = iter::once(self.identity.redemption(payment)).chain(self.identity.former_redemptions(payment));
        digests.map(|digest| self.ledger.key(Kind::Payment, &digest))
    }

    /// What a payment was redeemed for.
    pub(super) async fn redemption(&self, payment: &PaymentId) -> Result<Option<Redemption>, LedgerError> {
        for place in self.places(payment) {
            if let Some(held) = self.settled(&place).await? {
                let (owner, number) = (owner_in(&held)?, held.record.nonce.into_bytes());
                let receipt = Receipt { payment: payment.clone(), owner, number };
                return Ok(Some(Redemption { receipt, age: held.told_age() }));
            }
        }
        Ok(None)
    }

    async fn settled(&self, place: &Key) -> Result<Option<Held>, LedgerError> {
        Ok(self.ledger.get(place).await?.filter(|held| held.record.state == State::Settled))
    }

    /// Undoes one redemption: the payment's record first, since that is the one which counts.
    pub(super) async fn release(&self, receipt: &Receipt) -> Result<(), RedeemError> {
        let is_of = |held: &Held| held.record.nonce.into_bytes() == receipt.number;
        let mut another = None;
        for place in self.places(&receipt.payment) {
            match self.settled(&place).await? {
                Some(held) if is_of(&held) => {
                    // If it was not there any more, another call released it.
                    self.ledger.remove(&place, &held).await?;
                    another = None;
                    break;
                }
                Some(held) => another = another.or(Some(held)),
                None => {}
            }
        }
        if let Some(held) = another {
            return Err(already_redeemed(&owner_in(&held)?, &receipt.owner));
        }
        let place = self.order_key(&receipt.owner);
        if let Some(held) = self.ledger.get(&place).await?
            && payer_in(&held)?.claim.into_bytes() == receipt.number
        {
            self.ledger.remove(&place, &held).await?;
        }
        Ok(())
    }

    /// Orders are the merchant's, whichever provider is paid through; test orders are none.
    fn order_key(&self, owner: &Owner) -> Key {
        let mode = self.identity.stated_mode().as_str();
        let parts = [Some(mode), Some(&*owner.tenant), Some(&*owner.order), owner.part.as_deref()];
        self.ledger.key(Kind::Order, &Fingerprint::of("order", parts.map(|part| part.map(str::as_bytes))))
    }
}

/// A redemption that waits for another one of its payment or its order. Those of one payment look together.
struct Waiting<'w> {
    ledger: &'w Ledger,
    place: &'w Key,
    watch: Option<Watch>,
    deadline: Deadline,
}

impl Waiting<'_> {
    /// Waits for something else to be found than at the look that began then.
    async fn wait(&mut self, nonce: Nonce, begin: Instant, lease_left: Duration) -> Result<(), RedeemError> {
        let watch = self.watch.get_or_insert_with(|| self.ledger.watch(self.place));
        let mut claim = UnderWay { nonce, lease_left: lease_left.max(SOON), asked_at: begin };
        match watch.wait(&mut claim, self.deadline).await {
            Waited::Turn | Waited::Over(_) => Ok(()),
            Waited::OutOfTime(retry_after) => Err(RedeemError::InProgress { retry_after }),
        }
    }
}

fn already_redeemed(holder: &Owner, owner: &Owner) -> RedeemError {
    let by = (holder.tenant == owner.tenant).then(|| match &holder.part {
        Some(part) => format!("{}, part {part}", holder.order).into(),
        None => holder.order.clone(),
    });
    RedeemError::AlreadyRedeemed { by }
}

fn claim_of(owner: &Owner, nonce: Nonce) -> Result<Entry, LedgerError> {
    Ok(Entry { state: State::Claimed, nonce, ttl: CLAIM_TTL, lease: LEASE, payload: payload_of(owner)? })
}

fn owner_in(held: &Held) -> Result<Owner, LedgerError> {
    held.payload("holds no redemption")
}

fn payer_in(held: &Held) -> Result<Payer, LedgerError> {
    held.payload("holds no redemption")
}
