//! What is kept about a payment, for people who look into the store.

use std::time::Duration;

use crate::accessors::getters;
use crate::intent::payment_intent::PaymentId;
use crate::ledger::{LedgerError, State};
use crate::payment::facts::ProviderPayment;

use super::{Payload, SharedFacts, read};

/// What is kept about a payment. Made by [`Validator::stored_facts`](crate::Validator::stored_facts), for looking only: whether a payment
/// is valid is for [`validate`](crate::Validator::validate) to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFacts {
    pub(crate) facts: Option<ProviderPayment>,
    pub(crate) age: Duration,
    pub(crate) kept_for: Duration,
    pub(crate) is_being_asked: bool,
    pub(crate) failure: Option<Box<str>>,
}

impl StoredFacts {
    getters! {
        /// What the provider said; `None` while it is asked for the first time, and after that failed.
        pub fn facts(&self) -> Option<&ProviderPayment> => self.facts.as_ref();

        /// How long ago the provider said so, or, without facts, how long ago the record was written. After the store's
        /// clock was set back, that is not known, and the longest that it can be is told.
        pub fn age(&self) -> Duration => self.age;

        /// How long the record has still to live.
        pub fn kept_for(&self) -> Duration => self.kept_for;

        /// Whether some process is asking the provider at this moment.
        pub fn is_being_asked(&self) -> bool => self.is_being_asked;

        /// The code with which the last look-up failed, if it did.
        pub fn failure(&self) -> Option<&str> => self.failure.as_deref();
    }
}

impl SharedFacts {
    /// What stands in the store. A forgotten payment has nothing.
    pub(crate) async fn kept(&self, payment: &PaymentId) -> Result<Option<StoredFacts>, LedgerError> {
        let Some(held) = self.ledger.get(&self.key(payment)).await? else { return Ok(None) };
        let Payload { known, failure, .. } = read(&held)?;
        let before = known.as_ref().map_or(0, |known| known.age_ms);
        let age = Duration::from_millis(before).saturating_add(held.told_age());
        let is_being_asked = held.record.state == State::Claimed && !held.lease_left().is_zero();
        let kept = StoredFacts {
            facts: known.map(|known| *known.facts),
            age,
            kept_for: held.ttl_left(),
            is_being_asked,
            failure: failure.map(|failure| failure.code),
        };
        Ok((held.record.state != State::Void).then_some(kept))
    }
}
