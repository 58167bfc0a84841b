//! What a validator did, as numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// What a validator did since it was built. A snapshot: the numbers may be a few calls apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Time since the validator was built.
    pub uptime: Duration,
    /// Validations answered from facts in memory or in the shared store.
    pub hits: u64,
    /// Validations answered by a flight that they led.
    pub misses: u64,
    /// Validations answered by another caller's flight.
    pub coalesced: u64,
    /// Validations answered from older facts while the provider was down, or without the shared store while that was.
    pub degraded: u64,
    /// Provider calls.
    pub attempts: u64,
    /// Provider calls after the first of a flight.
    pub retries: u64,
    /// Provider calls that were made beside one that was silent; counted among the retries.
    pub hedges: u64,
    /// Provider calls that were silent still when one beside them ended the flight.
    pub overtaken: u64,
    /// Verdicts that were `Valid`.
    pub valid: u64,
    /// Verdicts that were `Pending`.
    pub pending: u64,
    /// Verdicts that were `ActionRequired`.
    pub action_required: u64,
    /// Verdicts that were `Invalid`.
    pub invalid: u64,
    /// Validations without a verdict, by [`ValidateError::code`](crate::ValidateError::code).
    pub errors: BTreeMap<&'static str, u64>,
    /// Calls to the shared store that failed.
    pub store_failures: u64,
    /// How often the shared store was found to have lost a record that it had acknowledged.
    pub store_losses: u64,
    /// Answers that could not be recorded, since the lease was over or the payment was forgotten meanwhile.
    pub leases_lost: u64,
    /// Flights, and webhook events, taken over from a process that did not come back within its lease.
    pub taken_over: u64,
    /// Requests with an idempotency key, by how the `endpoint` layer answered: see there.
    pub requests: BTreeMap<&'static str, u64>,
    /// Requests that went past the layer, since `PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS` is on.
    pub requests_bypassed: u64,
    /// Whether `PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS` (or the same without `PAYPROOF_`) is on, and a layer was built.
    pub idempotency_checks_disabled: bool,
    /// Webhook deliveries, by how they were answered: see `webhook`.
    pub deliveries: BTreeMap<&'static str, u64>,
    /// Webhook deliveries of other accounts' events, for which no handler ran; see `webhook::OtherAccounts`.
    pub deliveries_of_other_accounts: u64,
    /// Webhook deliveries of the own account's events whose object the provider's credential may not read, or that name none
    /// although they may have taken money back; see `webhook`.
    pub objects_unreadable: u64,
    /// How long the provider has refused the credential (401); `None` while it does not.
    pub credential_refused_for: Option<Duration>,
    /// Kinds of call that are forbidden to the credential (403) at present.
    pub forbidden_calls: usize,
    /// How long the provider has limited the account's rate (429); `None` while it does not.
    pub rate_limited_for: Option<Duration>,
    /// Payments whose facts are in memory.
    pub facts_in_memory: usize,
    /// Whether facts in memory are covered: the store tells of changes now. Where it should and does not,
    /// [`check_store`](crate::Validator::check_store) says why.
    pub facts_are_covered: bool,
    /// Idempotency keys held; at `max_keys` new ones are refused.
    pub keys_held: usize,
    /// Flights under way.
    pub in_flight: usize,
    /// Extra requests, retries or hedges, that the retry budget would pay for now; `None` without a budget.
    pub credit: Option<f64>,
    /// Calls that wait in line for a retry.
    pub in_line: usize,
    /// What the breaker of look-ups is doing; `None` without a breaker.
    pub breaker: Option<BreakerState>,
    /// What the breaker of guarded calls is doing; `None` without a breaker.
    pub guarded_breaker: Option<BreakerState>,
    /// Whether the shared store is asked: closed while it is, open while calls are turned away since it does not answer in
    /// time; `None` without one.
    pub store_breaker: Option<BreakerState>,
}

impl Stats {
    /// The share of verdicts that came from memory, from 0 to 1; 0 before the first.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub fn hit_rate(&self) -> f64 {
        let all = self.hits.saturating_add(self.misses).saturating_add(self.coalesced);
        if all == 0 { 0.0 } else { self.hits as f64 / all as f64 }
    }
}

/// What the breaker is doing, for people; with the number that the gauge `payproof_breaker_state` shows for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BreakerState {
    /// Attempts pass.
    Closed = 0,
    /// A few attempts pass, to find out.
    HalfOpen = 1,
    /// No attempt passes.
    Open = 2,
}
