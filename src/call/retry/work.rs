//! What the loop tries until it succeeds.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::provider::ProviderError;
use crate::provider::attempt_log::{Attempt, AttemptOutcome};

use super::lane::Traffic;

/// A call that is told apart from every other by what one attempt does, and by whether a further one is allowed.
pub(crate) trait Work: Send {
    /// Whose breaker and gate it passes.
    const TRAFFIC: Traffic;

    /// What a successful attempt brings.
    type Answer: Send;
    /// What the whole call brings.
    type Output;

    /// Makes one attempt, and cuts it off at `until`, which is `limit` after `start`.
    fn attempt(
        &mut self,
        number: u32,
        start: Instant,
        until: Instant,
        limit: Duration,
    ) -> impl Future<Output = Result<Self::Answer, ProviderError>> + Send;

    /// Hears of a failed attempt, and says whether a further one is allowed, if the error asks for one.
    fn failed(&mut self, error: &ProviderError, now: Instant) -> bool;

    /// What the attempt log shows of a success: what it is called, and the provider's id of the request.
    fn shown(answer: &mut Self::Answer) -> (AttemptOutcome, Option<Box<str>>);

    /// Puts the answer together.
    fn finished(answer: Self::Answer, finished: Finished) -> Self::Output;
}

/// How a successful call went.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) at: Instant,
    pub(crate) attempts: Vec<Attempt>,
}
