//! A process that ends while its operation is at the provider.

use std::time::Duration;

use payproof::guard::{Effect, OperationStatus};
use payproof::store::MemoryStore;
use tokio::time::{Instant, advance};

use crate::support::{paused_runtime, secs};
use crate::{Desk, LEASE, all_equal, crash, crash_between, guard_on, keyed, keys, operation, plain, read, unkeyed};

#[test]
fn an_unprotected_write_that_crashed_is_indeterminate_once_its_lease_is_over() {
    let (store, desk) = (MemoryStore::new(), Desk::default());
    crash(|| guard_on(&store), &unkeyed(), &desk);
    paused_runtime().block_on(async {
        let guard = guard_on(&store);
        let begin = Instant::now();
        let error = guard.run(&unkeyed(), desk.keyless()).deadline(secs(1)).await.unwrap_err();
        assert!(error.is_in_progress(), "{error}");
        assert_eq!((error.code(), error.http_status()), ("in_progress", 409));
        assert!(error.retry_after().unwrap() > secs(100));
        assert!(matches!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::InProgress { .. }));
        let error = guard.run(&unkeyed(), desk.keyless()).deadline(secs(600)).await.unwrap_err();
        assert!(error.is_indeterminate(), "{error}");
        assert!(begin.elapsed() > secs(100), "not before the lease is over");
        assert_eq!(desk.requests(), 1);
        assert_eq!(guard.indeterminate().await.unwrap().len(), 1);
    });
}

#[test]
fn a_protected_write_that_crashed_is_sent_again_under_the_same_key() {
    let (store, desk) = (MemoryStore::new(), Desk::default());
    for process in 0..3 {
        crash_between(|| guard_on(&store), &keyed(), &desk, (LEASE + secs(1)) * process, Duration::ZERO);
    }
    assert_eq!((desk.requests(), desk.executed()), (3, 0));
    paused_runtime().block_on(async {
        advance((LEASE + secs(1)) * 3).await;
        assert!(guard_on(&store).run(&keyed(), desk.keyed()).await.is_ok());
    });
    all_equal(&keys(&desk));
}

#[test]
fn a_crash_is_taken_over_after_the_lease_by_one_of_those_who_wait() {
    for (operation, requests) in [(keyed(), 2), (read(), 2)] {
        let (store, desk) = (MemoryStore::new(), Desk::default());
        crash(|| guard_on(&store), &operation, &desk);
        paused_runtime().block_on(async {
            let guards = [guard_on(&store), guard_on(&store)];
            let runs: Vec<_> = (0..20)
                .map(|number| {
                    let run = guards[number % 2].run(&operation, desk.keyed()).deadline(secs(600));
                    tokio::spawn(run)
                })
                .collect();
            for run in runs {
                assert_eq!(*run.await.unwrap().unwrap().value(), 1);
            }
        });
        assert_eq!((desk.requests(), desk.executed()), (requests, 1));
        all_equal(&keys(&desk));
    }
}

#[test]
fn a_protected_write_is_not_sent_again_once_the_provider_may_have_forgotten_its_key() {
    // 150 s of a run and a minute: 210 s have to be left.
    for (waited, sent_again) in [(secs(389), true), (secs(391), false)] {
        let operation = operation(Effect::keyed_write(secs(600)));
        let (store, desk) = (MemoryStore::new(), Desk::default());
        crash(|| guard_on(&store), &operation, &desk);
        paused_runtime().block_on(async {
            advance(waited).await;
            let guard = guard_on(&store);
            let run = guard.run(&operation, desk.keyed()).await;
            assert_eq!(run.is_ok(), sent_again, "{waited:?}: {run:?}");
            assert_eq!(desk.requests(), if sent_again { 2 } else { 1 });
            if !sent_again {
                let error = run.unwrap_err();
                assert!(error.is_indeterminate() && !error.is_retryable());
            }
        });
    }
}

#[test]
fn renewals_do_not_make_the_first_sending_any_younger() {
    let renewing = |store: &MemoryStore| {
        plain().attempt_timeout(secs(150)).store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard()
    };
    for (waited, sent_again) in [(secs(20), true), (secs(300), false)] {
        let operation = operation(Effect::keyed_write(secs(600)));
        let (store, desk) = (MemoryStore::new(), Desk::default());
        crash_between(|| renewing(&store), &operation, &desk, Duration::ZERO, secs(140));
        paused_runtime().block_on(async {
            // The other runtime's clock was so far on.
            advance(secs(140) + waited).await;
            let run = renewing(&store).run(&operation, desk.keyed()).await;
            assert_eq!(run.is_ok(), sent_again, "{waited:?}: {run:?}");
        });
    }
}
