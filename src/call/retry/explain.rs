//! Says what would happen on an answer, by the same rules that decide.

use std::fmt;
use std::time::Duration;

use crate::accessors::getters;
use crate::provider::attempt_log::Rule;
use crate::provider::{Answer, ProviderError, RateLimit};

use super::Retrier;
use super::decision::{Transient, decide};
use super::hint::{ServerHint, most_spread};

/// Which rule decides about an answer, and how long the call would wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    transient: bool,
    rule: Rule,
    wait: Option<(Duration, Duration)>,
    closes_gate: Option<RateLimit>,
    beyond_cap: bool,
    error: ProviderError,
}

impl Explanation {
    getters! {
        /// Whether a first attempt with this answer is followed by another, if deadline and budget allow it.
        pub fn retries(&self) -> bool => self.wait.is_some();

        /// Whether the failure counts as transient.
        pub fn is_transient(&self) -> bool => self.transient;

        /// The rule that decided.
        pub fn rule(&self) -> &Rule => &self.rule;

        /// The least and the most that the first retry waits.
        pub fn wait(&self) -> Option<(Duration, Duration)> => self.wait;

        /// Whether other calls wait too: all of this account, or all of this kind.
        pub fn closes_gate(&self) -> bool => self.closes_gate.is_some();

        /// The answer as the adapter reads it.
        pub fn error(&self) -> &ProviderError => &self.error;
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Unknown => f.write_str("unknown to every rule: ")?,
            rule => write!(f, "{} by {rule}: ", if self.transient { "transient" } else { "permanent" })?,
        }
        match self.wait {
            Some((least, most)) if least == most => write!(f, "retried after {least:?}")?,
            Some((least, most)) => write!(f, "retried after {least:?} to {most:?}")?,
            None if self.beyond_cap => f.write_str("not waited for, since Retry-After is above the cap")?,
            None => f.write_str("not retried")?,
        }
        match self.closes_gate {
            Some(RateLimit::Account) => f.write_str("; every call of this account waits"),
            Some(_) => f.write_str("; every look-up of this account waits"),
            None => Ok(()),
        }
    }
}

impl Retrier {
    /// Explains what a first attempt with this answer would lead to.
    pub(crate) fn explain(&self, answer: &Answer<'_>) -> Explanation {
        let error = self.provider.read_refusal(answer);
        let decision = decide(&error, &self.patterns);
        let transient = decision.transient != Transient::No;
        let ServerHint { wait: asked, closure, beyond_cap } = self.hint(&error);
        let closes_gate = closure.map(|(_, whom)| whom);
        let scheduled = self.retry.waits().bounds();
        let wait = match (asked.or(closure.map(|(wait, _)| wait)), scheduled) {
            _ if !transient || beyond_cap => None,
            (_, None) => None,
            (Some(least), Some(_)) => Some((least, least.saturating_add(most_spread(least)))),
            (None, Some(bounds)) => Some(bounds),
        };
        Explanation { transient, rule: decision.rule, wait, closes_gate, beyond_cap, error }
    }
}
