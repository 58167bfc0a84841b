//! The validators of this process by account, so that news of an account reaches those that answer for it here, however many
//! validators there are and whether they share a store.

use std::sync::{Arc, Weak};

use crate::lock::Lock;
use crate::provider::ProviderIdentity;

use super::Lookups;

/// The lookups whose account has a name. They are held by their validators and not by this.
static PEERS: Lock<Vec<Weak<Lookups>>> = Lock::new(Vec::new());

impl Lookups {
    /// Lets these be found by their account's name, if it has one, and forgets those whose validators are gone.
    pub(crate) fn join_peers(self: &Arc<Self>) {
        if self.account.identity.account().is_some() {
            let mut peers = PEERS.lock();
            peers.retain(|lookups| lookups.strong_count() > 0);
            peers.push(Arc::downgrade(self));
        }
    }
}

/// The lookups of this process that answer for an account, by validator.
pub(super) fn of(identity: &ProviderIdentity) -> Vec<Arc<Lookups>> {
    // To drop one of them may end it, with the provider's own code: the lock has to be free again by then.
    let all: Vec<_> = PEERS.lock().iter().filter_map(Weak::upgrade).collect();
    all.into_iter().filter(|lookups| lookups.account.identity.is_same_account(identity)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{ProviderError, provider_fn};
    use crate::validator::Validator;

    fn validator(account: &str) -> Validator {
        let identity = ProviderIdentity::new("acme").with_account(account);
        let acme = provider_fn(identity, |_, _| async { Err(ProviderError::not_sent("not asked")) });
        Validator::builder(acme).build().unwrap()
    }

    #[test]
    fn lookups_are_found_by_their_account_for_as_long_as_they_have_a_validator() {
        let (one, other) = (validator("acct_one"), validator("acct_other"));
        let found = |name: &str| of(&ProviderIdentity::new("acme").with_account(name)).len();
        assert_eq!((found("acct_one"), found("acct_other"), found("acct_none")), (1, 1, 0));
        let (clone, second) = (one.clone(), validator("acct_one"));
        assert_eq!(found("acct_one"), 2);
        drop(one);
        assert_eq!(found("acct_one"), 2, "a clone has the same lookups");
        drop((clone, second));
        assert_eq!(found("acct_one"), 0, "an account without validators has no lookups");
        drop((other, validator("acct_none")));
        let is_of_test = |lookups: Arc<Lookups>| lookups.account.identity.name() == "acme";
        assert!(!PEERS.lock().iter().filter_map(Weak::upgrade).any(is_of_test), "nothing is left of them");
    }
}
