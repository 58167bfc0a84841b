//! Forgetting for those who hear that facts are out of date, as from webhooks.

use std::sync::Arc;

use crate::intent::payment_intent::PaymentId;
use crate::ledger::LedgerError;

use super::{Lookups, peers};

/// Has a validator's payments forgotten, and can do nothing else with what is known of them.
#[derive(Clone)]
pub(crate) struct Forget(Arc<Lookups>);

impl Forget {
    pub(crate) fn new(lookups: &Arc<Lookups>) -> Self {
        Self(Arc::clone(lookups))
    }

    /// Forgets a payment of the validator's account.
    pub(crate) async fn payment(&self, payment: &PaymentId) -> Result<(), LedgerError> {
        self.0.forget(payment).await
    }

    /// Forgets a payment of an account at the same provider, whichever the validator's is: in the store, and in every
    /// validator of this process that answers for it.
    pub(crate) async fn payment_of(&self, account: &str, payment: &PaymentId) -> Result<(), LedgerError> {
        let own = &self.0.account.identity;
        let identity = own.of_account(account);
        let confirmed = self.0.forget_in_store(&identity, payment).await;
        for lookups in peers::of(&identity) {
            lookups.forget_here(payment);
        }
        if own.account().is_some() {
            return confirmed;
        }
        // It may be this one's account, which has no name to tell by. To forget one payment too many costs one call.
        confirmed.and(self.0.forget(payment).await)
    }
}
