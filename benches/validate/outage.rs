//! How often the provider is asked while it answers nothing but 503.
//!
//! A thousand validations of different payments, fifty in every second, on a paused clock, so that the waits of the retry
//! schedule pass at once. No layer retries above payproof.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::Criterion;
use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::{Breaker, PaymentId, ProviderPayment, Validator, ValidatorBuilder};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::checkout;
use crate::figure::{self, Scale};

const WAVES: usize = 20;
const AT_ONCE: usize = 50;

/// A provider that is down, and counts who asks.
#[derive(Debug)]
struct Down {
    identity: ProviderIdentity,
    calls: AtomicU64,
}

impl Provider for Down {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn look_up(&self, _payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Err(ProviderError::refused("service unavailable").with_status(503))
    }
}

pub(crate) fn run(_scale: Scale, _criterion: &mut Criterion) {
    figure::ratio("amplification_down", amplification(|builder| builder));
    figure::ratio("amplification_down_with_breaker", amplification(|builder| builder.breaker(Breaker::new())));
    // What it would be without either: one attempt and three retries.
    figure::ratio("amplification_down_unprotected", amplification(ValidatorBuilder::no_retry_budget));
}

/// Provider calls per validation.
fn amplification(set: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder) -> f64 {
    let provider = Arc::new(Down { identity: ProviderIdentity::new("down"), calls: AtomicU64::new(0) });
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("the system has room for a runtime").block_on(async {
        // The seed makes the jitter, and with it the figure, the same in every run.
        let validator = set(Validator::builder(Arc::clone(&provider)).seed(7)).build().expect("settings fit");
        let mut ids = checkout::payment_ids();
        let mut calls = JoinSet::new();
        for _ in 0..WAVES {
            for id in ids.by_ref().take(AT_ONCE) {
                calls.spawn(validator.validate(checkout::intent(&id)));
            }
            sleep(Duration::from_secs(1)).await;
        }
        for answer in calls.join_all().await {
            assert!(answer.is_err_and(|error| error.is_unavailable()), "an outage is never a verdict");
        }
    });
    provider.calls.load(Ordering::Relaxed) as f64 / (WAVES * AT_ONCE) as f64
}
