//! The attempts at a guarded call, and what is known of the operation after each.

use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use crate::call::attempt;
use crate::call::refusals::ProviderCalls;
use crate::call::retry::{Finished, NeverHedged, Traffic, Work};
use crate::ledger::LeaseEnd;
use crate::provider::ProviderError;
use crate::provider::attempt_log::{Attempt, Reach};

use super::call::{EffectCall, provider_key};
use super::fate::EffectOutcome;
use super::job::{Progress, RunContext};

/// What is known of an operation while it is being sent.
#[derive(Debug)]
pub(super) struct Knowledge {
    /// Whether it may have been executed.
    pub(super) in_doubt: bool,
    /// Whether the provider's key protects every sending that may have been executed.
    pub(super) is_protected: bool,
    /// Whether the attempt under way took the key.
    taken: Arc<AtomicBool>,
    /// What the last attempt said, and whether it was under the provider's key.
    last: Option<(EffectOutcome, bool)>,
}

/// How a call that brought no result has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    NotExecuted,
    Refused,
    Indeterminate,
}

impl Knowledge {
    pub(super) fn of(standing: &Progress) -> Self {
        let Progress { in_doubt, protected, .. } = *standing;
        Self { in_doubt, is_protected: protected.is_some(), taken: Arc::default(), last: None }
    }

    /// Whether the last attempt took the key.
    pub(super) fn key_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    /// A refusal is an answer to an earlier sending too, if the provider could tell by the key that it is the same operation.
    pub(super) fn ending(&self) -> Ending {
        match self.last {
            Some((EffectOutcome::Refused, under_key)) if !self.in_doubt || under_key => Ending::Refused,
            _ if self.in_doubt => Ending::Indeterminate,
            _ => Ending::NotExecuted,
        }
    }
}

/// A guarded call, as something the loop tries.
pub(super) struct Sending<'j, T> {
    job: &'j RunContext<T>,
    key: Arc<str>,
    /// Whether the operation declares that its provider keeps the key.
    key_is_kept: bool,
    end: LeaseEnd,
    knowledge: &'j mut Knowledge,
}

impl<'j, T> Sending<'j, T> {
    pub(super) fn new(
        job: &'j RunContext<T>,
        standing: &Progress,
        end: LeaseEnd,
        knowledge: &'j mut Knowledge,
    ) -> Self {
        let (key, key_is_kept) = (provider_key(&job.place.digest, standing.round), standing.protected.is_some());
        Self { job, key, key_is_kept, end, knowledge }
    }
}

impl<T: Send + 'static> Work for Sending<'_, T> {
    const TRAFFIC: Traffic = Traffic::Guarded;

    type Answer = T;
    type Output = (T, Vec<Attempt>);
    type Hedge = NeverHedged;

    fn calls(&self) -> ProviderCalls {
        ProviderCalls::Guarded
    }

    fn attempt(
        &mut self,
        number: u32,
        _start: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<T, ProviderError>> + Send {
        // A flag of its own for each attempt, so that a late hand of an earlier one does not set it.
        self.knowledge.taken = Arc::default();
        let (provider_key, taken) = (Arc::clone(&self.key), Arc::clone(&self.knowledge.taken));
        let call = EffectCall { provider_key, taken, attempt: number, until };
        let make = &self.job.call;
        // Asked as late as can be: this process may have stood still.
        let may_send = !self.end.is_over();
        attempt::call(move || if may_send { make(call) } else { Box::pin(ready(Err(too_late()))) })
    }

    fn failed(&mut self, error: &ProviderError, _now: Instant) -> bool {
        if !self.job.place.is_write() {
            return !self.end.is_over();
        }
        let (fate, under_key) = (EffectOutcome::of(error), self.key_is_kept && self.knowledge.key_taken());
        let Knowledge { in_doubt, is_protected, last, .. } = &mut *self.knowledge;
        if fate == EffectOutcome::Unknown {
            *in_doubt = true;
            *is_protected &= under_key;
        }
        *last = Some((fate, under_key));
        (!*in_doubt || *is_protected) && !self.end.is_over()
    }

    fn finished(value: T, Finished { attempts, .. }: Finished) -> (T, Vec<Attempt>) {
        (value, attempts.into())
    }
}

/// What stands in the place of a provider's code where nothing was sent.
const LEASE_OVER: &str = "lease_over";

/// Another process may have taken over, so nothing is sent any more.
fn too_late() -> ProviderError {
    ProviderError::not_sent("the lease was over before the call could be sent").permanent_by_code(LEASE_OVER)
}

/// Whether that is why there was no further attempt.
pub(super) fn was_too_late(error: &ProviderError) -> bool {
    error.code() == Some(LEASE_OVER) && error.reach() == Reach::NotSent
}
