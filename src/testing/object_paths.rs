//! Where objects that are no payments are asked for by their ids.

/// Each kind, and where it is asked for.
const KINDS: [(&str, &str); 6] = [
    ("charge", "/v1/charges/"),
    ("refund", "/v1/refunds/"),
    ("dispute", "/v1/disputes/"),
    ("review", "/v1/reviews/"),
    ("radar.early_fraud_warning", "/v1/radar/early_fraud_warnings/"),
    ("invoice_payment", "/v1/invoice_payments/"),
];

/// The kind that is asked for at a path, and its id.
pub(super) fn at_path(path: &str) -> Option<(&'static str, &str)> {
    KINDS.iter().find_map(|(kind, prefix)| {
        let id = path.strip_prefix(prefix).filter(|id| !id.is_empty() && !id.contains('/'))?;
        Some((*kind, id))
    })
}

/// Where an object is asked for.
#[cfg(feature = "webhook")]
pub(super) fn path_of(kind: &str, id: &str) -> Option<String> {
    KINDS.iter().find(|(known, _)| *known == kind).map(|(_, prefix)| format!("{prefix}{id}"))
}
