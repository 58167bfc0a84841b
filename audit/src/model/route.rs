//! A route, and whether it was judged.

use super::Span;

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `POST`; `ANY` if the handler takes all.
    pub method: String,
    /// `/api/orders/{id}`.
    pub path: String,
    /// The file that declares it.
    pub file: String,
    /// Where in it.
    pub span: Span,
    /// The handler's name.
    pub handler: String,
    /// Whether it was judged.
    pub judgment: Judgment,
}

impl Route {
    /// What routes are told in the order of.
    pub(crate) fn place(&self) -> (&str, Span, &str) {
        (&self.file, self.span, &self.method)
    }
}

/// Whether a route was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgment {
    /// It was.
    Judged,
    /// Its handler is a package's, or not in the tree.
    Foreign,
    /// It is GraphQL or tRPC, where one route has many operations.
    Exempt,
}
