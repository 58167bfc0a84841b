//! One thing that was found wrong, and how long it stays so.

use std::fmt;
use std::time::Duration;

use crate::accessors::named;
use crate::intent::currency::Currency;
use crate::intent::invalid_intent::Field;
use crate::intent::money::Money;
use crate::payment::dispute::Dispute;
use crate::payment::facts::{Mode, NotFoundHint, Risk};

use super::amounts::{NetAmount, RefundedAmounts};
use super::mismatch::Mismatch;

named! {
    /// One mismatch between what was claimed or is accepted, and the provider's facts.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Finding {
        /// The provider knows no such payment, for this account and mode.
        NotFound(NotFoundHint) = "not_found",
        /// The amount asked for differs.
        Amount(Mismatch<Money>) = "amount_mismatch",
        /// The amount asked for differs, less the tip and the surcharge in it.
        NetAmount(NetAmount) = "net_amount_mismatch",
        /// The amount received differs, in either direction. Where tips or surcharges are taken off, what is expected is the
        /// amount asked for.
        AmountReceived(Mismatch<Money>) = "amount_received_mismatch",
        /// Less than is claimed is held, and nothing of it is captured yet.
        AmountCapturable(Mismatch<Money>) = "amount_capturable_mismatch",
        /// The currency differs.
        Currency(Mismatch<Currency>) = "currency_mismatch",
        /// The provider names another tenant. Stands alone: nothing of another tenant's payment is repeated, not even that
        /// name, which an operator finds beside the payment at the provider.
        Tenant = "tenant_mismatch",
        /// The payment is for another order, or for one while none was claimed.
        Order(Mismatch<Option<Box<str>>>) = "order_mismatch",
        /// Another customer paid. Ids of persons are not repeated.
        Customer = "customer_mismatch",
        /// The provider does not state what was claimed. Where that is the tenant, this finding stands alone.
        Unproven(Field) = "unproven",
        /// The provider does not state a fact that every validation needs.
        Unstated(Fact) = "unstated",
        /// A test payment for live goods, or the other way round.
        Mode(Mismatch<Mode>) = "mode_mismatch",
        /// Canceled, for good; with the provider's reason.
        Canceled(Option<Box<str>>) = "canceled",
        /// Canceled after something had been captured, of which the merchant still has this much.
        KeptThoughCanceled(Money) = "kept_though_canceled",
        /// Declined, or reversed by the network; with the provider's reason.
        Declined(Option<Box<str>>) = "declined",
        /// A part of what was captured was given back.
        PartlyRefunded(RefundedAmounts) = "partly_refunded",
        /// All that was captured was given back.
        Refunded(RefundedAmounts) = "refunded",
        /// Disputed, and how that stands.
        Disputed(Dispute) = "disputed",
        /// Reported as fraud, by the provider, the issuer or the merchant.
        ReportedFraud = "reported_fraud",
        /// Riskier than accepted; `expected` is the highest accepted rating.
        Risk(Mismatch<Risk>) = "risk",
        /// Older than accepted; `expected` is the highest accepted age.
        TooOld(Mismatch<Duration>) = "too_old",
        /// Created more than five minutes after the provider's own time of the answer, which cannot be.
        CreatedAhead = "created_ahead",
        /// Not captured in full, and no longer capturable.
        NotCaptured = "not_captured",
        /// The alias states another amount than its payment, as a Checkout session may; `expected` is the alias's.
        AliasAmount(Mismatch<Money>) = "alias_amount_mismatch",
        /// A Checkout session that starts a subscription, of which each invoice has a payment of its own.
        Subscription = "subscription",
        /// A Checkout session that saves a way to pay, and moves no money.
        Setup = "setup",
        /// A Checkout session that was completed with nothing to pay.
        NoPaymentRequired = "no_payment_required",
    } code(self: &Self)
}

named! {
    /// A fact that every validation needs.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Fact {
        /// The amount received or captured.
        AmountReceived = "amount_received",
        /// The amount refunded, if only zero.
        AmountRefunded = "amount_refunded",
        /// The tip, if only zero, which the policy takes off.
        Tip = "tip",
        /// The surcharge, if only zero, which the policy takes off.
        Surcharge = "surcharge",
        /// When the payment was created.
        Created = "created",
        /// How the payment was made, where the policy holds bank debits.
        Method = "method",
        /// Whether real money moved.
        Mode = "mode",
    } as_str(self: Self)
}

impl Finding {
    /// Whether it keeps the payment from ever becoming valid. `is_over` says that the payment is paid or canceled: until then
    /// its amount may be changed and another card may pay, and whatever holds it up may end.
    pub(super) fn is_final(&self, is_over: bool) -> bool {
        match self {
            Self::Mode(_)
            | Self::TooOld(_)
            | Self::Canceled(_)
            | Self::Disputed(Dispute::Lost)
            | Self::Subscription
            | Self::Setup
            | Self::NoPaymentRequired => true,
            Self::Amount(_)
            | Self::NetAmount(_)
            | Self::AmountReceived(_)
            | Self::Currency(_)
            | Self::AliasAmount(_) => is_over,
            Self::PartlyRefunded(given_back) | Self::Refunded(given_back) => is_over && given_back.is_final(),
            _ => false,
        }
    }

    /// Whether it stands for as long as the payment does. Metadata, risk and open disputes may still change.
    pub(crate) const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Amount(_)
                | Self::NetAmount(_)
                | Self::AmountReceived(_)
                | Self::Currency(_)
                | Self::Mode(_)
                | Self::Canceled(_)
                | Self::Refunded(_)
                | Self::Disputed(Dispute::Lost)
                | Self::TooOld(_)
                | Self::AliasAmount(_)
        )
    }
}

/// What to set so that a claim can be proven.
const fn what_proves(field: Field) -> &'static str {
    match field {
        Field::Tenant => {
            "; write it into the payment's metadata under the key of `tenant_proof` (`store_id` unless set; at Checkout in \
             `payment_intent_data.metadata`), or set another `tenant_proof`"
        }
        Field::Order => {
            "; write it into the payment's metadata under `order_key` (`order_id` unless set; at Checkout in \
             `payment_intent_data.metadata`), or leave `.with_order(..)` out"
        }
        Field::Customer => "; create the payment with its customer, or leave `.with_customer(..)` out",
        _ => "",
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(hint) => f.write_str(match hint {
                NotFoundHint::Unsaid => "no such payment for this account and mode",
                NotFoundHint::OtherMode => "no such payment in this mode; in the other one there is one of this id",
                NotFoundHint::OtherAccount => {
                    "no such payment for this account; at another one there is one of this id"
                }
            }),
            Self::Amount(mismatch) => write!(f, "amount: {mismatch}"),
            Self::NetAmount(amount) => write!(f, "amount: {amount}"),
            Self::AmountReceived(mismatch) => write!(f, "amount received: {mismatch}"),
            Self::AmountCapturable(mismatch) => write!(f, "amount that can be captured: {mismatch}"),
            Self::Currency(mismatch) => write!(f, "currency: {mismatch}"),
            Self::Tenant => f.write_str("tenant: the provider names another"),
            Self::Order(mismatch) => write!(f, "order: {mismatch}"),
            Self::Customer => f.write_str("another customer paid"),
            Self::Unproven(field) => {
                write!(f, "{field}: claimed, but the provider does not state it{}", what_proves(*field))
            }
            Self::Unstated(fact) => write!(f, "{}: the provider does not state it", fact.as_str()),
            Self::Mode(mismatch) => write!(f, "mode: {mismatch}"),
            Self::Canceled(Some(reason)) => write!(f, "canceled: {reason}"),
            Self::Canceled(None) => f.write_str("canceled"),
            Self::KeptThoughCanceled(kept) => write!(f, "canceled, but {kept} of what was captured was not given back"),
            Self::Declined(Some(reason)) => write!(f, "declined: {reason}"),
            Self::Declined(None) => f.write_str("declined"),
            Self::PartlyRefunded(amount) => write!(f, "refunded in part: {amount}"),
            Self::Refunded(amount) => write!(f, "refunded in full: {amount}"),
            Self::Disputed(dispute) => write!(f, "disputed: {dispute}"),
            Self::ReportedFraud => f.write_str("reported as fraud"),
            Self::Risk(Mismatch { expected, actual }) => {
                write!(f, "risk: accepted up to {}, actual {}", expected.as_str(), actual.as_str())
            }
            Self::TooOld(Mismatch { expected, actual }) => {
                write!(f, "too old: accepted up to {} s, actual {} s", expected.as_secs(), actual.as_secs())
            }
            Self::CreatedAhead => f.write_str("created later than the provider's own time of this answer"),
            Self::NotCaptured => f.write_str("not captured in full, and no longer capturable"),
            Self::AliasAmount(mismatch) => write!(f, "amount of the session and of its payment: {mismatch}"),
            Self::Subscription => f.write_str(
                "the session starts a subscription; validate the payment intent of an entry of its invoice's `payments`",
            ),
            Self::Setup => f.write_str(
                "the session saves a way to pay and moves no money; validate the payment intent that is made with it",
            ),
            Self::NoPaymentRequired => f.write_str(
                "there was nothing to pay; fulfill free orders by the session's own `payment_status`, without a validation",
            ),
        }
    }
}
