//! What contradicts itself is refused, with the values.

use std::time::Duration;

use crate::payment::policy::WhenProviderIsDown;
use crate::settings::build_error::BuildError;

use super::ValidatorBuilder;

/// No process makes more calls at once, and a larger number is a slip.
const MOST_CONCURRENT: usize = usize::MAX >> 3;

impl ValidatorBuilder {
    pub(super) fn check_mode(&self) -> Result<(), BuildError> {
        if self.identity.mode() == self.mode {
            return Ok(());
        }
        Err(BuildError::ModeMismatch {
            provider: self.identity.name().to_owned(),
            provider_mode: self.identity.mode(),
            validator_mode: self.mode,
        })
    }

    pub(super) fn check_account(&self) -> Result<(), BuildError> {
        self.identity.check_account(self.store.is_some())
    }

    pub(super) fn check_limits(&self) -> Result<(), BuildError> {
        let shortest = Duration::from_millis(1);
        for (setting, value) in [("attempt_timeout", self.attempt_timeout), ("total_deadline", self.total_deadline)] {
            if value < shortest {
                return Err(BuildError::out_of_range(setting, format!("{value:?}"), "at least 1 ms"));
            }
        }
        match self.max_concurrent {
            Some(0) => Err(BuildError::out_of_range("max_concurrent", "0".into(), "at least 1")),
            Some(calls) if calls > MOST_CONCURRENT => {
                let rule = "a number of calls; `unlimited_concurrency` sets no limit";
                Err(BuildError::out_of_range("max_concurrent", calls.to_string(), rule))
            }
            _ if self.max_in_flight == 0 => Err(BuildError::out_of_range("max_in_flight", "0".into(), "at least 1")),
            _ => Ok(()),
        }
    }

    pub(super) fn check_memory(&self) -> Result<(), BuildError> {
        BuildError::check_order("fresh_for", self.fresh_for, "retention", self.retention)?;
        if self.retention.is_zero() {
            return Err(BuildError::out_of_range(
                "retention",
                "0ns".into(),
                "more than zero; `fresh_for` zero always asks",
            ));
        }
        if let WhenProviderIsDown::ServeStale { up_to } = self.when_provider_is_down {
            BuildError::check_order("when_provider_is_down.up_to", up_to, "retention", self.retention)?;
            BuildError::check_order("fresh_for", self.fresh_for, "when_provider_is_down.up_to", up_to)?;
            if self.facts_in_memory == 0 {
                return Err(BuildError::out_of_range(
                    "facts_in_memory",
                    "0".into(),
                    "more than zero to serve older facts",
                ));
            }
        }
        Ok(())
    }

    pub(super) fn check_proofs(&self) -> Result<(), BuildError> {
        let keys = [("tenant_proof", self.tenant.metadata_key()), ("order_key", &self.order_key)];
        for (setting, key) in keys {
            if key.is_empty() {
                return Err(BuildError::out_of_range(setting, "empty".into(), "the name of a metadata key"));
            }
        }
        // Whatever proves the tenant, this key is compared where it is there, so it cannot hold an order.
        if self.tenant.metadata_key() == &*self.order_key {
            let rule = "another metadata key than the tenant's";
            return Err(BuildError::out_of_range("order_key", self.order_key.to_string(), rule));
        }
        if self.policy.max_age.is_some_and(|age| age.is_zero()) {
            return Err(BuildError::out_of_range("policy.max_age", "0ns".into(), "more than zero"));
        }
        Ok(())
    }
}
