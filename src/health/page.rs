//! Health as a page shows it.

use serde::{Serialize, Serializer};

use crate::account::StoreCheck;
use crate::store::StoreFinding;

use super::{Health, HealthReason};

#[derive(Serialize)]
struct Page<'h> {
    status: &'static str,
    reasons: Vec<Line>,
    notes: Vec<Line>,
    store: Store<'h>,
}

#[derive(Serialize)]
struct Line {
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    message: String,
}

#[derive(Serialize)]
struct Store<'h> {
    server: Option<&'h str>,
    version: Option<&'h str>,
    latency_ms: Option<f64>,
    findings: Vec<Line>,
}

impl From<&HealthReason> for Line {
    fn from(reason: &HealthReason) -> Self {
        Self { code: reason.code(), severity: None, message: reason.to_string() }
    }
}

impl From<&StoreFinding> for Line {
    fn from(finding: &StoreFinding) -> Self {
        let severity = Some(finding.severity().as_str());
        Self { code: finding.code(), severity, message: finding.to_string() }
    }
}

impl<'h> From<&'h StoreCheck> for Store<'h> {
    fn from(StoreCheck { store, findings }: &'h StoreCheck) -> Self {
        let store = store.as_ref();
        Self {
            server: store.map(|store| &*store.server),
            version: store.and_then(|store| store.version.as_deref()),
            latency_ms: store.map(|store| store.latency.as_secs_f64() * 1e3),
            findings: findings.iter().map(Line::from).collect(),
        }
    }
}

impl Serialize for StoreCheck {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Store::from(self).serialize(serializer)
    }
}

impl Serialize for Health {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let page = Page {
            status: if self.is_ready() { "ready" } else { "degraded" },
            reasons: self.reasons.iter().map(Line::from).collect(),
            notes: self.notes.iter().map(Line::from).collect(),
            store: Store::from(&self.store_check),
        };
        page.serialize(serializer)
    }
}
