//! Why a payment was not redeemed.

use std::time::Duration;

use serde_json::Value;

use crate::error_info::{
    Class, Condition, IN_PROGRESS, INVALID_INTENT, RESTART_LOSES, SHARED_STORE_TEXT, STORE_NOT_SHARED, error_info,
    in_progress, public_text,
};
use crate::intent::invalid_intent::InvalidIntent;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::LedgerError;
use crate::lookup::error::ValidateError;
use crate::payment::verdict::Verdict;
use crate::redaction::legible;
use crate::store::RestartLoss;

/// A payment that was not redeemed, released or looked up.
///
/// | code | status | retryable | when |
/// |---|---|---|---|
/// | `already_redeemed` | 409 | no | the payment pays another order |
/// | `order_already_paid` | 409 | no | another payment pays the order; refund this one |
/// | `in_progress` | 409 | yes | another redemption of the payment or the order is under way |
/// | `order_missing` | 422 | no | no order is named |
/// | `order_mismatch` | 422 | no | the intent was proven for another order |
/// | `only_authorized` | 422 | no | the payment is not captured |
/// | `proof_too_old` | 422 | no | within a transaction: the proof is too old; validate before it begins |
/// | `no_longer_valid` | 422 | no | asked about again, the payment is not valid; its findings are in the details |
/// | `invalid_intent` | 400 | no | order or part is malformed |
/// | `created_unstated` | 500 | no | the provider's adapter does not state when the payment was created |
/// | `needs_transaction` | 500 | no | redemptions are recorded in transactions, and this call is in none |
/// | `not_in_database` | 500 | no | `within` was called, and redemptions are recorded in a store that is not PostgreSQL |
/// | `other_database` | 500 | no | within a transaction: it is one in another database than the store's |
/// | `store_not_shared` | 500 | no | other processes do not see the store |
/// | `restart_loses` | 500 | no | a restart of the store may lose more than is accepted |
/// | the [common ones](crate::ErrorInfo#common-conditions) | | | |
///
/// A proof that was too old is asked about again; where that could not tell, code and text are those of [`ValidateError`].
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
    #[error("there is no order to redeem the payment for; name it in the intent, or by `order` on the redemption")]
    OrderMissing,
    /// The intent was proven for another order.
    #[error("the payment was proven for order {}; redeem it for that one", legible(.claimed))]
    OrderMismatch {
        /// The order that the intent claims.
        claimed: Box<str>,
    },
    /// The payment is only authorized, and that is not accepted.
    #[error("the payment is authorized and not captured; capture it, or accept that with `redeem_authorized`")]
    OnlyAuthorized,
    /// The provider does not say when the payment was created. A redemption is forgotten after its
    /// [retention](crate::ValidatorBuilder::redemption_retention), and no payment becomes
    /// unused by that because older ones are invalid. Of this one that cannot be told.
    #[error(
        "the provider does not state when the payment was created, so it would be unused again once its redemption is \
         forgotten; have the provider's adapter state `ProviderPayment::with_created`"
    )]
    CreatedUnstated,
    /// Within a transaction, the proof is too old, or another validator's. The provider is not asked while a transaction holds
    /// locks: roll back, validate, and begin again.
    #[error("the proof is too old; validate the payment again before the transaction begins")]
    ProofTooOld,
    /// Redemptions are recorded in the transactions of the orders, and this call is in none.
    #[error("redemptions are recorded in transactions (`redemptions_in_transactions`); make the call `within` one")]
    NeedsTransaction,
    /// Redemptions are recorded in a store that no transaction reaches.
    #[error(
        "redemptions are recorded in a store that no transaction reaches; use a store in PostgreSQL, or set \
         `redemptions_in_transactions`"
    )]
    NotInDatabase,
    /// The transaction is one in another database than the store's, or in another schema. Nothing was recorded.
    #[error("the transaction is not one in the store's own database and schema; begin it where the store's table is")]
    OtherDatabase,
    /// The proof was too old, and asked about again the payment is not valid any more.
    #[error("the payment is {} when asked about again; do not ship", .0.as_str())]
    NoLongerValid(Box<Verdict>),
    /// The proof was too old, and asking again could not tell.
    #[error(transparent)]
    CouldNotTell(#[from] ValidateError),
    /// Order or part is malformed.
    #[error(transparent)]
    Invalid(#[from] InvalidIntent),
    /// Other processes do not see the store's records, so a payment used in one would be unused in another.
    #[error("redemptions need {SHARED_STORE_TEXT}")]
    StoreNotShared,
    /// A restart of the store may lose more than is accepted, so a used payment could become unused.
    #[error("{}", .loss.refusal())]
    RestartLoses {
        /// What it may lose.
        loss: RestartLoss,
    },
    /// Another process is redeeming the same payment or order, and has not come to an end in time. Ask again.
    #[error("{}", in_progress("redemption of the payment or the order"))]
    InProgress {
        /// How long that one is still protected.
        retry_after: Duration,
    },
    /// The store did not confirm. Ask again: the same payment and order come to the same end.
    #[error("{}", .0.advice())]
    Store(#[from] LedgerError),
}

error_info!(
    RedeemError,
    /// Which order or payment it is that came first is not told.
    fn public_message(&self) -> String {
        match self {
            Self::AlreadyRedeemed { .. } => "the payment was redeemed before, for another order".to_owned(),
            Self::OrderAlreadyPaid { .. } => "the order is paid by another payment already".to_owned(),
            _ => public_text(self),
        }
    },
    fn public_details(&self) -> Option<Value> {
        match self {
            Self::CouldNotTell(error) => error.public_details(),
            Self::Invalid(invalid) => invalid.public_details(),
            Self::NoLongerValid(verdict) => match &**verdict {
                Verdict::Invalid(findings) => Some(findings.public_details()),
                _ => None,
            },
            _ => None,
        }
    }
);

const fn lasting(code: &'static str, status: u16) -> Condition {
    let class = if status == 500 { Class::Configuration } else { Class::Caller };
    Condition::lasting(class, code, status)
}

impl RedeemError {
    fn condition(&self) -> Condition {
        match self {
            Self::AlreadyRedeemed { .. } => lasting("already_redeemed", 409),
            Self::OrderAlreadyPaid { .. } => lasting("order_already_paid", 409),
            Self::OrderMissing => lasting("order_missing", 422),
            Self::OrderMismatch { .. } => lasting("order_mismatch", 422),
            Self::OnlyAuthorized => lasting("only_authorized", 422),
            Self::ProofTooOld => lasting("proof_too_old", 422),
            Self::NoLongerValid(_) => lasting("no_longer_valid", 422),
            Self::NeedsTransaction => lasting("needs_transaction", 500),
            Self::NotInDatabase => lasting("not_in_database", 500),
            Self::OtherDatabase => lasting("other_database", 500),
            Self::CreatedUnstated => lasting("created_unstated", 500),
            Self::StoreNotShared => STORE_NOT_SHARED,
            Self::RestartLoses { .. } => RESTART_LOSES,
            Self::Invalid(_) => INVALID_INTENT,
            Self::InProgress { .. } => IN_PROGRESS,
            Self::CouldNotTell(error) => error.condition(),
            Self::Store(error) => error.condition(),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after } => Some(*retry_after),
            Self::CouldNotTell(error) => error.retry_after(),
            Self::Store(error) => error.retry_after(),
            _ => None,
        }
    }
}
