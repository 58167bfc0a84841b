//! How long a process may ask, and who takes over.

use std::sync::atomic::Ordering;

use payproof::store::MemoryStore;
use payproof::testing::{Step, StoreFault, StoreVerb};
use payproof::{BuildError, Provenance};
use tokio::join;
use tokio::time::{Instant, sleep};

use super::{flaky, marked, over, sharing, slow};
use crate::chaos_store::ChaosStore;
use crate::support::{busy, intent, is_valid, ms, paid, plain, provider, secs, settle};

// Leases.

#[test]
fn a_lease_shorter_than_the_longest_validation_is_refused_with_both_numbers() {
    let build = |lease| plain(&provider()).store(MemoryStore::new()).lease(lease).build();
    let error = build(secs(60)).unwrap_err();
    let BuildError::Contradiction { shorter_value, longer_value, .. } = &error else { panic!("{error:?}") };
    let worst_case = plain(&provider()).store(MemoryStore::new()).build().unwrap().worst_case();
    assert!(*shorter_value > worst_case && *longer_value == secs(60), "{error}");
    let text = error.to_string();
    assert!(text.contains("60s") && text.contains(&format!("{shorter_value:?}")), "{text}");
    build(*shorter_value).unwrap();
    build(*shorter_value - ms(1)).unwrap_err();
    plain(&provider()).store(MemoryStore::new()).renewed_lease(secs(6)).build().unwrap();
    plain(&provider()).store(MemoryStore::new()).renewed_lease(secs(5)).build().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_holds_for_as_long_as_the_provider_takes() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(25), || paid("pi_1"));
    let renewing = || over(&provider, &store).renewed_lease(secs(6)).build().unwrap();
    let (first, second, claims) = (renewing(), renewing(), intent("pi_1"));
    let (one, two) = join!(first.validate(&claims), async {
        sleep(secs(1)).await;
        second.validate(&claims).await
    });
    assert_eq!(marked(&one.unwrap()), (Provenance::Fresh, None));
    assert_eq!(marked(&two.unwrap()), (Provenance::Coalesced, None));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_crashed_is_taken_over_from_when_its_lease_is_over() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(3), || paid("pi_1"));
    let spy = ChaosStore::new(&store, 0);
    let first = over(&provider, &store).store(spy.clone()).renewed_lease(secs(6)).build().unwrap();
    let second = over(&provider, &store).renewed_lease(secs(6)).build().unwrap();
    let claims = intent("pi_1");
    let crashed = tokio::spawn(first.validate(&claims));
    sleep(secs(1)).await;
    spy.crash();
    crashed.abort();
    let start = Instant::now();
    let two = second.validate(&claims).await.unwrap();
    assert_eq!(marked(&two), (Provenance::Fresh, None));
    assert!(start.elapsed() < secs(6 + 3 + 1), "{:?}", start.elapsed());
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_crashed_process_is_told_how_long() {
    let store = MemoryStore::new();
    let (provider, _) = slow(secs(3), || paid("pi_1"));
    let spy = ChaosStore::new(&store, 0);
    let first = over(&provider, &store).store(spy.clone()).lease(secs(160)).build().unwrap();
    let second = over(&provider, &store).total_deadline(secs(20)).build().unwrap();
    let claims = intent("pi_1");
    let crashed = tokio::spawn(first.validate(&claims));
    sleep(secs(1)).await;
    spy.crash();
    crashed.abort();
    let start = Instant::now();
    let error = second.validate(&claims).await.unwrap_err();
    assert!(error.is_in_progress(), "{error}");
    assert!(start.elapsed() <= secs(20));
    let wait = error.retry_after().unwrap();
    assert!(wait > secs(130) && wait < secs(160), "{wait:?}");
    sleep(wait).await;
    assert!(is_valid(&second.validate(&claims).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_provider_gives_its_place_to_those_who_wait_elsewhere() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Wait(secs(2)), Step::Panic]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let claims = intent("pi_1");
    let start = Instant::now();
    let (one, two) = join!(first.validate(&claims), async {
        settle().await;
        second.validate(&claims).await
    });
    assert_eq!(one.unwrap_err().code(), "interrupted");
    assert!(is_valid(&two.unwrap()));
    // The next look of one that waits: the lease would hold it up for 4 s more.
    assert!(start.elapsed() < secs(3), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_waits_for_another_one_stops_waiting_with_its_last_caller() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(paid("pi_2"));
    provider.script("pi_1", [Step::Wait(secs(20))]);
    let (first, second) = (sharing(&provider, &store), over(&provider, &store).max_in_flight(1).build().unwrap());
    let leader = tokio::spawn(first.validate(intent("pi_1")).into_future());
    settle().await;
    let waiter = tokio::spawn(second.validate(intent("pi_1")).into_future());
    sleep(secs(2)).await;
    assert_eq!(second.stats().in_flight, 1);
    waiter.abort();
    settle().await;
    assert_eq!(second.stats().in_flight, 0, "it would wait for 18 s more");
    assert!(is_valid(&second.validate(intent("pi_2")).await.unwrap()), "its permit is back");
    let comes_back = second.validate(intent("pi_1")).await.unwrap();
    assert_eq!(marked(&comes_back), (Provenance::Coalesced, None));
    assert!(is_valid(&leader.await.unwrap().unwrap()));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_no_caller_waits_for_holds_no_permit_while_its_lease_is_ended() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Fail(busy().with_retry_after(secs(20)))]);
    let (first, way) = flaky(&provider, &store);
    let leader = tokio::spawn(first.validate(intent("pi_1")).into_future());
    settle().await;
    way.script(StoreVerb::Remove, [StoreFault::Slow(ms(200))]);
    leader.abort();
    settle().await;
    assert_eq!((first.stats().in_flight, way.executed(StoreVerb::Remove)), (0, 0), "the store has not answered yet");
    sleep(ms(250)).await;
    assert_eq!(way.executed(StoreVerb::Remove), 1, "the lease is ended all the same");
    let second = sharing(&provider, &store);
    let begin = Instant::now();
    assert!(is_valid(&second.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(begin.elapsed(), ms(0), "no process holds it");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_under_a_lease_hears_how_long_the_provider_asked_to_wait() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Fail(busy().with_retry_after(secs(20)))]);
    let process = sharing(&provider, &store);
    for left in [19, 18] {
        let error = process.validate(intent("pi_1")).deadline(secs(1)).await.unwrap_err();
        assert_eq!((error.code(), error.retry_after()), ("deadline_exceeded", Some(secs(left))));
        settle().await;
    }
    assert_eq!(provider.calls(), 1, "the second one waits with its lease for what the first one was told");
    let begin = Instant::now();
    assert!(is_valid(&process.validate(intent("pi_1")).await.unwrap()));
    assert!(begin.elapsed() >= secs(18) && provider.calls() == 2, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_process_whose_callers_have_left_leaves_the_asking_to_those_who_wait_elsewhere() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.script("pi_1", [Step::Fail(busy().with_retry_after(secs(20)))]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let leader = tokio::spawn(first.validate(intent("pi_1")).into_future());
    settle().await;
    let waiter = tokio::spawn(second.validate(intent("pi_1")).into_future());
    settle().await;
    let begin = Instant::now();
    leader.abort();
    settle().await;
    assert_eq!(first.stats().in_flight, 0, "the retry is not waited for");
    let validation = waiter.await.unwrap().unwrap();
    assert_eq!(marked(&validation), (Provenance::Fresh, None));
    // The next look of the one that waits; the leader would have asked again after 20 s, and its lease is longer.
    assert!(begin.elapsed() < secs(2), "{:?}", begin.elapsed());
    assert_eq!(provider.calls(), 2);
}
