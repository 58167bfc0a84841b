//! The list of indeterminate operations: its pages, how long it is kept, and the provider's key of each.

use payproof::Validator;
use payproof::guard::{Effect, EffectCall, Guard, IndeterminateOperation, Operation};
use payproof::health::HealthReason;
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use tokio::time::advance;

use crate::support::{busy, secs};
use crate::{Act, DAY, Desk, guard_on, plain, unkeyed};

fn on(store: &MemoryStore) -> Validator {
    plain().store(store.clone()).max_indeterminate_per_tenant(2_000).build().unwrap()
}

async fn fail(guard: &Guard, key: usize) {
    let operation = Operation::new("t", "payout", key.to_string(), Effect::write()).unwrap();
    let lost = |_: EffectCall| async { Err::<(), _>(ProviderError::outcome_unknown("reset")) };
    guard.run(&operation, lost).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_one_page_has_no_room_for_is_on_the_next() {
    let store = MemoryStore::new();
    let guard = on(&store).guard();
    for key in 0..501 {
        fail(&guard, key).await;
    }
    let list = guard.indeterminate().await.unwrap();
    assert_eq!((list.len(), list.not_listed()), (501, 0));
    // Run again, it is listed once, and one that is resolved leaves its page.
    fail(&guard, 500).await;
    let moved = Operation::new("t", "payout", "500", Effect::write()).unwrap();
    assert_eq!(guard.indeterminate().await.unwrap().len(), 501);
    guard.resolve(&moved, payproof::guard::Resolution::not_executed(), "ada").await.unwrap();
    let list = guard.indeterminate().await.unwrap();
    assert!(list.len() == 500 && list.iter().all(|one| one.reference() != guard.reference(&moved)));
}

#[tokio::test(start_paused = true)]
async fn a_full_list_is_told_by_health() {
    let validator = plain().store(MemoryStore::new()).max_indeterminate_per_tenant(2).build().unwrap();
    for key in 0..5 {
        fail(&validator.guard(), key).await;
    }
    let health = validator.health().await;
    let not_listed = HealthReason::NotListed { operations: 3, requests: 0 };
    assert!(health.reasons().contains(&not_listed), "{health:?}");
    let page = serde_json::to_value(&health).unwrap();
    assert!(page.to_string().contains(r#""code":"indeterminate_not_listed""#), "{page}");
}

#[tokio::test(start_paused = true)]
async fn who_lists_for_a_shorter_time_does_not_shorten_the_list() {
    let store = MemoryStore::new();
    let guard = guard_on(&store);
    guard.run(&unkeyed(), Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
    fail(&guard_on(&store).write_retention(secs(3_600)), 1).await;
    advance(secs(7_200)).await;
    let list = guard.indeterminate().await.unwrap();
    assert_eq!(list.iter().map(IndeterminateOperation::reference).collect::<Vec<_>>(), [guard.reference(&unkeyed())]);
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_provider_key_ends_soon_is_told() {
    let validator = on(&MemoryStore::new());
    let guard = validator.guard();
    let keyed = Operation::new("t", "refund", "k", Effect::keyed_write(DAY)).unwrap();
    let lost = |call: EffectCall| async move {
        let _ = call.provider_key();
        Err::<(), _>(ProviderError::outcome_unknown("reset"))
    };
    guard.run(&keyed, lost).await.unwrap_err();
    let key_left = async || guard.indeterminate().await.unwrap().iter().next().unwrap().key_left();
    let ending = async || {
        let health = validator.health().await;
        health.reasons().iter().find(|reason| reason.code() == "provider_keys_ending").cloned()
    };
    let left = key_left().await.unwrap();
    assert!(left < DAY && left + secs(600) > DAY, "{left:?}");
    assert_eq!(ending().await, None);
    advance(left.saturating_sub(secs(7_000))).await;
    let Some(HealthReason::ProviderKeysEnding { operations: 1, soonest }) = ending().await else {
        panic!("{:?}", validator.health().await)
    };
    assert!((secs(6_990)..=secs(7_000)).contains(&soonest), "{soonest:?}");
    advance(secs(7_000)).await;
    assert_eq!((key_left().await, ending().await), (None, None), "it is as any other from then on");
    // One that nothing protects has no such time.
    let validator = on(&MemoryStore::new());
    fail(&validator.guard(), 1).await;
    assert_eq!(validator.guard().indeterminate().await.unwrap().iter().next().unwrap().key_left(), None);
}
