//! How long facts of the store are in memory as well.

use std::sync::atomic::Ordering;

use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use payproof::{Degradation, Mode, PaymentStatus, Provenance, ProviderPayment};
use tokio::join;
use tokio::time::sleep;

use super::{out_of_order, over, sharing, slow};
use crate::support::{intent, intent_of, is_valid, ms, paid, plain, provider, secs};

// In memory.

#[tokio::test(start_paused = true)]
async fn lasting_facts_of_the_store_are_in_memory_for_five_seconds() {
    let (provider, store) = (provider(), MemoryStore::new());
    let way = FlakyStore::new(store.clone());
    let first = plain(&provider).store(way.clone()).build().unwrap();
    sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
    first.validate(intent("pi_1")).await.unwrap();
    assert_eq!(way.calls(StoreVerb::Claim), 1);
    tokio::time::advance(ms(4_999)).await;
    first.validate(intent("pi_1")).await.unwrap();
    first.validate(intent_of("pi_1", "20.00")).await.unwrap();
    assert_eq!(way.calls(StoreVerb::Claim), 1);
    tokio::time::advance(ms(2)).await;
    first.validate(intent("pi_1")).await.unwrap();
    assert_eq!((way.calls(StoreVerb::Claim), provider.calls()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_may_change_at_any_moment_is_not_in_memory() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(ProviderPayment::new("pi_1", PaymentStatus::Processing).with_mode(Mode::Live));
    let way = FlakyStore::new(store.clone());
    let first = plain(&provider).store(way.clone()).build().unwrap();
    for calls in 1..=3 {
        first.validate(intent("pi_1")).await.unwrap();
        assert_eq!(way.calls(StoreVerb::Claim), calls);
    }
    assert_eq!(provider.calls(), 1, "but it is in the store, for two seconds");
    tokio::time::advance(secs(2)).await;
    first.validate(intent("pi_1")).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_forgetting_elsewhere_memory_serves_no_longer_than_it_says() {
    let (provider, store) = (provider(), MemoryStore::new());
    let way = FlakyStore::new(store.clone());
    let first = plain(&provider).store(way.clone()).build().unwrap();
    let second = sharing(&provider, &store);
    second.validate(intent("pi_1")).await.unwrap();
    way.script(StoreVerb::Claim, [StoreFault::SlowReply(ms(900))]);
    let claims = intent("pi_1");
    let (_, ()) = join!(first.validate(&claims), async {
        sleep(ms(100)).await;
        second.forget(claims.payment()).await.unwrap();
        provider.put(paid("pi_1").with_amount_refunded(1999));
    });
    tokio::time::advance(ms(5_000 - 800 + 10)).await;
    assert!(!is_valid(&first.validate(intent("pi_1")).await.unwrap()), "5.01 s after the forgetting");
}

#[tokio::test(start_paused = true)]
async fn after_forgetting_elsewhere_what_was_asked_without_the_store_is_served_no_longer_than_memory_says() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(3), || paid("pi_1"));
    let way = FlakyStore::new(store.clone());
    let first = over(&provider, &store).store(way.clone()).facts_in_memory_for(secs(5)).build().unwrap();
    let second = over(&provider, &store).build().unwrap();
    way.script(StoreVerb::Claim, [StoreFault::NotSent, StoreFault::NotSent]);
    let claims = intent("pi_1");
    let (one, ()) = join!(first.validate(&claims), async {
        sleep(secs(1)).await;
        second.forget(claims.payment()).await.unwrap();
    });
    assert_eq!(one.unwrap().degraded(), Some(Degradation::StoreDown));
    sleep(ms(3_500)).await;
    let later = first.validate(&claims).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2, "5.5 s after the forgetting, facts from before: {later:?}");
}

#[tokio::test(start_paused = true)]
async fn what_can_be_mended_is_asked_about_again_after_two_seconds() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(out_of_order());
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    assert!(!is_valid(&first.validate(intent("pi_1")).await.unwrap()));
    provider.put(paid("pi_1"));
    tokio::time::advance(ms(1_900)).await;
    assert!(!is_valid(&second.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(provider.calls(), 1);
    tokio::time::advance(ms(200)).await;
    let mended = second.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&mended), "{mended:?}");
    assert_eq!((mended.provenance(), provider.calls()), (Provenance::Fresh, 2));
}
