//! Single use: one payment pays one order, and one order is paid by one payment.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use crate::accessors::{partial_debug, setters};
use crate::account::{Account, Decided, DecidedOn, Deciding};
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::payment_intent::{PaymentId, checked};
use crate::payment::verdict::{Capture, Issuer, Proof, Verdict};
use crate::redaction::signature;
use crate::validator::Validator;

mod binding;
mod error;
mod receipt;

use binding::Books;
use receipt::Owner;

pub use error::RedeemError;
pub use receipt::{InvalidReceipt, Occasion, Receipt, Redeemed, Redemption};

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
    /// # Errors
    /// When the store does not answer, holds something unreadable, or is not seen by every process; or when the payment of an
    /// alias cannot be found out.
    pub fn redemption(
        &self,
        payment: &PaymentId,
    ) -> impl Future<Output = Result<Option<Redemption>, RedeemError>> + Send + use<> {
        let (lookups, payment) = (Arc::clone(&self.0), payment.clone());
        async move {
            let books = books(&lookups.account)?;
            match lookups.payment_named(&payment).await? {
                Some(payment) => Ok(books.redemption(&payment).await?),
                None => Ok(None),
            }
        }
    }

    /// Undoes a redemption: the payment may pay another order, and another payment this order. `who` undoes it: 1 to 100
    /// characters, for the log and for the [decisions](Self::decisions) in the store.
    ///
    /// Only exactly the redemption that the receipt is of is undone. Releasing twice is no error.
    ///
    /// # Errors
    /// [`RedeemError::Invalid`] when `who` is empty, [`RedeemError::AlreadyRedeemed`] when the payment has been redeemed anew since then; or when the store fails.
    ///
    /// # Cancel safety
    /// Dropped, it may be undone or not; asking again completes it.
    pub fn release(
        &self,
        receipt: &Receipt,
        who: &str,
    ) -> impl Future<Output = Result<(), RedeemError>> + Send + use<> {
        let (account, receipt, who) = (Arc::clone(&self.0.account), receipt.clone(), signature(who));
        async move {
            let who = who.ok_or(InvalidIntent::new(Field::Who, "must not be empty; say who undoes the redemption"))?;
            let books = books(&account)?;
            // Without it, there may be left to end what an earlier release began.
            if let Some(standing) = books.standing(&receipt).await? {
                let about = format!("tenant {}, order {}", receipt.tenant(), receipt.owner.order_and_part());
                let (on, subject, decided) = (DecidedOn::Redemption, receipt.payment().as_str(), Decided::Released);
                let deciding = Deciding { who: &who, on, subject, about: &about, decided };
                account.decide(deciding, books.undo(&standing), |()| false).await?;
                account.telemetry.released(receipt.payment(), &who);
            }
            Ok(books.free_order(&receipt.owner, receipt.number).await?)
        }
    }
}

/// The records of redemptions, where every process sees them.
fn books(account: &Account) -> Result<Books<'_>, RedeemError> {
    if !account.is_alone_or_shared() {
        return Err(RedeemError::StoreNotShared);
    }
    Ok(Books { ledger: &account.ledger, identity: &account.identity, retention: account.redemption.retention })
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

    async fn run(self) -> Result<Redeemed, RedeemError> {
        let Self { validator, proof, order, part } = self;
        let account = &validator.0.account;
        let owner = owner(&proof, order.as_deref(), part.as_deref())?;
        let books = books(account)?;
        account.watch_store();
        books.check_restart().await?;
        let proof = recent(&validator, proof).await?;
        if proof.capture() == Capture::Authorized && !account.redemption.authorized {
            return Err(RedeemError::OnlyAuthorized);
        }
        if !proof.dated {
            return Err(RedeemError::CreatedUnstated);
        }
        let redeemed = books.bind(proof.payment(), owner).await?;
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

/// The proof, or a new one where this one is too old, or another validator's: that may have other rules.
async fn recent(validator: &Validator, proof: Proof) -> Result<Proof, RedeemError> {
    let max_age = validator.0.account.redemption.proof_max_age;
    if validator.0.address() == proof.issuer.address() && proof.age() <= max_age {
        return Ok(proof);
    }
    match validator.validate(proof.intent()).max_age(max_age).await?.into_verdict() {
        Verdict::Valid(proof) => Ok(proof),
        verdict => Err(RedeemError::NoLongerValid(Box::new(verdict))),
    }
}

impl IntoFuture for Redeem {
    type Output = Result<Redeemed, RedeemError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

partial_debug!(Redeem, self => proof: self.proof, order: self.order);
