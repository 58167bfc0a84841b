//! One order and one payment: receipts, and who is told that it was first.

use payproof::redeem::RedeemError;
use payproof::redeem::{Occasion, Receipt};
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use payproof::{Currency, Mode, Money, PaymentIntent, PaymentStatus, ProviderPayment};
use tokio::time::sleep;

use crate::chaos_store::{Fate, Verb};
use crate::support::{intent, ms, proof_of, provider, secs, unbound, unbound_intent};
use crate::{process, redeeming};

#[tokio::test(start_paused = true)]
async fn the_same_payment_and_order_get_the_same_receipt() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = redeeming(&provider, &store).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    let first = validator.redeem(&proof).await.unwrap().into_receipt();
    assert_eq!((first.tenant(), first.order(), first.part()), ("store_42", "6735", None));
    assert_eq!(validator.redeem(&proof).await.unwrap().receipt(), &first);
    assert_eq!(validator.redeem(&proof).order("6735").await.unwrap().receipt(), &first);
    let redemption = validator.redemption(proof.payment()).await.unwrap().unwrap();
    assert_eq!(redemption.receipt(), &first);
}

#[tokio::test(start_paused = true)]
async fn the_first_call_is_told_so_and_every_other_how_long_ago_it_was() {
    let (provider, store) = (provider(), MemoryStore::new());
    let [one, two] = [(), ()].map(|()| redeeming(&provider, &store).build().unwrap());
    let (proven, also) = (proof_of(&one, intent("pi_1")).await, proof_of(&two, intent("pi_1")).await);
    let first = one.redeem(&proven).await.unwrap();
    assert_eq!(first.occasion(), Occasion::First);
    sleep(secs(30)).await;
    for again in [one.redeem(&proven).await.unwrap(), two.redeem(&also).await.unwrap()] {
        assert_eq!((again.occasion(), again.receipt()), (Occasion::Repeat { age: secs(30) }, first.receipt()));
    }
    one.release(first.receipt(), "anna, ticket 7").await.unwrap();
    let anew = two.redeem(&also).await.unwrap();
    assert_eq!(anew.occasion(), Occasion::First, "it is another redemption");
    assert_ne!(anew.receipt(), first.receipt());
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_with_the_same_claim_one_is_the_first() {
    for late in [ms(50), ms(150), ms(250), ms(350)] {
        let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
        let (clicked, way, [one, _]) = process(&provider, &store).await;
        let (again, other_way, [also, _]) = process(&provider, &store).await;
        // Each step of the first takes its time before it is made, and the second comes in between and takes the claim on.
        way.script([Fate::StallAfter(ms(100)), Fate::StallBefore(ms(100)), Fate::StallBefore(ms(100))]);
        other_way.script([Fate::StallAfter(ms(70)), Fate::StallBefore(ms(70)), Fate::StallBefore(ms(70))]);
        let (first, second) = tokio::join!(clicked.redeem(&one).order("A").into_future(), async {
            sleep(late).await;
            again.redeem(&also).order("A").await
        });
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.receipt(), second.receipt());
        let firsts = [&first, &second].into_iter().filter(|redeemed| redeemed.occasion() == Occasion::First).count();
        assert_eq!(firsts, 1, "{late:?}: {first:?} {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_reply_no_call_is_the_first() {
    // The command that binds the payment is made, and its reply is lost: once, and then twice.
    for lost in 1..=2 {
        let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
        let (validator, way, [one, _]) = process(&provider, &store).await;
        way.script_verb(Verb::Replace, vec![Fate::ReplyLost; lost]);
        let told = validator.redeem(&one).order("A").await;
        match (lost, &told) {
            (1, Ok(redeemed)) => assert!(matches!(redeemed.occasion(), Occasion::Repeat { .. }), "{redeemed:?}"),
            (2, Err(RedeemError::Store(_))) => {}
            _ => panic!("{told:?}"),
        }
        let again = validator.redeem(&one).order("A").await.unwrap();
        assert!(matches!(again.occasion(), Occasion::Repeat { .. }), "{again:?}");
    }
    // Nothing was made: who asks again is the first.
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let (validator, way, [one, _]) = process(&provider, &store).await;
    way.script_verb(Verb::Replace, [Fate::RequestLost, Fate::RequestLost]);
    assert!(validator.redeem(&one).order("A").await.is_err());
    assert_eq!(validator.redeem(&one).order("A").await.unwrap().occasion(), Occasion::First);
}

#[tokio::test(start_paused = true)]
async fn one_payment_pays_one_order_and_one_order_is_paid_once() {
    let (provider, store) = (provider(), MemoryStore::new());
    for id in ["pi_1", "pi_2"] {
        provider.put(unbound(id));
    }
    let validator = redeeming(&provider, &store).build().unwrap();
    let (one, two) =
        (proof_of(&validator, unbound_intent("pi_1")).await, proof_of(&validator, unbound_intent("pi_2")).await);
    assert!(matches!(validator.redeem(&one).await, Err(RedeemError::OrderMissing)));
    let receipt = validator.redeem(&one).order("A").await.unwrap().into_receipt();
    match validator.redeem(&one).order("B").await {
        Err(RedeemError::AlreadyRedeemed { by }) => assert_eq!(by.as_deref(), Some("A")),
        other => panic!("{other:?}"),
    }
    match validator.redeem(&two).order("A").await {
        Err(RedeemError::OrderAlreadyPaid { by }) => assert_eq!(by.as_str(), "pi_1"),
        other => panic!("{other:?}"),
    }
    assert!(validator.redemption(two.payment()).await.unwrap().is_none(), "it is free again");
    let _ = validator.redeem(&two).order("A").part("gift card").await.unwrap();
    validator.release(&receipt, "anna, ticket 7").await.unwrap();
    validator.release(&receipt, "anna, ticket 7").await.unwrap();
    let _ = validator.redeem(&one).order("B").await.unwrap();
    assert!(matches!(validator.release(&receipt, "anna, ticket 7").await, Err(RedeemError::AlreadyRedeemed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_payment_used_by_one_tenant_is_used_for_all_and_tells_them_nothing() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let facts =
        ProviderPayment::new("pi_1", PaymentStatus::Paid).with_mode(Mode::Live).with_amount(1999, Currency::USD);
    provider.put(
        facts.with_amount_received(1999).with_amount_refunded(0).with_created(1_767_225_600).with_as_of(1_767_225_660),
    );
    let validator = redeeming(&provider, &store).single_tenant().build().unwrap();
    let claim = |tenant| PaymentIntent::new(tenant, "pi_1", Money::parse("19.99", Currency::USD).unwrap()).unwrap();
    let (ours, theirs) = (proof_of(&validator, claim("ours")).await, proof_of(&validator, claim("theirs")).await);
    let _ = validator.redeem(ours).order("secret order").await.unwrap();
    let error = validator.redeem(theirs).order("secret order").await.unwrap_err();
    assert!(matches!(&error, RedeemError::AlreadyRedeemed { by: None }));
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_refund_has_not_paid() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    for id in ["pi_1", "pi_2"] {
        provider.put(unbound(id));
    }
    let slow = FlakyStore::new(store.clone());
    let clicked = redeeming(&provider, &store).store(slow.clone()).build().unwrap();
    let other = redeeming(&provider, &store).build().unwrap();
    let (one, two) = (proof_of(&clicked, unbound_intent("pi_1")).await, proof_of(&other, unbound_intent("pi_2")).await);
    let receipt = other.redeem(two).order("A").await.unwrap().into_receipt();
    // The first click finds the order paid, and is about to let go of the payment when the order is freed.
    slow.script(StoreVerb::Remove, [StoreFault::Slow(ms(500))]);
    let first = tokio::spawn({
        let (clicked, one) = (clicked.clone(), one.clone());
        async move { clicked.redeem(one).order("A").await }
    });
    sleep(ms(100)).await;
    other.release(&receipt, "anna, ticket 7").await.unwrap();
    let second = other.redeem(&one).order("A").await.unwrap().into_receipt();
    assert_eq!(first.await.unwrap().unwrap().receipt(), &second, "it pays the order after all");
}

#[tokio::test(start_paused = true)]
async fn a_receipt_reads_back_from_its_text_and_still_releases() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = redeeming(&provider, &store).build().unwrap();
    let proven = proof_of(&validator, intent("pi_1")).await;
    let receipt = validator.redeem(proven).part("half \"a\"").await.unwrap().into_receipt();
    let kept = receipt.to_string();
    assert_eq!(kept, serde_json::to_string(&receipt).unwrap());
    let read: Receipt = kept.parse().unwrap();
    assert_eq!(read, receipt);
    validator.release(&read, "anna, ticket 7").await.unwrap();
    assert_eq!(validator.redemption(receipt.payment()).await.unwrap(), None);
    for other in ["", "{}", "pi_1", &kept.replace("pi_1", ""), &kept.replace('[', "[1,")] {
        let error = other.parse::<Receipt>().unwrap_err();
        assert_eq!(error.to_string(), "a receipt is JSON with the fields payment, owner and number", "{other}");
    }
}
