//! Asking the provider what became of an operation.

use std::future::pending;
use std::sync::{Arc, Mutex};

use payproof::Provenance;
use payproof::guard::{Effect, OperationStatus, ReconcileCall, Reconciled, Resolution};
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use tokio::time::{advance, sleep};

use crate::support::{busy, paused_runtime, secs, settle};
use crate::{Act, Desk, LEASE, all_equal, crash, guard_on, keyed, keys, operation, unkeyed};

#[tokio::test(start_paused = true)]
async fn reconciling_finds_out_and_is_recorded() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::LostAnswer]);
    assert!(guard.run(&unkeyed(), desk.keyless()).await.unwrap_err().is_indeterminate());
    assert_eq!(guard.indeterminate().await.unwrap().len(), 1);
    let reconciled =
        guard.run(&unkeyed(), desk.keyless()).reconcile(|_inquiry| async { Ok(Reconciled::Done(1)) }).await.unwrap();
    assert_eq!((*reconciled.value(), reconciled.is_recorded()), (1, true));
    assert!(guard.indeterminate().await.unwrap().is_empty());
    assert_eq!(guard.run(&unkeyed(), desk.keyless()).await.unwrap().provenance(), Provenance::Replayed);
    assert_eq!(desk.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_executed_is_sent_in_a_new_round_under_a_new_key() {
    let guard = guard_on(&MemoryStore::new());
    let operation = operation(Effect::keyed_write(secs(600)));
    let desk = Desk::with(vec![Act::Fail(busy()); 4]);
    assert!(guard.run(&operation, desk.keyed()).await.unwrap_err().is_retryable());
    advance(secs(600)).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let asked = Arc::clone(&asked);
        move |inquiry: ReconcileCall| {
            asked.lock().unwrap().push((inquiry.provider_key().to_owned(), inquiry.first_sent_ago()));
            async { Ok(Reconciled::NotExecuted) }
        }
    };
    let done = guard.run(&operation, desk.keyed()).reconcile(hook).await.unwrap();
    assert_eq!((*done.value(), done.provenance()), (1, Provenance::Fresh));
    let keys = keys(&desk);
    all_equal(&keys[..4]);
    assert_ne!(keys[3], keys[4]);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, keys[0], "the key it was sent under");
    assert!(asked[0].1 >= secs(600));
    assert!(guard.indeterminate().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_given_back_keeps_its_key() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::Panic]);
    let operation = keyed();
    guard.run(&operation, desk.keyed()).await.unwrap_err();
    guard.resolve(&operation, Resolution::not_executed(), "ops").await.unwrap();
    desk.script(vec![Act::Fail(ProviderError::refused("slow down").with_status(429)); 4]);
    assert!(guard.run(&operation, desk.keyed()).await.unwrap_err().is_rate_limited());
    assert_eq!(guard.status(&operation).await.unwrap(), OperationStatus::Absent);
    guard.run(&operation, desk.keyed()).await.unwrap();
    let keys = keys(&desk);
    assert_ne!(keys[0], keys[1]);
    all_equal(&keys[1..]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_yet_stays_open() {
    type Answer = Result<Reconciled<u32>, ProviderError>;
    type Script = (&'static str, fn() -> Answer, usize);
    let answers: [Script; 4] = [
        ("unknown", || Ok(Reconciled::StillUnknown), 1),
        ("down", || Err(busy()), 4),
        ("refused", || Err(ProviderError::refused("no").with_status(404)), 1),
        ("panic", || panic!("scripted panic"), 1),
    ];
    for (name, answer, most) in answers {
        let guard = guard_on(&MemoryStore::new());
        let desk = Desk::with([Act::LostAnswer]);
        guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        let hook = move |_inquiry: ReconcileCall| async move { answer() };
        let error = guard.run(&unkeyed(), desk.keyless()).reconcile(hook).await.unwrap_err();
        assert!(error.is_indeterminate(), "{name}: {error}");
        assert!(error.attempts().len() <= most, "{name}");
        assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Indeterminate, "{name}");
        assert_eq!(guard.indeterminate().await.unwrap().len(), 1, "{name}");
        assert_eq!(desk.requests(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_run_reconciles_at_a_time_and_the_others_get_what_it_finds() {
    let store = MemoryStore::new();
    let desk = Desk::with([Act::LostAnswer]);
    guard_on(&store).run(&unkeyed(), desk.keyless()).await.unwrap_err();
    let asked = Arc::new(Mutex::new(0));
    let runs: Vec<_> = (0..20)
        .map(|_| {
            let asked = Arc::clone(&asked);
            let hook = move |_inquiry: ReconcileCall| {
                *asked.lock().unwrap() += 1;
                async {
                    sleep(secs(1)).await;
                    Ok(Reconciled::Done(7))
                }
            };
            tokio::spawn(guard_on(&store).run(&unkeyed(), desk.keyless()).reconcile(hook))
        })
        .collect();
    for run in runs {
        assert_eq!(*run.await.unwrap().unwrap().value(), 7);
    }
    assert_eq!((*asked.lock().unwrap(), desk.requests()), (1, 1));
}

#[test]
fn a_crash_while_reconciling_leaves_it_open() {
    let (store, desk) = (MemoryStore::new(), Desk::with([Act::LostAnswer]));
    let dying = paused_runtime();
    dying.block_on(async {
        let guard = guard_on(&store);
        guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        tokio::spawn(guard.run(&unkeyed(), desk.keyless()).reconcile(|_inquiry| pending()));
        settle().await;
        assert!(matches!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::InProgress { .. }));
    });
    drop(dying);
    paused_runtime().block_on(async {
        let guard = guard_on(&store);
        advance(LEASE).await;
        assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Indeterminate);
        let hook = |_inquiry| async { Ok(Reconciled::Done(1)) };
        assert!(guard.run(&unkeyed(), desk.keyless()).reconcile(hook).await.is_ok());
    });
    assert_eq!(desk.requests(), 1);
}

#[test]
fn a_crashed_write_is_reconciled_in_the_run_that_finds_it() {
    let (store, desk) = (MemoryStore::new(), Desk::default());
    crash(|| guard_on(&store), &unkeyed(), &desk);
    paused_runtime().block_on(async {
        advance(LEASE).await;
        let hook = |_inquiry| async { Ok(Reconciled::NotExecuted) };
        let done = guard_on(&store).run(&unkeyed(), desk.keyless()).reconcile(hook).await.unwrap();
        assert_eq!(*done.value(), 1);
    });
    assert_eq!((desk.requests(), desk.executed()), (2, 1));
}
