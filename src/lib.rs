//! Asks the payment provider whether a payment intent is real, ours and paid in full, and lets each payment pay one order.
//!
//! A checkout is told by a browser that payment `pi_…` pays 19.99 USD for order 6735 of store 42. It must not ship on the
//! browser's word. A [`Validator`] asks the provider, compares every claim, and answers with a [`Verdict`], or with a
//! [`ValidateError`] when the truth could not be found out.
//!
//! ```standalone_crate
//! # mod sandboxed {
//! #     pub static URL: std::sync::OnceLock<String> = std::sync::OnceLock::new();
//! #     pub struct Stripe;
//! #     impl Stripe {
//! #         pub fn new(key: String) -> Result<payproof::Stripe, payproof::BuildError> {
//! #             payproof::Stripe::builder(key).base_url(URL.get().expect("started")).build()
//! #         }
//! #     }
//! # }
//! use payproof::{Currency, Money, PaymentIntent, Stripe, Validator, Verdict};
//!
//! async fn check_out(secret_key: String) -> Result<(), Box<dyn std::error::Error>> {
//! #   use self::sandboxed::Stripe; // in place of the one above
//!     let validator = Validator::builder(Stripe::new(secret_key)?).build()?; // all defaults are safe ones
//!     // A shop that uses Checkout or Payment Links passes the session's id, `cs_…`, in the place of the intent's.
//!     let intent = PaymentIntent::new("store_42", "pi_3MtwBw", Money::parse("19.99", Currency::USD)?)?.with_order("6735")?;
//!     let validation = validator.validate(&intent).await?; // Err = "could not tell", never a verdict
//!     match validation.verdict() {
//!         Verdict::Valid(proof) => println!("paid: {}", proof.money()),
//!         Verdict::Pending(pending) => println!("ask again in {:?}", pending.poll_after()),
//!         Verdict::ActionRequired(_) => println!("the shopper must do something first"),
//!         Verdict::Invalid(findings) => println!("do not ship: {findings}"), // every mismatch, not only the first
//!     }
//!     Ok(())
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     use payproof::testing::sandbox::{Sandbox, SandboxPayment};
//! #     let sandbox = Sandbox::start().await?;
//! #     sandbox.put(SandboxPayment::paid("pi_3MtwBw", 1999, "usd").tenant("store_42").order("6735"));
//! #     sandboxed::URL.set(sandbox.url())?;
//! #     check_out("sk_live_sandbox".to_owned()).await?;
//! #     assert_eq!(sandbox.requests(), 1);
//! #     Ok(())
//! # }
//! ```
//!
//! # Where to look
//! | to | see |
//! |---|---|
//! | validate and look into the store from a shell | the command `payproof`, with the feature `cli` |
//! | change a limit, the retries, what counts as paid | [`ValidatorBuilder`], [`Policy`], [`Retry`] |
//! | understand a verdict | [`Verdict`], [`Finding`], [`Provenance`] |
//! | understand a failure | [`ErrorInfo`], [`ValidateError`], [`Attempt`](provider::Attempt), [`Validator::explain`] |
//! | bind a payment to one order | [`Validator::redeem`], [`Proof`], [`Redeemed`](redeem::Redeemed), [`RedeemError`](redeem::RedeemError) |
//! | share what is known between processes | [`ValidatorBuilder::store`], [`store`], [`Validator::check_store`] |
//! | make an endpoint idempotent, answer in one envelope | [`endpoint`], [`envelope`] |
//! | capture or refund exactly once | [`Validator::guard`] |
//! | keep the service's own data at hand | `cache`, with the feature of that name |
//! | hear of refunds, disputes and payments | `webhook`, with the feature of that name |
//! | find what went wrong before | `reconcile`, with the feature of that name |
//! | use another provider | [`provider::Provider`], [`provider::provider_fn`] |
//! | test a checkout | `testing`, with the feature `test-util` |
//! | see what it does in production | [`Validator::stats`], [`Validator::health`], and the spans, events and metrics below |
//!
//! # Features
//! | feature | default | brings |
//! |---|---|---|
//! | `stripe` | yes | the [`Stripe`] adapter, over reqwest with rustls |
//! | `audit` | no | the command `payproof audit`: what a checkout's sources get wrong; brings `cli` |
//! | `axum` | no | answers of [`envelope`] as axum's responses; brings `tower` |
//! | `backoff` | no | `Schedule::backoff`: any `backoff::backoff::Backoff` as a retry schedule |
//! | `cache` | no | `cache`: a service's own data, loaded once per key in a whole fleet |
//! | `cache-lz4` | no | values of the cache above 1 KiB are stored compressed; brings `cache`. Set it in all processes of a fleet |
//! | `metrics` | no | the metrics below, over the `metrics` facade, and `Validator::publish_metrics` |
//! | `cli` | no | the command `payproof`; brings every store, `cache-lz4`, `reconcile`, `stripe`, `test-util`, `tower` and `webhook` |
//! | `file` | no | `store::FileStore`: one file on this machine |
//! | `postgres` | no | `store::PostgresStore`: PostgreSQL 14 or newer, a table in the shop's own database |
//! | `reconcile` | no | `reconcile`: the payments that the provider lists, compared with a shop's orders |
//! | `redis` | no | `store::RedisStore`: Redis or Valkey; one server, Cluster or Sentinel |
//! | `upstash` | no | `store::UpstashStore`: Upstash Redis over REST |
//! | `vercel-kv` | no | `store::UpstashStore::vercel_kv`: Vercel KV; brings `upstash` |
//! | `tower` | no | [`endpoint`]: requests with an `Idempotency-Key` happen once, in axum and every other `http` service |
//! | `webhook` | no | `webhook`: what Stripe reports, verified and handled once; `testing::webhook` with `test-util` |
//! | `test-util` | no | `testing`: a scripted provider, and a sandbox server that answers like Stripe; `store::contract` |
//!
//! Features add; none changes a decision. Without any there is no HTTP client in the tree.
//!
//! # Telemetry
//! Each event has a message in words, which may change, and a name, a target and fields, which stay. Spans and events come under
//! these targets:
//!
//! | target | of |
//! |---|---|
//! | `payproof::validation` | validations: who asks, what was found |
//! | `payproof::provider` | calls to the provider, its outages, calls that are turned away |
//! | `payproof::store` | the store and its outages |
//! | `payproof::guard` | guarded operations, and what was said of indeterminate ones |
//! | `payproof::redeem` | redemptions, and releases |
//! | `payproof::endpoint` | requests with an idempotency key |
//! | `payproof::webhook` | deliveries of webhooks |
//! | `payproof::cache` | the cache |
//!
//! In an outage of the provider or the store there is one line at its start, one a minute with the number of failures since the
//! last one, and one at its end, however many calls fail; each single failure is an event at debug. An outage that begins within
//! a minute of the last line is told with the next one. So the numbers of all lines add up to what failed.
//!
//! | name | kind, level | fields |
//! |---|---|---|
//! | `payproof.validate` | span, info | `provider`, `mode`, `payment`, `provenance`, `verdict`, `code` |
//! | `payproof.flight` | span, info; a child of the call that leads, followed by those that join | `provider`, `payment` |
//! | `payproof.attempt` | event, debug: a provider call is over | `number`, `reach`, `status`, `request_id`, `outcome`, `rule`, `duration_ms`, `wait_ms`, `wait_reason`, `error` |
//! | `payproof.list_page` | span, debug; a page of one of the provider's lists, as reconciling asks for | `provider`, `mode`, `list`: `payments`, `changes`; `items`, or the `code` of an error |
//! | `payproof.provider_outage` | event; warn at the start of an outage and each minute, info at its end: calls to the provider fail | `provider`, `failures` (provider calls) and `calls` (of the service, without an answer) since the last line, `turned_away`, `lasted_s`; at the start `reach`, `status`, `request_id`, `rule`, `error` |
//! | `payproof.turned_away` | event; warn when calls begin to be turned away (breaker, rate limit, capacity), info when that ends, unless the end of an outage says it | `provider`, `code`; at the end `turned_away` |
//! | `payproof.invalid` | event, debug: a verdict is invalid | `provider`, `findings`: their codes |
//! | `payproof.debit_not_held` | event, warn, once per validator: a bank debit is valid, and can still come back; see [`Policy::hold_debits`] | `provider` |
//! | `payproof.right_missing` | event, warn, once an hour: the provider's credential may not read what a verdict depends on | `provider`, `right` |
//! | `payproof.order_function_panicked` | event, error: a function of [`order_from`](ValidatorBuilder::order_from) panicked, so it stated no order | `provider`, `function` |
//! | `payproof.store` | event, debug: the store did not do what it was asked | `provider`, `error` |
//! | `payproof.store_outage` | event; warn at the start of an outage and each minute, info at its end: the store fails | `provider`, `failures` since the last line, `error`, `lasted_s`; at the end `turned_away` |
//! | `payproof.store_left_alone` | event; warn when calls begin to be turned away since the store does not answer in time, info when that ends, unless the end of an outage says it; of the store that redemptions were moved from, too, which its text says | `provider`, `error`; at the end `turned_away` |
//! | `payproof.words_given_up` | event, error, once a minute: what came of operations, requests or deliveries will not be recorded, since too much waits for the store | `provider`, `words`: how many since the last line |
//! | `payproof.lease_lost` | event, warn: an answer could not be recorded | `provider`, `payment` |
//! | `payproof.operation` | span, info; a guarded call | `provider`, `mode`, `operation`, `provenance`, `code` |
//! | `payproof.operation_lost` | event, warn: what a guarded call brought could not be recorded, since another process had taken over | `provider`, `operation` |
//! | `payproof.contradicted` | event, error: an operation or a request was executed that a person or the reconcile hook declared not executed, so that it may be executed twice | `provider`, `operation` (`request`, of a request), `reference`, `known`, `declared` |
//! | `payproof.indeterminate` | event, warn: whether an operation was executed is unknown | `provider`, `operation`, `reference` |
//! | `payproof.resolved` | event, info: a person or the reconcile hook said what became of it | `provider`, `operation`, `reference`, `resolution`, `who` |
//! | `payproof.redeemed` | event, info: a payment was bound to its order, by this very call | `provider`, `payment` |
//! | `payproof.released` | event, info: a redemption was undone | `provider`, `payment`, `who` |
//! | `payproof.provider_key_unused` | event, warn: an operation counts on a provider key that its call did not take | `provider`, `operation` |
//! | `payproof.taken_over` | event, warn: another process's lease ended without an answer | `provider`, `payment` |
//! | `payproof.store_finding` | event, warn: the first look at the store found something, or a look each minute that it lost a record | `provider`, `code`, `advice` |
//! | `payproof.store_chosen` | event; info, or warn when it is risky | `store`, `because` |
//! | `payproof.request` | span, info; a request that an idempotency layer looks at | `provider`, `method`, `outcome` |
//! | `payproof.request_indeterminate` | event, warn: what became of a request is unknown | `provider`, `reference` |
//! | `payproof.request_lost` | event, warn: a handler came back after its lease, and its answer is not recorded | `provider`, `reference` |
//! | `payproof.delivery` | span, info; one delivery to an endpoint for webhooks | `provider`, `mode`, `endpoint`, `event`, `event_type`, `outcome` |
//! | `payproof.webhook_refused` | event, warn: a delivery was refused before its event was believed | `provider`, `code`, `error` |
//! | `payproof.handler_failed` | event, warn: the handler of a webhook returned an error | `provider`, `error` |
//! | `payproof.object_unreadable` | event, warn: the credential may not read what an event is about, or an event that may have taken money back does not say it, so that its payment is not forgotten | `provider`, `endpoint`, `object` |
//! | `payproof.delivery_taken_over` | event, warn: another process had claimed an event, and its lease ended without an answer | `provider`, `endpoint`, `event` |
//! | `payproof.delivery_lost` | event, warn: a handler succeeded after its lease, when another process had taken over | `provider`, `endpoint` |
//! | `payproof.cache` | event, debug: a call to the cache | `space`, `outcome`, `from`, `age_ms`, `duration_ms` |
//! | `payproof.cache_load` | span, info; a load for the cache, below the span of the call that leads it | `space`, `outcome`: `loaded`, `failed` |
//! | `payproof.cache_store` | event; warn when the store of a cache failed twice in a row, and is left alone until it answers, info when it does | `error`; at the end `turned_away`, the calls that were not made |
//! | `payproof.cache_full` | event, warn: the store of a cache is nearly full, and nothing is stored in it until a look, one a minute, finds room | `advice` |
//! | `payproof.cache_unreadable` | event, warn: what stands in a cache's store cannot be used, or a value cannot be stored | `space`, `reason` |
//! | `payproof.checks_disabled` | event, warn: an idempotency layer was built while `PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS` is on | `provider` |
//!
//! The only ids in fields are those of payments, events and the provider's requests, and references, which are digests. `who` is
//! the name that a person gave. No field holds a key, a customer, a tenant or a secret.
//!
//! # Metrics
//! With the feature `metrics`, over the `metrics` facade. Each has the labels `provider`, `account` and `mode`, and those
//! named here; only a call to the store, and the cache, have their own alone. `account` is the label of the account, or else its id; no other
//! label is an id, and each has few values.
//!
//! | name | kind, unit | labels | what |
//! |---|---|---|---|
//! | `payproof_validations_total` | counter | `verdict`, `provenance` | validations with a verdict |
//! | `payproof_validation_errors_total` | counter | `code` | validations without one |
//! | `payproof_validation_duration_seconds` | histogram, seconds | `provenance`; `none` without a verdict | time of a validation that memory did not answer at once |
//! | `payproof_degraded_total` | counter | `answer`: `validation`, `operation`; `reason`: `provider_down`, `store_down`, `not_recorded` | answers that something was missing for |
//! | `payproof_attempts_total` | counter | `outcome`: `facts`, `not_ready`, `done`, `transient`, `permanent`, `abandoned` | provider calls |
//! | `payproof_retries_total` | counter | | provider calls after the first of a flight or operation |
//! | `payproof_attempt_timeouts_total` | counter | | provider calls that were cut off, at their own limit or the deadline |
//! | `payproof_attempt_duration_seconds` | histogram, seconds | `outcome`, as above | time of a provider call, but for pages of lists, which no checkout waits for |
//! | `payproof_list_pages_total` | counter | | pages of the provider's lists that came, as reconciling asks for |
//! | `payproof_breaker_state` | gauge | | 0 closed, 1 half-open, 2 open; none without a breaker |
//! | `payproof_store_breaker_state` | gauge | | 0 while the shared store is asked, 2 while calls are turned away since it does not answer in time; none without a store |
//! | `payproof_credential_refused_seconds` | gauge, seconds | | how long the provider has refused the credential (401); 0 while it does not |
//! | `payproof_calls_forbidden` | gauge | | kinds of call that were forbidden to the credential (403) within the last hour, and have not succeeded since |
//! | `payproof_rate_limited_seconds` | gauge, seconds | | how long the provider has limited the account's rate (429); 0 while it does not |
//! | `payproof_retry_credit` | gauge | | extra requests, retries or hedges, that the retry budget pays for now; none without a budget |
//! | `payproof_retry_line` | gauge | | calls that wait in line for a retry |
//! | `payproof_hedges_total` | counter | | provider calls beside one that was silent |
//! | `payproof_overtaken_total` | counter | | provider calls that one beside them made needless |
//! | `payproof_store_call_duration_seconds` | histogram, seconds | `verb`: `get`, `claim`, `replace`, `remove`, `get_many` (up to a hundred reads), `add`, `bind` and `release` (two records at once); `outcome`: `ok`, `timeout`, `not_sent`, `contended`, `outcome_unknown`, `refused` | time of a call to the store, of a store in this process too |
//! | `payproof_store_failures_total` | counter | | what could not be done for want of the store |
//! | `payproof_store_losses_total` | counter | | times that the store was found to have lost what it had acknowledged |
//! | `payproof_leases_lost_total` | counter | | answers that came too late to be recorded |
//! | `payproof_leases_taken_over_total` | counter | | flights taken over from a process that did not come back |
//! | `payproof_in_flight` | gauge | | flights and operations under way |
//! | `payproof_facts_in_memory` | gauge | | payments whose facts are in memory |
//! | `payproof_invalidation_line` | gauge | | 1 while the shared store tells of changes to the facts in memory, 0 while it should and does not; not set where there is to be no line, as without Redis |
//! | `payproof_keys_held` | gauge | | idempotency keys in memory |
//! | `payproof_operations_total` | counter | `outcome`: `fresh`, `replayed`, `coalesced`, or the error's code | guarded operations |
//! | `payproof_indeterminate_operations` | gauge | | indeterminate operations: it is unknown whether the provider executed them |
//! | `payproof_indeterminate_requests` | gauge | | indeterminate requests with an idempotency key: it is unknown what became of them |
//! | `payproof_indeterminate_oldest_seconds` | gauge, seconds | | how long the oldest of either has been waiting; 0 without any |
//! | `payproof_requests_total` | counter | `outcome`: see `endpoint` | requests with an idempotency key |
//! | `payproof_requests_bypassed_total` | counter | | requests past a layer that is switched off |
//! | `payproof_idempotency_checks_disabled` | gauge | | 1 while `PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS` switches layers off |
//! | `payproof_webhook_deliveries_total` | counter | `outcome`: see `webhook` | deliveries of webhooks |
//! | `payproof_cache_requests_total` | counter | `space`; `outcome`: `hit`, `stale`, `coalesced`, `miss`, or the error's code | calls to the cache |
//! | `payproof_cache_load_duration_seconds` | histogram, seconds | `space`; `outcome`: `loaded`, `failed` | time of a load for the cache |
//! | `payproof_cache_memory_bytes` | gauge | `space` | bytes that a space's values in memory count for |
//! | `payproof_webhook_other_accounts_total` | counter | | deliveries of other accounts' events, for which no handler ran |
//! | `payproof_webhook_objects_unreadable_total` | counter | | deliveries of events whose object the credential may not read, or that name none although they may have taken money back |
//!
//! Counters and histograms move as it happens. Gauges, and validations that memory answered at once, move when
//! `Validator::publish_metrics` is called: before each scrape, or every 15 s where the exporter pushes. Prometheus needs
//! buckets for the histograms: `LATENCY_BUCKETS` are made for them. The folder `examples/observability` holds a dashboard
//! for Grafana and alert rules for Prometheus.
//!
//! # Runtimes
//! A validation that has to ask needs a tokio runtime with time and, for the Stripe adapter, I/O. On a multi-thread
//! runtime call it from a spawned task, as web frameworks do: the body of `#[tokio::main]` runs beside the workers, and each
//! wake-up between the two costs tens of microseconds.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod accessors;
mod account;
#[cfg(feature = "cache")]
pub mod cache;
mod call;
#[cfg(feature = "tower")]
pub mod endpoint;
pub mod envelope;
mod error_info;
mod flight;
pub mod guard;
pub mod health;
mod http;
mod intent;
mod ledger;
mod lock;
mod lookup;
mod moment;
mod payment;
pub mod provider;
#[cfg(feature = "reconcile")]
pub mod reconcile;
mod redaction;
pub mod redeem;
mod settings;
mod spread;
pub mod store;
pub mod telemetry;
#[cfg(feature = "test-util")]
pub mod testing;
mod validator;
#[cfg(feature = "webhook")]
pub mod webhook;

// The examples of the README, compiled with the doc tests.
#[cfg(all(doctest, feature = "axum", feature = "stripe", feature = "webhook"))]
#[doc = include_str!("../README.md")]
mod readme {}

pub use account::{Decided, DecidedOn, SignedDecision, StoreCheck};
pub use call::breaker::Breaker;
pub use call::retry::{Explanation, Jitter, Retry, RetryBudget, Schedule};
pub use error_info::ErrorInfo;
pub use intent::currency::Currency;
pub use intent::invalid_intent::{Field, InvalidIntent};
pub use intent::key::IdempotencyKey;
pub use intent::money::{Money, Unit, Units};
pub use intent::payment_intent::{PaymentId, PaymentIntent};
pub use ledger::{LedgerError, RecordKind};
pub use lookup::error::ValidateError;
pub use lookup::shared_facts::StoredFacts;
pub use lookup::validation::Validation;
pub use payment::alias::{AliasState, PaymentAlias};
pub use payment::dispute::Dispute;
pub use payment::facts::{Mode, NotFoundHint, PaymentStatus, ProviderPayment, Risk};
pub use payment::method::PaymentMethod;
pub use payment::policy::{Amounts, Policy, TenantProof, WhenProviderIsDown};
pub use payment::verdict::{
    ActionRequired, Capture, Degradation, Fact, Finding, Findings, Mismatch, NetAmount, Pending, Proof, Provenance,
    RefundedAmounts, Verdict,
};
pub use payment::waiting::Waiting;
pub use payment::waits_for::WaitsFor;
#[cfg(feature = "stripe")]
pub use provider::stripe::{Stripe, StripeBuilder};
pub use settings::build_error::BuildError;
pub use validator::builder::ValidatorBuilder;
pub use validator::{Prefetch, Prefetched, Validate, ValidateAll, Validator};
