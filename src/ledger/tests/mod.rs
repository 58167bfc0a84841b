//! The protocol of leases, driven through a store that loses replies, makes commands late, and stops processes.

mod assumed;
mod chances;
mod lost;
mod many;
mod scripted;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use scripted::{Fate, Shared, Way};

use super::*;
use crate::call::deadline::Deadline;

const LEASE: Duration = Duration::from_secs(10);

const KEPT_FOR: Duration = Duration::from_secs(10_000);

/// After this every late word is said, or will not be.
const LATE_WORDS_ARE_OVER: Duration = Duration::from_secs(75);

const NEVER: u8 = 0;
const OVER_OWN: u8 = 1;
const ALONE: u8 = 2;
/// As guarded writes are: a result is written over whatever others have begun, and others may ask about the work.
const GUARDED: u8 = 3;

/// A kind of record with every policy that a kind can have.
#[derive(Clone, Debug)]
struct Work<const LATE: u8> {
    key: Key,
    /// Whether a claim whose lease is over is marked, and else taken over.
    marks: bool,
    is_renewed: bool,
    tells_when_dropped: bool,
}

/// What a record says: the number of a result, if there is one, and how old the claim was when it was written.
type Payload = (Option<u32>, u64);

impl Versioned<'_> for Payload {}

#[derive(Clone, Copy, Debug)]
enum Word {
    Done(u32),
    Failed,
    /// It was asked about, and is as unknown as before.
    StillUnknown,
    Nothing,
    /// More than a record holds. 7 is said in its place.
    TooLarge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Done(u32),
    NobodyKnows,
}

impl<const LATE: u8> Work<LATE> {
    fn on(ledger: &Ledger) -> Self {
        let key = ledger.key(RecordKind::Operation, &Fingerprint::of("test", [Some(&b"work"[..])]));
        Self { key, marks: LATE != NEVER, is_renewed: false, tells_when_dropped: false }
    }

    fn decide(&self, found: &Held) -> Result<Decision<Self, Known>, LedgerError> {
        let (done, _): Payload = found.payload("holds no work")?;
        Ok(match (found.record.state, done) {
            (State::Claimed, _) if !found.lease_left().is_zero() => Decision::Wait,
            // By chance, since nonces are drawn.
            (State::Claimed, _) if LATE == GUARDED && found.record.nonce.into_bytes()[0].is_multiple_of(2) => {
                Decision::TakeOver(Some(found.sender()))
            }
            (State::Claimed, _) if self.marks => {
                Decision::Mark(contents(State::Settled, (None, 0))?, Known::NobodyKnows)
            }
            (State::Settled, Some(number)) => Decision::Answer(Known::Done(number)),
            (State::Settled, None) => Decision::Answer(Known::NobodyKnows),
            _ => Decision::TakeOver(None),
        })
    }

    async fn acquire(&self, ledger: &Ledger, wait: Duration) -> Result<Acquired<Self, Known>, LedgerError> {
        let deadline = Deadline::after(Instant::now(), wait);
        ledger.acquire(self, || Ok(None), deadline, |found: &Held, _| self.decide(found)).await
    }

    async fn lease(&self, ledger: &Ledger) -> Box<Lease<Self>> {
        match self.acquire(ledger, Duration::ZERO).await {
            Ok(Acquired::Lease(lease)) => lease,
            other => panic!("no lease: {}", shown(&other)),
        }
    }

    async fn shown(&self, ledger: &Ledger) -> String {
        match self.acquire(ledger, Duration::ZERO).await {
            Ok(Acquired::Lease(lease)) if lease.carried().is_some() => "NobodyKnows".to_owned(),
            acquired => shown(&acquired),
        }
    }
}

fn shown<C: Claimable>(acquired: &Result<Acquired<C, Known>, LedgerError>) -> String {
    match acquired {
        Ok(Acquired::Lease(_)) => "lease".to_owned(),
        Ok(Acquired::Answer(known)) => format!("{known:?}"),
        Ok(Acquired::Busy { .. }) => "busy".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn contents(state: State, payload: Payload) -> Result<Contents, LedgerError> {
    let lease = if state == State::Claimed { LEASE } else { Duration::ZERO };
    let payload = payload.write(1).ok_or(LedgerError::Unreadable("cannot be written"))?;
    Ok(Contents { state, ttl: KEPT_FOR, lease, payload })
}

impl<const LATE: u8> Claimable for Work<LATE> {
    /// Whose work is asked about, where no work is done.
    type Carried = Option<Nonce>;
    type Word = Word;

    fn late_words(&self, word: Option<&Word>) -> LateWords {
        match LATE {
            NEVER => LateWords::None,
            OVER_OWN => LateWords::OverOwnClaim,
            GUARDED if matches!(word, Some(Word::StillUnknown)) => LateWords::OverOwnClaim,
            _ => LateWords::AlsoWhereNoRecordIs,
        }
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn claim(&self, _about: &Option<Nonce>, since: Instant) -> Result<Contents, LedgerError> {
        contents(State::Claimed, (None, millis(since.elapsed())))
    }

    fn last(&self, _about: &Option<Nonce>, word: &Word) -> Result<Option<Contents>, LedgerError> {
        match word {
            Word::Done(number) => contents(State::Settled, (Some(*number), 0)).map(Some),
            Word::Failed => contents(State::Failed, (None, 0)).map(Some),
            Word::StillUnknown => contents(State::Settled, (None, 0)).map(Some),
            Word::Nothing => Ok(None),
            Word::TooLarge => {
                let done = contents(State::Settled, (Some(7), 0))?;
                Ok(Some(Contents { payload: vec![0; 1 << 20], ..done }))
            }
        }
    }

    fn smaller(&self, word: &Word) -> Option<Word> {
        matches!(word, Word::TooLarge).then_some(Word::Done(7))
    }

    fn marks(&self, about: &Option<Nonce>, word: Option<&Word>) -> Option<Nonce> {
        about.filter(|_| matches!(word, None | Some(Word::StillUnknown)))
    }

    fn may_follow(&self, _: &Option<Nonce>, word: &Word, found: &Held, own: Nonce) -> Result<bool, LedgerError> {
        let (done, _): Payload = found.payload("holds no work")?;
        let is_executed = LATE == GUARDED && matches!(word, Word::Done(_)) && done.is_none();
        Ok(is_executed || found.is_mark_of(own))
    }

    fn if_orphaned(&self, about: &Option<Nonce>) -> Option<Word> {
        about.map(|_| Word::StillUnknown)
    }

    fn renewed(&self) -> Option<Duration> {
        self.is_renewed.then_some(LEASE)
    }

    fn if_dropped(&self) -> Option<Word> {
        self.tells_when_dropped.then_some(Word::Failed)
    }
}

fn process(way: &Way, timeout: Duration) -> Ledger {
    Ledger::new(Arc::new(way.clone()), "test".into(), timeout, Codec::default(), None)
}

/// Two processes over one store.
fn two() -> (Way, Ledger, Way, Ledger) {
    let shared = Shared::default();
    let (one, other) = (Way::to(&shared), Way::to(&shared));
    let (first, second) = (process(&one, Duration::from_secs(2)), process(&other, Duration::from_secs(2)));
    (one, first, other, second)
}

/// A lease of the first of two processes, with its way to the store, both of them, and the work.
async fn leased<const LATE: u8>() -> (Way, Ledger, Ledger, Work<LATE>, Box<Lease<Work<LATE>>>) {
    let (way, first, _, second) = two();
    let work = Work::on(&first);
    let lease = work.lease(&first).await;
    (way, first, second, work, lease)
}

async fn record(ledger: &Ledger, key: &Key) -> Option<Held> {
    ledger.get(key).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_last_word_is_written_over_a_mark_of_its_own_claim() {
    let (_, _, second, work, mut lease) = leased::<OVER_OWN>().await;
    sleep(LEASE).await;
    assert_eq!(work.shown(&second).await, "NobodyKnows");
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(true));
    assert_eq!(work.shown(&second).await, "Done(7)");
}

#[tokio::test(start_paused = true)]
async fn a_late_last_word_is_written_over_a_mark_of_its_own_claim() {
    let (way, _, second, work, mut lease) = leased::<ALONE>().await;
    way.cut();
    assert!(lease.conclude(Word::Done(7)).await.is_err());
    sleep(LEASE).await;
    assert_eq!(work.shown(&second).await, "NobodyKnows");
    way.mend();
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(work.shown(&second).await, "Done(7)");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_never_follows_a_mark() {
    let (way, first, _, second) = two();
    let work = Work::<OVER_OWN> { is_renewed: true, ..Work::on(&first) };
    let mut lease = work.lease(&first).await;
    way.cut();
    let working = tokio::spawn(async move {
        lease.during(sleep(LEASE * 3)).await;
        lease
    });
    sleep(LEASE).await;
    assert_eq!(work.shown(&second).await, "NobodyKnows");
    way.mend();
    sleep(LEASE).await;
    assert_eq!(record(&second, &work.key).await.unwrap().record.state, State::Settled);
    assert_eq!(working.await.unwrap().conclude(Word::Done(7)).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_last_word_is_never_written_over_another_ones_claim_or_word() {
    for word in [Word::Done(1), Word::Failed, Word::Nothing] {
        let (_, first, _, second) = two();
        let work = Work::<OVER_OWN> { marks: false, ..Work::on(&first) };
        let mut late = work.lease(&first).await;
        sleep(LEASE).await;
        let mut taken = work.lease(&second).await;
        assert!(taken.took_over());
        assert_eq!(late.conclude(word).await, Ok(false));
        assert_eq!(taken.conclude(Word::Done(2)).await, Ok(true));
        assert_eq!(late.conclude(word).await, Ok(false));
        assert_eq!(work.shown(&first).await, "Done(2)");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_stands_when_its_lease_is_dropped_unless_the_kind_says_otherwise() {
    for tells in [false, true] {
        let (_, first, _, second) = two();
        let work = Work::<NEVER> { tells_when_dropped: tells, ..Work::on(&first) };
        drop(work.lease(&first).await);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(work.shown(&second).await, if tells { "lease" } else { "busy" });
    }
}

#[tokio::test(start_paused = true)]
async fn late_words_are_said_as_the_kind_says() {
    async fn left<const LATE: u8>(record_is_gone: bool) -> Option<State> {
        let (way, _, second, work, mut lease) = leased::<LATE>().await;
        way.cut();
        assert!(lease.conclude(Word::Done(7)).await.is_err());
        if record_is_gone {
            let held = record(&second, &work.key).await.unwrap();
            second.remove(&work.key, &held).await.unwrap();
        }
        way.mend();
        sleep(LATE_WORDS_ARE_OVER).await;
        record(&second, &work.key).await.map(|held| held.record.state)
    }
    assert_eq!([left::<NEVER>(false).await, left::<NEVER>(true).await], [Some(State::Claimed), None]);
    assert_eq!([left::<OVER_OWN>(false).await, left::<OVER_OWN>(true).await], [Some(State::Settled), None]);
    assert_eq!([left::<ALONE>(false).await, left::<ALONE>(true).await], [Some(State::Settled), Some(State::Settled)]);
}

#[tokio::test(start_paused = true)]
async fn a_late_word_where_no_record_is_has_bytes_of_its_own() {
    let (way, _, second, work, mut lease) = leased::<ALONE>().await;
    way.script([Fate::ReplyLost, Fate::Broken]);
    assert!(lease.conclude(Word::Done(7)).await.is_err());
    let settled = record(&second, &work.key).await.unwrap();
    second.remove(&work.key, &settled).await.unwrap();
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(work.shown(&second).await, "Done(7)");
    way.shared.assert_no_bytes_stood_twice();
}

#[test]
fn a_lease_is_over_where_the_system_counted_more_time_than_this_process() {
    let (asked, slept) = (Duration::from_secs(2), Duration::from_secs(9));
    for (by_system, expected) in [
        (Some(asked), asked),
        (Some(asked + Duration::from_secs(1)), asked),
        (Some(Duration::ZERO), asked),
        (None, asked),
        (Some(slept), Duration::MAX),
    ] {
        assert_eq!(lease_end::held_for(asked, asked, by_system), expected, "{by_system:?}");
    }
    // Where a test pauses the runtime's clock, what really passes says nothing.
    assert_eq!(lease_end::held_for(asked, slept, Some(slept)), asked);
}

#[tokio::test(start_paused = true)]
async fn renewals_do_not_make_an_age_smaller_than_the_time_since_the_claim() {
    let (way, first, _, second) = two();
    let work = Work::<NEVER> { is_renewed: true, ..Work::on(&first) };
    let begun = Instant::now();
    let mut lease = work.lease(&first).await;
    way.script([Fate::Made, Fate::ReplyLost, Fate::ReplyLost, Fate::Broken, Fate::Made, Fate::ReplyLost]);
    let looking = async {
        for _ in 0..40 {
            sleep(Duration::from_millis(900)).await;
            let held = record(&second, &work.key).await.unwrap();
            let (_, age_ms): Payload = held.payload("holds no work").unwrap();
            assert!(Duration::from_millis(age_ms) + held.age >= begun.elapsed(), "{age_ms} ms, {:?}", begun.elapsed());
        }
    };
    lease.during(looking).await;
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn an_orphan_is_removed_as_a_claim_and_as_a_mark_of_it() {
    for marked in [false, true] {
        let (way, first, _, second) = two();
        let work = Work::<OVER_OWN>::on(&first);
        way.script([Fate::ReplyLost, Fate::ReplyLost]);
        assert!(work.acquire(&first, Duration::ZERO).await.is_err());
        way.cut();
        if marked {
            sleep(LEASE).await;
            assert_eq!(work.shown(&second).await, "NobodyKnows");
        }
        way.mend();
        sleep(LATE_WORDS_ARE_OVER).await;
        assert_eq!(work.shown(&second).await, "lease", "marked: {marked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_dropped_while_it_is_asked_for_is_removed() {
    let (way, first, _, second) = two();
    let work = Work::<OVER_OWN>::on(&first);
    way.script([Fate::StopsAfter(Duration::from_secs(1))]);
    let asking = work.acquire(&first, Duration::ZERO);
    assert!(timeout(Duration::from_millis(500), asking).await.is_err());
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(work.shown(&second).await, "lease");
}

#[tokio::test(start_paused = true)]
async fn the_late_first_try_of_a_claim_does_not_pass_for_the_second() {
    let (way, first, _, second) = two();
    let work = Work::<OVER_OWN>::on(&first);
    way.script([Fate::MadeLate(Duration::from_secs(6))]);
    let mut lease = work.lease(&first).await;
    second.void(&work.key, Duration::from_secs(5)).await.unwrap();
    sleep(Duration::from_millis(6_500)).await;
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(false), "what was voided meanwhile is settled");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_held_from_before_it_was_asked_for() {
    let (way, first, _, _) = two();
    way.script([Fate::StopsAfter(Duration::from_millis(1_500))]);
    let lease = Work::<NEVER>::on(&first).lease(&first).await;
    assert!(lease.held_for() >= Duration::from_millis(1_500), "{:?}", lease.held_for());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_gets_what_the_holder_says_or_hears_how_long_it_still_is() {
    let (_, _, second, work, mut lease) = leased::<NEVER>().await;
    let waiting = work.acquire(&second, Duration::from_secs(1));
    let Ok(Acquired::Busy { lease_left }) = waiting.await else { panic!("not busy") };
    assert!(lease_left > Duration::from_secs(8) && lease_left <= LEASE, "{lease_left:?}");
    let (answer, _) = tokio::join!(work.acquire(&second, Duration::from_secs(60)), async {
        sleep(Duration::from_secs(3)).await;
        lease.conclude(Word::Done(7)).await
    });
    assert_eq!(shown(&answer), "Done(7)");
}

#[tokio::test(start_paused = true)]
async fn in_the_place_of_a_word_that_is_too_large_a_smaller_one_is_said() {
    let (_, first, _, second) = two();
    let work = Work::<NEVER>::on(&first);
    assert_eq!(work.lease(&first).await.conclude(Word::TooLarge).await, Ok(true));
    assert_eq!(work.shown(&second).await, "Done(7)");
}
