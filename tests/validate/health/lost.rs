//! A store that lost what it acknowledged, and everything that only looks like it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::Validator;
use payproof::health::HealthReason;
use payproof::store::{
    Claim, Durability, Extras, Inspection, MemoryStore, RecordLoss, RestartLoss, Store, StoreError, StoreFinding,
    Stored, Swap,
};
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use serde_json::json;

use super::SHARED;
use crate::support::{intent, plain, provider, secs, settle};

/// A primary, and a replica that gets each write until replication stops.
#[derive(Clone, Debug)]
struct Replicated(Arc<Mutex<Servers>>);

#[derive(Clone, Debug)]
struct Servers {
    primary: MemoryStore,
    replica: Option<MemoryStore>,
}

impl Replicated {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Servers { primary: MemoryStore::new(), replica: Some(MemoryStore::new()) })))
    }

    fn servers(&self) -> Servers {
        self.0.lock().unwrap().clone()
    }

    fn flush(&self) {
        self.0.lock().unwrap().primary = MemoryStore::new();
    }

    /// The replica stays behind from now on, and is what [`fail_over`](Self::fail_over) promotes.
    fn stop_replication(&self) -> MemoryStore {
        self.0.lock().unwrap().replica.take().unwrap()
    }

    fn fail_over(&self, to: MemoryStore) {
        self.0.lock().unwrap().primary = to;
    }
}

impl Store for Replicated {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        self.servers().primary.get(key).await
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        let Servers { primary, replica } = self.servers();
        if let Some(replica) = replica {
            replica.claim(key, value, ttl).await?;
        }
        primary.claim(key, value, ttl).await
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        let Servers { primary, replica } = self.servers();
        if let Some(replica) = replica {
            replica.replace(key, expected, value, ttl).await?;
        }
        primary.replace(key, expected, value, ttl).await
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        let Servers { primary, replica } = self.servers();
        if let Some(replica) = replica {
            replica.remove(key, expected).await?;
        }
        primary.remove(key, expected).await
    }

    fn durability(&self) -> Durability {
        SHARED
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        Ok(RestartLoss::Nothing)
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        let mut inspection = Inspection::new("redis", Duration::ZERO);
        inspection.restart_loss = RestartLoss::Nothing;
        Ok(inspection)
    }

    fn extras(&self) -> Extras {
        MemoryStore::new().extras()
    }
}

/// Minutes after which a look has come to its end.
async fn minutes(count: u64) {
    for _ in 0..count {
        tokio::time::advance(secs(60)).await;
        settle().await;
    }
}

fn over(store: impl Store + 'static) -> Validator {
    plain(&provider()).store(store).build().unwrap()
}

/// A validator that has used its store.
async fn used(store: impl Store + 'static) -> Validator {
    let validator = over(store);
    validator.validate(intent("pi_1")).await.unwrap();
    settle().await;
    validator
}

async fn lost(validator: &Validator) -> Vec<RecordLoss> {
    let health = validator.health().await;
    let loss = |reason: &HealthReason| match reason {
        HealthReason::Store(StoreFinding::RecordsLost { loss, .. }) => Some(*loss),
        _ => None,
    };
    health.reasons().iter().filter_map(loss).collect()
}

#[tokio::test(start_paused = true)]
async fn a_flush_is_told_for_a_day() {
    let store = Replicated::new();
    let validator = used(store.clone()).await;
    minutes(5).await;
    assert!(validator.health().await.is_ready(), "a first start is no loss");
    store.flush();
    minutes(1).await;
    let health = validator.health().await;
    let [HealthReason::Store(StoreFinding::RecordsLost { loss: RecordLoss::Gone, ago, within })] = health.reasons()
    else {
        panic!("{health:?}")
    };
    assert!(*ago < secs(2) && (secs(59)..secs(62)).contains(within), "{ago:?} {within:?}");
    let page = serde_json::to_value(&health).unwrap();
    assert_eq!((&page["status"], &page["reasons"][0]["code"]), (&json!("degraded"), &json!("records_lost")));
    assert_eq!(page["store"]["findings"][0]["severity"], "warning");
    assert!(page["reasons"][0]["message"].as_str().unwrap().contains("a record was gone before its time"), "{page}");
    assert_eq!(validator.stats().store_losses, 1);
    minutes(60).await;
    assert_eq!((lost(&validator).await, validator.stats().store_losses), (vec![RecordLoss::Gone], 1));
    tokio::time::advance(secs(24 * 60 * 60)).await;
    settle().await;
    assert!(lost(&validator).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failover_to_an_older_copy_is_told() {
    let store = Replicated::new();
    let validator = used(store.clone()).await;
    minutes(3).await;
    let behind = store.stop_replication();
    minutes(1).await;
    store.fail_over(behind);
    minutes(1).await;
    assert_eq!(lost(&validator).await, [RecordLoss::Older]);
    minutes(3).await;
    assert_eq!(validator.stats().store_losses, 1, "what was written since then stands");
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_loses_nothing_is_not_told() {
    let store = Replicated::new();
    let validator = used(store.clone()).await;
    minutes(3).await;
    let up_to_date = store.stop_replication();
    store.fail_over(up_to_date);
    minutes(3).await;
    assert!(lost(&validator).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_of_a_store_that_is_down_or_loses_replies() {
    for fault in
        [StoreFault::NotSent, StoreFault::Refused, StoreFault::Never, StoreFault::LostReply, StoreFault::LostRequest]
    {
        let store = FlakyStore::new(Replicated::new());
        let validator = used(store.clone()).await;
        minutes(2).await;
        store.always(Some(fault));
        minutes(5).await;
        store.always(None);
        minutes(3).await;
        assert!(lost(&validator).await.is_empty(), "{fault:?}");
        assert_eq!(validator.stats().store_losses, 0, "{fault:?}");
        // It goes on from there.
        store.inner().flush();
        minutes(1).await;
        assert_eq!(lost(&validator).await, [RecordLoss::Gone], "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_came_to_its_end_is_not_lost() {
    let store = FlakyStore::new(Replicated::new());
    let validator = used(store.clone()).await;
    minutes(2).await;
    // As of a machine that slept, or of a store that was away for a day.
    store.always(Some(StoreFault::NotSent));
    tokio::time::advance(secs(24 * 60 * 60)).await;
    store.always(None);
    minutes(3).await;
    assert!(lost(&validator).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_told_although_the_look_that_found_it_got_no_further() {
    let store = FlakyStore::new(Replicated::new());
    let validator = used(store.clone()).await;
    minutes(2).await;
    store.inner().flush();
    // The new canary is written, and both replies are lost.
    store.script(StoreVerb::Claim, [StoreFault::LostReply; 2]);
    minutes(1).await;
    assert!(lost(&validator).await.is_empty());
    minutes(1).await;
    assert_eq!((lost(&validator).await, validator.stats().store_losses), (vec![RecordLoss::Gone], 1));
}

#[tokio::test(start_paused = true)]
async fn a_record_comes_to_its_end_a_day_after_it_was_written_and_not_after_it_was_confirmed() {
    let store = FlakyStore::new(Replicated::new());
    let validator = used(store.clone()).await;
    minutes(2).await;
    store.always(Some(StoreFault::LostReply));
    minutes(1).await;
    // The look that confirms it is one of the last minutes of its day.
    tokio::time::advance(secs(24 * 60 * 60 - 90)).await;
    settle().await;
    store.always(None);
    minutes(4).await;
    assert!(lost(&validator).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_another_prefix_or_another_process_does_is_no_loss() {
    let store = Replicated::new();
    let first = used(store.clone()).await;
    let second = used(store.clone()).await;
    let elsewhere = plain(&provider()).store(store.clone()).store_prefix("other").build().unwrap();
    elsewhere.validate(intent("pi_1")).await.unwrap();
    minutes(3).await;
    for validator in [&first, &second, &elsewhere] {
        validator.check_store().await;
        assert!(lost(validator).await.is_empty());
    }
    drop((second, elsewhere));
    minutes(3).await;
    assert!(lost(&first).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_look_a_minute_is_one_call_however_many_use_the_store() {
    let store = FlakyStore::new(Replicated::new());
    let validator = used(store.clone()).await;
    minutes(2).await;
    for number in 0..50 {
        validator.validate(intent(&format!("pi_{number}"))).await.unwrap();
    }
    settle().await;
    let all =
        || [StoreVerb::Get, StoreVerb::Claim, StoreVerb::Replace, StoreVerb::Remove].map(|verb| store.calls(verb));
    let before = all();
    minutes(10).await;
    let after = all();
    assert_eq!([0, 1, 2, 3].map(|at| after[at] - before[at]), [0, 0, 10, 0]);
    // Without a handle left nothing is looked at.
    drop(validator);
    minutes(3).await;
    let last = all();
    assert_eq!(last, after);
}

#[test]
fn another_runtime_goes_on_where_the_first_one_ended() {
    let store = FlakyStore::new(Replicated::new());
    let validator = over(store.clone());
    for _ in 0..2 {
        let before = store.calls(StoreVerb::Replace) + store.calls(StoreVerb::Claim);
        crate::support::paused_runtime().block_on(async {
            validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
            let used = store.calls(StoreVerb::Replace) + store.calls(StoreVerb::Claim);
            assert!(used > before);
            minutes(2).await;
            assert_eq!(store.calls(StoreVerb::Replace) + store.calls(StoreVerb::Claim), used + 2);
        });
    }
}

#[test]
fn a_runtime_that_ends_early_delays_no_look() {
    let store = Replicated::new();
    let validator = over(store.clone());
    crate::support::paused_runtime().block_on(async {
        validator.validate(intent("pi_1")).await.unwrap();
        settle().await;
        minutes(1).await;
    });
    store.flush();
    // Each next one ends less than a minute after its first use of the store.
    crate::support::paused_runtime().block_on(async {
        tokio::time::advance(secs(150)).await;
        validator.validate(intent("pi_1")).await.unwrap();
        settle().await;
    });
    assert_eq!(validator.stats().store_losses, 1);
}

#[test]
fn a_first_look_that_broke_off_is_made_again() {
    let store = FlakyStore::new(Replicated::new());
    let validator = over(store.clone());
    for (fault, looks) in [(Some(StoreFault::Never), 1), (None, 2), (None, 2)] {
        store.script(StoreVerb::Inspect, fault);
        crate::support::paused_runtime().block_on(async {
            validator.validate(intent("pi_1")).max_age(Duration::ZERO).await.unwrap();
            settle().await;
        });
        assert_eq!(store.calls(StoreVerb::Inspect), looks);
    }
}
