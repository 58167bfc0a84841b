//! A provider made of a closure.

use std::future::Future;

use crate::accessors::partial_debug;
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;

use super::{Call, Provider, ProviderError, ProviderIdentity};

/// Makes a provider of a closure.
///
/// ```
/// use payproof::provider::{ProviderError, ProviderIdentity, provider_fn};
/// use payproof::{Currency, Mode, PaymentStatus, ProviderPayment, Validator};
///
/// let acme = provider_fn(ProviderIdentity::new("acme"), |payment, _call| async move {
///     // Ask Acme here. A plain message is classified by the text patterns.
///     if payment.as_str().is_empty() {
///         return Err(ProviderError::from("connection refused"));
///     }
///     Ok(ProviderPayment::new(payment.as_str(), PaymentStatus::Paid)
///         .with_mode(Mode::Live)
///         .with_amount(1999, Currency::USD)
///         .with_amount_received(1999)
///         .with_amount_refunded(0)
///         // In seconds since 1970, from Acme's answer. A payment without it cannot be redeemed.
///         .with_created(1_767_225_600)
///         .with_metadata("store_id", "store_42"))
/// });
/// let validator = Validator::builder(acme).build()?;
/// # Ok::<(), payproof::BuildError>(())
/// ```
pub fn provider_fn<F, Fut>(identity: ProviderIdentity, look_up: F) -> impl Provider
where
    F: Fn(PaymentId, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<ProviderPayment, ProviderError>> + Send + 'static,
{
    ProviderFn { identity, look_up }
}

struct ProviderFn<F> {
    identity: ProviderIdentity,
    look_up: F,
}

partial_debug!(ProviderFn<F>, self => identity: self.identity);

impl<F, Fut> Provider for ProviderFn<F>
where
    F: Fn(PaymentId, Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<ProviderPayment, ProviderError>> + Send + 'static,
{
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn look_up(&self, payment: &PaymentId, call: &Call) -> Result<ProviderPayment, ProviderError> {
        (self.look_up)(payment.clone(), call.clone()).await
    }
}
