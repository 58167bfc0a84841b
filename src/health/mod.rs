//! Whether a validator can do all it could, and what keeps it from that.

use std::future::Future;
use std::time::Duration;

use futures_util::future::{TryFutureExt as _, try_join};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::accessors::getters;
use crate::account::StoreCheck;
use crate::call::deadline::after;
use crate::call::refusals::RefusedNow;
use crate::call::retry::Traffic;
use crate::guard::{IndeterminateList, IndeterminateOperation};
use crate::store::StoreFinding;
use crate::telemetry::stats::BreakerState;
use crate::validator::Validator;

mod page;
#[cfg(feature = "metrics")]
mod publishing;
mod reason;

pub use crate::call::refusals::ProviderCalls;
pub use reason::HealthReason;

/// Probes wait for a second by default, and an answer without the store is better than none.
const PATIENCE: Duration = Duration::from_millis(800);

/// By then a run that was cut off has been run again or reconciled, if the service does that.
const INDETERMINATE_FOR: Duration = Duration::from_secs(60);

/// An operator has so long to have an indeterminate operation run again under the provider's key, once health tells of it.
const KEY_ENDS_SOON: Duration = Duration::from_secs(2 * 60 * 60);

/// What a validator can do now: all of it (ready), or less (degraded), with the reasons.
///
/// A degraded validator still answers, and says in each answer what was missing. So serve this with status 200 whatever it
/// says: most reasons are shared by every process, and taking all of them out of a load balancer would turn a slow provider
/// into an outage. Raise alarms by its contents, or by the metrics.
///
/// Serialized, it is what a health page shows. It is for operators: it tells of the store, never of payments or secrets.
///
/// ```json
/// {
///   "status": "degraded",
///   "reasons": [{ "code": "breaker_open", "message": "the provider does not answer and …" }],
///   "notes": [{ "code": "best_effort", "message": "a failover may lose …" }],
///   "store": {
///     "server": "redis", "version": "7.2.4", "latency_ms": 0.41,
///     "findings": [{ "code": "best_effort", "severity": "note", "message": "a failover may lose …" }]
///   }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    reasons: Vec<HealthReason>,
    notes: Vec<HealthReason>,
    store_check: StoreCheck,
}

impl Health {
    getters! {
        /// Whether nothing is missing. Notes do not count.
        pub fn is_ready(&self) -> bool => self.reasons.is_empty();

        /// What is missing, if anything is.
        pub fn reasons(&self) -> &[HealthReason] => &self.reasons;

        /// What is good to know: what follows from how the validator was set up.
        pub fn notes(&self) -> &[HealthReason] => &self.notes;

        /// What the look at the store found, as [`Validator::check_store`] does.
        pub fn store_check(&self) -> &StoreCheck => &self.store_check;
    }
}

impl Validator {
    /// Says whether everything works, and what does not. For a health page: see [`Health`] for how to serve it.
    ///
    /// It asks the store, and waits for it for 0.8 s at most; a store that does not answer is a reason. However often it is
    /// called, the store is looked into once a second.
    ///
    /// | degrades | a note |
    /// |---|---|
    /// | a breaker is open or half-open, the retry budget is empty | |
    /// | the provider refuses the credential (401), or a kind of call to it (403), or limits the rate (429), until a call succeeds; a 403 for an hour at most | |
    /// | a finding about the store that is a warning or an error, a move of its clock within the last day included, and that it had lost what it had acknowledged (looked at each minute) | one that is a note, or says what was chosen: not shared, volatile, a loss that `restart_loses_at_most` accepts |
    /// | `PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS` is on | without a shared store `forget` reaches this process only |
    /// | an operation or a request has been indeterminate for a minute, or the list of them is full or cannot be read | |
    /// | the provider's key protects an indeterminate operation for less than two hours more | |
    /// | `accept_unsigned_records` is set; no key of `record_keys` opened a record that was read | |
    /// | webhooks delivered events about objects that the key may not read, or that name none although they may have taken money back | |
    /// | nine tenths of `max_keys` are held | webhooks delivered events of other accounts, for which no handler ran |
    ///
    /// ```
    /// # use payproof::Validator;
    /// # use payproof::testing::ScriptedProvider;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let validator = Validator::builder(ScriptedProvider::new()).build()?;
    /// let page = serde_json::to_string(&validator.health().await)?; // with status 200, whatever it says
    /// assert!(page.starts_with(r#"{"status":"ready""#));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// It changes nothing, and may be dropped at any point.
    ///
    /// # Panics
    /// In a tokio runtime without time enabled, which offers no way to ask beforehand.
    pub fn health(&self) -> impl Future<Output = Health> + Send + use<> {
        let validator = self.clone();
        async move {
            let until = after(Instant::now(), PATIENCE);
            let indeterminate = indeterminate(&validator, until).await;
            let store_check = look(&validator, until).await;
            let mut all = of_provider(&validator);
            all.extend(of_store(&validator, &store_check, indeterminate));
            let (reasons, notes) = all.into_iter().partition(HealthReason::degrades);
            Health { reasons, notes, store_check }
        }
    }
}

/// A look at the store, or that it did not answer in time.
async fn look(validator: &Validator, until: Instant) -> StoreCheck {
    let reason: Box<str> = match Handle::try_current() {
        Err(_) => "there is no tokio runtime here".into(),
        Ok(_) => match timeout_at(until, validator.0.account.check_store_recently()).await {
            Ok(store_check) => return store_check,
            Err(_elapsed) => format!("no answer within {PATIENCE:?}").into(),
        },
    };
    StoreCheck { store: None, findings: vec![StoreFinding::Unreachable { reason }] }
}

/// What has to be looked into.
struct Indeterminate {
    operations: IndeterminateList,
    requests: IndeterminateList,
}

impl Indeterminate {
    fn oldest(&self) -> Option<Duration> {
        self.operations.oldest().max(self.requests.oldest())
    }

    fn reasons(&self) -> impl Iterator<Item = HealthReason> {
        let (operations, requests) = (self.operations.total(), self.requests.total());
        let oldest = self.oldest().filter(|oldest| *oldest > INDETERMINATE_FOR);
        let waiting = oldest.map(|oldest| HealthReason::Indeterminate { operations, requests, oldest });
        let (operations, requests) = (self.operations.not_listed(), self.requests.not_listed());
        let not_listed = (operations > 0 || requests > 0).then_some(HealthReason::NotListed { operations, requests });
        let keys = self.operations.iter().filter_map(IndeterminateOperation::key_left);
        let ending: Vec<_> = keys.filter(|left| *left < KEY_ENDS_SOON).collect();
        let ending = ending.iter().min().map(|soonest| HealthReason::ProviderKeysEnding {
            operations: u64::try_from(ending.len()).unwrap_or(u64::MAX),
            soonest: *soonest,
        });
        waiting.into_iter().chain(ending).chain(not_listed)
    }
}

/// What has to be looked into, if the store says so in time; if not, that is logged and counted.
async fn indeterminate(validator: &Validator, until: Instant) -> Option<Indeterminate> {
    Handle::try_current().ok()?;
    let telemetry = &validator.0.account.telemetry;
    let operations = validator.guard().indeterminate().map_err(|error| telemetry.store_failed(&error));
    #[cfg(feature = "tower")]
    let requests = validator.indeterminate_requests().map_err(|error| telemetry.store_failed(&error));
    #[cfg(not(feature = "tower"))]
    let requests = std::future::ready(Ok(IndeterminateList::default()));
    let read = timeout_at(until, try_join(operations, requests)).await;
    let (operations, requests) = read.map_err(|elapsed| telemetry.store_failed(&elapsed)).ok()?.ok()?;
    Some(Indeterminate { operations, requests })
}

fn of_provider(validator: &Validator) -> Vec<HealthReason> {
    let stats = validator.stats();
    let breaker = match stats.breaker {
        Some(BreakerState::Open) => Some(HealthReason::BreakerOpen),
        Some(BreakerState::HalfOpen) => Some(HealthReason::BreakerHalfOpen),
        _ => None,
    };
    let is_guarded_closed = matches!(stats.guarded_breaker, None | Some(BreakerState::Closed));
    let guarded = (!is_guarded_closed).then_some(HealthReason::GuardedBreakerOpen);
    let budget = stats.credit.filter(|level| *level < 1.0).map(|_| HealthReason::BudgetEmpty);
    let checks = stats.idempotency_checks_disabled.then_some(HealthReason::ChecksDisabled);
    let (held, limit) = (stats.keys_held, validator.0.keys.limit());
    // Where none are allowed, that was chosen.
    let is_nearly_full = held > 0 && held >= limit.saturating_sub(limit / 10);
    let keys = is_nearly_full.then_some(HealthReason::KeysNearlyFull { held, limit });
    let deliveries = stats.deliveries_of_other_accounts;
    let others = (deliveries > 0).then_some(HealthReason::OtherAccounts { deliveries });
    let deliveries = stats.objects_unreadable;
    let unreadable = (deliveries > 0).then_some(HealthReason::ObjectsUnreadable { deliveries });
    let mut all = refused(validator);
    all.extend([breaker, guarded, budget, checks, keys, others, unreadable].into_iter().flatten());
    all
}

/// What the provider refuses for the sake of who asks.
fn refused(validator: &Validator) -> Vec<HealthReason> {
    let (retrier, now) = (&validator.0.account.retrier, Instant::now());
    let RefusedNow { credential, forbidden, limited } = retrier.refusals.now(now);
    let closed = retrier.gate_closed_for(Traffic::LookUps, now).max(retrier.gate_closed_for(Traffic::Guarded, now));
    // A call that was under way may have succeeded since the limit was told, which is held to all the same.
    let limited = limited.or_else(|| closed.map(|wait| (Duration::ZERO, wait)));
    let rate =
        limited.map(|(since, wait)| HealthReason::RateLimited { since, wait: wait.max(closed.unwrap_or_default()) });
    let credential = credential.map(|since| HealthReason::CredentialRefused { since });
    let forbidden = forbidden.into_iter().map(|(calls, since)| HealthReason::CallsForbidden { calls, since });
    credential.into_iter().chain(forbidden).chain(rate).collect()
}

fn of_store(
    validator: &Validator,
    store_check: &StoreCheck,
    indeterminate: Option<Indeterminate>,
) -> Vec<HealthReason> {
    let is_local = !validator.0.account.is_alone_or_shared();
    // Said in full by the reason in its place.
    let findings = store_check.findings.iter().filter(|finding| !(is_local && **finding == StoreFinding::NotShared));
    let mut all: Vec<_> = findings.cloned().map(HealthReason::Store).collect();
    all.extend(is_local.then_some(HealthReason::ForgetIsLocal));
    let records = &validator.0.account.ledger;
    all.extend(
        records.codec.unsigned().map(|(kinds, since)| HealthReason::UnsignedAccepted { kinds: kinds.into(), since }),
    );
    all.extend(records.codec.not_opened().map(|(kind, reads, since)| HealthReason::RecordsNotOpened {
        kind,
        reads,
        since,
    }));
    match indeterminate {
        None => all.push(HealthReason::IndeterminateUnknown),
        Some(indeterminate) => all.extend(indeterminate.reasons()),
    }
    all
}
