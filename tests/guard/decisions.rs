//! What a person decided about an operation stands in the store, with the name, and only if it was decided.

use std::time::SystemTime;

use payproof::guard::{Resolution, ResolveError};
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use payproof::{Decided, DecidedOn, SignedDecision, Validator};
use tokio::time::sleep;

use crate::support::{busy, ms, secs};
use crate::{Act, Desk, plain, unkeyed};

fn on(store: impl payproof::store::Store) -> Validator {
    plain().store(store).build().unwrap()
}

async fn decisions(validator: &Validator) -> Vec<SignedDecision> {
    validator.decisions(1).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_resolution_is_recorded_with_who_when_and_what() {
    let store = MemoryStore::new();
    let validator = on(store.clone());
    let guard = validator.guard();
    for (resolution, decided) in
        [(Resolution::not_executed(), Decided::NotExecuted), (Resolution::done(&41_u32), Decided::Done)]
    {
        guard.run(&unkeyed(), Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
        let before = SystemTime::now();
        guard.resolve(&unkeyed(), resolution, "Ada, sk_live_PlantedKey4242").await.unwrap();
        // Another process reads it.
        let all = decisions(&on(store.clone())).await;
        let decision = all.iter().find(|one| one.decided() == decided).unwrap();
        assert_eq!((decision.who(), decision.on()), ("Ada, [redacted]", DecidedOn::Operation));
        assert_eq!(decision.subject(), guard.reference(&unkeyed()).to_string());
        assert!(decision.about().starts_with("tenant store_42, "), "{decision:?}");
        assert!(decision.at() <= SystemTime::now() && decision.at() + secs(2) > before, "{decision:?}");
    }
    assert_eq!(decisions(&validator).await.len(), 2);
    // What was refused was not decided.
    let again = guard.resolve(&unkeyed(), Resolution::not_executed(), "Ada").await;
    assert!(matches!(again, Err(ResolveError::NothingToResolve { .. })));
    assert_eq!(decisions(&validator).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_that_cannot_be_recorded() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = on(store.clone());
    let guard = validator.guard();
    guard.run(&unkeyed(), Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
    // The record of decisions is a new one; an operation's is replaced.
    store.script(StoreVerb::Claim, [StoreFault::Refused]);
    let refused = guard.resolve(&unkeyed(), Resolution::not_executed(), "Ada").await;
    assert!(matches!(refused, Err(ResolveError::Store(_))), "{refused:?}");
    assert!(decisions(&validator).await.is_empty());
    assert_eq!(guard.indeterminate().await.unwrap().len(), 1);
    // One that the store certainly did not make goes again; one that it may have made stays.
    for (faults, recorded) in
        [(vec![StoreFault::Refused], 0), (vec![StoreFault::None, StoreFault::LostRequest, StoreFault::LostRequest], 1)]
    {
        store.script(StoreVerb::Replace, faults);
        guard.resolve(&unkeyed(), Resolution::not_executed(), "Ada").await.unwrap_err();
        assert_eq!(decisions(&validator).await.len(), recorded);
    }
    guard.resolve(&unkeyed(), Resolution::not_executed(), "Ada").await.unwrap();
    assert_eq!(decisions(&validator).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_settled_between_the_look_and_the_word_was_not_decided() {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let (slow, fast) = (on(store.clone()), on(inner.clone()));
    slow.guard().run(&unkeyed(), Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
    // Its record of the decision takes half a second, in which another person decides.
    store.script(StoreVerb::Claim, [StoreFault::Slow(ms(500))]);
    let first = tokio::spawn(slow.guard().resolve(&unkeyed(), Resolution::not_executed(), "slow"));
    sleep(ms(250)).await;
    fast.guard().resolve(&unkeyed(), Resolution::done_without_result(), "fast").await.unwrap();
    assert!(matches!(first.await.unwrap(), Err(ResolveError::NothingToResolve { .. })));
    let who: Vec<_> = decisions(&fast).await.iter().map(|one| one.who().to_owned()).collect();
    assert_eq!(who, ["fast"]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_keeps_no_operation_from_being_resolved() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = on(store.clone());
    validator.guard().run(&unkeyed(), Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
    // The operation's record is read, and then the list for what it says of it.
    store.script(StoreVerb::Get, [StoreFault::None, StoreFault::Refused]);
    validator.guard().resolve(&unkeyed(), Resolution::not_executed(), "Ada").await.unwrap();
    assert_eq!(decisions(&validator).await.iter().map(SignedDecision::about).collect::<Vec<_>>(), [""]);
}
