//! What is sent again, and what must not be.

use payproof::guard::{EffectCall, OperationStatus, Resolution, ResolveError};
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::{Breaker, Provenance};
use tokio::time::advance;

use crate::support::busy;
use crate::{Act, Desk, LEASE, all_equal, guard_on, keyed, keys, plain, read, unkeyed};

/// Every failure that says nothing about whether the request was executed.
fn doubts() -> Vec<(&'static str, Act)> {
    let fail = |error| Act::Fail(error);
    vec![
        ("a lost answer", Act::LostAnswer),
        ("no answer", Act::Never),
        ("500", fail(ProviderError::refused("oops").with_status(500))),
        ("503", fail(busy())),
        ("503 that asks for more", fail(busy().transient_by_header())),
        ("408", fail(ProviderError::refused("slow").with_status(408))),
        ("a cut answer", fail(ProviderError::unreadable("cut").with_status(200))),
        ("a bare message", fail(ProviderError::message("connection refused"))),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_unprotected_write_is_never_sent_twice() {
    for (name, act) in doubts().into_iter().chain([("a panic", Act::Panic)]) {
        // An operation that declares a key, whose call does not take it, is as unprotected as one that declares none.
        for operation in [unkeyed(), keyed()] {
            let guard = guard_on(&MemoryStore::new());
            let desk = Desk::with([act.clone()]);
            let error = guard.run(&operation, desk.keyless()).await.unwrap_err();
            assert!(error.is_indeterminate() && !error.is_retryable(), "{name}: {error}");
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
            assert!(result.unwrap_err().is_retryable());
            result = guard.run(&keyed(), desk.keyed()).await;
        } else {
            assert_eq!(result.as_ref().unwrap().attempts().len(), 2, "{name}");
        }
        assert_eq!((*result.unwrap().value(), desk.executed(), desk.requests()), (1, 1, 2), "{name}");
        all_equal(&keys(&desk));
        assert!(guard.indeterminate().await.unwrap().is_empty(), "{name}");
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
        ("429", ProviderError::refused("slow down").with_status(429)),
        ("425", ProviderError::refused("too early").with_status(425)),
        ("lock", ProviderError::refused("locked").with_status(400).transient_by_code("lock_timeout")),
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
        let desk = Desk::with([Act::Fail(ProviderError::refused("bad key").with_status(status))]);
        let error = guard.run(&unkeyed(), desk.keyless()).await.unwrap_err();
        assert!(error.is_configuration(), "{error}");
        assert_eq!(guard.run(&unkeyed(), desk.keyless()).await.unwrap().provenance(), Provenance::Fresh);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_repeated_and_never_sent_again() {
    let declined = ProviderError::refused("insufficient funds")
        .with_status(402)
        .with_code("card_declined")
        .with_request_id("req_1");
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
            assert_eq!(said.code(), Some("card_declined"));
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
    let declined = ProviderError::refused("declined").with_status(402);
    let desk = Desk::with([Act::Fail(busy()), Act::Fail(declined)]);
    let guard = guard_on(&MemoryStore::new());
    assert!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().is_refused());
    assert_eq!(guard.status(&keyed()).await.unwrap(), OperationStatus::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_the_key_does_not_answer_for_what_was_sent_under_it() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::LostAnswer, Act::Fail(ProviderError::refused("declined").with_status(402))]);
    let forgetful = {
        let desk = desk.clone();
        move |call: EffectCall| {
            let key = (call.attempt() == 1).then(|| call.provider_key().to_owned());
            desk.request(key)
        }
    };
    let error = guard.run(&keyed(), forgetful).await.unwrap_err();
    assert!(error.is_indeterminate(), "{error}");
    assert_eq!(desk.executed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_operation_may_be_opened_again_by_an_operator_who_mended_the_cause() {
    let guard = guard_on(&MemoryStore::new());
    let desk = Desk::with([Act::Fail(ProviderError::refused("unrecognized URL").with_status(404))]);
    assert!(guard.run(&keyed(), desk.keyed()).await.unwrap_err().is_refused());
    let refused = guard.resolve(&keyed(), Resolution::done(&1), "ops").await;
    assert_eq!(refused, Err(ResolveError::NothingToResolve { why: "the provider refused it" }));
    guard.resolve(&keyed(), Resolution::not_executed(), "ops").await.unwrap();
    assert!(guard.run(&keyed(), desk.keyed()).await.is_ok());
    let keys = keys(&desk);
    assert_ne!(keys[0], keys[1], "the provider would repeat its refusal under the old one");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_for_what_was_sent_before_leaves_it_open() {
    let open = [
        ("rate limit", ProviderError::refused("slow down").with_status(429)),
        ("credential", ProviderError::refused("expired key").with_status(401)),
        ("not sent", ProviderError::not_sent("connection refused")),
        ("key in use", ProviderError::refused("busy").with_status(409).with_code("idempotency_key_in_use")),
        ("other parameters", ProviderError::refused("Keys for idempotent requests…").with_status(400)),
    ];
    for (name, failure) in open {
        let script = [Act::LostAnswer].into_iter().chain(vec![Act::Fail(failure); 3]);
        let desk = Desk::with(script);
        let guard = guard_on(&MemoryStore::new());
        let error = guard.run(&keyed(), desk.keyed()).await.unwrap_err();
        assert!(error.is_indeterminate() && error.is_retryable(), "{name}: {error}");
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
    assert!(error.is_indeterminate() && error.is_retryable());
    assert_eq!((error.http_status(), error.attempts().len()), (503, 4));
    assert_eq!(guard.indeterminate().await.unwrap().len(), 1);
    let done = guard.run(&keyed(), desk.keyed()).await.unwrap();
    assert_eq!((*done.value(), desk.executed(), desk.requests()), (1, 1, 5));
    all_equal(&keys(&desk));
    assert!(guard.indeterminate().await.unwrap().is_empty(), "what was found out needs no person's look");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_not_tried_again_in_the_same_run_and_does_not_open_the_breaker() {
    let breaker = Breaker::new().minimum_attempts(1);
    let guard = plain().breaker(breaker).store(MemoryStore::new()).build().unwrap().guard();
    let desk = Desk::with([Act::Panic]);
    let error = guard.run(&keyed(), desk.keyed()).await.unwrap_err();
    assert!(error.is_indeterminate() && error.is_retryable(), "{error}");
    assert_eq!(desk.requests(), 1);
    assert!(guard.run(&keyed(), desk.keyed()).await.is_ok());
    all_equal(&keys(&desk));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_before_its_first_await_is_caught_too() {
    let guard = guard_on(&MemoryStore::new());
    let run = guard.run(&unkeyed(), |call: EffectCall| {
        assert!(call.attempt() > 1, "scripted panic");
        async { Ok(0) }
    });
    assert!(run.await.unwrap_err().is_indeterminate());
}
