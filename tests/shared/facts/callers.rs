//! Callers that wait, leave, or come late.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use payproof::provider::{Provider, ProviderIdentity, provider_fn};
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, Step, StoreFault, StoreVerb};
use payproof::{Provenance, Validator};
use tokio::join;
use tokio::time::{Instant, sleep, timeout};

use super::{key, out_of_order, over, serving_stale, sharing, slow};
use crate::chaos_store::{self, ChaosStore, Verb};
use crate::support::{intent, is_valid, ms, paid, paused_runtime, plain, poll_now, provider, secs, settle};

// Callers.

#[tokio::test(start_paused = true)]
async fn an_impatient_caller_leaves_alone_and_a_dropped_one_drops_nothing() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(5), || paid("pi_1"));
    let (first, second) = (over(&provider, &store).build().unwrap(), over(&provider, &store).build().unwrap());
    let claims = intent("pi_1");
    timeout(secs(1), first.validate(&claims)).await.unwrap_err();
    let start = Instant::now();
    let error = second.validate(&claims).deadline(secs(1)).await.unwrap_err();
    assert_eq!((error.code(), start.elapsed()), ("deadline_exceeded", secs(1)));
    assert!(is_valid(&second.validate(&claims).await.unwrap()));
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_longest_validation_takes_no_longer_than_it_says() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(out_of_order());
    sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(60)).await;
    provider.always(Some(Step::Never));
    let spy = ChaosStore::new(&store, 0);
    let first = serving_stale(&provider, &store).store(spy.clone()).total_deadline(secs(20)).build().unwrap();
    // Each call to the store breaks at the last moment, and is answered at the last moment when it is repeated.
    spy.script([chaos_store::Fate::Breaks(ms(990)), chaos_store::Fate::StallBefore(ms(990))].repeat(40));
    let start = Instant::now();
    let _ = first.validate(intent("pi_1").with_key(key("click-1"))).await;
    assert!(start.elapsed() <= first.worst_case(), "{:?} of {:?}", start.elapsed(), first.worst_case());
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = sharing(&provider, &store);
    for claims in [intent("pi_1"), intent("pi_1").with_key(key("click-1"))] {
        match poll_now(validator.validate(&claims)) {
            std::task::Poll::Ready(Err(error)) => assert_eq!(error.code(), "no_runtime"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn to_forget_outside_a_runtime_is_an_error_and_no_panic() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = sharing(&provider, &store);
    assert!(matches!(poll_now(validator.forget(intent("pi_1").payment())), std::task::Poll::Ready(Err(_))));
}

// One provider call for all.

#[tokio::test(start_paused = true)]
async fn a_call_that_joined_a_flight_stays_with_it_however_long_it_takes() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(10), || paid("pi_1"));
    let validators: Vec<_> = (0..5).map(|_| over(&provider, &store).build().unwrap()).collect();
    let mut tasks = Vec::new();
    for validator in &validators {
        tasks.push(tokio::spawn(validator.validate(intent("pi_1")).max_age(secs(2))));
        settle().await;
    }
    for task in tasks {
        assert!(is_valid(&task.await.unwrap().unwrap()));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1, "the attempt started within each caller's max_age");
}

/// A flight loses the race for the lease to another process, whose answer takes so long, and sees that only after a while.
/// A caller that accepts no age, and came with the flight, is answered with it; one that came after the other process had
/// asked is not.
async fn a_flight_finds_what_was_asked_for_before_a_caller_joined_it(answers_after: Duration) {
    let store = MemoryStore::new();
    let (provider, calls) = slow(answers_after, || paid("pi_1"));
    let (way, claims) = (ChaosStore::new(&store, 0), intent("pi_1"));
    let (first, second) =
        (over(&provider, &store).build().unwrap(), over(&provider, &store).store(way.clone()).build().unwrap());
    first.validate(&claims).await.unwrap();
    way.script_verb(Verb::Replace, [chaos_store::Fate::StallBefore(ms(500))]);
    let asked_after = |validator: &Validator, time| {
        let validate = validator.validate(intent("pi_1")).max_age(secs(0));
        async move {
            sleep(time).await;
            validate.await.unwrap().provenance()
        }
    };
    let found = if answers_after.is_zero() { Provenance::Replayed } else { Provenance::Coalesced };
    let (leads, came_with_it, elsewhere, came_later) = join!(
        asked_after(&second, ms(0)),
        asked_after(&second, ms(0)),
        asked_after(&first, ms(100)),
        asked_after(&second, ms(300)),
    );
    assert_eq!((leads, came_with_it, elsewhere), (found, Provenance::Coalesced, Provenance::Fresh));
    assert_eq!(came_later, Provenance::Fresh, "the other process had asked 200 ms before it came");
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_finds_another_process_claim_does_not_answer_callers_that_came_after_it() {
    a_flight_finds_what_was_asked_for_before_a_caller_joined_it(secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_finds_another_process_answer_does_not_answer_callers_that_came_after_it_was_asked_for() {
    a_flight_finds_what_was_asked_for_before_a_caller_joined_it(secs(0)).await;
}

#[test]
fn a_seed_has_another_process_waited_for_at_the_same_pace_each_time() {
    let waited = |seed| {
        paused_runtime().block_on(async {
            let (store, claims) = (MemoryStore::new(), intent("pi_1"));
            let (provider, _) = slow(secs(3), || paid("pi_1"));
            let (first, second) =
                (over(&provider, &store).build().unwrap(), over(&provider, &store).seed(seed).build().unwrap());
            let start = Instant::now();
            let (one, two) = join!(first.validate(&claims), second.validate(&claims));
            assert_eq!(
                (one.unwrap().provenance(), two.unwrap().provenance()),
                (Provenance::Fresh, Provenance::Coalesced)
            );
            start.elapsed()
        })
    };
    let each: Vec<Duration> = (0..8).map(waited).collect();
    let again: Vec<Duration> = (0..8).map(waited).collect();
    assert_eq!(each, again);
    assert!(each.iter().any(|other| *other != each[0]), "no jitter: {each:?}");
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_take_the_answer_even_where_nothing_is_fresh() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(3), || paid("pi_1"));
    let validators: Vec<_> = (0..5).map(|_| over(&provider, &store).fresh_for(secs(0)).build().unwrap()).collect();
    let (mut tasks, start) = (Vec::new(), Instant::now());
    for validator in &validators {
        tasks.push(tokio::spawn(validator.validate(intent("pi_1"))));
        settle().await;
    }
    for task in tasks {
        assert!(is_valid(&task.await.unwrap().unwrap()));
    }
    assert_eq!((calls.load(Ordering::Relaxed), start.elapsed() < secs(6)), (1, true), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_does_not_make_an_attempt_younger() {
    let store = MemoryStore::new();
    let (provider, calls) = slow(secs(25), || paid("pi_1"));
    let renewing = || over(&provider, &store).renewed_lease(secs(6)).build().unwrap();
    let (first, second, claims) = (renewing(), renewing(), intent("pi_1"));
    let (_, two) = join!(first.validate(&claims), async {
        sleep(secs(20)).await;
        second.validate(&claims).max_age(secs(3)).await
    });
    assert!(is_valid(&two.unwrap()));
    assert_eq!(calls.load(Ordering::Relaxed), 2, "the first attempt started 20 s before, and 3 s were allowed");
}

#[tokio::test(start_paused = true)]
async fn who_asks_after_a_forgetting_elsewhere_does_not_join_a_flight_from_before() {
    let (provider, store) = (provider(), MemoryStore::new());
    // The provider reads the payment, and takes its time to answer.
    provider.script("pi_1", [Step::from(paid("pi_1"))]);
    let read_then_wait = {
        let provider = provider.clone();
        provider_fn(ProviderIdentity::new("scripted").only_account(), move |payment, call| {
            let provider = provider.clone();
            async move {
                let facts = provider.look_up(&payment, &call).await;
                sleep(secs(3)).await;
                facts
            }
        })
    };
    let read_then_wait = Arc::new(read_then_wait);
    let (first, second) =
        (over(&read_then_wait, &store).build().unwrap(), over(&read_then_wait, &store).build().unwrap());
    let claims = intent("pi_1");
    let (one, later) = join!(first.validate(&claims), async {
        sleep(secs(1)).await;
        provider.put(paid("pi_1").with_amount_refunded(1999));
        second.forget(claims.payment()).await.unwrap();
        sleep(secs(1)).await;
        first.validate(&claims).await
    });
    assert!(is_valid(&one.unwrap()), "it began before");
    assert!(!is_valid(&later.unwrap()), "it began after the payment was forgotten, and is told of before");
}

#[tokio::test(start_paused = true)]
async fn who_waited_and_stood_still_gets_no_stale_valid() {
    let (provider, store) = (provider(), MemoryStore::new());
    // Answered 5 ms after the waiter first looked: it looks again 10 ms later at the earliest.
    provider.script("pi_1", [Step::Wait(ms(15))]);
    let (asks, waits) = (sharing(&provider, &store), sharing(&provider, &store));
    let leader = tokio::spawn(async move { asks.validate(intent("pi_1")).await });
    sleep(ms(10)).await;
    let waiter = tokio::spawn(async move { waits.validate(intent("pi_1")).max_age(secs(30)).await });
    leader.await.unwrap().unwrap();
    // The process that waits stands still for two hours, and the payment is refunded meanwhile.
    provider.put(paid("pi_1").with_amount_refunded(1999));
    tokio::time::advance(secs(7200)).await;
    assert!(!waiter.await.unwrap().is_ok_and(|validation| is_valid(&validation)));
}

#[tokio::test(start_paused = true)]
async fn callers_of_a_hot_payment_share_their_flights() {
    let (provider, store) = (provider(), MemoryStore::new());
    let slow = FlakyStore::new(store);
    slow.always(Some(StoreFault::SlowReply(ms(20))));
    let validator = plain(&provider).store(slow.clone()).facts_in_memory_for(ms(0)).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap();
    let before = slow.calls(StoreVerb::Claim);
    let mut callers = Vec::new();
    for _ in 0..200 {
        let validator = validator.clone();
        callers.push(tokio::spawn(async move {
            let begin = Instant::now();
            validator.validate(intent("pi_1")).await.unwrap();
            begin.elapsed()
        }));
        sleep(ms(1)).await;
    }
    for caller in callers {
        assert!(caller.await.unwrap() <= ms(65), "its own look, and at most one that began before it");
    }
    assert!(slow.calls(StoreVerb::Claim) - before <= 15);
}
