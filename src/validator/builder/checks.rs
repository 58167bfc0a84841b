//! What contradicts itself is refused, with the values.

use std::time::Duration;

use crate::call::breaker::Breaker;
use crate::call::retry::RetryBudget;
use crate::payment::policy::WhenProviderIsDown;
use crate::settings::build_error::BuildError;

use super::ValidatorBuilder;

/// No process makes more calls at once, and a larger number is a slip.
const MOST_CONCURRENT: usize = usize::MAX >> 3;

impl ValidatorBuilder {
    /// Checks all settings but the patterns and those of records.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        self.check_mode()?;
        self.identity.check_account(self.store.is_some())?;
        self.check_limits()?;
        self.check_memory()?;
        self.check_store()?;
        self.check_redemptions()?;
        self.check_proofs()?;
        self.check_order_functions()?;
        self.retry.check()?;
        self.budget.as_ref().map_or(Ok(()), RetryBudget::check)?;
        [&self.breaker, &self.guard_breaker].into_iter().flatten().try_for_each(Breaker::check)
    }

    fn check_mode(&self) -> Result<(), BuildError> {
        if self.identity.mode() == self.rules.mode {
            return Ok(());
        }
        Err(BuildError::ModeMismatch {
            provider: self.identity.name().to_owned(),
            provider_mode: self.identity.mode(),
            validator_mode: self.rules.mode,
        })
    }

    fn check_limits(&self) -> Result<(), BuildError> {
        for (setting, value) in [("attempt_timeout", self.attempt_timeout), ("total_deadline", self.total_deadline)] {
            BuildError::check(setting, value, value >= Duration::from_millis(1), "at least 1 ms")?;
        }
        if let Some(calls) = self.max_concurrent {
            let rule = "a number of calls; unset, there is no limit";
            BuildError::check("max_concurrent", calls, calls > 0, "at least 1")?;
            BuildError::check("max_concurrent", calls, calls <= MOST_CONCURRENT, rule)?;
        }
        BuildError::check("max_in_flight", self.max_in_flight, self.max_in_flight > 0, "at least 1")
    }

    fn check_memory(&self) -> Result<(), BuildError> {
        let (fresh_for, retention) = (self.rules.fresh_for, self.retention);
        BuildError::check_order("fresh_for", fresh_for, "retention", retention)?;
        let rule = "more than zero; `fresh_for` zero always asks";
        BuildError::check("retention", retention, !retention.is_zero(), rule)?;
        if let WhenProviderIsDown::ServeStale { up_to } = self.when_provider_is_down {
            BuildError::check_order("when_provider_is_down.up_to", up_to, "retention", retention)?;
            BuildError::check_order("fresh_for", fresh_for, "when_provider_is_down.up_to", up_to)?;
            let (kept, rule) = (self.facts_in_memory, "more than zero to serve older facts");
            BuildError::check("facts_in_memory", kept, kept > 0, rule)?;
        }
        Ok(())
    }

    fn check_proofs(&self) -> Result<(), BuildError> {
        let (tenant_key, order_key) = (self.rules.tenant.metadata_key(), &*self.rules.order.key);
        for (setting, key) in [("tenant_proof", tenant_key), ("order_key", order_key)] {
            BuildError::check(setting, format_args!("empty"), !key.is_empty(), "the name of a metadata key")?;
        }
        // Whatever proves the tenant, this key is compared where it is there, so it cannot hold an order.
        let (value, rule) = (format_args!("{order_key}"), "another metadata key than the tenant's");
        BuildError::check("order_key", value, tenant_key != order_key, rule)?;
        let max_age = self.rules.policy.max_age.unwrap_or(Duration::MAX);
        BuildError::check("policy.max_age", max_age, !max_age.is_zero(), "more than zero")
    }
}
