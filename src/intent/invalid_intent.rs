//! Why a claim was refused before anything was asked.

use std::borrow::Cow;
use std::convert::Infallible;

use serde_json::{Value, json};

use crate::accessors::{display_as_str, getters, named};
use crate::error_info::{INVALID_INTENT, error_info};

named! {
    /// The part of a claim that broke a rule.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Field {
        /// The amount of money.
        Amount = "amount",
        /// A claim of a guarded operation.
        Claim = "claim",
        /// The currency code.
        Currency = "currency",
        /// Where a list goes on.
        Cursor = "cursor",
        /// The customer's id at the provider.
        Customer = "customer",
        /// The caller's idempotency key.
        Key = "key",
        /// The name of a guarded operation.
        Operation = "operation",
        /// The order the payment is said to pay.
        Order = "order",
        /// The part of an order that a payment pays.
        Part = "part",
        /// The payment's id at the provider.
        PaymentId = "payment_id",
        /// Who acts within a tenant.
        Principal = "principal",
        /// The tenant (store, merchant) the payment is said to belong to.
        Tenant = "tenant",
        /// The end of a window of time.
        Until = "until",
        /// Who undoes a redemption.
        Who = "who",
    } as_str(self: Self)
}

display_as_str!(Field);

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
    /// Names the field and the rule that it breaks. Never repeat the value: it may be a secret.
    #[must_use]
    pub fn new(field: Field, rule: impl Into<Cow<'static, str>>) -> Self {
        Self { field, rule: rule.into() }
    }

    getters! {
        /// The part of the claim that is wrong.
        pub fn field(&self) -> Field => self.field;

        /// The rule it breaks, as a phrase: `must not be empty`.
        pub fn rule(&self) -> &str => &self.rule;
    }
}

/// What is well-formed already stays so.
impl From<Infallible> for InvalidIntent {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
