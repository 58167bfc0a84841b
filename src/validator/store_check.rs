//! A look at the store before it is needed.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::account::Account;
use crate::ledger::LedgerError;
use crate::store::{Inspection, RestartLoss, Severity, StoreFinding};

/// A checkout waits for one or two round trips; past this they are what it waits for.
const SLOW: Duration = Duration::from_millis(50);

/// What a look at the store found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCheck {
    /// What the store says of itself; `None` when it does not answer.
    pub store: Option<Inspection>,
    /// What its user should know, the worst first.
    pub findings: Vec<StoreFinding>,
}

impl StoreCheck {
    /// Whether nothing found keeps it from working.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() < Severity::Error)
    }
}

/// A look, and one record that is written and read, where nothing found says already that it cannot be.
pub(crate) async fn check(account: &Account) -> StoreCheck {
    let mut checked = look(account).await;
    if checked.is_fit() {
        checked.findings.splice(..0, account.ledger.canary().await);
    }
    checked
}

async fn look(account: &Account) -> StoreCheck {
    found(account, account.ledger.inspect().await)
}

/// What was found a moment ago, or is found now.
pub(crate) async fn look_recently(account: &Account) -> StoreCheck {
    found(account, account.last_look.recent(&account.ledger).await)
}

fn found(account: &Account, inspected: Result<Inspection, LedgerError>) -> StoreCheck {
    let (store, mut findings) = match inspected {
        Ok(inspection) => {
            let slow = (inspection.latency > SLOW).then_some(StoreFinding::Slow { latency: inspection.latency });
            let loss = of_restart(account, &inspection);
            let findings: Vec<_> = inspection.findings.iter().cloned().chain(slow).chain(loss).collect();
            (Some(inspection), findings)
        }
        Err(error) => (None, vec![StoreFinding::Unreachable { reason: error.to_string().into() }]),
    };
    if account.is_alone_or_shared() {
        findings.retain(|finding| *finding != StoreFinding::NotShared);
    }
    let of_durability = [
        (!account.is_alone_or_shared(), StoreFinding::NotShared),
        (account.ledger.durability().best_effort, StoreFinding::BestEffort),
    ];
    for (_, finding) in of_durability.into_iter().filter(|(holds, _)| *holds) {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity()));
    StoreCheck { store, findings }
}

/// What a restart loses, if it loses anything. Of records that end with the process that is said already.
fn of_restart(account: &Account, inspection: &Inspection) -> Option<StoreFinding> {
    let (loss, stated) = (inspection.restart_loss, account.ledger.stated_loss());
    let is_said = loss == RestartLoss::Nothing || inspection.findings.contains(&StoreFinding::Volatile);
    (!is_said).then_some(StoreFinding::RestartLoses { loss, stated })
}

/// Looks once, beside the first use, and logs what needs an operator's attention.
pub(crate) fn look_once(account: &Arc<Account>) {
    // Read first: to write on each use would have the cores pass one word around.
    if account.looked.load(Relaxed) || Handle::try_current().is_err() || account.looked.swap(true, Relaxed) {
        return;
    }
    let account = Arc::clone(account);
    tokio::spawn(async move {
        for finding in look(&account).await.findings {
            if finding.severity() >= Severity::Warning {
                account.telemetry.store_finding(finding.code(), &finding);
            }
        }
    });
}
