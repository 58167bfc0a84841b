//! The record of a payment's facts: what a claim of it carries, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::audience::Audience;
use crate::call::error::CallError;
use crate::ledger::{
    Claimable, Contents, FAILED_FOR, Key, LateWords, Lease, LedgerError, SharedFailure, State, millis,
};
use crate::lookup::facts_flight::FactsFlight;
use crate::moment::Moment;
use crate::payment::facts::ProviderPayment;
use crate::payment::judge::Rules;

use super::{Known, Older, Payload, SharedFacts, own_and_others};

/// Past its lease a claim stays this many leases, so that the process that takes over knows that another one was there.
const CLAIM_TTL_IN_LEASES: u32 = 2;

/// The record of a payment's facts.
#[derive(Clone, Debug)]
pub(crate) struct FactsRecord {
    pub(super) shared: Arc<SharedFacts>,
    pub(super) key: Key,
    pub(super) flight: Arc<FactsFlight>,
}

/// How a flight ends.
pub(crate) enum FactsEnd {
    Facts {
        facts: Box<ProviderPayment>,
        at: Moment,
        keys: Vec<Box<str>>,
        lives: Duration,
    },
    /// For the calls that wait elsewhere; without a failure they take over, since the cause was this process's own.
    Failed(Option<SharedFailure>),
}

impl FactsEnd {
    fn failed(error: &CallError) -> Self {
        Self::Failed(SharedFailure::of(error))
    }
}

impl FactsRecord {
    fn write(
        &self,
        known: Option<Known>,
        failure: Option<SharedFailure>,
        claimed: Duration,
    ) -> Result<Vec<u8>, LedgerError> {
        self.key.payload_of(&Payload { known, failure, claimed_ms: millis(claimed) })
    }
}

impl Claimable for FactsRecord {
    /// What was known before, so that a failure does not lose it. Boxed, since mostly there is none.
    type Carried = Option<Box<Older>>;
    type Word = FactsEnd;

    fn audience(&self) -> Option<&Audience> {
        Some(self.flight.audience())
    }

    /// Facts that come late would be older than they say, and asking again costs no more than another reading.
    fn late_words(&self, _word: Option<&FactsEnd>) -> LateWords {
        LateWords::None
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn claim(&self, older: &Option<Box<Older>>, since: Instant) -> Result<Contents, LedgerError> {
        let SharedFacts { lease, .. } = *self.shared;
        let ttl = lease.saturating_mul(CLAIM_TTL_IN_LEASES).max(self.shared.remembers(older.as_deref()));
        let payload = self.write(older.as_deref().map(Older::known), None, since.elapsed())?;
        Ok(Contents { state: State::Claimed, ttl, lease, payload })
    }

    fn last(&self, older: &Option<Box<Older>>, word: &FactsEnd) -> Result<Option<Contents>, LedgerError> {
        let (state, ttl, payload) = match word {
            FactsEnd::Facts { facts, at, keys, lives } => {
                let age = at.age();
                // However short they live, the calls that waited for them take them.
                let ttl = lives.saturating_sub(age).max(FAILED_FOR);
                let known = Known { age_ms: millis(age), keys: keys.clone(), facts: facts.clone() };
                (State::Settled, ttl, self.write(Some(known), None, Duration::ZERO)?)
            }
            FactsEnd::Failed(failure) => {
                let older_for = self.shared.remembers(older.as_deref());
                if failure.is_none() && older_for.is_zero() {
                    return Ok(None);
                }
                let payload = self.write(older.as_deref().map(Older::known), failure.clone(), Duration::ZERO)?;
                (State::Failed, older_for.max(FAILED_FOR), payload)
            }
        };
        Ok(Some(Contents { state, ttl, lease: Duration::ZERO, payload }))
    }

    fn renewed(&self) -> Option<Duration> {
        self.shared.renew.then_some(self.shared.lease)
    }

    /// The provider's code panicked. Another process may ask at once.
    fn if_dropped(&self) -> Option<FactsEnd> {
        Some(FactsEnd::Failed(None))
    }
}

impl Lease<FactsRecord> {
    /// The metadata keys that others have kept so far.
    pub(crate) fn keys(&self) -> &[Box<str>] {
        self.carried().as_ref().map_or(&[], |older| &older.keys)
    }

    /// Writes what the provider said. False when the lease was lost: what is stored now is another process's.
    pub(crate) async fn settle(
        mut self: Box<Self>,
        rules: &Rules,
        facts: &ProviderPayment,
        at: Moment,
    ) -> Result<bool, LedgerError> {
        let shelf_life = rules.shelf_life(facts);
        let lives = if shelf_life.lasting { self.what().shared.retention } else { shelf_life.fresh_for };
        let keys = own_and_others(rules, self.keys());
        let settled = self.conclude(FactsEnd::Facts { facts: Box::new(facts.clone()), at, keys, lives }).await;
        if let Err(error) = &settled
            && !matches!(error, LedgerError::TimedOut { .. })
        {
            // So that other calls need not wait for the end of the lease. A store that hangs would hang again.
            let _ = self.release().await;
        }
        settled
    }

    /// Lets the calls that wait elsewhere fail with it, or take over where the cause was this process's own.
    pub(crate) async fn fail(mut self: Box<Self>, error: &CallError) -> Result<(), LedgerError> {
        self.conclude(FactsEnd::failed(error)).await.map(drop)
    }
}
