//! A look at the store before it is needed.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::store::{Inspection, Severity, StoreFinding};

/// A checkout waits for one or two round trips; past this they are what it waits for.
const SLOW: Duration = Duration::from_millis(50);

/// A look is a dozen commands, and who asks for health may be many, or anybody.
const LOOKS_APART: Duration = Duration::from_secs(1);

/// What a look at the store found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preflight {
    /// What the store says of itself; `None` when it does not answer.
    pub store: Option<Inspection>,
    /// What its user should know, the worst first.
    pub findings: Vec<StoreFinding>,
}

impl Preflight {
    /// Whether nothing found keeps it from working.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() < Severity::Error)
    }
}

/// The last look, so that the store is looked at once a second at most, however often it is asked for.
#[derive(Debug, Default)]
pub(crate) struct LastLook(Mutex<Option<(Instant, Preflight)>>);

impl LastLook {
    /// What was found a moment ago, or is found now.
    pub(crate) async fn recent(&self, ledger: &Ledger) -> Preflight {
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, found)) if at.elapsed() < LOOKS_APART => found.clone(),
            _ => last.insert((Instant::now(), look(ledger).await)).1.clone(),
        }
    }
}

pub(crate) async fn look(ledger: &Ledger) -> Preflight {
    let (store, mut findings) = match ledger.inspect().await {
        Ok(inspection) => {
            let slow = (inspection.latency > SLOW).then_some(StoreFinding::Slow { latency: inspection.latency });
            let findings = inspection.findings.iter().cloned().chain(slow).collect();
            (Some(inspection), findings)
        }
        Err(error) => (None, vec![StoreFinding::Unreachable { reason: error.to_string().into() }]),
    };
    let durability = ledger.durability();
    let of_durability = [
        (!durability.shared, StoreFinding::NotShared),
        (!durability.durable, StoreFinding::Volatile),
        (durability.best_effort, StoreFinding::BestEffort),
    ];
    for (_, finding) in of_durability.into_iter().filter(|(holds, _)| *holds) {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity()));
    Preflight { store, findings }
}
