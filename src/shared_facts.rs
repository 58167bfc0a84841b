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

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
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
use crate::ledger::{Claimed, Entry, Held, Key, Kind, Ledger, LedgerError, Nonce, Ours, Poll, Replaced, State};
use crate::provider::ProviderIdentity;

/// How long those who waited can learn that the flight failed.
const FAILED_FOR: Duration = Duration::from_secs(2);

/// How long a forgotten payment's place is kept, so that a claim which was long under way does not slip in behind.
const VOID_FOR: Duration = Duration::from_secs(5);

/// Past its lease a claim stays this many leases, so that whoever takes over knows that somebody was there.
const CLAIM_TTL_IN_LEASES: u32 = 2;

/// A lease is renewed this often within its time, so that one lost reply does not end it.
const RENEWALS_PER_LEASE: u32 = 3;

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
}

/// Facts from the store.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) facts: ProviderPayment,
    /// When the provider stated them; rather too early than too late.
    pub(crate) at: Instant,
    /// How long the record still lives.
    pub(crate) ttl_left: Duration,
    /// Whether another process was asking, and this one waited for it.
    pub(crate) waited: bool,
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
        self.ledger.key(Kind::Facts, &self.identity.fingerprint("facts", &[payment.as_str()]))
    }

    /// Looks for facts that are fresh and no older than `max_age`, or takes the lead, or waits for who has it.
    pub(crate) async fn board(
        self: &Arc<Self>,
        rules: &Rules,
        payment: &PaymentId,
        max_age: Duration,
        deadline: Deadline,
    ) -> Result<Boarded, ValidateError> {
        match self.look(rules, payment, max_age, deadline).await {
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
    ) -> Result<Boarded, LedgerError> {
        let key = self.key(payment);
        let nonce = Nonce::draw()?;
        let mut poll = Poll::new();
        let mut waited_for = None;
        for _ in 0..MOST_ROUNDS {
            let held = match self.ledger.claim(&key, self.claim_entry(nonce, 1, None)).await? {
                Claimed::Ours(ours) => return Ok(Boarded::Leads(self.lease(key, ours, None))),
                Claimed::Held(held) => held,
            };
            let Payload { mut known, failure } = read(&held)?;
            match (held.record.state, failure) {
                (State::Settled, _) => {
                    if let Some(found) = found(rules, &held, &mut known, max_age, waited_for.is_some()) {
                        return Ok(Boarded::Found(found));
                    }
                }
                (State::Claimed, _) if !held.lease_left().is_zero() && is_recent(held.age, max_age) => {
                    waited_for = Some(held.record.nonce);
                    if !poll.wait(held.lease_left(), deadline).await {
                        let error =
                            ValidateError::after_attempts(ErrorKind::InProgress, Some(held.lease_left()), vec![]);
                        return Ok(Boarded::Failed(error));
                    }
                    continue;
                }
                (State::Failed, Some(failure)) if waited_for == Some(held.record.nonce) && held.age < FAILED_FOR => {
                    return Ok(Boarded::Failed(failure.into()));
                }
                _ => {}
            }
            let known = known.map(|known| Known { age_ms: known.age_ms.saturating_add(millis(held.age)), ..known });
            let generation = held.record.generation.saturating_add(1);
            let entry = self.claim_entry(nonce, generation, known.as_ref());
            if let Replaced::Ours(ours) = self.ledger.take_over(&key, &held, entry).await? {
                return Ok(Boarded::Leads(self.lease(key, ours, known)));
            }
        }
        Err(LedgerError::Contended)
    }

    /// Facts of any age, for times when the provider is down.
    pub(crate) async fn older(&self, rules: &Rules, payment: &PaymentId) -> Option<Found> {
        let held = self.ledger.get(&self.key(payment)).await.ok()??;
        let known = read(&held).ok()?.known.filter(|known| covers(&known.keys, rules))?;
        let age = Duration::from_millis(known.age_ms).saturating_add(held.age);
        let at = held.asked_at.checked_sub(age)?;
        let lasts = rules.shelf_life(&known.facts).lasting && age < self.retention;
        lasts.then(|| Found { facts: known.facts, at, ttl_left: held.ttl_left(), waited: false })
    }

    /// Forgets a payment, and keeps flights under way anywhere from settling.
    pub(crate) async fn forget(&self, payment: &PaymentId) -> Result<(), LedgerError> {
        self.ledger.void(&self.key(payment), VOID_FOR).await
    }

    /// Binds a caller's key to the claims it first came with; false when it is bound to others.
    pub(crate) async fn bind_key(&self, key: &Fingerprint, intent: &PaymentIntent) -> Result<bool, LedgerError> {
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
            Claimed::Ours(_) => true,
            Claimed::Held(held) => held.record.payload == claims,
        })
    }

    fn claim_entry(&self, nonce: Nonce, generation: u32, known: Option<&Known>) -> Entry {
        let ttl = self.lease.saturating_mul(CLAIM_TTL_IN_LEASES);
        let payload = write(known, None);
        Entry { state: State::Claimed, nonce, generation, ttl, lease: self.lease, payload }
    }

    fn lease(self: &Arc<Self>, key: Key, ours: Ours, older: Option<Known>) -> Lease {
        Lease { shared: Arc::clone(self), key, ours: Some(ours), older }
    }
}

/// The lead of a flight across processes. Dropped without an end, as by a panic, it is given up.
#[derive(Debug)]
pub(crate) struct Lease {
    shared: Arc<SharedFacts>,
    key: Key,
    ours: Option<Ours>,
    /// What was known before, so that a failure does not lose it.
    older: Option<Known>,
}

impl Lease {
    /// Goes through the work, and renews the lease meanwhile if that is asked for.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(ours) = self.ours.as_ref().filter(|_| self.shared.renew) else { return work.await };
        let pace = self.shared.lease.checked_div(RENEWALS_PER_LEASE).unwrap_or(self.shared.lease);
        let renewing = async {
            loop {
                sleep(pace).await;
                // Lost is lost; an error may pass until the next time.
                if self.shared.ledger.renew(&self.key, ours).await == Ok(false) {
                    return pending::<Infallible>().await;
                }
            }
        };
        let (mut work, mut renewing) = (pin!(work), pin!(renewing));
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            if done.is_pending() {
                // It never ends by itself.
                let _ = renewing.as_mut().poll(cx);
            }
            done
        })
        .await
    }

    /// Writes what the provider said. False when the lease was lost: what is stored now is somebody else's.
    pub(crate) async fn settle(
        mut self,
        rules: &Rules,
        facts: &ProviderPayment,
        at: Instant,
    ) -> Result<bool, LedgerError> {
        let Some(ours) = self.ours.take() else { return Ok(false) };
        let (age, shelf_life) = (at.elapsed(), rules.shelf_life(facts));
        let lives = if shelf_life.lasting { self.shared.retention } else { shelf_life.fresh_for };
        let ttl = lives.saturating_sub(age);
        if ttl.is_zero() {
            return self.shared.ledger.release(&self.key, &ours).await;
        }
        let known =
            Known { age_ms: millis(age), keys: rules.kept_keys().map(Box::from).to_vec(), facts: facts.clone() };
        let (nonce, generation) = (ours.record.nonce, ours.record.generation);
        let payload = write(Some(&known), None);
        let entry = Entry { state: State::Settled, nonce, generation, ttl, lease: Duration::ZERO, payload };
        match self.shared.ledger.settle(&self.key, &ours, entry).await {
            Ok(Replaced::Ours(_)) => Ok(true),
            Ok(Replaced::Lost(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets those who wait elsewhere fail with it, or take over where the cause was this process's own.
    pub(crate) async fn fail(mut self, error: &ValidateError) -> Result<(), LedgerError> {
        let Some(ours) = self.ours.take() else { return Ok(()) };
        let older_for = self
            .older
            .as_ref()
            .map_or(Duration::ZERO, |known| self.shared.retention.saturating_sub(Duration::from_millis(known.age_ms)));
        let failure = error
            .is_for_all()
            .then(|| Failure { code: error.code().into(), retry_after_ms: error.retry_after().map(millis) });
        if failure.is_none() && older_for.is_zero() {
            self.shared.ledger.release(&self.key, &ours).await?;
            return Ok(());
        }
        let (nonce, generation) = (ours.record.nonce, ours.record.generation);
        let ttl = older_for.max(FAILED_FOR);
        let payload = write(self.older.as_ref(), failure);
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
            let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
            runtime.spawn(async move {
                // A failure here means no more than that others wait for the end of the lease.
                let _ = shared.ledger.release(&key, &ours).await;
            });
        }
    }
}

/// Takes the facts of a settled record, if they are good for this validator and recent enough.
fn found(rules: &Rules, held: &Held, known: &mut Option<Known>, max_age: Duration, waited: bool) -> Option<Found> {
    let age = Duration::from_millis(known.as_ref()?.age_ms).saturating_add(held.age);
    let at = held.asked_at.checked_sub(age)?;
    let fits = |known: &mut Known| covers(&known.keys, rules) && is_fresh(&known.facts, at.elapsed(), rules, max_age);
    let facts = known.take_if(fits)?.facts;
    Some(Found { facts, at, ttl_left: held.ttl_left(), waited })
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
    postcard::from_bytes(&held.record.payload).map_err(|_| LedgerError::Unreadable("holds no facts"))
}

fn write(known: Option<&Known>, failure: Option<Failure>) -> Vec<u8> {
    // Serialising into memory what has no foreign code in it does not fail; if it did, nothing would be known.
    postcard::to_allocvec(&(known, failure)).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl From<Failure> for ValidateError {
    fn from(failure: Failure) -> Self {
        Self::elsewhere(&failure.code, failure.retry_after_ms.map(Duration::from_millis))
    }
}
