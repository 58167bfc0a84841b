//! The retry loop: the only place that sleeps.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};

use crate::accessors::partial_debug;
use crate::call::breaker::ProviderHealth;
use crate::call::concurrency::Concurrency;
use crate::call::deadline::Deadline;
use crate::call::error::{CallError, Stopped};
use crate::call::gate::Passing;
use crate::provider::attempt_log::{Rule, WaitReason};
use crate::provider::{AnyProvider, ProviderError, RateLimit};
use crate::telemetry::Telemetry;
use crate::telemetry::stats::BreakerState;

mod backoff;
mod budget;
mod course;
mod decision;
mod explain;
mod lane;
mod look_up;
mod transient;
mod work;

pub use backoff::{Jitter, Retry, Schedule};
pub(crate) use budget::Budget;
pub use budget::RetryBudget;
pub use explain::Explanation;
pub(crate) use lane::{Lane, Traffic};
pub(crate) use look_up::LookUpAnswer;
pub(crate) use transient::TransientPatterns;
pub(crate) use work::{Finished, Work};

use course::Course;
use decision::{RetryDecision, Transient, decide, health};
use lane::Passage;

/// Past a Retry-After or a closed gate, callers come back spread over this share of the wait, so that they do not all
/// come at once. Only ever added: less than asked for would be refused again.
const SPREAD: f64 = 0.2;

/// The least spread, for waits so short that their share would spread nothing.
const MIN_SPREAD: Duration = Duration::from_millis(100);

/// A call whose time is over while the gate is probed comes back after this.
const PROBED_SOON: Duration = Duration::from_secs(1);

/// Silence for this share of a whole attempt tells something about the provider; less may be our own impatience.
const TELLING_SHARE: f64 = 0.5;

/// Everything that stands between a flight and the provider.
pub(crate) struct Retrier {
    pub(crate) provider: Box<dyn AnyProvider>,
    pub(crate) retry: Retry,
    pub(crate) attempt_timeout: Duration,
    pub(crate) retry_after_cap: Duration,
    pub(crate) patterns: TransientPatterns,
    pub(crate) look_ups: Lane,
    pub(crate) guarded: Lane,
    pub(crate) budget: Option<Budget>,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) rng: Mutex<StdRng>,
}

partial_debug!(Retrier, self => provider: self.provider, retry: self.retry);

/// One generator for all calls, so that no two draw the same sequence.
pub(crate) fn rng(seed: Option<u64>) -> Mutex<StdRng> {
    Mutex::new(seed.map_or_else(rand::make_rng, StdRng::seed_from_u64))
}

/// What an error asks for, by whichever rule it is decided.
struct Demand {
    /// Retry-After, unless it is zero.
    wait: Option<Duration>,
    /// How long every call has to wait that the limit concerns, and which those are, if they have to.
    closure: Option<(Duration, RateLimit)>,
    beyond_cap: bool,
}

/// Why nothing may go to the provider now.
#[derive(Clone, Copy)]
enum Refusal {
    GateClosed(Duration),
    BreakerOpen(Duration),
    Deadline,
}

impl Retrier {
    /// Tries until there is an answer, or a reason to stop.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` holds each argument twice, and the leader's task, made for each miss, should be small"
    )]
    pub(crate) fn pursue<'r, W: Work + 'r>(
        &'r self,
        mut work: W,
        begin: Instant,
        deadline: Deadline,
        telemetry: &'r Telemetry,
    ) -> impl Future<Output = Result<W::Output, CallError>> + Send + 'r {
        async move {
            let mut course = Course::new(begin, deadline, self.retry.waits());
            let mut now = begin;
            loop {
                let passage = match self.pass(W::TRAFFIC, deadline, now).await {
                    Ok(passage) => passage,
                    Err(refusal) => return Err(course.refused(refusal)),
                };
                let (start, number) = (passage.at, course.next_number());
                let until = deadline.attempt_until(start, self.attempt_timeout);
                let limit = until.saturating_duration_since(start);
                let answer = work.attempt(number, start, until, limit).await;
                now = Instant::now();
                let error = match answer {
                    Ok(answer) => {
                        passage.leave(Some(ProviderHealth::Up), now);
                        if let Some(budget) = &self.budget {
                            budget.success(now);
                        }
                        return Ok(course.answered::<W>(answer, start, now, telemetry));
                    }
                    Err(error) => error,
                };
                let may_go_on = work.failed(&error, now);
                let decision = decide(&error, &self.patterns);
                let out_of_time = error.is_timeout() && limit < self.attempt_timeout;
                let plan = if out_of_time {
                    Err(Stopped::NoTimeLeft)
                } else {
                    self.plan(W::TRAFFIC, &mut course, &error, &decision, may_go_on, now)
                };
                // The place is free only now, so that no other call slips in before the gate is closed.
                passage.leave(self.health(&error, &decision, limit, deadline), now);
                course.failed(&error, decision, plan.ok(), start, now, telemetry);
                match plan {
                    Ok((wait, _reason)) => {
                        course.last = Some(error);
                        // Boxed, as all rare waits are: the leader's task is made for each miss, and should be small.
                        Box::pin(sleep(wait)).await;
                        now = Instant::now();
                    }
                    Err(_) if out_of_time => {
                        course.last = Some(error);
                        return Err(course.refused(Refusal::Deadline));
                    }
                    Err(stopped) => return Err(course.stopped(stopped, error)),
                }
            }
        }
    }

    /// Waits for the gate and for a place, and asks the breaker. Never holds a place while waiting for the gate.
    async fn pass(&self, traffic: Traffic, deadline: Deadline, mut now: Instant) -> Result<Passage<'_>, Refusal> {
        let Lane { gate, breaker } = self.lane(traffic);
        loop {
            if now >= deadline.at() {
                return Err(Refusal::Deadline);
            }
            let probe = match gate.pass(now) {
                Passing::Open => None,
                Passing::Probe(probe) => Some(probe),
                Passing::Closed { left, asked } => {
                    let wait = self.spread(left);
                    if asked > self.retry_after_cap || !deadline.allows(now, wait) {
                        return Err(Refusal::GateClosed(asked));
                    }
                    Box::pin(sleep(wait)).await;
                    now = Instant::now();
                    continue;
                }
                Passing::Probed(changed, longest) => {
                    let left = deadline.left(now).min(longest.saturating_add(PROBED_SOON));
                    let _ = Box::pin(timeout(left, changed)).await;
                    // Those who waited come back spread, however the probe ended.
                    let wait = self.spread(Duration::ZERO);
                    if !deadline.allows(Instant::now(), wait) {
                        return Err(Refusal::GateClosed(PROBED_SOON));
                    }
                    Box::pin(sleep(wait)).await;
                    now = Instant::now();
                    continue;
                }
            };
            let permit = match self.concurrency.as_ref().map(|places| (places, places.try_take(now, deadline.at()))) {
                None => None,
                Some((_, Some(permit))) => Some(permit),
                Some((places, None)) => {
                    let permit = Box::pin(places.take(now, deadline.at())).await;
                    now = Instant::now();
                    Some(permit.ok_or(Refusal::Deadline)?)
                }
            };
            // The call that had the permit before may have closed the gate.
            if permit.is_some() && probe.is_none() && !gate.is_open() {
                continue;
            }
            let admission = match breaker {
                None => None,
                Some(breaker) => Some(breaker.admit(now).map_err(Refusal::BreakerOpen)?),
            };
            return Ok(Passage { _permit: permit, probe, admission, at: now });
        }
    }

    /// How long to wait before the next attempt, or why there is none.
    fn plan(
        &self,
        traffic: Traffic,
        course: &mut Course<'_>,
        error: &ProviderError,
        decision: &RetryDecision,
        may_go_on: bool,
        now: Instant,
    ) -> Result<(Duration, WaitReason), Stopped> {
        // The schedule may be the user's own code, which is never called under a lock.
        let scheduled = course.waits.nominal().map(|nominal| course.waits.jittered(nominal, &mut *self.rng()));
        let demand = self.demand(error);
        if let Some((closure, whom)) = demand.closure {
            // Also when this call gives up: the others must not run into the same limit.
            self.close(traffic, whom, now, closure);
        }
        match decision.transient {
            Transient::No if decision.rule == Rule::Unknown => return Err(Stopped::Unknown),
            Transient::No => return Err(Stopped::Permanent),
            _ if !may_go_on => return Err(Stopped::Unprotected),
            Transient::Once if course.unreadable_before => return Err(Stopped::RetriesUsed),
            Transient::Once => course.unreadable_before = true,
            Transient::Yes => {}
        }
        let scheduled = scheduled.ok_or(Stopped::RetriesUsed)?;
        if demand.beyond_cap {
            return Err(Stopped::WaitTooLong);
        }
        let (wait, reason) = match (demand.closure, demand.wait) {
            (Some(_), Some(asked)) => (self.spread(asked), WaitReason::Gate),
            (Some((closure, _)), None) => (scheduled.max(self.spread(closure)), WaitReason::Gate),
            (None, Some(asked)) => (self.spread(asked), WaitReason::RetryAfter),
            (None, None) => (scheduled, WaitReason::Schedule),
        };
        if !course.deadline.allows(now, wait) {
            return Err(if demand.wait.is_some() { Stopped::WaitTooLong } else { Stopped::NoTimeLeft });
        }
        match &self.budget {
            Some(budget) if !budget.take(now) => Err(Stopped::BudgetEmpty),
            _ => Ok((wait, reason)),
        }
    }

    /// How long the gate stays closed where the provider does not say: as long as a first retry would wait at most. Not
    /// longer, or one call's third retry would hold up all others.
    fn first_wait(&self) -> Duration {
        self.retry.waits().bounds().map_or(MIN_SPREAD, |(_, most)| most)
    }

    fn demand(&self, error: &ProviderError) -> Demand {
        let wait = error.wait().filter(|wait| !wait.is_zero());
        let whom = error.limits().filter(|whom| matches!(whom, RateLimit::Account | RateLimit::Endpoint));
        Demand {
            wait,
            closure: whom.map(|whom| (wait.unwrap_or_else(|| self.first_wait()), whom)),
            beyond_cap: wait.is_some_and(|wait| wait > self.retry_after_cap),
        }
    }

    /// What a failed attempt says about the provider. One that had little time, for what was left of the deadline, says
    /// nothing.
    fn health(
        &self,
        error: &ProviderError,
        decision: &RetryDecision,
        limit: Duration,
        deadline: Deadline,
    ) -> Option<ProviderHealth> {
        let whole = self.attempt_timeout.min(deadline.limit());
        let had_little_time = error.is_timeout() && limit < whole.mul_f64(TELLING_SHARE);
        (!had_little_time).then(|| health(error, decision))
    }

    /// A little more than `wait`, never less.
    fn spread(&self, wait: Duration) -> Duration {
        wait.saturating_add(self.rng().random_range(Duration::ZERO..=most_spread(wait)))
    }

    fn rng(&self) -> MutexGuard<'_, StdRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lane(&self, traffic: Traffic) -> &Lane {
        match traffic {
            Traffic::LookUps => &self.look_ups,
            Traffic::Guarded => &self.guarded,
        }
    }

    /// Closes the gate of those whom the limit concerns.
    fn close(&self, traffic: Traffic, whom: RateLimit, now: Instant, wait: Duration) {
        if whom == RateLimit::Account {
            self.look_ups.gate.close(now, wait);
            self.guarded.gate.close(now, wait);
        } else {
            self.lane(traffic).gate.close(now, wait);
        }
    }

    /// How long the provider's rate limit still holds such calls back.
    pub(crate) fn gate_closed_for(&self, traffic: Traffic, now: Instant) -> Option<Duration> {
        self.lane(traffic).gate.closed_for(now)
    }

    pub(crate) fn breaker_state(&self, traffic: Traffic) -> Option<BreakerState> {
        self.lane(traffic).breaker.as_ref().map(|breaker| breaker.state(Instant::now()))
    }

    pub(crate) fn budget_level(&self) -> Option<f64> {
        self.budget.as_ref().map(|budget| budget.level(Instant::now()))
    }
}

fn most_spread(wait: Duration) -> Duration {
    wait.mul_f64(SPREAD).max(MIN_SPREAD)
}
