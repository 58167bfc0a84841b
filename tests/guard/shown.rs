//! What errors, futures, logs and debug texts show.

use std::sync::{Arc, Mutex};

use payproof::IdempotencyKey;
use payproof::guard::{Effect, EffectCall, Executed, Guard, GuardError, Operation, Resolution, ResolveError};
use payproof::store::MemoryStore;

use crate::subscribers::Log;
use crate::{Act, DAY, Desk, guard_on, plain, unkeyed};

#[tokio::test(start_paused = true)]
async fn neither_keys_nor_results_are_shown() {
    let guard = guard_on(&MemoryStore::new());
    let operation = Operation::new("store_42", "refund", "k3yPlanted", Effect::keyed_write(DAY)).unwrap();
    let operation = operation.claim("note", "cla1mPlanted").unwrap();
    let seen = Arc::new(Mutex::new(String::new()));
    let call = {
        let seen = Arc::clone(&seen);
        move |call: EffectCall| {
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
    is_shareable::<ResolveError>();
    is_shareable::<Operation>();
    is_shareable::<Executed<u32>>();
    assert_eq!(size_of::<GuardError>(), 8);
    let guard = plain().build().unwrap().guard();
    let run = guard.run(&unkeyed(), Desk::default().keyless());
    is_sendable(&run);
    assert!(size_of_val(&run) <= 320, "{}", size_of_val(&run));
    let key = IdempotencyKey::parse("k").unwrap();
    assert!(Operation::new("t", "n", key, Effect::Read).is_ok());
    assert!(Operation::new("t", "n", "k".to_owned(), Effect::Read).is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_resolved_what_is_logged_and_so_is_a_key_that_no_call_took() {
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
