//! What the loop tries until it succeeds.

use std::future::Future;
use std::pin::Pin;

use tokio::time::Instant;

use crate::call::audience::Audience;
use crate::call::refusals::ProviderCalls;
use crate::payment::request_ids::RequestIds;
use crate::provider::ProviderError;
use crate::provider::attempt_log::{AttemptOutcome, Attempts};

use super::lane::Traffic;
use super::told::Told;

/// A call that is told apart from every other by what one attempt does, and by whether a further one is allowed.
pub(crate) trait Work: Send {
    /// Whose breaker and gate it passes.
    const TRAFFIC: Traffic;

    /// Which calls it makes, as a restricted credential is told of them.
    fn calls(&self) -> ProviderCalls;

    /// What a successful attempt brings.
    type Answer: Send;
    /// What the whole call brings.
    type Output;
    /// How it is asked once more beside an attempt that is silent.
    type Hedge: Hedge<Self::Answer>;

    /// The callers it is made for: without any left, what waits ends, and nothing further is sent. `None` goes on to its end.
    fn audience(&self) -> Option<&Audience> {
        None
    }

    /// What the provider said of its payment to a call before, where that asks for a wait which is not over.
    fn told(&self, _now: Instant) -> Option<Told> {
        None
    }

    /// Makes one attempt, which is cut off at `until` by dropping it.
    fn attempt(
        &mut self,
        number: u32,
        start: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<Self::Answer, ProviderError>> + Send;

    /// What makes the same attempt again; `None` where two could have two effects.
    fn hedge(&self) -> Option<Self::Hedge> {
        None
    }

    /// Hears of a failed attempt, and says whether a further one is allowed, if the error asks for one.
    fn failed(&mut self, error: &ProviderError, now: Instant) -> bool;

    /// Whether an answer is all that there is to say, or the same question may bring more in a moment.
    fn is_ready(_answer: &Self::Answer) -> bool {
        true
    }

    /// Hears that it will be asked again, since the answer was not ready.
    fn asks_again(&mut self) {}

    /// What the attempt log shows of a success: what it is called, and the provider's ids of the requests.
    fn shown(_answer: &mut Self::Answer) -> (AttemptOutcome, RequestIds) {
        (AttemptOutcome::Done, RequestIds::default())
    }

    /// Puts the answer together.
    fn finished(answer: Self::Answer, finished: Finished) -> Self::Output;
}

/// An attempt under way.
pub(crate) type Running<'r, A> = Pin<Box<dyn Future<Output = Result<A, ProviderError>> + Send + 'r>>;

/// Makes the same attempt again.
pub(crate) trait Hedge<A>: Send + Sync {
    fn attempt(&self, number: u32, until: Instant) -> Running<'_, A>;

    /// The callers it is made for: without any left, it is not made.
    fn audience(&self) -> &Audience;
}

/// Of work that could have its effect twice.
#[derive(Debug)]
pub(crate) enum NeverHedged {}

impl<A> Hedge<A> for NeverHedged {
    fn attempt(&self, _number: u32, _until: Instant) -> Running<'_, A> {
        match *self {}
    }

    fn audience(&self) -> &Audience {
        match *self {}
    }
}

/// How a successful call went.
#[derive(Debug)]
pub(crate) struct Finished {
    /// When the attempt that succeeded began.
    pub(crate) asked_at: Instant,
    pub(crate) at: Instant,
    pub(crate) attempts: Attempts,
}
