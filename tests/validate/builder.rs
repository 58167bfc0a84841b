//! Defaults as documented, and contradictions refused with the numbers in the message.
#![cfg(feature = "test-util")]
#![expect(clippy::panic, reason = "a helper that asserts")]

use std::time::Duration;

use crate::support::{self, intent, is_valid, ms, provider, secs};
use payproof::provider::ProviderIdentity;
use payproof::store::{MemoryStore, RestartLoss};
use payproof::telemetry::BreakerState;
use payproof::testing::ScriptedProvider;
use payproof::{
    Breaker, BuildError, Mode, Policy, Provenance, Retry, RetryBudget, Risk, Schedule, TenantProof, Validator,
    ValidatorBuilder, WhenProviderIsDown,
};

const DAY: Duration = secs(24 * 60 * 60);

fn builder() -> ValidatorBuilder {
    Validator::builder(ScriptedProvider::new())
}

/// Builds and fails unless every one of these words is in the refusal.
#[track_caller]
fn assert_refused(builder: ValidatorBuilder, words: &[&str]) {
    let Err(error) = builder.build() else { panic!("built, in spite of {words:?}") };
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} lacks {word:?}");
    }
    assert!(text.starts_with(char::is_lowercase) && !text.ends_with('.'), "{text}");
}

#[test]
fn defaults_are_the_documented_ones() {
    let shown = format!("{:?}", builder());
    let settings = [
        "mode: Live",
        "tenant: Metadata(\"store_id\")",
        "order: OrderProof { key: \"order_id\", by_reference: false, by_client_reference: false, functions: [] }",
        "attempt_timeout: 30s",
        "total_deadline: 150s",
        "retries: 3",
        "[100ms, 500ms, 5s]",
        "jitter: Full",
        "retry_after_cap: 60s",
        "at_start: 10.0",
        "per_answer: 0.5",
        "per_failure: 0.2",
        "saved: 10.0",
        "saved_share: 0.05",
        "per_caller: 2.0",
        "trickle_per_second: 0.1",
        "patience: 10s",
        "hedges: On",
        "breaker: None",
        "failure_share: 0.5",
        "minimum_attempts: 20",
        "window: 10s",
        "open_for: 5s",
        "probes: 3",
        "max_concurrent: None",
        "max_in_flight: 25000",
        "retention: 86400s",
        "fresh_for: 900s",
        "when_provider_is_down: Refuse",
        "facts_in_memory: 100000",
        "store: None",
        "store_timeout: 1s",
        "store_prefix: \"payproof\"",
        "RecordSettings { keys: None, release: None, unsigned: [] }",
        "lease: None",
        "renew_lease: false",
        "facts_in_memory_for: 5s",
        "retention: 34560000s",
        "proof_max_age: 60s",
        "authorized: false",
        "restart_loss: None",
        "only_instance: false",
        "max_keys: 100000",
        "seed: None",
        "authorized: false",
        "partly_refunded: false",
        "dispute: Won",
        "reported_fraud: false",
        "max_age: None",
        "hold_debits: None",
        "risk: Elevated",
        "built_in_patterns: true",
        "patterns: []",
    ];
    for setting in settings {
        assert!(shown.contains(setting), "{setting} is not in {shown}");
    }
}

#[test]
fn default_values_of_parts_are_the_documented_ones() {
    assert_eq!(Policy::default(), Policy::captured_only());
    assert_eq!(Policy::default(), Policy::default().accept_risk_up_to(Risk::Elevated));
    assert_eq!(TenantProof::default(), TenantProof::metadata("store_id"));
    assert_eq!(WhenProviderIsDown::default(), WhenProviderIsDown::Refuse);
    assert_eq!(Mode::default(), Mode::Live);
    assert_eq!(Risk::default(), Risk::NotAssessed);
    assert_eq!(RetryBudget::new(), RetryBudget::default());
    assert_eq!(Breaker::new(), Breaker::default());
}

#[tokio::test(start_paused = true)]
async fn a_default_validator_starts_with_nothing_done() {
    let validator = builder().build().unwrap();
    let stats = validator.stats();
    assert_eq!(validator.worst_case(), secs(150));
    assert_eq!((stats.credit, stats.in_line, stats.hedges, stats.overtaken), (Some(10.0), 0, 0, 0));
    assert_eq!((stats.breaker, stats.guarded_breaker), (None, Some(BreakerState::Closed)));
    assert_eq!((stats.hits, stats.misses, stats.attempts, stats.facts_in_memory, stats.in_flight), (0, 0, 0, 0, 0));
    assert!(stats.errors.is_empty());
    let bare = builder().no_guard_breaker().no_retry_budget().build().unwrap().stats();
    assert_eq!((bare.credit, bare.guarded_breaker), (None, None));
}

#[test]
fn a_validator_can_be_built_outside_a_runtime() {
    let validator = builder().build().unwrap();
    let error = match support::poll_now(validator.validate(intent("pi_1"))) {
        std::task::Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.code(), "no_runtime");
    assert!(error.is_configuration());
    assert_eq!(validator.stats().in_flight, 0);
}

#[test]
fn zero_durations_and_counts_are_refused() {
    assert_refused(builder().attempt_timeout(Duration::ZERO), &["attempt_timeout", "0ns", "at least 1 ms"]);
    assert_refused(builder().attempt_timeout(Duration::from_nanos(999_999)), &["attempt_timeout", "999.999µs"]);
    assert_refused(builder().total_deadline(Duration::ZERO), &["total_deadline", "0ns", "at least 1 ms"]);
    assert_refused(builder().max_concurrent(0), &["max_concurrent", "0", "at least 1"]);
    assert_refused(builder().max_concurrent(usize::MAX), &["max_concurrent", "18446744073709551615"]);
    assert_refused(builder().max_in_flight(0), &["max_in_flight", "0", "at least 1"]);
    assert_refused(builder().retention(Duration::ZERO).fresh_for(Duration::ZERO), &["retention", "more than zero"]);
    assert_refused(builder().policy(Policy::default().max_age(Duration::ZERO)), &["policy.max_age", "more than zero"]);
    let stale = WhenProviderIsDown::ServeStale { up_to: secs(3600) };
    assert_refused(builder().when_provider_is_down(stale).facts_in_memory(0), &["facts_in_memory", "more than zero"]);
}

#[test]
fn limits_that_contradict_each_other_are_named_with_both_values() {
    assert_refused(builder().fresh_for(DAY + ms(1)), &["fresh_for", "86400.001s", "retention", "86400s"]);
    assert_refused(builder().retention(secs(60)), &["fresh_for", "900s", "retention", "60s"]);
    let stale = |up_to| builder().when_provider_is_down(WhenProviderIsDown::ServeStale { up_to });
    assert_refused(stale(DAY + ms(1)), &["when_provider_is_down.up_to", "86400.001s", "retention", "86400s"]);
    assert_refused(stale(secs(899)), &["fresh_for", "900s", "when_provider_is_down.up_to", "899s"]);
    for allowed in [builder().fresh_for(DAY), stale(DAY), stale(secs(900)), builder().retention(secs(900))] {
        assert!(allowed.build().is_ok(), "equal limits do not contradict each other");
    }
    let error = builder().retention(secs(60)).build().unwrap_err();
    let expected = BuildError::Contradiction {
        shorter: "fresh_for",
        shorter_value: secs(900),
        longer: "retention",
        longer_value: secs(60),
    };
    assert_eq!(error, expected);
}

#[test]
fn a_total_deadline_shorter_than_an_attempt_is_allowed() {
    let validator = builder().total_deadline(secs(2)).build().unwrap();
    assert_eq!(validator.worst_case(), secs(2));
}

#[test]
fn a_budget_has_finite_amounts_and_starts_within_its_bound() {
    let budget = RetryBudget::new;
    assert_refused(
        builder().retry_budget(budget().at_start(11.0)),
        &["retry_budget.at_start", "11", "10", "retry_budget.saved"],
    );
    assert_refused(builder().retry_budget(budget().saved(9.5)), &["budget.at_start", "10", "9.5"]);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1] {
        let shown = bad.to_string();
        assert_refused(builder().retry_budget(budget().at_start(bad)), &["budget.at_start", &shown, "finite"]);
        assert_refused(builder().retry_budget(budget().per_answer(bad)), &["budget.per_answer", &shown]);
        assert_refused(builder().retry_budget(budget().per_failure(bad)), &["budget.per_failure", &shown]);
        assert_refused(builder().retry_budget(budget().saved(bad)), &["budget.saved", &shown]);
        assert_refused(builder().retry_budget(budget().saved_share(bad)), &["budget.saved_share", &shown]);
        assert_refused(builder().retry_budget(budget().per_caller(bad)), &["budget.per_caller", &shown, "1 or more"]);
        assert_refused(
            builder().retry_budget(budget().trickle_per_second(bad)),
            &["budget.trickle_per_second", &shown],
        );
    }
    let nothing = budget().at_start(0.0).per_answer(0.0).saved(0.0).saved_share(0.0).trickle_per_second(0.0);
    assert!(builder().retry_budget(nothing).build().is_ok());
}

#[test]
fn a_breaker_can_open_and_close() {
    for bad in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
        let shown = bad.to_string();
        assert_refused(
            builder().breaker(Breaker::new().failure_share(bad)),
            &["breaker.failure_share", &shown, "at most 1"],
        );
    }
    assert_refused(builder().breaker(Breaker::new().minimum_attempts(0)), &["breaker.minimum_attempts", "0"]);
    assert_refused(builder().breaker(Breaker::new().probes(0)), &["breaker.probes", "0", "never close"]);
    assert_refused(builder().breaker(Breaker::new().window(ms(9))), &["breaker.window", "9ms", "10 ms"]);
    assert_refused(builder().breaker(Breaker::new().open_for(Duration::ZERO)), &["breaker.open_for", "more than zero"]);
    assert!(builder().breaker(Breaker::new().failure_share(1.0).window(ms(10)).probes(1)).build().is_ok());
}

#[test]
fn a_schedule_says_how_long_to_wait() {
    let retry = |schedule| builder().retry(Retry::new().schedule(schedule));
    assert_refused(retry(Schedule::waits([])), &["retry.schedule", "empty", "at least one wait"]);
    assert!(builder().retry(Retry::none().schedule(Schedule::waits([]))).build().is_ok());
    for factor in [0.99, 0.0, -2.0, f64::NAN, f64::INFINITY] {
        let schedule = Schedule::exponential(ms(1), factor, secs(1));
        assert_refused(retry(schedule), &["retry.schedule.factor", &factor.to_string(), "at least 1"]);
    }
    let crossed = Schedule::exponential(secs(2), 2.0, secs(1));
    assert_refused(retry(crossed), &["retry.schedule.first", "2s", "retry.schedule.cap", "1s"]);
}

#[test]
fn a_pattern_is_a_regular_expression() {
    assert_refused(builder().transient_pattern("(unclosed"), &["`(unclosed`", "unclosed group"]);
    assert_refused(builder().transient_pattern(""), &["empty"]);
    assert_refused(builder().transient_patterns(["fine", "[z-a]"]), &["`[z-a]`"]);
    assert!(builder().transient_patterns::<&str>([]).build().is_ok());
}

#[test]
fn metadata_keys_have_names_that_differ() {
    assert_refused(builder().tenant_proof(TenantProof::metadata("")), &["tenant_proof", "empty", "metadata key"]);
    assert_refused(builder().order_key(""), &["order_key", "empty", "metadata key"]);
    assert_refused(builder().order_key("store_id"), &["order_key", "store_id", "another metadata key"]);
    assert_refused(builder().tenant_proof(TenantProof::metadata("order_id")), &["order_key", "order_id"]);
    let shop = builder().tenant_proof(TenantProof::metadata("shop")).order_key("store_id");
    assert!(shop.build().is_ok());
}

/// Whatever proves the tenant, `store_id` is compared with it when it is there, so it can never hold an order.
#[test]
fn the_order_key_differs_from_the_key_that_may_name_a_tenant_under_every_proof() {
    for proof in [TenantProof::Account, TenantProof::Destination, TenantProof::SingleTenant] {
        let built = builder().tenant_proof(proof.clone()).order_key("store_id").build();
        assert!(built.is_err(), "{proof:?}: every payment with an order would be another tenant's");
    }
}

#[test]
fn a_test_provider_needs_a_test_validator_and_the_message_says_how() {
    let error = Validator::builder(ScriptedProvider::test_mode()).build().unwrap_err();
    let expected = BuildError::ModeMismatch {
        provider: "scripted".to_owned(),
        provider_mode: Mode::Test,
        validator_mode: Mode::Live,
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains(".mode(Mode::Test)"), "{error}");
    assert!(error.to_string().contains("scripted") && error.to_string().contains("live key"), "{error}");
    assert!(Validator::builder(ScriptedProvider::test_mode()).mode(Mode::Test).build().is_ok());
    let error = builder().mode(Mode::Test).build().unwrap_err();
    assert!(error.to_string().contains(".mode(Mode::Live)") && error.to_string().contains("test key"), "{error}");
}

#[test]
fn a_mode_is_the_identitys_word_whatever_the_provider_is_called() {
    let odd = ProviderIdentity::new("test_provider").with_account("sk_test");
    assert!(Validator::builder(ScriptedProvider::with_identity(odd)).build().is_ok());
}

#[test]
fn extreme_settings_neither_panic_nor_overflow() {
    let longest = builder()
        .attempt_timeout(Duration::MAX)
        .total_deadline(Duration::MAX)
        .retry_after_cap(Duration::MAX)
        .retention(Duration::MAX)
        .fresh_for(Duration::MAX)
        .when_provider_is_down(WhenProviderIsDown::ServeStale { up_to: Duration::MAX })
        .policy(Policy::default().max_age(Duration::MAX))
        .breaker(
            Breaker::new().window(Duration::MAX).open_for(Duration::MAX).minimum_attempts(u32::MAX).probes(u32::MAX),
        )
        .retry(Retry::new().times(u32::MAX))
        .max_in_flight(usize::MAX)
        .max_keys(usize::MAX)
        .seed(u64::MAX);
    assert!(longest.build().is_ok());
}

#[tokio::test(start_paused = true)]
async fn extreme_settings_still_answer() {
    let provider = provider();
    let facts = support::paid("pi_1").with_created(0).with_as_of(1_700_000_000);
    provider.put(facts);
    let validator = Validator::builder(provider.clone())
        .attempt_timeout(Duration::MAX)
        .total_deadline(Duration::MAX)
        .retention(Duration::MAX)
        .fresh_for(Duration::MAX)
        .facts_in_memory(10)
        .redemption_retention(Duration::MAX)
        .policy(Policy::default().max_age(Duration::MAX))
        .build()
        .unwrap();
    let call = || validator.validate(intent("pi_1")).deadline(Duration::MAX).max_age(Duration::MAX);
    assert!(is_valid(&call().await.unwrap()));
    tokio::time::advance(DAY * 1000).await;
    let kept = call().await.unwrap();
    assert_eq!((kept.provenance(), kept.age()), (Provenance::Replayed, DAY * 1000));
    let keyed = intent("pi_1").with_key(payproof::IdempotencyKey::parse("k").unwrap());
    assert!(is_valid(&validator.validate(keyed).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_for_ever_stays_open() {
    let provider = support::failing(support::busy());
    let breaker = Breaker::new().minimum_attempts(1).open_for(Duration::MAX);
    let builder = Validator::builder(provider.clone()).retry(Retry::none()).breaker(breaker);
    let validator = builder.build().unwrap();
    assert!(validator.validate(intent("pi_1")).await.is_err());
    for _ in 0..3 {
        tokio::time::advance(secs(60)).await;
        let error = validator.validate(intent("pi_1")).await.unwrap_err();
        assert_eq!(error.code(), "circuit_open");
    }
    assert_eq!(provider.calls(), 1);
}

#[test]
fn a_lease_that_may_end_before_its_validation_is_refused_with_both_numbers() {
    let with_store = || builder().store(MemoryStore::new());
    assert_refused(with_store().lease(secs(150)), &["155s", "lease", "150s"]);
    assert!(with_store().lease(secs(155)).build().is_ok());
    assert!(with_store().total_deadline(secs(10)).lease(secs(15)).build().is_ok());
    assert_refused(with_store().renewed_lease(ms(5_999)), &["six times store_timeout", "6s", "5.999s"]);
    assert!(with_store().renewed_lease(secs(6)).build().is_ok());
    assert!(with_store().store_timeout(ms(100)).renewed_lease(ms(600)).build().is_ok());
    assert_eq!(with_store().build().unwrap().worst_case(), secs(154));
    assert_eq!(builder().build().unwrap().worst_case(), secs(150));
}

#[test]
fn what_no_store_can_keep_is_refused() {
    let with_store = || builder().store(MemoryStore::new());
    assert_refused(with_store().retention(Duration::MAX), &["retention", "10 years"]);
    assert_refused(with_store().total_deadline(Duration::MAX), &["lease", "10 years"]);
    assert_refused(with_store().redemption_retention(Duration::MAX), &["redemption_retention", "10 years"]);
    assert_refused(builder().redemption_retention(DAY), &["redemption_retention", "2 days"]);
    assert_refused(builder().proof_max_age(ms(0)), &["proof_max_age", "more than zero"]);
    assert_refused(builder().store_timeout(ms(0)), &["store_timeout", "1 ms"]);
    let unknown = builder().restart_loses_at_most(RestartLoss::Unknown);
    assert_refused(unknown, &["restart_loses_at_most", "Unknown"]);
    for prefix in ["", "a b", "{x}", "*", &"p".repeat(65)] {
        assert_refused(builder().store_prefix(prefix), &["store_prefix", "1 to 64"]);
    }
}

#[tokio::test]
async fn a_look_at_the_store_says_what_it_cannot_do() {
    let store_check = builder().store(MemoryStore::new()).build().unwrap().check_store().await;
    assert!(store_check.is_fit());
    let codes: Vec<_> = store_check.findings.iter().map(payproof::store::StoreFinding::code).collect();
    assert_eq!(codes, ["not_shared", "volatile"]);
    assert_eq!(store_check.store.unwrap().server.as_ref(), "memory");
}
