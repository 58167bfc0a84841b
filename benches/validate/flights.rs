//! What many flights under way at once cost: memory for each, and the time until all of them have asked.
//!
//! Every caller is a task of its own, as a server's handlers are, and asks about another payment; the provider is silent.
//! The peer makes no more of it than a task that sleeps. Both are counted with the caller's task, and without the intent,
//! which is there before. A round begins with the first caller and ends when every call has reached the provider; tables
//! grow on the way.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::Criterion;
use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::{PaymentId, PaymentIntent, ProviderPayment, Validator};
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::checkout;
use crate::figure::{self, Scale};
use crate::turns::median;

/// So many under way are measured for their memory.
const UNDER_WAY: usize = 100_000;

/// So many are started against the clock.
const STARTED: usize = 300_000;
const ROUNDS: usize = 5;

/// Longer than anything here.
const SILENCE: Duration = Duration::from_secs(1_000);

/// Counts the calls that reached it, and answers none.
#[derive(Debug)]
struct Silent {
    identity: ProviderIdentity,
    asked: Arc<AtomicUsize>,
}

impl Provider for Silent {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn look_up(&self, payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        be_silent(&self.asked).await;
        Ok(checkout::terse_facts(payment.as_str()))
    }
}

async fn be_silent(asked: &AtomicUsize) {
    asked.fetch_add(1, Ordering::Relaxed);
    sleep(SILENCE).await;
}

/// What starts one of many calls, once it is told whom to count them with.
type Start<'s> = Box<dyn Fn(&PaymentIntent) + 's>;

/// Starts a call for each intent, on a runtime that ends with them. The time that it took, and the bytes of each.
fn started(intents: &[PaymentIntent], start: impl FnOnce(Arc<AtomicUsize>) -> Start<'static>) -> (Duration, f64) {
    let (runtime, asked) = (checkout::runtime(), Arc::new(AtomicUsize::new(0)));
    let start = start(Arc::clone(&asked));
    let mut took = Duration::ZERO;
    let counts = allocation_counter::measure(|| {
        runtime.block_on(async {
            let begun = Instant::now();
            for intent in intents {
                start(intent);
            }
            while asked.load(Ordering::Relaxed) < intents.len() {
                yield_now().await;
            }
            took = begun.elapsed();
        });
    });
    (took, counts.bytes_current as f64 / intents.len() as f64)
}

fn own(asked: Arc<AtomicUsize>) -> Start<'static> {
    let silent = Silent { identity: ProviderIdentity::new("silent").only_account(), asked };
    let builder = Validator::builder(silent).max_in_flight(STARTED).max_in_flight_per_tenant(STARTED);
    let validator = builder.build().expect("settings fit");
    Box::new(move |intent| drop(tokio::spawn(validator.validate(intent))))
}

fn bare(asked: Arc<AtomicUsize>) -> Start<'static> {
    Box::new(move |_| {
        let asked = Arc::clone(&asked);
        tokio::spawn(async move { be_silent(&asked).await });
    })
}

pub(crate) fn run(scale: Scale, _criterion: &mut Criterion) {
    let intents: Vec<_> = checkout::payment_ids().take(scale.of(STARTED)).map(|id| checkout::intent(&id)).collect();
    let under_way = intents.get(..scale.of(UNDER_WAY)).unwrap_or_default();
    figure::bytes("flight", started(under_way, own).1);
    figure::bytes("flight_bare_task", started(under_way, bare).1);
    let rounds: Vec<_> = (0..scale.of(ROUNDS)).map(|_| [started(&intents, own).0, started(&intents, bare).0]).collect();
    let seconds = |[own, bare]: &[Duration; 2]| (own.as_secs_f64(), bare.as_secs_f64());
    figure::ratio("flights_start_vs_spawn", median(rounds.iter().map(seconds).map(|(own, bare)| own / bare).collect()));
    figure::ms("flights_start", median(rounds.iter().map(seconds).map(|(own, _)| own * 1e3).collect()));
}
