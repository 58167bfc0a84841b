//! The two records of a binding, in a database that changes both at once: by the store, or within a transaction of the caller's.
//!
//! Both are written settled in one statement, or neither is. What stands in the way is judged here, and the statement is sent
//! again with what may be written over:
//!
//! | what is found | what follows |
//! |---|---|
//! | the payment is used | the answer: its receipt, or that it pays another order |
//! | a claim of the payment under way, as by a process that writes one record at a time | waited for; within a transaction it is in progress |
//! | a claim whose lease is over, or one made void | written over |
//! | the order is paid, and the payment that pays it bears it out | the answer |
//! | the order names a payment that does not bear it out | its record is written over |
//! | the order names a payment whose claim is over without a word | that claim is removed by the same statement, so that it cannot be settled |
//!
//! Within a transaction each record that an answer comes from stays as it is until the transaction ends.

use std::time::Duration;

use crate::call::deadline::Deadline;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::{Contents, Held, Key, LedgerError, Nonce, PairLedger, PairRecord, PairRecords, PairWritten, State};

use super::books::Books;
use super::error::RedeemError;
use super::one_by_one::SOON;
use super::receipt::{Occasion, Owner, Redeemed};
use super::records::{Payer, payer_in};
use super::rules::{Hold, redeemed, used};

/// Each time another call must have been faster; past this many something is wrong.
const MOST_ROUNDS: u32 = 1_000;

/// What is written over: what stood there when it was looked at, and does not count.
#[derive(Default)]
struct WrittenOver {
    payment: Option<Held>,
    order: Option<Held>,
    lapsed: Option<(Key, Held)>,
}

/// What follows from what stands in the way.
enum Next {
    Again,
    Answer(Box<Redeemed>),
    Wait(Duration),
}

impl Books<'_> {
    /// Binds a payment to its owner. `claim` is its number where it is bound elsewhere, too.
    pub(super) async fn bind(
        &self,
        records: &mut PairLedger<'_>,
        payment: &PaymentId,
        owner: &Owner,
        claim: Option<Nonce>,
        deadline: Deadline,
    ) -> Result<Redeemed, RedeemError> {
        let digest = self.identity.redemption(payment);
        let (place, order, former) = (self.payment_key(&digest), self.order_key(owner), self.former_keys(payment));
        let nonce = claim.map_or_else(Nonce::draw, Ok)?;
        let payer = Payer { record: *digest.as_bytes(), payment: payment.as_str().into(), claim: nonce };
        let contents = |ttl, payload| Contents { state: State::Settled, ttl, lease: Duration::ZERO, payload };
        let paid = contents(self.retention, place.payload_of(owner)?);
        let paid_by = contents(self.order_ttl(), order.payload_of(&payer)?);
        let (mut over, mut poll) = (WrittenOver::default(), self.ledger.poll());
        for _ in 0..MOST_ROUNDS {
            let both = PairRecords {
                nonce,
                payment: PairRecord { key: &place, over: over.payment.as_ref(), contents: paid.clone() },
                former: &former,
                lapsed: over.lapsed.as_ref(),
                order: PairRecord { key: &order, over: over.order.as_ref(), contents: paid_by.clone() },
            };
            let next = match records.write_pair(both).await? {
                PairWritten::Done => return Ok(redeemed(payment, owner, nonce, Occasion::First)),
                PairWritten::OneByOne => return self.bind_one_by_one(payment, owner, deadline).await,
                PairWritten::OtherTable => return Err(RedeemError::OtherDatabase),
                PairWritten::Payment(found) => {
                    let next = match &found {
                        Some(found) => of_payment(payment, owner, found)?,
                        None => Next::Again,
                    };
                    over.payment = found;
                    next
                }
                PairWritten::Former => self.of_former(records, payment, owner, &former).await?,
                PairWritten::Lapsed => {
                    (over.order, over.lapsed) = (None, None);
                    Next::Again
                }
                PairWritten::Order(found) => self.of_order(records, owner, &payer, found, &mut over).await?,
            };
            match next {
                Next::Again => {}
                Next::Answer(redeemed) => return Ok(*redeemed),
                Next::Wait(lease_left) => {
                    if records.is_within() || !poll.wait(lease_left.max(SOON), deadline).await {
                        return Err(RedeemError::InProgress { retry_after: lease_left });
                    }
                    over = WrittenOver::default();
                }
            }
        }
        Err(LedgerError::Contended.into())
    }

    /// What follows from records at former places. Those that do not count are removed.
    async fn of_former(
        &self,
        records: &mut PairLedger<'_>,
        payment: &PaymentId,
        owner: &Owner,
        former: &[Key],
    ) -> Result<Next, RedeemError> {
        for (place, found) in records.get_many(former).await? {
            match of_payment(payment, owner, &found)? {
                Next::Again => records.remove(&place, &found).await?,
                next => return Ok(next),
            }
        }
        Ok(Next::Again)
    }

    /// What follows from what stands at the order's place.
    async fn of_order(
        &self,
        records: &mut PairLedger<'_>,
        owner: &Owner,
        payer: &Payer,
        found: Option<Held>,
        over: &mut WrittenOver,
    ) -> Result<Next, RedeemError> {
        (over.order, over.lapsed) = (None, None);
        let Some(found) = found else { return Ok(Next::Again) };
        let holder = payer_in(&found)?;
        over.order = Some(found);
        // Of the payment itself it is another claim, and this call holds the payment's place.
        if holder.record == payer.record {
            return Ok(Next::Again);
        }
        let place = self.payment_key(&Fingerprint::from_bytes(holder.record));
        let Some(holding) = records.get(&place).await? else { return Ok(Next::Again) };
        match Hold::of_payer(&holding, owner)? {
            Hold::Settled => Err(RedeemError::OrderAlreadyPaid { by: PaymentId::parse(&holder.payment)? }),
            Hold::UnderWay(lease_left) => Ok(Next::Wait(lease_left)),
            Hold::Lapsed => {
                over.lapsed = Some((place, holding));
                Ok(Next::Again)
            }
            Hold::Void => Ok(Next::Again),
        }
    }
}

/// What follows from a record of the payment itself: again, where it does not count.
fn of_payment(payment: &PaymentId, owner: &Owner, found: &Held) -> Result<Next, RedeemError> {
    Ok(match Hold::of(found) {
        Hold::Settled => Next::Answer(Box::new(used(payment, owner, found)?)),
        Hold::UnderWay(lease_left) => Next::Wait(lease_left),
        Hold::Lapsed | Hold::Void => Next::Again,
    })
}
