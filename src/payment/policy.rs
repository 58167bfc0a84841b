//! What is accepted as paid, how a payment proves whose it is, and what is answered when the provider cannot be asked.

use std::time::Duration;

use crate::accessors::setters;
use crate::payment::dispute::Dispute;
use crate::payment::facts::{ProviderPayment, Risk};

/// What counts as paid. The default accepts only what is captured in full, unrefunded and undisputed.
///
/// | setting | default |
/// |---|---|
/// | amounts compared | exact: what was asked for and what was received are what is claimed |
/// | authorizations | not accepted: they are pending |
/// | refunded payments | not accepted, not even in part |
/// | disputed payments | not accepted, unless the dispute was won |
/// | payments reported as fraud | not accepted |
/// | maximum age | none |
/// | bank debits that succeeded | not held |
/// | accepted risk | up to elevated; a payment under review is refused |
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Policy {
    pub(crate) amounts: Amounts,
    pub(crate) authorized: bool,
    pub(crate) partly_refunded: bool,
    /// The worst dispute that is accepted.
    pub(crate) dispute: Dispute,
    pub(crate) reported_fraud: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) hold_debits: Option<Duration>,
    pub(crate) risk: Risk,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            amounts: Amounts::Exact,
            authorized: false,
            partly_refunded: false,
            dispute: Dispute::Won,
            reported_fraud: false,
            max_age: None,
            hold_debits: None,
            risk: Risk::Elevated,
        }
    }
}

impl Policy {
    /// Captured in full only; the same as `default`.
    pub fn captured_only() -> Self {
        Self::default()
    }

    setters! {
        /// Which amounts are compared with the claim; all of them, exactly, unless set.
        pub fn compare_amounts(mut self, amounts: Amounts) => self.amounts = amounts;

        /// Accepts a payment that is authorized in full and still capturable, too.
        ///
        /// Authorized is not paid: capture before shipping, or ship at your own risk.
        pub fn accept_authorized(mut self) => self.authorized = true;

        /// Accepts a payment that was refunded in part. One refunded in full is never accepted.
        ///
        /// What is compared with the claim stays what was asked for and received, before refunds.
        pub fn accept_partly_refunded(mut self) => self.partly_refunded = true;

        /// Accepts a payment about which the shopper's bank asks, as long as no money was taken back.
        pub fn accept_inquiries(mut self) => self.dispute = self.dispute.max(Dispute::Inquiry);

        /// Accepts a payment that is disputed, too, as long as the dispute may still be won. One that was lost is never
        /// accepted, nor one of which the provider does not say how it stands.
        pub fn accept_disputed(mut self) => self.dispute = self.dispute.max(Dispute::Open);

        /// Accepts a payment that was reported as fraud.
        pub fn accept_reported_fraud(mut self) => self.reported_fraud = true;

        /// Refuses payments created longer ago than this, by the provider's clock. A payment without a known time of
        /// creation is then unproven. One created more than five minutes after the answer that tells of it is refused
        /// under any policy.
        pub fn max_age(mut self, age: Duration) => self.max_age = Some(age);

        /// Holds a bank debit that succeeded for this long since the shopper paid: until then it is pending. Off unless set.
        ///
        /// A debit by ACH, SEPA, Bacs, BECS or ACSS succeeds, and can fail or be objected to weeks later; what can be taken
        /// back, or is sent at once, may be worth a wait. Which payments are debits is told by
        /// [`Proof::method`](crate::Proof::method), and the first one that is not held is warned of, once per validator. While
        /// this is set, a payment whose method the provider does not state is invalid.
        pub fn hold_debits(mut self, hold: Duration) => self.hold_debits = Some(hold);

        /// The highest risk rating that is accepted.
        pub fn accept_risk_up_to(mut self, risk: Risk) => self.risk = risk;
    }
}

/// Which of a payment's amounts have to be what is claimed.
///
/// | amounts | what has to be equal |
/// |---|---|
/// | `Exact` | asked for, received and claimed |
/// | `Received` | received and claimed; of an accepted authorization, what can be captured and claimed |
/// | `NetOf…` | asked for and received; and, less what they include of that name, claimed |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Amounts {
    /// What was asked for and what was received. The default.
    #[default]
    Exact,
    /// What was received, however much was asked for: for shops that capture less, or more, than they had authorized.
    ///
    /// An accepted authorization for less than is claimed is refused. One for more is pending, since a part can be captured.
    Received,
    /// What was asked for less the tip in it.
    NetOfTip,
    /// What was asked for less the surcharge in it.
    NetOfSurcharge,
    /// What was asked for less the tip and the surcharge in it.
    NetOfTipAndSurcharge,
}

impl Amounts {
    /// Whether the provider stated what is to be taken off.
    pub(crate) fn are_stated(self, facts: &ProviderPayment) -> bool {
        match self {
            Self::Exact | Self::Received => true,
            Self::NetOfTip => facts.tip.is_some(),
            Self::NetOfSurcharge => facts.surcharge.is_some(),
            Self::NetOfTipAndSurcharge => facts.tip.is_some() && facts.surcharge.is_some(),
        }
    }
}

/// What to answer when the provider cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenProviderIsDown {
    /// An error. The default.
    #[default]
    Refuse,
    /// A verdict on facts in memory or in the shared store, up to this long after the provider stated them, marked
    /// [`Degraded`](crate::Provenance::Degraded). A refund or dispute since then is not seen.
    ///
    /// Down means: no answer, a server error, a rate limit, an open breaker, a validator at capacity, and also a caller's own
    /// deadline that passes first. An answer that cannot be read, a refusal, or a failure in words that no rule knows is an error all the same.
    ServeStale {
        /// The oldest facts that are served; at most the retention.
        up_to: Duration,
    },
}

/// What may be redeemed, and for how long that is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RedemptionRules {
    pub(crate) retention: Duration,
    pub(crate) proof_max_age: Duration,
    pub(crate) authorized: bool,
    /// Whether they stand in the database of the orders, and are made in its transactions alone.
    pub(crate) in_transactions: bool,
}

/// How a payment proves which tenant it belongs to.
///
/// Of a payment that does not prove it, a verdict tells that and nothing else: neither amount, order nor status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TenantProof {
    /// A metadata key holds the tenant. The default, with the key `store_id`.
    Metadata(Box<str>),
    /// The tenant is the account the payment was made on (Stripe Connect: `Stripe-Account`).
    Account,
    /// The tenant is the account the money is passed on to (Stripe Connect: `transfer_data.destination`).
    Destination,
    /// The provider account serves one tenant only, so its payments need not name one. One that does is still compared,
    /// under the key `store_id`.
    SingleTenant,
}

/// The metadata key that names the tenant unless another is configured.
pub(crate) const TENANT_KEY: &str = "store_id";

impl TenantProof {
    /// A metadata key that holds the tenant.
    #[must_use]
    pub fn metadata(key: impl Into<Box<str>>) -> Self {
        Self::Metadata(key.into())
    }

    /// The tenant that facts state where this looks, if they state one; of a single tenant they need not.
    #[cfg(feature = "reconcile")]
    pub(crate) fn stated<'f>(&'f self, facts: &'f ProviderPayment) -> Option<&'f str> {
        match self {
            Self::Metadata(key) => facts.metadata(key),
            Self::Account => facts.account.as_deref(),
            Self::Destination => facts.destination.as_deref(),
            Self::SingleTenant => None,
        }
    }

    /// The metadata key that may name a tenant, proven by it or not.
    pub(crate) fn metadata_key(&self) -> &str {
        match self {
            Self::Metadata(key) => key,
            _ => TENANT_KEY,
        }
    }
}

impl Default for TenantProof {
    fn default() -> Self {
        Self::metadata(TENANT_KEY)
    }
}
