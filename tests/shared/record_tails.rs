//! Fields that a later release added: what this one rewrites keeps them.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::sync::Arc;

use payproof::Validator;
use payproof::guard::{Effect, EffectCall, Guard, Operation, Resolution};
use payproof::provider::ProviderError;
use payproof::store::{MemoryStore, Store as _, Swap};

use crate::chaos_store::ChaosStore;
use crate::record_bytes::{body, with_checksum};
use crate::support::{NO_PATTERNS, forgetful, intent, ms, paid, plain, provider, secs};

const TAIL: &[u8] = b"a field that this release does not know";

/// The store, and who sees which keys it has.
struct Records(MemoryStore, Arc<ChaosStore>);

impl Records {
    fn new() -> Self {
        let store = MemoryStore::new();
        let spy = ChaosStore::new(&store, 0);
        Self(store, Arc::new(spy))
    }

    /// Rewrites every record as a later release does: the same, with a tail.
    async fn add_tails(&self) {
        for key in self.1.keys() {
            let Some(stored) = self.0.get(&key).await.unwrap() else { continue };
            let new = with_checksum(&[body(&stored.bytes), TAIL].concat());
            assert_eq!(self.0.replace(&key, &stored.bytes, &new, stored.ttl_left).await.unwrap(), Swap::Swapped);
        }
    }

    /// The record of a kind.
    async fn of(&self, kind: &str) -> Vec<u8> {
        let key = self.1.keys().into_iter().find(|key| key.contains(kind)).unwrap();
        self.0.get(&key).await.unwrap().unwrap().bytes
    }

    async fn keeps_tail(&self, kind: &str) -> bool {
        body(&self.of(kind).await).ends_with(TAIL)
    }
}

#[tokio::test(start_paused = true)]
async fn facts_that_are_asked_for_anew_keep_their_tail() {
    let (records, provider) = (Records::new(), provider());
    let validator = |fresh| {
        let builder = plain(&provider).store((*records.1).clone()).fresh_for(fresh).facts_in_memory_for(ms(0));
        builder.build().unwrap()
    };
    validator(secs(60)).validate(intent("pi_1")).await.unwrap();
    records.add_tails().await;
    let before = records.of(":facts:").await;
    tokio::time::advance(secs(120)).await;
    validator(secs(60)).validate(intent("pi_1")).await.unwrap();
    assert!(provider.calls() == 2 && records.of(":facts:").await != before, "it was not written anew");
    assert!(records.keeps_tail(":facts:").await);
}

fn guard(records: &Records) -> Guard {
    let provider = payproof::testing::ScriptedProvider::new();
    provider.put(paid("pi_1"));
    let builder = forgetful(Validator::builder(provider).transient_patterns(NO_PATTERNS));
    builder.store((*records.1).clone()).build().unwrap().guard()
}

fn refund(order: &str) -> Operation {
    Operation::new("store_42", "refund", order, Effect::write()).unwrap()
}

async fn broken_off(guard: &Guard, order: &str) {
    let call = |_: EffectCall| async { Err::<(), _>(ProviderError::outcome_unknown("connection reset")) };
    assert!(guard.run(&refund(order), call).await.unwrap_err().is_indeterminate());
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_resolved_and_the_list_of_operations_keep_their_tails() {
    let records = Records::new();
    let guard = guard(&records);
    broken_off(&guard, "6735").await;
    records.add_tails().await;
    let (list, operation) = (records.of(":indeterminate:").await, records.of(":operation:").await);
    guard.resolve(&refund("6735"), Resolution::done(&7), "anna").await.unwrap();
    assert_ne!(records.of(":operation:").await, operation);
    assert!(records.keeps_tail(":operation:").await, "resolved");
    assert_ne!(records.of(":indeterminate:").await, list);
    assert!(records.keeps_tail(":indeterminate:").await, "taken off the list");
    broken_off(&guard, "6736").await;
    assert!(records.keeps_tail(":indeterminate:").await, "put on the list");
    let done = guard.run(&refund("6735"), |_: EffectCall| async { Ok(0) }).await.unwrap();
    assert_eq!(*done.value(), 7, "what is read beside a tail is what was written");
}
