//! One payment pays one order, and one order is paid by one payment.
#![cfg(feature = "test-util")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

#[path = "../support/chaos_store.rs"]
mod chaos_store;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use payproof::store::{MemoryStore, RestartLoss, Store};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use payproof::{Currency, Mode, Money, Occasion, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment};
use payproof::{Policy, Proof, RedeemError, Validator, ValidatorBuilder, Verdict};

use tokio::time::{Instant, sleep};

use chaos_store::{ChaosStore, Fate, Trouble, Verb};
use support::{NO_PATTERNS, ms, paid, plain, poll_now, provider, secs};

fn redeeming(provider: &ScriptedProvider, store: &MemoryStore) -> ValidatorBuilder {
    plain(provider)
        .transient_patterns(NO_PATTERNS)
        .store(store.clone())
        .only_instance()
        .restart_loses_at_most(RestartLoss::All)
}

/// A paid payment that names no order.
fn unbound(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Paid)
        .mode(Mode::Live)
        .amount(1999, Currency::USD)
        .amount_received(1999)
        .amount_refunded(0)
        .created(1_767_225_600)
        .as_of(1_767_225_660)
        .metadata("store_id", "store_42")
}

async fn proof(validator: &Validator, tenant: &str, id: &str, order: Option<&str>) -> Proof {
    let money = Money::parse("19.99", Currency::USD).unwrap();
    let mut intent = PaymentIntent::new(tenant, id, money).unwrap();
    if let Some(order) = order {
        intent = intent.order(order).unwrap();
    }
    match validator.validate(&intent).await.unwrap().into_verdict() {
        Verdict::Valid(proof) => proof,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_payment_and_order_get_the_same_receipt() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = redeeming(&provider, &store).build().unwrap();
    let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
    let first = validator.redeem(&proof).await.unwrap().into_receipt();
    assert_eq!((first.tenant(), first.order(), first.part()), ("store_42", "6735", None));
    assert_eq!(validator.redeem(&proof).await.unwrap().receipt(), &first);
    assert_eq!(validator.redeem_for(&proof, "6735").await.unwrap().receipt(), &first);
    let redemption = validator.redemption(proof.payment()).await.unwrap().unwrap();
    assert_eq!(redemption.receipt(), &first);
}

#[tokio::test(start_paused = true)]
async fn the_first_call_is_told_so_and_every_other_how_long_ago_it_was() {
    let (provider, store) = (provider(), MemoryStore::new());
    let [one, two] = [(), ()].map(|()| redeeming(&provider, &store).build().unwrap());
    let (proven, also) =
        (proof(&one, "store_42", "pi_1", Some("6735")).await, proof(&two, "store_42", "pi_1", Some("6735")).await);
    let first = one.redeem(&proven).await.unwrap();
    assert_eq!(first.occasion(), Occasion::First);
    sleep(secs(30)).await;
    for again in [one.redeem(&proven).await.unwrap(), two.redeem(&also).await.unwrap()] {
        assert_eq!((again.occasion(), again.receipt()), (Occasion::Repeat { age: secs(30) }, first.receipt()));
    }
    one.release(first.receipt()).await.unwrap();
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
        let (first, second) = tokio::join!(clicked.redeem_for(&one, "A").into_future(), async {
            sleep(late).await;
            again.redeem_for(&also, "A").await
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
        let told = validator.redeem_for(&one, "A").await;
        match (lost, &told) {
            (1, Ok(redeemed)) => assert!(matches!(redeemed.occasion(), Occasion::Repeat { .. }), "{redeemed:?}"),
            (2, Err(RedeemError::Store(_))) => {}
            _ => panic!("{told:?}"),
        }
        let again = validator.redeem_for(&one, "A").await.unwrap();
        assert!(matches!(again.occasion(), Occasion::Repeat { .. }), "{again:?}");
    }
    // Nothing was made: who asks again is the first.
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let (validator, way, [one, _]) = process(&provider, &store).await;
    way.script_verb(Verb::Replace, [Fate::RequestLost, Fate::RequestLost]);
    assert!(validator.redeem_for(&one, "A").await.is_err());
    assert_eq!(validator.redeem_for(&one, "A").await.unwrap().occasion(), Occasion::First);
}

#[tokio::test(start_paused = true)]
async fn one_payment_pays_one_order_and_one_order_is_paid_once() {
    let (provider, store) = (provider(), MemoryStore::new());
    for id in ["pi_1", "pi_2"] {
        provider.put(unbound(id));
    }
    let validator = redeeming(&provider, &store).build().unwrap();
    let (one, two) =
        (proof(&validator, "store_42", "pi_1", None).await, proof(&validator, "store_42", "pi_2", None).await);
    assert!(matches!(validator.redeem(&one).await, Err(RedeemError::OrderMissing)));
    let receipt = validator.redeem_for(&one, "A").await.unwrap().into_receipt();
    match validator.redeem_for(&one, "B").await {
        Err(RedeemError::AlreadyRedeemed { by }) => assert_eq!(by.as_deref(), Some("A")),
        other => panic!("{other:?}"),
    }
    match validator.redeem_for(&two, "A").await {
        Err(RedeemError::OrderAlreadyPaid { by }) => assert_eq!(by.as_str(), "pi_1"),
        other => panic!("{other:?}"),
    }
    assert!(validator.redemption(two.payment()).await.unwrap().is_none(), "it is free again");
    let _ = validator.redeem_for(&two, "A").part("gift card").await.unwrap();
    validator.release(&receipt).await.unwrap();
    validator.release(&receipt).await.unwrap();
    let _ = validator.redeem_for(&one, "B").await.unwrap();
    assert!(matches!(validator.release(&receipt).await, Err(RedeemError::AlreadyRedeemed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_payment_used_by_one_tenant_is_used_for_all_and_tells_them_nothing() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let facts = ProviderPayment::new("pi_1", PaymentStatus::Paid).mode(Mode::Live).amount(1999, Currency::USD);
    provider.put(facts.amount_received(1999).amount_refunded(0).created(1_767_225_600).as_of(1_767_225_660));
    let validator = redeeming(&provider, &store).single_tenant().build().unwrap();
    let (ours, theirs) =
        (proof(&validator, "ours", "pi_1", None).await, proof(&validator, "theirs", "pi_1", None).await);
    let _ = validator.redeem_for(ours, "secret order").await.unwrap();
    let error = validator.redeem_for(theirs, "secret order").await.unwrap_err();
    assert!(matches!(&error, RedeemError::AlreadyRedeemed { by: None }));
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn an_old_proof_is_asked_about_again_and_a_refund_since_then_is_seen() {
    let (provider, store) = (provider(), MemoryStore::new());
    let validator = redeeming(&provider, &store).build().unwrap();
    let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
    provider.put(paid("pi_1").amount_refunded(1999));
    tokio::time::advance(secs(61)).await;
    match validator.redeem(&proof).await {
        Err(RedeemError::NoLongerValid(verdict)) => assert!(matches!(*verdict, Verdict::Invalid(_))),
        other => panic!("{other:?}"),
    }
    assert!(validator.redemption(proof.payment()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_proof_of_a_laxer_validator_is_judged_again() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(paid("pi_1").disputed(true));
    let lax = redeeming(&provider, &store).policy(Policy::default().accept_disputed()).build().unwrap();
    let strict = redeeming(&provider, &store).build().unwrap();
    let proof = proof(&lax, "store_42", "pi_1", Some("6735")).await;
    assert!(matches!(strict.redeem(&proof).await, Err(RedeemError::NoLongerValid(_))));
    let _ = lax.redeem(&proof).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_unknown_age_is_not_redeemed_and_the_error_says_what_to_state() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let undated = |id: &str| {
        let facts = ProviderPayment::new(id, PaymentStatus::Paid).mode(Mode::Live).amount(1999, Currency::USD);
        facts.amount_received(1999).amount_refunded(0).metadata("store_id", "store_42")
    };
    provider.put(undated("pi_1"));
    let validator = redeeming(&provider, &store).build().unwrap();
    let pi_1 = PaymentId::parse("pi_1").unwrap();
    // The second proof is answered from memory, and the third is asked for anew by the redemption.
    for wait in [0, 0, 61] {
        let undated = proof(&validator, "store_42", "pi_1", None).await;
        tokio::time::advance(secs(wait)).await;
        let error = validator.redeem_for(undated, "A").await.unwrap_err();
        assert!(matches!(error, RedeemError::CreatedUnstated), "{error:?}");
        assert!(error.to_string().contains("`ProviderPayment::created`"), "{error}");
        assert_eq!((error.code(), error.http_status(), error.retry_after()), ("created_unstated", 500, None));
    }
    assert!(validator.redemption(&pi_1).await.unwrap().is_none());
    provider.put(undated("pi_1").created(1_767_225_600).as_of(1_767_225_660));
    validator.forget(&pi_1).await.unwrap();
    for is_first in [true, false] {
        let dated = proof(&validator, "store_42", "pi_1", None).await;
        let redeemed = validator.redeem_for(dated, "A").await.unwrap();
        assert_eq!(redeemed.occasion() == Occasion::First, is_first);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_other_processes_do_not_see_is_refused() {
    let validator = plain(&provider()).restart_loses_at_most(RestartLoss::All).build().unwrap();
    let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
    let error = validator.redeem(&proof).await.unwrap_err();
    assert!(matches!(error, RedeemError::StoreNotShared), "{error}");
    assert!(error.to_string().contains("only_instance"), "{error}");
    assert!(matches!(validator.redemption(proof.payment()).await, Err(RedeemError::StoreNotShared)));
    assert_eq!(proof.redemption_key().len(), 43);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_forgets_at_a_restart_is_refused_unless_the_operator_accepts_it() {
    let losses =
        [RestartLoss::Nothing, RestartLoss::Second, RestartLoss::Snapshot, RestartLoss::All, RestartLoss::Unknown];
    let accepted = |stated: Option<RestartLoss>| match stated {
        None => &losses[..2],
        Some(RestartLoss::Nothing) => &[RestartLoss::Nothing, RestartLoss::Unknown],
        Some(RestartLoss::Second) => &[RestartLoss::Nothing, RestartLoss::Second, RestartLoss::Unknown],
        Some(RestartLoss::Snapshot) => {
            &[RestartLoss::Nothing, RestartLoss::Second, RestartLoss::Snapshot, RestartLoss::Unknown][..]
        }
        _ => &losses[..],
    };
    for stated in [None].into_iter().chain(losses[..4].iter().copied().map(Some)) {
        for said in losses {
            let store = FlakyStore::new(MemoryStore::new());
            store.pretend_restart_loses(said);
            let builder = plain(&provider()).transient_patterns(NO_PATTERNS).store(store.clone()).only_instance();
            let validator = match stated {
                Some(loss) => builder.restart_loses_at_most(loss).build().unwrap(),
                None => builder.build().unwrap(),
            };
            let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
            let payment = proof.payment().clone();
            match validator.redeem(proof).await {
                Ok(_) => assert!(accepted(stated).contains(&said), "{said:?} of {stated:?}"),
                Err(RedeemError::RestartLoses { loss }) => {
                    assert!(loss == said && !accepted(stated).contains(&said), "{said:?} of {stated:?}");
                    assert!(validator.redemption(&payment).await.unwrap().is_none(), "nothing was written");
                }
                Err(other) => panic!("{said:?} of {stated:?}: {other}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_what_a_restart_loses_names_what_to_set() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = plain(&provider()).store(store.clone()).only_instance().build().unwrap();
    let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
    for (loss, words) in [
        (RestartLoss::Snapshot, ["last snapshot", "`appendonly yes`", "`appendfsync everysec`"]),
        (RestartLoss::All, ["everything", "`appendonly yes`", "`appendfsync everysec`"]),
        (RestartLoss::Unknown, ["cannot be found out", "`appendonly yes`", "`+config|get`"]),
    ] {
        store.pretend_restart_loses(loss);
        let error = validator.redeem(&proof).await.unwrap_err();
        assert_eq!((error.code(), error.http_status()), ("restart_loses", 500));
        for word in words.into_iter().chain(["`restart_loses_at_most`"]) {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_say_what_a_restart_loses_is_an_outage_and_redeems_nothing() {
    for fault in [StoreFault::NotSent, StoreFault::LostReply, StoreFault::Never] {
        let store = FlakyStore::new(MemoryStore::new());
        store.pretend_restart_loses(RestartLoss::Nothing);
        let validator = plain(&provider()).store(store.clone()).only_instance().build().unwrap();
        let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
        store.script(StoreVerb::RestartLoss, [fault, fault]);
        let error = validator.redeem(&proof).await.unwrap_err();
        assert_eq!(error.code(), "store_unavailable", "{fault:?}: {error}");
        assert!(validator.redemption(proof.payment()).await.unwrap().is_none(), "{fault:?}");
        // One that never answers is asked once: the second step of the script is still to come.
        let left = if fault == StoreFault::Never { validator.redeem(&proof).await.err() } else { None };
        assert!(left.is_none_or(|error| error.code() == "store_unavailable"));
        let _ = validator.redeem(&proof).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_turns_worse_while_a_payment_is_being_redeemed_is_refused_before_it_is() {
    let store = FlakyStore::new(MemoryStore::new());
    store.pretend_restart_loses(RestartLoss::Second);
    let validator = plain(&provider()).store(store.clone()).only_instance().build().unwrap();
    let proof = proof(&validator, "store_42", "pi_1", Some("6735")).await;
    store.script(StoreVerb::Claim, [StoreFault::Slow(secs(1) / 2)]);
    let redeeming = tokio::spawn({
        let (validator, proof) = (validator.clone(), proof.clone());
        async move { validator.redeem(proof).await }
    });
    sleep(ms(100)).await;
    store.pretend_restart_loses(RestartLoss::All);
    assert!(matches!(redeeming.await.unwrap(), Err(RedeemError::RestartLoses { loss: RestartLoss::All })));
    assert!(validator.redemption(proof.payment()).await.unwrap().is_none());
}

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
                let proof = proof(&validator, "store_42", &id, None).await;
                let outcome = validator.redeem_for(proof, &order).await;
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
            validators[0].release(receipt).await.unwrap();
        }
    }
}

/// A process of its own, with a proof of each of two payments, and its way to the shared store.
async fn process(provider: &ScriptedProvider, store: &MemoryStore) -> (Validator, ChaosStore, [Proof; 2]) {
    let way = ChaosStore::new(store, 0);
    let validator = plain(provider).transient_patterns(NO_PATTERNS).store(way.clone());
    let validator = validator.proof_max_age(secs(24 * 60 * 60)).build().unwrap();
    let mut proofs = Vec::new();
    for id in ["pi_1", "pi_2"] {
        provider.put(unbound(id));
        proofs.push(proof(&validator, "store_42", id, None).await);
    }
    (validator, way, proofs.try_into().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_at_any_step_is_recognised() {
    for verb in [Verb::Claim, Verb::Replace, Verb::Get, Verb::Remove] {
        let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
        let (validator, way, [one, two]) = process(&provider, &store).await;
        way.script_verb(verb, [Fate::ReplyLost]);
        let receipt = validator.redeem_for(&one, "A").await.unwrap().into_receipt();
        way.trouble(Trouble::NONE);
        way.script_verb(verb, [Fate::ReplyLost]);
        assert!(matches!(validator.redeem_for(&two, "A").await, Err(RedeemError::OrderAlreadyPaid { .. })), "{verb:?}");
        assert!(validator.redemption(two.payment()).await.unwrap().is_none());
        way.trouble(Trouble::NONE);
        way.script_verb(verb, [Fate::ReplyLost]);
        validator.release(&receipt).await.unwrap();
        assert!(validator.redemption(one.payment()).await.unwrap().is_none());
        let _ = validator.redeem_for(&two, "A").await.unwrap();
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
            if let Err(error) = validator.redeem_for(&one, "A").await {
                assert!(matches!(&error, RedeemError::Store(_)), "{fate:?} at {step}: {error:?}");
                assert_eq!((error.code(), error.http_status()), ("store_unavailable", 503));
            }
            way.trouble(Trouble::NONE);
            let receipt = validator.redeem_for(&one, "A").await.unwrap().into_receipt();
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
        tokio::time::timeout(ms(500), first.redeem_for(&one, "A")).await.unwrap_err();
        let (start, mut answers) = (Instant::now(), Vec::new());
        for (proof, order) in [(&one, "B"), (&two, "A")] {
            loop {
                match second.redeem_for(proof, order).await {
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
        assert_eq!(first.redeem_for(&one, "A").await.is_ok(), settled);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_undone_does_not_come_back_with_a_repeated_claim() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let (first, way, [one, _]) = process(&provider, &store).await;
    let (second, ..) = process(&provider, &store).await;
    // The reply is lost, and the repeated claim lies in a queue.
    way.script([Fate::ReplyLost, Fate::Late(secs(3))]);
    assert!(first.redeem_for(&one, "A").await.is_err());
    let receipt = second.redeem_for(&one, "A").await.unwrap().into_receipt();
    second.release(&receipt).await.unwrap();
    sleep(secs(5)).await;
    let anew = second.redeem_for(&one, "A").await.unwrap().into_receipt();
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
    assert!(first.redeem_for(&one, "A").await.is_err());
    sleep(secs(31)).await;
    let _ = second.redeem_for(&two, "A").await.unwrap();
    sleep(secs(100)).await;
    let answer = first.redeem_for(&one, "A").await;
    assert!(matches!(answer, Err(RedeemError::OrderAlreadyPaid { .. })), "the order is paid twice: {answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_foreign_record_is_an_error_and_no_free_payment() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let (validator, way, [one, two]) = process(&provider, &store).await;
    let _ = validator.redeem_for(&one, "A").await.unwrap();
    for kind in [":payment:", ":order:"] {
        let place = way.keys().into_iter().find(|key| key.contains(kind)).unwrap();
        let held = store.get(&place).await.unwrap().unwrap();
        store.replace(&place, &held.bytes, b"OK", held.ttl_left).await.unwrap();
        let proof = if kind == ":payment:" { &one } else { &two };
        let error = validator.redeem_for(proof, "A").await.unwrap_err();
        assert_eq!(error.code(), "record_unreadable", "{error:?}");
        store.replace(&place, b"OK", &held.bytes, held.ttl_left).await.unwrap();
    }
    assert!(validator.redeem_for(&one, "A").await.is_ok());
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (validator, _, [one, _]) = runtime.block_on(process(&provider, &store));
    let receipt = runtime.block_on(validator.redeem_for(&one, "A").into_future()).unwrap().into_receipt();
    drop(runtime);
    assert!(poll_now(validator.redeem_for(&one, "A").into_future()).is_ready());
    assert!(poll_now(validator.redemption(one.payment())).is_ready());
    assert!(poll_now(validator.release(&receipt)).is_ready());
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
    let (one, two) = (proof(&clicked, "store_42", "pi_1", None).await, proof(&other, "store_42", "pi_2", None).await);
    let receipt = other.redeem_for(two, "A").await.unwrap().into_receipt();
    // The first click finds the order paid, and is about to let go of the payment when the order is freed.
    slow.script(StoreVerb::Remove, [StoreFault::Slow(ms(500))]);
    let first = tokio::spawn({
        let (clicked, one) = (clicked.clone(), one.clone());
        async move { clicked.redeem_for(one, "A").await }
    });
    sleep(ms(100)).await;
    other.release(&receipt).await.unwrap();
    let second = other.redeem_for(&one, "A").await.unwrap().into_receipt();
    assert_eq!(first.await.unwrap().unwrap().receipt(), &second, "it pays the order after all");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_redemptions_that_wait_ask_the_store_as_often_as_one() {
    let (provider, inner) = (provider(), MemoryStore::new());
    provider.put(unbound("pi_2"));
    let on = |store: &FlakyStore<MemoryStore>| {
        let builder = plain(&provider).transient_patterns(NO_PATTERNS).store_timeout(secs(30));
        builder.store(store.clone()).only_instance().restart_loses_at_most(RestartLoss::All).build().unwrap()
    };
    let (slow, counted) = (FlakyStore::new(inner.clone()), FlakyStore::new(inner));
    let (one, other) = (on(&slow), on(&counted));
    let proof_of_one = proof(&one, "store_42", "pi_2", None).await;
    let proof_of_other = proof(&other, "store_42", "pi_2", None).await;
    // The first redemption has claimed the payment, and takes its time to settle.
    slow.script(StoreVerb::Replace, [StoreFault::Slow(secs(8))]);
    let first = tokio::spawn({
        let one = one.clone();
        async move { one.redeem_for(&proof_of_one, "6735").await }
    });
    support::settle().await;
    let before = counted.calls(StoreVerb::Claim);
    let waiters: Vec<_> = (0..1000)
        .map(|_| {
            let (other, proof) = (other.clone(), proof_of_other.clone());
            tokio::spawn(async move { other.redeem_for(&proof, "6736").await })
        })
        .collect();
    support::settle().await;
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
