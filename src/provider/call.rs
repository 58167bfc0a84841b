//! What an adapter is told of a look-up, and how it asks further.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::accessors::getters;

use super::error::{ProviderError, RateLimit};

/// The most requests of one look-up.
const MOST_REQUESTS: u32 = 3;

/// What holds further requests of a look-up back.
pub(crate) trait Door: fmt::Debug + Send + Sync {
    /// How long no request may be sent; `None` where one may be sent now.
    fn closed_for(&self, now: Instant) -> Option<Duration>;
}

/// What a provider is told about the call it makes.
#[derive(Clone, Debug)]
pub struct Call {
    attempt: u32,
    /// Which request of the look-up this is for; 1 is the first.
    request: u32,
    until: Instant,
    door: Arc<dyn Door>,
}

impl Call {
    pub(crate) fn new(attempt: u32, until: Instant, door: Arc<dyn Door>) -> Self {
        Self { attempt, request: 1, until, door }
    }

    /// Admits one more request within this look-up, for what its answer leaves open: at most three one after the other.
    ///
    /// The look-up stays one attempt, with its time limit and its place among the calls at once. Where a rate limit was
    /// told meanwhile, the admission waits until it is over; hand on the error that comes where the attempt's time does
    /// not last so long, and the look-up is made again as one of those that wait. Tell of the requests that were made
    /// with `with_request_id`, and of those before the last one with `with_earlier_request`.
    ///
    /// # Errors
    /// When a rate limit outlasts the attempt, which may pass; and for a fourth request, which does not.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn further(&self) -> Result<Self, ProviderError> {
        if self.request >= MOST_REQUESTS {
            return Err(ProviderError::refused("a look-up makes three requests at most").with_code("too_many_requests"));
        }
        while let Some(closed_for) = self.door.closed_for(Instant::now()) {
            if closed_for >= self.time_left() {
                let held_back = ProviderError::refused("a rate limit was told while the look-up was under way");
                return Err(held_back.transient_by_code("held_back").with_rate_limit(RateLimit::Payment));
            }
            // Boxed, as all rare waits are.
            Box::pin(sleep(closed_for)).await;
        }
        Ok(Self { request: self.request.saturating_add(1), ..self.clone() })
    }

    getters! {
        /// Which attempt this is; 1 is the first.
        pub fn attempt(&self) -> u32 => self.attempt;

        /// The time left before the attempt is cut off by dropping its future.
        pub fn time_left(&self) -> Duration => self.until.saturating_duration_since(Instant::now());
    }
}
