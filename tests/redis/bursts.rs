//! More calls at one moment than a connection carries at a time.

use payproof::redeem::RedeemError;
use payproof::store::{Claim, RedisStore, Store};
use payproof::testing::ScriptedProvider;
use payproof::{Validator, Verdict};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::redis_server::RedisServer;
use crate::support::{plain, unbound, unbound_intent};
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
        // Each is paid for an order of its own.
        provider.put(unbound(&format!("pi_{number}")).with_metadata("order_id", number.to_string()));
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
    let intent = unbound_intent(&format!("pi_{number}")).with_order(number.to_string()).unwrap();
    match validator.validate(intent).await?.into_verdict() {
        Verdict::Valid(proof) => validator.redeem(proof).await.map(drop),
        other => panic!("{other:?}"),
    }
}
