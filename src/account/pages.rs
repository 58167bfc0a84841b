//! Pages of the provider's lists, asked for one by one.

use tracing::Instrument;

use crate::call::error::CallError;
use crate::provider::{ListQuery, Listed};

use super::Account;

impl Account {
    /// Asks for one page of a list, with retries, behind a gate and a breaker of the lists' own and within a budget of their own:
    /// no checkout waits for it. An adapter that lists nothing of the kind is told by the code `unsupported` of its error.
    ///
    /// # Cancel safety
    /// It changes nothing, and may be dropped at any point: nothing further is sent then.
    pub(crate) async fn list_page(&self, query: &ListQuery) -> Result<Listed, CallError> {
        let span = self.telemetry.list_page_span(query.what());
        let page = self.retrier.list(query, &self.telemetry).instrument(span.clone()).await;
        self.telemetry
            .list_page(&span, page.as_ref().map(|page| page.items.len()).map_err(|error| error.condition().code));
        page
    }
}

#[cfg(test)]
#[cfg(feature = "test-util")]
mod tests;
