//! One process asks, and the others take its answer.

use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::{Step, StoreFault, StoreVerb};
use payproof::{Degradation, Provenance};
use tokio::join;
use tokio::time::sleep;

use super::{flaky, sharing};
use crate::support::{busy, intent, intent_of, is_valid, ms, paid, provider, secs, settle};

#[tokio::test(start_paused = true)]
async fn what_one_process_asked_another_replays() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    assert_eq!(first.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
    tokio::time::advance(secs(60)).await;
    let replayed = second.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&replayed));
    assert_eq!((replayed.provenance(), replayed.age()), (Provenance::Replayed, secs(60)));
    assert_eq!(provider.calls(), 1);
    tokio::time::advance(secs(15 * 60 - 59)).await;
    assert_eq!(second.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn two_processes_ask_once_and_both_answer() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(secs(2))]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let (one, two) = (intent("pi_1"), intent_of("pi_1", "20.00"));
    let (one, two) = join!(first.validate(&one), async {
        settle().await;
        second.validate(&two).await
    });
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(is_valid(&one) && !is_valid(&two), "each by its own claims");
    assert_eq!((one.provenance(), two.provenance()), (Provenance::Fresh, Provenance::Coalesced));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_accepts_no_age_waits_for_a_claim_that_was_made_after_it_began() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, (second, way)) = (sharing(&provider, &store), flaky(&provider, &store));
    first.validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(60)).await;
    // It finds the facts of before, and is slow to take them over.
    way.script(StoreVerb::Replace, [StoreFault::Slow(ms(500))]);
    let waits = tokio::spawn(second.validate(intent("pi_1")).max_age(ms(0)).into_future());
    settle().await;
    provider.script("pi_1", [Step::Wait(secs(5))]);
    let leads = tokio::spawn(first.validate(intent("pi_1")).max_age(ms(0)).into_future());
    sleep(secs(1)).await;
    // This one came after the claim was made, and takes it over.
    let later = second.validate(intent("pi_1")).max_age(ms(0)).await.unwrap();
    let waited = waits.await.unwrap().unwrap();
    assert_eq!((later.provenance(), waited.provenance()), (Provenance::Fresh, Provenance::Coalesced));
    assert_eq!((leads.await.unwrap().unwrap().degraded(), provider.calls()), (Some(Degradation::NotRecorded), 3));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_elsewhere_fail_with_the_flight() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(secs(2)), ProviderError::refused("no").with_status(404).into()]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    provider.always(Some(Step::Fail(busy())));
    let claims = intent("pi_1");
    let (one, two) = join!(first.validate(&claims), async {
        settle().await;
        second.validate(&claims).await
    });
    assert_eq!(one.unwrap_err().code(), "provider_refused");
    // A refused credential may be this process's own trouble, so the other asks for itself.
    assert_eq!(two.unwrap_err().code(), "provider_unavailable");
}

#[tokio::test(start_paused = true)]
async fn forgetting_reaches_a_flight_in_another_process() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(secs(2))]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let claims = intent("pi_1");
    let (one, ()) = join!(first.validate(&claims), async {
        settle().await;
        second.forget(claims.payment()).await.unwrap();
        provider.put(paid("pi_1").with_amount_refunded(1999));
    });
    let one = one.unwrap();
    assert_eq!(one.degraded(), Some(Degradation::NotRecorded), "it gets its answer, and leaves nothing behind");
    assert!(!is_valid(&second.validate(&claims).await.unwrap()));
    assert!(!is_valid(&first.validate(&claims).await.unwrap()));
}
