//! Errors of this crate as answers.

use crate::error_info::ErrorInfo;
use crate::payment::verdict::Findings;

use super::Failure;

/// The code is written in capitals, and the text is the public one.
impl<E: ErrorInfo> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(error.http_status(), error.code().to_ascii_uppercase(), error.public_message());
        failure.retry_after = error.retry_after();
        failure.error.details = error.public_details();
        failure
    }
}

/// Names the findings by their codes.
impl From<&Findings> for Failure {
    fn from(findings: &Findings) -> Self {
        Self::new(422, "PAYMENT_INVALID", "the payment is not good for this order").details(findings.public_details())
    }
}
