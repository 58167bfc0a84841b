//! From files to findings.

use crate::follow::Follower;
use crate::model::{Finding, Names, Route, Sources};
use crate::{routes, rules};

/// What the audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judged {
    /// Every route, in the order of files and lines.
    pub routes: Vec<Route>,
    /// Every finding, by path, line and rule.
    pub findings: Vec<Finding>,
}

/// Judges every route that one of `candidates` declares: paths of files that may hold routes.
///
/// Functions call each other some hundred levels deep: the thread needs a stack of 64 MiB.
#[must_use]
pub fn judge(sources: &dyn Sources, candidates: &[String], names: &Names) -> Judged {
    let mut candidates = candidates.to_vec();
    candidates.sort();
    let mut follower = Follower::new(sources, names);
    let judged = routes::all(&mut follower, &candidates);
    let findings = rules::judge(&follower, &judged, names);
    Judged { routes: judged.into_iter().map(|followed| followed.route).collect(), findings }
}
