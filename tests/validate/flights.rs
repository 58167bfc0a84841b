//! Many callers, one question: who leads, who follows, and what a lost leader leaves behind.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

mod leaders;
mod recency;
mod runtimes;
mod sharing;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::{ProviderPayment, ValidateError, Validation, Validator};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::{intent, paid};

type Answer = Result<Validation, ValidateError>;

fn start(validator: &Validator, payment: &str) -> JoinHandle<Answer> {
    tokio::spawn(validator.validate(intent(payment)).into_future())
}

/// A provider that answers its first call like the first of these, its second like the second, and so on.
fn answering(answers: impl IntoIterator<Item = (Duration, ProviderPayment)>) -> (Arc<AtomicUsize>, Validator) {
    let calls = Arc::new(AtomicUsize::new(0));
    let (counter, answers) = (Arc::clone(&calls), Vec::from_iter(answers));
    let provider = provider_fn(ProviderIdentity::new("acme"), move |_, _| {
        let (wait, facts) = answers.get(counter.fetch_add(1, Ordering::SeqCst)).cloned().unwrap();
        async move {
            sleep(wait).await;
            Ok(facts)
        }
    });
    // One call of these is one flight.
    (calls, Validator::builder(provider).no_hedges().build().unwrap())
}

fn refunded() -> ProviderPayment {
    paid("pi_1").with_amount_refunded(1999)
}
