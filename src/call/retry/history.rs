//! One call on its way through its attempts: what was tried, what came of it, and how it ends.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::error::{CallError, Cause, Stopped};
use crate::payment::request_ids::RequestIds;
use crate::provider::ProviderError;
use crate::provider::attempt_log::{Attempt, AttemptOutcome, Attempts, Reach, WaitReason};
use crate::telemetry::Telemetry;

use super::backoff::Waits;
use super::clearance::NotCleared;
use super::decision::{RetryDecision, Transient};
use super::lane::Traffic;
use super::work::{Finished, Work};

/// How long to wait after an answer that is not ready. What a provider has still to write down is there within seconds.
const NOT_READY_WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// An attempt that was begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) number: u32,
    pub(super) start: Instant,
    /// When it has to end.
    pub(super) until: Instant,
    /// How long it was silent when it was asked once more beside it.
    pub(super) hedged_after: Option<Duration>,
}

impl Begun {
    /// The longest it may take.
    pub(super) fn limit(&self) -> Duration {
        self.until.saturating_duration_since(self.start)
    }
}

pub(super) struct AttemptHistory<'r> {
    pub(super) begin: Instant,
    pub(super) deadline: Deadline,
    pub(super) waits: Waits<'r>,
    pub(super) traffic: Traffic,
    telemetry: &'r Telemetry,
    /// Attempts that were begun.
    begun: u32,
    /// Those that are over, by their numbers.
    attempts: Vec<Attempt>,
    /// The error of the attempt before, so that whatever stops the call keeps the real cause.
    pub(super) last: Option<ProviderError>,
    pub(super) unreadable_before: bool,
    /// Answers that were not ready.
    not_ready: usize,
    /// Whether the latest attempt told of a limit, so that the next one leaves the gate with those who waited there.
    pub(super) behind_gate: bool,
}

impl<'r> AttemptHistory<'r> {
    pub(super) fn new(
        begin: Instant,
        deadline: Deadline,
        waits: Waits<'r>,
        traffic: Traffic,
        telemetry: &'r Telemetry,
    ) -> Self {
        Self {
            begin,
            deadline,
            waits,
            traffic,
            telemetry,
            begun: 0,
            attempts: Vec::new(),
            last: None,
            unreadable_before: false,
            not_ready: 0,
            behind_gate: false,
        }
    }

    /// Begins an attempt, which has to end then, and counts it.
    pub(super) fn begin(&mut self, start: Instant, until: Instant) -> Begun {
        self.begun = self.begun.saturating_add(1);
        Begun { number: self.begun, start, until, hedged_after: None }
    }

    fn attempt(&self, begun: Begun, end: Instant, outcome: AttemptOutcome) -> Attempt {
        Attempt {
            number: begun.number,
            offset: begun.start.saturating_duration_since(self.begin),
            duration: end.saturating_duration_since(begun.start),
            reach: Reach::Answered,
            status: None,
            request_ids: RequestIds::default(),
            outcome,
            wait: begun.hedged_after.map(|wait| (wait, WaitReason::Hedge)),
        }
    }

    /// Tells of an attempt that is over. A page of a list takes so long that its time would say nothing of what callers wait for.
    fn tell(&self, attempt: &Attempt, error: Option<&ProviderError>) {
        if matches!(self.traffic, Traffic::LookUps | Traffic::Guarded) {
            self.telemetry.attempt_took(attempt);
        }
        self.telemetry.attempt(attempt, error.map(|error| error as _));
    }

    /// Adds an attempt that is over. One beside another may be over before it.
    fn push(&mut self, attempt: Attempt) {
        let at = self.attempts.partition_point(|before| before.number < attempt.number);
        self.attempts.insert(at, attempt);
    }

    /// How long to wait after an answer that is not ready, if it is worth it.
    pub(super) fn next_look(&mut self, now: Instant) -> Option<Duration> {
        let wait = NOT_READY_WAITS.get(self.not_ready).copied().filter(|wait| self.deadline.allows(now, *wait))?;
        self.not_ready = self.not_ready.saturating_add(1);
        Some(wait)
    }

    /// Notes an answer that is not ready, and the wait that follows it.
    pub(super) fn not_ready<W: Work>(&mut self, mut answer: W::Answer, wait: Duration, begun: Begun, at: Instant) {
        let (outcome, request_ids) = W::shown(&mut answer);
        let wait = Some((wait, WaitReason::NotReady));
        let attempt = Attempt { request_ids, wait, ..self.attempt(begun, at, outcome) };
        self.tell(&attempt, None);
        self.push(attempt);
    }

    /// Ends the call with an answer.
    pub(super) fn answered<W: Work>(&mut self, mut answer: W::Answer, begun: Begun, at: Instant) -> W::Output {
        let (outcome, request_ids) = W::shown(&mut answer);
        let attempt = Attempt { request_ids, ..self.attempt(begun, at, outcome) };
        self.tell(&attempt, None);
        let attempts = if self.attempts.is_empty() {
            Attempts::One(attempt)
        } else {
            self.push(attempt);
            Attempts::Several(std::mem::take(&mut self.attempts))
        };
        W::finished(answer, Finished { asked_at: begun.start, at, attempts })
    }

    /// Notes a failed attempt, and the wait that follows it.
    pub(super) fn failed(
        &mut self,
        error: &ProviderError,
        decision: RetryDecision,
        wait: Option<(Duration, WaitReason)>,
        begun: Begun,
        end: Instant,
    ) {
        let outcome = match decision.transient {
            Transient::No => AttemptOutcome::Permanent(decision.rule),
            Transient::Once | Transient::Yes => AttemptOutcome::Transient(decision.rule),
        };
        let attempt = Attempt {
            reach: error.reach(),
            status: error.status(),
            request_ids: error.request_ids().clone(),
            ..self.attempt(begun, end, outcome)
        };
        let attempt = Attempt { wait: wait.or(attempt.wait), ..attempt };
        if error.is_timeout() {
            self.telemetry.attempt_timed_out();
        }
        self.tell(&attempt, Some(error));
        self.push(attempt);
    }

    /// Notes an attempt that was silent still when one beside it ended the call.
    pub(super) fn abandoned(&mut self, begun: Begun, end: Instant) {
        let attempt = Attempt { reach: Reach::MaybeSent, ..self.attempt(begun, end, AttemptOutcome::Abandoned) };
        self.tell(&attempt, None);
        self.push(attempt);
    }

    /// Notes how long the call waited in line after its latest attempt.
    pub(super) fn waited_in_line(&mut self, wait: Duration) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.wait = Some((wait, WaitReason::Line));
        }
    }

    /// Ends the call because nothing more may be sent.
    pub(super) fn not_cleared(&mut self, why: NotCleared) -> CallError {
        let last = self.last.take();
        let (cause, retry_after) = match why {
            NotCleared::GateClosed(wait) => (Cause::GateClosed { last }, Some(wait)),
            NotCleared::BreakerOpen(wait) => (Cause::BreakerOpen { last }, Some(wait)),
            NotCleared::Deadline => (Cause::Deadline { limit: self.deadline.limit(), last }, None),
            NotCleared::Unwanted => (Cause::Interrupted, None),
        };
        CallError::after_attempts(cause, retry_after, std::mem::take(&mut self.attempts))
    }

    /// Ends the call after an error that is not followed by another attempt.
    pub(super) fn stopped(&mut self, stopped: Stopped, error: ProviderError) -> CallError {
        let retry_after = error.wait().or(match stopped {
            Stopped::LineTooLong { wait } => wait,
            _ => None,
        });
        CallError::after_attempts(Cause::Provider { stopped, error }, retry_after, std::mem::take(&mut self.attempts))
    }
}
