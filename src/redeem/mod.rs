//! Single use: one payment pays one order, and one order is paid by one payment.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::accessors::{partial_debug, setters};
use crate::intent::invalid_intent::Field;
use crate::intent::payment_intent::{PaymentId, checked};
use crate::payment::verdict::{Capture, Issuer, Proof, Verdict};
use crate::redaction::signature;
use crate::store::SqlTransaction;
use crate::store::sql::AnySql;
use crate::validator::Validator;

mod at_once;
mod books;
mod error;
mod home;
mod one_by_one;
mod receipt;
mod records;
mod release;
mod rules;

use home::Home;
use receipt::Owner;

pub use error::RedeemError;
pub use receipt::{InvalidReceipt, Occasion, Receipt, Redeemed, Redemption};
pub use release::{RedemptionLookup, ReleaseCall};

impl Validator {
    /// Binds the proven payment to its order, once and for all: a second order never gets it, and a second payment never
    /// pays the order.
    ///
    /// The same payment for the same order again gets the same receipt, and [`Redeemed::occasion`] says whether this call
    /// was the first: two clicks are two calls and one [`Occasion::First`]. Ship on that one only.
    ///
    /// ```
    /// # use payproof::redeem::{Occasion, RedeemError};
    /// # use payproof::{Proof, Validator};
    /// # async fn ship() {}
    /// # async fn check_out(validator: Validator, proof: Proof) -> Result<(), RedeemError> {
    /// let redeemed = validator.redeem(proof).await?;
    /// match redeemed.occasion() {
    ///     Occasion::First => ship().await,
    ///     Occasion::Repeat { age } => println!("paid {age:?} ago; look at the order's own record"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// There may be no `First` at all: after a lost reply no call is told so, and a process may end before it ships. So keep
    /// with the order whether it was shipped, and let an order that is paid and not shipped be shipped from there. A caller
    /// that got an error and asks again is told `Repeat` if the payment was bound meanwhile, and `First` if it was not.
    ///
    /// A proof older than [`proof_max_age`](crate::ValidatorBuilder::proof_max_age), or of another validator, is asked
    /// about again first.
    ///
    /// The returned [`Redeem`] does nothing until it is awaited.
    ///
    /// A store that other processes do not see is refused, and so is one that loses more than a second at a restart, or does
    /// not say: see [`only_instance`](crate::ValidatorBuilder::only_instance) and
    /// [`restart_loses_at_most`](crate::ValidatorBuilder::restart_loses_at_most).
    ///
    /// # Errors
    /// See [`RedeemError`]. After an error that leaves the outcome open, ask again: it comes to the same end.
    ///
    /// # Cancel safety
    /// Dropped, the payment may be bound or not; asking again for the same order tells, and completes it. If it was bound,
    /// no call is told `First` any more. A binding that was begun and never completed ends by itself within a minute.
    pub fn redeem(&self, proof: impl Into<Proof>) -> Redeem {
        Redeem { validator: self.clone(), proof: proof.into(), order: None, part: None }
    }

    /// Which order a payment was redeemed for, if it was. Asks the store and not the provider; but a payment that is named by an
    /// alias, as by its Checkout session, is asked for once where neither this process nor the store knows it.
    ///
    /// The returned [`RedemptionLookup`] does nothing until it is awaited, or asked [`within`](RedemptionLookup::within) a
    /// transaction.
    ///
    /// # Errors
    /// When the store does not answer, holds something unreadable, or is not seen by every process; or when the payment of an
    /// alias cannot be found out.
    pub fn redemption(&self, payment: &PaymentId) -> RedemptionLookup {
        RedemptionLookup { validator: self.clone(), payment: payment.clone() }
    }

    /// Undoes a redemption: the payment may pay another order, and another payment this order. `who` undoes it: 1 to 100
    /// characters, for the log and for the [decisions](Self::decisions) in the store.
    ///
    /// Only exactly the redemption that the receipt is of is undone. Releasing twice is no error. The returned [`ReleaseCall`]
    /// does nothing until it is awaited, or made [`within`](ReleaseCall::within) a transaction.
    ///
    /// # Errors
    /// [`RedeemError::Invalid`] when `who` is empty, [`RedeemError::AlreadyRedeemed`] when the payment has been redeemed anew since then; or when the store fails.
    ///
    /// # Cancel safety
    /// Dropped, it may be undone or not; asking again completes it.
    pub fn release(&self, receipt: &Receipt, who: &str) -> ReleaseCall {
        ReleaseCall { validator: self.clone(), receipt: receipt.clone(), who: signature(who) }
    }
}

/// A redemption that starts when it is awaited. Made by [`Validator::redeem`].
#[must_use = "a redemption does nothing until it is awaited"]
pub struct Redeem {
    /// Validates again where the proof is too old.
    validator: Validator,
    proof: Proof,
    order: Option<String>,
    part: Option<String>,
}

impl Redeem {
    setters! {
        /// The order that the payment is redeemed for, where the intent claims none. Another one than the intent claims
        /// is refused.
        pub fn order(mut self, order: impl Into<String>) => self.order = Some(order.into());

        /// Names the part of the order that this payment pays, where several pay one order (split tender). Each part is
        /// paid by one payment; that the parts make up the whole is the caller's to know. An order is paid as a whole or
        /// by parts: a payment of the whole does not keep another from paying a part.
        pub fn part(mut self, name: impl Into<String>) => self.part = Some(name.into());
    }

    /// Redeems within a transaction of yours in PostgreSQL, in one statement: payment and order belong to each other if it is
    /// committed, and if it is rolled back nothing happened. Only then the receipt counts: ship after the commit. The transaction is
    /// tokio-postgres's, or [another driver's](SqlTransaction) in a newtype.
    ///
    /// ```no_run
    /// # use payproof::{Proof, Validator};
    /// # use payproof::store::SqlTransaction;
    /// # async fn place(validator: Validator, proof: Proof, mut tx: impl SqlTransaction) -> Result<(), payproof::redeem::RedeemError> {
    /// // Validate before the transaction begins: the provider is never asked under locks.
    /// let redeemed = validator.redeem(proof).within(&mut tx).await?;
    /// // Write the order's row in the same transaction, with `redeemed.receipt()`, and commit.
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It is the same redemption as outside of a transaction: a call that is not in one finds it once it is committed, and one
    /// whose payment or order is locked by another transaction waits for 250 ms. The store has to be a `PostgresStore` in the
    /// same database; or set [`redemptions_in_transactions`](crate::ValidatorBuilder::redemptions_in_transactions).
    ///
    /// - Payment and order stay locked until the transaction ends, so end it soon, and ask no provider in it. Several payments in
    ///   one transaction: in the order of their ids, so that two transactions never wait for each other.
    /// - A savepoint that is rolled back takes what was redeemed since with it.
    /// - That a payment was redeemed is logged at once, before the commit.
    /// - The isolation may be any. Above `READ COMMITTED` a call fails with the retryable error `40001` where the payment or the order
    ///   was redeemed or released since the transaction began, even if it would only look; and a look-up that finds nothing locks
    ///   the place.
    ///
    /// # Errors
    /// As for a redemption that is awaited, but no provider is asked: an old proof is [`RedeemError::ProofTooOld`].
    /// [`InProgress`](RedeemError::InProgress) is told at once. After [`AlreadyRedeemed`](RedeemError::AlreadyRedeemed) and
    /// [`OrderAlreadyPaid`](RedeemError::OrderAlreadyPaid) the transaction may go on, and what they say holds until it ends. After
    /// [`Store`](RedeemError::Store) it is lost: roll back, and where the error is
    /// [retryable](crate::ErrorInfo::is_retryable) begin again.
    ///
    /// # Cancel safety
    /// Dropped, the statement may have run or not: roll back.
    pub fn within<T: SqlTransaction>(
        self,
        transaction: &mut T,
    ) -> impl Future<Output = Result<Redeemed, RedeemError>> + Send {
        self.run(Some(transaction))
    }

    async fn run(self, transaction: Option<&mut dyn AnySql>) -> Result<Redeemed, RedeemError> {
        let Self { validator, proof, order, part } = self;
        let account = &validator.0.account;
        let owner = owner(&proof, order.as_deref(), part.as_deref())?;
        let is_within = transaction.is_some();
        let mut home = Home::of(account, transaction).await?;
        account.watch_store();
        home.check_restart().await?;
        let proof = match (is_recent(&validator, &proof), is_within) {
            (true, _) => proof,
            (false, true) => return Err(RedeemError::ProofTooOld),
            (false, false) => validated_again(&validator, &proof).await?,
        };
        if proof.capture() == Capture::Authorized && !account.redemption.authorized {
            return Err(RedeemError::OnlyAuthorized);
        }
        if !proof.dated {
            return Err(RedeemError::CreatedUnstated);
        }
        let redeemed = home.bind(proof.payment(), &owner).await?;
        if redeemed.occasion() == Occasion::First {
            account.telemetry.redeemed(proof.payment());
        }
        Ok(redeemed)
    }
}

/// Whose the payment shall be, from the proof, and from the caller only where the proof is silent.
fn owner(proof: &Proof, order: Option<&str>, part: Option<&str>) -> Result<Owner, RedeemError> {
    let claimed = proof.intent().order();
    let order = match (claimed, order) {
        (None, None) => return Err(RedeemError::OrderMissing),
        (Some(claimed), Some(order)) if claimed != order => {
            return Err(RedeemError::OrderMismatch { claimed: claimed.into() });
        }
        (Some(order), _) | (None, Some(order)) => checked(Field::Order, order)?,
    };
    let part = part.map(|part| checked(Field::Part, part)).transpose()?;
    Ok(Owner { tenant: proof.intent().tenant().into(), order: order.into(), part: part.map(Into::into) })
}

/// Whether a proof is young enough, and this validator's: another one may have other rules.
fn is_recent(validator: &Validator, proof: &Proof) -> bool {
    validator.0.address() == proof.issuer.address() && proof.age() <= validator.0.account.redemption.proof_max_age
}

/// A new proof in the place of one that is too old.
async fn validated_again(validator: &Validator, proof: &Proof) -> Result<Proof, RedeemError> {
    let max_age = validator.0.account.redemption.proof_max_age;
    match validator.validate(proof.intent()).max_age(max_age).await?.into_verdict() {
        Verdict::Valid(proof) => Ok(proof),
        verdict => Err(RedeemError::NoLongerValid(Box::new(verdict))),
    }
}

impl IntoFuture for Redeem {
    type Output = Result<Redeemed, RedeemError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run(None))
    }
}

partial_debug!(Redeem, self => proof: self.proof, order: self.order);
