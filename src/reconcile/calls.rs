//! The calls to the provider: one at a time, at a pace, and written down as they come.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::account::PageTrail;
use crate::call::error::CallError;
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;
use crate::provider::{ChangeOf, ListCursor, ListOf, ListQuery, Listed, ListedItem, ProviderError};
use crate::validator::Validator;

use super::aliases::is_without_payment;
use super::error::ReconcileError;
use super::folder::WorkFolder;
use super::merge::{KeyGroups, Merge};
use super::off_thread;
use super::plan::{Log, LogStep, PhaseProgress, RunPhase};
use super::rows::{ChangeRow, PaymentRow};
use super::run_file::{decode, row};
use super::sort::Sorter;

/// So many pages, or look-ups, are lost at most where a run breaks off: two minutes at the default pace.
const CALLS_A_STEP: u64 = 500;

/// After so many look-ups in a row that failed, the provider is down, and the rest is left to a later run.
const MOST_FAILURES: u32 = 20;

/// Asks the provider, and holds the pace.
#[derive(Debug)]
pub(super) struct Caller {
    validator: Validator,
    every: Duration,
    next: Instant,
}

impl Caller {
    pub(super) fn new(validator: Validator, calls_a_second: u32) -> Self {
        let every = Duration::from_secs(1).checked_div(calls_a_second).unwrap_or(Duration::from_secs(1));
        Self { validator, every, next: Instant::now() }
    }

    async fn take_turn(&mut self) {
        sleep_until(self.next).await;
        self.next = self.next.max(Instant::now()).checked_add(self.every).unwrap_or(self.next);
    }

    async fn page(&mut self, query: &ListQuery) -> Result<Listed, CallError> {
        self.take_turn().await;
        self.validator.0.account.list_page(query).await
    }

    /// Looks a payment up past everything that is kept of it, and leaves nothing behind.
    async fn look_up(&mut self, payment: &PaymentId) -> Result<ProviderPayment, CallError> {
        self.take_turn().await;
        let account = &self.validator.0.account;
        let facts = account.retrier.look_up_aside(payment, &account.telemetry).await?;
        Ok(self.kept(facts))
    }

    /// What is judged of facts. No customer is: an order names none.
    fn kept(&self, mut facts: ProviderPayment) -> ProviderPayment {
        self.validator.0.prepare(&mut facts, &[]);
        facts.customer = None;
        facts
    }
}

/// What one phase writes down.
struct Writing<'l> {
    folder: Arc<WorkFolder>,
    log: &'l mut Log,
    sorter: Option<Sorter>,
    step: LogStep,
}

impl<'l> Writing<'l> {
    fn of(
        phase: RunPhase,
        progress: &PhaseProgress,
        folder: &Arc<WorkFolder>,
        log: &'l mut Log,
        memory: usize,
    ) -> Self {
        let sorter = Sorter::new(folder.path(), phase.name(), memory, progress.runs.clone());
        Self { folder: Arc::clone(folder), log, sorter: Some(sorter), step: LogStep::of(phase) }
    }

    fn push(&mut self, key: &str, value: &PaymentRow) -> Result<(), ReconcileError> {
        if let Some(sorter) = &mut self.sorter {
            sorter.push(key.as_bytes(), &row(value)?)?;
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.step.calls >= CALLS_A_STEP || self.sorter.as_ref().is_some_and(Sorter::is_full)
    }

    /// Writes down what came, and then that it is there, and where the phase goes on.
    async fn write(&mut self, cursor: Option<&str>, is_done: bool) -> Result<(), ReconcileError> {
        let Some(mut sorter) = self.sorter.take() else { return Ok(()) };
        let (sorter, run) = off_thread(&self.folder, move |_| {
            let run = sorter.flush()?;
            Ok((sorter, run))
        })
        .await?;
        self.sorter = Some(sorter);
        let next = LogStep::of(self.step.phase);
        let step = std::mem::replace(&mut self.step, next);
        Ok(self.log.add(LogStep { run, cursor: cursor.map(Into::into), is_done, ..step })?)
    }
}

/// Lists what there is of a window, from where an earlier run broke off: what is told of the run's own window, and of the time that
/// is listed besides. Why it broke off, if it did.
pub(super) async fn list(
    caller: &mut Caller,
    (folder, log): (&Arc<WorkFolder>, &mut Log),
    (phase, what): (RunPhase, ListOf),
    (listed, told): (Range<u64>, Range<u64>),
    memory: usize,
) -> Result<Option<Box<str>>, ReconcileError> {
    let progress = log.progress(phase);
    if progress.is_done {
        return Ok(None);
    }
    let empty = |_| ReconcileError::WindowEmpty { since: listed.start, until: listed.end };
    let first = ListQuery::new(what, listed.start, listed.end).map_err(empty)?;
    let mut cursor = progress.cursor.as_deref().map(ListCursor::parse).transpose().unwrap_or_default();
    let mut trail = PageTrail::new(cursor.clone());
    let mut writing = Writing::of(phase, &progress, folder, log, memory);
    loop {
        let query = match &cursor {
            Some(cursor) => first.clone().with_cursor(cursor.clone()),
            None => first.clone(),
        };
        let page = match caller.page(&query).await {
            Ok(page) => page,
            Err(error) if is_unsupported(&error) => {
                if what == ListOf::Payments {
                    return Err(ReconcileError::ListingUnsupported);
                }
                Listed::default()
            }
            Err(error) => {
                writing.write(cursor.as_ref().map(ListCursor::as_str), false).await?;
                // What the adapter itself says is more exact: an entry that is too large, a cursor of another list.
                let code = error.provider().and_then(ProviderError::code).unwrap_or(error.condition().code);
                let text = format!("{}: a page could not be had: {code}", what.as_str());
                return Ok(Some(text.into()));
            }
        };
        writing.step.calls = writing.step.calls.saturating_add(1);
        writing.step.is_cut |= page.complete_since.is_some_and(|from| from > told.start);
        for item in page.items {
            take(caller, &mut writing, item, &told)?;
        }
        let Some(next) = page.next else {
            writing.write(None, true).await?;
            return Ok(None);
        };
        if let Err(error) = trail.go_on(&next) {
            writing.write(Some(next.as_str()), false).await?;
            return Ok(Some(format!("{}: {error}", what.as_str()).into()));
        }
        if writing.is_due() {
            writing.write(Some(next.as_str()), false).await?;
        }
        cursor = Some(next);
    }
}

fn is_unsupported(error: &CallError) -> bool {
    error.provider().is_some_and(|error| error.code() == Some("unsupported"))
}

/// Writes an item of a list down.
fn take(caller: &Caller, writing: &mut Writing<'_>, item: ListedItem, told: &Range<u64>) -> Result<(), ReconcileError> {
    writing.step.items = writing.step.items.saturating_add(1);
    match item {
        ListedItem::Payment(facts) => {
            let facts = caller.kept(*facts);
            let id = facts.id.clone();
            writing.push(&id, &PaymentRow::Listed(Box::new(facts)))
        }
        ListedItem::Changed { payment, at, what } => {
            let [is_paid, is_refund, is_dispute] =
                [ChangeOf::Paid, ChangeOf::Refunded, ChangeOf::Disputed].map(|change| what == change);
            writing.push(payment.as_str(), &PaymentRow::Changed(ChangeRow { at, is_paid, is_refund, is_dispute }))
        }
        ListedItem::Unreadable { payment: Some(payment), .. } => {
            writing.push(payment.as_str(), &PaymentRow::Unreadable)
        }
        ListedItem::Unreadable { payment: None, made } => {
            // One of another window is that run's to tell.
            let is_concerned = made.start < told.end && told.start < made.end;
            writing.step.unreadable = writing.step.unreadable.saturating_add(is_concerned.into());
            Ok(())
        }
    }
}

/// What came of the look-ups of a phase.
pub(super) struct PhaseLookUps {
    /// How many there were.
    pub(super) payments: u64,
    pub(super) missing: Option<Box<str>>,
}

/// Looks payments up that come in the order of their ids, but for those that were before this run broke off.
pub(super) async fn look_up(
    caller: &mut Caller,
    (folder, log): (&Arc<WorkFolder>, &mut Log),
    phase: RunPhase,
    mut ids: impl FnMut() -> io::Result<Option<Box<str>>> + Send,
    memory: usize,
) -> Result<PhaseLookUps, ReconcileError> {
    let progress = log.progress(phase);
    let runs = progress.runs.clone();
    let mut before = off_thread(folder, move |folder| AnswersBefore::open(folder.path(), &runs)).await?;
    let mut writing = Writing::of(phase, &progress, folder, log, memory);
    let (mut payments, mut in_a_row, mut failed, mut why) = (0_u64, 0_u32, 0_u64, "");
    while let Some(id) = ids()? {
        let known = before.of(&id)?;
        let Ok(payment) = PaymentId::parse(&id) else { continue };
        payments = payments.saturating_add(1);
        if known == Some(LookUpAnswer::Came) {
            continue;
        }
        let answer = caller.look_up(&payment).await;
        writing.step.calls = writing.step.calls.saturating_add(1);
        if let Err(error) = &answer {
            in_a_row = in_a_row.saturating_add(1);
            if in_a_row >= MOST_FAILURES {
                writing.write(None, false).await?;
                let missing = format!("{}: the provider answered none of the last ones", phase.name());
                return Ok(PhaseLookUps { payments, missing: Some(missing.into()) });
            }
            let condition = error.condition();
            if condition.is_retryable {
                (failed, why) = (failed.saturating_add(1), condition.code);
            }
        } else {
            in_a_row = 0;
        }
        if known.is_none() || answer.is_ok() {
            write_answer(&mut writing, &id, answer)?;
        }
        if writing.is_due() {
            writing.write(None, false).await?;
        }
    }
    writing.write(None, true).await?;
    let missing = (failed > 0).then(|| format!("{}: {failed} failed: {why}", phase.name()).into());
    Ok(PhaseLookUps { payments, missing })
}

/// What came of looking a payment up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookUpAnswer {
    Came,
    Failed,
}

/// What came of the look-ups of a phase before it broke off, read in the order of their ids.
struct AnswersBefore {
    groups: KeyGroups,
    is_over: bool,
}

impl AnswersBefore {
    fn open(folder: &Path, runs: &[Box<str>]) -> io::Result<Self> {
        let mut answers = Self { groups: KeyGroups::of(Merge::open(folder, "answers-input", runs)?), is_over: false };
        answers.advance()?;
        Ok(answers)
    }

    fn advance(&mut self) -> io::Result<()> {
        self.is_over = !self.groups.advance()?;
        Ok(())
    }

    /// What came of looking this one up, if it was.
    fn of(&mut self, id: &str) -> io::Result<Option<LookUpAnswer>> {
        while !self.is_over && self.groups.key() < id.as_bytes() {
            self.advance()?;
        }
        if self.is_over || self.groups.key() != id.as_bytes() {
            return Ok(None);
        }
        let mut known = None;
        for value in self.groups.values() {
            match decode(value)? {
                PaymentRow::LookedUp(_) => return Ok(Some(LookUpAnswer::Came)),
                PaymentRow::Failed(_) => known = Some(LookUpAnswer::Failed),
                _ => {}
            }
        }
        Ok(known)
    }
}

fn write_answer(
    writing: &mut Writing<'_>,
    id: &str,
    answer: Result<ProviderPayment, CallError>,
) -> Result<(), ReconcileError> {
    match answer {
        Ok(facts) => {
            if *facts.id != *id {
                writing.push(&facts.id.clone(), &PaymentRow::HasAlias(id.into()))?;
            }
            if is_without_payment(id, &facts) {
                writing.push(id, &PaymentRow::StandsFor(id.into()))?;
            }
            writing.push(id, &PaymentRow::LookedUp(Box::new(facts)))
        }
        Err(error) => writing.push(id, &PaymentRow::Failed(error.condition().code.into())),
    }
}

/// The ids of a set, one after the other.
pub(super) fn each_of(ids: BTreeSet<Box<str>>) -> impl FnMut() -> io::Result<Option<Box<str>>> + Send {
    let mut ids = ids.into_iter();
    move || Ok(ids.next())
}
