//! One provider call.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::call::contained::{self, Broken};
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;
use crate::provider::{AnyProvider, Call, ProviderError};

/// Calls the provider once. At `until` the call is cut off by dropping it, wherever it is: connecting, waiting for headers
/// or reading the body.
///
/// An answer about another payment is no answer, whichever provider gave it.
pub(crate) async fn look_up(
    provider: &dyn AnyProvider,
    payment: &PaymentId,
    number: u32,
    until: Instant,
    limit: Duration,
) -> Result<ProviderPayment, ProviderError> {
    let call = Call::new(number, until);
    match timeout_at(until, provider.look_up(payment, &call)).await {
        Ok(Ok(facts)) if *facts.id != *payment.as_str() => {
            Err(ProviderError::unreadable("the answer is about another payment"))
        }
        Ok(answer) => answer,
        Err(_elapsed) => Err(ProviderError::timed_out(limit)),
    }
}

/// Makes one call of a caller's own code, cut off in the same way. When it panics, how far it got is unknown.
pub(crate) async fn call<T, F>(make: impl FnOnce() -> F, until: Instant, limit: Duration) -> Result<T, ProviderError>
where
    F: Future<Output = Result<T, ProviderError>>,
{
    contained::run(make, until).await.unwrap_or_else(|broken| {
        Err(match broken {
            Broken::Panicked => panicked(),
            Broken::TimedOut => ProviderError::timed_out(limit),
        })
    })
}

/// The code decides, so that a bug in the call does not count against the provider's health, and is not tried again.
fn panicked() -> ProviderError {
    ProviderError::outcome_unknown("the call panicked").permanent_by_code("panicked")
}
