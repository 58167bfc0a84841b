//! Why a claim was refused before anything was asked.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;

use serde_json::{Value, json};

use crate::error_info::{INVALID_INTENT, error_info};

/// The part of a claim that broke a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// The amount of money.
    Amount,
    /// A claim of a guarded operation.
    Claim,
    /// The currency code.
    Currency,
    /// The customer's id at the provider.
    Customer,
    /// The caller's idempotency key.
    Key,
    /// The name of a guarded operation.
    Operation,
    /// The order the payment is said to pay.
    Order,
    /// The part of an order that a payment pays.
    Part,
    /// The payment's id at the provider.
    PaymentId,
    /// Who acts within a tenant.
    Principal,
    /// The tenant (store, merchant) the payment is said to belong to.
    Tenant,
}

impl Field {
    /// A stable name, for API answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Claim => "claim",
            Self::Currency => "currency",
            Self::Customer => "customer",
            Self::Key => "key",
            Self::Operation => "operation",
            Self::Order => "order",
            Self::Part => "part",
            Self::PaymentId => "payment_id",
            Self::Principal => "principal",
            Self::Tenant => "tenant",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A claim that breaks a rule; names the field and the rule.
///
/// The offending value is never repeated: it may be a client secret.
///
/// | code | status | retryable |
/// |---|---|---|
/// | `invalid_intent` | 400 | no |
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {field}: {rule}")]
pub struct InvalidIntent {
    field: Field,
    rule: Cow<'static, str>,
}

error_info!(
    InvalidIntent = INVALID_INTENT,
    fn public_details(&self) -> Option<Value> {
        Some(json!({ "field": self.field.as_str(), "rule": self.rule }))
    }
);

impl InvalidIntent {
    pub(crate) fn new(field: Field, rule: impl Into<Cow<'static, str>>) -> Self {
        Self { field, rule: rule.into() }
    }

    /// The part of the claim that is wrong.
    #[must_use]
    pub fn field(&self) -> Field {
        self.field
    }

    /// The rule it breaks, as a phrase: `must not be empty`.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

/// What is well-formed already stays so.
impl From<Infallible> for InvalidIntent {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
