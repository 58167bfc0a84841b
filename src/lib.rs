//! Asks the payment provider whether a payment intent is real, ours, paid in full, and not yet used.
//!
//! A checkout is told by a browser that payment `pi_…` pays 19.99 USD for order 6735 of store 42. It must not ship on the
//! browser's word. A [`Validator`] asks the provider, compares every claim, and answers with a [`Verdict`], or with a
//! [`ValidateError`] when the truth could not be found out.
//!
//! ```
//! # mod payproof {
//! #     pub use ::payproof::{Currency, Money, PaymentIntent, Validator, Verdict};
//! #     pub static SANDBOX: std::sync::OnceLock<String> = std::sync::OnceLock::new();
//! #     pub struct Stripe;
//! #     impl Stripe {
//! #         pub fn new(key: String) -> Result<::payproof::Stripe, ::payproof::BuildError> {
//! #             ::payproof::Stripe::builder(key).base_url(SANDBOX.get().expect("started")).build()
//! #         }
//! #     }
//! # }
//! use payproof::{Currency, Money, PaymentIntent, Stripe, Validator, Verdict};
//!
//! async fn check_out(secret_key: String) -> Result<(), Box<dyn std::error::Error>> {
//!     let validator = Validator::builder(Stripe::new(secret_key)?).build()?; // all defaults are safe ones
//!     let intent = PaymentIntent::new("store_42", "pi_3MtwBw", Money::parse("19.99", Currency::USD)?)?.order("6735")?;
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
//! #     use ::payproof::testing::sandbox::{Sandbox, SandboxPayment};
//! #     let sandbox = Sandbox::start().await?;
//! #     sandbox.put(SandboxPayment::paid("pi_3MtwBw", 1999, "usd").tenant("store_42").order("6735"));
//! #     payproof::SANDBOX.set(sandbox.url())?;
//! #     check_out("sk_live_sandbox".to_owned()).await?;
//! #     assert_eq!(sandbox.requests(), 1);
//! #     Ok(())
//! # }
//! ```
//!
//! # Where to look
//! | to | see |
//! |---|---|
//! | change a limit, the retries, what counts as paid | [`ValidatorBuilder`], [`Policy`], [`Retry`] |
//! | understand a verdict | [`Verdict`], [`Finding`], [`Provenance`] |
//! | understand a failure | [`ValidateError`], [`Attempt`], [`Validator::explain`] |
//! | bind a payment to one order | [`Validator::redeem`], [`Proof`], [`RedeemError`] |
//! | share what is known between processes | [`ValidatorBuilder::store`], [`store`], [`Validator::check`] |
//! | make an endpoint idempotent, answer in one envelope | [`endpoint`], [`envelope`] |
//! | capture or refund exactly once | [`Validator::guard`] |
//! | use another provider | [`provider::Provider`], [`provider::provider_fn`] |
//! | test a checkout | `testing`, with the feature `test-util` |
//! | see what it does in production | [`Validator::stats`], and the spans and events below |
//!
//! # Features
//! | feature | default | brings |
//! |---|---|---|
//! | `stripe` | yes | the [`Stripe`] adapter, over reqwest with rustls |
//! | `axum` | no | answers of [`envelope`] as axum's responses; brings `tower` |
//! | `backoff` | no | `Schedule::backoff`: any `backoff::backoff::Backoff` as a retry schedule |
//! | `file` | no | `store::FileStore`: one file on this machine |
//! | `redis` | no | `store::RedisStore`: Redis or Valkey; one server, Cluster or Sentinel |
//! | `upstash` | no | `store::UpstashStore`: Upstash Redis over REST |
//! | `vercel-kv` | no | `store::VercelKvStore`: Vercel KV |
//! | `tower` | no | [`endpoint`]: requests with an `Idempotency-Key` happen once, in axum and every other `http` service |
//! | `test-util` | no | `testing`: a scripted provider, and a sandbox server that answers like Stripe; `store::contract` |
//!
//! Features add; none changes a decision. Without any there is no HTTP client in the tree.
//!
//! # Telemetry
//! | name | kind, level | fields |
//! |---|---|---|
//! | `payproof.validate` | span, info | `provider`, `mode`, `payment`, `provenance`, `verdict`, `code` |
//! | `payproof.flight` | span, info; a child of the call that leads, followed by those that join | `provider`, `payment` |
//! | `payproof.attempt` | event; debug, or warn for a failure | `number`, `reach`, `status`, `request_id`, `outcome`, `rule`, `duration_ms`, `wait_ms`, `wait_reason`, `error` |
//! | `payproof.store` | event, warn: a call to the shared store failed | `provider`, `error` |
//! | `payproof.lease_lost` | event, warn: an answer could not be recorded | `provider`, `payment` |
//! | `payproof.operation` | span, info; a guarded call | `provider`, `mode`, `operation`, `provenance`, `code` |
//! | `payproof.operation_lost` | event, warn: what a guarded call brought could not be recorded, since somebody else had taken over | `provider`, `operation` |
//! | `payproof.indeterminate` | event, warn: nobody knows whether an operation was executed | `provider`, `operation`, `reference` |
//! | `payproof.resolved` | event, info: somebody said what became of it | `provider`, `operation`, `reference`, `resolution`, `who` |
//! | `payproof.provider_key_unused` | event, warn: an operation counts on a provider key that its call did not take | `provider`, `operation` |
//! | `payproof.taken_over` | event, warn: another process's lease ended without an answer | `provider`, `payment` |
//! | `payproof.store_finding` | event, warn: the first look at the store found something | `provider`, `code`, `advice` |
//! | `payproof.store_chosen` | event; info, or warn when it is risky | `store`, `because` |
//! | `payproof.request` | span, info; a request that an idempotency layer looks at | `provider`, `method`, `outcome` |
//! | `payproof.request_indeterminate` | event, warn: nobody knows what became of a request | `provider`, `reference` |
//! | `payproof.request_lost` | event, warn: a handler came back after its lease, and its answer is not recorded | `provider`, `reference` |
//! | `payproof.checks_disabled` | event, warn: an idempotency layer was built while `DISABLE_IDEMPOTENCY_CHECKS` is set | `provider` |
//!
//! The payment's id and the operation's reference, a digest, are the only ids in any field: no key, no customer, no tenant,
//! no secret.
//!
//! # Runtimes
//! A validation that has to ask needs a tokio runtime with time and, for the Stripe adapter, I/O. On a multi-thread
//! runtime call it from a spawned task, as web frameworks do: the body of `#[tokio::main]` runs beside the workers, and each
//! wake-up between the two costs tens of microseconds.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attempt;
mod attempt_log;
mod breaker;
mod build_error;
mod builder;
mod contained;
mod currency;
mod deadline;
#[cfg(feature = "tower")]
pub mod endpoint;
mod engine;
pub mod envelope;
mod error;
mod facts;
mod facts_cache;
mod fingerprint;
mod gate;
mod guard;
mod in_flight;
mod intent;
mod invalid_intent;
mod judge;
mod key;
mod key_register;
mod ledger;
mod money;
mod policy;
mod preflight;
pub mod provider;
mod redaction;
mod redeem;
mod retry;
mod retry_after;
mod shared_facts;
mod stats;
pub mod store;
mod telemetry;
#[cfg(feature = "test-util")]
pub mod testing;
#[cfg(any(feature = "redis", feature = "stripe", feature = "upstash"))]
mod tls;
#[cfg(any(feature = "stripe", feature = "upstash"))]
mod transport;
mod validation;
mod validator;
mod verdict;

pub use attempt_log::{Attempt, AttemptOutcome, Reach, Rule, WaitReason};
pub use breaker::Breaker;
pub use build_error::BuildError;
pub use builder::ValidatorBuilder;
pub use currency::Currency;
pub use error::ValidateError;
pub use facts::{Mode, PaymentStatus, ProviderPayment, Risk};
pub use guard::{
    Done, Effect, Guard, GuardCall, GuardError, GuardRun, Inquiry, Operation, OperationReference, OperationStatus,
    Reconciled, Resolution, Unresolved, UnresolvedList,
};
pub use intent::{PaymentId, PaymentIntent};
pub use invalid_intent::{Field, InvalidIntent};
pub use key::IdempotencyKey;
pub use money::{Money, Unit, Units};
pub use policy::{Policy, TenantProof, WhenProviderIsDown};
pub use preflight::Preflight;
#[cfg(feature = "stripe")]
pub use provider::stripe::{Stripe, StripeBuilder};
pub use redeem::{Receipt, Redeem, RedeemError, Redemption};
pub use retry::{Explanation, Jitter, Retry, RetryBudget, Schedule};
pub use stats::{BreakerState, Stats};
pub use validation::Validation;
pub use validator::{Validate, Validator};
pub use verdict::{
    ActionRequired, Capture, Degradation, Fact, Finding, Findings, Mismatch, Pending, Proof, Provenance, Verdict,
};
