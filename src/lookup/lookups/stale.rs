//! Older facts, where the provider cannot be asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::is_recent;
use crate::intent::payment_intent::{PaymentId, PaymentIntent};
use crate::lookup::error::ValidateError;
use crate::lookup::facts_flight::FactsFlight;
use crate::lookup::validation::Validation;
use crate::payment::alias::ResolvedAlias;
use crate::payment::policy::WhenProviderIsDown;
use crate::payment::verdict::{Degradation, Provenance};

use super::target::LookUpTarget;
use super::{Asked, Lookups};

impl Lookups {
    /// Older facts in place of an error: as recent as was asked of the flight, or else as recent as the caller asks.
    pub(super) async fn stale_for(
        self: &Arc<Self>,
        asked: &Asked,
        max_age: Duration,
        error: ValidateError,
        flight: Option<Arc<FactsFlight>>,
    ) -> Result<Validation, ValidateError> {
        let (intent, asked_for) = (&asked.intent, asked.terms.max_age);
        let stale = match self.stale(intent, max_age, &error, flight).await {
            None if max_age < asked_for => self.stale(intent, asked_for, &error, None).await,
            stale => stale,
        };
        stale.ok_or(error)
    }

    /// Older facts, where the provider cannot be asked and the settings allow it.
    async fn stale(
        self: &Arc<Self>,
        intent: &PaymentIntent,
        max_age: Duration,
        error: &ValidateError,
        flight: Option<Arc<FactsFlight>>,
    ) -> Option<Validation> {
        let WhenProviderIsDown::ServeStale { up_to } = self.when_provider_is_down else { return None };
        let (now, oldest) = (Instant::now(), max_age.min(up_to));
        if !error.provider_was_silent() || oldest.is_zero() {
            return None;
        }
        let id = intent.payment();
        let mut alias = None;
        if self.is_alias(id) {
            alias = Some(self.alias_of_age(id, oldest).await?);
        }
        let target = alias.as_deref().map_or(LookUpTarget::Payment(id, None), LookUpTarget::by);
        let oldest = target.oldest(oldest, now);
        let kept = self.cache.get(target.id(), now).filter(|kept| self.may_serve(kept, oldest));
        let (facts, stamp) = match (kept.and_then(|kept| Some((kept.facts()?, kept.stamp))), &self.shared) {
            (Some(kept), _) => kept,
            (None, Some(shared)) => {
                let found = Box::pin(shared.older(&self.rules, target.id())).await?;
                is_recent(found.at.age(), oldest).then(|| (*found.facts, self.cache.stamp(found.at)))?
            }
            (None, None) => return None,
        };
        let claimed = (intent, target.alias());
        let mut validation = self.judge(claimed, &facts, stamp, Instant::now(), Provenance::Degraded, flight);
        validation.degraded = Some(Degradation::ProviderDown);
        Some(validation)
    }

    /// An alias that memory or the store knows, and that was asked for so long ago at most.
    async fn alias_of_age(&self, id: &PaymentId, oldest: Duration) -> Option<Arc<ResolvedAlias>> {
        if let Some(alias) = self.aliases.recent(id, Instant::now(), oldest) {
            return Some(alias);
        }
        let place = Box::pin(self.shared.as_ref()?.alias(id)).await.ok()?;
        let (alias, _) = place.known(&self.rules)?;
        is_recent(alias.asked_at.age(), oldest).then(|| Arc::new(alias))
    }
}
