//! The protocol of leases, driven through a store that loses replies, makes commands late, and stops processes.

mod assumed;
mod chances;
mod leases;
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
