//! Errors of this crate as answers.

use std::time::Duration;

use serde_json::json;

use crate::error::ValidateError;
use crate::guard::GuardError;
use crate::intent::invalid_intent::InvalidIntent;
use crate::payment::verdict::{Finding, Findings, Verdict};
use crate::redeem::RedeemError;

use super::Failure;

/// What a store says of itself is for operators.
const STORE: &str = "the shared store did not confirm; try again";

impl Failure {
    /// The answer to an error, whose code is written in capitals.
    pub(crate) fn of(status: u16, code: &str, message: String, wait: Option<Duration>) -> Self {
        let failure = Self::new(status, code.to_ascii_uppercase(), message);
        match wait {
            Some(wait) => failure.retry_after(wait),
            None => failure,
        }
    }
}

impl From<&ValidateError> for Failure {
    fn from(error: &ValidateError) -> Self {
        let message = if error.is_store() { STORE.into() } else { error.to_string() };
        let failure = Self::of(error.http_status(), error.code(), message, error.retry_after());
        match error.invalid_intent() {
            Some(invalid) => failure.details(field_and_rule(invalid)),
            None => failure,
        }
    }
}

impl From<ValidateError> for Failure {
    fn from(error: ValidateError) -> Self {
        Self::from(&error)
    }
}

impl From<&InvalidIntent> for Failure {
    fn from(invalid: &InvalidIntent) -> Self {
        Self::of(400, "invalid_intent", invalid.to_string(), None).details(field_and_rule(invalid))
    }
}

impl From<InvalidIntent> for Failure {
    fn from(invalid: InvalidIntent) -> Self {
        Self::from(&invalid)
    }
}

fn field_and_rule(invalid: &InvalidIntent) -> serde_json::Value {
    json!({ "field": invalid.field().as_str(), "rule": invalid.rule() })
}

impl From<&RedeemError> for Failure {
    fn from(error: &RedeemError) -> Self {
        let message = match error {
            // Which order or payment that is, is none of the caller's business.
            RedeemError::AlreadyRedeemed { .. } => "the payment was redeemed before, for another order".into(),
            RedeemError::OrderAlreadyPaid { .. } => "the order is paid by another payment already".into(),
            RedeemError::StoreNotShared | RedeemError::RestartLoses { .. } | RedeemError::CreatedUnstated => {
                "the service cannot redeem payments now".into()
            }
            RedeemError::CouldNotTell(error) | RedeemError::Store(error) => return error.into(),
            RedeemError::Invalid(invalid) => return invalid.into(),
            RedeemError::NoLongerValid(verdict) => match &**verdict {
                Verdict::Invalid(findings) => return findings.into(),
                _ => error.to_string(),
            },
            _ => error.to_string(),
        };
        Self::of(error.http_status(), error.code(), message, error.retry_after())
    }
}

impl From<RedeemError> for Failure {
    fn from(error: RedeemError) -> Self {
        Self::from(&error)
    }
}

impl From<&GuardError> for Failure {
    fn from(error: &GuardError) -> Self {
        let message = if error.is_store() {
            STORE.into()
        } else if error.is_configuration() {
            "the service is not set up to do this".into()
        } else {
            error.to_string()
        };
        Self::of(error.http_status(), error.code(), message, error.retry_after())
    }
}

impl From<GuardError> for Failure {
    fn from(error: GuardError) -> Self {
        Self::from(&error)
    }
}

/// Names the findings by their codes. What was expected and what the provider states is for the service's own log: it may
/// be about another payer.
impl From<&Findings> for Failure {
    fn from(findings: &Findings) -> Self {
        let codes: Vec<_> = findings.iter().map(Finding::code).collect();
        Self::new(422, "PAYMENT_INVALID", "the payment is not good for this order")
            .details(json!({ "findings": codes }))
    }
}
