//! What is told of pages of lists.

use tracing::field::Empty;
use tracing::{Span, debug_span};

use crate::provider::ListOf;

use super::metrics::LIST_PAGES;
use super::{PROVIDER, Telemetry};

impl Telemetry {
    /// The span of one page. At debug, since a reconciliation asks for thousands.
    pub(crate) fn list_page_span(&self, what: ListOf) -> Span {
        debug_span!(
            target: PROVIDER,
            "payproof.list_page",
            provider = &*self.provider,
            mode = self.mode,
            list = what.as_str(),
            items = Empty,
            code = Empty,
        )
    }

    /// A page came with so many items, or with the code of an error.
    pub(crate) fn list_page(&self, span: &Span, page: Result<usize, &'static str>) {
        match page {
            Ok(items) => {
                self.count(LIST_PAGES, []);
                span.record("items", items);
            }
            Err(code) => {
                span.record("code", code);
            }
        }
    }
}
