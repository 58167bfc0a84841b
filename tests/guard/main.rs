//! Operations that happen once: what is sent, what is sent again, and what nobody may send again.
#![cfg(feature = "test-util")]
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]
#![allow(clippy::arithmetic_side_effects, reason = "the numbers are literals of this file; a slip fails the test")]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "a slip fails the test, and some panics are scripted")]
#![allow(clippy::format_push_string, reason = "a test may allocate")]

#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use payproof::provider::{ProviderError, RateLimit};
use payproof::store::{MemoryStore, RestartLoss, Store};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use payproof::{
    AttemptOutcome, Breaker, BreakerState, Degradation, Done, Effect, Guard, GuardCall, GuardError, IdempotencyKey,
    Inquiry, Jitter, Operation, OperationReference, OperationStatus, Provenance, Reconciled, Resolution, Retry,
    Schedule, Validator, ValidatorBuilder,
};
use support::{NO_PATTERNS, busy, intent, is_valid, ms, paid, poll_once, secs, settle};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, advance, sleep};

const DAY: Duration = secs(24 * 60 * 60);

/// The lease of a validator with default settings and a store: 150 s, four calls to the store, and 5 s.
const LEASE: Duration = secs(159);

/// What the provider does with a request.
#[derive(Clone)]
enum Act {
    /// Executes it, and answers.
    Answer,
    /// Executes it after this long.
    Slow(Duration),
    /// Executes it, and the answer is lost.
    LostAnswer,
    /// Does not execute it, and fails like this.
    Fail(ProviderError),
    /// Executes nothing, and does not answer.
    Never,
    Panic,
}

/// A provider that keeps results under idempotency keys, and counts what it executes.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    script: VecDeque<Act>,
    /// The key of each request, if it had one.
    requests: Vec<Option<String>>,
    executed: u32,
    by_key: BTreeMap<String, u32>,
}

type Calling = Pin<Box<dyn Future<Output = Result<u32, ProviderError>> + Send>>;

impl Desk {
    fn with(script: impl IntoIterator<Item = Act>) -> Self {
        let desk = Self::default();
        desk.script(script);
        desk
    }

    fn script(&self, script: impl IntoIterator<Item = Act>) {
        self.0.lock().unwrap().script.extend(script);
    }

    fn requests(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    fn keys(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().requests.clone()
    }

    /// How often something happened.
    fn executed(&self) -> u32 {
        self.0.lock().unwrap().executed
    }

    /// Executes, unless the key says that it was done before. The result is the number of the execution.
    fn execute(&self, key: Option<String>) -> u32 {
        let mut books = self.0.lock().unwrap();
        if let Some(done) = key.as_ref().and_then(|key| books.by_key.get(key)) {
            return *done;
        }
        books.executed += 1;
        let number = books.executed;
        if let Some(key) = key {
            books.by_key.insert(key, number);
        }
        number
    }

    fn request(&self, key: Option<String>) -> Calling {
        let desk = self.clone();
        Box::pin(async move {
            let act = {
                let mut books = desk.0.lock().unwrap();
                books.requests.push(key.clone());
                books.script.pop_front().unwrap_or(Act::Answer)
            };
            match act {
                Act::Answer => Ok(desk.execute(key)),
                Act::Slow(wait) => {
                    sleep(wait).await;
                    Ok(desk.execute(key))
                }
                Act::LostAnswer => {
                    desk.execute(key);
                    Err(ProviderError::outcome_unknown("connection reset"))
                }
                Act::Fail(error) => Err(error),
                Act::Never => pending().await,
                Act::Panic => panic!("scripted panic"),
            }
        })
    }

    /// A call that sends the provider's key.
    fn keyed(&self) -> impl Fn(GuardCall) -> Calling + Send + Sync + 'static {
        let desk = self.clone();
        move |call| desk.request(Some(call.provider_key().to_owned()))
    }

    /// A call that sends none.
    fn keyless(&self) -> impl Fn(GuardCall) -> Calling + Send + Sync + 'static {
        let desk = self.clone();
        move |_call| desk.request(None)
    }
}

fn plain() -> ValidatorBuilder {
    Validator::builder(ScriptedProvider::new())
        .no_breaker()
        .no_retry_budget()
        .transient_patterns(NO_PATTERNS)
        // Most of these tests write without a provider key, to memory.
        .restart_loses_at_most(RestartLoss::All)
        .retry(Retry::new().schedule(Schedule::waits([ms(100), ms(500), secs(5)])).jitter(Jitter::None))
}

fn guard_on(store: &(impl Store + Clone)) -> Guard {
    plain().store(store.clone()).build().unwrap().guard()
}

fn operation(effect: Effect) -> Operation {
    Operation::new("store_42", "refund", "order 6735", effect).unwrap().claim("amount", "19.99 USD").unwrap()
}

fn keyed() -> Operation {
    operation(Effect::keyed_write(DAY))
}

fn unkeyed() -> Operation {
    operation(Effect::write())
}

fn read() -> Operation {
    operation(Effect::Read)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Runs the operation in a process that ends while the provider is at it.
fn crash(guard: impl FnOnce() -> Guard, operation: &Operation, desk: &Desk) {
    crash_between(guard, operation, desk, Duration::ZERO, Duration::ZERO);
}

/// The same in a process that begins this long after the first one, and lives so long.
fn crash_between(
    guard: impl FnOnce() -> Guard,
    operation: &Operation,
    desk: &Desk,
    begin: Duration,
    lifetime: Duration,
) {
    let before = desk.requests();
    desk.script([Act::Never]);
    let dying = runtime();
    dying.block_on(async {
        advance(begin).await;
        let run = guard().run(operation, desk.keyed());
        tokio::spawn(run);
        settle().await;
        sleep(lifetime).await;
        settle().await;
    });
    drop(dying);
    assert_eq!(desk.requests(), before + 1, "it ended while it was sending");
}

/// Every failure that says nothing about whether the request was executed.
fn doubts() -> Vec<(&'static str, Act)> {
    let fail = |error| Act::Fail(error);
    vec![
        ("a lost answer", Act::LostAnswer),
        ("no answer", Act::Never),
        ("500", fail(ProviderError::refused("oops").status(500))),
        ("503", fail(busy())),
        ("503 that asks for more", fail(busy().header_decides(true))),
        ("408", fail(ProviderError::refused("slow").status(408))),
        ("a cut answer", fail(ProviderError::unreadable("cut").status(200))),
        ("a bare message", fail(ProviderError::message("connection refused"))),
    ]
}

fn keys(desk: &Desk) -> Vec<String> {
    desk.keys().into_iter().map(Option::unwrap_or_default).collect()
}

#[track_caller]
fn all_equal<T: PartialEq + Debug>(items: &[T]) {
    assert!(items.windows(2).all(|pair| pair[0] == pair[1]), "{items:?}");
}

// ---- once

#[tokio::test(start_paused = true)]
async fn fifty_duplicates_at_once_in_two_processes_are_sent_once() {
    for operation in [unkeyed(), keyed(), read()] {
        let store = MemoryStore::new();
        let guards = [guard_on(&store), guard_on(&store)];
        let desk = Desk::with([Act::Slow(secs(2))]);
        let runs: Vec<_> =
            (0..50).map(|number| tokio::spawn(guards[number % 2].run(&operation, desk.keyed()))).collect();
        let mut provenances = Vec::new();
        for run in runs {
            let done = run.await.unwrap().unwrap();
            assert_eq!(*done.value(), 1);
            assert!(done.is_recorded());
            provenances.push(done.provenance());
        }
        assert_eq!(desk.requests(), 1);
        let fresh = provenances.iter().filter(|provenance| **provenance == Provenance::Fresh).count();
        assert_eq!(fresh, 1);
        assert!(!provenances.contains(&Provenance::Replayed), "all others waited for it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_run_gets_the_same_result_and_sends_nothing() {
    let store = MemoryStore::new();
    let desk = Desk::default();
    let first = guard_on(&store).run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(first.attempts().len(), 1);
    assert_eq!(*first.attempts()[0].outcome(), AttemptOutcome::Done);
    advance(DAY * 399).await;
    let second = guard_on(&store).run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!((second.provenance(), second.attempts().len(), *second.value()), (Provenance::Replayed, 0, 1));
    advance(DAY * 2).await;
    guard_on(&store).run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(desk.executed(), 2, "past the retention it is another operation");
}

#[tokio::test(start_paused = true)]
async fn an_empty_result_is_a_result() {
    async fn replayed<T>(key: &str, value: T)
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Clone + PartialEq + Debug + Send + Sync + 'static,
    {
        let guard = guard_on(&MemoryStore::new());
        let operation = Operation::new("t", "o", key, Effect::write()).unwrap();
        for provenance in [Provenance::Fresh, Provenance::Replayed] {
            let given = value.clone();
            let call = move |_call: GuardCall| {
                let given = given.clone();
                async move { Ok(given) }
            };
            let done = guard.run(&operation, call).await.unwrap();
            assert_eq!((done.provenance(), done.value()), (provenance, &value));
        }
    }
    replayed("unit", ()).await;
    replayed("none", None::<u32>).await;
    replayed("false", false).await;
    replayed("zero", 0).await;
    replayed("text", String::new()).await;
    replayed("list", Vec::<u8>::new()).await;
    replayed("any", serde_json::json!({"id": "re_1", "amount": 1999, "more": [null, 0.5]})).await;
}

#[tokio::test(start_paused = true)]
async fn other_claims_are_refused_before_anything_is_replayed() {
    let other = unkeyed().claim("reason", "fraud").unwrap();
    let effect = read();
    let store = MemoryStore::new();
    let guard = guard_on(&store);
    let desk = Desk::with([Act::Slow(secs(2))]);
    let first = tokio::spawn(guard.run(&unkeyed(), desk.keyless()));
    settle().await;
    for _ in ["under way", "done"] {
        for other in [&other, &effect] {
            let error = guard.run(other, desk.keyless()).await.unwrap_err();
            assert!(error.is_key_reused(), "{error}");
            assert_eq!((error.code(), error.http_status()), ("key_reused", 422));
            assert!(guard.status(other).await.unwrap_err().is_key_reused());
            let resolved = guard.resolve(other, Resolution::not_executed(), "ops").await;
            assert!(resolved.unwrap_err().is_key_reused());
        }
        sleep(secs(5)).await;
    }
    assert!(first.await.unwrap().is_ok());
    assert_eq!(desk.requests(), 1);
    let reordered = Operation::new("store_42", "refund", "order 6735", Effect::write()).unwrap();
    let reordered = reordered.claim("amount", "19.99 USD").unwrap();
    assert!(guard.run(&reordered, desk.keyless()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn without_a_store_the_guards_of_one_validator_share_what_they_know() {
    let (validator, desk) = (plain().build().unwrap(), Desk::default());
    validator.guard().run(&unkeyed(), desk.keyless()).await.unwrap();
    validator.clone().guard().run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(desk.requests(), 1);
    plain().build().unwrap().guard().run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(desk.requests(), 2, "another validator knows nothing of it");
}

#[tokio::test(start_paused = true)]
async fn tenants_never_see_each_others_results_or_keys() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::default();
    for tenant in ["store_42", "store_43"] {
        for name in ["refund", "capture"] {
            for key in ["order 6735", "order 6736"] {
                let operation = Operation::new(tenant, name, key, Effect::keyed_write(DAY)).unwrap();
                guard.run(&operation, desk.keyed()).await.unwrap();
            }
        }
    }
    assert_eq!(desk.executed(), 8);
    let mut keys = keys(&desk);
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 8);
    for key in keys {
        assert_eq!(key.len(), 43);
        assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{key}");
    }
}

// ---- what is sent again

#[tokio::test(start_paused = true)]
async fn an_unprotected_write_is_never_sent_twice() {
    for (name, act) in doubts().into_iter().chain([("a panic", Act::Panic)]) {
        // An operation that declares a key, whose call does not take it, is as unprotected as one that declares none.
        for operation in [unkeyed(), keyed()] {
            let guard = guard_on(&MemoryStore::new());
            let desk = Desk::with([act.clone()]);
            let error = guard.run(&operation, desk.keyless()).await.unwrap_err();
            assert!(error.is_indeterminate() && !error.may_run_again(), "{name}: {error}");
            assert_eq!((error.code(), error.http_status()), ("indeterminate", 502), "{name}");
            assert_eq!(error.attempts().len(), 1, "{name}");
            assert!(error.provider_error().is_some(), "{name}");
            for _ in 0..3 {
                advance(LEASE).await;
                let error = guard.run(&operation, desk.keyless()).await.unwrap_err();
                assert!(error.is_indeterminate() && error.attempts().is_empty(), "{name}: {error}");
            }
            assert_eq!(desk.requests(), 1, "{name}");
            assert_eq!(guard.status(&operation).await.unwrap(), OperationStatus::Indeterminate, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_protected_write_is_sent_again_under_the_same_key_and_happens_once() {
    for (name, act) in doubts() {
        let guard = guard_on(&MemoryStore::new());
        let desk = Desk::with([act]);
        let mut result = guard.run(&keyed(), desk.keyed()).await;
        if name == "a bare message" {
            // No pattern says that it may pass, so it is for the next run to try again.
            assert!(result.unwrap_err().may_run_again());
            result = guard.run(&keyed(), desk.keyed()).await;
        } else {
            assert_eq!(result.as_ref().unwrap().attempts().len(), 2, "{name}");
        }
        assert_eq!((*result.unwrap().value(), desk.executed(), desk.requests()), (1, 1, 2), "{name}");
        all_equal(&keys(&desk));
        assert!(guard.unresolved().await.unwrap().is_empty(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_is_sent_again_whatever_happened() {
    for (name, act) in doubts() {
        let guard = guard_on(&MemoryStore::new());
        let desk = Desk::with([act]);
        let done = guard.run(&read(), desk.keyless()).await;
        if name == "a bare message" {
            // No pattern says that it may pass, and none that it was a refusal.
            let error = done.unwrap_err();
            assert_eq!((error.code(), error.is_configuration()), ("unknown", false));
            continue;
        }
        assert_eq!(done.unwrap().attempts().len(), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_not_sent_is_tried_again_and_then_given_back() {
    for (name, failure) in [
        ("not sent", ProviderError::not_sent("connection refused")),
        ("429", ProviderError::refused("slow down").status(429)),
        ("425", ProviderError::refused("too early").status(425)),
        ("lock", ProviderError::refused("locked").status(400).code_decides("lock_timeout", true)),
    ] {
        let guard = guard_on(&MemoryStore::new());
        let desk = Desk::with([Act::Fail(failure.clone())]);
        assert_eq!(guard.run(&unkeyed(), desk.keyless()).await.unwrap().attempts().len(), 2, "{name}");

        let desk = Desk::with(vec![Act::Fail(failure); 4]);
        let guard = guard_on(&MemoryStore::new());
        let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        assert_eq!(error.is_rate_limited(), name == "429", "{name}: {error:?}");
        assert!(error.is_rate_limited() || error.is_unavailable(), "{name}: {error}");
        assert_eq!(error.attempts().len(), 4, "{name}");
        assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Absent, "{name}");
        let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((done.provenance(), desk.executed()), (Provenance::Fresh, 1), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_credential_is_no_answer_to_the_operation() {
    for status in [401, 403] {
        let guard = guard_on(&MemoryStore::new());
        let desk = Desk::with([Act::Fail(ProviderError::refused("bad key").status(status))]);
        let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
        assert_eq!(guard.run(&unkeyed(), desk.keyless()).await.unwrap().provenance(), Provenance::Fresh);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_repeated_and_never_sent_again() {
    let declined = ProviderError::refused("insufficient funds").status(402).code("card_declined").request_id("req_1");
    for operation in [unkeyed(), keyed()] {
        let store = MemoryStore::new();
        let desk = Desk::with([Act::Fail(declined.clone())]);
        let mut errors = Vec::new();
        for _ in 0..3 {
            errors.push(guard_on(&store).run(&operation, desk.keyed()).await.unwrap_err());
        }
        for error in &errors {
            assert!(error.is_refused());
            assert_eq!((error.code(), error.http_status()), ("refused", 422));
            let said = error.provider_error().unwrap();
            assert_eq!(said.to_string(), declined.to_string());
            assert_eq!(said.provider_code(), Some("card_declined"));
            assert_eq!(said.provider_request_id(), Some("req_1"));
        }
        assert_eq!(errors[0].attempts().len(), 1);
        assert!(errors[1].attempts().is_empty());
        assert_eq!(desk.requests(), 1);
        assert_eq!(guard_on(&store).status(&operation).await.unwrap(), OperationStatus::Refused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_under_the_key_answers_for_what_was_sent_before() {
    let declined = ProviderError::refused("declined").status(402);
    let desk = Desk::with([Act::Fail(busy()), Act::Fail(declined)]);
    let guard = guard_on(&MemoryStore::new());
    assert!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().is_refused());
    assert_eq!(guard.status(&keyed()).await.unwrap(), OperationStatus::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_the_key_does_not_answer_for_what_was_sent_under_it() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::LostAnswer, Act::Fail(ProviderError::refused("declined").status(402))]);
    let forgetful = {
        let desk = desk.clone();
        move |call: GuardCall| {
            let key = (call.attempt() == 1).then(|| call.provider_key().to_owned());
            desk.request(key)
        }
    };
    let error = guard.run(&keyed(), forgetful).await.unwrap_err();
    assert!(error.is_indeterminate(), "{error}");
    assert_eq!(desk.executed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_operation_may_be_opened_again_by_somebody_who_mended_the_cause() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::Fail(ProviderError::refused("unrecognized URL").status(404))]);
    assert!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().is_refused());
    assert!(guard.resolve(&keyed(), Resolution::done(&1), "ops").await.unwrap_err().is_nothing_to_resolve());
    guard.resolve(&keyed(), Resolution::not_executed(), "ops").await.unwrap();
    assert!(guard.run(&keyed(), desk.keyed()).await.is_ok());
    let keys = keys(&desk);
    assert_ne!(keys[0], keys[1], "the provider would repeat its refusal under the old one");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_for_what_was_sent_before_leaves_it_open() {
    let open = [
        ("rate limit", ProviderError::refused("slow down").status(429)),
        ("credential", ProviderError::refused("expired key").status(401)),
        ("not sent", ProviderError::not_sent("connection refused")),
        ("key in use", ProviderError::refused("busy").status(409).code("idempotency_key_in_use")),
        ("other parameters", ProviderError::refused("Keys for idempotent requests…").status(400)),
    ];
    for (name, failure) in open {
        let script = [Act::LostAnswer].into_iter().chain(vec![Act::Fail(failure); 3]);
        let desk = Desk::with(script);
        let guard = guard_on(&MemoryStore::new());
        let error = guard.run(&keyed(), desk.keyed()).await.unwrap_err();
        assert!(error.is_indeterminate() && error.may_run_again(), "{name}: {error}");
        assert_eq!(guard.status(&keyed()).await.unwrap(), OperationStatus::Indeterminate, "{name}");
        desk.0.lock().unwrap().script.clear();
        let done = guard.run(&keyed(), desk.keyed()).await.unwrap();
        assert_eq!((*done.value(), desk.executed()), (1, 1), "{name}");
        all_equal(&keys(&desk));
    }
}

#[tokio::test(start_paused = true)]
async fn a_protected_write_that_used_up_its_retries_is_sent_again_by_the_next_run() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::LostAnswer, Act::Fail(busy()), Act::Fail(busy()), Act::Fail(busy())]);
    let error = guard.run(&keyed(), desk.keyed()).await.unwrap_err();
    assert!(error.is_indeterminate() && error.may_run_again());
    assert_eq!((error.http_status(), error.attempts().len()), (503, 4));
    assert_eq!(guard.unresolved().await.unwrap().len(), 1);
    let done = guard.run(&keyed(), desk.keyed()).await.unwrap();
    assert_eq!((*done.value(), desk.executed(), desk.requests()), (1, 1, 5));
    all_equal(&keys(&desk));
    assert!(guard.unresolved().await.unwrap().is_empty(), "what was found out needs nobody's look");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_not_tried_again_in_the_same_run_and_does_not_open_the_breaker() {
    let breaker = Breaker::new().minimum_attempts(1);
    let guard = plain().breaker(breaker).store(MemoryStore::new()).build().unwrap().guard();
    let desk = Desk::with([Act::Panic]);
    let error = guard.run(&keyed(), desk.keyed()).await.unwrap_err();
    assert!(error.is_indeterminate() && error.may_run_again(), "{error}");
    assert_eq!(desk.requests(), 1);
    assert!(guard.run(&keyed(), desk.keyed()).await.is_ok());
    all_equal(&keys(&desk));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_before_its_first_await_is_caught_too() {
    let guard = guard_on(&MemoryStore::new());
    let run = guard.run(&unkeyed(), |call: GuardCall| {
        assert!(call.attempt() > 1, "scripted panic");
        async { Ok(0) }
    });
    assert!(run.await.unwrap_err().is_indeterminate());
}

// ---- crashes and leases

#[test]
fn an_unprotected_write_that_crashed_is_indeterminate_once_its_lease_is_over() {
    let (store, desk) = (MemoryStore::new(), Desk::default());
    crash(|| guard_on(&store), &unkeyed(), &desk);
    runtime().block_on(async {
        let guard = guard_on(&store);
        let begin = Instant::now();
        let error = guard.run(&unkeyed(), desk.keyless()).deadline(secs(1)).await.unwrap_err();
        assert!(error.is_in_progress(), "{error}");
        assert_eq!((error.code(), error.http_status()), ("in_progress", 409));
        assert!(error.retry_after().unwrap() > secs(100));
        assert!(matches!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::InProgress { .. }));
        let error = guard.run(&unkeyed(), desk.keyless()).deadline(secs(600)).await.unwrap_err();
        assert!(error.is_indeterminate(), "{error}");
        assert!(begin.elapsed() > secs(100), "not before the lease is over");
        assert_eq!(desk.requests(), 1);
        assert_eq!(guard.unresolved().await.unwrap().len(), 1);
    });
}

#[test]
fn a_protected_write_that_crashed_is_sent_again_under_the_same_key() {
    let (store, desk) = (MemoryStore::new(), Desk::default());
    for process in 0..3 {
        crash_between(|| guard_on(&store), &keyed(), &desk, (LEASE + secs(1)) * process, Duration::ZERO);
    }
    assert_eq!((desk.requests(), desk.executed()), (3, 0));
    runtime().block_on(async {
        advance((LEASE + secs(1)) * 3).await;
        assert!(guard_on(&store).run(&keyed(), desk.keyed()).await.is_ok());
    });
    all_equal(&keys(&desk));
}

#[test]
fn a_crash_is_taken_over_after_the_lease_by_one_of_those_who_wait() {
    for (operation, requests) in [(keyed(), 2), (read(), 2)] {
        let (store, desk) = (MemoryStore::new(), Desk::default());
        crash(|| guard_on(&store), &operation, &desk);
        runtime().block_on(async {
            let guards = [guard_on(&store), guard_on(&store)];
            let runs: Vec<_> = (0..20)
                .map(|number| {
                    let run = guards[number % 2].run(&operation, desk.keyed()).deadline(secs(600));
                    tokio::spawn(run)
                })
                .collect();
            for run in runs {
                assert_eq!(*run.await.unwrap().unwrap().value(), 1);
            }
        });
        assert_eq!((desk.requests(), desk.executed()), (requests, 1));
        all_equal(&keys(&desk));
    }
}

#[test]
fn a_protected_write_is_not_sent_again_once_the_provider_may_have_forgotten_its_key() {
    // 150 s of a run and a minute: 210 s have to be left.
    for (waited, sent_again) in [(secs(389), true), (secs(391), false)] {
        let operation = operation(Effect::keyed_write(secs(600)));
        let (store, desk) = (MemoryStore::new(), Desk::default());
        crash(|| guard_on(&store), &operation, &desk);
        runtime().block_on(async {
            advance(waited).await;
            let guard = guard_on(&store);
            let run = guard.run(&operation, desk.keyed()).await;
            assert_eq!(run.is_ok(), sent_again, "{waited:?}: {run:?}");
            assert_eq!(desk.requests(), if sent_again { 2 } else { 1 });
            if !sent_again {
                let error = run.unwrap_err();
                assert!(error.is_indeterminate() && !error.may_run_again());
            }
        });
    }
}

#[test]
fn renewals_do_not_make_the_first_sending_any_younger() {
    let renewing = |store: &MemoryStore| {
        plain().attempt_timeout(secs(150)).store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard()
    };
    for (waited, sent_again) in [(secs(20), true), (secs(300), false)] {
        let operation = operation(Effect::keyed_write(secs(600)));
        let (store, desk) = (MemoryStore::new(), Desk::default());
        crash_between(|| renewing(&store), &operation, &desk, Duration::ZERO, secs(140));
        runtime().block_on(async {
            // The other runtime's clock was so far on.
            advance(secs(140) + waited).await;
            let run = renewing(&store).run(&operation, desk.keyed()).await;
            assert_eq!(run.is_ok(), sent_again, "{waited:?}: {run:?}");
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_outlives_its_length() {
    let store = MemoryStore::new();
    let guard = || plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
    let desk = Desk::with([Act::Slow(secs(25))]);
    let first = tokio::spawn(guard().run(&unkeyed(), desk.keyless()));
    settle().await;
    let second = guard().run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(second.provenance(), Provenance::Coalesced);
    assert!(first.await.unwrap().unwrap().is_recorded());
    assert_eq!(desk.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_reply_is_lost_does_not_lose_the_result() {
    for fault in [StoreFault::LostReply, StoreFault::NeverReplies, StoreFault::LostRequest, StoreFault::NotSent] {
        for act in [Act::Slow(secs(7)), Act::Fail(ProviderError::refused("no").status(402))] {
            let store = FlakyStore::new(MemoryStore::new());
            let guard = plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
            // Two renewals; what is known not to have been answered is tried twice.
            let tries = if fault == StoreFault::NeverReplies { 2 } else { 4 };
            store.script(StoreVerb::Replace, vec![fault; tries]);
            let desk = Desk::with([Act::Fail(ProviderError::not_sent("x")), act]);
            let result = guard.run(&unkeyed(), desk.keyless()).await;
            let shown = format!("{fault:?} {result:?}");
            if let Ok(done) = &result {
                assert!(done.is_recorded(), "{shown}");
            }
            sleep(secs(70)).await;
            let status = guard.status(&unkeyed()).await.unwrap();
            assert!(matches!(status, OperationStatus::Done | OperationStatus::Refused), "{status:?} {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_hangs_holds_nothing_up() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
    store.script(StoreVerb::Replace, [StoreFault::Never]);
    let begin = Instant::now();
    let call = move |call: GuardCall| async move {
        if call.attempt() == 1 {
            sleep(ms(2100)).await;
            return Err(ProviderError::not_sent("no route"));
        }
        Ok(begin.elapsed())
    };
    let done = guard.run(&unkeyed(), call).await.unwrap();
    assert!(*done.value() < ms(2300), "{:?}", done.value());
    assert!(done.is_recorded());
}

#[tokio::test(start_paused = true)]
async fn a_late_leader_changes_nothing_and_its_caller_is_answered() {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let late = plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
    let desk = Desk::with([Act::Slow(secs(20))]);
    store.script(StoreVerb::Replace, vec![StoreFault::NotSent; 40]);
    let first = tokio::spawn(late.run(&keyed(), desk.keyed()));
    sleep(secs(7)).await;
    let successor = plain().store(inner).renewed_lease(secs(6)).build().unwrap().guard();
    let second = successor.run(&keyed(), desk.keyed()).await.unwrap();
    assert!(second.is_recorded());
    store.script(StoreVerb::Replace, vec![]);
    let first = first.await.unwrap().unwrap();
    assert_eq!(*first.value(), *second.value());
    assert_eq!(first.degraded(), Some(Degradation::NotRecorded));
    assert_eq!(desk.executed(), 1);
    all_equal(&keys(&desk));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_lease() {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let late = plain().store(store.clone()).renewed_lease(secs(6)).build().unwrap().guard();
    // The second attempt would come after 20 s, and no renewal gets through.
    let limited = ProviderError::refused("slow down").status(429).retry_after(secs(20));
    let desk = Desk::with([Act::Fail(limited)]);
    store.script(StoreVerb::Replace, vec![StoreFault::NotSent; 40]);
    let first = tokio::spawn(late.run(&unkeyed(), desk.keyless()));
    sleep(secs(7)).await;
    let successor = plain().store(inner).renewed_lease(secs(6)).build().unwrap().guard();
    assert!(successor.run(&unkeyed(), desk.keyless()).await.unwrap_err().is_indeterminate());
    successor.resolve(&unkeyed(), Resolution::not_executed(), "ops").await.unwrap();
    assert!(successor.run(&unkeyed(), desk.keyless()).await.is_ok());
    assert!(first.await.unwrap().is_err());
    assert_eq!(desk.requests(), 2);
    assert_eq!(desk.executed(), 1);
}

/// A refund that the provider answers after 10 s, by a process whose store is away from it meanwhile, and a look by another
/// process once the lease is over.
async fn marked_while_its_sender_was_cut_off(
    answer: Result<u32, ProviderError>,
) -> (Guard, Guard, FlakyStore<MemoryStore>) {
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let first = plain().store(store.clone()).renewed_lease(secs(14)).build().unwrap().guard();
    let second = plain().store(inner).renewed_lease(secs(14)).build().unwrap().guard();
    let sending = tokio::spawn(first.run(&unkeyed(), move |_| {
        let answer = answer.clone();
        async move {
            sleep(secs(10)).await;
            answer
        }
    }));
    sleep(secs(1)).await;
    store.always(Some(StoreFault::NotSent));
    sleep(secs(16)).await;
    let looked = second.run(&unkeyed(), Desk::default().keyless()).await;
    assert!(looked.unwrap_err().is_indeterminate());
    assert_eq!(second.unresolved().await.unwrap().len(), 1);
    let _ = sending.await.unwrap();
    (first, second, store)
}

#[tokio::test(start_paused = true)]
async fn the_process_that_knows_the_result_says_so_after_another_one_has_marked_it() {
    let (first, second, store) = marked_while_its_sender_was_cut_off(Ok(1)).await;
    sleep(secs(3)).await;
    store.always(None);
    sleep(secs(120)).await;
    for guard in [&first, &second] {
        assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Done);
        assert!(guard.unresolved().await.unwrap().is_empty());
        let desk = Desk::default();
        let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((*done.value(), done.provenance(), desk.requests()), (1, Provenance::Replayed, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_after_another_process_has_marked_it() {
    let declined = ProviderError::refused("declined").status(402);
    let (_, second, store) = marked_while_its_sender_was_cut_off(Err(declined)).await;
    store.always(None);
    sleep(secs(120)).await;
    assert_eq!(second.status(&unkeyed()).await.unwrap(), OperationStatus::Refused);
    assert!(second.unresolved().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_executed_is_free_again_after_another_process_has_marked_it() {
    let unsent = ProviderError::refused("too many").status(429).retry_after(secs(600));
    let (_, second, store) = marked_while_its_sender_was_cut_off(Err(unsent)).await;
    store.always(None);
    sleep(secs(120)).await;
    assert_eq!(second.status(&unkeyed()).await.unwrap(), OperationStatus::Absent);
    assert!(second.unresolved().await.unwrap().is_empty());
    assert!(second.run(&unkeyed(), Desk::default().keyless()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_result_is_never_written_over_a_persons_word_and_is_told_where_that_says_otherwise() {
    for (word, executed) in [(Resolution::not_executed(), false), (Resolution::done(&77_u32), true)] {
        let (log, _installed) = Log::install();
        let (_, second, store) = marked_while_its_sender_was_cut_off(Ok(1)).await;
        second.resolve(&unkeyed(), word, "ops").await.unwrap();
        store.always(None);
        sleep(secs(120)).await;
        let expected = if executed { OperationStatus::Done } else { OperationStatus::Absent };
        assert_eq!(second.status(&unkeyed()).await.unwrap(), expected);
        let told = log.lines("declared=\"not_executed\"");
        assert_eq!(told.len(), usize::from(!executed), "{told:?}");
        assert!(told.iter().all(|line| line.contains("ERROR") && line.contains("known=\"done\"")), "{told:?}");
        if executed {
            assert_eq!(*second.run(&unkeyed(), Desk::default().keyless()).await.unwrap().value(), 77);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_of_a_round_that_is_over_is_not_written_over_the_next_one() {
    let (_, second, store) = marked_while_its_sender_was_cut_off(Ok(1)).await;
    second.resolve(&unkeyed(), Resolution::not_executed(), "ops").await.unwrap();
    let next = tokio::spawn(second.run(&unkeyed(), |_| async {
        sleep(secs(20)).await;
        Ok(2)
    }));
    sleep(ms(100)).await;
    store.always(None);
    let next = next.await.unwrap().unwrap();
    assert!(next.is_recorded());
    sleep(secs(120)).await;
    assert_eq!(*second.run(&unkeyed(), Desk::default().keyless()).await.unwrap().value(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_result_is_written_over_a_reconciliation_under_way_and_never_less_than_that() {
    let declined = ProviderError::refused("declined").status(402);
    for (answer, expected) in [(Ok(1), OperationStatus::Done), (Err(declined), OperationStatus::Indeterminate)] {
        let (_, second, store) = marked_while_its_sender_was_cut_off(answer).await;
        let asking = |_| async {
            sleep(secs(70)).await;
            Ok(Reconciled::StillUnknown)
        };
        let reconciling = tokio::spawn(second.run(&unkeyed(), Desk::default().keyless()).reconcile(asking));
        sleep(ms(100)).await;
        store.always(None);
        let _ = reconciling.await.unwrap();
        sleep(secs(120)).await;
        assert_eq!(second.status(&unkeyed()).await.unwrap(), expected);
        assert_eq!(second.unresolved().await.unwrap().is_empty(), expected == OperationStatus::Done);
    }
}

// ---- callers

#[tokio::test(start_paused = true)]
async fn a_caller_may_leave_at_any_poll_and_the_operation_goes_on() {
    for polls in 0..12 {
        let guard = guard_on(&MemoryStore::new());
        let desk = Desk::with([Act::Slow(secs(1))]);
        let mut run = Box::pin(guard.run(&unkeyed(), desk.keyless()));
        for _ in 0..polls {
            if poll_once(run.as_mut()).await.is_ready() {
                break;
            }
            settle().await;
            advance(ms(200)).await;
        }
        drop(run);
        settle().await;
        assert_eq!(desk.requests(), usize::from(polls > 0), "lazy, and then on its way");
        sleep(secs(5)).await;
        let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((*done.value(), desk.requests()), (1, 1), "{polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn an_impatient_caller_is_told_that_it_goes_on() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::Slow(secs(10))]);
    let begin = Instant::now();
    for limit in [ms(0), ms(1), secs(1), secs(2)] {
        let start = Instant::now();
        let error = guard.run(&unkeyed(), desk.keyless()).deadline(limit).await.unwrap_err();
        assert!(error.is_in_progress(), "{error}");
        assert!(start.elapsed() <= limit + ms(1));
        assert!(error.retry_after().unwrap() <= LEASE);
    }
    let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
    assert_eq!(done.provenance(), Provenance::Coalesced);
    assert!(begin.elapsed() >= secs(10));
    assert_eq!(desk.requests(), 1);
}

#[test]
fn outside_a_runtime_a_run_is_a_configuration_error() {
    let guard = plain().build().unwrap().guard();
    let desk = Desk::default();
    let polled = support::poll_now(guard.run(&unkeyed(), desk.keyless()));
    let std::task::Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert!(error.is_configuration());
}

#[tokio::test(start_paused = true)]
async fn settings_that_break_the_promise_are_refused_with_their_values() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::default();
    for kept_for in [Duration::ZERO, secs(209)] {
        let error = guard.run(&operation(Effect::keyed_write(kept_for)), desk.keyed()).await.unwrap_err();
        assert!(error.is_configuration());
        assert!(error.to_string().contains(&format!("{kept_for:?}")) && error.to_string().contains("210s"), "{error}");
    }
    let error = guard.clone().write_retention(LEASE).run(&unkeyed(), desk.keyless()).await.unwrap_err();
    assert!(error.is_configuration() && error.to_string().contains("159s"), "{error}");
    let error = guard.clone().read_retention(Duration::ZERO).run(&read(), desk.keyless()).await.unwrap_err();
    assert!(error.is_configuration());
    assert_eq!(desk.requests(), 0);
}

// ---- reads

#[tokio::test(start_paused = true)]
async fn a_read_is_replayed_for_its_retention() {
    let guard = guard_on(&MemoryStore::new()).read_retention(secs(60));
    let desk = Desk::default();
    for _ in 0..3 {
        assert_eq!(*guard.run(&read(), desk.keyless()).await.unwrap().value(), 1);
    }
    advance(secs(61)).await;
    assert_eq!(*guard.run(&read(), desk.keyless()).await.unwrap().value(), 2);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_read_fail_with_it_and_the_next_one_asks() {
    for failure in [busy(), ProviderError::refused("no such charge").status(404)] {
        let guard = guard_on(&MemoryStore::new());
        let script = vec![Act::Fail(failure.clone()); 4];
        let desk = Desk::with(script);
        let slow = {
            let desk = desk.clone();
            move |_call: GuardCall| {
                let desk = desk.clone();
                async move {
                    sleep(ms(300)).await;
                    desk.request(None).await
                }
            }
        };
        let runs: Vec<_> = (0..10).map(|_| tokio::spawn(guard.run(&read(), slow.clone()))).collect();
        let mut codes = Vec::new();
        for run in runs {
            codes.push(run.await.unwrap().unwrap_err().code());
        }
        all_equal(&codes);
        let sent = desk.requests();
        assert!(sent <= 4, "{sent}");
        desk.0.lock().unwrap().script.clear();
        assert!(guard.run(&read(), slow).await.is_ok(), "an error is never kept");
    }
}

// ---- nobody knows

#[tokio::test(start_paused = true)]
async fn reconciling_finds_out_and_is_recorded() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::LostAnswer]);
    assert!(guard.run(&unkeyed(), desk.keyless()).await.unwrap_err().is_indeterminate());
    assert_eq!(guard.unresolved().await.unwrap().len(), 1);
    let reconciled =
        guard.run(&unkeyed(), desk.keyless()).reconcile(|_inquiry| async { Ok(Reconciled::Done(1)) }).await.unwrap();
    assert_eq!((*reconciled.value(), reconciled.is_recorded()), (1, true));
    assert!(guard.unresolved().await.unwrap().is_empty());
    assert_eq!(guard.run(&unkeyed(), desk.keyless()).await.unwrap().provenance(), Provenance::Replayed);
    assert_eq!(desk.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_executed_is_sent_in_a_new_round_under_a_new_key() {
    let guard = guard_on(&MemoryStore::new());
    let operation = operation(Effect::keyed_write(secs(600)));
    let desk = Desk::with(vec![Act::Fail(busy()); 4]);
    assert!(guard.run(&operation, desk.keyed()).await.unwrap_err().may_run_again());
    advance(secs(600)).await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let asked = Arc::clone(&asked);
        move |inquiry: Inquiry| {
            asked.lock().unwrap().push((inquiry.provider_key().to_owned(), inquiry.first_sent_ago()));
            async { Ok(Reconciled::NotExecuted) }
        }
    };
    let done = guard.run(&operation, desk.keyed()).reconcile(hook).await.unwrap();
    assert_eq!((*done.value(), done.provenance()), (1, Provenance::Fresh));
    let keys = keys(&desk);
    all_equal(&keys[..4]);
    assert_ne!(keys[3], keys[4]);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, keys[0], "the key it was sent under");
    assert!(asked[0].1 >= secs(600));
    assert!(guard.unresolved().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_round_that_is_given_back_keeps_its_key() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::Panic]);
    let operation = keyed();
    guard.run(&operation, desk.keyed()).await.unwrap_err();
    guard.resolve(&operation, Resolution::not_executed(), "ops").await.unwrap();
    desk.script(vec![Act::Fail(ProviderError::refused("slow down").status(429)); 4]);
    assert!(guard.run(&operation, desk.keyed()).await.unwrap_err().is_rate_limited());
    assert_eq!(guard.status(&operation).await.unwrap(), OperationStatus::Absent);
    guard.run(&operation, desk.keyed()).await.unwrap();
    let keys = keys(&desk);
    assert_ne!(keys[0], keys[1]);
    all_equal(&keys[1..]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_yet_stays_open() {
    type Answer = Result<Reconciled<u32>, ProviderError>;
    type Script = (&'static str, fn() -> Answer, usize);
    let answers: [Script; 4] = [
        ("unknown", || Ok(Reconciled::StillUnknown), 1),
        ("down", || Err(busy()), 4),
        ("refused", || Err(ProviderError::refused("no").status(404)), 1),
        ("panic", || panic!("scripted panic"), 1),
    ];
    for (name, answer, most) in answers {
        let guard = guard_on(&MemoryStore::new());
        let desk = Desk::with([Act::LostAnswer]);
        guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        let hook = move |_inquiry: Inquiry| async move { answer() };
        let error = guard.run(&unkeyed(), desk.keyless()).reconcile(hook).await.unwrap_err();
        assert!(error.is_indeterminate(), "{name}: {error}");
        assert!(error.attempts().len() <= most, "{name}");
        assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Indeterminate, "{name}");
        assert_eq!(guard.unresolved().await.unwrap().len(), 1, "{name}");
        assert_eq!(desk.requests(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_run_reconciles_at_a_time_and_the_others_get_what_it_finds() {
    let store = MemoryStore::new();
    let desk = Desk::with([Act::LostAnswer]);
    guard_on(&store).run(&unkeyed(), desk.keyless()).await.unwrap_err();
    let asked = Arc::new(Mutex::new(0));
    let runs: Vec<_> = (0..20)
        .map(|_| {
            let asked = Arc::clone(&asked);
            let hook = move |_inquiry: Inquiry| {
                *asked.lock().unwrap() += 1;
                async {
                    sleep(secs(1)).await;
                    Ok(Reconciled::Done(7))
                }
            };
            tokio::spawn(guard_on(&store).run(&unkeyed(), desk.keyless()).reconcile(hook))
        })
        .collect();
    for run in runs {
        assert_eq!(*run.await.unwrap().unwrap().value(), 7);
    }
    assert_eq!((*asked.lock().unwrap(), desk.requests()), (1, 1));
}

#[test]
fn a_crash_while_reconciling_leaves_it_open() {
    let (store, desk) = (MemoryStore::new(), Desk::with([Act::LostAnswer]));
    let dying = runtime();
    dying.block_on(async {
        let guard = guard_on(&store);
        guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        tokio::spawn(guard.run(&unkeyed(), desk.keyless()).reconcile(|_inquiry| pending()));
        settle().await;
        assert!(matches!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::InProgress { .. }));
    });
    drop(dying);
    runtime().block_on(async {
        let guard = guard_on(&store);
        advance(LEASE).await;
        assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Indeterminate);
        let hook = |_inquiry| async { Ok(Reconciled::Done(1)) };
        assert!(guard.run(&unkeyed(), desk.keyless()).reconcile(hook).await.is_ok());
    });
    assert_eq!(desk.requests(), 1);
}

#[test]
fn a_crashed_write_is_reconciled_in_the_run_that_finds_it() {
    let (store, desk) = (MemoryStore::new(), Desk::default());
    crash(|| guard_on(&store), &unkeyed(), &desk);
    runtime().block_on(async {
        advance(LEASE).await;
        let hook = |_inquiry| async { Ok(Reconciled::NotExecuted) };
        let done = guard_on(&store).run(&unkeyed(), desk.keyless()).reconcile(hook).await.unwrap();
        assert_eq!(*done.value(), 1);
    });
    assert_eq!((desk.requests(), desk.executed()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn somebody_who_knows_resolves_it() {
    let guard = guard_on(&MemoryStore::new());
    for (by_reference, resolution, executed) in [
        (false, Resolution::done(&41_u32), true),
        (true, Resolution::done(&41_u32), true),
        (false, Resolution::not_executed(), false),
        (true, Resolution::not_executed(), false),
    ] {
        let key = format!("{by_reference} {executed}");
        let operation = Operation::new("store_42", "payout", key, Effect::write()).unwrap();
        let desk = Desk::with([Act::Fail(busy())]);
        guard.run(&operation, desk.keyless()).await.unwrap_err();
        let listed = guard.unresolved().await.unwrap();
        let entry = listed.iter().next().unwrap();
        assert_eq!((listed.len(), entry.tenant(), entry.name()), (1, "store_42", "payout"));
        assert_eq!(entry.reference(), guard.reference(&operation));
        if by_reference {
            let reference = OperationReference::parse(&entry.reference().to_string()).unwrap();
            guard.resolve_reference(reference, resolution, "ada@ops").await.unwrap();
        } else {
            guard.resolve(&operation, resolution, "ada@ops").await.unwrap();
        }
        assert!(guard.unresolved().await.unwrap().is_empty());
        let done = guard.run(&operation, desk.keyless()).await.unwrap();
        assert_eq!((*done.value(), desk.requests()), if executed { (41, 1) } else { (1, 2) });
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_open_cannot_be_resolved() {
    let guard = guard_on(&MemoryStore::new());
    let say = |operation: &Operation| guard.resolve(operation, Resolution::not_executed(), "ops");
    assert!(say(&unkeyed()).await.unwrap_err().is_nothing_to_resolve(), "never run");

    let desk = Desk::with([Act::Slow(secs(1))]);
    let run = tokio::spawn(guard.run(&unkeyed(), desk.keyless()));
    settle().await;
    assert!(say(&unkeyed()).await.unwrap_err().is_in_progress());
    run.await.unwrap().unwrap();
    let error = say(&unkeyed()).await.unwrap_err();
    assert!(error.is_nothing_to_resolve() && error.to_string().contains("it was executed"), "{error}");
    assert_eq!((error.code(), error.http_status()), ("nothing_to_resolve", 409));

    let open = Operation::new("t", "open", "k", Effect::write()).unwrap();
    let desk = Desk::with([Act::LostAnswer]);
    guard.run(&open, desk.keyless()).await.unwrap_err();
    for who in ["", " \n"] {
        let error = guard.resolve(&open, Resolution::not_executed(), who).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
    }
    let unwritable = BTreeMap::from([((1, 2), 3)]);
    let error = guard.resolve(&open, Resolution::done(&unwritable), "ops").await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
    let error = guard.resolve(&open, Resolution::done(&"x".repeat(300_000)), "ops").await.unwrap_err();
    assert!(error.is_configuration(), "{error}");
    assert_eq!(guard.status(&open).await.unwrap(), OperationStatus::Indeterminate);
    guard.resolve(&open, Resolution::done_without_result(), "ops").await.unwrap();
    assert!(guard.run(&open, desk.keyless()).await.unwrap_err().is_result_missing());
    assert!(OperationReference::parse("no reference").is_none());
}

#[test]
fn a_crash_that_nobody_ran_again_can_be_resolved_once_its_lease_is_over() {
    let (store, desk) = (MemoryStore::new(), Desk::default());
    crash(|| guard_on(&store), &unkeyed(), &desk);
    runtime().block_on(async {
        let guard = guard_on(&store);
        assert!(guard.resolve(&unkeyed(), Resolution::not_executed(), "ops").await.unwrap_err().is_in_progress());
        advance(LEASE).await;
        guard.resolve(&unkeyed(), Resolution::not_executed(), "ops").await.unwrap();
        assert!(guard.run(&unkeyed(), desk.keyless()).await.is_ok());
    });
}

#[tokio::test(start_paused = true)]
async fn the_list_of_what_is_unresolved_is_bounded_and_says_what_is_missing() {
    let guard = plain().store(MemoryStore::new()).max_unresolved_per_tenant(500).build().unwrap().guard();
    let operation = |number: usize| Operation::new("t", "payout", format!("{number}"), Effect::write()).unwrap();
    let fail = |_call: GuardCall| async { Err::<(), _>(ProviderError::outcome_unknown("reset")) };
    for number in 0..503 {
        guard.run(&operation(number), fail).await.unwrap_err();
        advance(secs(1)).await;
    }
    let list = guard.unresolved().await.unwrap();
    assert_eq!((list.len(), list.not_listed()), (500, 3));
    let oldest = list.oldest().unwrap();
    assert!(oldest >= secs(503) && oldest < secs(504), "{oldest:?}");
    assert!(list.iter().zip(list.iter().skip(1)).all(|(older, newer)| older.age() >= newer.age()));
    for number in [502, 0] {
        guard.resolve(&operation(number), Resolution::not_executed(), "ops").await.unwrap();
    }
    let list = guard.unresolved().await.unwrap();
    assert_eq!((list.len(), list.not_listed()), (500, 1), "the place went to one that waited for it");
    let other = Validator::builder(ScriptedProvider::test_mode()).mode(payproof::Mode::Test).build().unwrap();
    assert!(other.guard().unresolved().await.unwrap().is_empty());
}

// ---- results

#[tokio::test(start_paused = true)]
async fn a_result_too_large_to_keep_is_given_once_and_never_sent_again() {
    let guard = guard_on(&MemoryStore::new());
    let call = |_call: GuardCall| async { Ok("x".repeat(300_000)) };
    let done = guard.run(&unkeyed(), call).await.unwrap();
    assert_eq!((done.value().len(), done.is_recorded()), (300_000, true));
    let error = guard.run(&unkeyed(), call).await.unwrap_err();
    assert!(error.is_result_missing(), "{error}");
    assert_eq!((error.code(), error.http_status()), ("result_not_kept", 409));
    assert_eq!(guard.status(&unkeyed()).await.unwrap(), OperationStatus::Done);
}

#[tokio::test(start_paused = true)]
async fn a_result_of_another_type_is_an_error_and_not_sent_again() {
    let guard = guard_on(&MemoryStore::new());
    guard.run(&unkeyed(), |_call| async { Ok("re_secret_1".to_owned()) }).await.unwrap();
    let desk = Desk::default();
    let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
    assert_eq!((error.code(), error.is_result_missing()), ("result_unreadable", true));
    assert!(!format!("{error} {error:?}").contains("re_secret_1"));
    assert_eq!(desk.requests(), 0);
}

#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        panic!("scripted panic")
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_cannot_be_written_is_done_all_the_same() {
    let guard = guard_on(&MemoryStore::new());
    let done: Done<Unwritable> = guard.run(&unkeyed(), |_call| async { Ok(Unwritable) }).await.unwrap();
    assert!(done.is_recorded());
    let again = guard.run(&unkeyed(), |_call| async { Ok(Unwritable) }).await;
    assert!(again.unwrap_err().is_result_missing());
}

// ---- the store

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_only_what_is_safe_goes_on() {
    for fault in [StoreFault::NotSent, StoreFault::Never, StoreFault::Refused, StoreFault::LostReply] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store);
        store.always(Some(fault));
        let desk = Desk::default();
        let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        assert!(error.is_store(), "{fault:?}: {error}");
        assert_eq!((error.code(), error.http_status()), ("store_unavailable", 503));
        let error = guard.clone().run(&keyed(), desk.keyed()).await.unwrap_err();
        assert!(error.is_store(), "{fault:?}");
        assert_eq!(desk.requests(), 0, "{fault:?}");
        let bold = guard.clone().go_on_without_store();
        for operation in [keyed(), read()] {
            let done = bold.run(&operation, desk.keyed()).await.unwrap();
            assert_eq!(done.degraded(), Some(Degradation::StoreDown), "{fault:?}");
        }
        assert!(guard.status(&keyed()).await.unwrap_err().is_store());
        assert!(guard.unresolved().await.unwrap_err().is_store());
        assert!(guard.resolve(&keyed(), Resolution::not_executed(), "ops").await.unwrap_err().is_store());
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_repeats_no_effect_of_the_past() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = guard_on(&store);
    let desk = Desk::default();
    guard.run(&keyed(), desk.keyed()).await.unwrap();
    advance(DAY * 30).await;
    store.always(Some(StoreFault::NotSent));
    assert!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().is_store());
    assert_eq!(desk.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_two_tries_is_known_as_ones_own() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = guard_on(&store).go_on_without_store();
    let desk = Desk::default();
    store.script(StoreVerb::Claim, [StoreFault::LostRequest, StoreFault::LostReply]);
    assert!(!guard.run(&keyed(), desk.keyed()).await.unwrap().is_recorded());
    sleep(secs(70)).await;
    let done = guard.run(&keyed(), desk.keyed()).await.unwrap();
    assert_eq!((done.provenance(), desk.requests()), (Provenance::Replayed, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_done_without_the_store_is_recorded_when_it_is_back() {
    for fault in [StoreFault::NotSent, StoreFault::NeverReplies] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store).go_on_without_store();
        store.always(Some(fault));
        let desk = Desk::default();
        assert!(!guard.run(&keyed(), desk.keyed()).await.unwrap().is_recorded());
        sleep(secs(5)).await;
        store.always(None);
        sleep(secs(70)).await;
        let done = guard.run(&keyed(), desk.keyed()).await.unwrap();
        assert_eq!((done.provenance(), desk.requests()), (Provenance::Replayed, 1), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_after_the_answer_costs_nobody_the_answer() {
    for fault in [StoreFault::NotSent, StoreFault::LostRequest, StoreFault::Never, StoreFault::Refused] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store);
        let desk = Desk::default();
        store.script(StoreVerb::Replace, [fault, fault]);
        let done = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((*done.value(), done.degraded()), (1, Some(Degradation::NotRecorded)), "{fault:?}");
        let again = guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!((*again.value(), desk.requests()), (1, 1), "it is recorded within the minute: {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_of_the_store_changes_nothing() {
    for verb in [StoreVerb::Claim, StoreVerb::Replace] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store);
        store.script(verb, [StoreFault::LostReply]);
        let desk = Desk::default();
        assert!(guard.run(&unkeyed(), desk.keyless()).await.unwrap().is_recorded());
        guard.run(&unkeyed(), desk.keyless()).await.unwrap();
        assert_eq!(desk.requests(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_claim_that_was_made_after_all_is_taken_back() {
    for faults in [
        &[StoreFault::NeverReplies][..],
        &[StoreFault::Late(secs(3))],
        &[StoreFault::LostReply, StoreFault::NotSent],
        &[StoreFault::LostReply, StoreFault::Refused],
    ] {
        let store = FlakyStore::new(MemoryStore::new());
        let guard = guard_on(&store);
        store.script(StoreVerb::Claim, faults.iter().copied());
        let desk = Desk::default();
        assert!(guard.run(&unkeyed(), desk.keyless()).await.unwrap_err().is_store(), "{faults:?}");
        sleep(secs(70)).await;
        let done = guard.run(&unkeyed(), desk.keyless()).await;
        assert!(done.is_ok_and(|done| *done.value() == 1) && desk.requests() == 1, "{faults:?}");
    }
}

#[test]
fn a_take_over_of_which_nobody_knows_whether_it_was_made_forgets_no_doubt() {
    for fault in [StoreFault::NeverReplies, StoreFault::Never] {
        let (inner, desk) = (MemoryStore::new(), Desk::default());
        crash(|| guard_on(&inner), &keyed(), &desk);
        runtime().block_on(async {
            advance(LEASE).await;
            let store = FlakyStore::new(inner.clone());
            let guard = guard_on(&store);
            store.script(StoreVerb::Replace, [fault]);
            assert!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().is_store());
            for _ in 0..7 {
                assert_ne!(guard.status(&keyed()).await.unwrap(), OperationStatus::Absent, "{fault:?}");
                sleep(secs(10)).await;
            }
            assert_eq!(guard.status(&keyed()).await.unwrap(), OperationStatus::Indeterminate, "{fault:?}");
            assert!(guard.run(&keyed(), desk.keyed()).await.is_ok());
            assert!(guard.unresolved().await.unwrap().is_empty());
        });
        all_equal(&keys(&desk));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_could_not_be_given_back_is_given_back_later() {
    let store = FlakyStore::new(MemoryStore::new());
    let guard = guard_on(&store);
    let desk = Desk::with([Act::Fail(ProviderError::refused("bad key").status(401))]);
    store.script(StoreVerb::Remove, [StoreFault::NotSent, StoreFault::NotSent]);
    assert!(guard.run(&unkeyed(), desk.keyless()).await.unwrap_err().is_configuration());
    assert!(guard.run(&unkeyed(), desk.keyless()).await.is_ok(), "within its deadline");
}

#[tokio::test(start_paused = true)]
async fn over_an_unreadable_or_a_newer_record_nothing_is_sent_with_or_without_a_key() {
    for (bytes, code) in [(&b"{}"[..], "record_unreadable"), (&[2, 0, 1, 2][..], "record_newer")] {
        let store = MemoryStore::new();
        let guard = guard_on(&store).go_on_without_store();
        let place = format!("payproof:operation:{{{}}}", guard.reference(&unkeyed()));
        store.claim(&place, bytes, DAY).await.unwrap();
        let desk = Desk::default();
        let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        assert_eq!((error.code(), error.is_store()), (code, true));
        assert!(guard.status(&unkeyed()).await.unwrap_err().is_store());
        assert_eq!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().code(), code);
        assert_eq!(desk.requests(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_only_its_record_protects_is_refused_where_a_restart_loses_the_record() {
    let validator = Validator::builder(ScriptedProvider::new()).build().unwrap();
    let (guard, desk) = (validator.guard(), Desk::default());
    let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
    assert!(error.is_configuration() && !error.is_store(), "{error:?}");
    assert_eq!((error.code(), error.http_status()), ("restart_loses", 500));
    assert_eq!(error.restart_loss(), Some(RestartLoss::All));
    for word in ["everything", "`appendonly yes`", "`appendfsync everysec`", "`restart_loses_at_most`"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(desk.requests(), 0);
    guard.run(&keyed(), desk.keyed()).await.unwrap();
    let look = Operation::new("store_42", "look", "order 6735", Effect::Read).unwrap();
    guard.run(&look, desk.keyless()).await.unwrap();
    assert_eq!(desk.requests(), 2);
}

// ---- one provider account

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_whole_account_holds_validations_back_too_and_no_other_does() {
    let bare = ProviderError::refused("slow down").status(429).retry_after(secs(10));
    let cases = [
        (bare.clone(), false),
        (bare.clone().rate_limit(RateLimit::Endpoint), false),
        (bare.rate_limit(RateLimit::Account), true),
    ];
    for (limited, holds_back) in cases {
        let provider = ScriptedProvider::new();
        provider.put(paid("pi_1"));
        let builder = Validator::builder(provider.clone()).store(MemoryStore::new());
        let validator = builder.restart_loses_at_most(RestartLoss::All).build().unwrap();
        let desk = Desk::with([Act::Fail(limited.clone())]);
        let run = tokio::spawn(validator.guard().run(&unkeyed(), desk.keyless()));
        settle().await;
        let begin = Instant::now();
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
        assert_eq!(begin.elapsed() >= secs(10), holds_back, "{limited:?}");
        assert!(run.await.unwrap().is_ok());
        let stats = validator.stats();
        assert_eq!((stats.attempts, stats.retries), (3, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_five_unknown_refunds_and_an_hours_wait_stop_no_checkout() {
    let provider = ScriptedProvider::new();
    for number in 0..10 {
        provider.put(paid(&format!("pi_{number}")));
    }
    let validator = Validator::builder(provider.clone()).restart_loses_at_most(RestartLoss::All).build().unwrap();
    let guard = validator.guard();
    let desk = Desk::default();
    for number in 0..25 {
        desk.script([Act::Fail(busy())]);
        let refund = Operation::new("store_42", "refund", format!("order {number}"), Effect::write()).unwrap();
        let error = guard.run(&refund, desk.keyless()).await.unwrap_err();
        assert!(error.is_indeterminate() || error.code() == "circuit_open", "{error:?}");
    }
    assert_eq!(validator.stats().guarded_breaker, Some(BreakerState::Open));
    assert_eq!(validator.health().await.reasons()[0].code(), "guarded_breaker_open");
    sleep(secs(6)).await;
    desk.0.lock().unwrap().script.clear();
    let hour = ProviderError::refused("slow down").status(429).rate_limit(RateLimit::Endpoint).retry_after(secs(3600));
    desk.script([Act::Fail(hour)]);
    let refund = Operation::new("store_42", "refund", "the last", Effect::write()).unwrap();
    assert!(guard.run(&refund, desk.keyless()).await.unwrap_err().is_rate_limited());
    let begin = Instant::now();
    for number in 0..10 {
        assert!(is_valid(&validator.validate(intent(&format!("pi_{number}"))).await.unwrap()));
    }
    assert_eq!((begin.elapsed(), validator.stats().breaker), (Duration::ZERO, Some(BreakerState::Closed)));
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_keeps_a_write_from_being_sent_and_gives_it_back() {
    let breaker = Breaker::new().minimum_attempts(1).open_for(secs(5));
    let guard = plain().breaker(breaker).store(MemoryStore::new()).build().unwrap().guard();
    let desk = Desk::with([Act::Fail(busy())]);
    let other = Operation::new("t", "other", "k", Effect::write()).unwrap();
    guard.run(&other, desk.keyless()).await.unwrap_err();
    let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
    assert_eq!((error.code(), error.is_unavailable()), ("circuit_open", true));
    assert!(error.retry_after().is_some());
    sleep(secs(6)).await;
    assert!(guard.run(&unkeyed(), desk.keyless()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn runs_under_way_are_bounded_with_the_flights() {
    let guard = plain().max_in_flight(1).store(MemoryStore::new()).build().unwrap().guard();
    let desk = Desk::with([Act::Slow(secs(5))]);
    let other = Operation::new("t", "other", "k", Effect::write()).unwrap();
    drop(poll_once(Box::pin(guard.run(&unkeyed(), desk.keyless())).as_mut()).await);
    settle().await;
    let error = guard.run(&other, desk.keyless()).await.unwrap_err();
    assert_eq!((error.code(), error.is_unavailable()), ("at_capacity", true));
    sleep(secs(6)).await;
    assert!(guard.run(&other, desk.keyless()).await.is_ok());
}

// ---- what is shown

#[tokio::test(start_paused = true)]
async fn neither_keys_nor_results_are_shown() {
    let guard = guard_on(&MemoryStore::new());
    let operation = Operation::new("store_42", "refund", "k3yPlanted", Effect::keyed_write(DAY)).unwrap();
    let operation = operation.claim("note", "cla1mPlanted").unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let call = {
        let seen = Arc::clone(&seen);
        move |call: GuardCall| {
            *seen.lock().unwrap() = format!("{call:?}|{}", call.provider_key());
            async { Ok("re5ultPlanted".to_owned()) }
        }
    };
    let run = guard.run(&operation, call.clone());
    let mut shown = format!("{run:?} {run:#?} {operation:?} {guard:?}");
    let done = run.await.unwrap();
    shown += &format!("{done:?} {:?} {:?}", Resolution::done(&"re5ultPlanted"), guard.run(&operation, call));
    let desk = Desk::default();
    for error in [
        guard.run(&operation, desk.keyed()).await.unwrap_err(),
        guard.run(&operation.clone().claim("more", "").unwrap(), desk.keyed()).await.unwrap_err(),
    ] {
        shown += &format!("{error} {error:?} {error:#?}");
    }
    let seen = seen.lock().unwrap().clone();
    let (call, key) = seen.split_once('|').unwrap();
    shown += call;
    for secret in ["k3yPlanted", "cla1mPlanted", "re5ultPlanted", key] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn errors_and_futures_can_go_everywhere() {
    fn is_shareable<T: Send + Sync + 'static>() {}
    fn is_sendable<T: Send + 'static>(_: &T) {}
    is_shareable::<Guard>();
    is_shareable::<GuardError>();
    is_shareable::<Operation>();
    is_shareable::<Done<u32>>();
    assert_eq!(size_of::<GuardError>(), 8);
    let guard = plain().build().unwrap().guard();
    let run = guard.run(&unkeyed(), Desk::default().keyless());
    is_sendable(&run);
    assert!(size_of_val(&run) <= 320, "{}", size_of_val(&run));
    let key = IdempotencyKey::parse("k").unwrap();
    assert!(Operation::new("t", "n", key, Effect::Read).is_ok());
    assert!(Operation::new("t", "n", "k".to_owned(), Effect::Read).is_ok());
}

/// With a single subscriber, tracing asks the thread that meets a call site first, and remembers its "never" for all.
static ANOTHER_SUBSCRIBER: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// What the crate logs on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn install() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        LazyLock::force(&ANOTHER_SUBSCRIBER);
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self, with: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn who_resolved_what_is_logged_and_so_is_a_key_that_nobody_took() {
    let (log, _installed) = Log::install();
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::LostAnswer]);
    guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
    let reference = guard.reference(&unkeyed());
    guard.resolve_reference(reference, Resolution::not_executed(), "ada@ops, ticket 7").await.unwrap();
    let lines = log.lines("not_executed");
    assert_eq!(lines.len(), 1);
    for part in ["ada@ops, ticket 7", "refund", &reference.to_string()] {
        assert!(lines[0].contains(part), "{part} in {lines:?}");
    }
    assert_eq!(log.lines("WARN").iter().filter(|line| line.contains(&reference.to_string())).count(), 1);
    let other = Operation::new("t", "careless", "k3y", Effect::keyed_write(DAY)).unwrap();
    guard.run(&other, desk.keyless()).await.unwrap();
    assert!(!log.lines("careless").is_empty());
    assert!(log.lines("k3y").is_empty() && log.lines("store_42").is_empty(), "neither key nor tenant");
}

// ---- everything at once

/// Processes come and go, the store fails at random, the provider too: whatever comes of it, nothing happens twice.
#[test]
fn nothing_happens_twice_whatever_fails() {
    for seed in 0..60 {
        let inner = MemoryStore::new();
        let desks: Vec<_> = (0..6).map(|_| Desk::default()).collect();
        let mut clock = Duration::ZERO;
        for process in 0..5_u64 {
            let runtime = runtime();
            runtime.block_on(async {
                advance(clock).await;
                let begin = Instant::now();
                let store = FlakyStore::new(inner.clone());
                let faults = [
                    (StoreFault::LostReply, 0.05),
                    (StoreFault::LostRequest, 0.05),
                    (StoreFault::NotSent, 0.05),
                    (StoreFault::NeverReplies, 0.03),
                    (StoreFault::Late(secs(3)), 0.03),
                ];
                store.by_chance(seed * 10 + process, faults);
                let guards: Vec<_> = (0..2)
                    .map(|number| {
                        let builder = plain().total_deadline(secs(20)).attempt_timeout(secs(3));
                        let builder = builder.store(store.clone()).seed(seed * 100 + number);
                        if seed % 2 == 0 { builder.build() } else { builder.renewed_lease(secs(6)).build() }
                    })
                    .map(|validator| validator.unwrap().guard())
                    .collect();
                for (number, desk) in desks.iter().enumerate() {
                    let acts = [
                        Act::LostAnswer,
                        Act::Fail(busy()),
                        Act::Slow(secs(2)),
                        Act::Fail(ProviderError::not_sent("x")),
                        Act::Never,
                        Act::Fail(ProviderError::refused("slow down").status(429)),
                    ];
                    let first = usize::try_from(seed + process).unwrap() + number;
                    desk.script((0..2).map(|at| acts[(first + at * 2) % acts.len()].clone()));
                    let effect = if number % 2 == 0 { Effect::write() } else { Effect::keyed_write(DAY) };
                    let operation = Operation::new("t", "o", format!("{number}"), effect).unwrap();
                    for guard in &guards {
                        if number % 2 == 0 {
                            tokio::spawn(guard.run(&operation, desk.keyless()));
                        } else {
                            tokio::spawn(guard.run(&operation, desk.keyed()));
                        }
                    }
                }
                // Some processes crash soon, some late, some come to an end.
                sleep(ms(700) * u32::try_from((seed * 7 + process * 13) % 90).unwrap()).await;
                clock += begin.elapsed();
            });
            drop(runtime);
        }
        for (number, desk) in desks.iter().enumerate() {
            assert!(desk.executed() <= 1, "operation {number} happened {} times, seed {seed}", desk.executed());
            if number % 2 == 1 {
                all_equal(&keys(desk));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_ask_the_store_as_often_as_one() {
    let (desk, store) = (Desk::with([Act::Slow(secs(10))]), FlakyStore::new(MemoryStore::new()));
    let builder = Validator::builder(ScriptedProvider::new()).store(store.clone());
    let validator = builder.restart_loses_at_most(RestartLoss::All).build().unwrap();
    let guard = validator.guard();
    let refund = Operation::new("store_42", "refund", "k", Effect::write()).unwrap();
    let run = || {
        let desk = desk.clone();
        tokio::spawn(guard.run(&refund, move |_| desk.request(None)).into_future())
    };
    let first = run();
    settle().await;
    let waiters: Vec<_> = (0..1000).map(|_| run()).collect();
    settle().await;
    let asked = store.calls(StoreVerb::Claim);
    assert_eq!(asked, 1001, "each asks once whether it is the first");
    assert_eq!(*first.await.unwrap().unwrap().value(), 1);
    for waiter in waiters {
        let done = waiter.await.unwrap().unwrap();
        assert_eq!((*done.value(), done.provenance()), (1, Provenance::Coalesced));
    }
    // One who waits alone looks 10 times in the first second, and at most 4 times a second from then on.
    let looks = store.calls(StoreVerb::Claim) - asked;
    assert!((15..=60).contains(&looks), "{looks} looks in 10 s");
    assert_eq!((desk.executed(), store.calls(StoreVerb::Replace)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_on_the_list_is_listed_as_soon_as_there_is_some_and_other_tenants_have_theirs() {
    let guard = plain().store(MemoryStore::new()).max_unresolved_per_tenant(3).build().unwrap().guard();
    let of = |tenant: &str, key: usize| Operation::new(tenant, "refund", key.to_string(), Effect::write()).unwrap();
    let fail = async |operation: &Operation| {
        let error = guard.run(operation, Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
        assert!(error.is_indeterminate(), "{error:?}");
    };
    let listed = async || {
        let list = guard.unresolved().await.unwrap();
        let mut all: Vec<_> = list.iter().map(|one| (one.tenant().to_owned(), one.reference())).collect();
        all.sort_by_key(|(tenant, reference)| (tenant.clone(), reference.to_string()));
        (all, list.not_listed())
    };
    let expected = |operations: &[Operation]| {
        let mut all: Vec<_> = operations.iter().map(|one| (one.tenant().to_owned(), guard.reference(one))).collect();
        all.sort_by_key(|(tenant, reference)| (tenant.clone(), reference.to_string()));
        all
    };
    for key in 0..5 {
        fail(&of("greedy", key)).await;
    }
    // Run again, it is not counted again.
    guard.run(&of("greedy", 4), Desk::default().keyless()).await.unwrap_err();
    fail(&of("store_42", 0)).await;
    let [greedy, other] = [(0..3).map(|key| of("greedy", key)).collect::<Vec<_>>(), vec![of("store_42", 0)]];
    assert_eq!(listed().await, (expected(&[greedy, other.clone()].concat()), 2));
    guard.resolve(&of("greedy", 0), Resolution::not_executed(), "me").await.unwrap();
    let now: Vec<_> = (1..4).map(|key| of("greedy", key)).collect();
    assert_eq!(listed().await, (expected(&[now, other.clone()].concat()), 1));
    // One that is resolved while it waits is not listed afterwards.
    guard.resolve(&of("greedy", 4), Resolution::not_executed(), "me").await.unwrap();
    guard.resolve(&of("greedy", 1), Resolution::not_executed(), "me").await.unwrap();
    let now: Vec<_> = (2..4).map(|key| of("greedy", key)).collect();
    assert_eq!(listed().await, (expected(&[now, other].concat()), 0));
}
