//! One call on its way through its attempts: what was tried, what came of it, and how it ends.

use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::error::{CallError, Cause, Stopped};
use crate::provider::ProviderError;
use crate::provider::attempt_log::{Attempt, AttemptOutcome, Reach, WaitReason};
use crate::telemetry::Telemetry;

use super::Refusal;
use super::backoff::Waits;
use super::decision::{RetryDecision, Transient};
use super::work::{Finished, Work};

pub(super) struct Course<'r> {
    begin: Instant,
    pub(super) deadline: Deadline,
    pub(super) waits: Waits<'r>,
    attempts: Vec<Attempt>,
    /// The error of the attempt before, so that whatever stops the call keeps the real cause.
    pub(super) last: Option<ProviderError>,
    pub(super) unreadable_before: bool,
}

impl<'r> Course<'r> {
    pub(super) fn new(begin: Instant, deadline: Deadline, waits: Waits<'r>) -> Self {
        // Most calls need one attempt; a vector left to itself makes room for four.
        let attempts = Vec::with_capacity(1);
        Self { begin, deadline, waits, attempts, last: None, unreadable_before: false }
    }

    pub(super) fn next_number(&self) -> u32 {
        u32::try_from(self.attempts.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    fn attempt(&self, start: Instant, end: Instant, outcome: AttemptOutcome) -> Attempt {
        Attempt {
            number: self.next_number(),
            offset: start.saturating_duration_since(self.begin),
            duration: end.saturating_duration_since(start),
            reach: Reach::Answered,
            status: None,
            request_id: None,
            outcome,
            wait: None,
        }
    }

    /// Ends the call with an answer.
    pub(super) fn answered<W: Work>(
        mut self,
        mut answer: W::Answer,
        start: Instant,
        at: Instant,
        telemetry: &Telemetry,
    ) -> W::Output {
        let (outcome, request_id) = W::shown(&mut answer);
        let attempt = Attempt { request_id, ..self.attempt(start, at, outcome) };
        telemetry.attempt(&attempt, None);
        self.attempts.push(attempt);
        W::finished(answer, Finished { at, attempts: self.attempts })
    }

    /// Notes a failed attempt, and the wait that follows it.
    pub(super) fn failed(
        &mut self,
        error: &ProviderError,
        decision: RetryDecision,
        wait: Option<(Duration, WaitReason)>,
        start: Instant,
        end: Instant,
        telemetry: &Telemetry,
    ) {
        let outcome = match decision.transient {
            Transient::No => AttemptOutcome::Permanent(decision.rule),
            Transient::Once | Transient::Yes => AttemptOutcome::Transient(decision.rule),
        };
        let attempt = Attempt {
            reach: error.reach(),
            status: error.status(),
            request_id: error.provider_request_id().map(Into::into),
            wait,
            ..self.attempt(start, end, outcome)
        };
        if error.is_timeout() {
            telemetry.attempt_timed_out();
        }
        telemetry.attempt(&attempt, Some(error));
        self.attempts.push(attempt);
    }

    /// Ends the call because nothing more may be sent.
    pub(super) fn refused(self, refusal: Refusal) -> CallError {
        let last = self.last;
        let (cause, retry_after) = match refusal {
            Refusal::GateClosed(wait) => (Cause::GateClosed { last }, Some(wait)),
            Refusal::BreakerOpen(wait) => (Cause::BreakerOpen { last }, Some(wait)),
            Refusal::Deadline => (Cause::Deadline { limit: self.deadline.limit(), last }, None),
        };
        CallError::after_attempts(cause, retry_after, self.attempts)
    }

    /// Ends the call after an error that is not followed by another attempt.
    pub(super) fn stopped(self, stopped: Stopped, error: ProviderError) -> CallError {
        let retry_after = error.wait();
        CallError::after_attempts(Cause::Provider { stopped, error }, retry_after, self.attempts)
    }
}
