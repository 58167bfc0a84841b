//! Who asks the provider: payproof with its defaults, and what a user would pick instead.
//!
//! | peer | what it is |
//! |---|---|
//! | `payproof` | this crate with its defaults |
//! | `bare` | one attempt, as a bare reqwest client makes it |
//! | `middleware` | reqwest-middleware with reqwest-retry: three retries after up to 100, 200 and 400 ms |
//! | `tower_64` | tower: 64 places, held over three retries after 100 to 199, 200 to 398 and 400 to 796 ms |
//! | `tower_64_budget` | the same, with tower's retry budget as it comes |
//! | `tower_budget` | the budget, and no places |
//!
//! Each attempt is cut off after 30 s, and each peer runs its own code: only the answer comes from the model. A seed gives the
//! same figures each time, but for `middleware`, whose waits are counted by the machine's clock and may be a millisecond short.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use clap::ValueEnum;
use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity, RateLimit};
use payproof::{Currency, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, ProviderPayment, Risk, Validator};
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest_middleware::ClientWithMiddleware;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::model::{Answer, Model, RETRY_AFTER};

mod middleware;
mod towers;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Peer {
    Payproof,
    Bare,
    Middleware,
    #[value(name = "tower_64")]
    Tower64,
    #[value(name = "tower_64_budget")]
    Tower64Budget,
    TowerBudget,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Payproof => "payproof",
            Self::Bare => "bare",
            Self::Middleware => "middleware",
            Self::Tower64 => "tower_64",
            Self::Tower64Budget => "tower_64_budget",
            Self::TowerBudget => "tower_budget",
        }
    }

    /// The client of one process.
    pub(crate) fn client(self, model: &Arc<Model>, intents: &Arc<[PaymentIntent]>, seed: u64) -> Client {
        let model = Arc::clone(model);
        match self {
            Self::Payproof => Client::Payproof(payproof(model, seed), Arc::clone(intents)),
            Self::Bare => Client::Bare(model),
            Self::Middleware => Client::Middleware(middleware::client(model, Dice::new(seed))),
            Self::Tower64 => Client::Tower(towers::service(model, Dice::new(seed), true, false)),
            Self::Tower64Budget => Client::Tower(towers::service(model, Dice::new(seed), true, true)),
            Self::TowerBudget => Client::Tower(towers::service(model, Dice::new(seed), false, true)),
        }
    }
}

/// The client that one process has.
pub(crate) enum Client {
    Payproof(Validator, Arc<[PaymentIntent]>),
    Bare(Arc<Model>),
    Middleware(ClientWithMiddleware),
    Tower(BoxCloneSyncService<usize, (), towers::Refused>),
}

impl Client {
    /// Whether a caller hears that its payment is valid.
    pub(crate) async fn is_valid(&self, caller: usize) -> bool {
        match self {
            Self::Payproof(validator, intents) => {
                validator.validate(&intents[caller]).await.is_ok_and(|validation| validation.verdict().is_valid())
            }
            Self::Bare(model) => model.call_within_timeout(caller).await == Answer::Paid,
            Self::Middleware(client) => middleware::is_valid(client, caller).await,
            Self::Tower(service) => service.clone().oneshot(caller).await.is_ok(),
        }
    }
}

/// The randomness of one client's waits.
#[derive(Clone)]
struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    fn roll<T>(&self, of: impl FnOnce(&mut StdRng) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const TENANT: &str = "store_42";
const PREFIX: &str = "pi_outage_";

/// One payment for each caller, so that no caller is answered from memory.
pub(crate) fn intents(callers: usize) -> Arc<[PaymentIntent]> {
    let money = Money::parse("19.99", Currency::USD).expect("a plain decimal");
    let intent =
        |caller| PaymentIntent::new(TENANT, format!("{PREFIX}{caller}"), money).expect("it has the alphabet of ids");
    (0..callers).map(intent).collect()
}

struct Account {
    identity: ProviderIdentity,
    model: Arc<Model>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Account")
    }
}

fn payproof(model: Arc<Model>, seed: u64) -> Validator {
    let account = Account { identity: ProviderIdentity::new("model").only_account(), model };
    // Every failure has a status, so no pattern is ever asked; compiling them would be most of a run of twenty processes.
    let builder = Validator::builder(account).transient_patterns(Vec::<String>::new()).seed(seed);
    builder.build().expect("the defaults fit")
}

impl Provider for Account {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    async fn look_up(&self, payment: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        let id = payment.as_str();
        let caller = id.strip_prefix(PREFIX).and_then(|caller| caller.parse().ok()).expect("the study made the id");
        match self.model.call(caller).await {
            Answer::Paid => Ok(paid(id)),
            Answer::Limited { told: true } => Err(limited().with_retry_after(RETRY_AFTER)),
            Answer::Limited { told: false } => Err(limited()),
            Answer::Silent => pending().await,
            Answer::Failed => Err(ProviderError::refused("unavailable").with_status(503)),
        }
    }
}

/// As an adapter states it: every call of the account is limited.
fn limited() -> ProviderError {
    ProviderError::refused("too many requests").with_status(429).with_rate_limit(RateLimit::Account)
}

fn paid(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(1999, Currency::USD)
        .with_amount_received(1999)
        .with_amount_refunded(0)
        .with_captured(true)
        .with_risk(Risk::Normal)
        .with_created(1_767_225_600)
        .with_as_of(1_767_225_660)
        .with_metadata("store_id", TENANT)
}
