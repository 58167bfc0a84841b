//! Why a payment was not redeemed.

use std::time::Duration;

use crate::error::ValidateError;
use crate::intent::invalid_intent::InvalidIntent;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::LedgerError;
use crate::payment::verdict::Verdict;
use crate::redaction::legible;
use crate::store::RestartLoss;

/// A payment that was not redeemed, released or looked up.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedeemError {
    /// The payment pays another order already.
    #[error("the payment was redeemed before, for {}", .by.as_deref().map_or("another tenant".into(), legible))]
    AlreadyRedeemed {
        /// That order, with its part if it has one; `None` when it is another tenant's, whose orders are none of ours.
        by: Option<Box<str>>,
    },
    /// Another payment pays the order already. This payment is free: refund it.
    #[error("the order is paid by {by} already; refund this payment")]
    OrderAlreadyPaid {
        /// The payment that pays the order.
        by: PaymentId,
    },
    /// Neither the intent nor the caller names an order.
    #[error("there is no order to redeem the payment for; name it in the intent, or use `redeem_for`")]
    OrderMissing,
    /// The intent was proven for another order.
    #[error("the payment was proven for order {}; redeem it for that one", legible(.claimed))]
    OrderMismatch {
        /// The order that the intent claims.
        claimed: Box<str>,
    },
    /// The payment is only authorised, and that is not accepted.
    #[error("the payment is authorised and not captured; capture it, or accept that with `redeem_authorised`")]
    OnlyAuthorised,
    /// The provider does not say when the payment was created. A redemption is forgotten after its
    /// [retention](crate::ValidatorBuilder::redemption_retention), and no payment becomes
    /// unused by that because older ones are invalid. Of this one that cannot be told.
    #[error(
        "the provider does not state when the payment was created, so it would be unused again once its redemption is \
         forgotten; have the provider's adapter state `ProviderPayment::created`"
    )]
    CreatedUnstated,
    /// The proof was too old, and asked about again the payment is not valid any more.
    #[error("the payment is {} when asked about again; do not ship", .0.as_str())]
    NoLongerValid(Box<Verdict>),
    /// The proof was too old, and asking again could not tell.
    #[error("the proof is too old, and asking again could not tell")]
    CouldNotTell(#[source] ValidateError),
    /// Order or part is malformed.
    #[error(transparent)]
    Invalid(#[from] InvalidIntent),
    /// Other processes do not see the store's records, so a payment used in one would be unused in another.
    #[error(
        "redemptions need a store that every process sees; set one with `store`, or state with `only_instance` that this \
         process is the only one"
    )]
    StoreNotShared,
    /// A restart of the store may lose more than is accepted, so a used payment could become unused.
    #[error("{}, or state with `restart_loses_at_most` what may be lost", .loss.advice())]
    RestartLoses {
        /// What it may lose.
        loss: RestartLoss,
    },
    /// Another process is redeeming the same payment or order, and has not come to an end in time. Ask again.
    #[error("another redemption of the payment or the order is under way; ask again")]
    InProgress {
        /// How long that one is still protected.
        retry_after: Duration,
    },
    /// The store did not confirm. Ask again: the same payment and order come to the same end.
    #[error("the store did not confirm; ask again")]
    Store(#[source] ValidateError),
}

impl RedeemError {
    /// A stable code, for API answers and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRedeemed { .. } => "already_redeemed",
            Self::OrderAlreadyPaid { .. } => "order_already_paid",
            Self::OrderMissing => "order_missing",
            Self::OrderMismatch { .. } => "order_mismatch",
            Self::OnlyAuthorised => "only_authorised",
            Self::CreatedUnstated => "created_unstated",
            Self::NoLongerValid(_) => "no_longer_valid",
            Self::CouldNotTell(error) | Self::Store(error) => error.code(),
            Self::Invalid(_) => "invalid_intent",
            Self::StoreNotShared => "store_not_shared",
            Self::RestartLoses { .. } => "restart_loses",
            Self::InProgress { .. } => "in_progress",
        }
    }

    /// A fitting HTTP status for an API.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::AlreadyRedeemed { .. } | Self::OrderAlreadyPaid { .. } | Self::InProgress { .. } => 409,
            Self::OrderMissing | Self::OrderMismatch { .. } | Self::OnlyAuthorised | Self::NoLongerValid(_) => 422,
            Self::CouldNotTell(error) | Self::Store(error) => error.http_status(),
            Self::Invalid(_) => 400,
            Self::StoreNotShared | Self::RestartLoses { .. } | Self::CreatedUnstated => 502,
        }
    }

    /// How long to wait before asking again, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after } => Some(*retry_after),
            Self::CouldNotTell(error) | Self::Store(error) => error.retry_after(),
            _ => None,
        }
    }
}

impl From<LedgerError> for RedeemError {
    fn from(error: LedgerError) -> Self {
        Self::Store(error.into())
    }
}

impl From<ValidateError> for RedeemError {
    fn from(error: ValidateError) -> Self {
        Self::CouldNotTell(error)
    }
}
