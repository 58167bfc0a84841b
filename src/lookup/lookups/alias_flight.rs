//! A look-up of an alias: one provider call, whose answer says which payment the alias stands for, and how that stands.
//!
//! Nothing protects a payment here whose id is still to come: there is no lease, so what is forgotten meanwhile in another
//! process does not stop it. So its facts are not kept, and they answer only those who came before it was sent: whatever was
//! forgotten before they came, it cannot bring back. Those who came later go on under the payment's id, and so does every
//! later call. What is kept is the alias, once it is complete.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::audience::Audience;
use crate::call::deadline::{Deadline, after, is_recent};
use crate::call::error::{CallError, runtime};
use crate::call::retry::LookUpAnswer;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::LedgerError;
use crate::lookup::error::ValidateError;
use crate::lookup::facts_cache::Keep as KeepFacts;
use crate::lookup::facts_flight::{Brought, FactsLeader, LookedUp};
use crate::moment::Moment;
use crate::payment::alias::ResolvedAlias;
use crate::payment::verdict::Degradation;

use super::Lookups;

/// Who forgets a payment by an alias that nothing here knows waits so long for the provider at most: senders of webhooks hang
/// up soon after.
const NAMED_WITHIN: Duration = Duration::from_secs(10);

/// An alias that a look-up brought, and until when memory may say so.
type Keep = Option<(Arc<ResolvedAlias>, Instant)>;

/// Looks an alias up, in a task of its own, as [`fly`](super::flight::fly) does a payment.
pub(super) async fn fly_by_alias(lookups: Arc<Lookups>, leader: FactsLeader) {
    let deadline = Deadline::after(leader.flight().begun(), lookups.account.limits.total_deadline);
    let (outcome, keep) = match lookups.resolve(&leader, deadline).await {
        Ok((brought, keep)) => (Ok(brought), keep),
        Err(error) => (Err(error), None),
    };
    let id = leader.flight().key().clone();
    // What is being asked about its payment since before may say less than was told just now.
    if let Ok(Brought::Facts(looked_up)) = &outcome
        && let Some(alias) = &looked_up.alias
    {
        lookups.flights.forget(&alias.payment, || {});
    }
    leader.complete(outcome, |_, is_current| {
        if let Some((alias, until)) = keep.filter(|_| is_current) {
            lookups.aliases.keep(&id, alias, until);
        }
    });
}

impl Lookups {
    /// Looks into the store first, and tells it what the provider said.
    async fn resolve(&self, leader: &FactsLeader, deadline: Deadline) -> Result<(Brought, Keep), ValidateError> {
        let (id, begun) = (leader.flight().key(), leader.flight().begun());
        let Some(shared) = &self.shared else {
            let looked_up = self.ask_by_alias(leader, begun, deadline, &[]).await?;
            let keep = keep_alias(id, &looked_up, Instant::now(), self.retention);
            return Ok((Brought::Facts(looked_up), keep));
        };
        let read_at = Instant::now();
        let place = match shared.alias(id).await {
            Ok(place) => place,
            Err(error) if error.leaves_to_provider() => {
                self.account.telemetry.store_failed(&error);
                let mut looked_up = self.ask_by_alias(leader, begun, deadline, &[]).await?;
                looked_up.degraded = Some(Degradation::StoreDown);
                // Others may forget the alias meanwhile, and this process would not hear of it.
                let keep = keep_alias(id, &looked_up, read_at, shared.alias_memory_for());
                return Ok((Brought::Facts(looked_up), keep));
            }
            Err(error) => return Err(error.into()),
        };
        let oldest = leader.flight().notes().contents();
        if let Some((alias, ttl_left)) = place.known(&self.rules)
            && is_recent(alias.asked_at.age(), oldest)
        {
            let (alias, until) = (Arc::new(alias), after(read_at, shared.alias_memory_for().min(ttl_left)));
            return Ok((Brought::Alias(Arc::clone(&alias), read_at), Some((alias, until))));
        }
        let mut looked_up = self.ask_by_alias(leader, Instant::now(), deadline, place.keys()).await?;
        let keep = keep_alias(id, &looked_up, Instant::now(), shared.alias_memory_for());
        let Some((alias, _)) = &keep else { return Ok((Brought::Facts(looked_up), None)) };
        match shared.put_alias(&place, &self.rules, alias).await {
            Ok(true) => return Ok((Brought::Facts(looked_up), keep)),
            // It was forgotten meanwhile, or another process has written the same.
            Ok(false) => {}
            Err(trouble) => {
                self.account.telemetry.store_failed(&trouble);
                looked_up.degraded = Some(Degradation::NotRecorded);
            }
        }
        Ok((Brought::Facts(looked_up), None))
    }

    /// Asks the provider about an alias. The answer is good for those who came before it was sent.
    async fn ask_by_alias(
        &self,
        leader: &FactsLeader,
        begin: Instant,
        deadline: Deadline,
        others_keys: &[Box<str>],
    ) -> Result<Box<LookedUp>, ValidateError> {
        let mut answer = self.ask_provider(leader, begin, deadline).await?;
        let (asked_at, states) = (answer.asked_at, answer.facts.alias.take());
        let payment = PaymentId::parse(&answer.facts.id);
        let mut looked_up = self.looked_up(answer, others_keys);
        (looked_up.keep, looked_up.confirmed_at) = (KeepFacts::default(), Some(asked_at));
        if let (Some(mut states), Ok(payment)) = (states, payment) {
            self.rules.prune_alias(&mut states, others_keys);
            let (states, asked_at) = (*states, Moment::at(asked_at));
            looked_up.alias = Some(Arc::new(ResolvedAlias { payment, states, asked_at }));
        }
        Ok(Box::new(looked_up))
    }

    /// The payment that an id names: its own, or that of an alias, for which the provider is asked once where neither memory
    /// nor the store knows it. `None` where the alias has no payment.
    pub(crate) async fn payment_named(&self, id: &PaymentId) -> Result<Option<PaymentId>, ValidateError> {
        match self.payment_known(id).await {
            Ok(Some(payment)) => return Ok(Some(payment)),
            Err(error) if !error.leaves_to_provider() => return Err(error.into()),
            Ok(None) | Err(_) => {}
        }
        runtime()?;
        Ok(Box::pin(self.ask_for_payment(id)).await?)
    }

    /// The payment that an id names, as far as memory or the store knows it.
    pub(crate) async fn payment_known(&self, id: &PaymentId) -> Result<Option<PaymentId>, LedgerError> {
        if !self.is_alias(id) {
            return Ok(Some(id.clone()));
        }
        match (self.aliases.of_any_age(id), &self.shared) {
            (Some(alias), _) => Ok(Some(alias.payment.clone())),
            (None, Some(shared)) => Ok(shared.alias(id).await?.payment()),
            (None, None) => Ok(None),
        }
    }

    async fn ask_for_payment(&self, id: &PaymentId) -> Result<Option<PaymentId>, CallError> {
        let (now, audience) = (Instant::now(), Audience::of_one());
        let limit = NAMED_WITHIN.min(self.account.limits.total_deadline);
        let (retrier, telemetry) = (&self.account.retrier, &self.account.telemetry);
        let answer = retrier.look_up((id, &audience), now, Deadline::after(now, limit), telemetry, |_| {}).await?;
        let LookUpAnswer { facts, .. } = answer;
        Ok(PaymentId::parse(&facts.id).ok().filter(|payment| facts.alias.is_some() && payment != id))
    }
}

/// The alias of a look-up, where it is complete, for so long from a moment on.
fn keep_alias(id: &PaymentId, looked_up: &LookedUp, from: Instant, time: Duration) -> Keep {
    let alias = looked_up.alias.as_ref().filter(|alias| alias.is_complete(id))?;
    Some((Arc::clone(alias), after(from, time)))
}
