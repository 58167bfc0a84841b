//! The retry loop: the only place that sleeps.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout_at};

use crate::attempt;
use crate::attempt_log::{Attempt, AttemptOutcome, Reach, WaitReason};
use crate::breaker::{Admission, CircuitBreaker, Health};
use crate::deadline::Deadline;
use crate::error::{Kind, Stopped, ValidateError};
use crate::facts::ProviderPayment;
use crate::gate::Gate;
use crate::intent::PaymentId;
use crate::provider::{AnyProvider, ProviderError, RateLimit};
use crate::stats::BreakerState;
use crate::telemetry::Telemetry;

mod backoff;
mod budget;
mod decision;
mod explain;
mod transient;

pub use backoff::{Jitter, Retry, Schedule};
pub(crate) use budget::Budget;
pub use budget::RetryBudget;
pub use explain::Explanation;
pub(crate) use transient::TransientPatterns;

use backoff::Waits;
use decision::{Decision, Transient, decide, health};

/// Past a Retry-After or a closed gate, callers come back spread over this share of the wait, so that they do not all
/// come at once. Only ever added: less than asked for would be refused again.
const SPREAD: f64 = 0.2;

/// The least spread, for waits so short that their share would spread nothing.
const MIN_SPREAD: Duration = Duration::from_millis(100);

/// The gate believes no Retry-After beyond this: one mistaken header must not close an account for good.
const LONGEST_CLOSURE: Duration = Duration::from_secs(24 * 60 * 60);

/// Silence for this share of a whole attempt tells something about the provider; less may be our own impatience.
const TELLING_SHARE: f64 = 0.5;

/// Everything that stands between a flight and the provider.
pub(crate) struct Retrier {
    pub(crate) provider: Box<dyn AnyProvider>,
    pub(crate) retry: Retry,
    pub(crate) attempt_timeout: Duration,
    pub(crate) retry_after_cap: Duration,
    pub(crate) patterns: TransientPatterns,
    pub(crate) gate: Gate,
    pub(crate) breaker: Option<CircuitBreaker>,
    pub(crate) budget: Option<Budget>,
    pub(crate) concurrency: Option<Semaphore>,
    pub(crate) rng: Mutex<StdRng>,
}

impl fmt::Debug for Retrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrier").field("provider", &self.provider).field("retry", &self.retry).finish_non_exhaustive()
    }
}

/// One generator for all calls, so that no two draw the same sequence.
pub(crate) fn rng(seed: Option<u64>) -> Mutex<StdRng> {
    Mutex::new(seed.map_or_else(rand::make_rng, StdRng::seed_from_u64))
}

/// What is allowed to go to the provider now.
struct Passage<'r> {
    _permit: Option<SemaphorePermit<'r>>,
    admission: Option<Admission<'r>>,
}

impl Passage<'_> {
    /// Frees the place, and tells the breaker how it went; without a word on that, that it says nothing.
    fn leave(self, health: Option<Health>, now: Instant) {
        if let (Some(admission), Some(health)) = (self.admission, health) {
            admission.report(now, health);
        }
    }
}

/// One call on its way through its attempts.
struct Progress<'r> {
    waits: Waits<'r>,
    attempts: Vec<Attempt>,
    last: Option<ProviderError>,
    unreadable_before: bool,
}

impl Progress<'_> {
    fn fail(self, kind: impl FnOnce(Option<ProviderError>) -> Kind, retry_after: Option<Duration>) -> ValidateError {
        ValidateError::after_attempts(kind(self.last), retry_after, self.attempts)
    }

    fn give_up(self, stopped: Stopped, error: ProviderError) -> ValidateError {
        let retry_after = error.wait();
        ValidateError::after_attempts(Kind::Provider { stopped, error }, retry_after, self.attempts)
    }
}

impl Retrier {
    /// Asks until there is an answer, or a reason to stop. `started` hears of each attempt.
    pub(crate) async fn run(
        &self,
        payment: &PaymentId,
        deadline: Deadline,
        telemetry: &Telemetry,
        started: impl Fn(Option<Instant>),
    ) -> Result<(ProviderPayment, Vec<Attempt>), ValidateError> {
        let begin = Instant::now();
        let mut progress =
            Progress { waits: self.retry.waits(), attempts: Vec::new(), last: None, unreadable_before: false };
        loop {
            let passage = match self.pass(deadline).await {
                Ok(passage) => passage,
                Err(Refusal::GateClosed(wait)) => {
                    return Err(progress.fail(|last| Kind::GateClosed { last }, Some(wait)));
                }
                Err(Refusal::BreakerOpen(wait)) => {
                    return Err(progress.fail(|last| Kind::BreakerOpen { last }, Some(wait)));
                }
                Err(Refusal::Deadline) => {
                    return Err(progress.fail(|last| Kind::Deadline { limit: deadline.limit(), last }, None));
                }
            };
            let start = Instant::now();
            let number = u32::try_from(progress.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
            let until = deadline.attempt_until(start, self.attempt_timeout);
            let limit = until.saturating_duration_since(start);
            started(Some(start));
            let answer = attempt::look_up(&*self.provider, payment, number, until, limit).await;
            let end = Instant::now();
            let record = |reach, status, request_id, outcome| Attempt {
                number,
                offset: start.saturating_duration_since(begin),
                duration: end.saturating_duration_since(start),
                reach,
                status,
                request_id,
                outcome,
                wait: None,
            };
            let error = match answer {
                Ok(mut facts) => {
                    passage.leave(Some(Health::Up), end);
                    if let Some(budget) = &self.budget {
                        budget.success(end);
                    }
                    let record = record(Reach::Answered, None, facts.request_id.take(), AttemptOutcome::Facts);
                    telemetry.attempt(&record, None);
                    progress.attempts.push(record);
                    return Ok((facts, progress.attempts));
                }
                Err(error) => error,
            };
            started(None);
            let decision = decide(&error, &self.patterns);
            let out_of_time = error.is_timeout() && limit < self.attempt_timeout;
            // An attempt that had little time, for what was left of the deadline, says nothing about the provider.
            let full = self.attempt_timeout.min(deadline.limit());
            let had_little_time = error.is_timeout() && limit < full.mul_f64(TELLING_SHARE);
            passage.leave((!had_little_time).then(|| health(&error, &decision)), end);
            let outcome = match decision.transient {
                Transient::No => AttemptOutcome::Permanent(decision.rule.clone()),
                Transient::Once | Transient::Yes => AttemptOutcome::Transient(decision.rule.clone()),
            };
            let request_id = error.provider_request_id().map(Into::into);
            let mut record = record(error.reach(), error.http_status(), request_id, outcome);
            let plan = if out_of_time {
                Err(Stopped::NoTimeLeft)
            } else {
                self.plan(&mut progress, &error, &decision, deadline, end)
            };
            record.wait = plan.ok();
            telemetry.attempt(&record, Some(&error));
            progress.attempts.push(record);
            match plan {
                Ok((wait, _reason)) => {
                    progress.last = Some(error);
                    sleep(wait).await;
                }
                Err(_) if out_of_time => {
                    progress.last = Some(error);
                    return Err(progress.fail(|last| Kind::Deadline { limit: deadline.limit(), last }, None));
                }
                Err(stopped) => return Err(progress.give_up(stopped, error)),
            }
        }
    }

    /// Waits for the gate and for a place, and asks the breaker. Never holds a place while waiting for the gate.
    async fn pass(&self, deadline: Deadline) -> Result<Passage<'_>, Refusal> {
        loop {
            let now = Instant::now();
            if now >= deadline.at() {
                return Err(Refusal::Deadline);
            }
            if let Some(closed) = self.gate.closed_for(now) {
                let wait = self.spread(closed);
                if closed > self.retry_after_cap || !deadline.allows(now, wait) {
                    return Err(Refusal::GateClosed(closed));
                }
                sleep(wait).await;
                continue;
            }
            let permit = match &self.concurrency {
                None => None,
                Some(places) => match places.try_acquire() {
                    Ok(permit) => Some(permit),
                    Err(_) => match timeout_at(deadline.at(), places.acquire()).await {
                        // It may have been a long wait: look at the gate again.
                        Ok(Ok(permit)) if self.gate.closed_for(Instant::now()).is_none() => Some(permit),
                        Ok(_) => continue,
                        Err(_elapsed) => return Err(Refusal::Deadline),
                    },
                },
            };
            let admission = match &self.breaker {
                None => None,
                Some(breaker) => Some(breaker.admit(Instant::now()).map_err(Refusal::BreakerOpen)?),
            };
            return Ok(Passage { _permit: permit, admission });
        }
    }

    /// How long to wait before the next attempt, or why there is none.
    fn plan(
        &self,
        progress: &mut Progress<'_>,
        error: &ProviderError,
        decision: &Decision,
        deadline: Deadline,
        now: Instant,
    ) -> Result<(Duration, WaitReason), Stopped> {
        // The schedule may be the user's own code, which is never called under a lock.
        let scheduled = progress.waits.nominal().map(|nominal| {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            progress.waits.jittered(nominal, &mut *rng)
        });
        let asked = error.wait().filter(|wait| !wait.is_zero());
        let limits_account = error.limits() == Some(RateLimit::Account);
        if limits_account {
            // Also when this call gives up: the others must not run into the same limit.
            let closure = asked.or(scheduled).unwrap_or(MIN_SPREAD).min(LONGEST_CLOSURE);
            self.gate.close(now, closure);
        }
        match decision.transient {
            Transient::No => return Err(Stopped::Permanent),
            Transient::Once if progress.unreadable_before => return Err(Stopped::RetriesUsed),
            Transient::Once => progress.unreadable_before = true,
            Transient::Yes => {}
        }
        let scheduled = scheduled.ok_or(Stopped::RetriesUsed)?;
        let (wait, reason) = match asked {
            Some(asked) if asked > self.retry_after_cap => return Err(Stopped::WaitTooLong),
            _ if limits_account => (self.spread(asked.unwrap_or(scheduled)), WaitReason::Gate),
            Some(asked) => (self.spread(asked), WaitReason::RetryAfter),
            None => (scheduled, WaitReason::Schedule),
        };
        if !deadline.allows(now, wait) {
            return Err(if asked.is_some() { Stopped::WaitTooLong } else { Stopped::NoTimeLeft });
        }
        match &self.budget {
            Some(budget) if !budget.take(now) => Err(Stopped::BudgetEmpty),
            _ => Ok((wait, reason)),
        }
    }

    /// A little more than `wait`, never less.
    fn spread(&self, wait: Duration) -> Duration {
        let most = wait.mul_f64(SPREAD).max(MIN_SPREAD);
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        wait.saturating_add(rng.random_range(Duration::ZERO..=most))
    }

    pub(crate) fn breaker_state(&self) -> Option<BreakerState> {
        self.breaker.as_ref().map(|breaker| breaker.state(Instant::now()))
    }

    pub(crate) fn budget_level(&self) -> Option<f64> {
        self.budget.as_ref().map(|budget| budget.level(Instant::now()))
    }
}

enum Refusal {
    GateClosed(Duration),
    BreakerOpen(Duration),
    Deadline,
}
