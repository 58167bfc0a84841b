//! Records of other releases: older versions are read and written, newer ones refused, and tails kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::super::versioned::Converted;
use super::scripted::{Shared, Way};
use super::*;
use crate::store::Store;

/// What a kind says that has come to its third version. The first one named no currency and is not enough; the second one
/// counted in whole units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Amount {
    cents: u32,
    currency: Box<str>,
}

impl<'p> Versioned<'p> for Amount {
    fn write(&self, version: u8) -> Option<Vec<u8>> {
        match version {
            2 => postcard::to_allocvec(&(self.cents / 100, &self.currency)).ok(),
            _ => postcard::to_allocvec(self).ok(),
        }
    }

    fn read(version: u8, bytes: &'p [u8]) -> Converted<Self> {
        match version {
            1 => Converted::NotEnough,
            2 => match postcard::from_bytes::<(u32, Box<str>)>(bytes) {
                Ok((units, currency)) => Converted::Whole(Self { cents: units.saturating_mul(100), currency }),
                Err(_) => Converted::Damaged,
            },
            _ => match postcard::from_bytes(bytes) {
                Ok(amount) => Converted::Whole(amount),
                Err(_) => Converted::Damaged,
            },
        }
    }
}

fn amount() -> Amount {
    Amount { cents: 1_900, currency: "EUR".into() }
}

/// This release and one that writes the records of another, over one store.
fn releases() -> (Ledger, Ledger) {
    let shared = Shared::default();
    let [current, earlier] = [Release::Current, Release::V0_1].map(|release| {
        let (store, codec) = (Arc::new(Way::to(&shared)), Codec::new(Vec::new(), release, Vec::new()));
        Ledger::new(store, "test".into(), Duration::from_secs(2), codec, None)
    });
    (current, earlier)
}

fn sample(ledger: &Ledger) -> Key {
    ledger.key(RecordKind::Sample, &Fingerprint::of("test", [Some(&b"sample"[..])]))
}

fn settled(payload: Vec<u8>) -> Record {
    let contents = Contents { state: State::Settled, ttl: KEPT_FOR, lease: Duration::ZERO, payload };
    contents.record(Nonce::draw().unwrap(), None)
}

#[tokio::test(start_paused = true)]
async fn a_record_is_written_as_the_named_release_does_and_read_by_this_one() {
    let (current, earlier) = releases();
    let (key, key_then) = (sample(&current), sample(&earlier));
    earlier.claim(&key_then, settled(key_then.payload_of(&amount()).unwrap()), |_| {}).await.unwrap();
    let held = record(&current, &key).await.unwrap();
    assert_eq!((held.record.version, held.payload("holds none")), (2, Ok(amount())));
    current.take_over(&key, &held, settled(key.payload_of(&amount()).unwrap())).await.unwrap();
    let held = record(&earlier, &key_then).await.unwrap();
    assert_eq!((held.record.version, held.payload("holds none")), (3, Ok(amount())));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_says_too_little_is_an_error_of_its_own() {
    let (ledger, _) = releases();
    let key = Key { version: 1, ..sample(&ledger) };
    ledger.claim(&key, settled(vec![19]), |_| {}).await.unwrap();
    let held = record(&ledger, &key).await.unwrap();
    let error = held.payload::<Amount>("holds none").unwrap_err();
    assert_eq!(error, LedgerError::NotEnough { version: 1 });
    assert!(!error.is_down() && !error.is_newer(), "it counts as a store that is down");
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_newer_release_is_an_error_of_its_own() {
    let (way, first, _, _) = two();
    let work = Work::<OVER_OWN>::on(&first);
    Store::claim(&way, &work.key.text, &[2, 0, 1, 2, 3], KEPT_FOR).await.unwrap();
    assert_eq!(work.shown(&first).await, format!("{:?}", LedgerError::Newer { version: 2 }));
    let newer = LedgerError::Newer { version: 2 };
    assert!(!newer.is_down() && newer.is_newer(), "it counts as a store that is down");
}

#[tokio::test(start_paused = true)]
async fn a_newer_version_of_one_kind_is_refused_for_that_kind_only() {
    let (ledger, _) = releases();
    let newer = Key { version: 4, ..sample(&ledger) };
    ledger.claim(&newer, settled(vec![19]), |_| {}).await.unwrap();
    assert_eq!(ledger.get(&newer).await.unwrap_err(), LedgerError::Newer { version: 4 });
    let taken = ledger.claim(&sample(&ledger), settled(Vec::new()), |_| {}).await;
    assert_eq!(taken.unwrap_err(), LedgerError::Newer { version: 4 });
    assert_eq!(Work::<OVER_OWN>::on(&ledger).shown(&ledger).await, "lease");
}

/// What a later release adds.
const TAIL: &[u8] = b"a field that this release does not know";

/// Writes a record as a later release does: the same, with a tail.
async fn add_tail(ledger: &Ledger, key: &Key) {
    let held = record(ledger, key).await.unwrap();
    let new = ledger.encode(key, Record { tail: TAIL.to_vec(), ..held.record }).unwrap();
    assert!(matches!(ledger.swap(key, &held.bytes, &new).await, Ok(Swapped::Now)));
}

async fn tail(ledger: &Ledger, key: &Key) -> (State, bool) {
    let held = record(ledger, key).await.unwrap();
    (held.record.state, held.record.tail == TAIL)
}

#[tokio::test(start_paused = true)]
async fn a_record_keeps_its_tail_when_it_is_taken_over_renewed_and_concluded() {
    let (_, first, _, second) = two();
    let work = Work::<OVER_OWN> { marks: false, is_renewed: true, ..Work::on(&first) };
    drop(work.lease(&first).await);
    add_tail(&second, &work.key).await;
    sleep(LEASE).await;
    let mut lease = work.lease(&first).await;
    assert_eq!(tail(&second, &work.key).await, (State::Claimed, true), "taken over");
    lease.during(sleep(LEASE * 3)).await;
    let held = record(&second, &work.key).await.unwrap();
    assert!(held.age < LEASE && tail(&second, &work.key).await == (State::Claimed, true), "renewed");
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(true));
    assert_eq!(tail(&second, &work.key).await, (State::Settled, true), "concluded");
}

#[tokio::test(start_paused = true)]
async fn a_claim_keeps_a_tail_that_another_process_gave_it() {
    let (_, _, second, work, mut lease) = leased::<OVER_OWN>().await;
    add_tail(&second, &work.key).await;
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(true));
    assert_eq!(tail(&second, &work.key).await, (State::Settled, true));
}

#[tokio::test(start_paused = true)]
async fn a_mark_and_the_last_word_over_it_keep_the_tail() {
    let (_, _, second, work, mut lease) = leased::<OVER_OWN>().await;
    add_tail(&second, &work.key).await;
    sleep(LEASE).await;
    assert_eq!(work.shown(&second).await, "NobodyKnows");
    assert_eq!(tail(&second, &work.key).await, (State::Settled, true), "marked");
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(true));
    assert_eq!((work.shown(&second).await.as_str(), tail(&second, &work.key).await.1), ("Done(7)", true), "concluded");
}

#[tokio::test(start_paused = true)]
async fn a_late_word_keeps_the_tail_of_the_claim_even_where_no_record_is() {
    let (way, first, _, second) = two();
    let work = Work::<ALONE> { marks: false, ..Work::on(&first) };
    drop(work.lease(&first).await);
    add_tail(&second, &work.key).await;
    sleep(LEASE).await;
    let mut lease = work.lease(&first).await;
    way.cut();
    assert!(lease.conclude(Word::Done(7)).await.is_err());
    let held = record(&second, &work.key).await.unwrap();
    second.remove(&work.key, &held).await.unwrap();
    way.mend();
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(tail(&second, &work.key).await, (State::Settled, true));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_settled_once_keeps_its_tail_and_void_removes_it() {
    let (_, first, _, second) = two();
    let work = Work::<OVER_OWN>::on(&first);
    drop(work.lease(&first).await);
    add_tail(&second, &work.key).await;
    let ours = record(&first, &work.key).await.unwrap().assume();
    let swapped = first.settle_once(&work.key, &ours, settled(ours.record.payload.clone())).await;
    assert!(matches!(swapped, Ok(Swapped::Now)));
    assert_eq!(tail(&second, &work.key).await, (State::Settled, true));
    first.void(&work.key, LEASE).await.unwrap();
    assert_eq!(tail(&second, &work.key).await, (State::Void, false));
}
