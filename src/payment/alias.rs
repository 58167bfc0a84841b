//! What an alias of a payment states by itself, and the payment that it stands for.

use serde::{Deserialize, Serialize};

use crate::accessors::{named, partial_debug, setters};
use crate::intent::currency::Currency;
use crate::intent::payment_intent::PaymentId;
use crate::moment::Moment;

named! {
    /// How far an alias of a payment has come.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum AliasState {
        /// The shopper is still at it, or the provider does not say. What the alias states may change.
        Open = "open",
        /// The shopper is done, and its payment will stay the same. That does not say that it is paid.
        Complete = "complete",
        /// It ended before the shopper was done.
        Expired = "expired",
        /// It starts a subscription, whose invoices have a payment each.
        Subscription = "subscription",
        /// It saves a way to pay, and moves no money.
        Setup = "setup",
        /// The shopper is done, and there was nothing to pay.
        NoPaymentRequired = "no_payment_required",
    } as_str(self: Self)
}

/// An alias of a payment: an object of the provider's that stands for one payment and makes claims of its own, as a Checkout
/// session of Stripe's does.
///
/// Adapters that [declare](crate::provider::Provider::is_alias) aliases hand it over beside the payment's facts, with
/// [`ProviderPayment::with_alias`](crate::ProviderPayment::with_alias).
///
/// ```
/// use payproof::{AliasState, Currency, PaymentAlias, PaymentStatus, ProviderPayment};
///
/// let session = PaymentAlias::new(AliasState::Complete).with_amount(1999, Currency::USD).with_metadata("order_id", "6735");
/// let facts = ProviderPayment::new("pi_1", PaymentStatus::Paid).with_alias(session);
/// # assert_eq!(facts.id(), "pi_1");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAlias {
    pub(crate) state: AliasState,
    /// The readings of its amount, of which one has to be the payment's.
    pub(crate) amounts: Vec<(u64, Currency)>,
    pub(crate) metadata: Vec<(Box<str>, Box<str>)>,
    pub(crate) reference: Option<Box<str>>,
}

impl PaymentAlias {
    /// An alias that states nothing but how far it has come.
    #[must_use]
    pub fn new(state: AliasState) -> Self {
        Self { state, amounts: Vec::new(), metadata: Vec::new(), reference: None }
    }

    setters! {
        /// The amount that it states, in minor units, which has to be the payment's. Where it states several readings of one
        /// amount, as before and after a conversion, the payment's has to be one of them.
        pub fn with_amount(mut self, minor: u64, currency: Currency) => self.amounts.push((minor, currency));

        /// One entry of the merchant's own metadata on the alias.
        pub fn with_metadata(mut self, key: impl Into<Box<str>>, value: impl Into<Box<str>>) =>
            self.metadata.push((key.into(), value.into()));

        /// What the merchant's server wrote as a reference when it made the alias; see
        /// [`order_by_client_reference`](crate::ValidatorBuilder::order_by_client_reference). Leave out what a shopper can
        /// set.
        pub fn with_reference(mut self, reference: impl Into<Box<str>>) => self.reference = Some(reference.into());
    }
}

// Shows neither metadata nor the reference.
partial_debug!(PaymentAlias, self => state: self.state, amounts: self.amounts);

/// An alias as the provider stated it, and the payment that it stands for.
#[derive(Debug)]
pub(crate) struct ResolvedAlias {
    /// The alias's own id where there is no payment yet.
    pub(crate) payment: PaymentId,
    pub(crate) states: PaymentAlias,
    /// When the provider was asked for it. No facts from before are believed of it.
    pub(crate) asked_at: Moment,
}

impl ResolvedAlias {
    /// Whether it will stand for this payment for good.
    pub(crate) fn is_complete(&self, alias: &PaymentId) -> bool {
        self.states.state == AliasState::Complete && self.payment != *alias
    }
}
