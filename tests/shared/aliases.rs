//! Aliases of payments over a shared store: what is kept of a look-up by one, whom it answers, and what forgetting does to it.
#![cfg(feature = "test-util")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::redeem::RedeemError;
use payproof::store::MemoryStore;
use payproof::{
    AliasState, Degradation, PaymentAlias, PaymentId, PaymentStatus, Provenance, ProviderPayment, Validation,
    Validator, ValidatorBuilder, Verdict, WhenProviderIsDown,
};
use tokio::time::sleep;

use crate::chaos_store::{ChaosStore, Fate};
use crate::support::{NO_PATTERNS, busy, forgetful, intent, is_valid, ms, paid, proof_of, secs};

/// What a provider knows of the payment `pi_1` and of its session `cs_1`, and what it was asked.
#[derive(Debug)]
struct Known {
    facts: ProviderPayment,
    alias: PaymentAlias,
    latency: Duration,
    is_down: bool,
    asked: Vec<String>,
}

/// A provider that looks when it is asked, and answers later.
#[derive(Clone, Debug)]
struct Sessions {
    identity: ProviderIdentity,
    known: Arc<Mutex<Known>>,
    declares: bool,
}

impl Sessions {
    fn new(alias: AliasState) -> Self {
        let alias = PaymentAlias::new(alias).with_amount(1999, payproof::Currency::USD);
        let known = Known { facts: paid("pi_1"), alias, latency: ms(0), is_down: false, asked: Vec::new() };
        let identity = ProviderIdentity::new("scripted").only_account();
        Self { identity, known: Arc::new(Mutex::new(known)), declares: true }
    }

    fn complete() -> Self {
        Self::new(AliasState::Complete)
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap());
    }

    fn refund(&self) {
        self.change(|known| known.facts = paid("pi_1").with_amount_refunded(1999));
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.known.lock().unwrap().asked)
    }

    fn over(&self, store: &MemoryStore) -> ValidatorBuilder {
        let builder = Validator::builder(self.clone()).no_retry_budget().transient_patterns(NO_PATTERNS);
        forgetful(builder.store(store.clone()).facts_in_memory_for(ms(0)))
    }
}

impl Provider for Sessions {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    fn is_alias(&self, id: &PaymentId) -> bool {
        self.declares && id.as_str().starts_with("cs_")
    }

    async fn look_up(&self, id: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        let (facts, latency) = {
            let mut known = self.known.lock().unwrap();
            known.asked.push(id.as_str().to_owned());
            if known.is_down {
                return Err(busy());
            }
            let facts = match (id.as_str(), known.alias.clone()) {
                ("pi_1", _) => known.facts.clone(),
                ("cs_1", alias) => known.facts.clone().with_alias(alias),
                _ => ProviderPayment::not_found(id.as_str()),
            };
            (facts, known.latency)
        };
        sleep(latency).await;
        Ok(facts)
    }
}

fn session() -> PaymentId {
    PaymentId::parse("cs_1").unwrap()
}

async fn ask(validator: &Validator, id: &str) -> Validation {
    validator.validate(intent(id)).await.unwrap()
}

fn is_refunded(validation: &Validation) -> bool {
    matches!(validation.verdict(), Verdict::Invalid(findings) if findings.has("refunded"))
}

#[tokio::test(start_paused = true)]
async fn a_look_up_by_an_alias_writes_the_alias_alone_and_only_once_it_is_complete() {
    let (provider, store) = (Sessions::new(AliasState::Open), MemoryStore::new());
    let (one, other) = (provider.over(&store).build().unwrap(), provider.over(&store).build().unwrap());
    let way = ChaosStore::new(&store, 0);
    let spied = Validator::builder(provider.clone()).store(way.clone()).build().unwrap();
    // Open: nothing is written, and the next process asks the same.
    for process in [&one, &other, &spied] {
        ask(process, "cs_1").await;
        assert_eq!(provider.asked(), ["cs_1"]);
    }
    assert!(way.made().is_empty() && way.keys().iter().all(|key| key.contains(":alias:")), "{:?}", way.keys());
    provider.change(|known| known.alias = PaymentAlias::new(AliasState::Complete));
    assert!(is_valid(&ask(&spied, "cs_1").await));
    assert_eq!((provider.asked(), way.made().len()), (vec!["cs_1".to_owned()], 1));
    assert!(way.keys().iter().all(|key| key.contains(":alias:")), "facts, leases and flights are the payment's");
    // The alias is known everywhere, and the facts that came with it nowhere.
    assert!(is_valid(&ask(&one, "cs_1").await));
    assert_eq!(provider.asked(), ["pi_1"]);
    let validation = ask(&other, "cs_1").await;
    assert_eq!((validation.provenance(), provider.asked().len()), (Provenance::Replayed, 0));
}

#[tokio::test(start_paused = true)]
async fn callers_by_an_alias_share_its_call_and_those_who_came_later_share_its_payments() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    provider.change(|known| known.latency = secs(1));
    let validator = provider.over(&store).build().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let validator = validator.clone();
        tasks.push(tokio::spawn(async move { ask(&validator, "cs_1").await }));
        sleep(ms(10)).await;
    }
    for task in tasks {
        assert!(is_valid(&task.await.unwrap()));
    }
    assert_eq!(provider.asked(), ["cs_1", "pi_1"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_came_after_a_forgetting_elsewhere_is_not_answered_by_what_was_read_before() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    provider.change(|known| known.latency = secs(1));
    let (here, elsewhere) = (provider.over(&store).build().unwrap(), provider.over(&store).build().unwrap());
    let first = tokio::spawn({
        let here = here.clone();
        async move { ask(&here, "cs_1").await }
    });
    sleep(ms(100)).await;
    // The provider has read the payment as it was. It is refunded, and the event reaches the other process.
    provider.refund();
    elsewhere.forget(&PaymentId::parse("pi_1").unwrap()).await.unwrap();
    let later = ask(&here, "cs_1").await;
    assert!(is_valid(&first.await.unwrap()), "who came before the event may be told what was true then");
    assert!(is_refunded(&later), "{later:?}");
    assert_eq!(provider.asked(), ["cs_1", "pi_1"]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_of_an_alias_cannot_be_joined_after_anything_was_forgotten_here() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    provider.change(|known| known.latency = secs(1));
    let validator = provider.over(&store).build().unwrap();
    let asking = || {
        let validator = validator.clone();
        tokio::spawn(async move { ask(&validator, "cs_1").await })
    };
    let first = asking();
    sleep(ms(100)).await;
    validator.forget(&PaymentId::parse("pi_2").unwrap()).await.unwrap();
    let second = asking();
    sleep(ms(100)).await;
    assert_eq!(provider.asked(), ["cs_1", "cs_1"], "its payment may be the one that was forgotten");
    assert!(is_valid(&first.await.unwrap()) && is_valid(&second.await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_alias_is_not_brought_back_by_a_look_up_that_had_begun_before() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    let (here, elsewhere) = (provider.over(&store).build().unwrap(), provider.over(&store).build().unwrap());
    provider.change(|known| known.latency = secs(100));
    let slow = tokio::spawn({
        let here = here.clone();
        async move { here.validate(intent("cs_1")).await }
    });
    sleep(secs(1)).await;
    provider.change(|known| known.latency = ms(0));
    for forgetting in [&elsewhere, &here] {
        forgetting.forget(&session()).await.unwrap();
    }
    provider.asked();
    // By then it is long past the time for which a forgotten payment keeps its place.
    let _ = slow.await.unwrap();
    provider.asked();
    for process in [&here, &elsewhere] {
        ask(process, "cs_1").await;
    }
    assert_eq!(provider.asked()[0], "cs_1", "what was read before the forgetting is not known");
}

#[tokio::test(start_paused = true)]
async fn forgetting_by_either_name_reaches_every_process() {
    for forgotten in ["cs_1", "pi_1"] {
        for has_alias in [true, false] {
            let (provider, store) = (Sessions::complete(), MemoryStore::new());
            let (here, elsewhere) = (provider.over(&store).build().unwrap(), provider.over(&store).build().unwrap());
            assert!(is_valid(&ask(&elsewhere, "pi_1").await));
            if has_alias {
                for _ in 0..2 {
                    assert!(is_valid(&ask(&elsewhere, "cs_1").await));
                }
            }
            provider.refund();
            here.forget(&PaymentId::parse(forgotten).unwrap()).await.unwrap();
            for id in ["pi_1", "cs_1", "pi_1", "cs_1"] {
                assert!(is_refunded(&ask(&elsewhere, id).await), "{id} after {forgotten} was forgotten");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn facts_from_before_a_sessions_look_up_are_not_told_after_it() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    let (here, elsewhere) = (provider.over(&store).build().unwrap(), provider.over(&store).build().unwrap());
    assert!(is_valid(&ask(&elsewhere, "pi_1").await));
    sleep(secs(1)).await;
    provider.refund();
    // No event came, and the facts in the store are fresh still.
    assert!(is_refunded(&ask(&here, "cs_1").await));
    for process in [&here, &elsewhere, &here] {
        assert!(is_refunded(&ask(process, "cs_1").await), "a refund that was told is not taken back");
    }
    assert_eq!(provider.asked(), ["pi_1", "cs_1", "pi_1"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_session_may_have_mended_is_asked_about_again_after_two_seconds() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    provider.change(|known| known.alias = PaymentAlias::new(AliasState::Complete).with_metadata("order_id", "6736"));
    let validator = provider.over(&store).facts_in_memory_for(secs(5)).build().unwrap();
    for _ in 0..2 {
        let validation = ask(&validator, "cs_1").await;
        assert!(matches!(validation.verdict(), Verdict::Invalid(findings) if findings.has("order_mismatch")));
    }
    sleep(secs(3)).await;
    provider.asked();
    provider.change(|known| known.alias = PaymentAlias::new(AliasState::Complete).with_metadata("order_id", "6735"));
    assert!(is_valid(&ask(&validator, "cs_1").await));
    assert_eq!(provider.asked(), ["cs_1"], "one look-up says how both stand");
}

#[tokio::test(start_paused = true)]
async fn without_the_store_an_alias_is_asked_for_alone_and_while_the_provider_is_down_it_is_known() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    let way = ChaosStore::new(&store, 0);
    let builder = Validator::builder(provider.clone()).no_retry_budget().store(way.clone()).facts_in_memory_for(ms(0));
    let serving = WhenProviderIsDown::ServeStale { up_to: secs(60 * 60) };
    let validator = builder.when_provider_is_down(serving).build().unwrap();
    way.script([Fate::Refused]);
    let alone = ask(&validator, "cs_1").await;
    assert_eq!((is_valid(&alone), alone.degraded()), (true, Some(Degradation::StoreDown)));
    for _ in 0..2 {
        assert!(is_valid(&ask(&validator, "cs_1").await));
    }
    provider.asked();
    provider.change(|known| known.is_down = true);
    sleep(secs(20 * 60)).await;
    let stale = ask(&validator, "cs_1").await;
    assert_eq!((is_valid(&stale), stale.degraded()), (true, Some(Degradation::ProviderDown)));
    assert!(validator.validate(intent("cs_1")).max_age(secs(60)).await.unwrap_err().is_unavailable());
}

#[tokio::test(start_paused = true)]
async fn only_an_adapter_that_declares_aliases_may_answer_about_another_id() {
    let store = MemoryStore::new();
    let told = |provider: Sessions| {
        let validator = provider.over(&store).build().unwrap();
        async move { validator.validate(intent("cs_1")).await }
    };
    assert!(told(Sessions { declares: false, ..Sessions::complete() }).await.unwrap_err().is_unavailable());
    for facts in [
        // Another alias, an id that is none of the provider's, and money without a payment.
        paid("cs_2"),
        paid("pi_1/../2"),
        paid("cs_1"),
    ] {
        let provider = Sessions::complete();
        provider.change(|known| known.facts = facts.clone());
        let error = told(provider).await.unwrap_err();
        assert!(error.is_unavailable(), "{}: {error}", facts.id());
    }
    let provider = Sessions::new(AliasState::Open);
    provider.change(|known| known.facts = ProviderPayment::new("cs_1", PaymentStatus::ActionRequired));
    assert!(told(provider).await.is_ok(), "while there is no payment, the alias stands for itself");
}

/// One process stops at every step of a validation and redemption by a session, with its command made or not; another one then
/// finds one payment by both names, with one owner.
#[tokio::test(start_paused = true)]
async fn wherever_a_process_stops_a_payment_has_one_owner_by_whatever_name() {
    let mut steps = 0;
    for step in 0..40 {
        for is_made in [true, false] {
            let (provider, store) = (Sessions::complete(), MemoryStore::new());
            let way = ChaosStore::new(&store, 0);
            let stopping = Validator::builder(provider.clone()).no_retry_budget().store(way.clone());
            let stopping = forgetful(stopping.facts_in_memory_for(ms(0))).build().unwrap();
            let last = if is_made { Fate::StallAfter(secs(100_000)) } else { Fate::Swallowed };
            way.script(std::iter::repeat_n(Fate::Made, step).chain([last]));
            let redeeming = tokio::spawn(async move {
                for _ in 0..2 {
                    let Ok(validation) = stopping.validate(intent("cs_1")).await else { return None };
                    let Verdict::Valid(proof) = validation.into_verdict() else { return None };
                    if let Ok(redeemed) = stopping.redeem(proof).await {
                        return Some(redeemed.into_receipt());
                    }
                }
                None
            });
            while way.calls() <= u64::try_from(step).unwrap() && !redeeming.is_finished() {
                sleep(ms(10)).await;
            }
            let told = if redeeming.is_finished() { redeeming.await.unwrap() } else { None };
            way.crash();
            sleep(secs(120)).await;
            let other = provider.over(&store).build().unwrap();
            for id in ["cs_1", "pi_1", "cs_1"] {
                let redeemed = other.redeem(proof_of(&other, intent(id)).await).await.unwrap();
                assert_eq!(redeemed.receipt().payment().as_str(), "pi_1");
                assert!(told.as_ref().is_none_or(|told| told == redeemed.receipt()), "step {step}");
            }
            let second = payproof::PaymentIntent::new("store_42", "cs_1", intent("pi_1").money()).unwrap();
            provider.change(|known| known.facts = crate::support::unbound("pi_1"));
            other.forget(&session()).await.unwrap();
            let refused = other.redeem(proof_of(&other, second).await).order("6736").await.unwrap_err();
            assert!(matches!(refused, RedeemError::AlreadyRedeemed { .. }), "step {step}: {refused:?}");
            steps = steps.max(way.calls());
        }
    }
    assert!((5..40).contains(&steps), "{steps} steps");
}

#[tokio::test(start_paused = true)]
async fn a_session_forgotten_elsewhere_is_not_served_stale_past_its_time_in_memory() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    let states = |order: &str| PaymentAlias::new(AliasState::Complete).with_metadata("order_id", order);
    provider.change(|known| {
        known.facts = crate::support::unbound("pi_1");
        known.alias = states("6735");
    });
    let serving = WhenProviderIsDown::ServeStale { up_to: secs(60 * 60) };
    let here = provider.over(&store).when_provider_is_down(serving).build().unwrap();
    let elsewhere = provider.over(&store).build().unwrap();
    assert!(is_valid(&ask(&here, "cs_1").await));
    sleep(secs(10)).await;
    provider.change(|known| known.alias = states("6736"));
    elsewhere.forget(&session()).await.unwrap();
    let _ = elsewhere.validate(crate::support::unbound_intent("pi_1")).await.unwrap();
    sleep(secs(1)).await;
    provider.change(|known| known.is_down = true);
    let told = here.validate(intent("cs_1")).await;
    assert!(!told.is_ok_and(|told| is_valid(&told)), "claims from before a confirmed forgetting");
}

#[tokio::test(start_paused = true)]
async fn a_session_counts_in_memory_from_when_the_store_was_asked() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    let states = |order: &str| PaymentAlias::new(AliasState::Complete).with_metadata("order_id", order);
    provider.change(|known| {
        known.facts = crate::support::unbound("pi_1");
        known.alias = states("6735");
    });
    let way = ChaosStore::new(&store, 0);
    let elsewhere = provider.over(&store).build().unwrap();
    assert!(is_valid(&ask(&elsewhere, "cs_1").await));
    let here = Validator::builder(provider.clone()).no_retry_budget().store(way.clone());
    let here = forgetful(here.store_timeout(secs(4)).facts_in_memory_for(secs(1))).build().unwrap();
    way.script([Fate::StallAfter(secs(3))]);
    let slow = tokio::spawn({
        let here = here.clone();
        async move { ask(&here, "cs_1").await }
    });
    sleep(ms(500)).await;
    provider.change(|known| known.alias = states("6736"));
    elsewhere.forget(&session()).await.unwrap();
    assert!(is_valid(&slow.await.unwrap()), "it came before the forgetting");
    // 3 s after the forgetting was confirmed, with memory for 1 s.
    sleep(ms(500)).await;
    assert!(!is_valid(&ask(&here, "cs_1").await));
}

#[tokio::test(start_paused = true)]
async fn a_redemption_asks_again_where_what_the_session_claims_is_old() {
    let (provider, store) = (Sessions::complete(), MemoryStore::new());
    let states = |order: &str| PaymentAlias::new(AliasState::Complete).with_metadata("order_id", order);
    provider.change(|known| {
        known.facts = crate::support::unbound("pi_1");
        known.alias = states("6735");
    });
    let here = provider.over(&store).build().unwrap();
    assert!(is_valid(&ask(&here, "cs_1").await));
    provider.change(|known| known.alias = states("6736"));
    sleep(secs(10 * 3600)).await;
    let Verdict::Valid(proof) = ask(&here, "cs_1").await.into_verdict() else { panic!("not valid") };
    let refused = here.redeem(proof).await.unwrap_err();
    assert!(matches!(refused, RedeemError::NoLongerValid(_)), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refund_told_by_a_session_is_not_taken_back_by_a_slower_look_up_of_its_payment() {
    let provider = Sessions::complete();
    let here = forgetful(Validator::builder(provider.clone()).no_retry_budget()).build().unwrap();
    provider.change(|known| known.latency = secs(2));
    let slow = tokio::spawn({
        let here = here.clone();
        async move { ask(&here, "pi_1").await }
    });
    sleep(ms(500)).await;
    provider.refund();
    provider.change(|known| known.latency = ms(10));
    assert!(is_refunded(&ask(&here, "cs_1").await));
    assert!(is_valid(&slow.await.unwrap()), "it was read before the refund");
    sleep(secs(2)).await;
    assert!(is_refunded(&ask(&here, "cs_1").await));
}
