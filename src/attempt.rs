//! One provider call.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::facts::ProviderPayment;
use crate::intent::PaymentId;
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
