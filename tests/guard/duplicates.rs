//! One operation, asked for many times and by many callers: sent once, replayed, and never for other claims.

use std::fmt::Debug;

use payproof::guard::{Effect, EffectCall, Operation, Resolution, ResolveError};
use payproof::provider::AttemptOutcome;
use payproof::store::MemoryStore;
use payproof::{Provenance, RetryBudget};
use tokio::time::{advance, sleep};

use crate::support::{secs, settle};
use crate::{Act, DAY, Desk, guard_on, keyed, keys, plain, read, unkeyed};

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
            let call = move |_call: EffectCall| {
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
            assert_eq!(resolved, Err(ResolveError::KeyReused));
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

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_silent_and_overtaken_is_sent_once() {
    for (silent, number) in [(unkeyed(), 1), (keyed(), 2), (read(), 3)] {
        let validator = plain().retry_budget(RetryBudget::new()).build().unwrap();
        let (guard, desk, prompt) = (validator.guard(), Desk::with([Act::Slow(secs(20))]), Desk::default());
        let run = tokio::spawn(guard.run(&silent, desk.keyed()));
        settle().await;
        for order in 0..20 {
            sleep(secs(1)).await;
            let later = Operation::new("store_42", "refund", format!("order {number} {order}"), silent.effect());
            guard.run(&later.unwrap(), prompt.keyed()).await.unwrap();
        }
        let done = run.await.unwrap().unwrap();
        assert_eq!((desk.requests(), prompt.requests(), done.attempts().len()), (1, 20, 1), "{silent:?}");
        assert_eq!(validator.stats().hedges, 0);
    }
}
