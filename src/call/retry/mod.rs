//! The retry loop: the only place that sleeps.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::MutexGuard;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout_at};

use crate::accessors::partial_debug;
use crate::call::audience::{Audience, while_wanted};
use crate::call::breaker::ProviderHealth;
use crate::call::concurrency::Concurrency;
use crate::call::deadline::Deadline;
use crate::call::error::{CallError, Cause, Stopped};
use crate::call::refusals::Refusals;
use crate::lock::Lock;
use crate::provider::attempt_log::{Rule, WaitReason};
use crate::provider::{AnyProvider, ProviderError};
use crate::telemetry::Telemetry;

mod backoff;
mod budget;
mod clearance;
mod credit;
mod decision;
mod explain;
mod hedge;
mod hint;
mod history;
mod lane;
mod look_up;
#[cfg(feature = "reconcile")]
mod pages;
#[cfg(feature = "webhook")]
mod related;
mod told;
mod transient;
mod work;

pub use backoff::{Jitter, Retry, Schedule};
pub use budget::RetryBudget;
use credit::Paid;
pub(crate) use credit::{Credit, CreditLevel, Hedges};
pub use explain::Explanation;
pub(crate) use lane::{Lane, Traffic};
pub(crate) use look_up::LookUpAnswer;
#[cfg(feature = "reconcile")]
pub(crate) use pages::ListCalls;
pub(crate) use told::ToldWaits;
pub(crate) use transient::TransientPatterns;
pub(crate) use work::{Finished, NeverHedged, Work};

use clearance::{Clearance, NotCleared};
use decision::{RetryDecision, Transient, decide, health};
use hedge::{OpenAttempt, Reply};
use history::{AttemptHistory, Begun};

/// Silence for this share of a whole attempt tells something about the provider; less may be our own impatience.
const TELLING_SHARE: f64 = 0.5;

/// Those whom the line served set out within this time, so that they do not all come at once.
const LINE_SPREAD: Duration = Duration::from_millis(50);

/// How a call goes on after a failed attempt: what it waits for, and the next one, unless that is paid for in line.
struct Planned<'r> {
    wait: (Duration, WaitReason),
    paid: Option<Paid<'r>>,
}

/// How a call goes on after an attempt that did not end it.
enum Next<'r> {
    /// It asks the same question again after so long, since the answer was not ready.
    Look(Duration),
    Retry(Planned<'r>, ProviderError),
}

/// Everything that stands between a flight and the provider.
pub(crate) struct Retrier {
    pub(crate) provider: Box<dyn AnyProvider>,
    pub(crate) retry: Retry,
    pub(crate) attempt_timeout: Duration,
    pub(crate) retry_after_cap: Duration,
    pub(crate) patterns: TransientPatterns,
    pub(crate) look_ups: Lane,
    pub(crate) guarded: Lane,
    pub(crate) credit: Credit,
    #[cfg(feature = "reconcile")]
    pub(crate) lists: ListCalls,
    pub(crate) told: ToldWaits,
    pub(crate) refusals: Refusals,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) rng: Lock<StdRng>,
}

partial_debug!(Retrier, self => provider: self.provider, retry: self.retry);

/// One generator for all calls, so that no two draw the same sequence.
pub(crate) fn rng(seed: Option<u64>) -> Lock<StdRng> {
    Lock::new(seed.map_or_else(rand::make_rng, StdRng::seed_from_u64))
}

impl Retrier {
    /// Tries until there is an answer, or a reason to stop: one is that no caller is left to wait for.
    ///
    /// This and [`attempt`](Self::attempt) are no `async fn`, which would have room for each argument twice: the leader's
    /// task, made for each miss, should be small.
    pub(crate) fn run<'r, W: Work + 'r>(
        &'r self,
        mut work: W,
        arrived: Instant,
        deadline: Deadline,
        telemetry: &'r Telemetry,
    ) -> impl Future<Output = Result<W::Output, CallError>> + Send + 'r {
        let mut history = AttemptHistory::new(arrived, deadline, self.retry.waits(), W::TRAFFIC, telemetry);
        async move {
            self.credit(W::TRAFFIC).arrived(history.begin);
            let (mut now, mut paid) = (history.begin, None::<Paid<'_>>);
            if let Some(told) = work.told(now) {
                Box::pin(self.leave_alone(told, work.audience(), deadline, now)).await?;
                now = Instant::now();
            }
            loop {
                let (whose, came) = ((W::TRAFFIC, work.audience()), (history.begin, history.behind_gate));
                let cleared = match self.clear(whose, history.deadline, came, now).await {
                    Ok(cleared) => cleared,
                    Err(why) => return Err(history.not_cleared(why)),
                };
                if let Some(paid) = paid.take() {
                    paid.spent();
                }
                let reply = self.attempt(&mut work, cleared, &mut history).await;
                now = Instant::now();
                let next = match self.after(&mut work, reply, &mut history, now) {
                    ControlFlow::Break(ended) => return ended,
                    ControlFlow::Continue(next) => next,
                };
                // Boxed, as all rare waits are: the leader's task is made for each miss, and should be small.
                paid = Box::pin(self.pause(next, work.audience(), now, &mut history)).await?;
                now = Instant::now();
            }
        }
    }

    /// Waits between two attempts, for as long as a caller waits. The next one is paid for where it has to be.
    async fn pause<'r>(
        &'r self,
        next: Next<'r>,
        audience: Option<&Audience>,
        now: Instant,
        history: &mut AttemptHistory<'r>,
    ) -> Result<Option<Paid<'r>>, CallError> {
        let interrupted = || CallError::new(Cause::Interrupted);
        match next {
            Next::Look(wait) => while_wanted(audience, sleep(wait)).await.map(|()| None).ok_or_else(interrupted),
            Next::Retry(plan, error) => {
                let waited = while_wanted(audience, self.wait(plan, now, history)).await;
                let paid = match waited.ok_or_else(interrupted)? {
                    Ok(paid) => paid,
                    Err(stopped) => return Err(history.stopped(stopped, error)),
                };
                history.last = Some(error);
                Ok(Some(paid))
            }
        }
    }

    /// What follows from the reply to an attempt. A function of its own, so that the loop, which waits after it, has no room
    /// for an answer.
    fn after<'r, W: Work>(
        &'r self,
        work: &mut W,
        Reply { answer, begun, clearance }: Reply<'r, W::Answer>,
        history: &mut AttemptHistory<'r>,
        now: Instant,
    ) -> ControlFlow<Result<W::Output, CallError>, Next<'r>> {
        let error = match answer {
            Err(error) => error,
            Ok(answer) => {
                clearance.leave(true, Some(ProviderHealth::Up), now);
                self.refusals.answered(work.calls());
                let Some(wait) = self.next_look::<W>(&answer, history, begun, now) else {
                    return ControlFlow::Break(Ok(history.answered::<W>(answer, begun, now)));
                };
                work.asks_again();
                history.not_ready::<W>(answer, wait, begun, now);
                return ControlFlow::Continue(Next::Look(wait));
            }
        };
        let may_go_on = work.failed(&error, now);
        self.refusals.failed(work.calls(), &error, now);
        match self.failed(history, &error, (begun, clearance), may_go_on, now) {
            Ok(plan) => ControlFlow::Continue(Next::Retry(plan, error)),
            Err(_) if self.is_out_of_time(W::TRAFFIC, &error, begun) => {
                history.last = Some(error);
                ControlFlow::Break(Err(history.not_cleared(NotCleared::Deadline)))
            }
            Err(stopped) => ControlFlow::Break(Err(history.stopped(stopped, error))),
        }
    }

    /// How long to wait before the same question is asked again, since its answer is not ready. Neither earned nor paid: the
    /// provider is well.
    fn next_look<W: Work>(
        &self,
        answer: &W::Answer,
        history: &mut AttemptHistory<'_>,
        begun: Begun,
        now: Instant,
    ) -> Option<Duration> {
        if W::is_ready(answer) {
            self.credit(W::TRAFFIC).answered(begun.start, now);
            return None;
        }
        history.next_look(now)
    }

    /// How the call goes on after a failed attempt, which frees what it held.
    fn failed<'r>(
        &'r self,
        history: &mut AttemptHistory<'r>,
        error: &ProviderError,
        (begun, clearance): (Begun, Clearance<'_>),
        may_go_on: bool,
        now: Instant,
    ) -> Result<Planned<'r>, Stopped> {
        let decision = decide(error, &self.patterns);
        let plan = if self.is_out_of_time(history.traffic, error, begun) {
            Err(Stopped::NoTimeLeft)
        } else {
            self.plan(history, error, &decision, may_go_on, now)
        };
        // The place is free only now, so that no other call slips in before the gate is closed.
        self.leave(clearance, (error, &decision), begun, history, now);
        history.failed(error, decision, plan.as_ref().ok().map(|plan| plan.wait), begun, now);
        plan
    }

    /// Whether the deadline cut the attempt off.
    fn is_out_of_time(&self, traffic: Traffic, error: &ProviderError, begun: Begun) -> bool {
        error.is_timeout() && begun.limit() < self.attempt_timeout(traffic)
    }

    /// One attempt, which is asked once more beside itself if it is silent and was overtaken.
    fn attempt<'a, 'r: 'a, W: Work>(
        &'r self,
        work: &'a mut W,
        (clearance, at): (Clearance<'r>, Instant),
        history: &'a mut AttemptHistory<'r>,
    ) -> impl Future<Output = Reply<'r, W::Answer>> + Send + use<'a, 'r, W> {
        let begun = history.begin(at, history.deadline.attempt_until(at, self.attempt_timeout(W::TRAFFIC)));
        async move {
            let (hedge, alone_until) = self.hedge_of(work, begun, history);
            let mut running = pin!(work.attempt(begun.number, begun.start, begun.until));
            let Ok(answer) = timeout_at(alone_until, running.as_mut()).await else {
                return match &hedge {
                    Some(hedge) => {
                        let first = OpenAttempt { begun, clearance, running: Box::pin(running) };
                        Box::pin(self.go_on(first, hedge, history)).await
                    }
                    None => Reply { answer: Err(ProviderError::timed_out(begun.limit())), begun, clearance },
                };
            };
            Reply { answer, begun, clearance }
        }
    }

    /// How long to wait before the next attempt, or why there is none.
    fn plan(
        &self,
        history: &mut AttemptHistory<'_>,
        error: &ProviderError,
        decision: &RetryDecision,
        may_go_on: bool,
        now: Instant,
    ) -> Result<Planned<'_>, Stopped> {
        // The schedule may be the user's own code, which is never called under a lock.
        let scheduled = history.waits.nominal().map(|nominal| history.waits.jittered(nominal, &mut *self.rng()));
        let hint = self.close_gate(history.traffic, error, now);
        history.behind_gate = hint.closure.is_some();
        match decision.transient {
            Transient::No if decision.rule == Rule::Unknown => return Err(Stopped::Unknown),
            Transient::No => return Err(Stopped::Permanent),
            _ if !may_go_on => return Err(Stopped::Unprotected),
            Transient::Once if history.unreadable_before => return Err(Stopped::RetriesUsed),
            Transient::Once => history.unreadable_before = true,
            Transient::Yes => {}
        }
        let scheduled = scheduled.ok_or(Stopped::RetriesUsed)?;
        if hint.beyond_cap {
            return Err(Stopped::WaitTooLong);
        }
        let (wait, reason) = match (hint.closure, hint.wait) {
            (Some(_), Some(asked)) => (self.spread(asked), WaitReason::Gate),
            (Some((closure, _)), None) => (scheduled.max(self.spread(closure)), WaitReason::Gate),
            (None, Some(asked)) => (self.spread(asked), WaitReason::RetryAfter),
            (None, None) => (scheduled, WaitReason::Schedule),
        };
        if !history.deadline.allows(now, wait) {
            return Err(if hint.wait.is_some() { Stopped::WaitTooLong } else { Stopped::NoTimeLeft });
        }
        let credit = self.credit(history.traffic);
        let paid = credit.pay(now);
        if paid.is_some() {
            return Ok(Planned { wait: (wait, reason), paid });
        }
        if !credit.has_line() {
            return Err(Stopped::LineTooLong { wait: None });
        }
        // In line the schedule has nothing to add, but what the provider asks for holds.
        let asked = if reason == WaitReason::Schedule { Duration::ZERO } else { wait };
        Ok(Planned { wait: (asked, WaitReason::Line), paid })
    }

    /// Waits before the next attempt: for so long, or in line until it is paid for and so much is over.
    async fn wait<'r>(
        &'r self,
        Planned { wait: (wait, _), paid }: Planned<'r>,
        now: Instant,
        history: &mut AttemptHistory<'_>,
    ) -> Result<Paid<'r>, Stopped> {
        if let Some(paid) = paid {
            sleep(wait).await;
            return Ok(paid);
        }
        let deadline = history.deadline.at();
        let served = self.credit(history.traffic).wait_in_line(now, deadline).await;
        history.waited_in_line(now.elapsed());
        match served {
            Ok(paid) => {
                let spread = self.rng().random_range(Duration::ZERO..=LINE_SPREAD);
                sleep(wait.saturating_sub(now.elapsed()).saturating_add(spread)).await;
                Ok(paid)
            }
            Err(_) if Instant::now() >= deadline => Err(Stopped::NoTimeLeft),
            Err(wait) => Err(Stopped::LineTooLong { wait }),
        }
    }

    /// Frees what a failed attempt held, and tells gate, breaker and credit how it went.
    fn leave(
        &self,
        clearance: Clearance<'_>,
        (error, decision): (&ProviderError, &RetryDecision),
        begun: Begun,
        history: &AttemptHistory<'_>,
        now: Instant,
    ) {
        let health = self.health(error, decision, begun.limit(), history);
        let credit = self.credit(history.traffic);
        clearance.leave(error.has_reply(), health, now);
        match health {
            Some(ProviderHealth::Down) => credit.failed(),
            Some(ProviderHealth::Up) if decision.transient == Transient::No => credit.answered(begun.start, now),
            _ => {}
        }
    }

    /// What a failed attempt says about the provider. One that had little time, for what was left of the deadline, says
    /// nothing.
    fn health(
        &self,
        error: &ProviderError,
        decision: &RetryDecision,
        limit: Duration,
        history: &AttemptHistory<'_>,
    ) -> Option<ProviderHealth> {
        let whole = self.attempt_timeout(history.traffic).min(history.deadline.limit());
        let had_little_time = error.is_timeout() && limit < whole.mul_f64(TELLING_SHARE);
        (!had_little_time).then(|| health(error, decision))
    }

    fn rng(&self) -> MutexGuard<'_, StdRng> {
        self.rng.lock()
    }

    pub(crate) fn credit_level(&self) -> CreditLevel {
        self.credit.level(Instant::now())
    }
}
