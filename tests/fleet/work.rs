//! What a worker does: one validator on the shared store, and whatever the parent asks, as much at once as it asks.
//!
//! It ends when its input does, so it never outlives the parent.

use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use payproof::guard::{
    EffectCall, GuardError, OperationReference, ReconcileCall, Reconciled, Resolution, ResolveError,
};
use payproof::provider::{ProviderError, ProviderIdentity, provider_fn};
use payproof::redeem::{Occasion, RedeemError};
use payproof::store::{PostgresStore, RedisStore};
use payproof::{
    Currency, IdempotencyKey, Mode, Money, PaymentIntent, PaymentStatus, ProviderPayment, Retry, Schedule,
    ValidateError, Validator, Verdict,
};
use tokio::sync::mpsc;

use crate::client::call;
use crate::endpoints::Endpoints;
use crate::forward::VerbsAlone;
use crate::language::{Answer, Ask, Numbered, Request, Settings, Shared, Trouble, operation};

const WHO: &str = "the fleet's test";

/// To compile the built-in patterns takes long without optimization.
const NO_PATTERNS: [&str; 0] = [];

pub(crate) fn run(settings: &str) {
    let settings: Settings = serde_json::from_str(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(serve(settings));
    // The test runner would go on and report a test that is none.
    std::process::exit(0);
}

async fn serve(settings: Settings) {
    let validator = validator(&settings);
    let endpoints = Endpoints::new(&validator, settings.name);
    let worker = Arc::new(Worker { validator, endpoints, settings });
    // The test runner's own line is not over yet.
    println!();
    let (to, mut lines) = mpsc::unbounded_channel();
    // Reading blocks. The sender goes with its thread, at the end of the input.
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| to.send(line)));
    while let Some(line) = lines.recv().await {
        let Numbered { number, what } = serde_json::from_str(&line).unwrap();
        let worker = Arc::clone(&worker);
        tokio::spawn(async move {
            let answer = worker.answer(what).await.unwrap_or_else(Answer::Error);
            let line = serde_json::to_string(&Numbered { number, what: answer }).unwrap();
            // The parent may be gone, and then so is this process soon.
            let _ = writeln!(std::io::stdout().lock(), "{line}");
        });
    }
}

struct Worker {
    validator: Validator,
    endpoints: Endpoints,
    settings: Settings,
}

fn validator(settings: &Settings) -> Validator {
    let (address, worker) = (settings.provider, settings.name);
    let provider = provider_fn(ProviderIdentity::new("recorder").only_account(), move |payment, _call| async move {
        let payment = payment.as_str().to_owned();
        call(address, &Request::LookUp { payment: payment.clone(), worker }).await?;
        Ok(paid(&payment))
    });
    let waits = [20, 100, 400].map(Duration::from_millis);
    let validator = Validator::builder(provider);
    let validator = match &settings.shared {
        Shared::One(url) => validator.store(RedisStore::new(url).unwrap()),
        Shared::Cluster(urls) => validator.store(RedisStore::cluster(urls).unwrap()),
        Shared::Postgres(url) => validator.store(PostgresStore::new(url).unwrap()).no_redemptions_before(),
        Shared::PostgresVerbs(url) => validator.store(VerbsAlone(PostgresStore::new(url).unwrap())),
    };
    let validator = validator
        .store_timeout(Settings::STORE_TIMEOUT)
        .renewed_lease(Settings::LEASE)
        .attempt_timeout(settings.attempt_timeout)
        .total_deadline(settings.total_deadline)
        .retry(Retry::new().schedule(Schedule::waits(waits)))
        .fresh_for(settings.fresh_for)
        .facts_in_memory_for(Duration::ZERO)
        .transient_patterns(NO_PATTERNS)
        .no_guard_breaker()
        .no_retry_budget();
    match &settings.write_records_of {
        Some(release) => validator.write_records_of(release.as_str()).build().unwrap(),
        None => validator.build().unwrap(),
    }
}

/// A payment that names no order, so that it may be redeemed for any.
fn paid(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(1999, Currency::USD)
        .with_amount_received(1999)
        .with_amount_refunded(0)
        .with_created(1_767_225_600)
        .with_as_of(1_767_225_660)
        .with_metadata("store_id", "store_42")
}

fn intent(payment: &str) -> PaymentIntent {
    PaymentIntent::new("store_42", payment, Money::parse("19.99", Currency::USD).unwrap()).unwrap()
}

impl Worker {
    async fn answer(&self, ask: Ask) -> Result<Answer, Trouble> {
        let guard = self.validator.guard();
        Ok(match ask {
            Ask::Run { run: of, operation: number, reconcile } => {
                let run = guard.run(&operation(number), self.sending(number, of));
                let run = if reconcile { run.reconcile(self.inquiring(number)) } else { run };
                let done = run.await?;
                let (provenance, recorded) = (done.provenance().as_str().into(), done.is_recorded());
                Answer::Done { value: done.into_value(), provenance, recorded }
            }
            Ask::Resolve { operation: number, executed } => {
                guard.resolve(&operation(number), resolution(executed), WHO).await?;
                Answer::Fine
            }
            Ask::ResolveReference { reference, executed } => {
                let reference = reference.parse::<OperationReference>().unwrap();
                guard.resolve_reference(reference, resolution(executed), WHO).await?;
                Answer::Fine
            }
            Ask::Reference { operation: number } => {
                Answer::References(vec![guard.reference(&operation(number)).to_string()])
            }
            Ask::Indeterminate => {
                let list = guard.indeterminate().await?;
                Answer::References(list.iter().map(|operation| operation.reference().to_string()).collect())
            }
            Ask::Validate { payment, key } => {
                let intent = match key {
                    Some(key) => intent(&payment).with_key(IdempotencyKey::parse(key).unwrap()),
                    None => intent(&payment),
                };
                let validation = self.validator.validate(intent).await?;
                let provenance = validation.provenance().as_str().into();
                match (validation.verdict(), validation.degraded()) {
                    (Verdict::Valid(_), degraded) => Answer::Valid { provenance, degraded: degraded.is_some() },
                    (other, _) => return Err(wrong(other)),
                }
            }
            Ask::Forget { payment } => {
                self.validator.forget(intent(&payment).payment()).await?;
                Answer::Fine
            }
            Ask::Redeem { payment, order } => match self.validator.validate(intent(&payment)).await?.into_verdict() {
                Verdict::Valid(proof) => {
                    let redeemed = self.validator.redeem(proof).order(order).await?;
                    let first = redeemed.occasion() == Occasion::First;
                    Answer::Redeemed { receipt: redeemed.into_receipt(), first }
                }
                other => return Err(wrong(&other)),
            },
            Ask::Release { receipt } => {
                self.validator.release(&receipt, "anna, ticket 7").await?;
                Answer::Fine
            }
            Ask::Redemption { payment } => {
                let redemption = self.validator.redemption(intent(&payment).payment()).await?;
                Answer::Redemption(redemption.map(|redemption| redemption.receipt().clone()))
            }
            Ask::Post { key } => Answer::Said(self.endpoints.post(&key).await),
            Ask::Deliver { event } => Answer::Said(self.endpoints.deliver(&event).await),
        })
    }

    /// The call that must happen once. It takes the key for every operation: where the provider does not keep it, it tells
    /// one round from another in the provider's books, and protects nothing.
    fn sending(&self, operation: u32, run: u64) -> impl Fn(EffectCall) -> Called<String> + Send + Sync + 'static {
        let (provider, worker) = (self.settings.provider, self.settings.name);
        move |attempt: EffectCall| {
            let request = Request::Send { operation, key: attempt.provider_key().to_owned(), worker, run };
            Box::pin(async move { call(provider, &request).await })
        }
    }

    /// How to find out what became of it.
    fn inquiring(
        &self,
        operation: u32,
    ) -> impl Fn(ReconcileCall) -> Called<Reconciled<String>> + Send + Sync + 'static {
        let provider = self.settings.provider;
        move |inquiry: ReconcileCall| {
            let request = Request::Inquire { operation, key: inquiry.provider_key().to_owned() };
            Box::pin(async move {
                Ok(match call(provider, &request).await?.as_str() {
                    "" => Reconciled::NotExecuted,
                    "?" => Reconciled::StillUnknown,
                    value => Reconciled::Done(value.to_owned()),
                })
            })
        }
    }
}

type Called<T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send>>;

fn resolution(executed: Option<String>) -> Resolution {
    executed.map_or_else(Resolution::not_executed, |value| Resolution::done(&value))
}

fn wrong(verdict: &Verdict) -> Trouble {
    Trouble { code: "wrong_verdict".into(), text: format!("{verdict:?}"), may_run_again: false }
}

impl From<GuardError> for Trouble {
    fn from(error: GuardError) -> Self {
        Self { code: error.code().into(), text: format!("{error}"), may_run_again: error.is_retryable() }
    }
}

impl From<ValidateError> for Trouble {
    fn from(error: ValidateError) -> Self {
        Self { code: error.code().into(), text: error.to_string(), may_run_again: false }
    }
}

impl From<RedeemError> for Trouble {
    fn from(error: RedeemError) -> Self {
        Self { code: error.code().into(), text: error.to_string(), may_run_again: false }
    }
}

impl From<ResolveError> for Trouble {
    fn from(error: ResolveError) -> Self {
        Self { code: error.code().into(), text: error.to_string(), may_run_again: error.is_retryable() }
    }
}
