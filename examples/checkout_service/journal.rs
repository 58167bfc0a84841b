//! What happened: counts, and the last validations with every attempt and what it was decided by.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use payproof::envelope::Failure;
use payproof::provider::Attempt;
use payproof::{PaymentIntent, Provenance, ValidateError, Validation, Verdict};
use serde::Serialize;
use tokio::time::Instant;

/// More than happen within `RECENT` at the pace of the stage.
const KEPT: usize = 400;

/// How far back the provider's health is looked at: the breaker's window.
const RECENT: Duration = Duration::from_secs(10);

/// Calls that shared a flight end this close to one another.
const TOGETHER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Journal {
    clicks: AtomicU64,
    handler_runs: AtomicU64,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    entries: VecDeque<Entry>,
    last: u64,
    /// Handler runs of the orders that a page looks at.
    watched: BTreeMap<String, u64>,
}

/// One validation, or several that came to the same in the same way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Entry {
    number: u64,
    at: u64,
    #[serde(skip)]
    seen: Instant,
    times: u64,
    #[serde(flatten)]
    what: Answered,
}

/// What was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Answered {
    payment: String,
    order: String,
    money: String,
    /// The verdict, or `could_not_tell`.
    answer: &'static str,
    /// Of an error.
    code: Option<&'static str>,
    /// Every mismatch, or what the error says.
    detail: Option<String>,
    provenance: Option<&'static str>,
    degraded: Option<&'static str>,
    /// In whole seconds, as Retry-After says it; so clicks that meet the same open breaker make one entry.
    retry_after: Option<u64>,
    attempts: Vec<Tried>,
}

/// One provider call, for people.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Tried {
    number: u32,
    outcome: &'static str,
    reach: &'static str,
    status: Option<u16>,
    /// What decided whether it may be tried again.
    rule: Option<String>,
    took_ms: u64,
    wait_ms: Option<u64>,
    wait_reason: Option<&'static str>,
}

/// The provider's last seconds, as the attempts tell.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Recent {
    pub(crate) calls: usize,
    pub(crate) failed: usize,
    pub(crate) median_ms: Option<u64>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { clicks: AtomicU64::new(0), handler_runs: AtomicU64::new(0), book: Mutex::default() }
    }

    /// A request came in.
    pub(crate) fn clicked(&self) {
        self.clicks.fetch_add(1, Relaxed);
    }

    /// A request got as far as the handler.
    pub(crate) fn handler_runs(&self, order: &str) {
        self.handler_runs.fetch_add(1, Relaxed);
        if let Some(runs) = self.book().watched.get_mut(order) {
            *runs = runs.saturating_add(1);
        }
    }

    /// A validation ended.
    pub(crate) fn validated(&self, intent: &PaymentIntent, answer: &Result<Validation, ValidateError>) {
        self.book().enter(Answered::new(intent, answer));
    }

    pub(crate) fn clicks(&self) -> u64 {
        self.clicks.load(Relaxed)
    }

    pub(crate) fn all_handler_runs(&self) -> u64 {
        self.handler_runs.load(Relaxed)
    }

    /// Counts an order's handler runs from now on, until `unwatch`.
    pub(crate) fn watch(&self, order: &str) {
        self.book().watched.insert(order.to_owned(), 0);
    }

    pub(crate) fn unwatch(&self, order: &str) -> u64 {
        self.book().watched.remove(order).unwrap_or_default()
    }

    /// The last entries, the newest first.
    pub(crate) fn last(&self, entries: usize) -> Vec<Entry> {
        self.book().entries.iter().rev().take(entries).cloned().collect()
    }

    pub(crate) fn recent(&self) -> Recent {
        let book = self.book();
        let recent = book.entries.iter().filter(|entry| entry.seen.elapsed() <= RECENT);
        let attempts: Vec<_> = recent.flat_map(|entry| &entry.what.attempts).collect();
        let mut answered: Vec<_> =
            attempts.iter().filter(|tried| tried.rule.is_none()).map(|tried| tried.took_ms).collect();
        answered.sort_unstable();
        Recent {
            calls: attempts.len(),
            failed: attempts.iter().filter(|tried| tried.rule.is_some()).count(),
            median_ms: answered.get(answered.len() / 2).copied(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Calls that shared one flight share its attempts too; they make one entry, so that no provider call shows twice.
    fn enter(&mut self, what: Answered) {
        let mut recent = self.entries.iter_mut().rev().take_while(|entry| entry.seen.elapsed() < TOGETHER);
        let same = recent.find(|entry| entry.what == what);
        if let Some(entry) = same {
            entry.times = entry.times.saturating_add(1);
            return;
        }
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.last = self.last.saturating_add(1);
        self.entries.push_back(Entry { number: self.last, at: unix_millis(), seen: Instant::now(), times: 1, what });
    }
}

impl Answered {
    fn new(intent: &PaymentIntent, answer: &Result<Validation, ValidateError>) -> Self {
        let mut what = Self {
            payment: intent.payment().as_str().to_owned(),
            order: intent.order().unwrap_or_default().to_owned(),
            money: intent.money().to_string(),
            answer: "could_not_tell",
            code: None,
            detail: None,
            provenance: None,
            degraded: None,
            retry_after: None,
            attempts: Vec::new(),
        };
        match answer {
            Ok(validation) => {
                what.answer = validation.verdict().as_str();
                what.detail = match validation.verdict() {
                    Verdict::Valid(_) => None,
                    Verdict::Pending(pending) => Some(format!("the payment is {}", pending.status().as_str())),
                    Verdict::ActionRequired(action) => {
                        Some(format!("the shopper has to act: {}", action.reason().unwrap_or("no reason given")))
                    }
                    Verdict::Invalid(findings) => Some(findings.to_string()),
                };
                what.provenance = Some(validation.provenance().as_str());
                what.degraded = validation.degraded().map(payproof::Degradation::as_str);
                // The one who led the flight shows what it took.
                if validation.provenance() != Provenance::Coalesced {
                    what.attempts = validation.attempts().iter().map(Tried::from).collect();
                }
            }
            Err(error) => {
                what.code = Some(error.code());
                what.detail = Some(error.to_string());
                what.retry_after = Failure::from(error).retry_after_secs();
                what.attempts = error.attempts().iter().map(Tried::from).collect();
            }
        }
        what
    }
}

impl From<&Attempt> for Tried {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number(),
            outcome: attempt.outcome().as_str(),
            reach: attempt.reach().as_str(),
            status: attempt.status(),
            rule: attempt.outcome().rule().map(ToString::to_string),
            took_ms: millis(attempt.duration()),
            wait_ms: attempt.wait().map(|(wait, _)| millis(wait)),
            wait_reason: attempt.wait().map(|(_, reason)| reason.as_str()),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// For people: when it was, in milliseconds since 1970.
fn unix_millis() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, millis)
}
