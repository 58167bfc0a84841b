//! Results that are too large, of another type, or cannot be written.

use std::fmt::Debug;

use payproof::guard::{EffectCall, Executed, OperationStatus};
use payproof::store::MemoryStore;

use crate::{Desk, guard_on, unkeyed};

#[tokio::test(start_paused = true)]
async fn a_result_too_large_to_keep_is_given_once_and_never_sent_again() {
    let guard = guard_on(&MemoryStore::new());
    let call = |_call: EffectCall| async { Ok("x".repeat(300_000)) };
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
    let done: Executed<Unwritable> = guard.run(&unkeyed(), |_call| async { Ok(Unwritable) }).await.unwrap();
    assert!(done.is_recorded());
    let again = guard.run(&unkeyed(), |_call| async { Ok(Unwritable) }).await;
    assert!(again.unwrap_err().is_result_missing());
}
