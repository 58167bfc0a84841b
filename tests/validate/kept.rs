//! Looking at what is kept about a payment, without asking the provider.
#![cfg(feature = "test-util")]
#![allow(clippy::unwrap_used, reason = "what is not as it should be fails the test")]

use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, ScriptedProvider, Step, StoreFault, StoreVerb};
use payproof::{PaymentId, PaymentStatus, Validator};
use tokio::time::sleep;

use crate::support::{busy, failing, intent, ms, plain, provider, secs, settle};

fn sharing(provider: &ScriptedProvider, store: &MemoryStore) -> Validator {
    plain(provider).store(store.clone()).build().unwrap()
}

fn pi_1() -> PaymentId {
    PaymentId::parse("pi_1").unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_one_process_was_told_another_can_look_at() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (asks, looks) = (sharing(&provider, &store), sharing(&ScriptedProvider::new(), &store));
    assert_eq!(looks.stored_facts(&pi_1()).await.unwrap(), None);
    asks.validate(intent("pi_1")).await.unwrap();
    sleep(secs(60)).await;
    let kept = looks.stored_facts(&pi_1()).await.unwrap().unwrap();
    assert_eq!(kept.facts().unwrap().status(), &PaymentStatus::Paid);
    assert!(kept.age() >= secs(60) && kept.age() < secs(61), "{:?}", kept.age());
    assert!(kept.kept_for() > secs(23 * 60 * 60), "{:?}", kept.kept_for());
    assert!(!kept.is_being_asked() && kept.failure().is_none());
    assert_eq!(provider.calls(), 1, "looking does not ask the provider");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_payment_has_nothing() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = sharing(&provider, &store);
    validator.validate(intent("pi_1")).await.unwrap();
    validator.forget(&pi_1()).await.unwrap();
    assert_eq!(validator.stored_facts(&pi_1()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_under_way_shows_without_facts() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.always(Some(Step::Never));
    let (asks, looks) = (sharing(&provider, &store), sharing(&ScriptedProvider::new(), &store));
    let asking = tokio::spawn(async move { asks.validate(intent("pi_1")).await });
    settle().await;
    let kept = looks.stored_facts(&pi_1()).await.unwrap().unwrap();
    assert!(kept.is_being_asked() && kept.facts().is_none(), "{kept:?}");
    asking.abort();
}

#[tokio::test(start_paused = true)]
async fn a_failed_look_up_shows_its_code_for_a_moment() {
    let (provider, store) = (failing(busy()), MemoryStore::new());
    let validator = sharing(&provider, &store);
    let code = validator.validate(intent("pi_1")).await.unwrap_err().code();
    let kept = validator.stored_facts(&pi_1()).await.unwrap().unwrap();
    assert_eq!((kept.failure(), kept.is_being_asked()), (Some(code), false));
    sleep(secs(10)).await;
    assert_eq!(validator.stored_facts(&pi_1()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_it_is_this_processs_own_memory() {
    let provider = provider();
    let (own, other) = (plain(&provider).build().unwrap(), plain(&provider).build().unwrap());
    own.validate(intent("pi_1")).await.unwrap();
    sleep(secs(5)).await;
    let kept = own.stored_facts(&pi_1()).await.unwrap().unwrap();
    assert!(kept.facts().is_some() && kept.age() >= secs(5), "{kept:?}");
    assert_eq!(other.stored_facts(&pi_1()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_an_error() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = plain(&provider()).store(store.clone()).store_timeout(ms(100)).build().unwrap();
    store.script(StoreVerb::Get, [StoreFault::Never; 2]);
    assert!(validator.stored_facts(&pi_1()).await.unwrap_err().is_store());
    assert_eq!(validator.stored_facts(&pi_1()).await.map_err(|error| error.code()), Err("store_unavailable"));
    // Left alone until it was probed.
    sleep(secs(2)).await;
    assert_eq!(validator.stored_facts(&pi_1()).await.unwrap(), None);
}
