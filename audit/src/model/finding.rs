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

impl Finding {
    /// What findings are told in the order of.
    pub(crate) fn place(&self) -> (&str, u32, Rule, u32, &str, &str) {
        (&self.path, self.line, self.rule, self.column, &self.method, &self.route)
    }

    /// A finding of a rule at its worst, with its fix, of which nothing else is said yet.
    #[must_use]
    pub fn of(rule: Rule) -> Self {
        Self {
            rule,
            severity: rule.severity(),
            path: String::new(),
            line: 1,
            column: 1,
            method: String::new(),
            route: String::new(),
            handler: String::new(),
            what: String::new(),
            fix: rule.fix().to_owned(),
            statement: String::new(),
            evidence: Vec::new(),
            unfollowed: None,
        }
    }
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
