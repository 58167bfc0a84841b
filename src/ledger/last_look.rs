//! What a store last said of itself, for readers who may be many, such as a health page.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::store::Inspection;

use super::{Ledger, LedgerError};

/// A look is up to a dozen commands, and health may be asked for by any client that reaches its page.
const LOOKS_APART: Duration = Duration::from_secs(1);

/// The last look, so that the store is looked at once a second at most, however often it is asked for.
#[derive(Debug, Default)]
pub(crate) struct LastLook(Mutex<Option<(Instant, Result<Inspection, LedgerError>)>>);

impl LastLook {
    /// What the store said a moment ago, or says now. Dropped, it leaves the look to the next caller.
    pub(crate) async fn recent(&self, ledger: &Ledger) -> Result<Inspection, LedgerError> {
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, said)) if at.elapsed() < LOOKS_APART => said.clone(),
            _ => last.insert((Instant::now(), ledger.inspect().await)).1.clone(),
        }
    }
}
