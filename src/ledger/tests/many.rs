//! Batch reads: what fails its own place, what fails the rest, and whose age is in doubt.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    Claimed, Codec, Fingerprint, Held, KEPT_FOR, Key, LEASE, Ledger, LedgerError, Nonce, RecordKind, State, contents,
};
use crate::accessors::partial_debug;
use crate::lock::Lock;
use crate::store::extras::{BatchAnswer, CountLeft, Offer};
use crate::store::{
    Claim, Durability, Extras, Inspection, MemoryStore, RestartLoss, Store, StoreAnswer, StoreError, Stored, Swap,
    hand_on,
};

/// What becomes of one batch.
#[derive(Clone, Copy)]
enum Way {
    Answered,
    /// No answer comes.
    Hangs,
    /// The connection breaks under the keys with an even place.
    Broken,
    /// The first record is dated by one that stood there before it.
    DatedByAnother(Duration),
}

/// A store in memory whose batches go as a test says.
#[derive(Clone, Default)]
struct Batched {
    records: MemoryStore,
    ways: Arc<Lock<VecDeque<Way>>>,
    /// How many keys each batch had.
    asked: Arc<Lock<Vec<usize>>>,
}

partial_debug!(Batched, self =>);

impl Store for Batched {
    hand_on!(verbs of self => self.records);

    fn extras(&self) -> Extras {
        Extras::of(self.clone())
    }
}

impl Offer for Batched {
    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s> {
        self.asked.lock().push(keys.len());
        let way = self.ways.lock().pop_front().unwrap_or(Way::Answered);
        Box::pin(async move {
            let mut reads = self.records.get_many(keys).await;
            match way {
                Way::Answered => {}
                Way::Hangs => pending().await,
                Way::Broken => {
                    let broken = || Err(StoreError::outcome_unknown("the connection broke"));
                    reads.iter_mut().step_by(2).for_each(|read| *read = broken());
                }
                Way::DatedByAnother(ttl_left) => {
                    reads[0].as_mut().unwrap().as_mut().unwrap().ttl_left = ttl_left;
                }
            }
            reads
        })
    }

    fn add<'s>(&'s self, key: &'s str, by: i64, ttl: Duration) -> StoreAnswer<'s, CountLeft> {
        self.asked.lock().push(1);
        Box::pin(async move {
            self.records.add(key, by, ttl).await?;
            Err(StoreError::outcome_unknown("the connection broke"))
        })
    }
}

fn batched(ways: impl IntoIterator<Item = Way>) -> (Batched, Ledger) {
    let store = Batched::default();
    store.ways.lock().extend(ways);
    let ledger = Ledger::new(Arc::new(store.clone()), "test".into(), Duration::from_secs(2), Codec::default(), None);
    (store, ledger)
}

fn keys(ledger: &Ledger, count: u32) -> Vec<Key> {
    let digest = |number: u32| Fingerprint::of("test", [Some(&number.to_le_bytes()[..])]);
    (0..count).map(|number| ledger.key(RecordKind::Operation, &digest(number))).collect()
}

async fn write(ledger: &Ledger, key: &Key, state: State) {
    let record = contents(state, (None, 0)).unwrap().record(Nonce::draw().unwrap(), None);
    assert!(matches!(ledger.claim(key, record, |_| {}).await, Ok(Claimed::Ours(_))));
}

#[tokio::test(start_paused = true)]
async fn a_batch_answers_as_single_reads_do_and_a_bad_record_fails_its_own_place() {
    let (store, ledger) = batched([]);
    let keys = keys(&ledger, 4);
    write(&ledger, &keys[0], State::Settled).await;
    store.claim(&keys[1].text, b"junk", KEPT_FOR).await.unwrap();
    write(&ledger, &keys[3], State::Claimed).await;
    sleep(Duration::from_millis(700)).await;
    let reads = ledger.get_many(&keys).await;
    assert_eq!(reads.len(), 4);
    for (read, key) in reads.into_iter().zip(&keys) {
        let single = ledger.get(key).await;
        let said = |read: Result<Option<Held>, LedgerError>| {
            read.map(|found| found.map(|held| (held.record, held.age, held.is_age_known, held.bytes)))
        };
        assert_eq!(said(read), said(single));
    }
    assert_eq!(*store.asked.lock(), [4]);
}

#[tokio::test(start_paused = true)]
async fn keys_go_by_the_hundred_and_none_go_not_at_all() {
    let (store, ledger) = batched([]);
    let keys = keys(&ledger, 250);
    write(&ledger, &keys[249], State::Settled).await;
    let reads = ledger.get_many(&keys).await;
    assert!(reads[..249].iter().all(|read| matches!(read, Ok(None))));
    assert!(matches!(&reads[249], Ok(Some(held)) if held.record.state == State::Settled));
    assert_eq!(*store.asked.lock(), [100, 100, 50]);
    assert!(ledger.get_many(&[]).await.is_empty());
    assert_eq!(store.asked.lock().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_one_time_out_however_many_keys_there_are() {
    let (store, ledger) = batched([Way::Answered, Way::Hangs]);
    let begun = Instant::now();
    let reads = ledger.get_many(&keys(&ledger, 1_000)).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
    assert_eq!(reads.len(), 1_000);
    assert!(reads[..100].iter().all(|read| matches!(read, Ok(None))));
    assert!(reads[100..].iter().all(|read| matches!(read, Err(LedgerError::TimedOut { .. }))));
    assert_eq!(*store.asked.lock(), [100, 100]);
}

#[tokio::test(start_paused = true)]
async fn what_broke_off_is_asked_for_once_more_and_no_more() {
    let (store, ledger) = batched([Way::Broken]);
    let keys = keys(&ledger, 5);
    assert!(ledger.get_many(&keys).await.iter().all(Result::is_ok));
    assert_eq!(*store.asked.lock(), [5, 3]);

    store.ways.lock().extend([Way::Broken, Way::Broken]);
    let reads = ledger.get_many(&keys).await;
    assert_eq!(reads.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true, true, false]);
    assert_eq!(*store.asked.lock(), [5, 3, 5, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_looks_old_is_read_by_itself_before_its_lease_counts_as_over() {
    let (_store, ledger) = batched([Way::DatedByAnother(Duration::from_secs(1))]);
    let keys = keys(&ledger, 1);
    write(&ledger, &keys[0], State::Claimed).await;
    let read = ledger.get_many(&keys).await.remove(0).unwrap().unwrap();
    assert_eq!((read.age, read.lease_left()), (Duration::ZERO, LEASE));
    assert_eq!(ledger.clock.moved(), None);
}

#[tokio::test(start_paused = true)]
async fn a_record_dated_by_a_longer_lived_one_does_not_make_the_clock_look_set_back() {
    let (_store, ledger) = batched([Way::DatedByAnother(KEPT_FOR * 2)]);
    let keys = keys(&ledger, 1);
    write(&ledger, &keys[0], State::Settled).await;
    let read = ledger.get_many(&keys).await.remove(0).unwrap().unwrap();
    assert!(read.is_age_known);
    assert_eq!(ledger.clock.moved(), None);
}

#[tokio::test(start_paused = true)]
async fn a_settled_record_dated_by_another_looks_older_and_never_younger() {
    let (store, ledger) = batched([Way::DatedByAnother(Duration::from_secs(1))]);
    let keys = keys(&ledger, 1);
    write(&ledger, &keys[0], State::Settled).await;
    let read = ledger.get_many(&keys).await.remove(0).unwrap().unwrap();
    assert_eq!(read.ttl_left(), Duration::from_secs(1));
    assert_eq!(*store.asked.lock(), [1]);
}

#[tokio::test(start_paused = true)]
async fn an_addition_is_never_sent_twice() {
    let (store, ledger) = batched([]);
    let key = keys(&ledger, 1).remove(0);
    let error = ledger.extras.count(&*ledger.store, &key.text, 1, KEPT_FOR).await.unwrap_err();
    assert!(error.is_outcome_unknown());
    assert_eq!(*store.asked.lock(), [1]);
    assert_eq!(store.get(&key.text).await.unwrap().unwrap().bytes, b"1");
    assert!(matches!(ledger.get(&key).await, Err(LedgerError::Unreadable(_))), "a counter is no record");
}
