//! Which payment an intent names: by its own id, or by an alias.
//!
//! Facts, flights, leases and places in memory exist under ids of payments alone. A call about an alias goes on under its
//! payment's id once that is known, with what the alias states joined to the claim; until then it looks the alias up, see
//! [`alias_flight`](super::alias_flight).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::intent::payment_intent::PaymentId;
use crate::payment::alias::ResolvedAlias;

use super::Lookups;

/// What a call asks about.
#[derive(Clone, Copy)]
pub(super) enum LookUpTarget<'a> {
    /// A payment, and the alias by which it was named, if it was.
    Payment(&'a PaymentId, Option<&'a ResolvedAlias>),
    /// An alias whose payment is not known, or was asked for too long ago.
    Alias(&'a PaymentId),
}

impl<'a> LookUpTarget<'a> {
    /// The one that an alias stands for.
    pub(super) fn by(alias: &'a ResolvedAlias) -> Self {
        Self::Payment(&alias.payment, Some(alias))
    }

    pub(super) fn id(self) -> &'a PaymentId {
        match self {
            Self::Payment(id, _) | Self::Alias(id) => id,
        }
    }

    pub(super) fn alias(self) -> Option<&'a ResolvedAlias> {
        match self {
            Self::Payment(_, alias) => alias,
            Self::Alias(_) => None,
        }
    }

    /// How old its facts may be: none are believed from before the alias was asked for. By what that look-up brought a
    /// caller was told already how things stand.
    pub(super) fn oldest(self, max_age: Duration, now: Instant) -> Duration {
        // An age of zero would accept no facts at all, and not even those of the same moment.
        self.alias().map_or(max_age, |alias| max_age.min(alias.asked_at.age_at(now).max(Duration::from_nanos(1))))
    }

    /// Whether what the alias states was asked for longer ago than this.
    pub(super) fn is_alias_older(self, than: Duration) -> bool {
        self.alias().is_some_and(|alias| alias.asked_at.age() > than)
    }
}

impl Lookups {
    pub(super) fn is_alias(&self, id: &PaymentId) -> bool {
        self.account.retrier.provider.is_alias(id)
    }

    /// What an intent's id names, as far as it is known: an alias by what a look-up brought, or else by what is in memory.
    /// `known` keeps hold of it.
    pub(super) fn target<'a>(
        &self,
        id: &'a PaymentId,
        known: &'a mut Option<Arc<ResolvedAlias>>,
        max_age: Duration,
    ) -> LookUpTarget<'a> {
        if !self.is_alias(id) {
            return LookUpTarget::Payment(id, None);
        }
        if known.is_none() {
            *known = self.aliases.recent(id, Instant::now(), max_age);
        }
        known.as_deref().map_or(LookUpTarget::Alias(id), LookUpTarget::by)
    }
}
