//! One flight per payment across all processes that share a store.
//!
//! | what is found | what happens |
//! |---|---|
//! | facts, fresh enough | they are the answer: one round trip |
//! | nothing, or facts too old | this process leads: it asks the provider, and settles in a second round trip |
//! | another process's claim, its lease running | this one waits, looking again at a growing pace |
//! | a claim whose lease is over | one of those who see it takes over, by compare-and-swap |
//! | a failure of the very claim waited for | it is this one's failure too |
//! | no answer from the store | this process asks alone, and says so |

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use crate::deadline::{Deadline, is_recent};
use crate::error::{Kind as ErrorKind, ValidateError};
use crate::facts::ProviderPayment;
use crate::fingerprint::Fingerprint;
use crate::intent::{PaymentId, PaymentIntent};
use crate::judge::Rules;
use crate::ledger::{
    Claimed, Entry, FAILED_FOR, Held, Key, Kind, Ledger, LedgerError, Nonce, Ours, Poll, Replaced, State, millis,
    payload_of, renewal_pace, while_renewing,
};
use crate::moment::Moment;
use crate::provider::ProviderIdentity;

mod kept;

pub use kept::KeptFacts;

/// How long a forgotten payment's place is kept, so that a claim which was long under way does not slip in behind.
const VOID_FOR: Duration = Duration::from_secs(5);

/// Past its lease a claim stays this many leases, so that whoever takes over knows that somebody was there.
const CLAIM_TTL_IN_LEASES: u32 = 2;

/// Somebody else must have been faster each time; past this many something is wrong.
const MOST_ROUNDS: u32 = 10_000;

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
}

/// What the provider said, with how long before it was written that was.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    age_ms: u64,
    /// The metadata keys that were kept. A reader who needs others knows nothing by these facts.
    keys: Vec<Box<str>>,
    facts: ProviderPayment,
}

/// Why a flight failed, for those who waited for it elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Failure {
    code: Box<str>,
    retry_after_ms: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Payload {
    known: Option<Known>,
    failure: Option<Failure>,
    /// How long before it was written the claim was made: renewed, it is older than its record.
    claimed_ms: u64,
}

/// Facts of any age, with the moment when the provider stated them.
#[derive(Clone, Debug)]
struct Older {
    keys: Vec<Box<str>>,
    facts: ProviderPayment,
    at: Moment,
}

impl Older {
    fn of(known: Known, held: &Held) -> Self {
        let age = Duration::from_millis(known.age_ms).saturating_add(held.age_of_contents());
        Self { at: Moment::before(held.asked_at, age), keys: known.keys, facts: known.facts }
    }

    /// As it is to be written now.
    fn known(&self) -> Known {
        Known { age_ms: millis(self.at.age()), keys: self.keys.clone(), facts: self.facts.clone() }
    }
}

/// What a caller's key stands for in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Anew,
    /// To the same claims, and for less than the whole retention.
    Before,
    ToOthers,
}

/// Facts from the store.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) facts: ProviderPayment,
    /// When the provider stated them; rather too early than too late.
    pub(crate) at: Moment,
    /// How long the record still lives.
    pub(crate) ttl_left: Duration,
    /// Whether another process was asking, and this one waited for it.
    pub(crate) waited: bool,
    /// When they were asked for: whatever was forgotten before that, they do not bring back.
    pub(crate) asked_at: Instant,
}

/// How a flight goes on after a look into the store.
#[derive(Debug)]
pub(crate) enum Boarded {
    Found(Found),
    Leads(Lease),
    /// The flight waited for has failed.
    Failed(ValidateError),
    /// The store does not answer.
    Alone(LedgerError),
}

impl SharedFacts {
    fn key(&self, payment: &PaymentId) -> Key {
        self.key_at(&self.identity, payment)
    }

    fn key_at(&self, identity: &ProviderIdentity, payment: &PaymentId) -> Key {
        self.ledger.key(Kind::Facts, &identity.fingerprint("facts", &[payment.as_str()]))
    }

    /// Looks for facts that are fresh and no older than `max_age`, or takes the lead, or waits for who has it.
    pub(crate) async fn board(
        self: &Arc<Self>,
        rules: &Rules,
        payment: &PaymentId,
        max_age: Duration,
        deadline: Deadline,
        waits_since: impl Fn(Option<Moment>),
    ) -> Result<Boarded, ValidateError> {
        match self.look(rules, payment, max_age, deadline, waits_since).await {
            Ok(boarded) => Ok(boarded),
            Err(error) if error.is_down() => Ok(Boarded::Alone(error)),
            Err(error) => Err(error.into()),
        }
    }

    async fn look(
        self: &Arc<Self>,
        rules: &Rules,
        payment: &PaymentId,
        max_age: Duration,
        deadline: Deadline,
        waits_since: impl Fn(Option<Moment>),
    ) -> Result<Boarded, LedgerError> {
        let (key, begun) = (self.key(payment), Instant::now());
        let mut poll = Poll::new();
        let mut waited_for = None;
        for _ in 0..MOST_ROUNDS {
            let asked_at = Instant::now();
            let held = match self.ledger.claim(&key, self.claim_entry(Nonce::draw()?, 1, None)).await? {
                Claimed::Ours(ours) => {
                    waits_since(None);
                    return Ok(Boarded::Leads(self.lease(key, ours, None, asked_at, false)));
                }
                Claimed::Held(held) => held,
            };
            let Payload { known, failure, claimed_ms } = read(&held)?;
            let mut older = known.map(|known| Older::of(known, &held));
            let is_awaited = waited_for == Some(held.record.nonce);
            match (held.record.state, failure) {
                (State::Settled, _) => {
                    let waited = waited_for.is_some();
                    if let Some(found) = found(rules, &held, &mut older, is_awaited, max_age, waited) {
                        return Ok(Boarded::Found(found));
                    }
                }
                (State::Claimed, _) if !held.lease_left().is_zero() => {
                    let age = held.age_of_contents().saturating_add(Duration::from_millis(claimed_ms));
                    let claimed_at = Moment::before(held.asked_at, age);
                    // By how long it was under way when this call began, so that who joined it stays with it.
                    if is_recent(claimed_at.age_at(begun), max_age) {
                        waited_for = Some(held.record.nonce);
                        waits_since(Some(claimed_at));
                        if !poll.wait(held.lease_left(), deadline).await {
                            let wait = Some(held.lease_left());
                            return Ok(Boarded::Failed(ValidateError::after_attempts(
                                ErrorKind::InProgress,
                                wait,
                                vec![],
                            )));
                        }
                        continue;
                    }
                }
                (State::Failed, Some(failure)) if is_awaited && held.age < FAILED_FOR => {
                    return Ok(Boarded::Failed(failure.into()));
                }
                _ => {}
            }
            let generation = held.record.generation.saturating_add(1);
            let asked_at = Instant::now();
            let entry = self.claim_entry(Nonce::draw()?, generation, older.as_ref());
            if let Replaced::Ours(ours) = self.ledger.take_over(&key, &held, entry).await? {
                waits_since(None);
                let is_late = held.record.state == State::Claimed && held.lease_left().is_zero();
                return Ok(Boarded::Leads(self.lease(key, ours, older, asked_at, is_late)));
            }
        }
        Err(LedgerError::Contended)
    }

    /// Facts of any age, for times when the provider is down.
    pub(crate) async fn older(&self, rules: &Rules, payment: &PaymentId) -> Option<Found> {
        let held = self.ledger.get(&self.key(payment)).await.ok()??;
        let Older { at, facts, .. } =
            Older::of(read(&held).ok()?.known.filter(|known| covers(&known.keys, rules))?, &held);
        let lasts = rules.shelf_life(&facts).lasting && at.age() < self.retention;
        lasts.then(|| Found { facts, at, ttl_left: held.ttl_left(), waited: false, asked_at: held.asked_at })
    }

    /// Forgets a payment of an account, this validator's or another, and keeps flights under way anywhere from settling.
    pub(crate) async fn forget(&self, identity: &ProviderIdentity, payment: &PaymentId) -> Result<(), LedgerError> {
        self.ledger.void(&self.key_at(identity, payment), VOID_FOR).await
    }

    /// Binds a caller's key to the claims it first came with.
    pub(crate) async fn bind_key(&self, key: &Fingerprint, intent: &PaymentIntent) -> Result<Bound, LedgerError> {
        let key = self.ledger.key(Kind::Key, key);
        let claims = intent.fingerprint().as_bytes();
        let entry = Entry {
            state: State::Settled,
            nonce: Nonce::draw()?,
            generation: 1,
            ttl: self.retention,
            lease: Duration::ZERO,
            payload: claims.to_vec(),
        };
        Ok(match self.ledger.claim(&key, entry).await? {
            Claimed::Ours(_) => Bound::Anew,
            Claimed::Held(held) if held.record.payload == claims => Bound::Before,
            Claimed::Held(_) => Bound::ToOthers,
        })
    }

    fn claim_entry(&self, nonce: Nonce, generation: u32, older: Option<&Older>) -> Entry {
        let ttl = self.lease.saturating_mul(CLAIM_TTL_IN_LEASES).max(self.remembers(older));
        let payload = write(older.map(Older::known).as_ref(), None, Duration::ZERO);
        Entry { state: State::Claimed, nonce, generation, ttl, lease: self.lease, payload }
    }

    /// How much longer what was known is kept.
    fn remembers(&self, older: Option<&Older>) -> Duration {
        older.map_or(Duration::ZERO, |older| self.retention.saturating_sub(older.at.age()))
    }

    fn lease(
        self: &Arc<Self>,
        key: Key,
        ours: Ours,
        older: Option<Older>,
        claimed_at: Instant,
        taken_over: bool,
    ) -> Lease {
        Lease { shared: Arc::clone(self), key, ours: Some(ours), older, claimed_at, taken_over }
    }
}

/// The lead of a flight across processes. Dropped without an end, as by a panic, it is given up.
#[derive(Debug)]
pub(crate) struct Lease {
    shared: Arc<SharedFacts>,
    key: Key,
    ours: Option<Ours>,
    /// What was known before, so that a failure does not lose it.
    older: Option<Older>,
    claimed_at: Instant,
    /// Whether somebody else had it, and did not come back in time.
    pub(crate) taken_over: bool,
}

impl Lease {
    /// When the claim was sent: who came before that comes before whatever was forgotten since.
    pub(crate) fn claimed_at(&self) -> Instant {
        self.claimed_at
    }

    /// The metadata keys that others have kept so far.
    pub(crate) fn keys(&self) -> &[Box<str>] {
        self.older.as_ref().map_or(&[], |older| &older.keys)
    }

    /// Goes through the work, and renews the lease meanwhile if that is asked for.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(ours) = self.ours.as_ref().filter(|_| self.shared.renew) else { return work.await };
        let pace = renewal_pace(self.shared.lease);
        let renewing = async {
            let mut ours = ours.clone();
            loop {
                sleep(pace).await;
                let entry = Entry {
                    payload: write(self.older.as_ref().map(Older::known).as_ref(), None, self.claimed_at.elapsed()),
                    ..self.shared.claim_entry(ours.record.nonce, ours.record.generation, self.older.as_ref())
                };
                // Lost is lost; an error may pass until the next time.
                match self.shared.ledger.settle(&self.key, &ours, entry).await {
                    Ok(Replaced::Ours(renewed)) => ours = renewed,
                    Ok(Replaced::Lost(_)) => return pending().await,
                    Err(_) => {}
                }
            }
        };
        while_renewing(work, renewing).await
    }

    /// Writes what the provider said. False when the lease was lost: what is stored now is somebody else's.
    pub(crate) async fn settle(
        mut self,
        rules: &Rules,
        facts: &ProviderPayment,
        at: Moment,
    ) -> Result<bool, LedgerError> {
        let Some(ours) = self.ours.take() else { return Ok(false) };
        let (age, shelf_life) = (at.age(), rules.shelf_life(facts));
        let lives = if shelf_life.lasting { self.shared.retention } else { shelf_life.fresh_for };
        // However short they live, those who waited for them take them.
        let ttl = lives.saturating_sub(age).max(FAILED_FOR);
        let own = rules.kept_keys().map(Box::from);
        let mut keys = self.older.take().map(|older| older.keys).unwrap_or_default();
        keys.retain(|key| !own.contains(key));
        keys.extend(own);
        let known = Known { age_ms: millis(age), keys, facts: facts.clone() };
        let (nonce, generation) = (ours.record.nonce, ours.record.generation);
        let payload = write(Some(&known), None, Duration::ZERO);
        let entry = Entry { state: State::Settled, nonce, generation, ttl, lease: Duration::ZERO, payload };
        match self.shared.ledger.settle(&self.key, &ours, entry).await {
            Ok(Replaced::Ours(_)) => Ok(true),
            Ok(Replaced::Lost(_)) => Ok(false),
            Err(error) => {
                // So that nobody waits for the end of a lease behind which there is nobody. A store that hangs, hangs.
                if !matches!(error, LedgerError::TimedOut { .. }) {
                    let _ = self.shared.ledger.release(&self.key, &ours).await;
                }
                Err(error)
            }
        }
    }

    /// Lets those who wait elsewhere fail with it, or take over where the cause was this process's own.
    pub(crate) async fn fail(mut self, error: &ValidateError) -> Result<(), LedgerError> {
        let Some(ours) = self.ours.take() else { return Ok(()) };
        let older_for = self.shared.remembers(self.older.as_ref());
        let failure = error
            .is_for_all()
            .then(|| Failure { code: error.code().into(), retry_after_ms: error.retry_after().map(millis) });
        if failure.is_none() && older_for.is_zero() {
            self.shared.ledger.release(&self.key, &ours).await?;
            return Ok(());
        }
        let (nonce, generation) = (ours.record.nonce, ours.record.generation);
        let ttl = older_for.max(FAILED_FOR);
        let payload = write(self.older.as_ref().map(Older::known).as_ref(), failure, Duration::ZERO);
        let entry = Entry { state: State::Failed, nonce, generation, ttl, lease: Duration::ZERO, payload };
        self.shared.ledger.settle(&self.key, &ours, entry).await?;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(ours) = self.ours.take() else { return };
        // The provider's code panicked. Without a runtime the lease ends by itself.
        if let Ok(runtime) = Handle::try_current() {
            let older = self.older.take();
            let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
            let (claimed_at, taken_over) = (self.claimed_at, self.taken_over);
            runtime.spawn(async move {
                // Made in here: a runtime that is shutting down drops this before it begins.
                let lease = Self { shared, key, ours: Some(ours), older, claimed_at, taken_over };
                // A failure here means no more than that others wait for the end of the lease.
                let _ = lease.fail(&ValidateError::new(ErrorKind::LeaderLost)).await;
            });
        }
    }
}

/// Takes the facts of a settled record, if they are good for this validator and recent enough. Those of the flight that
/// was waited for are.
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
            && (is_awaited && held.age_of_contents() < FAILED_FOR
                || is_fresh(&older.facts, older.at.age(), rules, max_age))
    };
    let Older { facts, at, .. } = older.take_if(fits)?;
    Some(Found { facts, at, ttl_left: held.ttl_left(), waited, asked_at: held.asked_at })
}

fn is_fresh(facts: &ProviderPayment, age: Duration, rules: &Rules, max_age: Duration) -> bool {
    age < rules.shelf_life(facts).fresh_for && is_recent(age, max_age)
}

fn covers(keys: &[Box<str>], rules: &Rules) -> bool {
    rules.kept_keys().iter().all(|needed| keys.iter().any(|key| **key == **needed))
}

fn read(held: &Held) -> Result<Payload, LedgerError> {
    if held.record.payload.is_empty() {
        return Ok(Payload::default());
    }
    held.payload("holds no facts")
}

fn write(known: Option<&Known>, failure: Option<Failure>, claimed: Duration) -> Vec<u8> {
    // Serialising into memory what has no foreign code in it does not fail; if it did, nothing would be known.
    payload_of(&(known, failure, millis(claimed))).unwrap_or_default()
}

impl From<Failure> for ValidateError {
    fn from(failure: Failure) -> Self {
        Self::elsewhere(&failure.code, failure.retry_after_ms.map(Duration::from_millis))
    }
}
