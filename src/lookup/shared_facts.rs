//! One flight per payment across all processes that share a store.
//!
//! | what is found | what happens |
//! |---|---|
//! | facts, fresh enough | they are the answer: one round trip |
//! | nothing, or facts too old | this process leads: it asks the provider, and settles in a second round trip |
//! | another process's claim, its lease running | this one waits while it has callers, looking again at a growing pace |
//! | a claim whose lease is over | one of those who see it takes over, by compare-and-swap |
//! | what came of the very claim waited for, or of one made since | it is the answer, or this one's failure too |
//! | no answer from the store | this process asks alone, and says so |

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::call::deadline::{Deadline, is_recent};
use crate::call::error::CallError;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::ledger::{
    Acquired, Bound, Decision, FAILED_FOR, Held, Key, Lease, Ledger, LedgerError, Nonce, RecordKind, SharedFailure,
    State, millis,
};
use crate::lock::Lock;
use crate::lookup::error::ValidateError;
use crate::lookup::facts_cache::{FactsCache, ReadTicket};
use crate::lookup::facts_flight::FactsFlight;
use crate::moment::Moment;
use crate::payment::facts::ProviderPayment;
use crate::payment::judge::Rules;
use crate::payment::order::is_added;
use crate::provider::ProviderIdentity;
use crate::store::line::{ALIVE_FOR, Line};

mod aliases;
#[cfg(test)]
mod golden;
mod kept;
mod record;
mod version_1;

pub use kept::StoredFacts;
pub(crate) use record::FactsRecord;

/// How long a forgotten payment's place is kept, so that a claim which was long under way does not slip in behind.
const VOID_FOR: Duration = Duration::from_secs(5);

/// The facts of a service in its store.
#[derive(Debug)]
pub(crate) struct SharedFacts {
    pub(crate) ledger: Ledger,
    pub(crate) identity: Arc<ProviderIdentity>,
    pub(crate) lease: Duration,
    pub(crate) renew: bool,
    pub(crate) retention: Duration,
    /// How long facts of the store are served from memory without asking it again.
    pub(crate) memory_for: Duration,
    /// How long a look-up lasts at most, with the calls to the store.
    pub(crate) longest_look_up: Duration,
    /// Tells the facts in memory what changes in the store, where that announces it.
    pub(crate) line: Option<Arc<dyn Line>>,
}

/// What the provider said, with how long before it was written that was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    age_ms: u64,
    /// The metadata keys that were kept. A reader who needs others knows nothing by these facts.
    keys: Vec<Box<str>>,
    /// Boxed, as from here on they are handed on a dozen times.
    facts: Box<ProviderPayment>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Payload {
    known: Option<Known>,
    failure: Option<SharedFailure>,
    /// How long before it was written the claim was made: renewed, it is older than its record.
    claimed_ms: u64,
}

/// Facts of any age, with the moment when the provider stated them.
#[derive(Clone, Debug)]
pub(crate) struct Older {
    keys: Vec<Box<str>>,
    facts: Box<ProviderPayment>,
    at: Moment,
}

impl Older {
    fn of(known: Known, held: &Held) -> Self {
        let age = Duration::from_millis(known.age_ms).saturating_add(held.age_of_contents());
        Self { at: Moment::before(held.asked_at, age), keys: known.keys, facts: known.facts }
    }

    fn found(self, held: &Held, waited: bool) -> Found {
        let (ttl_left, asked_at) = (held.ttl_left(), held.asked_at);
        Found { facts: self.facts, at: self.at, ttl_left, waited, asked_at, ticket: None }
    }

    /// As it is to be written now.
    fn known(&self) -> Known {
        Known { age_ms: millis(self.at.age()), keys: self.keys.clone(), facts: self.facts.clone() }
    }
}

/// Facts from the store.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) facts: Box<ProviderPayment>,
    /// When the provider stated them; rather too early than too late.
    pub(crate) at: Moment,
    /// How long the record still lives.
    pub(crate) ttl_left: Duration,
    /// Whether another process was asking, and this one waited for it.
    pub(crate) waited: bool,
    /// When they were asked for: whatever was forgotten before that, they do not bring back.
    pub(crate) asked_at: Instant,
    /// By which they may be covered in memory, taken before they were asked for.
    pub(crate) ticket: Option<ReadTicket>,
}

impl Found {
    /// What another call of this process had asked for before the ticket was taken is not covered by it.
    fn with(self, ticket: Option<ReadTicket>) -> Self {
        Self { ticket: ticket.filter(|ticket| ticket.taken_at <= self.asked_at), ..self }
    }
}

/// How a flight goes on after a look into the store.
#[derive(Debug)]
pub(crate) enum JoinedElsewhere {
    Found(Box<Found>),
    Leads(Box<Lease<FactsRecord>>),
    /// The flight waited for has failed.
    Failed(ValidateError),
    /// The store does not answer.
    Alone(LedgerError),
}

impl SharedFacts {
    fn key(&self, payment: &PaymentId) -> Key {
        self.key_at(&self.identity, payment)
    }

    /// Has the facts in memory told what changes here.
    fn keep_line_up(&self) {
        if let Some(line) = &self.line {
            line.keep_up();
        }
    }

    /// How long an alias is believed from memory. A line tells of facts alone, so that what else is kept beside one ends as
    /// soon as facts may that were forgotten.
    pub(crate) fn alias_memory_for(&self) -> Duration {
        if self.line.is_some() { self.memory_for.min(ALIVE_FOR) } else { self.memory_for }
    }

    fn key_at(&self, identity: &ProviderIdentity, payment: &PaymentId) -> Key {
        self.ledger.key(RecordKind::Facts, &identity.fingerprint("facts", &[payment.as_str()]))
    }

    /// Looks for facts that are fresh and as recent as the flight wants them, or takes the lead, or waits for the process that
    /// has it. A claim answers the flight if it was made within the same time, or since the flight began.
    pub(crate) async fn join(
        self: &Arc<Self>,
        rules: &Rules,
        cache: &FactsCache,
        flight: &Arc<FactsFlight>,
        deadline: Deadline,
    ) -> Result<JoinedElsewhere, ValidateError> {
        self.keep_line_up();
        let record = FactsRecord { shared: Arc::clone(self), key: self.key(flight.key()), flight: Arc::clone(flight) };
        let (begun, notes, max_age) = (Instant::now(), flight.notes(), flight.notes().contents());
        let (first_found, ticket) = (OnceLock::new(), Lock::default());
        let before_claim = || {
            *ticket.lock() = cache.ticket(record.key.text());
            Ok(None)
        };
        let decide = |held: &Held, waited_for| {
            let payload = read(held)?;
            // By how long it was under way when this call began, so that a call that joined it stays with it.
            let claimed_ms = Duration::from_millis(payload.claimed_ms);
            let claimed_at = Moment::before(held.asked_at, held.age_of_contents().saturating_add(claimed_ms));
            // What stands where another record stood was claimed since the first look, whatever the clocks say.
            let (first, looked_at) = *first_found.get_or_init(|| (held.record.nonce, held.asked_at));
            let is_new = first != held.record.nonce;
            let joins = is_new || is_recent(claimed_at.age_at(begun), max_age);
            if held.record.state == State::Claimed && !held.lease_left().is_zero() && joins {
                let seems_older = !claimed_at.age_at(looked_at).is_zero();
                let since = if is_new && seems_older { Moment::at(looked_at) } else { claimed_at };
                notes.attempt_started(Some(since));
                return Ok(Decision::Wait);
            }
            let decision = decide(rules, held, payload, (waited_for, is_new), max_age);
            // It came to its end unseen, so that its claim is not known. That of one waited for is, or that of one before it.
            if is_new && waited_for.is_none() && matches!(decision, Decision::Answer(_)) {
                notes.attempt_started(Some(Moment::at(looked_at)));
            }
            Ok(decision)
        };
        match self.ledger.acquire(&record, before_claim, deadline, decide).await {
            Ok(Acquired::Lease(lease)) => {
                notes.attempt_started(None);
                Ok(JoinedElsewhere::Leads(lease))
            }
            Ok(Acquired::Answer(Answer::Facts(found))) => {
                let ticket = *ticket.lock();
                Ok(JoinedElsewhere::Found(Box::new(found.with(ticket))))
            }
            Ok(Acquired::Answer(Answer::Failed(failure))) => {
                Ok(JoinedElsewhere::Failed(CallError::from(failure).into()))
            }
            Ok(Acquired::Busy { lease_left }) => Ok(JoinedElsewhere::Failed(ValidateError::in_progress(lease_left))),
            Err(error) if error.leaves_to_provider() => Ok(JoinedElsewhere::Alone(error)),
            Err(error) => Err(error.into()),
        }
    }

    /// What stands in the store about payments and may serve now, in their order; nothing where there is none, or none that can
    /// be read. `None` where the store does not answer.
    pub(crate) async fn standing<'p>(
        &self,
        rules: &Rules,
        cache: &FactsCache,
        payments: impl Iterator<Item = &'p PaymentId>,
    ) -> Option<Vec<Option<Found>>> {
        self.keep_line_up();
        let keys: Vec<Key> = payments.map(|payment| self.key(payment)).collect();
        let tickets: Vec<Option<ReadTicket>> = keys.iter().map(|key| cache.ticket(key.text())).collect();
        let standing = |held: Result<Option<Held>, LedgerError>| {
            let held = held.ok()?.filter(|held| held.record.state == State::Settled)?;
            let mut older = read(&held).ok()?.known.map(|known| Older::of(known, &held));
            found(rules, &held, &mut older, false, Duration::MAX, false)
        };
        let reads = self.ledger.get_many(&keys).await;
        if reads.iter().all(|read| read.as_ref().is_err_and(LedgerError::is_down)) {
            return None;
        }
        let found = reads.into_iter().map(standing).zip(tickets);
        Some(found.map(|(found, ticket)| Some(found?.with(ticket))).collect())
    }

    /// Facts of any age, for times when the provider is down.
    pub(crate) async fn older(&self, rules: &Rules, payment: &PaymentId) -> Option<Found> {
        let held = self.ledger.get(&self.key(payment)).await.ok()??;
        let older = Older::of(read(&held).ok()?.known.filter(|known| covers(&known.keys, rules))?, &held);
        let lasts = rules.shelf_life(&older.facts).lasting && older.at.age() < self.retention;
        lasts.then(|| older.found(&held, false))
    }

    /// Forgets a payment of an account, this validator's or another, and keeps flights under way anywhere from settling.
    pub(crate) async fn forget(&self, identity: &ProviderIdentity, payment: &PaymentId) -> Result<(), LedgerError> {
        self.ledger.void(&self.key_at(identity, payment), VOID_FOR).await
    }

    /// Binds a caller's key to the claims it first came with.
    pub(crate) async fn bind_key(&self, key: &Fingerprint, intent: &PaymentIntent) -> Result<Bound, LedgerError> {
        let key = self.ledger.key(RecordKind::Key, key);
        self.ledger.bind(&key, intent.fingerprint().as_bytes(), self.retention).await
    }

    /// How much longer what was known is kept.
    fn remembers(&self, older: Option<&Older>) -> Duration {
        older.map_or(Duration::ZERO, |older| self.retention.saturating_sub(older.at.age()))
    }
}

/// What a record says to a call.
enum Answer {
    Facts(Box<Found>),
    /// The flight that was waited for has failed.
    Failed(SharedFailure),
}

/// What a record has for this call: facts, the failure that was waited for, or nothing but its place.
fn decide(
    rules: &Rules,
    held: &Held,
    payload: Payload,
    (waited_for, is_new): (Option<Nonce>, bool),
    max_age: Duration,
) -> Decision<FactsRecord, Answer> {
    let Payload { known, failure, .. } = payload;
    let mut older = known.map(|known| Older::of(known, held));
    let is_awaited = is_new || waited_for == Some(held.record.nonce);
    match (held.record.state, failure) {
        (State::Settled, _) => {
            if let Some(found) = found(rules, held, &mut older, is_awaited, max_age, waited_for.is_some()) {
                return Decision::Answer(Answer::Facts(Box::new(found)));
            }
        }
        (State::Failed, Some(failure)) if is_awaited && held.age < FAILED_FOR => {
            return Decision::Answer(Answer::Failed(failure));
        }
        _ => {}
    }
    Decision::TakeOver(older.map(Box::new))
}

/// Takes the facts of a settled record, if this validator can use them and they are recent, or those that were awaited.
fn found(
    rules: &Rules,
    held: &Held,
    older: &mut Option<Older>,
    is_awaited: bool,
    max_age: Duration,
    waited: bool,
) -> Option<Found> {
    let fits = |older: &mut Older| {
        covers(&older.keys, rules)
            && says_enough(&older.facts)
            && (is_awaited && held.age_of_contents() < FAILED_FOR
                || is_fresh(&older.facts, older.at.age(), rules, max_age))
    };
    older.take_if(fits).map(|older| older.found(held, waited))
}

fn is_fresh(facts: &ProviderPayment, age: Duration, rules: &Rules, max_age: Duration) -> bool {
    age < rules.shelf_life(facts).fresh_for && is_recent(age, max_age)
}

/// Whether nothing is missing that a verdict on money rests on. Facts of version 1 say nothing of fraud, of the method, or of
/// whether a dispute may still be won, so they serve for times when the provider is down alone.
fn says_enough(facts: &ProviderPayment) -> bool {
    facts.fraud.is_some() || !facts.status.rests_on_money()
}

fn covers(keys: &[Box<str>], rules: &Rules) -> bool {
    rules.kept_keys().all(|needed| keys.iter().any(|key| **key == *needed))
}

/// The keys that a record covers which is written by these rules over one that covers others'. What comes of another
/// process's settings, this one cannot have kept.
fn own_and_others(rules: &Rules, others: &[Box<str>]) -> Vec<Box<str>> {
    let is_kept = |key: &&str| !is_added(key) && rules.kept_keys().all(|own| own != *key);
    others.iter().map(|key| &**key).filter(is_kept).chain(rules.kept_keys()).map(Box::from).collect()
}

fn read(held: &Held) -> Result<Payload, LedgerError> {
    if held.record.payload.is_empty() {
        return Ok(Payload::default());
    }
    enough(held.payload("holds no facts"))
}

/// A version that says too little is a miss: asking the provider again is all that it costs.
fn enough(read: Result<Payload, LedgerError>) -> Result<Payload, LedgerError> {
    match read {
        Err(LedgerError::NotEnough { .. }) => Ok(Payload::default()),
        read => read,
    }
}
