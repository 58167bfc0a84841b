//! A store that is down, loses replies, or holds what this release cannot read.

use payproof::guard::{Effect, Operation, OperationStatus, Resolution, ResolveError};
use payproof::provider::ProviderError;
use payproof::store::{MemoryStore, RestartLoss, Store};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use payproof::{Degradation, Provenance, Validator};
use tokio::time::{advance, sleep};

use crate::support::{paused_runtime, secs, settle};
use crate::{Act, DAY, Desk, LEASE, all_equal, crash, guard_on, keyed, keys, plain, read, unkeyed};

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_only_what_is_safe_goes_on() {
    for fault in [StoreFault::NotSent, StoreFault::Never, StoreFault::Refused, StoreFault::LostReply] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store);
        store.always(Some(fault));
        let desk = Desk::default();
        let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        assert!(error.is_store(), "{fault:?}: {error}");
        assert_eq!((error.code(), error.http_status()), ("store_unavailable", 503));
        let error = guard.clone().run(&keyed(), desk.keyed()).await.unwrap_err();
        assert!(error.is_store(), "{fault:?}");
        assert_eq!(desk.requests(), 0, "{fault:?}");
        let bold = guard.clone().go_on_without_store();
        for operation in [keyed(), read()] {
            let done = bold.run(&operation, desk.keyed()).await.unwrap();
            assert_eq!(done.degraded(), Some(Degradation::StoreDown), "{fault:?}");
        }
        assert!(guard.status(&keyed()).await.unwrap_err().is_store());
        assert!(guard.indeterminate().await.unwrap_err().is_store());
        let resolved = guard.resolve(&keyed(), Resolution::not_executed(), "ops").await;
        assert!(matches!(resolved, Err(ResolveError::Store(_))), "{resolved:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_repeats_no_effect_of_the_past() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = guard_on(&store);
    let desk = Desk::default();
    guard.run(&keyed(), desk.keyed()).await.unwrap();
    advance(DAY * 30).await;
    store.always(Some(StoreFault::NotSent));
    assert!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().is_store());
    assert_eq!(desk.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_two_tries_is_known_as_ones_own() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = guard_on(&store).go_on_without_store();
    let desk = Desk::default();
    store.script(StoreVerb::Claim, [StoreFault::LostRequest, StoreFault::LostReply]);
    assert!(!guard.run(&keyed(), desk.keyed()).await.unwrap().is_recorded());
    sleep(secs(70)).await;
    let done = guard.run(&keyed(), desk.keyed()).await.unwrap();
    assert_eq!((done.provenance(), desk.requests()), (Provenance::Replayed, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_done_without_the_store_is_recorded_when_it_is_back() {
    for fault in [StoreFault::NotSent, StoreFault::NeverReplies] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store).go_on_without_store();
        store.always(Some(fault));
        let desk = Desk::default();
        assert!(!guard.run(&keyed(), desk.keyed()).await.unwrap().is_recorded());
        sleep(secs(5)).await;
        store.always(None);
        sleep(secs(70)).await;
        let done = guard.run(&keyed(), desk.keyed()).await.unwrap();
        assert_eq!((done.provenance(), desk.requests()), (Provenance::Replayed, 1), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_result_of_a_read_that_could_not_be_recorded_is_not_recorded_late() {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let guard = plain().store(store.clone()).build().unwrap().guard();
    let desk = Desk::with([Act::Slow(secs(1))]);
    let run = tokio::spawn(guard.run(&read(), desk.keyless()));
    settle().await;
    store.always(Some(StoreFault::NotSent));
    assert!(!run.await.unwrap().unwrap().is_recorded());
    store.always(None);
    sleep(secs(10)).await;
    assert!(matches!(guard.status(&read()).await.unwrap(), OperationStatus::InProgress { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_after_the_answer_costs_no_caller_the_answer() {
    for fault in [StoreFault::NotSent, StoreFault::LostRequest, StoreFault::Never, StoreFault::Refused] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store);
        let desk = Desk::default();
        store.script(StoreVerb::Replace, [fault, fault]);
        let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((*done.value(), done.degraded()), (1, Some(Degradation::NotRecorded)), "{fault:?}");
        let again = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((*again.value(), desk.requests()), (1, 1), "it is recorded within the minute: {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_of_the_store_changes_nothing() {
    for verb in [StoreVerb::Claim, StoreVerb::Replace] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store);
        store.script(verb, [StoreFault::LostReply]);
        let desk = Desk::default();
        assert!(guard.run(&unkeyed(), desk.keyless()).await.unwrap().is_recorded());
        guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!(desk.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_claim_that_was_made_after_all_is_taken_back() {
    for faults in [
        &[StoreFault::NeverReplies][..],
        &[StoreFault::Late(secs(3))],
        &[StoreFault::LostReply, StoreFault::NotSent],
        &[StoreFault::LostReply, StoreFault::Refused],
    ] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store);
        store.script(StoreVerb::Claim, faults.iter().copied());
        let desk = Desk::default();
        assert!(guard.run(&unkeyed(), desk.keyless()).await.unwrap_err().is_store(), "{faults:?}");
        sleep(secs(70)).await;
        let done = guard.run(&unkeyed(), desk.keyless()).await;
        assert!(done.is_ok_and(|done| *done.value() == 1) && desk.requests() == 1, "{faults:?}");
    }
}

#[test]
fn a_take_over_that_was_not_confirmed_forgets_no_doubt() {
    for fault in [StoreFault::NeverReplies, StoreFault::Never] {
        let (inner, desk) = (MemoryStore::new(), Desk::default());
        crash(|| guard_on(&inner), &keyed(), &desk);
        paused_runtime().block_on(async {
            advance(LEASE).await;
            let store = FlakyStore::new(inner.clone());
            let guard = guard_on(&store);
            store.script(StoreVerb::Replace, [fault]);
            assert!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().is_store());
            for _ in 0..7 {
                assert_ne!(guard.status(&keyed()).await.unwrap(), OperationStatus::Absent, "{fault:?}");
                sleep(secs(10)).await;
            }
            assert_eq!(guard.status(&keyed()).await.unwrap(), OperationStatus::Indeterminate, "{fault:?}");
            assert!(guard.run(&keyed(), desk.keyed()).await.is_ok());
            assert!(guard.indeterminate().await.unwrap().is_empty());
        });
        all_equal(&keys(&desk));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_could_not_be_given_back_is_given_back_later() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = guard_on(&store);
    let desk = Desk::with([Act::Fail(ProviderError::refused("bad key").with_status(401))]);
    store.script(StoreVerb::Remove, [StoreFault::NotSent, StoreFault::NotSent]);
    assert!(guard.run(&unkeyed(), desk.keyless()).await.unwrap_err().is_configuration());
    assert!(guard.run(&unkeyed(), desk.keyless()).await.is_ok(), "within its deadline");
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_on_beside_a_record_of_a_newer_release() {
    let store = MemoryStore::new();
    let guard = guard_on(&store);
    let place = format!("payproof:operation:{{{}}}", guard.reference(&read()));
    store.claim(&place, &[2, 0, 1, 2], DAY).await.unwrap();
    let desk = Desk::default();
    let done = guard.run(&read(), desk.keyless()).await.unwrap();
    assert_eq!((desk.requests(), done.is_recorded()), (1, false));
}

#[tokio::test(start_paused = true)]
async fn over_an_unreadable_or_a_newer_record_nothing_is_sent_with_or_without_a_key() {
    for (bytes, code) in [(&b"{}"[..], "record_unreadable"), (&[2, 0, 1, 2][..], "record_newer")] {
        let store = MemoryStore::new();
        let guard = guard_on(&store).go_on_without_store();
        let place = format!("payproof:operation:{{{}}}", guard.reference(&unkeyed()));
        store.claim(&place, bytes, DAY).await.unwrap();
        let desk = Desk::default();
        let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        assert_eq!((error.code(), error.is_store()), (code, true));
        assert!(guard.status(&unkeyed()).await.unwrap_err().is_store());
        assert_eq!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().code(), code);
        assert_eq!(desk.requests(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_only_its_record_protects_is_refused_where_a_restart_loses_the_record() {
    let validator = Validator::builder(ScriptedProvider::new()).only_instance().build().unwrap();
    let (guard, desk) = (validator.guard(), Desk::default());
    let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
    assert!(error.is_configuration() && !error.is_store(), "{error:?}");
    assert_eq!((error.code(), error.http_status()), ("restart_loses", 500));
    assert_eq!(error.restart_loss(), Some(RestartLoss::All));
    for word in ["everything", "`appendonly yes`", "`appendfsync everysec`", "`restart_loses_at_most`"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(desk.requests(), 0);
    guard.run(&keyed(), desk.keyed()).await.unwrap();
    let look = Operation::new("store_42", "look", "order 6735", Effect::Read).unwrap();
    guard.run(&look, desk.keyless()).await.unwrap();
    assert_eq!(desk.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_only_its_record_protects_is_refused_where_other_processes_do_not_see_the_record() {
    // A machine with a store of its own that loses nothing, as a file.
    let machine = || {
        let store = FlakyStore::new(MemoryStore::new());
        store.pretend_restart_loses(RestartLoss::Nothing);
        Validator::builder(ScriptedProvider::new()).store(store)
    };
    let desk = Desk::default();
    for sent in 1..=2 {
        let guard = machine().build().unwrap().guard();
        let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        assert_eq!((error.code(), error.http_status(), error.restart_loss()), ("store_not_shared", 500, None));
        assert!(error.is_configuration() && error.to_string().contains("`only_instance`"), "{error}");
        guard.run(&keyed(), desk.keyed()).await.unwrap();
        assert_eq!((desk.requests(), desk.executed()), (sent, 1), "the provider's key holds on both machines");
    }
    let alone = machine().only_instance().build().unwrap().guard();
    alone.run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(desk.executed(), 2);
}
