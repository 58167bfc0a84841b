//! What a provider said about one payment, normalized.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::accessors::{display_as_str, getters, named, partial_debug, setters};
use crate::intent::currency::Currency;
use crate::payment::alias::PaymentAlias;
use crate::payment::dispute::Dispute;
use crate::payment::metadata::stated_under;
use crate::payment::method::PaymentMethod;
use crate::payment::request_ids::RequestIds;
use crate::payment::waits_for::WaitsFor;
use crate::redaction::presentable;

/// A provider's codes and statuses are words, not texts.
const MAX_WORD: usize = 100;

named! {
    /// Whether real money moves.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub enum Mode {
        /// Real money.
        #[default]
        Live = "live",
        /// Test payments, which pay for nothing.
        Test = "test",
    } as_str(self: Self)
}

display_as_str!(Mode);

/// Where a payment stands, in words that fit every provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PaymentStatus {
    /// Paid; how much was received is a separate fact.
    Paid,
    /// Authorized, and not captured yet.
    Authorized,
    /// Under way; the provider will know later.
    Processing,
    /// The shopper must do something first.
    ActionRequired,
    /// The payment method was declined.
    Declined,
    /// Canceled, for good.
    Canceled,
    /// The provider knows no such payment, for this account and mode.
    NotFound,
    /// A status this crate does not know, as the provider wrote it. Never valid.
    Unknown(Box<str>),
}

impl PaymentStatus {
    /// A stable name; for an unknown status, the provider's own.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Paid => "paid",
            Self::Authorized => "authorized",
            Self::Processing => "processing",
            Self::ActionRequired => "action_required",
            Self::Declined => "declined",
            Self::Canceled => "canceled",
            Self::NotFound => "not_found",
            Self::Unknown(raw) => raw,
        }
    }

    /// Whether money was taken or is held, so that a verdict rests on what became of it.
    pub(crate) const fn rests_on_money(&self) -> bool {
        matches!(self, Self::Paid | Self::Authorized)
    }
}

named! {
    /// How risky the provider rates a payment, in rising order.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum Risk {
        /// Rated normal.
        Normal = "normal",
        /// The provider does not rate this payment.
        #[default]
        NotAssessed = "not_assessed",
        /// Rated above normal.
        Elevated = "elevated",
        /// A person at the merchant should look first.
        Review = "review",
        /// Rated as probable fraud.
        Highest = "highest",
        /// Blocked by the provider or the issuer.
        Blocked = "blocked",
    } as_str(self: Self)
}

named! {
    /// What a provider that knows no such payment says of where it may be.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum NotFoundHint {
        /// Nothing.
        #[default]
        Unsaid = "unsaid",
        /// A payment of this id is in the other mode: the key is of live mode and it is a test payment, or the other way round.
        OtherMode = "other_mode",
        /// A payment of this id is in another account.
        OtherAccount = "other_account",
    } as_str(self: Self)
}

/// The facts of one payment, as its provider stated them.
///
/// Amounts are in the provider's minor units. A fact that was not stated stays unknown, and what an intent claims about
/// it is then unproven; what was received and what was refunded must be stated for a payment to be valid. Disputes,
/// reports of fraud, reversals and risk count as absent unless stated: an adapter has to state them where its provider knows them.
///
/// `T` is how texts are held. What a provider states owns its texts; facts in memory are judged with texts that are borrowed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderPayment<T = Box<str>> {
    pub(crate) id: T,
    pub(crate) status: PaymentStatus,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) mode: Option<Mode>,
    pub(crate) currency: Option<Currency>,
    pub(crate) amount: Option<u64>,
    pub(crate) amount_received: Option<u64>,
    pub(crate) amount_capturable: u64,
    pub(crate) amount_refunded: Option<u64>,
    pub(crate) captured: Option<bool>,
    pub(crate) dispute: Dispute,
    /// Whether fraud was reported; `None` where the facts are of a release that did not ask.
    pub(crate) fraud: Option<bool>,
    pub(crate) reversed: bool,
    pub(crate) risk: Risk,
    pub(crate) customer: Option<T>,
    pub(crate) account: Option<T>,
    pub(crate) destination: Option<T>,
    pub(crate) metadata: Vec<(T, T)>,
    pub(crate) created: Option<u64>,
    pub(crate) capture_before: Option<u64>,
    pub(crate) as_of: Option<u64>,
    pub(crate) tip: Option<u64>,
    pub(crate) surcharge: Option<u64>,
    pub(crate) not_found_hint: NotFoundHint,
    pub(crate) refunds_pending: Option<u64>,
    pub(crate) refunds_failed: Option<u64>,
    pub(crate) method: PaymentMethod,
    pub(crate) paid_at: Option<u64>,
    pub(crate) waits_for: Option<WaitsFor>,
    pub(crate) waits_until: Option<u64>,
    pub(crate) remaining: Option<u64>,
    /// Not a fact about the payment, so it is not kept with the facts.
    #[serde(skip)]
    pub(crate) request_ids: RequestIds,
    /// Whether the provider has still to write down what a verdict needs, so that it is worth asking again at once.
    #[serde(skip)]
    pub(crate) not_ready: bool,
    /// What the credential may not read, where that was noticed just now.
    #[serde(skip)]
    pub(crate) missing_right: Option<&'static str>,
    /// Kept among the metadata where it is configured to prove the order.
    #[serde(skip)]
    pub(crate) order_reference: Option<Box<str>>,
    /// What the alias states by which it was asked for. It is no fact about the payment, so it is kept by itself.
    #[serde(skip)]
    pub(crate) alias: Option<Box<PaymentAlias>>,
}

impl ProviderPayment {
    /// Starts the facts of the payment with this id.
    #[must_use]
    pub fn new(id: impl Into<Box<str>>, status: PaymentStatus) -> Self {
        let status = match status {
            PaymentStatus::Unknown(raw) => PaymentStatus::Unknown(presentable(&raw, MAX_WORD)),
            known => known,
        };
        Self {
            id: id.into(),
            status,
            reason: None,
            mode: None,
            currency: None,
            amount: None,
            amount_received: None,
            amount_capturable: 0,
            amount_refunded: None,
            captured: None,
            dispute: Dispute::None,
            fraud: Some(false),
            reversed: false,
            risk: Risk::default(),
            customer: None,
            account: None,
            destination: None,
            metadata: Vec::new(),
            created: None,
            capture_before: None,
            as_of: None,
            tip: None,
            surcharge: None,
            not_found_hint: NotFoundHint::Unsaid,
            refunds_pending: None,
            refunds_failed: None,
            method: PaymentMethod::Unstated,
            paid_at: None,
            waits_for: None,
            waits_until: None,
            remaining: None,
            request_ids: RequestIds::default(),
            not_ready: false,
            missing_right: None,
            order_reference: None,
            alias: None,
        }
    }

    /// States that the provider knows no such payment.
    #[must_use]
    pub fn not_found(id: impl Into<Box<str>>) -> Self {
        Self::new(id, PaymentStatus::NotFound)
    }

    /// States that the provider calls the payment paid or authorized, and has still to write down what a verdict needs, as
    /// happens within seconds of that; with the reason in a word.
    ///
    /// The payment is processing then. It is asked for again after 1, 2 and 4 s, at no cost for the retry budget, and if
    /// that does not help, this is the answer.
    #[must_use]
    pub fn not_ready(self, reason: impl AsRef<str>) -> Self {
        let waits_for = Some(WaitsFor::Records);
        Self { status: PaymentStatus::Processing, waits_for, not_ready: true, ..self.with_reason(reason) }
    }

    setters! {
        /// Why it was declined or canceled, or what it waits for, in the provider's code.
        pub fn with_reason(mut self, reason: impl AsRef<str>) =>
            self.reason = Some(presentable(reason.as_ref(), MAX_WORD));

        /// Where a payment that was not found may be; unsaid unless stated.
        pub fn with_not_found_hint(mut self, hint: NotFoundHint) => self.not_found_hint = hint;

        /// Whether real money moves.
        pub fn with_mode(mut self, mode: Mode) => self.mode = Some(mode);

        /// The amount asked for, in minor units, and its currency.
        pub fn with_amount(mut self, minor: u64, currency: Currency) =>
            (self.amount, self.currency) = (Some(minor), Some(currency));

        /// The amount received or captured, in minor units, before refunds.
        pub fn with_amount_received(mut self, minor: u64) => self.amount_received = Some(minor);

        /// The amount that can still be captured, in minor units; 0 unless stated.
        pub fn with_amount_capturable(mut self, minor: u64) => self.amount_capturable = minor;

        /// The part of the amount that is a tip, in minor units. State zero where there is none: a policy that takes tips
        /// off has to know.
        pub fn with_tip(mut self, minor: u64) => self.tip = Some(minor);

        /// The part of the amount that is a surcharge for the way of paying, in minor units. State zero where there is
        /// none: a policy that takes surcharges off has to know.
        pub fn with_surcharge(mut self, minor: u64) => self.surcharge = Some(minor);

        /// The amount refunded, in minor units. State zero: a payment is never valid while this is unknown.
        pub fn with_amount_refunded(mut self, minor: u64) => self.amount_refunded = Some(minor);

        /// What of the amount refunded may still fail and come back, in minor units; not known unless stated.
        pub fn with_refunds_pending(mut self, minor: u64) => self.refunds_pending = Some(minor);

        /// What was to be refunded and came back, in minor units; not known unless stated. It is no part of the amount
        /// refunded, unless the provider counts it there.
        pub fn with_refunds_failed(mut self, minor: u64) => self.refunds_failed = Some(minor);

        /// Whether the charge was captured, where the provider says so separately.
        pub fn with_captured(mut self, captured: bool) => self.captured = Some(captured);

        /// How the worst dispute of the payment stands; none unless stated.
        pub fn with_dispute(mut self, dispute: Dispute) => self.dispute = dispute;

        /// Whether the provider, the issuer or the merchant reported the payment as fraud; `false` unless stated.
        pub fn with_reported_fraud(mut self, reported: bool) => self.fraud = Some(reported);

        /// Whether the network reversed the payment after approving it; `false` unless stated.
        pub fn with_reversed(mut self, reversed: bool) => self.reversed = reversed;

        /// The provider's risk rating; not assessed unless stated.
        pub fn with_risk(mut self, risk: Risk) => self.risk = risk;

        /// The customer's id at the provider.
        pub fn with_customer(mut self, customer: impl Into<Box<str>>) => self.customer = Some(customer.into());

        /// The account the payment was made on, where one credential serves several.
        pub fn with_account(mut self, account: impl Into<Box<str>>) => self.account = Some(account.into());

        /// The account the money is passed on to.
        pub fn with_destination(mut self, destination: impl Into<Box<str>>) =>
            self.destination = Some(destination.into());

        /// One entry of the merchant's own metadata.
        pub fn with_metadata(mut self, key: impl Into<Box<str>>, value: impl Into<Box<str>>) =>
            self.metadata.push((key.into(), value.into()));

        /// The reference to the merchant's order that the merchant gave the provider beside metadata; see
        /// [`order_by_reference`](crate::ValidatorBuilder::order_by_reference).
        pub fn with_order_reference(mut self, reference: impl Into<Box<str>>) =>
            self.order_reference = Some(reference.into());

        /// What the alias states by which the payment was asked for. These facts are then those of the payment that it
        /// stands for, under that payment's id; or, while there is none, under the alias's own.
        pub fn with_alias(mut self, alias: PaymentAlias) => self.alias = Some(Box::new(alias));

        /// When the payment was created, in seconds since 1970 by the provider's clock. A payment without it can be
        /// valid, and cannot be redeemed, since nothing says whether it is older than redemptions are remembered. A
        /// time more than five minutes after [`as_of`](Self::with_as_of) contradicts it, and such a payment is never
        /// valid.
        pub fn with_created(mut self, unix_seconds: u64) => self.created = Some(unix_seconds);

        /// How the payment was made. State it: a policy that holds bank debits has to know.
        pub fn with_method(mut self, method: PaymentMethod) => self.method = method;

        /// When the shopper paid, in seconds since 1970 by the provider's clock; when the payment was created unless stated.
        pub fn with_paid_at(mut self, unix_seconds: u64) => self.paid_at = Some(unix_seconds);

        /// When an authorization ends, in seconds since 1970 by the provider's clock.
        pub fn with_capture_before(mut self, unix_seconds: u64) => self.capture_before = Some(unix_seconds);

        /// What a payment waits for that is under way; by its status unless stated.
        pub fn with_waits_for(mut self, what: WaitsFor) => self.waits_for = Some(what);

        /// When that ends, in seconds since 1970 by the provider's clock. A capture ends with
        /// [`with_capture_before`](Self::with_capture_before) unless this is stated.
        pub fn with_waits_until(mut self, unix_seconds: u64) => self.waits_until = Some(unix_seconds);

        /// What has still to arrive of a transfer from a bank, in minor units.
        pub fn with_remaining(mut self, minor: u64) => self.remaining = Some(minor);

        /// The provider's own time of this answer, in seconds since 1970. Unless stated, this machine's clock is read.
        pub fn with_as_of(mut self, unix_seconds: u64) => self.as_of = Some(unix_seconds);

        /// The provider's id of the request that got this answer; shown in the attempt log.
        pub fn with_request_id(mut self, id: impl AsRef<str>) => self.request_ids.set_last(id.as_ref());

        /// One more request that this answer took, before the last one, by the provider's id; empty where it has none.
        /// The attempt log shows it.
        pub fn with_earlier_request(mut self, id: impl AsRef<str>) => self.request_ids.add_earlier(id.as_ref());
    }

    getters! {
        /// The payment's id.
        pub fn id(&self) -> &str => &self.id;

        /// Where the payment stands.
        pub fn status(&self) -> &PaymentStatus => &self.status;

        /// The customer's id at the provider, if there is one.
        pub fn customer(&self) -> Option<&str> => self.customer.as_deref();

        /// The merchant's reference to the order beside metadata, if there is one. Only of facts that came from the provider
        /// just now, as [`order_from`](crate::ValidatorBuilder::order_from) sees them.
        pub fn order_reference(&self) -> Option<&str> => self.order_reference.as_deref();
    }

    /// The first value under a key of the merchant's metadata that is not empty.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        stated_under(&self.metadata, key).next()
    }
}

impl<T: Deref<Target = str>> ProviderPayment<T> {
    /// What of the money that was captured the merchant still has.
    pub(crate) fn kept(&self) -> u64 {
        self.amount_received.unwrap_or(0).saturating_sub(self.amount_refunded.unwrap_or(0))
    }
}

/// A text of facts, owned or borrowed.
pub(crate) trait Text: Deref<Target = str> {}

impl<T: Deref<Target = str>> Text for T {}

// Shows neither the customer nor metadata.
partial_debug!(ProviderPayment, self =>
    id: self.id, status: self.status, mode: self.mode, currency: self.currency, amount: self.amount,
    amount_received: self.amount_received, amount_capturable: self.amount_capturable,
    amount_refunded: self.amount_refunded, dispute: self.dispute, fraud: self.fraud, risk: self.risk
);
