//! Lost replies, late commands and a store that is down.

use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::{Step, StoreFault, StoreVerb};
use payproof::{Degradation, PaymentId, Provenance, Validator};
use tokio::join;
use tokio::time::{Instant, sleep};

use super::{PROMPT, flaky, marked, over, sharing, slow};
use crate::chaos_store::{self, ChaosStore};
use crate::support::{intent, is_valid, ms, paid, provider, secs};

/// Validates, and fails unless it is valid before a lease could end.
async fn is_valid_at_once(validator: &Validator, whose: &str) {
    let start = Instant::now();
    let told = validator.validate(intent("pi_1")).await;
    let told = (told.map(|validation| is_valid(&validation)).map_err(|error| error.code()), start.elapsed());
    assert!(told.0 == Ok(true) && told.1 < PROMPT, "{whose}: {told:?}");
}

// What was lost on the way.

#[tokio::test(start_paused = true)]
async fn a_claim_whose_reply_was_lost_is_recognized() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Claim, [StoreFault::LostReply]);
    let one = first.validate(intent("pi_1")).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Fresh, None));
    assert_eq!((provider.calls(), way.executed(StoreVerb::Claim)), (1, 2));
    assert_eq!(marked(&first.validate(intent("pi_1")).await.unwrap()), (Provenance::Replayed, None));
    let second = sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
    assert_eq!((marked(&second), provider.calls()), ((Provenance::Replayed, None), 1));
}

#[tokio::test(start_paused = true)]
async fn a_settling_whose_reply_was_lost_is_recognized() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Replace, [StoreFault::LostReply]);
    assert_eq!(marked(&first.validate(intent("pi_1")).await.unwrap()), (Provenance::Fresh, None));
    assert_eq!(marked(&first.validate(intent("pi_1")).await.unwrap()), (Provenance::Replayed, None));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_no_process_heard_of_holds_up_neither_its_own_process_nor_others() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Claim, [StoreFault::NeverReplies]);
    let one = first.validate(intent("pi_1")).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Degraded, Some(Degradation::StoreDown)));
    is_valid_at_once(&first, "own retry").await;
    is_valid_at_once(&sharing(&provider, &store), "another process").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_could_not_be_recorded_holds_no_caller_up() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    way.script(StoreVerb::Replace, [StoreFault::NotSent, StoreFault::NotSent]);
    let one = first.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&one));
    assert_eq!(marked(&one), (Provenance::Fresh, Some(Degradation::NotRecorded)));
    is_valid_at_once(&first, "own retry").await;
    is_valid_at_once(&sharing(&provider, &store), "another process").await;
}

#[tokio::test(start_paused = true)]
async fn facts_that_could_not_be_recorded_are_not_recorded_late() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let validating = tokio::spawn(async move { first.validate(intent("pi_1")).await });
    sleep(ms(500)).await;
    way.always(Some(StoreFault::NotSent));
    assert_eq!(marked(&validating.await.unwrap().unwrap()), (Provenance::Fresh, Some(Degradation::NotRecorded)));
    way.always(None);
    sleep(secs(5)).await;
    let payment = PaymentId::parse("pi_1").unwrap();
    let stored = sharing(&provider, &store).stored_facts(&payment).await.unwrap();
    assert!(stored.is_some_and(|claim| claim.facts().is_none()), "they were recorded late");
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_could_not_be_recorded_holds_no_caller_up() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, way) = flaky(&provider, &store);
    provider.script("pi_1", [ProviderError::refused("no").with_status(404)]);
    way.script(StoreVerb::Remove, [StoreFault::NotSent, StoreFault::NotSent]);
    assert_eq!(first.validate(intent("pi_1")).await.unwrap_err().code(), "provider_refused");
    is_valid_at_once(&first, "own retry").await;
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_does_not_come_back_with_a_repeated_claim() {
    let (store, (provider, _)) = (MemoryStore::new(), slow(secs(10), || paid("pi_1")));
    let spy = ChaosStore::new(&store, 0);
    spy.script([chaos_store::Fate::Ghost(secs(8))]);
    let first = over(&provider, &store).store(spy).build().unwrap();
    let second = over(&provider, &store).build().unwrap();
    let claims = intent("pi_1");
    let (one, ()) = join!(first.validate(&claims), async {
        sleep(secs(1)).await;
        second.forget(claims.payment()).await.unwrap();
    });
    assert_eq!(one.unwrap().degraded(), Some(Degradation::NotRecorded));
    let later = second.validate(&claims).await.unwrap();
    assert_eq!(later.provenance(), Provenance::Fresh, "facts from before the forgetting: {later:?}");
}

// The store is down.

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_costs_no_answer_and_is_said() {
    for fault in [StoreFault::NotSent, StoreFault::LostRequest, StoreFault::Refused, StoreFault::Never] {
        let (provider, store) = (provider(), MemoryStore::new());
        let (first, way) = flaky(&provider, &store);
        way.always(Some(fault));
        let one = first.validate(intent("pi_1")).await.unwrap();
        assert!(is_valid(&one));
        assert_eq!(marked(&one), (Provenance::Degraded, Some(Degradation::StoreDown)), "{fault:?}");
        assert_eq!(provider.calls(), 1);
        assert!(first.stats().store_failures >= 1);
        let error = first.forget(intent("pi_1").payment()).await.unwrap_err();
        assert!(error.is_store(), "to forget is to be sure: {error}");
    }
}
