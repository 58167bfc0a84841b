//! The store that fails on script: what reaches the store inside, and what the caller is told.
#![allow(clippy::unwrap_used, reason = "a store that fails where it should not fails the test that asked it")]

use std::task::Poll;
use std::time::Duration;

use crate::support::{ms, poll_now, secs};
use payproof::store::{Claim, Durability, MemoryStore, RestartLoss, Store, StoreError, Swap};
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::time::{Instant, sleep, timeout};

const TTL: Duration = secs(60);

fn flaky() -> FlakyStore<MemoryStore> {
    FlakyStore::new(MemoryStore::new())
}

async fn claim(store: &FlakyStore<MemoryStore>) -> Result<Claim, StoreError> {
    store.claim("key", b"mine", TTL).await
}

/// Whether the claim reached the store inside.
async fn was_made(store: &FlakyStore<MemoryStore>) -> bool {
    store.inner().get("key").await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn each_error_says_how_far_the_call_got() {
    for (fault, made, unknown, refused) in [
        (StoreFault::NotSent, false, false, false),
        (StoreFault::LostRequest, false, true, false),
        (StoreFault::LostReply, true, true, false),
        (StoreFault::Refused, false, false, true),
    ] {
        let store = flaky();
        store.script(StoreVerb::Claim, [fault]);
        let error = claim(&store).await.unwrap_err();
        assert_eq!((error.is_outcome_unknown(), error.is_refused()), (unknown, refused), "{fault:?}");
        assert_eq!(was_made(&store).await, made, "{fault:?}");
        assert_eq!((store.calls(StoreVerb::Claim), store.executed(StoreVerb::Claim)), (1, u64::from(made)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_early_finds_what_the_fault_says() {
    for (fault, made_at_once, made_later) in [
        (StoreFault::Slow(secs(5)), false, false),
        (StoreFault::SlowReply(secs(5)), true, true),
        (StoreFault::Late(secs(5)), false, true),
        (StoreFault::Never, false, false),
        (StoreFault::NeverReplies, true, true),
    ] {
        let store = flaky();
        store.script(StoreVerb::Claim, [fault]);
        timeout(secs(1), claim(&store)).await.unwrap_err();
        assert_eq!(was_made(&store).await, made_at_once, "{fault:?}");
        sleep(secs(10)).await;
        assert_eq!(was_made(&store).await, made_later, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn slow_calls_take_their_time_on_a_paused_clock() {
    for fault in [StoreFault::Slow(ms(250)), StoreFault::SlowReply(ms(250)), StoreFault::Late(ms(250))] {
        let store = flaky();
        store.always(Some(fault));
        let begin = Instant::now();
        assert_eq!(claim(&store).await, Ok(Claim::Claimed));
        assert_eq!(begin.elapsed(), ms(250), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_verbs_own_script_goes_first_then_the_common_one_then_what_always_happens() {
    let store = flaky();
    store.always(Some(StoreFault::Refused));
    store.script_any([StoreFault::None, StoreFault::NotSent]);
    store.script(StoreVerb::Claim, [StoreFault::LostRequest]);
    assert!(claim(&store).await.unwrap_err().is_outcome_unknown());
    assert_eq!(store.get("key").await, Ok(None));
    let not_sent = claim(&store).await.unwrap_err();
    assert!(!not_sent.is_outcome_unknown() && !not_sent.is_refused());
    assert!(claim(&store).await.unwrap_err().is_refused());
    store.always(None);
    assert_eq!(claim(&store).await, Ok(Claim::Claimed));
}

#[tokio::test(start_paused = true)]
async fn faults_by_chance_come_as_often_as_said_and_again_with_the_same_seed() {
    let faults = async |seed| {
        let store = flaky();
        store.by_chance(seed, [(StoreFault::NotSent, 0.2), (StoreFault::LostRequest, 0.3)]);
        let mut seen = Vec::new();
        for _ in 0..1000 {
            seen.push(store.get("key").await.map_err(|error| error.is_outcome_unknown()).map(drop));
        }
        assert_eq!(store.calls(StoreVerb::Get), 1000);
        store.by_chance(seed, []);
        assert_eq!(store.get("key").await, Ok(None), "no more chances");
        seen
    };
    let seen = faults(1).await;
    let share = |of| seen.iter().filter(|answer| **answer == of).count();
    assert!((150..250).contains(&share(Err(false))) && (250..350).contains(&share(Err(true))));
    assert_eq!(seen, faults(1).await);
    assert_ne!(seen, faults(2).await);
}

#[tokio::test(start_paused = true)]
async fn every_verb_is_counted_and_passed_on() {
    let store = flaky();
    assert_eq!(claim(&store).await, Ok(Claim::Claimed));
    assert_eq!(store.replace("key", b"mine", b"other", TTL).await, Ok(Swap::Swapped));
    assert_eq!(store.get("key").await.unwrap().unwrap().bytes, b"other");
    assert_eq!(store.remove("key", b"other").await, Ok(Swap::Swapped));
    assert_eq!(&*store.inspect().await.unwrap().server, "memory");
    for verb in [StoreVerb::Get, StoreVerb::Claim, StoreVerb::Replace, StoreVerb::Remove, StoreVerb::Inspect] {
        assert_eq!((store.calls(verb), store.executed(verb)), (1, 1), "{verb:?}");
    }
}

#[tokio::test]
async fn it_pretends_another_durability() {
    let store = flaky();
    assert!(!store.durability().shared);
    let pretended = Durability { shared: true, best_effort: false };
    store.clone().pretend(pretended);
    assert_eq!(store.durability(), pretended);
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::All));
    store.pretend_restart_loses(RestartLoss::Second);
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Second));
    assert_eq!(store.inspect().await.unwrap().restart_loss, RestartLoss::Second);
}

#[test]
fn without_a_fault_it_answers_at_the_first_poll() {
    assert!(matches!(poll_now(claim(&flaky())), Poll::Ready(Ok(Claim::Claimed))));
}
