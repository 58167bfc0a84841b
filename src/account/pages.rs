//! Pages of the provider's lists, asked for one by one, and where they lead.

use tracing::Instrument;

use crate::call::error::CallError;
use crate::provider::{ListCursor, ListQuery, Listed};

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

/// The pages of one list so far, by which one that goes round is told, however many pages a round has. One cursor is kept: each is
/// compared with it, and it is replaced after 1, 2, 4, 8 … pages, as Brent's algorithm does. So a round is told before it was walked
/// four times, and lists may be of any length.
#[derive(Debug)]
pub(crate) struct PageTrail {
    kept: Option<ListCursor>,
    pages: u64,
    replaced_after: u64,
}

/// A list without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list goes round: a page leads to one that was read before")]
pub(crate) struct ListGoesRound;

impl PageTrail {
    /// Begins at a cursor, or at the list's beginning.
    pub(crate) fn new(first: Option<ListCursor>) -> Self {
        Self { kept: first, pages: 0, replaced_after: 1 }
    }

    /// Takes in where a page leads.
    ///
    /// # Errors
    /// When the list goes round.
    pub(crate) fn go_on(&mut self, next: &ListCursor) -> Result<(), ListGoesRound> {
        if self.kept.as_ref() == Some(next) {
            return Err(ListGoesRound);
        }
        self.pages = self.pages.saturating_add(1);
        if self.pages == self.replaced_after {
            self.kept = Some(next.clone());
            (self.pages, self.replaced_after) = (0, self.replaced_after.saturating_mul(2));
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(feature = "test-util")]
mod tests;
