//! What the audit says.

use super::{Rule, Severity};

/// What the audit says of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// How bad.
    pub severity: Severity,
    /// The file, relative to the audited tree, with `/`.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The method: `POST`.
    pub method: String,
    /// The route's path: `/api/orders/{id}`.
    pub route: String,
    /// The handler's name.
    pub handler: String,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What to do, in one sentence.
    pub fix: String,
    /// The source of the statement, as it stands there.
    pub statement: String,
    /// How the handler gets there, and what else it stands on.
    pub evidence: Vec<Evidence>,
    /// The call that was not followed and might be what is missed.
    pub unfollowed: Option<String>,
}

/// A place that a finding stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What is there.
    pub what: String,
}
