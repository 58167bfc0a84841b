//! What is counted, and what has to be there before.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use payproof::guard::{Effect, EffectCall, Operation as Guarded};
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::webhook::{now, sign};
use payproof::webhook::{Delivery, StripeWebhooks};
use payproof::{Currency, Money, PaymentIntent, Validator};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;

use crate::checkout::{self, Prompt, TENANT};
use crate::endpoint;

/// Does an operation so often.
pub(crate) type Work = Box<dyn FnMut(usize)>;

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Makes ready for as many in all.
    pub(crate) prepare: fn(usize) -> Work,
}

/// In the order of the published table, which says what each is.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation { name: "hit", prepare: hit },
    Operation { name: "made_hit", prepare: made_hit },
    Operation { name: "judged_hit", prepare: judged_hit },
    Operation { name: "engine_miss", prepare: engine_miss },
    Operation { name: "intent", prepare: intent },
    Operation { name: "store_replay", prepare: store_replay },
    Operation { name: "guard_replay", prepare: guard_replay },
    Operation { name: "endpoint_replay", prepare: endpoint_replay },
    Operation { name: "webhook_duplicate", prepare: webhook_duplicate },
];

/// Awaits one future after the other inside a spawned task, as a server's handlers are.
fn awaiting<A: Future<Output = ()> + Send>(act: impl Fn(usize) -> A + Clone + Send + Sync + 'static) -> Work {
    let (runtime, mut done) = (checkout::runtime(), 0);
    Box::new(move |times| {
        let (numbers, act) = (done..done + times, act.clone());
        done += times;
        let all = runtime.spawn(async move {
            for number in numbers {
                act(number).await;
            }
        });
        runtime.block_on(all).expect("nothing panics");
    })
}

fn intents(count: usize) -> Arc<[PaymentIntent]> {
    checkout::payment_ids().take(count).map(|id| checkout::intent(&id)).collect()
}

/// Validates each, so that the memory of the validator or of its store knows them.
fn known(validator: &Validator, intents: &[PaymentIntent]) {
    checkout::runtime().block_on(async {
        for intent in intents {
            assert!(validator.validate(intent).await.is_ok());
        }
    });
}

fn validating(validator: Validator, intents: Arc<[PaymentIntent]>) -> Work {
    awaiting(move |number| {
        let intent = intents.get(number % intents.len()).expect("it is within");
        let validation = validator.validate(intent);
        async { _ = black_box(validation.await.expect("the provider answers")) }
    })
}

fn hit(times: usize) -> Work {
    let (validator, intents) = (Validator::builder(Prompt::new()).build().expect("settings fit"), intents(times / 2));
    known(&validator, &intents);
    validating(validator, intents)
}

/// Each intent is made for one validation, as at a checkout: its claims are digested in it.
fn made_hit(times: usize) -> Work {
    let (validator, known_before) =
        (Validator::builder(Prompt::new()).build().expect("settings fit"), intents(times / 2));
    known(&validator, &known_before);
    awaiting(move |number| {
        let known = known_before.get(number % known_before.len()).expect("it is within");
        let validation = validator.validate(checkout::intent(known.payment().as_str()));
        async { _ = black_box(validation.await.expect("the provider answers")) }
    })
}

/// Another amount never becomes right, so the verdict comes from memory, and is never proven.
fn judged_hit(times: usize) -> Work {
    let (validator, claimed) = (Validator::builder(Prompt::new()).build().expect("settings fit"), intents(times / 2));
    known(&validator, &claimed);
    let money = Money::parse("20.00", Currency::USD).expect("a plain decimal");
    let other = claimed.iter().map(|intent| {
        let other = PaymentIntent::new(TENANT, intent.payment().as_str(), money).expect("the id is one");
        other.with_order(intent.order().expect("there is one")).expect("it was one before")
    });
    validating(validator, other.collect())
}

/// About payments that were known before and then forgotten, so that all tables have the size they need.
fn engine_miss(times: usize) -> Work {
    let provider = Prompt::terse();
    let validator = Validator::builder(provider).single_tenant().build().expect("settings fit");
    let intents = intents(times);
    known(&validator, &intents);
    checkout::runtime().block_on(async {
        for intent in intents.iter() {
            checkout::forgetting(&validator)(intent).await;
        }
    });
    validating(validator, intents)
}

fn intent(_times: usize) -> Work {
    let id = checkout::payment_ids().next().expect("there is no end of them");
    Box::new(move |times| {
        for _ in 0..times {
            black_box(checkout::intent(black_box(&id)));
        }
    })
}

/// A validation that the store answers, in a process that keeps no facts in memory.
fn store_replay(times: usize) -> Work {
    let builder = Validator::builder(Prompt::new()).store(MemoryStore::new()).facts_in_memory(0);
    let (validator, intents) = (builder.build().expect("settings fit"), intents(times / 2));
    known(&validator, &intents);
    validating(validator, intents)
}

/// What a service keeps of a refund.
#[derive(Debug, Deserialize, Serialize)]
struct Refund {
    id: String,
    payment_intent: String,
    charge: String,
    amount: u64,
    currency: String,
    status: String,
}

/// A refund whose result the store holds.
fn guard_replay(_times: usize) -> Work {
    let validator = Validator::builder(Prompt::new()).build().expect("settings fit");
    let (guard, kept_for) = (validator.guard(), Duration::from_secs(24 * 60 * 60));
    let refund = Guarded::new(TENANT, "refund", "order 6735, first refund", Effect::keyed_write(kept_for))
        .and_then(|refund| refund.claim("payment", "pi_3MtwBwLkdIwHu7ix28a3tqPa"))
        .and_then(|refund| refund.claim("amount", "19.99 USD"))
        .expect("it is an operation");
    awaiting(move |_| {
        let run = guard.run(&refund, |call: EffectCall| async move {
            let _ = call.provider_key();
            Ok::<_, ProviderError>(Refund {
                id: "re_1Nispe2eZvKYlo2Cd31jOCgZ".to_owned(),
                payment_intent: "pi_3MtwBwLkdIwHu7ix28a3tqPa".to_owned(),
                charge: "ch_3MtwBwLkdIwHu7ix0snN0B15".to_owned(),
                amount: checkout::MINOR_UNITS,
                currency: "usd".to_owned(),
                status: "succeeded".to_owned(),
            })
        });
        async { _ = black_box(run.await.expect("it was executed")) }
    })
}

fn endpoint_replay(_times: usize) -> Work {
    let routes = endpoint::idempotent(MemoryStore::new());
    awaiting(move |_| {
        let routes = routes.clone();
        async {
            let request = endpoint::request("8e03978e-40d5-43dd-bc93-6894a57f9324");
            let response = routes.oneshot(request).await.expect("it answers");
            assert_eq!(response.status().as_u16(), 201);
            black_box(to_bytes(response.into_body(), 10_000).await.expect("it is whole"));
        }
    })
}

/// An event as Stripe writes it, of 4 KB, that was handled before.
fn webhook_duplicate(_times: usize) -> Work {
    const EVENT: &str = include_str!("event.json");
    let validator = Validator::builder(Prompt::new()).build().expect("settings fit");
    // Put together here, so that no credential-shaped literal stands in the source.
    let secret = format!("{}_{}", "whsec", "of_the_orders_endpoint");
    let webhooks = StripeWebhooks::builder(&validator, "orders", secret.clone()).build().expect("settings fit");
    let header: Arc<str> = sign(&secret, now(), EVENT).into();
    awaiting(move |number| {
        let delivery = webhooks.receive(Some(&*header), EVENT, |_| async { Ok::<(), ProviderError>(()) });
        async move { assert_eq!(delivery.await.is_ok_and(|it| it == Delivery::Duplicate), number > 0) }
    })
}
