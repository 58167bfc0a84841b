//! Keys of callers, bound for all processes.

use payproof::store::MemoryStore;
use payproof::testing::{Step, StoreFault, StoreVerb};
use payproof::{Degradation, IdempotencyKey, Provenance};

use super::{flaky, key, marked, put, record, sharing};
use crate::support::{intent, intent_of, is_valid, ms, provider, secs};

#[tokio::test(start_paused = true)]
async fn a_key_used_elsewhere_with_other_claims_is_refused_before_any_answer() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let key = IdempotencyKey::parse("click-1").unwrap();
    first.validate(intent("pi_1").with_key(key.clone())).await.unwrap();
    second.validate(intent("pi_1")).await.unwrap();
    let reused = second.validate(intent_of("pi_1", "20.00").with_key(key.clone())).await.unwrap_err();
    assert!(reused.is_key_reused());
    assert!(is_valid(&second.validate(intent("pi_1").with_key(key)).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_compared_in_this_process_while_the_store_is_down() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.always(Some(StoreFault::NotSent));
    let one = first.validate(intent("pi_1").with_key(key("click-1"))).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Degraded, Some(Degradation::StoreDown)));
    let reused = first.validate(intent_of("pi_1", "20.00").with_key(key("click-1"))).await.unwrap_err();
    assert!(reused.is_key_reused());
}

#[tokio::test(start_paused = true)]
async fn a_key_bound_while_the_store_was_down_is_bound_for_all_once_it_is_back() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    let second = sharing(&provider, &store);
    way.always(Some(StoreFault::NotSent));
    first.validate(intent("pi_1").with_key(key("click-1"))).await.unwrap();
    way.always(None);
    let again = first.validate(intent("pi_1").with_key(key("click-1"))).await.unwrap();
    assert_eq!(again.degraded(), None, "the store is back");
    let reused = second.validate(intent_of("pi_1", "20.00").with_key(key("click-1"))).await;
    assert!(reused.is_err_and(|error| error.is_key_reused()), "an answer without a mark said that it was compared");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_others_use_by_now_is_reused_here_too() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let third = sharing(&provider, &store);
    let hour = 60 * 60;
    first.validate(intent("pi_1").with_key(key("click-1"))).await.unwrap();
    tokio::time::advance(secs(23 * hour)).await;
    second.validate(intent("pi_1").with_key(key("click-1"))).await.unwrap();
    tokio::time::advance(secs(hour + 1)).await;
    third.validate(intent_of("pi_1", "20.00").with_key(key("click-1"))).await.unwrap();
    let reused = second.validate(intent("pi_1").with_key(key("click-1"))).await;
    assert!(reused.is_err_and(|error| error.is_key_reused()), "since an hour ago it means something else");
}

#[tokio::test(start_paused = true)]
async fn the_binding_of_a_key_survives_a_lost_reply() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Claim, [StoreFault::LostReply]);
    let one = first.validate(intent("pi_1").with_key(key("click-1"))).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Fresh, None));
    let second = sharing(&provider, &store);
    assert!(is_valid(&second.validate(intent("pi_1").with_key(key("click-1"))).await.unwrap()));
    let reused = second.validate(intent_of("pi_1", "20.00").with_key(key("click-1"))).await.unwrap_err();
    assert!(reused.is_key_reused());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_record_of_a_key_is_an_error_and_no_miss() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (place, _) = record(&store, ":key:", &provider).await;
    put(&store, &place, b"OK").await;
    let error = sharing(&provider, &store).validate(intent("pi_1").with_key(key("click-1"))).await.unwrap_err();
    assert_eq!(error.code(), "record_unreadable");
}

#[tokio::test(start_paused = true)]
async fn a_caller_with_a_key_is_told_its_own_deadline() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    provider.script("pi_1", [Step::Never]);
    way.script(StoreVerb::Claim, [StoreFault::SlowReply(ms(900))]);
    let error = first.validate(intent("pi_1").with_key(key("click-1"))).deadline(secs(2)).await.unwrap_err();
    assert!(error.to_string().contains("2s"), "{error}");
}
