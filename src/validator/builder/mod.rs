//! Every setting of a validator, with its default; all checks are in `build`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use crate::accessors::setters;
use crate::account::{Account, Backlog, LastLook, Limits, MOST_LISTED};
use crate::call::breaker::Breaker;
use crate::call::concurrency::Concurrency;
use crate::call::refusals::Refusals;
#[cfg(feature = "reconcile")]
use crate::call::retry::ListCalls;
use crate::call::retry::{Credit, Hedges, Lane, Retrier, Retry, RetryBudget, ToldWaits, TransientPatterns, rng};
use crate::ledger::Ledger;
use crate::lock::Lock;
use crate::lookup::aliases::Aliases;
use crate::lookup::facts_cache::FactsCache;
use crate::lookup::facts_flight::FactsFlights;
use crate::lookup::lookups::Lookups;
use crate::payment::facts::Mode;
use crate::payment::judge::Rules;
use crate::payment::order::OrderProof;
use crate::payment::policy::{Policy, RedemptionRules, TenantProof, WhenProviderIsDown};
use crate::provider::{AnyProvider, Provider, ProviderIdentity};
use crate::settings::build_error::BuildError;
use crate::spread::Spread;
use crate::store::{AnyStore, MemoryStore, RestartLoss};
use crate::telemetry::Telemetry;
use crate::validator::Validator;

mod calls;
mod checks;
mod orders;
mod records;
mod redemptions;
mod shared_memory;
mod shares;

use records::RecordSettings;
use redemptions::RedemptionsBefore;

/// A shopper does not wait longer than a minute for anything.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(60);

/// Stripe keeps the result of a request for at least as long.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// A refund within the quarter of an hour after a payment is rare, and webhooks call `forget`.
const FRESH_FOR: Duration = Duration::from_secs(15 * 60);

/// Ten seconds of silence at 1,000 calls a second, and as much again: half of it is one tenant's share.
const MAX_IN_FLIGHT: usize = 25_000;

/// A refund that another process hears of is seen here within this time; a burst of clicks is over sooner.
const FACTS_IN_MEMORY_FOR: Duration = Duration::from_secs(5);

/// A store in the same data center answers within milliseconds, and its own time-outs end sooner.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);

/// Longer than any card scheme lets a payment be disputed, and than a year's orders are looked at.
const REDEMPTION_RETENTION: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// So much younger than that a payment has to be, so that its redemption is not forgotten while it is looked at.
const REDEMPTION_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// A checkout redeems right after it has validated; a proof that lay about may have been refunded.
const PROOF_MAX_AGE: Duration = Duration::from_secs(60);

/// About 29 MB when full.
const FACTS_IN_MEMORY: usize = 100_000;

/// A day of keys at one checkout a second. About 15 MB when full.
const MAX_KEYS: usize = 100_000;

/// Settings of a [`Validator`]. The defaults are safe ones; `build` refuses what contradicts itself.
///
/// | setting | default |
/// |---|---|
/// | `attempt_timeout` | 30 s, over connecting, headers and body |
/// | `retry` | 3 retries after 100 ms, 500 ms and 5 s, full jitter |
/// | `transient_pattern` | each client's words for a rate limit, a lost connection, an unreachable host, an early end, a passed deadline |
/// | `retry_after_cap` | 60 s |
/// | `total_deadline` | 150 s, over attempts, waits and queues |
/// | `retry_budget` | 10 at start, 0.5 per answer, less 0.2 per failure, saved up to 10 or 5 % of the calls of 10 s; 10 s in line |
/// | `no_hedges` | look-ups that were overtaken are asked once more |
/// | `breaker` | none |
/// | `guard_breaker` | opens at half of 20 attempts failed within 10 s, for 5 s, then 3 probes |
/// | `max_concurrent` | unlimited |
/// | `max_in_flight` | 25,000 payments |
/// | `max_in_flight_per_tenant` | half of `max_in_flight` |
/// | `mode` | live |
/// | `tenant_proof` | metadata key `store_id` |
/// | `order_key` | metadata key `order_id` |
/// | `order_by_reference` | off |
/// | `order_by_client_reference` | off |
/// | `order_from` | none |
/// | `policy` | exactly the claimed amount, captured in full, not refunded, disputed or reported as fraud, risk up to elevated, debits not held |
/// | `retention` | 24 h |
/// | `fresh_for` | 15 min |
/// | `when_provider_is_down` | refuse |
/// | `facts_in_memory` | 100,000 payments |
/// | `max_keys` | 100,000 |
/// | `max_keys_per_tenant` | half of `max_keys` |
/// | `max_indeterminate_per_tenant` | 1,000 of the 2,000 operations listed, and as many requests |
/// | `store` | none: what is known stays in this process |
/// | `store_timeout` | 1 s for one call to the store |
/// | `store_prefix` | `payproof` |
/// | `record_keys` | none: records are not authenticated |
/// | `accept_unsigned_records` | none |
/// | `write_records_of` | this release |
/// | `lease` | validations: six times `store_timeout`, renewed; guarded effects: the longest validation and 5 s |
/// | `facts_in_memory_for` | 5 s, with a store; as long as `fresh_for` where Redis tells of changes, unless this is below 1 s or the store's builder says `no_invalidation_line` |
/// | `redemption_retention` | 400 days |
/// | `proof_max_age` | 60 s |
/// | `redeem_authorized` | not accepted |
/// | `redemptions_in_transactions` | off: they are recorded in the store |
/// | `redemptions_moved_from` | none |
/// | `no_redemptions_before` | not stated: a validator with redemptions in PostgreSQL needs it, or `redemptions_moved_from` |
/// | `restart_loses_at_most` | not stated: the store is asked, and a second is accepted |
/// | `only_instance` | not stated: redemptions, and guarded writes without a provider key, need a store that all processes see |
/// | `seed` | from the operating system |
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ValidatorBuilder {
    identity: ProviderIdentity,
    provider: Box<dyn AnyProvider>,
    rules: Rules,
    attempt_timeout: Duration,
    total_deadline: Duration,
    retry: Retry,
    built_in_patterns: bool,
    patterns: Vec<String>,
    retry_after_cap: Duration,
    budget: Option<RetryBudget>,
    hedges: Hedges,
    breaker: Option<Breaker>,
    guard_breaker: Option<Breaker>,
    max_concurrent: Option<usize>,
    max_in_flight: usize,
    max_in_flight_per_tenant: Option<usize>,
    retention: Duration,
    when_provider_is_down: WhenProviderIsDown,
    facts_in_memory: usize,
    max_keys: usize,
    max_keys_per_tenant: Option<usize>,
    max_indeterminate_per_tenant: Option<usize>,
    seed: Option<u64>,
    store: Option<Arc<dyn AnyStore>>,
    store_timeout: Duration,
    store_prefix: Box<str>,
    records: RecordSettings,
    lease: Option<Duration>,
    renew_lease: bool,
    facts_in_memory_for: Duration,
    redemption: RedemptionRules,
    redemptions_before: RedemptionsBefore,
    restart_loss: Option<RestartLoss>,
    only_instance: bool,
}

impl Validator {
    /// Starts a validator of payments at this provider, with safe defaults.
    pub fn builder(provider: impl Provider) -> ValidatorBuilder {
        ValidatorBuilder {
            identity: provider.identity().clone(),
            rules: Rules {
                policy: Policy::default(),
                mode: Mode::default(),
                tenant: TenantProof::default(),
                order: OrderProof::default(),
                units: provider.identity().units_table().clone(),
                fresh_for: FRESH_FOR,
                remembered_for: REDEMPTION_RETENTION,
            },
            provider: Box::new(provider),
            attempt_timeout: ValidatorBuilder::ATTEMPT_TIMEOUT,
            total_deadline: ValidatorBuilder::TOTAL_DEADLINE,
            retry: Retry::default(),
            built_in_patterns: true,
            patterns: Vec::new(),
            retry_after_cap: RETRY_AFTER_CAP,
            budget: Some(RetryBudget::default()),
            hedges: Hedges::On,
            breaker: None,
            guard_breaker: Some(Breaker::default()),
            max_concurrent: None,
            max_in_flight: MAX_IN_FLIGHT,
            max_in_flight_per_tenant: None,
            retention: RETENTION,
            when_provider_is_down: WhenProviderIsDown::default(),
            facts_in_memory: FACTS_IN_MEMORY,
            max_keys: MAX_KEYS,
            max_keys_per_tenant: None,
            max_indeterminate_per_tenant: None,
            seed: None,
            store: None,
            store_timeout: STORE_TIMEOUT,
            store_prefix: ValidatorBuilder::STORE_PREFIX.into(),
            records: RecordSettings::default(),
            lease: None,
            renew_lease: false,
            facts_in_memory_for: FACTS_IN_MEMORY_FOR,
            redemption: RedemptionRules {
                retention: REDEMPTION_RETENTION,
                proof_max_age: PROOF_MAX_AGE,
                authorized: false,
                in_transactions: false,
            },
            redemptions_before: RedemptionsBefore::default(),
            restart_loss: None,
            only_instance: false,
        }
    }
}

impl ValidatorBuilder {
    /// The default of [`attempt_timeout`](Self::attempt_timeout), 30 s: as long as Stripe's own clients and proxies wait,
    /// and longer than any healthy answer.
    pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

    /// The default of [`total_deadline`](Self::total_deadline), 150 s: four attempts of 30 s, their waits, and a margin for
    /// queues.
    pub const TOTAL_DEADLINE: Duration = Duration::from_secs(150);

    /// The default of [`store_prefix`](Self::store_prefix): `payproof`.
    pub const STORE_PREFIX: &str = "payproof";

    setters! {
        /// Which payments count: live by default. A payment of the other mode is never valid.
        pub fn mode(mut self, mode: Mode) => self.rules.mode = mode;

        /// What counts as paid. Default: captured in full, not refunded, disputed or reported as fraud.
        pub fn policy(mut self, policy: Policy) => self.rules.policy = policy;

        /// How a payment proves its tenant. Default: the metadata key `store_id`, of the payment or of the Checkout session by
        /// which it is claimed; what both state has to agree.
        pub fn tenant_proof(mut self, proof: TenantProof) => self.rules.tenant = proof;

        /// Says that the provider account serves one tenant, so that payments need not name one.
        pub fn single_tenant(mut self) => self.rules.tenant = TenantProof::SingleTenant;

        /// The metadata key that names the order. Default: `order_id`. It is looked for in the payment's metadata and in that of
        /// the Checkout session by which it is claimed; what both state has to agree.
        pub fn order_key(mut self, key: impl Into<Box<str>>) => self.rules.order.key = key.into();

        /// How long facts and keys are kept. Default: 24 h. Facts past `fresh_for` serve only as
        /// [`when_provider_is_down`](Self::when_provider_is_down) allows.
        pub fn retention(mut self, retention: Duration) => self.retention = retention;

        /// How long facts are served without asking again, counted from the provider's answer. Default: 15 min.
        ///
        /// Only for what is settled: captured, canceled, or refunded in full. An accepted authorization is served for
        /// at most 60 s and never past its end, everything else for at most 2 s. Zero always asks.
        pub fn fresh_for(mut self, fresh_for: Duration) => self.rules.fresh_for = fresh_for;

        /// What to answer when the provider cannot be asked. Default: an error.
        pub fn when_provider_is_down(mut self, answer: WhenProviderIsDown) => self.when_provider_is_down = answer;

        /// The most payments whose facts are in memory. Default: 100,000, at about 250 bytes each, and up to 175 more
        /// where Redis tells of changes. Zero keeps none. As many Checkout sessions, at about 500 bytes each, may be in memory
        /// besides.
        pub fn facts_in_memory(mut self, payments: usize) => self.facts_in_memory = payments;

        /// Seeds the jitter, so that a test sees the same waits each time. Default: from the operating system.
        pub fn seed(mut self, seed: u64) => self.seed = Some(seed);
    }

    fn limits(&self) -> Limits {
        Limits {
            total_deadline: self.total_deadline,
            worst_case: self.worst_case(),
            lease: self.lease_or_default(),
            renew_lease: self.renew_lease,
            indeterminate_per_tenant: self.share(self.max_indeterminate_per_tenant, MOST_LISTED),
        }
    }

    /// Checks every setting, and builds the validator.
    ///
    /// # Errors
    /// When a setting is outside what makes sense, two contradict each other, a pattern is not a regular expression, the
    /// provider works in the other mode, or there is a store and the provider's account is not stated. The error carries
    /// the values.
    pub fn build(self) -> Result<Validator, BuildError> {
        self.check()?;
        let patterns = TransientPatterns::compile(!self.built_in_patterns, &self.patterns)?;
        let (codec, rng) = (self.records.codec()?, rng(self.seed));
        let (limits, keys, permits) = (self.limits(), self.key_register(), Arc::new(self.permits()));
        let identity = Arc::new(self.identity.clone());
        let store = self.store.clone().unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let telemetry = Telemetry::new(identity.name(), identity.label(), self.rules.mode.as_str());
        let ledger = Ledger::new(store, self.store_prefix.clone(), self.store_timeout, codec, self.restart_loss);
        let ledger = ledger.seeded(self.seed).heard_by(&telemetry.store);
        let cache = Arc::new(FactsCache::new(self.facts_in_memory));
        let shared = self.shared_facts(&ledger, &identity, &cache);
        let former_redemptions = self.former_redemptions(&ledger, &telemetry);
        let longest_attempt = self.attempt_timeout.min(self.total_deadline);
        let account = Account {
            telemetry,
            identity,
            ledger,
            has_store: shared.is_some(),
            only_instance: self.only_instance,
            looked: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            loss_look_due: Lock::default(),
            last_look: LastLook::default(),
            permits: Arc::clone(&permits),
            limits,
            redemption: self.redemption,
            former_redemptions,
            backlog: Backlog::default(),
            #[cfg(feature = "tower")]
            requests_backlog: Backlog::default(),
            retrier: Retrier {
                provider: self.provider,
                retry: self.retry,
                attempt_timeout: self.attempt_timeout,
                retry_after_cap: self.retry_after_cap,
                patterns,
                #[cfg(feature = "reconcile")]
                lists: ListCalls::new(
                    (self.breaker.clone(), self.budget.clone()),
                    (self.attempt_timeout, self.total_deadline),
                ),
                look_ups: Lane::new(self.breaker, longest_attempt),
                guarded: Lane::new(self.guard_breaker, longest_attempt),
                credit: Credit::new(self.budget, self.hedges),
                told: ToldWaits::default(),
                refusals: Refusals::default(),
                concurrency: self.max_concurrent.map(|calls| Concurrency::new(calls, longest_attempt)),
                rng,
            },
        };
        let remembered_for = self.redemption.retention.saturating_sub(REDEMPTION_MARGIN);
        let lookups = Arc::new(Lookups {
            account: Arc::new(account),
            rules: Rules { remembered_for, ..self.rules },
            retention: self.retention,
            when_provider_is_down: self.when_provider_is_down,
            cache,
            flights: Arc::new(FactsFlights::new(Arc::clone(&permits), self.total_deadline)),
            aliases: Aliases::new(self.facts_in_memory),
            alias_flights: Arc::new(FactsFlights::new(permits, self.total_deadline)),
            forgets: AtomicU64::new(0),
            keys,
            told_of_debits: AtomicBool::new(false),
            shared,
        });
        #[cfg(feature = "webhook")]
        lookups.join_peers();
        Ok(Validator(Arc::new(Spread::new(lookups))))
    }
}
