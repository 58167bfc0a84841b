//! What a health page says, and how soon.
#![cfg(feature = "test-util")]
#![allow(clippy::unwrap_used, reason = "what is not as it should be fails the test")]

mod lost;
mod refused;

use std::time::Duration;

use crate::forward::hands_its_verbs_on;
use crate::support::{busy, failing, intent, plain, poll_now, provider, secs, settle};
use payproof::guard::{Effect, EffectCall, Operation, Resolution};
use payproof::health::{Health, HealthReason, ProviderCalls};
use payproof::provider::{ProviderError, RateLimit};
use payproof::store::{Durability, Extras, Inspection, MemoryStore, RestartLoss, Store, StoreError, StoreFinding};
use payproof::telemetry::BreakerState;
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use payproof::{Breaker, IdempotencyKey, RecordKind, Retry, RetryBudget, Validator};
use serde_json::{Value, json};
use tokio::time::Instant;

fn codes(reasons: &[HealthReason]) -> Vec<&'static str> {
    reasons.iter().map(HealthReason::code).collect()
}

/// What degrades, and the notes.
fn said(health: &Health) -> (Vec<&'static str>, Vec<&'static str>) {
    (codes(health.reasons()), codes(health.notes()))
}

const SHARED: Durability = Durability { shared: true, best_effort: false };

/// A validator over a store that looks like one of the network.
fn over_store(provider: &ScriptedProvider) -> (Validator, FlakyStore<MemoryStore>) {
    let store = FlakyStore::new(MemoryStore::new());
    store.pretend(SHARED);
    store.pretend_restart_loses(RestartLoss::Nothing);
    (plain(provider).store(store.clone()).build().unwrap(), store)
}

#[tokio::test(start_paused = true)]
async fn one_process_without_a_store_is_ready_and_says_what_that_means() {
    let validator = Validator::builder(provider()).build().unwrap();
    let health = validator.health().await;
    assert!(health.is_ready());
    assert_eq!(said(&health), (vec![], vec!["volatile", "forget_is_local"]));
    assert!(health.notes()[1].to_string().contains("set a shared store"), "{:?}", health.notes());
}

#[tokio::test(start_paused = true)]
async fn a_store_of_one_process_that_was_chosen_is_a_note() {
    let validator = plain(&provider()).store(MemoryStore::new()).build().unwrap();
    let health = validator.health().await;
    assert!(health.is_ready(), "{health:?}");
    assert_eq!(said(&health).1, ["volatile", "forget_is_local"]);
}

#[tokio::test(start_paused = true)]
async fn a_shared_and_durable_store_leaves_nothing_to_say() {
    let (validator, store) = over_store(&provider());
    // The memory below says of itself that it is volatile, whatever is pretended.
    let health = validator.health().await;
    assert_eq!(codes(health.reasons()), [""; 0], "{health:?}");
    assert!(!codes(health.notes()).contains(&"forget_is_local"));
    store.pretend(Durability { best_effort: true, ..SHARED });
    tokio::time::advance(secs(2)).await;
    let health = validator.health().await;
    assert!(health.is_ready() && codes(health.notes()).contains(&"best_effort"), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_degrades() {
    let (validator, store) = over_store(&provider());
    store.always(Some(StoreFault::Refused));
    let health = validator.health().await;
    assert!(!health.is_ready());
    assert_eq!(codes(health.reasons()), ["unreachable", "indeterminate_unknown"]);
    assert_eq!(health.store_check().store, None);
    store.always(None);
    tokio::time::advance(secs(2)).await;
    assert!(validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_told_within_a_second() {
    let (validator, store) = over_store(&provider());
    store.always(Some(StoreFault::Never));
    for _ in 0..3 {
        let start = Instant::now();
        let health = validator.health().await;
        assert!(start.elapsed() < secs(1), "{:?}", start.elapsed());
        assert_eq!(codes(health.reasons()), ["unreachable", "indeterminate_unknown"]);
        let first = health.reasons()[0].to_string();
        assert!(first.contains("no answer within 800ms"), "{first}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_while_the_store_hangs_are_each_answered_within_a_second() {
    let (validator, store) = over_store(&provider());
    store.always(Some(StoreFault::Never));
    let start = Instant::now();
    let asked: Vec<_> = (0..50).map(|_| tokio::spawn(validator.health())).collect();
    for health in asked {
        assert!(!health.await.unwrap().is_ready());
    }
    assert!(start.elapsed() < secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_store_is_looked_into_once_a_second_however_many_ask() {
    let (validator, store) = over_store(&provider());
    for _ in 0..100 {
        validator.health().await;
    }
    assert_eq!(store.calls(StoreVerb::Inspect), 1);
    tokio::time::advance(secs(1)).await;
    validator.health().await;
    assert_eq!(store.calls(StoreVerb::Inspect), 2);
}

/// A store that says this of itself.
#[derive(Debug)]
struct Told(MemoryStore, Inspection);

impl Store for Told {
    hands_its_verbs_on!(0);

    fn durability(&self) -> Durability {
        SHARED
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        Ok(self.1.restart_loss)
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        Ok(self.1.clone())
    }

    fn extras(&self) -> Extras {
        self.0.extras()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_store_says_of_itself_degrades_from_a_warning_up() {
    let health = async |latency, findings: &[StoreFinding]| {
        let mut inspection = Inspection::new("redis", Duration::from_millis(latency));
        inspection.findings = findings.to_vec();
        inspection.restart_loss = RestartLoss::Nothing;
        let validator = plain(&provider()).store(Told(MemoryStore::new(), inspection)).build().unwrap();
        said(&validator.health().await)
    };
    assert_eq!(health(50, &[]).await, (vec![], vec![]));
    assert_eq!(health(51, &[]).await, (vec!["slow"], vec![]));
    let evicts = StoreFinding::Evicts { policy: "allkeys-lru".into() };
    let clock = StoreFinding::ClockDiffers { by: secs(3) };
    let found = [clock, StoreFinding::Replica, evicts];
    assert_eq!(health(1, &found).await, (vec!["replica", "evicts"], vec!["clock_differs"]));
}

#[tokio::test(start_paused = true)]
async fn what_a_restart_loses_degrades_unless_it_is_accepted() {
    let health = async |loss, stated| {
        let mut inspection = Inspection::new("redis", Duration::ZERO);
        inspection.restart_loss = loss;
        let builder = plain(&provider()).store(Told(MemoryStore::new(), inspection));
        let builder = match stated {
            Some(stated) => builder.restart_loses_at_most(stated),
            None => builder,
        };
        said(&builder.build().unwrap().health().await)
    };
    for (loss, code) in [
        (RestartLoss::Snapshot, "restart_loses_since_snapshot"),
        (RestartLoss::All, "restart_loses_all"),
        (RestartLoss::Unknown, "restart_loss_unknown"),
    ] {
        assert_eq!(health(loss, None).await, (vec![code], vec![]));
        assert_eq!(health(loss, Some(RestartLoss::All)).await, (vec![], vec![code]));
    }
    assert_eq!(health(RestartLoss::Nothing, None).await, (vec![], vec![]));
    assert_eq!(health(RestartLoss::Second, None).await, (vec![], vec!["restart_loses_second"]));
    assert_eq!(health(RestartLoss::Second, Some(RestartLoss::Nothing)).await, (vec!["restart_loses_second"], vec![]));
    assert_eq!(health(RestartLoss::All, Some(RestartLoss::Snapshot)).await, (vec!["restart_loses_all"], vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_the_only_one_is_not_told_of_others() {
    let validator = plain(&provider()).store(MemoryStore::new()).only_instance().build().unwrap();
    assert_eq!(said(&validator.health().await), (vec![], vec!["volatile"]));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_and_a_half_open_one_degrade() {
    let provider = failing(busy());
    let breaker = Breaker::new().minimum_attempts(1).open_for(secs(5));
    let validator = plain(&provider).breaker(breaker).retry(Retry::none()).build().unwrap();
    assert!(validator.health().await.is_ready());
    assert!(validator.validate(intent("pi_1")).await.is_err());
    assert_eq!(codes(validator.health().await.reasons()), ["breaker_open"]);
    tokio::time::advance(secs(6)).await;
    assert_eq!(codes(validator.health().await.reasons()), ["breaker_half_open"]);
    provider.always(None);
    for id in ["pi_1", "pi_2", "pi_3"] {
        validator.validate(intent(id)).await.unwrap();
    }
    assert!(validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_empty_budget_degrades_until_it_earns_a_retry() {
    let provider = failing(busy());
    let budget = RetryBudget::new().at_start(1.0).trickle_per_second(0.0);
    let validator = plain(&provider).retry_budget(budget).build().unwrap();
    assert!(validator.health().await.is_ready());
    assert!(validator.validate(intent("pi_1")).await.is_err());
    assert_eq!(codes(validator.health().await.reasons()), ["budget_empty"]);
    provider.always(None);
    for number in 0..11 {
        validator.validate(intent(&format!("pi_{number}"))).await.unwrap();
    }
    assert!(validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_of_the_account_degrades_while_it_lasts() {
    let limited = ProviderError::refused("slow down").with_status(429).with_rate_limit(RateLimit::Account);
    let provider = failing(limited.with_retry_after(secs(30)));
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    assert!(validator.validate(intent("pi_1")).await.is_err());
    let health = validator.health().await;
    assert_eq!(codes(health.reasons()), ["rate_limited"]);
    assert!(health.reasons()[0].to_string().contains("another 30.0s"), "{}", health.reasons()[0]);
    tokio::time::advance(secs(31)).await;
    assert!(validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn nearly_as_many_keys_as_allowed_degrade_until_their_time_is_over() {
    let without = plain(&provider()).max_keys(0).build().unwrap();
    assert!(without.health().await.is_ready(), "none were wanted");
    let validator = plain(&provider()).max_keys(10).build().unwrap();
    let with_key = |number: u32| intent("pi_1").with_key(IdempotencyKey::parse(format!("k{number}")).unwrap());
    for number in 0..8 {
        validator.validate(with_key(number)).await.unwrap();
    }
    assert!(validator.health().await.is_ready());
    validator.validate(with_key(8)).await.unwrap();
    let health = validator.health().await;
    assert_eq!(health.reasons(), [HealthReason::KeysNearlyFull { held: 9, limit: 10 }]);
    tokio::time::advance(secs(24 * 60 * 60)).await;
    assert!(validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_stays_indeterminate_degrades_until_it_is_resolved() {
    let (validator, _store) = over_store(&provider());
    let guard = validator.guard();
    let capture = Operation::new("store_42", "capture", "order 6735", Effect::write()).unwrap();
    let cut = |_call: EffectCall| async { Err::<(), _>(ProviderError::outcome_unknown("reset")) };
    assert!(guard.run(&capture, cut).await.unwrap_err().is_indeterminate());
    assert!(validator.health().await.is_ready(), "it may be run again at once");
    tokio::time::advance(secs(90)).await;
    let health = validator.health().await;
    let [HealthReason::Indeterminate { operations: 1, requests: 0, oldest }] = health.reasons() else {
        panic!("{health:?}")
    };
    assert!((secs(90)..secs(91)).contains(oldest), "{oldest:?}");
    guard.resolve(&capture, Resolution::not_executed(), "test").await.unwrap();
    assert!(validator.health().await.is_ready());
}

#[tokio::test(start_paused = true)]
async fn the_page_is_json_with_codes_and_messages() {
    let (validator, store) = over_store(&failing(busy()));
    let page = serde_json::to_value(validator.health().await).unwrap();
    assert_eq!(page["status"], "ready");
    assert_eq!(page["store"]["server"], "memory");
    assert!(page["store"]["latency_ms"].is_number());
    store.always(Some(StoreFault::NotSent));
    tokio::time::advance(secs(2)).await;
    let page = serde_json::to_value(validator.health().await).unwrap();
    assert_eq!(page["status"], "degraded");
    let messages: Vec<&Value> = page["reasons"].as_array().unwrap().iter().map(|reason| &reason["code"]).collect();
    assert_eq!(messages, ["unreachable", "indeterminate_unknown"]);
    let finding = &page["store"]["findings"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&json!("unreachable"), &json!("error")));
    assert!(finding["message"].as_str().unwrap().starts_with("the store does not answer"));
    assert_eq!(page["store"]["server"], Value::Null);
}

#[test]
fn outside_a_runtime_it_says_so_and_does_not_panic() {
    let validator = Validator::builder(provider()).build().unwrap();
    let std::task::Poll::Ready(health) = poll_now(validator.health()) else { panic!("it waits for nothing") };
    assert!(!health.is_ready());
    let StoreFinding::Unreachable { reason } = &health.store_check().findings[0] else { panic!("{health:?}") };
    assert!(reason.contains("runtime"), "{reason}");
}

#[test]
fn every_reason_says_what_to_do_and_has_a_code_of_its_own() {
    let reasons = [
        HealthReason::BreakerOpen,
        HealthReason::BreakerHalfOpen,
        HealthReason::CredentialRefused { since: secs(3) },
        HealthReason::CallsForbidden { calls: ProviderCalls::Payments, since: secs(3) },
        HealthReason::RateLimited { since: secs(3), wait: secs(3) },
        HealthReason::BudgetEmpty,
        HealthReason::Store(StoreFinding::Evicts { policy: "allkeys-lru".into() }),
        HealthReason::ForgetIsLocal,
        HealthReason::ChecksDisabled,
        HealthReason::Indeterminate { operations: 2, requests: 1, oldest: secs(70) },
        HealthReason::NotListed { operations: 2, requests: 1 },
        HealthReason::ProviderKeysEnding { operations: 2, soonest: secs(70) },
        HealthReason::IndeterminateUnknown,
        HealthReason::UnsignedAccepted { kinds: [RecordKind::Facts].into(), since: secs(90) },
        HealthReason::RecordsNotOpened { kind: RecordKind::Facts, reads: 1, since: secs(1) },
        HealthReason::KeysNearlyFull { held: 9, limit: 10 },
    ];
    let mut codes = codes(&reasons);
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), reasons.len());
    for reason in &reasons {
        let text = reason.to_string();
        assert!(text.contains("; "), "{text} says nothing to do");
        assert!(
            !text.ends_with('.')
                && text.chars().next().is_some_and(|first| !first.is_uppercase() || text.starts_with("DISABLE")),
            "{text}"
        );
    }
    let notes: Vec<_> = reasons.iter().filter(|reason| !reason.degrades()).collect();
    assert_eq!(notes, [&HealthReason::ForgetIsLocal]);
}

#[tokio::test(start_paused = true)]
async fn to_ask_changes_nothing() {
    let (validator, store) = over_store(&provider());
    validator.health().await;
    settle().await;
    for verb in [StoreVerb::Claim, StoreVerb::Replace, StoreVerb::Remove] {
        assert_eq!(store.calls(verb), 0, "{verb:?}");
    }
    assert_eq!(validator.stats().attempts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_check_and_the_numbers_are_json_too() {
    let (validator, _) = over_store(&failing(busy()));
    let health = validator.health().await;
    let page = serde_json::to_value(&health).unwrap();
    assert_eq!(serde_json::to_value(health.store_check()).unwrap(), page["store"]);
    let numbers = serde_json::to_value(validator.stats()).unwrap();
    assert_eq!((&numbers["hits"], &numbers["breaker"]), (&json!(0), &Value::Null), "this one has no breaker");
    assert_eq!(serde_json::to_value(BreakerState::HalfOpen).unwrap(), "half_open");
}
