//! A release stands in the store with the name of who undid the redemption, and only if one was undone.

use std::collections::BTreeSet;
use std::error::Error as _;

use payproof::redeem::RedeemError;
use payproof::store::{MemoryStore, Store as _, Stored};
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use payproof::{Decided, DecidedOn};

use crate::chaos_store::ChaosStore;
use crate::redeeming;
use crate::support::{intent, proof_of, provider, secs};

#[tokio::test(start_paused = true)]
async fn a_release_is_recorded_with_who_undid_what() {
    let (provider, store) = (provider(), MemoryStore::new());
    let [one, two] = [(), ()].map(|()| redeeming(&provider, &store).build().unwrap());
    let proof = proof_of(&one, intent("pi_1")).await;
    let receipt = one.redeem(&proof).await.unwrap().into_receipt();
    one.release(&receipt, " ").await.unwrap_err();
    assert!(two.decisions(1).await.unwrap().is_empty());
    one.release(&receipt, "anna, ticket 7").await.unwrap();
    let all = two.decisions(1).await.unwrap();
    let [decision] = &all[..] else { panic!("{all:?}") };
    assert_eq!((decision.who(), decision.on()), ("anna, ticket 7", DecidedOn::Redemption));
    assert_eq!((decision.subject(), decision.about()), ("pi_1", "tenant store_42, order 6735"));
    assert_eq!(decision.decided(), Decided::Released);
    // A second release undoes nothing, and neither does one of a redemption before the last.
    two.release(&receipt, "bert").await.unwrap();
    let _ = one.redeem(&proof).await.unwrap();
    two.release(&receipt, "bert").await.unwrap_err();
    assert_eq!(one.decisions(400).await.unwrap(), all);
}

#[tokio::test(start_paused = true)]
async fn a_release_stays_recorded_once_it_may_have_been_made() {
    let fault = |faults: &[StoreFault]| faults.to_vec();
    let cases = [
        // The payment's record was certainly not removed.
        (fault(&[StoreFault::Refused]), false, 0),
        // It was, and a second try does not find it.
        (fault(&[StoreFault::LostReply]), true, 1),
        // It was, and the order's record stays for another call.
        (fault(&[StoreFault::None, StoreFault::Refused]), false, 1),
        // The store may have removed it.
        (fault(&[StoreFault::LostReply, StoreFault::LostReply]), false, 1),
    ];
    for (faults, is_ok, recorded) in cases {
        let (provider, store) = (provider(), FlakyStore::new(MemoryStore::new()));
        let validator = redeeming(&provider, store.inner()).store(store.clone()).build().unwrap();
        let proof = proof_of(&validator, intent("pi_1")).await;
        let receipt = validator.redeem(&proof).await.unwrap().into_receipt();
        store.script(StoreVerb::Remove, faults.clone());
        let released = validator.release(&receipt, "anna, ticket 7").await;
        assert!(matches!((&released, is_ok), (Ok(()), true) | (Err(RedeemError::Store(_)), false)), "{released:?}");
        assert_eq!(validator.decisions(1).await.unwrap().len(), recorded, "{faults:?}");
        // Asked again, it comes to the same end, and the payment is free.
        validator.release(&receipt, "anna, ticket 7").await.unwrap();
        assert_eq!(validator.decisions(1).await.unwrap().len(), 1, "{faults:?}");
        let _ = validator.redeem(&proof).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_has_no_room_in_its_day_is_refused_with_that_cause_and_its_end() {
    let (provider, store) = (provider(), MemoryStore::new());
    let spy = ChaosStore::new(&store, 0);
    let validator = redeeming(&provider, &store).store(spy.clone()).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    for _ in 0..400 {
        let receipt = validator.redeem(&proof).await.unwrap().into_receipt();
        validator.release(&receipt, "anna").await.unwrap();
    }
    // These fill one of the eight records of the day. The others, and those of the days beside it, are as full.
    assert_eq!(validator.decisions(2).await.unwrap().len(), 400);
    let places: BTreeSet<_> = spy.keys().into_iter().filter(|key| key.contains(":decision:")).collect();
    let mut full = None;
    for place in &places {
        full = full.or(store.get(place).await.unwrap());
    }
    let Stored { bytes, ttl_left, .. } = full.unwrap();
    for place in &places {
        store.claim(place, &bytes, ttl_left).await.unwrap();
    }
    let receipt = validator.redeem(&proof).await.unwrap().into_receipt();
    let error = validator.release(&receipt, "bert").await.unwrap_err();
    assert_eq!((error.code(), error.http_status(), error.is_retryable()), ("decisions_full", 503, true));
    assert!(error.retry_after().unwrap() <= secs(24 * 60 * 60));
    let text = format!("{error}: {}", error.source().unwrap());
    assert!(text.contains("3200") && text.contains("00:00 UTC"), "{text}");
    assert!(validator.redemption(proof.payment()).await.unwrap().is_some(), "nothing was undone");
}
