//! The record that the store check writes and reads.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::time::Duration;

use payproof::Validator;
use payproof::store::{MemoryStore, Severity, Store, StoreFinding};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};

use crate::contract::flawed::{Flaw, Flawed};

fn over(store: impl Store) -> Validator {
    Validator::builder(ScriptedProvider::new()).store(store).build().unwrap()
}

/// What the store check says of its canary, all of which is an error.
async fn told(validator: &Validator) -> Vec<&'static str> {
    let findings = validator.check_store().await.findings;
    let canary = findings.iter().filter(|finding| finding.code().starts_with("canary"));
    canary.inspect(|finding| assert_eq!(finding.severity(), Severity::Error)).map(StoreFinding::code).collect()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_loses_or_alters_the_canary_is_told() {
    // The first check claims its place, and the second one replaces the first one's.
    for (flaw, first, second) in [
        (Flaw::None, &[][..], &[][..]),
        (Flaw::ClaimDoesNothing, &["canary_lost"], &["canary_lost"]),
        (Flaw::ReplaceDoesNothing, &[], &["canary_lost"]),
        (Flaw::ValuesAreText, &["canary_altered"], &["canary_unreadable", "canary_altered"]),
    ] {
        let validator = over(Flawed::new(flaw));
        assert_eq!((&*told(&validator).await, &*told(&validator).await), (first, second), "{flaw:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_behind_loses_no_canary() {
    let validator = over(Flawed::new(Flaw::ReadsFromReplica));
    for check in 0..70 {
        assert_eq!(told(&validator).await, [""; 0], "check {check}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_canary_of_another_check_that_comes_between_is_well() {
    let store = FlakyStore::new(MemoryStore::new());
    let (first, second) = (over(store.clone()), over(store.clone()));
    store.script(StoreVerb::Get, [StoreFault::Slow(Duration::from_millis(500))]);
    let between = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        told(&second).await
    };
    let (waiting, between) = tokio::join!(told(&first), between);
    assert_eq!((waiting, between), (Vec::new(), Vec::new()));
    assert_eq!((store.executed(StoreVerb::Claim), store.executed(StoreVerb::Replace)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_and_takes_no_record_is_told() {
    let store = FlakyStore::new(MemoryStore::new());
    store.script(StoreVerb::Claim, [StoreFault::Refused]);
    let findings = over(store.clone()).check_store().await.findings;
    assert_eq!(findings[0].code(), "canary_refused", "the worst comes first: {findings:?}");
    store.script(StoreVerb::Inspect, [StoreFault::Never]);
    let calls = store.calls(StoreVerb::Claim);
    assert_eq!(over(store.clone()).check_store().await.findings[0].code(), "unreachable");
    assert_eq!(store.calls(StoreVerb::Claim), calls, "a store that does not answer is not asked to keep one");
}

#[tokio::test(start_paused = true)]
async fn no_look_but_the_store_check_writes_a_canary() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = over(store.clone());
    validator.health().await;
    assert_eq!((store.calls(StoreVerb::Inspect), store.calls(StoreVerb::Claim)), (1, 0));
    assert_eq!(told(&validator).await, [""; 0]);
    assert_eq!((store.calls(StoreVerb::Inspect), store.calls(StoreVerb::Claim)), (2, 1));
}
