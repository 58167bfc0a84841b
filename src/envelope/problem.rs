//! Failures as problem documents (RFC 9457).

use http::StatusCode;
use serde::Serialize;

use super::Failure;

/// A failure as RFC 9457 writes it, with the code and the details as members of their own.
#[derive(Debug, Serialize)]
pub(super) struct ProblemDocument<'f> {
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
    status: u16,
    detail: &'f str,
    code: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'f serde_json::Value>,
}

impl<'f> ProblemDocument<'f> {
    /// Its type is an address under `base` that ends in the code; without one `about:blank`, which says that the status tells
    /// what kind of problem it is. The title is that of the status (§4.2.1).
    pub(super) fn of(failure: &'f Failure, base: Option<&str>) -> Self {
        let Failure { error, status, .. } = failure;
        Self {
            r#type: base.map_or_else(|| "about:blank".to_owned(), |base| format!("{base}{}", error.code)),
            title: StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason()),
            status: *status,
            detail: &error.message,
            code: &error.code,
            details: error.details.as_ref(),
        }
    }
}
