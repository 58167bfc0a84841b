//! A look at the store before it is needed.

use std::cmp::Reverse;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use crate::call::deadline::after;
use crate::ledger::{Ledger, LedgerError};
use crate::store::{Inspection, RestartLoss, Severity, StoreFinding};

use super::Account;

/// A checkout waits for one or two round trips; past this they are what it waits for.
const SLOW: Duration = Duration::from_millis(50);

/// A look is up to a dozen commands, and health may be asked for by any client that reaches its page.
const LOOKS_APART: Duration = Duration::from_secs(1);

/// Less than the time in which health is told.
const LONGEST_AT_FORMER: Duration = Duration::from_millis(500);

/// One round trip a minute for each process that uses the store. A loss is found by then, and what it may have cost lies between
/// two looks.
const LOSS_LOOKS_APART: Duration = Duration::from_secs(60);

/// What the store last said, so that it is looked at once a second at most, however often health is asked for.
pub(crate) type LastLook = Mutex<Option<(Instant, StoreCheck)>>;

/// What a look at the store found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCheck {
    /// What the store says of itself; `None` when it does not answer.
    pub store: Option<Inspection>,
    /// What its user should know, the worst first; also of the store that
    /// [`redemptions_moved_from`](crate::ValidatorBuilder::redemptions_moved_from) names.
    pub findings: Vec<StoreFinding>,
}

impl StoreCheck {
    /// Whether nothing found keeps it from working.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity() < Severity::Error)
    }

    fn with(mut self, findings: Vec<StoreFinding>) -> Self {
        self.findings.extend(findings);
        self.findings.sort_by_key(|finding| Reverse(finding.severity()));
        self
    }
}

/// The task that watches the store. It ends with its runtime, and the next use of the store then begins another.
struct Watching(Weak<Account>);

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(account) = self.0.upgrade() {
            account.watched.store(false, Relaxed);
        }
    }
}

impl Account {
    /// A look, and one record that is written and read, where nothing found says already that it cannot be.
    pub(crate) async fn check_store(&self) -> StoreCheck {
        let (mut checked, former) = self.look_at_both().await;
        if checked.is_fit() {
            checked.findings.splice(..0, self.ledger.canary().await);
        }
        checked.with(former)
    }

    async fn look_at_both(&self) -> (StoreCheck, Vec<StoreFinding>) {
        join(self.look(), self.look_at_former()).await
    }

    async fn look(&self) -> StoreCheck {
        let inspected = self.ledger.inspect().await;
        let findings = self.findings(&self.ledger, &inspected);
        StoreCheck { store: inspected.ok(), findings: Vec::new() }.with(findings)
    }

    /// What is found of the store that redemptions were moved from, if there is one. The look at the other does not wait for it.
    async fn look_at_former(&self) -> Vec<StoreFinding> {
        let Some(former) = &self.former_redemptions else { return Vec::new() };
        let (limit, look) = (LONGEST_AT_FORMER, former.inspect());
        let inspected = timeout(limit, look).await.unwrap_or(Err(LedgerError::TimedOut { limit }));
        self.findings(former, &inspected).into_iter().map(of_former).collect()
    }

    /// What was found a moment ago, or is found now. Dropped, it leaves the look to the next caller.
    pub(crate) async fn check_store_recently(&self) -> StoreCheck {
        let mut last = self.last_look.lock().await;
        match &*last {
            Some((at, checked)) if at.elapsed() < LOOKS_APART => checked.clone(),
            _ => {
                let (checked, former) = self.look_at_both().await;
                last.insert((Instant::now(), checked.with(former))).1.clone()
            }
        }
    }

    /// Looks once, beside the first use of the operator's store, and logs what needs attention. From then on, each minute, it
    /// looks whether the store still has what it acknowledged.
    pub(crate) fn watch_store(self: &Arc<Self>) {
        // Read first: to write on each use would have the cores pass one word around.
        let has_store = self.has_store || self.former_redemptions.is_some();
        let is_due = has_store && !self.watched.load(Relaxed) && Handle::try_current().is_ok();
        if !is_due || self.watched.swap(true, Relaxed) {
            return;
        }
        let watching = Watching(Arc::downgrade(self));
        // The task may be one of many, each of which ends with its runtime before a minute is over.
        let in_a_minute = after(Instant::now(), LOSS_LOOKS_APART);
        let mut due = (*self.loss_look_due.lock().get_or_insert(in_a_minute)).min(in_a_minute);
        tokio::spawn(async move {
            if let Some(account) = watching.0.upgrade() {
                account.log_look().await;
            }
            loop {
                sleep_until(due).await;
                // The last handle to the account is gone.
                let Some(account) = watching.0.upgrade() else { break };
                account.look_for_loss().await;
                due = after(Instant::now(), LOSS_LOOKS_APART);
                *account.loss_look_due.lock() = Some(due);
            }
        });
    }

    async fn log_look(&self) {
        if self.looked.load(Relaxed) {
            return;
        }
        let (checked, former) = self.look_at_both().await;
        let own = if self.has_store { checked.findings } else { Vec::new() };
        for finding in own.into_iter().chain(former).filter(|finding| finding.severity() >= Severity::Warning) {
            self.telemetry.store_finding(finding.code(), &finding);
        }
        // Now only, since the look breaks off where its runtime ends.
        self.looked.store(true, Relaxed);
    }

    /// A store that does not answer is told of by those who need it.
    async fn look_for_loss(&self) {
        if self.has_store
            && let Ok(Some(lost)) = self.ledger.look_for_loss().await
        {
            self.telemetry.records_lost(lost.code(), &lost);
        }
        if let Some(former) = &self.former_redemptions
            && let Ok(Some(lost)) = former.look_for_loss().await
        {
            self.telemetry.records_lost(lost.code(), &of_former(lost));
        }
    }

    fn findings(&self, ledger: &Ledger, inspected: &Result<Inspection, LedgerError>) -> Vec<StoreFinding> {
        let mut findings = match inspected {
            Ok(inspection) => {
                let slow = (inspection.latency > SLOW).then_some(StoreFinding::Slow { latency: inspection.latency });
                let loss = of_restart(ledger, inspection);
                inspection.findings.iter().cloned().chain(slow).chain(loss).collect()
            }
            Err(error) => vec![StoreFinding::Unreachable { reason: error.to_string().into() }],
        };
        let is_local = !self.sees_all_of(ledger);
        findings.retain(|finding| is_local || *finding != StoreFinding::NotShared);
        let is_best_effort = ledger.durability().best_effort;
        for (holds, finding) in [(is_local, StoreFinding::NotShared), (is_best_effort, StoreFinding::BestEffort)] {
            if holds && !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        findings
    }
}

fn of_former(finding: StoreFinding) -> StoreFinding {
    StoreFinding::MovedFrom(Box::new(finding))
}

/// What a restart loses, if it loses anything. Of records that end with the process that is said already.
fn of_restart(ledger: &Ledger, inspection: &Inspection) -> Option<StoreFinding> {
    let (loss, stated) = (inspection.restart_loss, ledger.stated_loss);
    let is_said = loss == RestartLoss::Nothing || inspection.findings.contains(&StoreFinding::Volatile);
    (!is_said).then_some(StoreFinding::RestartLoses { loss, stated })
}
