//! How the provider is asked: attempts, retries, and what holds calls back.

use std::time::Duration;

use crate::accessors::setters;
use crate::call::breaker::Breaker;
use crate::call::retry::{Hedges, Retry, RetryBudget};

use super::ValidatorBuilder;

impl ValidatorBuilder {
    setters! {
        /// The longest one attempt may take, over connecting, headers and body. Default: 30 s.
        pub fn attempt_timeout(mut self, timeout: Duration) => self.attempt_timeout = timeout;

        /// The longest a validation may take, over attempts, waits and queues. Default: 150 s.
        ///
        /// It may be shorter than the attempt timeout, and then shortens it.
        ///
        /// It holds for callers too where the provider's adapter blocks the thread that it is polled on: a follower of
        /// a flight gets an error at the deadline, and its leader 100 ms after
        /// [`worst_case`](crate::Validator::worst_case), so that what the flight itself says of its end comes first. On
        /// a current-thread runtime nothing can hold it, since the blocked thread is the caller's own; nor on another
        /// runtime while all its threads are blocked, or while none of the others drives its timers.
        pub fn total_deadline(mut self, deadline: Duration) => self.total_deadline = deadline;

        /// How failed attempts are tried again. Default: three retries; 100 ms, 500 ms, 5 s; full jitter.
        pub fn retry(mut self, retry: Retry) => self.retry = retry;

        /// Adds a pattern that makes an error message transient.
        ///
        /// A regular expression, in any case of letters, asked last: after the provider's header and code, the HTTP
        /// status, and how far the call got. Bound it to words (`\b`), or it may match inside an id.
        ///
        /// Built in are the words of the clients below, where they stand by themselves. A number is a status only beside
        /// a word that says so, or as the whole text. A text about a certificate is never transient, unless an added
        /// pattern matches it. One that nothing matches is of an unknown kind: it is not tried again, and the error's
        /// code is `unknown`.
        ///
        #[doc = include_str!("../../call/retry/transient/words.md")]
        pub fn transient_pattern(mut self, pattern: impl Into<String>) => self.patterns.push(pattern.into());
    }

    /// Replaces all patterns, the built-in ones too.
    pub fn transient_patterns<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.built_in_patterns = false;
        self.patterns = patterns.into_iter().map(Into::into).collect();
        self
    }

    setters! {
        /// The longest Retry-After that is waited for. Default: 60 s. A longer one is reported at once, also to later callers
        /// of the payment, until one of them asks again: when it is over, and after a minute at most.
        pub fn retry_after_cap(mut self, cap: Duration) => self.retry_after_cap = cap;

        /// What all calls together may send beyond one request each, and how long a call waits in line for it. Default:
        /// see [`RetryBudget`].
        pub fn retry_budget(mut self, budget: RetryBudget) => self.budget = Some(budget);

        /// Lets every call use all its retries, which multiplies the load in an outage.
        pub fn no_retry_budget(mut self) => self.budget = None;

        /// Never asks a second time beside an attempt that is silent. Default: a look-up is asked once more, as one of its
        /// retries, when an attempt that began later by three usual answers and 100 ms was answered before it.
        ///
        /// Guarded calls are never asked twice at once.
        pub fn no_hedges(mut self) => self.hedges = Hedges::Off;

        /// Stops look-ups for a while when too many fail. Default: none, since it also stops those that would be answered:
        /// at half failing, fewer callers get an answer than without.
        pub fn breaker(mut self, breaker: Breaker) => self.breaker = Some(breaker);

        /// When guarded calls are stopped for a while. Default: half of 20 attempts failed within 10 s, for 5 s, then 3
        /// probes. What is not sent can be run again, while a write without an answer has to be resolved.
        pub fn guard_breaker(mut self, breaker: Breaker) => self.guard_breaker = Some(breaker);

        /// Keeps sending guarded calls to a provider that does not answer.
        pub fn no_guard_breaker(mut self) => self.guard_breaker = None;

        /// The most provider calls at once. Default: any number, up to `max_in_flight`. Further ones queue, within their
        /// deadline: where every answer takes longer, a limit makes callers wait that the provider would have answered.
        ///
        /// A call whose runtime stands still holds its place for a second past its attempt's end at most.
        pub fn max_concurrent(mut self, calls: usize) => self.max_concurrent = Some(calls);
    }
}
