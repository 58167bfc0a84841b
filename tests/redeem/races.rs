//! Many at once, lost replies, late commands and a store that is down.

use std::sync::Arc;

use payproof::redeem::Occasion;
use payproof::redeem::RedeemError;
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use tokio::time::{Instant, sleep};

use crate::chaos_store::{Fate, Trouble, Verb};
use crate::support::{NO_PATTERNS, forgetful, ms, plain, proof_of, provider, secs, settle, unbound, unbound_intent};
use crate::{process, redeeming};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_wins() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    for payment in 0..4 {
        provider.put(unbound(&format!("pi_{payment}")));
    }
    for round in 0..30 {
        let store = store.clone();
        let validators: Vec<_> = (0..4).map(|_| Arc::new(redeeming(&provider, &store).build().unwrap())).collect();
        let mut tasks = Vec::new();
        for task in 0..64_usize {
            let (validator, id) = (Arc::clone(&validators[task % 4]), format!("pi_{}", task % 4));
            let order = format!("{round}-{}", (task / 4) % 4);
            tasks.push(tokio::spawn(async move {
                let proof = proof_of(&validator, unbound_intent(&id)).await;
                let outcome = validator.redeem(proof).order(&order).await;
                (id, order, outcome)
            }));
        }
        let (mut receipts, mut firsts) = (Vec::new(), Vec::new());
        for task in tasks {
            let (id, order, outcome) = task.await.unwrap();
            match outcome {
                Ok(redeemed) => {
                    firsts.extend((redeemed.occasion() == Occasion::First).then(|| id.clone()));
                    receipts.push((id, order, redeemed.into_receipt()));
                }
                Err(RedeemError::AlreadyRedeemed { .. } | RedeemError::OrderAlreadyPaid { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        let mut payments: Vec<_> = receipts.iter().map(|(id, order, _)| (id.clone(), order.clone())).collect();
        payments.sort();
        payments.dedup();
        let orders: std::collections::HashSet<_> = payments.iter().map(|(_, order)| order).collect();
        let ids: std::collections::HashSet<_> = payments.iter().map(|(id, _)| id).collect();
        assert_eq!((payments.len(), orders.len()), (ids.len(), ids.len()), "round {round}: {payments:?}");
        assert!(!payments.is_empty());
        firsts.sort();
        let paying: Vec<_> = payments.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(firsts, paying, "round {round}: each payment has one call that was the first");
        for (_, _, receipt) in &receipts {
            validators[0].release(receipt, "anna, ticket 7").await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_at_any_step_is_recognized() {
    for verb in [Verb::Claim, Verb::Replace, Verb::Get, Verb::Remove] {
        let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
        let (validator, way, [one, two]) = process(&provider, &store).await;
        way.script_verb(verb, [Fate::ReplyLost]);
        let receipt = validator.redeem(&one).order("A").await.unwrap().into_receipt();
        way.trouble(Trouble::NONE);
        way.script_verb(verb, [Fate::ReplyLost]);
        assert!(
            matches!(validator.redeem(&two).order("A").await, Err(RedeemError::OrderAlreadyPaid { .. })),
            "{verb:?}"
        );
        assert!(validator.redemption(two.payment()).await.unwrap().is_none());
        way.trouble(Trouble::NONE);
        way.script_verb(verb, [Fate::ReplyLost]);
        validator.release(&receipt, "anna, ticket 7").await.unwrap();
        assert!(validator.redemption(one.payment()).await.unwrap().is_none());
        let _ = validator.redeem(&two).order("A").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_refuses_and_asking_again_comes_to_the_same_end() {
    for fate in [Fate::NotSent, Fate::RequestLost, Fate::ReplyLost, Fate::Refused, Fate::Swallowed, Fate::Late(ms(500))]
    {
        for step in 0..3 {
            let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
            let (validator, way, [one, _]) = process(&provider, &store).await;
            way.script(vec![Fate::Made; step].into_iter().chain([fate, fate]));
            if let Err(error) = validator.redeem(&one).order("A").await {
                assert!(matches!(&error, RedeemError::Store(_)), "{fate:?} at {step}: {error:?}");
                assert_eq!((error.code(), error.http_status()), ("store_unavailable", 503));
            }
            way.trouble(Trouble::NONE);
            let receipt = validator.redeem(&one).order("A").await.unwrap().into_receipt();
            assert_eq!(validator.redemption(one.payment()).await.unwrap().unwrap().receipt(), &receipt);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_redemption_holds_others_up_for_no_longer_than_its_lease() {
    for steps in 1..=3 {
        let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
        let (first, way, [one, two]) = process(&provider, &store).await;
        let (second, ..) = process(&provider, &store).await;
        way.script(vec![Fate::Made; steps - 1].into_iter().chain([Fate::StallAfter(secs(600))]));
        tokio::time::timeout(ms(500), first.redeem(&one).order("A")).await.unwrap_err();
        let (start, mut answers) = (Instant::now(), Vec::new());
        for (proof, order) in [(&one, "B"), (&two, "A")] {
            loop {
                match second.redeem(proof).order(order).await {
                    Err(RedeemError::InProgress { retry_after }) => {
                        assert!(retry_after <= secs(30));
                        sleep(retry_after).await;
                    }
                    other => break answers.push(other),
                }
            }
        }
        assert!(start.elapsed() < secs(60), "{:?} after {steps} steps", start.elapsed());
        let settled = steps == 3;
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), if settled { 2 } else { 0 }, "{answers:?}");
        assert_eq!(first.redeem(&one).order("A").await.is_ok(), settled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_not_confirmed_is_left_to_the_call_that_goes_on_with_it() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let (first, way, [one, _]) = process(&provider, &store).await;
    let (second, others_way, _) = process(&provider, &store).await;
    way.script([Fate::ReplyLost, Fate::ReplyLost]);
    assert!(first.redeem(&one).order("A").await.is_err());
    let (sent, others_sent) = (way.calls(), others_way.calls());
    // So slow that late words of the first process would come before it settles.
    others_way.script_verb(Verb::Claim, [Fate::Made, Fate::StallAfter(ms(900))]);
    others_way.script_verb(Verb::Replace, [Fate::StallBefore(ms(900))]);
    assert_eq!(second.redeem(&one).order("A").await.unwrap().occasion(), Occasion::First);
    assert_eq!(others_way.calls() - others_sent, 3, "it settled the claim that it found");
    sleep(secs(120)).await;
    let looks = 2; // whether the store lost anything, one each minute
    assert_eq!(way.calls(), sent + looks, "the first process says nothing late");
}

#[tokio::test(start_paused = true)]
async fn what_was_undone_does_not_come_back_with_a_repeated_claim() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let (first, way, [one, _]) = process(&provider, &store).await;
    let (second, ..) = process(&provider, &store).await;
    // The reply is lost, and the repeated claim lies in a queue.
    way.script([Fate::ReplyLost, Fate::Late(secs(3))]);
    assert!(first.redeem(&one).order("A").await.is_err());
    let receipt = second.redeem(&one).order("A").await.unwrap().into_receipt();
    second.release(&receipt, "anna, ticket 7").await.unwrap();
    sleep(secs(5)).await;
    let anew = second.redeem(&one).order("A").await.unwrap().into_receipt();
    assert_ne!(
        anew, receipt,
        "a receipt that was undone stands again, and undoing it once more undoes another redemption"
    );
}

#[tokio::test(start_paused = true)]
async fn commands_that_come_minutes_late_give_no_order_a_second_payment() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let (first, way, [one, two]) = process(&provider, &store).await;
    let (second, ..) = process(&provider, &store).await;
    // The connection breaks with the first claim on it; the settling goes the same way.
    way.script([Fate::Ghost(secs(100)), Fate::Made, Fate::Made, Fate::Late(secs(101))]);
    assert!(first.redeem(&one).order("A").await.is_err());
    sleep(secs(31)).await;
    let _ = second.redeem(&two).order("A").await.unwrap();
    sleep(secs(100)).await;
    let answer = first.redeem(&one).order("A").await;
    assert!(matches!(answer, Err(RedeemError::OrderAlreadyPaid { .. })), "the order is paid twice: {answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_redemptions_that_wait_ask_the_store_as_often_as_one() {
    let (provider, inner) = (provider(), MemoryStore::new());
    provider.put(unbound("pi_2"));
    let on = |store: &FlakyStore<MemoryStore>| {
        let builder = plain(&provider).transient_patterns(NO_PATTERNS).store_timeout(secs(30));
        forgetful(builder.store(store.clone())).build().unwrap()
    };
    let (slow, counted) = (FlakyStore::new(inner.clone()), FlakyStore::new(inner));
    let (one, other) = (on(&slow), on(&counted));
    let proof_of_one = proof_of(&one, unbound_intent("pi_2")).await;
    let proof_of_other = proof_of(&other, unbound_intent("pi_2")).await;
    // The first redemption has claimed the payment, and takes its time to settle.
    slow.script(StoreVerb::Replace, [StoreFault::Slow(secs(8))]);
    let first = tokio::spawn({
        let one = one.clone();
        async move { one.redeem(&proof_of_one).order("6735").await }
    });
    settle().await;
    let before = counted.calls(StoreVerb::Claim);
    let waiters: Vec<_> = (0..1000)
        .map(|_| {
            let (other, proof) = (other.clone(), proof_of_other.clone());
            tokio::spawn(async move { other.redeem(&proof).order("6736").await })
        })
        .collect();
    settle().await;
    let asked = counted.calls(StoreVerb::Claim);
    assert_eq!(asked - before, 1000, "each asks once whether it is the first");
    assert!(first.await.unwrap().is_ok());
    for waiter in waiters {
        let error = waiter.await.unwrap().unwrap_err();
        assert!(matches!(&error, RedeemError::AlreadyRedeemed { by: Some(by) } if &**by == "6735"), "{error:?}");
    }
    // About four looks a second: the one that finds the other redemption over tells all.
    let looks = counted.calls(StoreVerb::Claim) - asked;
    assert!((10..=60).contains(&looks), "{looks} looks in 8 s");
}
