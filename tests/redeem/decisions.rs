//! A release stands in the store with the name of who undid the redemption, and only if one was undone.

use payproof::store::MemoryStore;
use payproof::{Decided, DecidedOn};

use crate::redeeming;
use crate::support::{intent, proof_of, provider};

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
