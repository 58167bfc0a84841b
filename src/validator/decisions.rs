//! What people decided, read from the store.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::account::SignedDecision;
use crate::ledger::LedgerError;

use super::Validator;

impl Validator {
    /// What people decided within so many days, today among them, the latest first: resolutions of what was indeterminate, and
    /// releases of redemptions, of every process on this provider account. Days are those of UTC.
    ///
    /// Each is kept in the store for 400 days after the last one of its day. There is room for 3,200 a day, of all tenants
    /// together, and a further one is refused as `decisions_full`. A decision is recorded before it is made, so one whose process
    /// crashed in between is shown, and may not have been made. What the reconcile hook finds out is no person's decision, and in
    /// the log alone.
    ///
    /// # Errors
    /// When the store does not answer or holds something unreadable.
    ///
    /// # Cancel safety
    /// It changes nothing.
    pub fn decisions(
        &self,
        days: u32,
    ) -> impl Future<Output = Result<Vec<SignedDecision>, LedgerError>> + Send + use<> {
        let account = Arc::clone(&self.0.account);
        async move {
            Handle::try_current().map_err(|_| LedgerError::NoRuntime)?;
            account.decisions(days).await
        }
    }
}
