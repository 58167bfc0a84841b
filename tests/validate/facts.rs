//! Facts in memory: what is served without asking, for how long, to whom, and what makes it go away.
#![cfg(feature = "test-util")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unchecked_time_subtraction,
    reason = "the numbers are literals of this file; a slip fails the test"
)]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::support::{self, intent, intent_of, is_valid, ms, paid, poll_now, provider, secs, settle};
use payproof::provider::{ProviderError, ProviderIdentity, provider_fn};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{
    Capture, Currency, Finding, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, Policy, Provenance,
    ProviderPayment, Retry, Risk, Validation, Validator, ValidatorBuilder, Verdict, WhenProviderIsDown,
};
use proptest::prelude::*;
use tokio::time::advance;

/// The documented default of `fresh_for`.
const FRESH_FOR: Duration = secs(15 * 60);

/// The documented limit for whatever may change at any moment.
const VOLATILE: Duration = secs(2);

const TICK: Duration = Duration::from_nanos(1);

const MIDNIGHT: u64 = 1_700_000_000;

#[expect(clippy::unwrap_used, reason = "the settings are valid")]
fn validator(provider: &ScriptedProvider) -> Validator {
    build(provider, |builder| builder).unwrap()
}

fn build(
    provider: &ScriptedProvider,
    set: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder,
) -> Result<Validator, payproof::BuildError> {
    set(Validator::builder(provider.clone())).build()
}

#[expect(clippy::unwrap_used, reason = "the provider answers")]
async fn ask(validator: &Validator, intent: &PaymentIntent) -> Validation {
    validator.validate(intent).await.unwrap()
}

#[expect(clippy::unwrap_used, reason = "the literal is well-formed")]
fn id(id: &str) -> PaymentId {
    PaymentId::parse(id).unwrap()
}

/// An authorisation for this many more seconds.
fn authorised(id: &str, left: u64) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Authorised)
        .mode(Mode::Live)
        .amount(1999, Currency::USD)
        .amount_received(0)
        .amount_refunded(0)
        .amount_capturable(1999)
        .as_of(MIDNIGHT)
        .capture_before(MIDNIGHT + left)
        .metadata("store_id", "store_42")
        .metadata("order_id", "6735")
}

fn canceled(id: &str) -> ProviderPayment {
    let facts = ProviderPayment::new(id, PaymentStatus::Canceled).mode(Mode::Live).amount(1999, Currency::USD);
    facts.metadata("store_id", "store_42").metadata("order_id", "6735")
}

fn processing(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Processing)
        .mode(Mode::Live)
        .amount(1999, Currency::USD)
        .metadata("store_id", "store_42")
        .metadata("order_id", "6735")
}

#[tokio::test(start_paused = true)]
async fn a_hit_makes_no_call_and_its_age_grows_exactly() {
    let provider = provider();
    let validator = validator(&provider);
    let fresh = ask(&validator, &intent("pi_1")).await;
    assert_eq!((fresh.provenance(), fresh.age()), (Provenance::Fresh, Duration::ZERO));
    assert_eq!(fresh.attempts().len(), 1);
    let mut age = Duration::ZERO;
    for step in [TICK, ms(1), secs(1), secs(60), secs(600)] {
        advance(step).await;
        age += step;
        let hit = ask(&validator, &intent("pi_1")).await;
        assert_eq!((hit.provenance(), hit.age()), (Provenance::Replayed, age));
        assert!(hit.attempts().is_empty());
        let Verdict::Valid(proof) = hit.verdict() else { panic!("{hit:?}") };
        assert_eq!((proof.age(), proof.capture()), (age, Capture::Captured));
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn valid_is_served_until_just_before_fresh_for() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    advance(FRESH_FOR - TICK).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Replayed);
    advance(TICK).await;
    let asked = ask(&validator, &intent("pi_1")).await;
    assert_eq!((asked.provenance(), asked.age()), (Provenance::Fresh, Duration::ZERO));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hit_does_not_prolong_the_life_of_its_facts() {
    let provider = provider();
    let validator = validator(&provider);
    for _ in 0..16 {
        ask(&validator, &intent("pi_1")).await;
        advance(secs(60)).await;
    }
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_age_counts_from_the_answer_and_not_from_the_question() {
    let provider = provider();
    let validator = build(&provider, |b| b.fresh_for(secs(10))).unwrap();
    provider.script("pi_1", [Step::Wait(secs(20))]);
    let slow = ask(&validator, &intent("pi_1")).await;
    assert_eq!(slow.age(), Duration::ZERO);
    advance(secs(9)).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.age(), secs(9));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn max_age_accepts_exactly_that_age_and_nothing_older() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    advance(secs(30)).await;
    let call = async |age| validator.validate(intent("pi_1")).max_age(age).await.unwrap();
    assert_eq!(call(secs(31)).await.age(), secs(30));
    assert_eq!(call(secs(30)).await.age(), secs(30));
    assert_eq!(provider.calls(), 1);
    assert_eq!(call(secs(30) - TICK).await.age(), Duration::ZERO);
    assert_eq!(provider.calls(), 2);
    // Other claims look at the same facts by another path.
    advance(secs(30)).await;
    let forged = intent_of("pi_1", "1");
    assert_eq!(validator.validate(&forged).max_age(secs(30)).await.unwrap().provenance(), Provenance::Replayed);
    assert_eq!(validator.validate(&forged).max_age(secs(29)).await.unwrap().provenance(), Provenance::Fresh);
    assert_eq!(provider.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_max_age_beyond_fresh_for_prolongs_nothing() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    advance(FRESH_FOR).await;
    validator.validate(intent("pi_1")).max_age(Duration::MAX).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_max_age_of_zero_always_asks() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    advance(TICK).await;
    validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_max_age_of_zero_asks_also_at_the_instant_of_the_last_answer() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    provider.put(paid("pi_1").amount_refunded(1999));
    let asked = validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
    assert_eq!(provider.calls(), 2);
    assert!(!is_valid(&asked));
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_seen_after_fresh_for_at_the_latest() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    provider.put(paid("pi_1").amount_refunded(1999));
    advance(FRESH_FOR).await;
    let Verdict::Invalid(findings) = ask(&validator, &intent("pi_1")).await.into_verdict() else { panic!("valid") };
    assert!(findings.has("refunded"));
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_seen_at_once_after_forget() {
    let provider = provider();
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    ask(&validator, &intent("pi_1")).await;
    provider.put(paid("pi_1").amount_refunded(1));
    validator.forget(&id("pi_1")).await.unwrap();
    let seen = ask(&validator, &intent("pi_1")).await;
    assert_eq!(seen.provenance(), Provenance::Fresh);
    assert!(!is_valid(&seen));
    assert_eq!(validator.stats().facts_in_memory, 1);
}

#[tokio::test(start_paused = true)]
async fn forget_reaches_one_payment_and_only_that() {
    let provider = provider();
    provider.put(paid("pi_2"));
    let validator = validator(&provider);
    ask(&validator, &intent("pi_1")).await;
    ask(&validator, &intent("pi_2")).await;
    validator.forget(&id("pi_1")).await.unwrap();
    validator.forget(&id("pi_404")).await.unwrap();
    assert_eq!(ask(&validator, &intent("pi_2")).await.provenance(), Provenance::Replayed);
    assert_eq!(validator.stats().facts_in_memory, 1);
}

#[tokio::test(start_paused = true)]
async fn a_flight_that_was_forgotten_leaves_nothing_behind() {
    let provider = provider();
    let validator = validator(&provider);
    provider.script("pi_1", [Step::Wait(secs(1)), Step::from(paid("pi_1"))]);
    let mut early = pin!(validator.validate(intent("pi_1")));
    assert!(support::poll_once(early.as_mut()).await.is_pending());
    settle().await;
    provider.put(paid("pi_1").amount_refunded(1999));
    validator.forget(&id("pi_1")).await.unwrap();
    assert!(is_valid(&early.await.unwrap()), "those who wait get what was read");
    assert_eq!(validator.stats().facts_in_memory, 0);
    let late = ask(&validator, &intent("pi_1")).await;
    assert_eq!(late.provenance(), Provenance::Fresh);
    assert!(!is_valid(&late));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_verdict_on_forgotten_facts_proves_nothing_about_newer_ones_of_the_same_instant() {
    // Two flights, whose answers differ and arrive at the same instant of the clock; in either order.
    for refunded_first in [false, true] {
        let (identity, calls) = (ProviderIdentity::new("scripted"), AtomicU32::new(0));
        let provider = provider_fn(identity, move |payment, _call| {
            let refunded = (calls.fetch_add(1, Relaxed) == 0) == refunded_first;
            async move {
                tokio::time::sleep(ms(10)).await;
                Ok(paid(payment.as_str()).amount_refunded(if refunded { 1999 } else { 0 }))
            }
        });
        let validator = Validator::builder(provider).build().unwrap();
        let claim = intent("pi_1");
        let (mut early, mut late) = (pin!(validator.validate(&claim)), pin!(validator.validate(&claim)));
        assert!(support::poll_once(early.as_mut()).await.is_pending());
        settle().await;
        validator.forget(claim.payment()).await.unwrap();
        assert!(support::poll_once(late.as_mut()).await.is_pending());
        settle().await;
        let (late, early) = tokio::join!(late, early);
        let (early, late) = (early.unwrap(), late.unwrap());
        assert_eq!((is_valid(&early), is_valid(&late)), (!refunded_first, refunded_first));
        let now = ask(&validator, &claim).await;
        assert_eq!((now.provenance(), now.age()), (Provenance::Replayed, Duration::ZERO));
        assert_eq!(is_valid(&now), is_valid(&late), "memory holds what the later flight brought");
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_change_at_any_moment_is_served_for_at_most_two_seconds() {
    let status = |status| ProviderPayment::new("pi_1", status).mode(Mode::Live).amount(1999, Currency::USD);
    let owned = |facts: ProviderPayment| facts.metadata("store_id", "store_42").metadata("order_id", "6735");
    let volatile = [
        ("declined", owned(status(PaymentStatus::Declined))),
        ("not found", ProviderPayment::not_found("pi_1")),
        ("processing", processing("pi_1")),
        ("unknown", owned(status(PaymentStatus::Unknown("odd".into())))),
        ("action required", owned(status(PaymentStatus::ActionRequired))),
        ("authorised", authorised("pi_1", 3600)),
        ("refunded in part", paid("pi_1").amount_refunded(1)),
        ("disputed", paid("pi_1").disputed(true)),
        ("reversed", paid("pi_1").reversed(true)),
        ("under review", paid("pi_1").risk(Risk::Review)),
        ("too risky", paid("pi_1").risk(Risk::Highest)),
        ("partly captured", paid("pi_1").amount_received(1).amount_capturable(1998)),
        ("not captured", paid("pi_1").captured(false)),
        ("amount received unstated", owned(status(PaymentStatus::Paid))),
        (
            "mode unstated",
            ProviderPayment::new("pi_1", PaymentStatus::Paid).amount(1999, Currency::USD).amount_received(1999),
        ),
        ("amount unstated", ProviderPayment::new("pi_1", PaymentStatus::Paid).mode(Mode::Live).amount_received(1999)),
    ];
    for (name, facts) in volatile {
        let provider = provider();
        provider.put(facts);
        let validator = validator(&provider);
        assert!(!is_valid(&ask(&validator, &intent("pi_1")).await), "{name}");
        advance(VOLATILE - TICK).await;
        let served = ask(&validator, &intent("pi_1")).await;
        assert_eq!((served.provenance(), provider.calls()), (Provenance::Replayed, 1), "{name}");
        provider.put(paid("pi_1"));
        advance(TICK).await;
        assert!(is_valid(&ask(&validator, &intent("pi_1")).await), "{name}");
        assert_eq!(provider.calls(), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_final_is_served_for_fresh_for() {
    let terminal = [
        ("canceled", canceled("pi_1")),
        ("refunded", paid("pi_1").amount_refunded(1999)),
        ("another amount", paid("pi_1").amount(2000, Currency::USD).amount_received(2000)),
        ("another currency", paid("pi_1").amount(1999, Currency::EUR)),
        ("test mode", paid("pi_1").mode(Mode::Test)),
        ("short, with nothing left to capture", paid("pi_1").amount_received(1000)),
    ];
    for (name, facts) in terminal {
        let provider = provider();
        provider.put(facts);
        let validator = validator(&provider);
        for (step, calls) in [(Duration::ZERO, 1), (FRESH_FOR - TICK, 1), (TICK, 2)] {
            advance(step).await;
            assert_eq!(ask(&validator, &intent("pi_1")).await.verdict().as_str(), "invalid", "{name}");
            assert_eq!(provider.calls(), calls, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_is_believed_for_at_most_a_minute_and_never_past_its_end() {
    for (left, served_for) in [(3600, 60), (61, 60), (60, 60), (59, 59), (7, 7), (1, 1)] {
        let provider = ScriptedProvider::new();
        provider.put(authorised("pi_1", left));
        let validator = build(&provider, |b| b.policy(Policy::default().accept_authorised())).unwrap();
        assert!(is_valid(&ask(&validator, &intent("pi_1")).await));
        advance(secs(served_for) - TICK).await;
        let served = ask(&validator, &intent("pi_1")).await;
        let Verdict::Valid(proof) = served.verdict() else { panic!("{served:?}") };
        assert_eq!((served.provenance(), proof.capture()), (Provenance::Replayed, Capture::Authorised));
        advance(TICK).await;
        provider.put(authorised("pi_1", 0));
        let over = ask(&validator, &intent("pi_1")).await;
        assert_eq!((over.verdict().as_str(), provider.calls()), ("invalid", 2), "{left}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_that_is_not_valid_yet_is_asked_about_again_after_two_seconds() {
    let unfinished = [
        ("capturable in part", authorised("pi_1", 3600).amount_capturable(1000)),
        ("captured in part", authorised("pi_1", 3600).amount_received(1000).amount_capturable(999)),
        ("disputed", authorised("pi_1", 3600).disputed(true)),
        ("under review", authorised("pi_1", 3600).risk(Risk::Review)),
    ];
    for (name, facts) in unfinished {
        let provider = provider();
        provider.put(facts);
        let validator = build(&provider, |b| b.policy(Policy::default().accept_authorised())).unwrap();
        assert!(!is_valid(&ask(&validator, &intent("pi_1")).await), "{name}");
        provider.put(paid("pi_1"));
        advance(VOLATILE).await;
        assert!(is_valid(&ask(&validator, &intent("pi_1")).await), "{name} is still served after 2 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_grows_too_old_in_memory_is_not_served() {
    let provider = ScriptedProvider::new();
    let at = |as_of: u64| paid("pi_1").created(MIDNIGHT).as_of(MIDNIGHT + as_of);
    provider.put(at(50));
    let validator = build(&provider, |b| b.policy(Policy::default().max_age(secs(60)))).unwrap();
    assert!(is_valid(&ask(&validator, &intent("pi_1")).await));
    advance(secs(10) - TICK).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Replayed);
    provider.put(at(61));
    advance(TICK).await;
    let Verdict::Invalid(findings) = ask(&validator, &intent("pi_1")).await.into_verdict() else { panic!("valid") };
    assert!(findings.has("too_old"));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_payment_exactly_as_old_as_accepted_is_too_old_a_moment_later() {
    let provider = ScriptedProvider::new();
    provider.put(paid("pi_1").created(MIDNIGHT).as_of(MIDNIGHT + 60));
    let validator = build(&provider, |b| b.policy(Policy::default().max_age(secs(60)))).unwrap();
    assert!(is_valid(&ask(&validator, &intent("pi_1")).await));
    provider.put(paid("pi_1").created(MIDNIGHT).as_of(MIDNIGHT + 61));
    for step in [secs(1), secs(60), secs(600)] {
        advance(step).await;
        let later = ask(&validator, &intent("pi_1")).await;
        assert!(!is_valid(&later), "{:?} later: {later:?}", later.age());
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_never_kept() {
    let provider = provider();
    let validator = build(&provider, |b| b.retry(Retry::none())).unwrap();
    for (at, error) in [
        ProviderError::refused("no").status(401),
        ProviderError::refused("no").status(404),
        ProviderError::refused("no").status(500),
        ProviderError::not_sent("no"),
        ProviderError::unreadable("no").status(200),
        ProviderError::message("no"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("pi_1{at}");
        provider.put(paid(&id));
        provider.script(id.clone(), [error]);
        assert!(validator.validate(intent(&id)).await.is_err());
        let next = ask(&validator, &intent(&id)).await;
        assert!(is_valid(&next) && next.provenance() == Provenance::Fresh, "{next:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_does_not_drop_what_is_known() {
    let provider = provider();
    let validator = build(&provider, |b| b.retry(Retry::none())).unwrap();
    ask(&validator, &intent("pi_1")).await;
    advance(secs(5)).await;
    provider.script("pi_1", [support::busy()]);
    assert!(validator.validate(intent("pi_1")).max_age(secs(1)).await.is_err());
    let served = ask(&validator, &intent("pi_1")).await;
    assert_eq!((served.provenance(), served.age()), (Provenance::Replayed, secs(5)));
}

/// Claims about `pi_1` that differ from the paid one in one point each.
#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn forgeries() -> Vec<(&'static str, PaymentIntent)> {
    let claim = |tenant: &str, amount: &str, currency| {
        PaymentIntent::new(tenant, "pi_1", Money::parse(amount, currency).unwrap()).unwrap()
    };
    let usd = Currency::USD;
    vec![
        ("a cent less", claim("store_42", "19.98", usd).order("6735").unwrap()),
        ("a cent more", claim("store_42", "20", usd).order("6735").unwrap()),
        ("ten times", claim("store_42", "199.9", usd).order("6735").unwrap()),
        ("cents as dollars", claim("store_42", "1999", usd).order("6735").unwrap()),
        ("another currency", claim("store_42", "19.99", Currency::EUR).order("6735").unwrap()),
        ("another tenant", claim("store_43", "19.99", usd).order("6735").unwrap()),
        ("another order", claim("store_42", "19.99", usd).order("6736").unwrap()),
        ("no order", claim("store_42", "19.99", usd)),
        ("order as customer", claim("store_42", "19.99", usd).customer("6735").unwrap()),
        ("an unproven customer", intent("pi_1").customer("cus_9").unwrap()),
        ("borders moved", claim("store_4", "19.99", usd).order("26735").unwrap()),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_forged_claim_is_refused_from_memory_and_poisons_nothing() {
    let provider = provider();
    let validator = validator(&provider);
    let honest = intent("pi_1");
    assert!(is_valid(&ask(&validator, &honest).await));
    for (name, forged) in forgeries() {
        for _ in 0..2 {
            let refused = ask(&validator, &forged).await;
            assert_eq!(refused.verdict().as_str(), "invalid", "{name}");
            assert_eq!(refused.provenance(), Provenance::Replayed, "{name}");
            let still = ask(&validator, &honest).await;
            assert!(is_valid(&still) && still.provenance() == Provenance::Replayed, "{name}");
        }
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_forged_claim_that_comes_first_poisons_nothing_either() {
    for (name, forged) in forgeries() {
        let provider = provider();
        let validator = validator(&provider);
        assert_eq!(ask(&validator, &forged).await.verdict().as_str(), "invalid", "{name}");
        let honest = ask(&validator, &intent("pi_1")).await;
        assert!(is_valid(&honest), "{name}");
        assert_eq!(honest.provenance(), Provenance::Replayed, "{name}");
        assert_eq!(ask(&validator, &forged).await.verdict().as_str(), "invalid", "{name}");
        assert_eq!(provider.calls(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_claims_can_be_valid_about_one_payment_and_both_stay_so() {
    let provider = ScriptedProvider::new();
    provider.put(paid("pi_1").customer("cus_9"));
    let validator = validator(&provider);
    let with_customer = intent("pi_1").customer("cus_9").unwrap();
    for _ in 0..3 {
        for intent in [intent("pi_1"), with_customer.clone()] {
            let validation = ask(&validator, &intent).await;
            let Verdict::Valid(proof) = validation.verdict() else { panic!("{validation:?}") };
            assert_eq!(proof.intent().claimed_customer(), intent.claimed_customer(), "the proof is about this claim");
        }
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_payment_of_store_a_is_not_valid_for_store_b() {
    let provider = provider();
    let (a, b) = (validator(&provider), validator(&provider));
    let theirs = PaymentIntent::new("store_7", "pi_1", Money::parse("19.99", Currency::USD).unwrap()).unwrap();
    let theirs = theirs.order("6735").unwrap();
    assert!(is_valid(&ask(&a, &intent("pi_1")).await));
    for validator in [&a, &b] {
        let Verdict::Invalid(findings) = ask(validator, &theirs).await.into_verdict() else { panic!("valid") };
        assert_eq!(findings.as_ref(), [Finding::Tenant]);
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_an_answer_is_kept_tells_another_tenant_nothing_either() {
    // A canceled payment stands for long, a paid one may still get the tenant's name: both are asked about again alike.
    for facts in [paid("pi_1"), canceled("pi_1")] {
        let provider = provider();
        provider.put(facts);
        let validator = validator(&provider);
        let theirs = PaymentIntent::new("store_7", "pi_1", Money::parse("1", Currency::USD).unwrap()).unwrap();
        for (step, calls) in [(Duration::ZERO, 1), (VOLATILE - TICK, 1), (TICK, 2)] {
            advance(step).await;
            let Verdict::Invalid(findings) = ask(&validator, &theirs).await.into_verdict() else { panic!("valid") };
            assert_eq!((findings.as_ref(), provider.calls()), (&[Finding::Tenant][..], calls));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_validators_share_no_facts() {
    let account = |label: &str| ScriptedProvider::with_identity(ProviderIdentity::new("scripted").account(label));
    let (one, two) = (account("one"), account("two"));
    one.put(paid("pi_1"));
    let (first, second) = (validator(&one), validator(&two));
    assert!(is_valid(&ask(&first, &intent("pi_1")).await));
    let Verdict::Invalid(findings) = ask(&second, &intent("pi_1")).await.into_verdict() else { panic!("valid") };
    assert!(findings.has("not_found"));
    assert_eq!((one.calls(), two.calls()), (1, 1));
    let clone = first.clone();
    assert_eq!(ask(&clone, &intent("pi_1")).await.provenance(), Provenance::Replayed, "a clone shares everything");
}

#[tokio::test(start_paused = true)]
async fn no_more_payments_than_allowed_are_in_memory_and_evicted_ones_are_asked_about_again() {
    for capacity in [1_u64, 2, 100, 255, 256, 1000] {
        let bound = usize::try_from(capacity).unwrap();
        let provider = ScriptedProvider::new();
        let validator = build(&provider, |b| b.facts_in_memory(bound)).unwrap();
        let intents: Vec<_> = (0..capacity * 2).map(|at| intent(&format!("pi_{at}"))).collect();
        for intent in &intents {
            provider.put(paid(intent.payment().as_str()));
            assert!(is_valid(&ask(&validator, intent).await));
            assert!(validator.stats().facts_in_memory <= bound);
            advance(ms(1)).await;
        }
        assert!(validator.stats().facts_in_memory > bound / 2, "{capacity}");
        let newest = intents.last().unwrap();
        assert_eq!(ask(&validator, newest).await.provenance(), Provenance::Replayed, "the newest stays");
        let before = provider.calls();
        for intent in &intents {
            assert!(is_valid(&ask(&validator, intent).await));
            assert!(validator.stats().facts_in_memory <= bound);
        }
        assert!(provider.calls() - before >= capacity, "{capacity}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_room_every_call_asks() {
    let provider = provider();
    let validator = build(&provider, |b| b.facts_in_memory(0)).unwrap();
    for calls in 1..=5 {
        let fresh = ask(&validator, &intent("pi_1")).await;
        assert!(is_valid(&fresh) && fresh.provenance() == Provenance::Fresh);
        assert_eq!(provider.calls(), calls);
    }
    validator.forget(&id("pi_1")).await.unwrap();
    assert_eq!(validator.stats().facts_in_memory, 0);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_for_of_zero_always_asks() {
    let provider = provider();
    let validator = build(&provider, |b| b.fresh_for(Duration::ZERO)).unwrap();
    for calls in 1..=3 {
        assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Fresh);
        assert_eq!(provider.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_fresh_for_shortens_everything() {
    let provider = provider();
    provider.put(processing("pi_2"));
    let validator = build(&provider, |b| b.fresh_for(secs(1))).unwrap();
    for id in ["pi_1", "pi_2"] {
        ask(&validator, &intent(id)).await;
        advance(secs(1) - TICK).await;
        assert_eq!(ask(&validator, &intent(id)).await.provenance(), Provenance::Replayed);
        advance(TICK).await;
        assert_eq!(ask(&validator, &intent(id)).await.provenance(), Provenance::Fresh);
    }
}

fn degrading(up_to: Duration) -> impl FnOnce(ValidatorBuilder) -> ValidatorBuilder {
    move |builder| {
        let builder = builder.retry(Retry::none()).no_breaker().fresh_for(secs(600)).retention(secs(3600));
        builder.when_provider_is_down(WhenProviderIsDown::ServeStale { up_to })
    }
}

#[tokio::test(start_paused = true)]
async fn older_facts_are_served_only_while_the_provider_is_down_and_only_up_to_the_limit() {
    let provider = provider();
    let validator = build(&provider, degrading(secs(1800))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    provider.always(Some(support::busy().into()));
    advance(secs(600)).await;
    let degraded = ask(&validator, &intent("pi_1")).await;
    assert_eq!((degraded.provenance(), degraded.age()), (Provenance::Degraded, secs(600)));
    assert!(is_valid(&degraded));
    assert_eq!(degraded.attempts().len(), 1, "the attempts that failed are shown");
    let forged = ask(&validator, &intent_of("pi_1", "1")).await;
    assert_eq!((forged.verdict().as_str(), forged.provenance()), ("invalid", Provenance::Degraded));
    assert!(validator.validate(intent("pi_1")).max_age(secs(599)).await.is_err(), "older than this call accepts");
    advance(secs(1200)).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.age(), secs(1800));
    advance(TICK).await;
    assert!(validator.validate(intent("pi_1")).await.unwrap_err().is_unavailable());
    provider.always(None);
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Fresh);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_outage() {
    let provider = provider();
    let validator = build(&provider, degrading(secs(1800))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    advance(secs(600)).await;
    provider.script("pi_1", [ProviderError::refused("bad key").status(401)]);
    assert!(validator.validate(intent("pi_1")).await.unwrap_err().is_configuration());
    provider.always(Some(Step::Fail(ProviderError::message("words that no rule knows"))));
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "unknown");
}

#[tokio::test(start_paused = true)]
async fn forgotten_and_passing_facts_are_not_served_while_the_provider_is_down() {
    let provider = provider();
    provider.put(processing("pi_2"));
    let validator = build(&provider, degrading(secs(1800))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    ask(&validator, &intent("pi_2")).await;
    validator.forget(&id("pi_1")).await.unwrap();
    provider.always(Some(support::busy().into()));
    advance(VOLATILE).await;
    assert!(validator.validate(intent("pi_1")).await.is_err());
    assert!(validator.validate(intent("pi_2")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_the_retention() {
    let provider = provider();
    let validator = build(&provider, degrading(secs(3600))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    provider.always(Some(support::busy().into()));
    advance(secs(3600) - TICK).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Degraded);
    advance(TICK).await;
    assert!(validator.validate(intent("pi_1")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_degraded_valid_does_not_become_a_fresh_one() {
    let provider = provider();
    let validator = build(&provider, degrading(secs(3600))).unwrap();
    ask(&validator, &intent("pi_1")).await;
    advance(secs(700)).await;
    provider.script("pi_1", [support::busy()]);
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Degraded);
    provider.put(paid("pi_1").amount_refunded(1999));
    assert!(!is_valid(&ask(&validator, &intent("pi_1")).await));
}

#[test]
fn outside_a_runtime_a_follower_gets_an_error_or_waits_and_never_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let provider = provider();
    provider.script("pi_1", [Step::Never]);
    let validator = validator(&provider);
    let leader = validator.validate(intent("pi_1"));
    runtime.block_on(async {
        let mut leader = pin!(leader);
        assert!(support::poll_once(leader.as_mut()).await.is_pending());
        settle().await;
    });
    // The flight is under way; this thread is not inside the runtime.
    assert!(poll_now(validator.validate(intent("pi_1"))).is_pending());
    let mut follower = pin!(validator.validate(intent("pi_1")).deadline(secs(1)));
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        follower.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }));
    match polled {
        Ok(Poll::Ready(Err(error))) => assert!(error.is_configuration(), "{error}"),
        Ok(Poll::Pending) => {}
        Ok(Poll::Ready(Ok(validation))) => panic!("{validation:?}"),
        Err(panic) => panic!("validate panicked outside a runtime: {panic:?}"),
    }
}

/// The forgeries that differ in nothing that is settled with the payment.
const MENDABLE: [&str; 6] =
    ["another tenant", "another order", "no order", "order as customer", "an unproven customer", "borders moved"];

/// The forgeries that are told nothing else about the payment, so that what is settled with it says nothing to them.
const TOLD_NOTHING: [&str; 2] = ["another tenant", "borders moved"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Paid,
    PaidMore,
    RefundedInPart,
    Refunded,
    Disputed,
    Processing,
    NotFound,
    Canceled,
    Held,
    HeldBriefly,
}

impl World {
    fn facts(self) -> ProviderPayment {
        match self {
            Self::Paid => paid("pi_1"),
            Self::PaidMore => paid("pi_1").amount(2000, Currency::USD).amount_received(2000),
            Self::RefundedInPart => paid("pi_1").amount_refunded(5),
            Self::Refunded => paid("pi_1").amount_refunded(1999),
            Self::Disputed => paid("pi_1").disputed(true),
            Self::Processing => processing("pi_1"),
            Self::NotFound => ProviderPayment::not_found("pi_1"),
            Self::Canceled => canceled("pi_1"),
            Self::Held => authorised("pi_1", 3600),
            Self::HeldBriefly => authorised("pi_1", 30),
        }
    }

    /// How long it may be served.
    fn life(self) -> Duration {
        match self {
            Self::Paid | Self::PaidMore | Self::Refunded | Self::Canceled => FRESH_FOR,
            Self::Held => secs(60),
            Self::HeldBriefly => secs(30),
            _ => VOLATILE,
        }
    }

    /// Whether the honest claim is valid.
    fn pays(self) -> bool {
        matches!(self, Self::Paid | Self::Held | Self::HeldBriefly)
    }
}

#[derive(Clone, Debug)]
enum Move {
    Advance(Duration),
    Change(World),
    Forget,
    Validate { forgery: Option<usize>, max_age: Option<Duration> },
}

fn any_step() -> impl Strategy<Value = Move> {
    let worlds = vec![
        World::Paid,
        World::PaidMore,
        World::RefundedInPart,
        World::Refunded,
        World::Disputed,
        World::Processing,
        World::NotFound,
        World::Canceled,
        World::Held,
        World::HeldBriefly,
    ];
    let steps = vec![
        TICK,
        ms(1),
        secs(1),
        VOLATILE - TICK,
        VOLATILE,
        secs(29),
        secs(30),
        secs(59),
        secs(60),
        secs(400),
        FRESH_FOR - TICK,
        FRESH_FOR,
        secs(3600),
        secs(90_000),
    ];
    let ages = vec![None, None, None, Some(TICK), Some(secs(1)), Some(secs(30)), Some(secs(600)), Some(Duration::MAX)];
    prop_oneof![
        3 => prop::sample::select(steps).prop_map(Move::Advance),
        2 => prop::sample::select(worlds).prop_map(Move::Change),
        1 => Just(Move::Forget),
        6 => (prop::option::weighted(0.3, 0..forgeries().len()), prop::sample::select(ages))
            .prop_map(|(forgery, max_age)| Move::Validate { forgery, max_age }),
    ]
}

/// Plays the steps against a model that knows one thing: what the provider last answered, and when.
#[expect(clippy::unwrap_used, reason = "the provider answers")]
async fn play(steps: Vec<Move>) -> Result<(), TestCaseError> {
    let provider = ScriptedProvider::new();
    let validator = build(&provider, |builder| {
        builder.policy(Policy::default().accept_authorised()).transient_patterns::<&str>([])
    })
    .unwrap();
    let forgeries = forgeries();
    let (mut world, mut known, mut calls) = (World::NotFound, None::<(World, Duration)>, 0);
    for step in steps {
        match step {
            Move::Advance(by) => {
                advance(by).await;
                known = known.map(|(world, age)| (world, age + by));
            }
            Move::Change(to) => {
                provider.put(to.facts());
                world = to;
            }
            Move::Forget => {
                validator.forget(&id("pi_1")).await.unwrap();
                known = None;
            }
            Move::Validate { forgery, max_age } => {
                let claim = forgery.map_or_else(|| intent("pi_1"), |at| forgeries[at].1.clone());
                let call = validator.validate(&claim);
                let call = if let Some(age) = max_age { call.max_age(age) } else { call };
                let validation = call.await.unwrap();
                let limit = max_age.unwrap_or(Duration::MAX);
                // Metadata and the customer may still be mended, so a mismatch in nothing else is asked about again soon.
                let mendable = forgery.is_some_and(|at| MENDABLE.contains(&forgeries[at].0));
                let served = known.filter(|(world, age)| *age < world.life() && *age <= limit);
                let told_nothing = forgery.is_some_and(|at| TOLD_NOTHING.contains(&forgeries[at].0));
                let served =
                    served.filter(|(world, age)| !(mendable && (world.pays() || told_nothing) && *age >= VOLATILE));
                let (stated, age) = served.unwrap_or((world, Duration::ZERO));
                if served.is_none() {
                    calls += 1;
                }
                known = Some((stated, age));
                let provenance = if served.is_some() { Provenance::Replayed } else { Provenance::Fresh };
                prop_assert_eq!(validation.provenance(), provenance);
                prop_assert_eq!(provider.calls(), calls);
                prop_assert_eq!(validation.age(), age);
                // "ten times" and "a cent more" are no forgeries where that is what was paid.
                let matches = match forgery.map(|at| forgeries[at].0) {
                    None => stated.pays(),
                    Some("a cent more") => stated == World::PaidMore,
                    Some(_) => false,
                };
                prop_assert_eq!(is_valid(&validation), matches, "{:?}: {:?}", stated, validation);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn valid_never_outlives_what_the_provider_said(steps in prop::collection::vec(any_step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(steps))?;
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_that_is_added_later_is_seen_within_two_seconds() {
    let provider = ScriptedProvider::new();
    let bare = ProviderPayment::new("pi_1", PaymentStatus::Paid).mode(Mode::Live).amount(1999, Currency::USD);
    let bare = bare.amount_received(1999).amount_refunded(0).metadata("store_id", "store_42");
    provider.put(bare.clone());
    let validator = validator(&provider);
    let Verdict::Invalid(findings) = ask(&validator, &intent("pi_1")).await.into_verdict() else { panic!("valid") };
    assert!(findings.has("unproven"));
    provider.put(bare.metadata("order_id", "6735"));
    advance(VOLATILE).await;
    assert!(is_valid(&ask(&validator, &intent("pi_1")).await));
    assert_eq!(provider.calls(), 2);
}
