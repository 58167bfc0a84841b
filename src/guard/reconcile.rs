//! Finding out what became of an indeterminate operation.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use crate::call::attempt;
use crate::call::refusals::ProviderCalls;
use crate::call::retry::{Finished, NeverHedged, Traffic, Work};
use crate::ledger::LeaseEnd;
use crate::moment::Moment;
use crate::provider::ProviderError;
use crate::provider::attempt_log::Attempt;

use super::call::{ReconcileCall, Reconciled, provider_key};
use super::job::{Calling, Progress, RunContext};

/// The caller's way to find out, as something the loop tries.
pub(super) struct Asking<'j, T> {
    job: &'j RunContext<T>,
    key: Arc<str>,
    first_sent: Moment,
    end: LeaseEnd,
}

impl<'j, T> Asking<'j, T> {
    pub(super) fn new(job: &'j RunContext<T>, standing: &Progress, end: LeaseEnd) -> Self {
        let key = provider_key(&job.place.digest, standing.round);
        Self { job, key, first_sent: standing.first_sent, end }
    }
}

impl<T: Send + 'static> Work for Asking<'_, T> {
    const TRAFFIC: Traffic = Traffic::Guarded;

    type Answer = Reconciled<T>;
    type Output = (Reconciled<T>, Vec<Attempt>);
    type Hedge = NeverHedged;

    fn calls(&self) -> ProviderCalls {
        ProviderCalls::Guarded
    }

    fn attempt(
        &mut self,
        number: u32,
        _start: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<Reconciled<T>, ProviderError>> + Send {
        let inquiry = ReconcileCall {
            provider_key: Arc::clone(&self.key),
            first_sent_ago: self.first_sent.age(),
            attempt: number,
            until,
        };
        let hook = self.job.inquire.as_ref();
        let make = move || -> Calling<Reconciled<T>> {
            match hook {
                Some(hook) => hook(inquiry),
                None => Box::pin(std::future::ready(Ok(Reconciled::StillUnknown))),
            }
        };
        attempt::call(make)
    }

    fn failed(&mut self, _error: &ProviderError, _now: Instant) -> bool {
        !self.end.is_over()
    }

    fn finished(answer: Reconciled<T>, Finished { attempts, .. }: Finished) -> Self::Output {
        (answer, attempts.into())
    }
}
