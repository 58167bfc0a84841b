//! The answer to "is this payment good for this order?".

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::{getters, named, partial_debug};
use crate::intent::fingerprint::Fingerprint;
use crate::intent::money::Money;
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::payment::facts::{PaymentStatus, ProviderPayment};
use crate::payment::method::PaymentMethod;
use crate::payment::waiting::Waiting;

mod amounts;
mod finding;
mod findings;
mod mismatch;

pub use amounts::{NetAmount, RefundedAmounts};
pub use finding::{Fact, Finding};
pub use findings::Findings;
pub use mismatch::Mismatch;

named! {
    /// What the provider's facts say about an intent.
    ///
    /// Closed on purpose: a checkout must handle all four. Not finding out is an error, never a verdict.
    #[derive(Clone, Debug)]
    pub enum Verdict {
        /// Real, ours, and paid in full.
        Valid(Proof) = "valid",
        /// Not decided yet; ask again later.
        Pending(Pending) = "pending",
        /// The shopper must do something first, such as 3-D Secure.
        ActionRequired(ActionRequired) = "action_required",
        /// Not good for this order; every mismatch is listed. Of a payment that is not proven to be the tenant's, that is the
        /// only finding.
        Invalid(Findings) = "invalid",
    } as_str(self: &Self)
}

impl Verdict {
    /// Whether the verdict is `Valid`.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}

/// How far the money of a valid payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capture {
    /// The money was captured.
    Captured,
    /// The money is held and can still be captured in full. Authorized is not paid.
    Authorized,
}

impl Capture {
    pub(crate) fn of<T>(facts: &ProviderPayment<T>) -> Self {
        if facts.status == PaymentStatus::Authorized { Self::Authorized } else { Self::Captured }
    }
}

/// The validator behind a proof.
pub(crate) trait Issuer: Send + Sync {
    /// What stands for a payment wherever it is redeemed.
    fn redemption(&self, payment: &PaymentId) -> Fingerprint;

    /// Where it lies, by which it is told from other validators for as long as a proof holds it.
    fn address(&self) -> *const ();

    /// The payment that was proven, where the intent names it by an alias.
    fn resolved(&self) -> Option<&PaymentId> {
        None
    }
}

/// The validator behind a proof by an alias, and the payment that the alias stands for. So proofs of others are no larger.
pub(super) struct OfAlias {
    pub(super) issuer: Arc<dyn Issuer>,
    pub(super) payment: PaymentId,
}

impl Issuer for OfAlias {
    fn redemption(&self, payment: &PaymentId) -> Fingerprint {
        self.issuer.redemption(payment)
    }

    fn address(&self) -> *const () {
        self.issuer.address()
    }

    fn resolved(&self) -> Option<&PaymentId> {
        Some(&self.payment)
    }
}

/// Says that a payment matched every claim when the provider last answered. Only the judge makes one.
#[derive(Clone)]
pub struct Proof {
    pub(crate) intent: PaymentIntent,
    pub(crate) issuer: Arc<dyn Issuer>,
    pub(crate) capture: Capture,
    pub(crate) method: PaymentMethod,
    /// Whether it is known how old the payment is.
    pub(crate) dated: bool,
    /// How old the facts were at `seen_at`: one subtraction less on the way to the caller than the moment of the answer.
    pub(crate) age: Duration,
    pub(crate) seen_at: Instant,
}

impl Proof {
    getters! {
        /// The intent that was proven.
        pub fn intent(&self) -> &PaymentIntent => &self.intent;

        /// The id of the payment that was proven. It is the intent's, unless that names the payment by an alias, as by its
        /// Checkout session: then it is that of the payment.
        pub fn payment(&self) -> &PaymentId => self.issuer.resolved().unwrap_or_else(|| self.intent.payment());

        /// The amount and currency that were proven.
        pub fn money(&self) -> Money => self.intent.money();

        /// Whether the money is captured or only authorized.
        pub fn capture(&self) -> Capture => self.capture;

        /// How the payment was made. A [bank debit](PaymentMethod::BankDebit) can still come back; see
        /// [`Policy::hold_debits`](crate::Policy::hold_debits).
        pub fn method(&self) -> PaymentMethod => self.method;

        /// A text of 43 characters that is the same for every use of this payment, whatever the tenant or order: for a
        /// UNIQUE column, in the transaction that creates the order. It names neither the payment nor the account.
        ///
        /// It is a digest of the place where [`redeem`](crate::Validator::redeem) records the payment. Where the
        /// provider's ids are [globally unique](crate::provider::ProviderIdentity::globally_unique_ids), as Stripe's
        /// are, that is provider, mode and id: no key, label or way to the account changes it. Elsewhere it contains
        /// the account's name, and naming the account differently changes the text: a row from before then no longer
        /// stands in the way, and only `redeem`, which reads the former place too, does. Write the rows anew in that
        /// case, or keep the name.
        pub fn redemption_key(&self) -> String => self.issuer.redemption(self.payment()).to_text();

        /// How long ago the provider answered.
        pub fn age(&self) -> Duration => self.age.saturating_add(self.seen_at.elapsed());
    }
}

impl From<&Self> for Proof {
    fn from(proof: &Self) -> Self {
        proof.clone()
    }
}

partial_debug!(Proof, self => intent: self.intent, capture: self.capture);

/// A payment that is not decided yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub(crate) status: PaymentStatus,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) waiting: Box<Waiting>,
}

impl Pending {
    getters! {
        /// Where the payment stands; an unknown status keeps the provider's word.
        pub fn status(&self) -> &PaymentStatus => &self.status;

        /// Why, in the provider's or its adapter's code, where there is one: `latest_charge_missing` of a payment that
        /// succeeded at Stripe a moment ago.
        pub fn reason(&self) -> Option<&str> => self.reason.as_deref();

        /// What it waits for, and until when.
        pub fn waiting(&self) -> &Waiting => &self.waiting;

        /// How long to wait before asking again, see [`Waiting::poll_after`]. Asking sooner is answered from memory for two
        /// seconds, and then by the provider.
        pub fn poll_after(&self) -> Duration => self.waiting.poll_after;
    }
}

/// A payment that waits for the shopper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequired {
    pub(crate) reason: Option<Box<str>>,
    pub(crate) waiting: Box<Waiting>,
}

impl ActionRequired {
    getters! {
        /// What is missing, in the provider's word: `requires_action`, `requires_payment_method` and so on.
        pub fn reason(&self) -> Option<&str> => self.reason.as_deref();

        /// What it waits for, and until when.
        pub fn waiting(&self) -> &Waiting => &self.waiting;

        /// How long to wait before asking again, see [`Waiting::poll_after`].
        pub fn poll_after(&self) -> Duration => self.waiting.poll_after;
    }
}

named! {
    /// Where the facts behind a verdict came from.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Provenance {
        /// The provider was asked for this call.
        Fresh = "fresh",
        /// Recent facts, from memory or from the shared store.
        Replayed = "replayed",
        /// Another call, in this process or another, was already asking about the same payment.
        Coalesced = "coalesced",
        /// Something was missing on the way: see [`Validation::degraded`](crate::Validation::degraded).
        Degraded = "degraded",
    } as_str(self: Self)
}

named! {
    /// What was missing on the way to an answer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Degradation {
        /// The provider could not be asked, and older facts were served, as configured.
        ProviderDown = "provider_down",
        /// The shared store did not answer, so the provider was asked without it: other processes may be asking too, and an
        /// idempotency key was compared in this process only.
        StoreDown = "store_down",
        /// The provider was asked, and its answer could not be recorded: the store failed, or the lease was over and another
        /// process had taken over, or the payment was forgotten meanwhile. The answer itself is as good as any.
        NotRecorded = "not_recorded",
    } as_str(self: Self)
}
