//! Who hears that the store answers: without that, an outage would have no end in the log.

use std::sync::Arc;

use crate::telemetry::StoreWatch;

use super::Ledger;

impl Ledger {
    /// The same, telling this watch of each call that the store answers.
    pub(crate) fn heard_by(self, watch: &Arc<StoreWatch>) -> Self {
        Self { heard_by: Some(Arc::clone(watch)), ..self }
    }

    /// The store answered.
    #[inline]
    pub(super) fn answered(&self) {
        if let Some(watch) = &self.heard_by {
            watch.worked();
        }
    }
}
