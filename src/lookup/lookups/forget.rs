//! Forgetting what is known of a payment, here and in the store: by its own id, or by an alias.

#[cfg(feature = "webhook")]
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::intent::payment_intent::PaymentId;
use crate::ledger::LedgerError;
use crate::lookup::error::ValidateError;
use crate::provider::ProviderIdentity;

use super::Lookups;
#[cfg(feature = "webhook")]
use super::peers;

impl Lookups {
    /// Makes this and every other process ask the provider again. An alias is forgotten with its payment; for that of an alias
    /// which neither memory nor the store knows, the provider is asked.
    pub(crate) async fn forget(&self, id: &PaymentId) -> Result<(), ValidateError> {
        if !self.is_alias(id) {
            return Ok(self.forget_one(id).await?);
        }
        // What it stands for has to be known before it is forgotten.
        let named = Box::pin(self.payment_named(id)).await;
        let forgotten = self.forget_one(id).await;
        if let Some(payment) = named? {
            self.forget_one(&payment).await?;
        }
        Ok(forgotten?)
    }

    /// In this order: what a flight reads in the store before that is empty, it must not bring into memory after this.
    async fn forget_one(&self, id: &PaymentId) -> Result<(), LedgerError> {
        let confirmed = self.forget_in_store(&self.account.identity, id).await;
        self.forget_here(id);
        confirmed
    }

    async fn forget_in_store(&self, identity: &ProviderIdentity, id: &PaymentId) -> Result<(), LedgerError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let forgotten =
            if self.is_alias(id) { shared.forget_alias(identity, id).await } else { shared.forget(identity, id).await };
        forgotten.inspect_err(|error| self.account.telemetry.store_failed(error))
    }

    fn forget_here(&self, id: &PaymentId) {
        // First, so that no later call joins a look-up of an alias, whose payment may be this one.
        self.forgets.fetch_add(1, Ordering::Relaxed);
        if self.is_alias(id) {
            self.alias_flights.forget(id, || self.aliases.forget(id));
        } else {
            self.flights.forget(id, || self.cache.forget(id, None));
        }
    }
}

/// Has a validator's payments forgotten, and can do nothing else with what is known of them.
#[cfg(feature = "webhook")]
#[derive(Clone)]
pub(crate) struct Forget(Arc<Lookups>);

#[cfg(feature = "webhook")]
impl Forget {
    pub(crate) fn new(lookups: &Arc<Lookups>) -> Self {
        Self(Arc::clone(lookups))
    }

    /// Forgets these ids of an account at the same provider, whichever the validator's is, and no others: an event names an alias
    /// and its payment, or leads to both. In the store, and in every validator of this process that answers for the account;
    /// `None` is the validator's own.
    pub(crate) async fn exactly(&self, account: Option<&str>, ids: &[&PaymentId]) -> Result<(), LedgerError> {
        let mut confirmed = Ok(());
        if let Some(account) = account {
            let identity = self.0.account.identity.of_account(account);
            let peers = peers::of(&identity);
            for id in ids {
                confirmed = confirmed.and(self.0.forget_in_store(&identity, id).await);
                for lookups in &peers {
                    lookups.forget_here(id);
                }
            }
        }
        // It may be this one's account, which has no name to tell by. To forget one payment too many costs one call.
        if account.is_none() || self.0.account.identity.account().is_none() {
            for id in ids {
                confirmed = confirmed.and(self.0.forget_one(id).await);
            }
        }
        confirmed
    }
}
