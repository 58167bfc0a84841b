//! How long a lease holds, and what its holder may do after it.

use payproof::guard::{EffectCall, OperationStatus, Resolution};
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use payproof::{Degradation, Provenance};
use tokio::time::{Instant, sleep};

use crate::support::{ms, secs, settle};
use crate::{Act, Desk, all_equal, keyed, keys, plain, unkeyed};

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_outlives_its_length() {
    let store = MemoryStore::new();
    let guard = || plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
    let desk = Desk::with([Act::Slow(secs(25))]);
    let first = tokio::spawn(guard().run(&unkeyed(), desk.keyless()));
    settle().await;
    let second = guard().run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(second.provenance(), Provenance::Coalesced);
    assert!(first.await.unwrap().unwrap().is_recorded());
    assert_eq!(desk.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_reply_is_lost_does_not_lose_the_result() {
    for fault in [StoreFault::LostReply, StoreFault::NeverReplies, StoreFault::LostRequest, StoreFault::NotSent] {
        for act in [Act::Slow(secs(7)), Act::Fail(ProviderError::refused("no").with_status(402))] {
            let store = FlakyStore::new(MemoryStore::new());
            let guard = plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
            // Two renewals; what is known not to have been answered is tried twice.
            let tries = if fault == StoreFault::NeverReplies { 2 } else { 4 };
            store.script(StoreVerb::Replace, vec![fault; tries]);
            let desk = Desk::with([Act::Fail(ProviderError::not_sent("x")), act]);
            let result = guard.run(&unkeyed(), desk.keyless()).await;
            let shown = format!("{fault:?} {result:?}");
            if let Ok(done) = &result {
                assert!(done.is_recorded(), "{shown}");
            }
            sleep(secs(70)).await;
            let status = guard.status(&unkeyed()).await.unwrap();
            assert!(matches!(status, OperationStatus::Done | OperationStatus::Refused), "{status:?} {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_hangs_holds_nothing_up() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
    store.script(StoreVerb::Replace, [StoreFault::Never]);
    let begin = Instant::now();
    let call = move |call: EffectCall| async move {
        if call.attempt() == 1 {
            sleep(ms(2100)).await;
            return Err(ProviderError::not_sent("no route"));
        }
        Ok(begin.elapsed())
    };
    let done = guard.run(&unkeyed(), call).await.unwrap();
    assert!(*done.value() < ms(2300), "{:?}", done.value());
    assert!(done.is_recorded());
}

#[tokio::test(start_paused = true)]
async fn a_late_leader_changes_nothing_and_its_caller_is_answered() {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let late = plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
    let desk = Desk::with([Act::Slow(secs(20))]);
    store.script(StoreVerb::Replace, vec![StoreFault::NotSent; 40]);
    let first = tokio::spawn(late.run(&keyed(), desk.keyed()));
    sleep(secs(7)).await;
    let successor = plain().store(inner).renewed_lease(secs(6)).build().unwrap().guard();
    let second = successor.run(&keyed(), desk.keyed()).await.unwrap();
    assert!(second.is_recorded());
    store.script(StoreVerb::Replace, vec![]);
    let first = first.await.unwrap().unwrap();
    assert_eq!(*first.value(), *second.value());
    assert_eq!(first.degraded(), Some(Degradation::NotRecorded));
    assert_eq!(desk.executed(), 1);
    all_equal(&keys(&desk));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_lease() {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let late = plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
    // The second attempt would come after 20 s, and no renewal gets through.
    let limited = ProviderError::refused("slow down").with_status(429).with_retry_after(secs(20));
    let desk = Desk::with([Act::Fail(limited)]);
    store.script(StoreVerb::Replace, vec![StoreFault::NotSent; 40]);
    let first = tokio::spawn(late.run(&unkeyed(), desk.keyless()));
    sleep(secs(7)).await;
    let successor = plain().store(inner).renewed_lease(secs(6)).build().unwrap().guard();
    assert!(successor.run(&unkeyed(), desk.keyless()).await.unwrap_err().is_indeterminate());
    successor.resolve(&unkeyed(), Resolution::not_executed(), "ops").await.unwrap();
    assert!(successor.run(&unkeyed(), desk.keyless()).await.is_ok());
    assert!(first.await.unwrap().is_err());
    assert_eq!(desk.requests(), 2);
    assert_eq!(desk.executed(), 1);
}
