//! One provider call. Who makes it cuts it off, by dropping it wherever it is: connecting, waiting for headers or reading
//! the body.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use crate::call::contained;
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::{PaymentStatus, ProviderPayment};
use crate::provider::{AnyProvider, Call, Door, ProviderError};
#[cfg(feature = "reconcile")]
use crate::provider::{ListQuery, Listed};
#[cfg(feature = "webhook")]
use crate::provider::{RelatedAnswer, RelatedObject};

/// Asks for a payment's facts once. An answer about another payment is no answer, whichever provider gave it; but an alias
/// that the provider declares is answered with the facts of the payment that it stands for, and with what it states itself.
pub(crate) fn look_up<'a>(
    provider: &'a dyn AnyProvider,
    payment: &'a PaymentId,
    number: u32,
    until: Instant,
    door: Arc<dyn Door>,
) -> impl Future<Output = Result<ProviderPayment, ProviderError>> + Send + 'a {
    let call = Call::new(number, until, door);
    async move {
        match provider.look_up(payment, &call).await {
            Ok(facts) if !answers(provider, &facts, payment) => {
                Err(ProviderError::unreadable("the answer is about another payment"))
            }
            answer => answer,
        }
    }
}

fn answers(provider: &dyn AnyProvider, facts: &ProviderPayment, asked: &PaymentId) -> bool {
    let (is_alias, is_of_own_id) = (provider.is_alias(asked), *facts.id == *asked.as_str());
    match &facts.alias {
        None => is_of_own_id && (!is_alias || facts.status == PaymentStatus::NotFound),
        // While there is no payment, there is no money.
        Some(_) if is_of_own_id => is_alias && !facts.status.rests_on_money(),
        // What an alias stands for is a payment, and not another alias.
        Some(_) => {
            let is_payment = |id: PaymentId| !provider.is_alias(&id) && provider.check(&id).is_ok();
            is_alias && PaymentId::parse(&facts.id).is_ok_and(is_payment)
        }
    }
}

/// Asks once for a page of a list.
#[cfg(feature = "reconcile")]
pub(crate) async fn list(
    provider: &dyn AnyProvider,
    query: &ListQuery,
    number: u32,
    until: Instant,
    door: Arc<dyn Door>,
) -> Result<Listed, ProviderError> {
    let this = Call::new(number, until, door);
    call(|| provider.list(query, &this)).await
}

/// Asks once for an object that is no payment.
#[cfg(feature = "webhook")]
pub(crate) async fn related(
    provider: &dyn AnyProvider,
    object: &RelatedObject,
    number: u32,
    until: Instant,
    door: Arc<dyn Door>,
) -> Result<RelatedAnswer, ProviderError> {
    let this = Call::new(number, until, door);
    call(|| provider.related(object, &this)).await
}

/// Makes one call of a caller's own code. When it panics, how far it got is unknown.
pub(crate) async fn call<T, F>(make: impl FnOnce() -> F) -> Result<T, ProviderError>
where
    F: Future<Output = Result<T, ProviderError>>,
{
    contained::catch(make).await.unwrap_or_else(|_panicked| Err(panicked()))
}

/// The code decides, so that a bug in the call does not count against the provider's health, and is not tried again.
fn panicked() -> ProviderError {
    ProviderError::outcome_unknown("the call panicked").permanent_by_code("panicked")
}
