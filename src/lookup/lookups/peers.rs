//! The validators of this process by account, so that news of an account reaches those that answer for it here, however many
//! validators there are and whether they share a store.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use crate::intent::fingerprint::Fingerprint;
use crate::provider::ProviderIdentity;

use super::Lookups;

/// The lookups of each account whose name is stated. They are held by their validators and not by this.
static PEERS: LazyLock<Mutex<HashMap<Fingerprint, Vec<Weak<Lookups>>>>> = LazyLock::new(Mutex::default);

fn lock() -> MutexGuard<'static, HashMap<Fingerprint, Vec<Weak<Lookups>>>> {
    // No foreign code runs under this lock, so a poisoned one is whole all the same.
    PEERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn account_of(identity: &ProviderIdentity) -> Fingerprint {
    identity.fingerprint("peers", &[])
}

/// The place of a validator's lookups among its account's; given up when they are dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    account: Fingerprint,
    lookups: Weak<Lookups>,
}

impl Lookups {
    /// Lets these be found by their account's name, once. Without a name it could not be asked for.
    pub(crate) fn join_peers(self: &Arc<Self>) {
        if self.account.identity.account().is_none() {
            return;
        }
        self.membership.get_or_init(|| {
            let (account, lookups) = (account_of(&self.account.identity), Arc::downgrade(self));
            lock().entry(account).or_default().push(Weak::clone(&lookups));
            Membership { account, lookups }
        });
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut peers = lock();
        if let Some(of_account) = peers.get_mut(&self.account) {
            of_account.retain(|lookups| !lookups.ptr_eq(&self.lookups));
            if of_account.is_empty() {
                peers.remove(&self.account);
            }
        }
    }
}

/// The lookups of this process that answer for an account, by validator.
pub(super) fn of(identity: &ProviderIdentity) -> Vec<Arc<Lookups>> {
    // To drop one of them may end it, and take the lock: that has to be free again by then.
    lock().get(&account_of(identity)).into_iter().flatten().filter_map(Weak::upgrade).collect()
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
        let account = account_of(&ProviderIdentity::new("acme").with_account("acct_one"));
        assert!(!lock().contains_key(&account), "nothing is left of an account without validators");
        drop(other);
    }
}
