//! What is known of payments and asked about them now, and one validation past the quick answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::account::Account;
use crate::call::deadline::is_recent;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::key::IdempotencyKey;
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::ledger::{Bound, LedgerError};
use crate::lookup::aliases::Aliases;
use crate::lookup::error::ValidateError;
use crate::lookup::facts_cache::{FactsCache, Kept, Proven, Stamp};
use crate::lookup::facts_flight::{FactsFlight, FactsFlights};
use crate::lookup::key_register::{KeyRegister, KeyState};
use crate::lookup::shared_facts::{SharedFacts, StoredFacts};
use crate::lookup::validation::Validation;
use crate::moment::Moment;
use crate::payment::alias::ResolvedAlias;
use crate::payment::facts::{ProviderPayment, Text};
use crate::payment::judge::{Rules, VOLATILE_FRESH_FOR};
use crate::payment::method::PaymentMethod;
use crate::payment::policy::WhenProviderIsDown;
use crate::payment::verdict::{Degradation, Finding, Issuer, Proof, Provenance, Verdict};
use crate::spread::Handle;

mod alias_flight;
mod answer;
mod flight;
mod forget;
mod issuer;
mod many;
#[cfg(feature = "webhook")]
mod peers;
mod stale;
mod target;

#[cfg(feature = "webhook")]
pub(crate) use forget::Forget;
pub(crate) use many::Recalled;
use target::LookUpTarget;

/// How much longer than its flight may take the call that leads it waits: enough for the flight's own task to be run.
pub(crate) const LEADER_PATIENCE: Duration = Duration::from_millis(100);

/// What a validator is made of: the account, and what is known of its payments and asked about them now.
pub(crate) struct Lookups {
    pub(crate) account: Arc<Account>,
    pub(crate) rules: Rules,
    pub(crate) retention: Duration,
    pub(crate) when_provider_is_down: WhenProviderIsDown,
    pub(crate) cache: Arc<FactsCache>,
    pub(crate) flights: Arc<FactsFlights>,
    pub(crate) aliases: Aliases,
    /// The look-ups of aliases whose payments are not known yet.
    pub(crate) alias_flights: Arc<FactsFlights>,
    /// How often anything was forgotten.
    pub(crate) forgets: AtomicU64,
    pub(crate) keys: KeyRegister,
    /// Whether it was told that bank debits are not held.
    pub(crate) told_of_debits: AtomicBool,
    /// What other processes know too, if there is a shared store.
    pub(crate) shared: Option<Arc<SharedFacts>>,
}

/// One validation: the intent, and what the caller asks of the answer.
pub(crate) struct Asked {
    pub(crate) intent: PaymentIntent,
    /// The digest of its key, where the store has to be asked about that. Boxed, since it seldom has.
    pub(crate) key: Option<Box<Fingerprint>>,
    pub(crate) terms: Terms,
}

/// What a caller asks of the answer.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// How old its facts may be.
    pub(crate) max_age: Duration,
    /// How long it may take from the caller's arrival.
    pub(crate) deadline: Option<Duration>,
    pub(crate) arrived: Instant,
}

impl Lookups {
    /// Binds the intent's key to its claims, but never to claims that will be refused: those may be corrected. The key's
    /// digest, where other processes may know it and this one does not.
    #[inline]
    pub(crate) fn unknown_key(&self, intent: &PaymentIntent) -> Result<Option<Box<Fingerprint>>, ValidateError> {
        intent.key().map_or(Ok(None), |key| self.unknown(key, intent))
    }

    fn unknown(&self, key: &IdempotencyKey, intent: &PaymentIntent) -> Result<Option<Box<Fingerprint>>, ValidateError> {
        self.check(intent)?;
        let digest = self.account.identity.fingerprint("key", &[intent.tenant(), key.as_str()]);
        if self.shared.is_none() {
            self.keys.bind(digest, intent, true)?;
            return Ok(None);
        }
        match self.keys.standing(&digest, intent) {
            KeyState::Bound => Ok(None),
            KeyState::Reused => Err(ValidateError::key_reused()),
            KeyState::Unknown => Ok(Some(Box::new(digest))),
        }
    }

    /// Refuses what the provider cannot have: an id of another object, an amount that its units do not hold.
    fn check(&self, intent: &PaymentIntent) -> Result<(), ValidateError> {
        self.account.retrier.provider.check(intent.payment())?;
        intent.money().minor_units(&self.rules.units)?;
        Ok(())
    }

    /// Binds a key for every process. What is missing when the store does not answer.
    async fn bind_everywhere(
        &self,
        shared: &SharedFacts,
        digest: Fingerprint,
        intent: &PaymentIntent,
    ) -> Result<Option<Degradation>, ValidateError> {
        match shared.bind_key(&digest, intent).await {
            Ok(Bound::Anew(_)) => {
                // Known here, it costs no further round trip; when there is no room for it, it does.
                let _ = self.keys.bind(digest, intent, true);
                Ok(None)
            }
            Ok(Bound::Before(_)) => Ok(None),
            Ok(Bound::ToOthers(_)) => Err(ValidateError::key_reused()),
            Err(error) if error.leaves_to_provider() => {
                self.account.telemetry.store_failed(&error);
                // To be told to the store when it is back.
                self.keys.bind(digest, intent, false)?;
                Ok(Some(Degradation::StoreDown))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The quick answer: these very claims were found valid on facts that are still fresh. Else the intent comes back.
    ///
    /// The call's own handle goes into the proof, since to take another would cost as much as all the rest.
    #[inline]
    pub(crate) fn recall(
        lookups: Arc<Handle<Self>>,
        intent: PaymentIntent,
        max_age: Duration,
        now: Instant,
    ) -> Result<Validation, (Arc<Handle<Self>>, PaymentIntent)> {
        let proven = || lookups.cache.proven(intent.payment(), intent.fingerprint(), now, max_age);
        let proven = if max_age.is_zero() { None } else { proven() };
        let Some(Proven { age, capture, method }) = proven else { return Err((lookups, intent)) };
        // Nothing else is remembered as proven.
        let dated = true;
        let proof = Proof { intent, issuer: lookups, capture, method, dated, age, seen_at: now };
        let verdict = Verdict::Valid(proof);
        Ok(Validation { verdict, provenance: Provenance::Replayed, age, degraded: None, flight: None })
    }

    /// A verdict on facts in memory by claims that were not proven last: neither a task nor a flight is needed for it.
    pub(crate) fn replay(
        self: &Arc<Self>,
        intent: &PaymentIntent,
        max_age: Duration,
        now: Instant,
    ) -> Option<Validation> {
        if max_age.is_zero() {
            return None;
        }
        let mut known = None;
        let target = self.target(intent.payment(), &mut known, max_age);
        let kept = self.cache.get(target.id(), now)?;
        // An amount that the provider cannot have is an error, whatever the facts say. The id was checked before it was asked.
        intent.money().minor_units(&self.rules.units).ok()?;
        let validation = self.recent(intent, target, &kept, target.oldest(max_age, now), now)?;
        stands(&validation, target).then_some(validation)
    }

    /// A verdict on facts in memory, while they are fresh.
    fn recent(
        self: &Arc<Self>,
        intent: &PaymentIntent,
        target: LookUpTarget<'_>,
        kept: &Kept,
        max_age: Duration,
        now: Instant,
    ) -> Option<Validation> {
        if !kept.fresh || !self.may_serve(kept, max_age) {
            return None;
        }
        let facts = kept.facts::<&str>()?;
        Some(self.judge((intent, target.alias()), &facts, kept.stamp, now, Provenance::Replayed, None))
    }

    fn may_serve(&self, kept: &Kept, max_age: Duration) -> bool {
        !kept.is_over(self.retention) && is_recent(kept.age, max_age)
    }

    /// Judges by this call's own claims, and by what the alias states that the intent names.
    fn judge(
        self: &Arc<Self>,
        (intent, alias): (&PaymentIntent, Option<&ResolvedAlias>),
        facts: &ProviderPayment<impl Text>,
        stamp: Stamp,
        seen_at: Instant,
        provenance: Provenance,
        flight: Option<Arc<FactsFlight>>,
    ) -> Validation {
        let age = stamp.at.age_at(seen_at);
        let issuer = || Arc::clone(self) as Arc<dyn Issuer>;
        let verdict = self.rules.judge(intent, facts, alias, Moment::before(seen_at, age), issuer);
        if let Verdict::Valid(proof) = &verdict {
            self.tell_of_debit(proof);
        }
        // A slot says neither whether the age of the payment is known nor what an alias states, so what cannot be redeemed, or
        // was claimed by an alias, is judged anew each time.
        if matches!(&verdict, Verdict::Valid(proof) if proof.dated && alias.is_none()) {
            self.cache.prove(intent.payment(), *intent.fingerprint(), stamp);
        }
        Validation { verdict, provenance, age, degraded: None, flight }
    }

    /// Warns of the first bank debit that is valid although it can still come back.
    fn tell_of_debit(&self, proof: &Proof) {
        let is_news = proof.method == PaymentMethod::BankDebit && self.rules.policy.hold_debits.is_none();
        if is_news && !self.told_of_debits.swap(true, Ordering::Relaxed) {
            self.account.telemetry.debit_not_held();
        }
    }

    /// What stands in the store, or without one in memory. Looked at, and not judged.
    pub(crate) async fn look_at(&self, id: &PaymentId) -> Result<Option<StoredFacts>, LedgerError> {
        let Some(payment) = &self.payment_known(id).await? else { return Ok(None) };
        if let Some(shared) = &self.shared {
            return shared.kept(payment).await;
        }
        let now = Instant::now();
        let kept = self.cache.get(payment, now).filter(|kept| !kept.is_over(self.retention));
        Ok(kept.and_then(|kept| {
            let (age, kept_for) = (kept.age, self.retention.saturating_sub(kept.age));
            Some(StoredFacts { facts: Some(kept.facts()?), age, kept_for, is_being_asked: false, failure: None })
        }))
    }
}

/// Whether a verdict on facts that were not asked for just now may be given. What the merchant can still mend, such as
/// metadata, is asked about again soon, however long the facts themselves stand.
fn stands(validation: &Validation, target: LookUpTarget<'_>) -> bool {
    let stands = match &validation.verdict {
        Verdict::Invalid(findings) => findings.iter().any(Finding::is_lasting),
        _ => true,
    };
    stands || validation.age < VOLATILE_FRESH_FOR && !target.is_alias_older(VOLATILE_FRESH_FOR)
}
