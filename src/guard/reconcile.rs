//! Finding out what became of an indeterminate operation.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::{getters, partial_debug};
use crate::call::attempt;
use crate::call::retry::{Finished, Traffic, Work};
use crate::ledger::LeaseEnd;
use crate::moment::Moment;
use crate::provider::ProviderError;
use crate::provider::attempt_log::{Attempt, AttemptOutcome};

use super::call::provider_key;
use super::job::{Calling, Progress, RunContext};

/// What the provider knows of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reconciled<T> {
    /// It was executed, with this result.
    Done(T),
    /// It was not executed, and what was sent will not be any more. It is then run in a new round, under a new key.
    ///
    /// Say so only when no request can still be on its way: see [`Inquiry::first_sent_ago`].
    NotExecuted,
    /// It cannot be told yet.
    StillUnknown,
}

/// One attempt to find out. Nothing may be changed by it.
#[derive(Clone)]
pub struct Inquiry {
    provider_key: Arc<str>,
    first_sent_ago: Duration,
    attempt: u32,
    until: Instant,
}

impl Inquiry {
    getters! {
        /// The idempotency key that the operation was sent under, if its call took one.
        pub fn provider_key(&self) -> &str => &self.provider_key;

        /// How long ago the operation may first have been sent, by the store's clock; rather too long than too short.
        pub fn first_sent_ago(&self) -> Duration => self.first_sent_ago;

        /// Which attempt this is; 1 is the first of this run.
        pub fn attempt(&self) -> u32 => self.attempt;

        /// The time left before the attempt is cut off by dropping its future.
        pub fn time_left(&self) -> Duration => self.until.saturating_duration_since(Instant::now());
    }
}

// Shows no key.
partial_debug!(Inquiry, self => first_sent_ago: self.first_sent_ago, attempt: self.attempt);

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

    fn attempt(
        &mut self,
        number: u32,
        _start: Instant,
        until: Instant,
        limit: Duration,
    ) -> impl Future<Output = Result<Reconciled<T>, ProviderError>> + Send {
        let inquiry = Inquiry {
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
        attempt::call(make, until, limit)
    }

    fn failed(&mut self, _error: &ProviderError, _now: Instant) -> bool {
        !self.end.is_over()
    }

    fn shown(_answer: &mut Reconciled<T>) -> (AttemptOutcome, Option<Box<str>>) {
        (AttemptOutcome::Done, None)
    }

    fn finished(answer: Reconciled<T>, Finished { attempts, .. }: Finished) -> Self::Output {
        (answer, attempts)
    }
}
