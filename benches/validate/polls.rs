//! How often the provider is asked about payments that stay unfinished, by clients that poll as they are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::Criterion;
use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::{Currency, Mode, Money, PaymentIntent, PaymentStatus, ProviderPayment, Validator, Verdict, WaitsFor};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::figure::{Scale, count};

/// When the payments were created, by the provider's clock.
const CREATED: u64 = 1_767_225_600;

const HOUR: Duration = Duration::from_secs(3600);

/// Payments of an hour, the same at every scale, since the clock is paused.
const BY_QR_CODE: usize = 100;
const DEBITS: usize = 900;

pub(crate) fn run(_scale: Scale, _criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    count("polls_per_hour", runtime.block_on(hour()));
}

async fn hour() -> u64 {
    let (calls, over) = (Arc::new(AtomicU64::new(0)), Instant::now() + HOUR);
    let validator = validator(&calls);
    let ids = (0..BY_QR_CODE).map(|at| format!("pi_qr{at}")).chain((0..DEBITS).map(|at| format!("pi_debit{at}")));
    let clients: Vec<_> = ids.map(|id| tokio::spawn(poll(validator.clone(), id, over))).collect();
    for client in clients {
        client.await.expect("no client panics");
    }
    calls.load(Ordering::Relaxed)
}

async fn poll(validator: Validator, id: String, over: Instant) {
    let money = Money::parse("19.99", Currency::USD).expect("an amount");
    let intent = PaymentIntent::new("store_42", id, money).expect("an intent");
    while Instant::now() < over {
        let wait = match validator.validate(&intent).await.expect("the provider answers").into_verdict() {
            Verdict::Pending(pending) => pending.poll_after(),
            Verdict::ActionRequired(action) => action.poll_after(),
            Verdict::Valid(_) | Verdict::Invalid(_) => return,
        };
        sleep(wait).await;
    }
}

/// Of a provider whose payments were created just now and stay unfinished.
fn validator(calls: &Arc<AtomicU64>) -> Validator {
    let (calls, start) = (Arc::clone(calls), Instant::now());
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, _| {
        calls.fetch_add(1, Ordering::Relaxed);
        let (status, waits_for) = if payment.as_str().starts_with("pi_qr") {
            (PaymentStatus::ActionRequired, WaitsFor::QrCode)
        } else {
            (PaymentStatus::Processing, WaitsFor::Debit)
        };
        let facts = ProviderPayment::new(payment.as_str(), status)
            .with_waits_for(waits_for)
            .with_mode(Mode::Live)
            .with_amount(1999, Currency::USD)
            .with_created(CREATED)
            .with_as_of(CREATED + start.elapsed().as_secs())
            .with_metadata("store_id", "store_42");
        async move { Ok(facts) }
    });
    Validator::builder(provider).build().expect("the settings fit")
}
