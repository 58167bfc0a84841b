//! Looking a redemption up, and undoing it.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::accessors::partial_debug;
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::payment_intent::PaymentId;
use crate::store::SqlTransaction;
use crate::store::sql::AnySql;
use crate::validator::Validator;

use super::error::RedeemError;
use super::home::{self, Home};
use super::receipt::{Receipt, Redemption};

/// A look at what a payment was redeemed for, which starts when it is awaited. Made by [`Validator::redemption`].
#[must_use = "nothing is looked up until it is awaited"]
pub struct RedemptionLookup {
    pub(super) validator: Validator,
    pub(super) payment: PaymentId,
}

impl RedemptionLookup {
    /// Looks within a transaction of yours: what it finds stays as it is until the transaction ends.
    ///
    /// # Errors
    /// As outside of one, and where the transaction [does not reach](super::Redeem::within) redemptions. No provider is asked: of
    /// an alias whose payment is not known, that is told.
    pub fn within<T: SqlTransaction>(
        self,
        transaction: &mut T,
    ) -> impl Future<Output = Result<Option<Redemption>, RedeemError>> + Send {
        self.run(Some(transaction))
    }

    async fn run(self, transaction: Option<&mut dyn AnySql>) -> Result<Option<Redemption>, RedeemError> {
        let (lookups, is_within) = (&self.validator.0, transaction.is_some());
        let mut home = Home::of(&lookups.account, transaction).await?;
        let payment = if is_within {
            let rule = "must not be an alias whose payment is unknown; look it up before the transaction";
            Some(lookups.payment_known(&self.payment).await?.ok_or(InvalidIntent::new(Field::PaymentId, rule))?)
        } else {
            lookups.payment_named(&self.payment).await?
        };
        match payment {
            Some(payment) => home.redemption(&payment).await,
            None => Ok(None),
        }
    }
}

impl IntoFuture for RedemptionLookup {
    type Output = Result<Option<Redemption>, RedeemError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run(None))
    }
}

partial_debug!(RedemptionLookup, self => payment: self.payment);

/// A release that starts when it is awaited. Made by [`Validator::release`].
#[must_use = "nothing is released until it is awaited"]
pub struct ReleaseCall {
    pub(super) validator: Validator,
    pub(super) receipt: Receipt,
    /// Who undoes it; none where no name is left of it.
    pub(super) who: Option<Box<str>>,
}

impl ReleaseCall {
    /// Undoes the redemption within a transaction of yours: it is undone if that is committed, and stands if it is rolled back.
    ///
    /// That it was decided is recorded in the store at once, and stays recorded where the transaction is rolled back.
    ///
    /// # Errors
    /// As outside of one, and where the transaction [does not reach](super::Redeem::within) redemptions.
    ///
    /// # Cancel safety
    /// Dropped, the statement may have run or not: roll back.
    pub fn within<T: SqlTransaction>(
        self,
        transaction: &mut T,
    ) -> impl Future<Output = Result<(), RedeemError>> + Send {
        self.run(Some(transaction))
    }

    async fn run(self, transaction: Option<&mut dyn AnySql>) -> Result<(), RedeemError> {
        let Self { validator, receipt, who } = self;
        let account = &validator.0.account;
        let who = who.ok_or(InvalidIntent::new(Field::Who, "must not be empty; say who undoes the redemption"))?;
        home::release(account, transaction, &receipt, &who).await
    }
}

impl IntoFuture for ReleaseCall {
    type Output = Result<(), RedeemError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run(None))
    }
}

partial_debug!(ReleaseCall, self => receipt: self.receipt, who: self.who);
