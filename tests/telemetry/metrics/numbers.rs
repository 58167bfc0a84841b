//! What is counted, timed and shown.

use payproof::guard::{Effect, EffectCall, Operation, Resolution};
use payproof::provider::{ProviderError, ProviderIdentity};
use payproof::testing::{ScriptedProvider, Step, StoreFault, StoreVerb};
use payproof::{
    Breaker, Currency, IdempotencyKey, Mode, PaymentStatus, ProviderPayment, Retry, RetryBudget, Validator,
    WhenProviderIsDown,
};
use tokio::join;
use tokio::time::{Instant, advance, sleep};

use super::page::Exporter;
use super::{capture, cut, two_processes};
use crate::support::{self, busy, failing, forgetful, intent, intent_of, ms, paid, plain, provider, secs, settle};

async fn done(_call: EffectCall) -> Result<u32, ProviderError> {
    Ok(7)
}

#[tokio::test(start_paused = true)]
async fn hits_in_memory_are_added_once_however_often_they_are_published() {
    let exporter = Exporter::install();
    let validator = plain(&provider()).build().unwrap();
    let replayed = [("verdict", "valid"), ("provenance", "replayed")];
    let hit = async |times| {
        for _ in 0..times {
            validator.validate(intent("pi_1")).await.unwrap();
        }
    };
    hit(6).await;
    assert_eq!(exporter.page().get("payproof_validations_total", &replayed), None, "nothing is recorded on a hit");
    validator.publish_metrics().await;
    validator.clone().publish_metrics().await;
    assert_eq!(exporter.page().get("payproof_validations_total", &replayed), Some(5.0));
    hit(3).await;
    join!(validator.publish_metrics(), validator.publish_metrics());
    assert_eq!(exporter.page().get("payproof_validations_total", &replayed), Some(8.0));
    let fresh = [("verdict", "valid"), ("provenance", "fresh")];
    assert_eq!(exporter.page().get("payproof_validations_total", &fresh), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn the_numbers_are_those_of_stats() {
    let exporter = Exporter::install();
    let provider = provider();
    let facts = |id: &str, status| {
        let facts = ProviderPayment::new(id, status).with_mode(Mode::Live).with_amount(1999, Currency::USD);
        facts.with_metadata("store_id", "store_42").with_metadata("order_id", "6735")
    };
    provider.put(facts("pi_wait", PaymentStatus::Processing));
    provider.put(facts("pi_act", PaymentStatus::ActionRequired));
    let validator = Validator::builder(provider.clone()).max_keys(1).build().unwrap();
    provider.script("pi_1", [busy(), busy()]);
    for id in ["pi_1", "pi_1", "pi_wait", "pi_wait", "pi_act", "pi_404"] {
        validator.validate(intent(id)).await.unwrap();
    }
    validator.validate(intent_of("pi_1", "5")).await.unwrap();
    provider.script("pi_1", [Step::Wait(secs(1))]);
    let claims = intent("pi_1");
    validator.forget(claims.payment()).await.unwrap();
    let call = || validator.validate(&claims);
    let (a, b, c) = join!(call(), call(), call());
    assert!([a, b, c].iter().all(Result::is_ok));
    provider.script("pi_3", [ProviderError::refused("no").with_status(401)]);
    assert!(validator.validate(intent("pi_3")).await.is_err());
    assert!(validator.validate(intent_of("pi_3", "1.999")).await.is_err());
    let keyed = |key: &str| intent("pi_1").with_key(IdempotencyKey::parse(key).unwrap());
    validator.validate(keyed("k")).await.unwrap();
    // Refused before anything is asked.
    assert!(validator.validate(keyed("k2")).await.is_err());
    validator.publish_metrics().await;

    let (page, stats) = (exporter.page(), validator.stats());
    let by = |label, value: &str| page.sum("payproof_validations_total", &[(label, value)]);
    let counted = |name: &str| page.sum(name, &[]);
    let expected = [
        (by("provenance", "replayed"), stats.hits),
        (by("provenance", "fresh"), stats.misses),
        (by("provenance", "coalesced"), stats.coalesced),
        (by("verdict", "valid"), stats.valid),
        (by("verdict", "pending"), stats.pending),
        (by("verdict", "action_required"), stats.action_required),
        (by("verdict", "invalid"), stats.invalid),
        (counted("payproof_attempts_total"), stats.attempts),
        (counted("payproof_retries_total"), stats.retries),
    ];
    for (at, (metric, stat)) in expected.iter().enumerate() {
        assert_eq!(*metric as u64, *stat, "number {at}: {stats:?}");
        assert!(*stat > 0, "number {at} was not put to the test");
    }
    let errors: Vec<_> = stats.errors.keys().copied().collect();
    assert_eq!(errors, ["at_capacity", "invalid_intent", "provider_refused"]);
    for (code, count) in &stats.errors {
        assert_eq!(page.sum("payproof_validation_errors_total", &[("code", code)]) as u64, *count, "{code}");
    }
    assert_eq!(counted("payproof_facts_in_memory") as usize, stats.facts_in_memory);
    assert_eq!(counted("payproof_keys_held") as usize, stats.keys_held);
    let level = counted("payproof_retry_credit") - stats.credit.unwrap();
    assert!(level.abs() < 1e-9, "{level}");
}

#[tokio::test(start_paused = true)]
async fn attempts_are_timed_and_counted_by_outcome() {
    let exporter = Exporter::install();
    let provider = provider();
    let validator = plain(&provider).attempt_timeout(secs(3)).build().unwrap();
    provider.script("pi_1", [Step::Never, Step::Wait(ms(200)), busy().into(), Step::Wait(ms(40))]);
    validator.validate(intent("pi_1")).await.unwrap();
    let page = exporter.page();
    let attempts = |outcome| page.sum("payproof_attempts_total", &[("outcome", outcome)]);
    assert_eq!((attempts("transient"), attempts("facts"), attempts("permanent")), (2.0, 1.0, 0.0));
    assert_eq!(page.sum("payproof_attempt_timeouts_total", &[]), 1.0);
    assert_eq!(page.sum("payproof_retries_total", &[]), 2.0);
    let took =
        |part: &str, outcome| page.sum(&format!("payproof_attempt_duration_seconds_{part}"), &[("outcome", outcome)]);
    assert_eq!((took("count", "transient"), took("count", "facts")), (2.0, 1.0));
    assert!((took("sum", "transient") - 3.2).abs() < 1e-6 && (took("sum", "facts") - 0.04).abs() < 1e-6);
}

#[tokio::test(start_paused = true)]
async fn a_validation_is_timed_past_the_quick_answer_with_its_waits() {
    let exporter = Exporter::install();
    let provider = provider();
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    provider.script("pi_1", [Step::Wait(ms(300))]);
    for _ in 0..5 {
        validator.validate(intent("pi_1")).await.unwrap();
    }
    provider.script("pi_2", [Step::Wait(secs(2)), busy().into()]);
    assert!(validator.validate(intent("pi_2")).await.is_err());
    validator.publish_metrics().await;
    let page = exporter.page();
    let took = |part: &str, provenance| {
        page.sum(&format!("payproof_validation_duration_seconds_{part}"), &[("provenance", provenance)])
    };
    assert_eq!((took("count", "fresh"), took("count", "replayed"), took("count", "none")), (1.0, 0.0, 1.0));
    assert!((took("sum", "fresh") - 0.3).abs() < 1e-6 && (took("sum", "none") - 2.0).abs() < 1e-6);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_and_the_budget_are_as_they_are_at_the_scrape() {
    let exporter = Exporter::install();
    let provider = failing(busy());
    let validator = Validator::builder(provider.clone())
        .breaker(Breaker::new().minimum_attempts(2).open_for(secs(5)))
        .retry_budget(RetryBudget::new().at_start(3.0).trickle_per_second(0.0).patience(secs(0)))
        .build()
        .unwrap();
    let seen = async || {
        validator.publish_metrics().await;
        let page = exporter.page();
        (page.sum("payproof_breaker_state", &[]), page.sum("payproof_retry_credit", &[]))
    };
    assert_eq!(seen().await, (0.0, 3.0));
    assert!(validator.validate(intent("pi_1")).await.is_err());
    let (state, level) = seen().await;
    assert!(state == 2.0 && level < 3.0, "{state} {level}");
    advance(secs(6)).await;
    assert_eq!(seen().await.0, 1.0);
    let without = plain(&ScriptedProvider::with_identity(ProviderIdentity::new("bare"))).build().unwrap();
    without.publish_metrics().await;
    assert_eq!(exporter.page().get("payproof_breaker_state", &[("provider", "bare")]), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_missing_for_an_answer_is_counted_by_reason() {
    let exporter = Exporter::install();
    let provider = provider();
    let (one, way, two) = two_processes(&provider);
    way.always(Some(StoreFault::NotSent));
    one.validate(intent("pi_1")).await.unwrap();
    way.always(None);
    way.script(StoreVerb::Replace, [StoreFault::Refused]);
    one.validate(intent("pi_1")).await.unwrap();
    let refund = Operation::new("store_42", "refund", "r", Effect::keyed_write(secs(86_400))).unwrap();
    way.script(StoreVerb::Replace, [StoreFault::Refused]);
    let run =
        one.guard().run(&refund, |call: EffectCall| async move { Ok::<_, ProviderError>(call.provider_key().len()) });
    assert!(!run.await.unwrap().is_recorded());
    let stale = WhenProviderIsDown::ServeStale { up_to: secs(3600) };
    let patient = plain(&provider).retry(Retry::none()).when_provider_is_down(stale).build().unwrap();
    patient.validate(intent("pi_1")).await.unwrap();
    advance(secs(1000)).await;
    provider.always(Some(busy().into()));
    patient.validate(intent("pi_1")).await.unwrap();
    drop(two);
    let page = exporter.page();
    let degraded = |answer, reason| page.sum("payproof_degraded_total", &[("answer", answer), ("reason", reason)]);
    assert_eq!(degraded("validation", "store_down"), 1.0);
    assert_eq!(degraded("validation", "not_recorded"), 1.0);
    assert_eq!(degraded("validation", "provider_down"), 1.0);
    assert_eq!(degraded("operation", "not_recorded"), 1.0);
    assert!(page.sum("payproof_store_failures_total", &[]) >= 3.0);
}

#[tokio::test(start_paused = true)]
async fn leases_lost_and_taken_over_are_counted() {
    let exporter = Exporter::install();
    let provider = provider();
    let (one, way, two) = two_processes(&provider);
    let claims = intent("pi_1");
    provider.script("pi_1", [Step::Wait(secs(2))]);
    let (asked, ()) = join!(one.validate(&claims), async {
        sleep(secs(1)).await;
        two.forget(claims.payment()).await.unwrap();
    });
    asked.unwrap();
    one.publish_metrics().await;
    let counted = |name: &str| exporter.page().get(name, &[]);
    assert_eq!(counted("payproof_leases_lost_total"), Some(1.0));
    assert_eq!(counted("payproof_leases_taken_over_total"), Some(0.0), "it begins at zero");
    // Past what stays of the forgetting. Then the first hangs with its claim, and its lease runs out.
    sleep(secs(10)).await;
    provider.script("pi_1", [Step::Wait(secs(30))]);
    let hung = tokio::spawn(one.validate(&claims));
    sleep(ms(10)).await;
    way.always(Some(StoreFault::Never));
    two.validate(&claims).await.unwrap();
    assert_eq!(counted("payproof_leases_taken_over_total"), Some(1.0));
    hung.abort();
}

#[tokio::test(start_paused = true)]
async fn whether_the_store_is_asked_is_as_it_is_at_the_scrape() {
    let exporter = Exporter::install();
    let (one, way, _two) = two_processes(&provider());
    let seen = async || {
        one.publish_metrics().await;
        exporter.page().get("payproof_store_breaker_state", &[])
    };
    assert_eq!(seen().await, Some(0.0));
    way.always(Some(StoreFault::Never));
    assert_eq!(seen().await, Some(0.0));
    one.validate(intent("pi_1")).await.unwrap();
    one.validate(intent("pi_1")).await.unwrap();
    assert_eq!(seen().await, Some(2.0));
    way.always(None);
    sleep(secs(2)).await;
    assert_eq!(seen().await, Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn calls_to_the_store_are_timed_by_verb_and_outcome() {
    let exporter = Exporter::install();
    let (one, way, _two) = two_processes(&provider());
    way.script(StoreVerb::Claim, [StoreFault::Slow(ms(70))]);
    way.script(StoreVerb::Replace, [StoreFault::Never]);
    one.validate(intent("pi_1")).await.unwrap();
    settle().await;
    for fault in [StoreFault::NotSent, StoreFault::LostReply, StoreFault::Refused] {
        way.script(StoreVerb::Get, [fault, StoreFault::Refused]);
        assert!(one.guard().status(&capture()).await.is_err());
        way.always(None);
    }
    let page = exporter.page();
    let calls = |part: &str, verb, outcome| {
        page.sum(&format!("payproof_store_call_duration_seconds_{part}"), &[("verb", verb), ("outcome", outcome)])
    };
    assert_eq!(calls("count", "claim", "ok"), 1.0);
    assert!((calls("sum", "claim", "ok") - 0.07).abs() < 1e-6);
    assert_eq!(calls("count", "replace", "timeout"), 1.0);
    assert!((calls("sum", "replace", "timeout") - 1.0).abs() < 1e-6);
    assert_eq!((calls("count", "get", "not_sent"), calls("count", "get", "outcome_unknown")), (1.0, 1.0));
    assert!(calls("count", "get", "refused") >= 3.0);
}

#[tokio::test(start_paused = true)]
async fn operations_are_counted_by_how_they_ended() {
    let exporter = Exporter::install();
    let validator = forgetful(plain(&provider())).build().unwrap();
    let guard = validator.guard();
    let refund = Operation::new("store_42", "refund", "r", Effect::write()).unwrap();
    for _ in 0..3 {
        guard.run(&refund, done).await.unwrap();
    }
    let other = Operation::new("store_42", "refund", "r", Effect::write()).unwrap().claim("amount", "2").unwrap();
    assert!(guard.run(&other, done).await.unwrap_err().is_key_reused());
    assert!(guard.run(&capture(), cut).await.unwrap_err().is_indeterminate());
    let page = exporter.page();
    let ended = |outcome| page.sum("payproof_operations_total", &[("outcome", outcome)]);
    assert_eq!((ended("fresh"), ended("replayed")), (1.0, 2.0));
    assert_eq!((ended("key_reused"), ended("indeterminate")), (1.0, 1.0));
    assert_eq!(page.sum("payproof_attempts_total", &[("outcome", "done")]), 1.0);
}

#[tokio::test(start_paused = true)]
async fn the_age_of_the_oldest_indeterminate_operation_grows_until_it_is_resolved() {
    let exporter = Exporter::install();
    let (one, _way, two) = two_processes(&provider());
    let seen = async || {
        two.publish_metrics().await;
        let page = exporter.page();
        let gauge = |name: &str| page.get(name, &[]).unwrap();
        (gauge("payproof_indeterminate_operations"), gauge("payproof_indeterminate_oldest_seconds"))
    };
    assert_eq!(seen().await, (0.0, 0.0));
    assert!(one.guard().run(&capture(), cut).await.is_err());
    advance(secs(100)).await;
    let (operations, oldest) = seen().await;
    assert!(operations == 1.0 && (100.0..101.0).contains(&oldest), "{operations} {oldest}");
    one.guard().resolve(&capture(), Resolution::not_executed(), "test").await.unwrap();
    assert_eq!(seen().await, (0.0, 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_or_fails_holds_nothing_else_up() {
    for fault in [StoreFault::Never, StoreFault::Refused] {
        let exporter = Exporter::install();
        let provider = provider();
        let (one, way, _two) = two_processes(&provider);
        assert!(one.guard().run(&capture(), cut).await.is_err());
        one.publish_metrics().await;
        way.always(Some(fault));
        one.validate(intent("pi_1")).await.unwrap();
        let start = Instant::now();
        one.publish_metrics().await;
        assert!(start.elapsed() < secs(1), "{:?}", start.elapsed());
        let page = exporter.page();
        assert_eq!(page.get("payproof_indeterminate_operations", &[]), Some(1.0), "it stays as it was");
        assert_eq!(page.get("payproof_facts_in_memory", &[]).unwrap() as usize, one.stats().facts_in_memory);
        assert!(page.sum("payproof_store_failures_total", &[]) >= 2.0);
    }
}

#[tokio::test(start_paused = true)]
async fn two_accounts_are_told_apart() {
    let exporter = Exporter::install();
    for (account, times) in [("eu", 1), ("us", 2)] {
        let provider = ScriptedProvider::with_identity(ProviderIdentity::new("scripted").with_account(account));
        for number in 0..times {
            provider.put(paid(&format!("pi_{number}")));
        }
        let validator = plain(&provider).build().unwrap();
        for number in 0..times {
            validator.validate(intent(&format!("pi_{number}"))).await.unwrap();
        }
    }
    let page = exporter.page();
    let of = |account| page.sum("payproof_validations_total", &[("account", account), ("mode", "live")]);
    assert_eq!((of("eu"), of("us")), (1.0, 2.0));
}

#[test]
fn outside_a_runtime_publishing_sets_what_needs_none() {
    let exporter = Exporter::install();
    let validator = Validator::builder(provider()).build().unwrap();
    assert!(support::poll_now(validator.publish_metrics()).is_ready());
    let page = exporter.page();
    assert_eq!(page.get("payproof_retry_credit", &[]), Some(10.0));
    assert_eq!(page.get("payproof_indeterminate_operations", &[]), None);
}
