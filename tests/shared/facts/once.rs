//! One process asks, and the others take its answer.

use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::Step;
use payproof::{Degradation, Provenance};
use tokio::join;

use super::sharing;
use crate::support::{busy, intent, intent_of, is_valid, paid, provider, secs, settle};

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
