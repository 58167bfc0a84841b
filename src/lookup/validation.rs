//! What a validation answers.

use std::sync::Arc;
use std::time::Duration;

use crate::accessors::{getters, partial_debug};
use crate::lookup::facts_flight::{Brought, FactsFlight};
use crate::payment::verdict::{Degradation, Provenance, Verdict};
use crate::provider::attempt_log::Attempt;

/// A verdict, and where it comes from.
#[derive(Clone)]
pub struct Validation {
    pub(crate) verdict: Verdict,
    pub(crate) provenance: Provenance,
    pub(crate) age: Duration,
    pub(crate) degraded: Option<Degradation>,
    /// Shared by all who waited for it; holds the attempt log.
    pub(crate) flight: Option<Arc<FactsFlight>>,
}

impl Validation {
    /// The verdict by value, to take the proof out of it.
    #[must_use]
    pub fn into_verdict(self) -> Verdict {
        self.verdict
    }

    getters! {
        /// The verdict.
        pub fn verdict(&self) -> &Verdict => &self.verdict;

        /// Where the facts came from.
        pub fn provenance(&self) -> Provenance => self.provenance;

        /// How long before this answer the provider stated the facts.
        ///
        /// Of facts that another process wrote to a shared store, that process said how old they were when it sent
        /// them, so the age may be less than the truth by the time that the store took to write them: at most
        /// [`store_timeout`](crate::ValidatorBuilder::store_timeout), or two leases where the write was never
        /// confirmed.
        pub fn age(&self) -> Duration => self.age;

        /// What was missing on the way to this answer, if anything was.
        pub fn degraded(&self) -> Option<Degradation> => self.degraded;

        /// Every provider call of the flight behind this answer; empty on a replay.
        pub fn attempts(&self) -> &[Attempt] => match self.flight.as_ref().and_then(|flight| flight.outcome()) {
            Some(Ok(Ok(Brought::Facts(looked_up)))) => &looked_up.attempts,
            Some(Ok(Err(error))) => error.attempts(),
            Some(Ok(Ok(Brought::Alias(..))) | Err(_)) | None => &[],
        };
    }
}

partial_debug!(Validation, self =>
    verdict: self.verdict, provenance: self.provenance, age: self.age, degraded: self.degraded,
    attempts: self.attempts()
);
