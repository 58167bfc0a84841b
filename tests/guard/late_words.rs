//! What the process that knows the result may still say after another one has marked the operation.

use payproof::Provenance;
use payproof::guard::{Guard, OperationStatus, Reconciled, Resolution};
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault};
use tokio::time::sleep;

use crate::subscribers::Log;
use crate::support::{ms, secs};
use crate::{Desk, plain, unkeyed};

/// A refund that the provider answers after 10 s, by a process whose store is away from it meanwhile, and a look by another
/// process once the lease is over.
async fn marked_while_its_sender_was_cut_off(
    answer: Result<u32, ProviderError>,
) -> (Guard, Guard, FlakyStore<MemoryStore>) {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let first = plain().store(store.clone()).renewed_lease(secs(14)).build().unwrap().guard();
    let second = plain().store(inner).renewed_lease(secs(14)).build().unwrap().guard();
    let sending = tokio::spawn(first.run(&unkeyed(), move |_| {
        let answer = answer.clone();
        async move {
            sleep(secs(10)).await;
            answer
        }
    }));
    sleep(secs(1)).await;
    store.always(Some(StoreFault::NotSent));
    sleep(secs(16)).await;
    let looked = second.run(&unkeyed(), Desk::default().keyless()).await;
    assert!(looked.unwrap_err().is_indeterminate());
    assert_eq!(second.indeterminate().await.unwrap().len(), 1);
    let _ = sending.await.unwrap();
    (first, second, store)
}

#[tokio::test(start_paused = true)]
async fn the_process_that_knows_the_result_says_so_after_another_one_has_marked_it() {
    let (first, second, store) = marked_while_its_sender_was_cut_off(Ok(1)).await;
    sleep(secs(3)).await;
    store.always(None);
    sleep(secs(120)).await;
    for guard in [&first, &second] {
        assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Done);
        assert!(guard.indeterminate().await.unwrap().is_empty());
        let desk = Desk::default();
        let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((*done.value(), done.provenance(), desk.requests()), (1, Provenance::Replayed, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_after_another_process_has_marked_it() {
    let declined = ProviderError::refused("declined").with_status(402);
    let (_, second, store) = marked_while_its_sender_was_cut_off(Err(declined)).await;
    store.always(None);
    sleep(secs(120)).await;
    assert_eq!(second.status(&unkeyed()).await.unwrap(), OperationStatus::Refused);
    assert!(second.indeterminate().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_executed_is_free_again_after_another_process_has_marked_it() {
    let unsent = ProviderError::refused("too many").with_status(429).with_retry_after(secs(600));
    let (_, second, store) = marked_while_its_sender_was_cut_off(Err(unsent)).await;
    store.always(None);
    sleep(secs(120)).await;
    assert_eq!(second.status(&unkeyed()).await.unwrap(), OperationStatus::Absent);
    assert!(second.indeterminate().await.unwrap().is_empty());
    assert!(second.run(&unkeyed(), Desk::default().keyless()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_result_is_never_written_over_a_persons_word_and_is_told_where_that_says_otherwise() {
    for (word, executed) in [(Resolution::not_executed(), false), (Resolution::done(&77_u32), true)] {
        let (log, _installed) = Log::install();
        let (_, second, store) = marked_while_its_sender_was_cut_off(Ok(1)).await;
        second.resolve(&unkeyed(), word, "ops").await.unwrap();
        store.always(None);
        sleep(secs(120)).await;
        let expected = if executed { OperationStatus::Done } else { OperationStatus::Absent };
        assert_eq!(second.status(&unkeyed()).await.unwrap(), expected);
        let told = log.lines("declared=\"not_executed\"");
        assert_eq!(told.len(), usize::from(!executed), "{told:?}");
        assert!(told.iter().all(|line| line.contains("ERROR") && line.contains("known=\"done\"")), "{told:?}");
        if executed {
            assert_eq!(*second.run(&unkeyed(), Desk::default().keyless()).await.unwrap().value(), 77);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_of_a_round_that_is_over_is_not_written_over_the_next_one() {
    let (_, second, store) = marked_while_its_sender_was_cut_off(Ok(1)).await;
    second.resolve(&unkeyed(), Resolution::not_executed(), "ops").await.unwrap();
    let next = tokio::spawn(second.run(&unkeyed(), |_| async {
        sleep(secs(20)).await;
        Ok(2)
    }));
    sleep(ms(100)).await;
    store.always(None);
    let next = next.await.unwrap().unwrap();
    assert!(next.is_recorded());
    sleep(secs(120)).await;
    assert_eq!(*second.run(&unkeyed(), Desk::default().keyless()).await.unwrap().value(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_sender_knows_is_written_over_a_reconciliation_that_names_its_claim() {
    let declined = ProviderError::refused("declined").with_status(402);
    for (answer, expected) in [(Ok(1), OperationStatus::Done), (Err(declined), OperationStatus::Refused)] {
        let (_, second, store) = marked_while_its_sender_was_cut_off(answer).await;
        let asking = |_| async {
            sleep(secs(70)).await;
            Ok(Reconciled::StillUnknown)
        };
        let reconciling = tokio::spawn(second.run(&unkeyed(), Desk::default().keyless()).reconcile(asking));
        sleep(ms(100)).await;
        store.always(None);
        let _ = reconciling.await.unwrap();
        sleep(secs(120)).await;
        assert_eq!(second.status(&unkeyed()).await.unwrap(), expected);
        assert!(second.indeterminate().await.unwrap().is_empty());
    }
}
