//! A miss without the provider's time: what the engine itself costs around an answer that is there at once.
//!
//! Every call is about another payment, which was known before and then forgotten, so that all tables have the size they
//! need. The leader runs in a task of its own and every policy is on, as by default.
//!
//! `policies` is what the breaker, the budget and the limit of concurrency cost, by switching them off, plus what a
//! timeout around an answer that is there costs, since that cannot be switched off. Not in it: the gate and the deadline,
//! which are one atomic load and a few comparisons, and the clock readings, which the attempt log needs in any case.

use std::future::ready;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use payproof::{PaymentIntent, ProviderPayment, Validate, Validator, ValidatorBuilder};
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};

use crate::checkout::{self, Prompt};
use crate::figure::{self, Scale};
use crate::turns::{Peer, absolute_times, acting, median, take_turns};

const PAYMENTS: usize = 1_000;
const ROUNDS: usize = 1_000;
const BATCH: u64 = 200;

const ID: &str = "pi_3MtwBwLkdIwHu7ix28a3tqPa";

fn terse() -> ValidatorBuilder {
    Validator::builder(Prompt::terse()).single_tenant()
}

fn intents() -> Arc<[PaymentIntent]> {
    checkout::payment_ids().take(PAYMENTS).map(|id| checkout::intent(&id)).collect()
}

async fn ask(validate: Validate) {
    black_box(validate.await.expect("the provider answers"));
}

/// Validates payments that were forgotten just before.
fn missing<'r>(runtime: &'r Runtime, intents: &Arc<[PaymentIntent]>, validator: &Validator) -> Peer<'r> {
    runtime.block_on(async {
        for intent in intents.iter() {
            ask(validator.validate(intent)).await;
        }
    });
    let asked = validator.clone();
    acting(runtime, Arc::clone(intents), checkout::forgetting(validator), move |intent| ask(asked.validate(intent)))
}

/// Does something that needs no validator over and over.
fn repeating<A: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    act: impl Fn() -> A + Clone + Send + Sync + 'static,
) -> Peer<'_> {
    acting(runtime, Arc::from([(); PAYMENTS]), |()| Box::pin(ready(())), move |()| act())
}

pub(crate) fn run(scale: Scale, criterion: &mut Criterion) {
    let (runtime, intents) = (checkout::runtime(), intents());
    let bare = terse().no_retry_budget();
    let [engine, bare, ordinary] =
        [terse(), bare, Validator::builder(Prompt::new())].map(|builder| builder.build().expect("settings fit"));
    figure::allocs("engine", allocations(&runtime, &intents, &engine));
    figure::allocs("engine_ordinary_facts", allocations(&runtime, &intents, &ordinary));

    let rounds = scale.of(ROUNDS);
    let [mut engine, mut bare, mut ordinary] = [engine, bare, ordinary].map(|it| missing(&runtime, &intents, &it));
    let [with_all, without] = take_turns(rounds, BATCH, [&mut engine, &mut bare]);
    figure::ns("engine", with_all.ns());
    let mut timeout = repeating(&runtime, || {
        let limited = timeout(Duration::from_secs(30), ready(black_box(1)));
        async { _ = black_box(limited.await) }
    });
    let mut nothing = repeating(&runtime, || async { _ = black_box(ready(black_box(1)).await) });
    let [timeout, nothing] = take_turns(rounds, BATCH, [&mut timeout, &mut nothing]);
    figure::ns("policies", with_all.ns_over(&without) + timeout.ns_over(&nothing));
    let [ordinary_facts] = take_turns(rounds, BATCH, [&mut ordinary]);
    figure::ns("engine_ordinary_facts", ordinary_facts.ns());

    // Where the rest goes, as far as it can be seen from outside.
    let parts = [
        ("spawn", repeating(&runtime, || async { tokio::spawn(async {}).await.expect("it does not panic") })),
        ("provider", repeating(&runtime, boxed_call)),
        ("facts", repeating(&runtime, || async { _ = black_box(checkout::facts(black_box(ID))) })),
        ("clock", repeating(&runtime, || async { _ = black_box(Instant::now()) })),
    ];
    for (name, mut part) in parts {
        let [part] = take_turns(rounds, BATCH, [&mut part]);
        figure::ns(&format!("part_{name}"), part.ns());
    }
    figure::ns("part_timeout", timeout.ns_over(&nothing));
    absolute_times(criterion, "engine", ["terse_facts", "ordinary_facts"], &mut [engine, ordinary]);
}

/// A provider's call as the engine makes it: behind a pointer.
async fn boxed_call() {
    let call: Pin<Box<dyn Future<Output = ProviderPayment> + Send>> =
        Box::pin(async { checkout::terse_facts(black_box(ID)) });
    black_box(black_box(call).await);
}

/// Allocations of one miss, in the median.
fn allocations(runtime: &Runtime, intents: &[PaymentIntent], validator: &Validator) -> f64 {
    let entering = allocation_counter::measure(|| runtime.block_on(async {})).count_total;
    runtime.block_on(async {
        for intent in intents {
            ask(validator.validate(intent)).await;
            checkout::forgetting(validator)(intent).await;
        }
    });
    let counts = intents.iter().map(|intent| {
        let counts = allocation_counter::measure(|| runtime.block_on(ask(validator.validate(intent))));
        (counts.count_total - entering) as f64
    });
    median(counts.collect())
}
