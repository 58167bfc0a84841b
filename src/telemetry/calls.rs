//! What is told of calls to the provider, of its outages, and of calls that are turned away.

use tracing::{debug, info, warn};

use crate::provider::attempt_log::{Attempt, AttemptOutcome, WaitReason};

use super::metrics::{ATTEMPT_SECONDS, ATTEMPT_TIMEOUTS, ATTEMPTS, HEDGES, OVERTAKEN, RETRIES};
use super::outage::{OutageCounts, OutageLine, OutageMoment};
use super::{PROVIDER, Telemetry, millis};

/// The codes of calls that got no answer from the provider.
const UNANSWERED: [&str; 7] = [
    "provider_unavailable",
    "provider_timeout",
    "deadline_exceeded",
    "unreadable_answer",
    "unknown",
    "provider_refused",
    "interrupted",
];

/// The codes of calls that were turned away here, or that the provider turns away by their number.
const TURNED_AWAY: [&str; 3] = ["circuit_open", "rate_limited", "at_capacity"];

impl Telemetry {
    /// One provider call is over.
    pub(crate) fn attempt(&self, attempt: &Attempt, error: Option<&(dyn std::error::Error + 'static)>) {
        let outcome = attempt.outcome().as_str();
        self.count(ATTEMPTS, [outcome]);
        if attempt.number() > 1 {
            self.count(RETRIES, []);
        }
        if matches!(attempt.wait(), Some((_, WaitReason::Hedge))) {
            self.count(HEDGES, []);
        }
        if *attempt.outcome() == AttemptOutcome::Abandoned {
            self.count(OVERTAKEN, []);
        }
        let number = attempt.number();
        let reach = attempt.reach().as_str();
        let status = attempt.status();
        let request_id = attempt.request_id();
        let duration_ms = millis(attempt.duration());
        let Some(rule) = attempt.outcome().rule() else {
            debug!(
                name: "payproof.attempt", target: PROVIDER,
                number, reach, status, request_id, outcome, duration_ms, "the provider was asked"
            );
            if *attempt.outcome() != AttemptOutcome::Abandoned {
                self.provider_works();
            }
            return;
        };
        let wait_ms = attempt.wait().map(|(wait, _)| millis(wait));
        let wait_reason = attempt.wait().map(|(_, reason)| reason.as_str());
        debug!(
            name: "payproof.attempt", target: PROVIDER,
            number, reach, status, request_id, outcome, %rule, duration_ms, wait_ms, wait_reason, error,
            "a call to the provider failed"
        );
        match self.provider_outage.failed() {
            Some(OutageLine { moment: OutageMoment::Begins, counts, .. }) => {
                let OutageCounts { failures, calls } = counts;
                warn!(
                    name: "payproof.provider_outage", target: PROVIDER,
                    provider = &*self.provider, failures, calls, reach, status, request_id, %rule, error,
                    "calls to the provider fail; further failures are counted, and told once a minute"
                );
            }
            line => self.provider_still_fails(line),
        }
    }

    /// How long a provider call took that a caller waited for.
    pub(crate) fn attempt_took(&self, attempt: &Attempt) {
        self.meter.took(ATTEMPT_SECONDS, attempt.duration(), ("outcome", attempt.outcome().as_str()));
    }

    /// The provider call that is over next was cut off, at its own limit or the deadline's.
    pub(crate) fn attempt_timed_out(&self) {
        self.count(ATTEMPT_TIMEOUTS, []);
    }

    /// A call of the service ended with this code.
    pub(super) fn call_ended(&self, code: &'static str) {
        let is_turned_away = TURNED_AWAY.contains(&code);
        if is_turned_away && self.turned_away.failed().is_some() {
            warn!(
                name: "payproof.turned_away", target: PROVIDER, provider = &*self.provider, code,
                "calls are turned away; how many is told when that ends"
            );
        }
        if is_turned_away || UNANSWERED.contains(&code) {
            self.provider_still_fails(self.provider_outage.call_failed());
        }
    }

    fn provider_still_fails(&self, line: Option<OutageLine>) {
        let Some(OutageLine { counts: OutageCounts { failures, calls }, lasted, .. }) = line else { return };
        let lasted_s = lasted.as_secs();
        warn!(
            name: "payproof.provider_outage", target: PROVIDER, provider = &*self.provider, failures, calls, lasted_s,
            "calls to the provider still fail"
        );
    }

    /// An end of both is one line.
    #[inline]
    fn provider_works(&self) {
        let (ended, passing) = (self.provider_outage.worked(), self.turned_away.worked());
        if ended.is_some() || passing.is_some() {
            self.provider_works_again(ended, passing);
        }
    }

    #[cold]
    fn provider_works_again(&self, ended: Option<OutageLine>, passing: Option<OutageLine>) {
        let turned_away = passing.map(|line| line.counts.failures);
        let Some(OutageLine { counts: OutageCounts { failures, calls }, lasted, .. }) = ended else {
            info!(
                name: "payproof.turned_away", target: PROVIDER, provider = &*self.provider, turned_away,
                "calls are not turned away any more"
            );
            return;
        };
        let lasted_s = lasted.as_secs();
        info!(
            name: "payproof.provider_outage", target: PROVIDER,
            provider = &*self.provider, failures, calls, turned_away, lasted_s, "the provider answers again"
        );
    }
}
