//! More calls at one moment than a connection carries at a time.

use payproof::redeem::RedeemError;
use payproof::store::{Claim, RedisStore, Store};
use payproof::testing::ScriptedProvider;
use payproof::{Currency, Mode, Money, PaymentIntent, PaymentStatus, ProviderPayment, Validator, Verdict};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::redis_server::RedisServer;
use crate::support::plain;
use crate::{MINUTE, patient, store};

/// Three times what one connection carries by default.
const CALLS: usize = 3000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_beyond_what_a_connection_carries_is_carried_in_turn() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let store = store.clone();
        calls.spawn(async move { store.claim(&format!("k{number}"), b"v", MINUTE).await });
    }
    for answer in calls.join_all().await {
        assert_eq!(answer, Ok(Claim::Claimed));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_checkout_of_a_burst_is_refused_while_the_server_is_well() {
    let server = RedisServer::start().await;
    let provider = ScriptedProvider::new();
    for number in 0..CALLS {
        provider.put(payment(number));
    }
    // So patient that only a refusal can fail a call, on a machine that has other things to do.
    let builder = plain(&provider).store(patient(RedisStore::builder(server.url()))).store_timeout(MINUTE);
    let validator = builder.build().unwrap();
    let begun = Instant::now();
    let mut checkouts = JoinSet::new();
    for number in 0..CALLS {
        checkouts.spawn(check_out(validator.clone(), number));
    }
    let refused: Vec<_> = checkouts.join_all().await.into_iter().filter_map(Result::err).collect();
    println!("{CALLS} checkouts at once: {} refused, all answered within {:?}", refused.len(), begun.elapsed());
    assert!(refused.is_empty(), "{} of {CALLS}, the first: {}", refused.len(), refused[0]);
}

async fn check_out(validator: Validator, number: usize) -> Result<(), RedeemError> {
    let money = Money::parse("19.99", Currency::USD).unwrap();
    let intent = PaymentIntent::new("store_42", format!("pi_{number}"), money).unwrap();
    let intent = intent.with_order(number.to_string()).unwrap();
    match validator.validate(intent).await?.into_verdict() {
        Verdict::Valid(proof) => validator.redeem(proof).await.map(drop),
        other => panic!("{other:?}"),
    }
}

/// Paid for an order of its own.
fn payment(number: usize) -> ProviderPayment {
    ProviderPayment::new(format!("pi_{number}"), PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(1999, Currency::USD)
        .with_amount_received(1999)
        .with_amount_refunded(0)
        .with_created(1_767_225_600)
        .with_as_of(1_767_225_660)
        .with_metadata("store_id", "store_42")
        .with_metadata("order_id", number.to_string())
}
