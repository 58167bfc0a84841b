//! The service: one validator, one database, and the routes around them.

use std::env;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use payproof::endpoint::{IdempotencyLayer, OnUnknown};
use payproof::store::{FileStore, RedisStore, RestartLoss};
use payproof::webhook::StripeWebhooks;
use payproof::{Breaker, BuildError, Stripe, Validator};

use crate::caller::{self, Caller};
use crate::journal::Journal;
use crate::orders::Orders;
use crate::stage::StoreSwitch;
use crate::{checkouts, operations, webhooks};

/// Short, for people who look on. The default is 30 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// A shopper looks at a spinner for about so long. The default is 150 s.
const TOTAL_DEADLINE: Duration = Duration::from_secs(15);

/// The longest validation, the redemption after it, and some room.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(25);

/// What every request shares.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) validator: Validator,
    pub(crate) webhooks: StripeWebhooks,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) orders: Orders,
    pub(crate) journal: Journal,
    /// Where records are kept, for people.
    pub(crate) store: &'static str,
    /// For the page, which switches the store off.
    pub(crate) store_switch: StoreSwitch,
}

impl Service {
    /// `folder` is where the database goes, and the records too unless there is a Redis.
    pub(crate) fn start(provider_url: &str, folder: &Path) -> Result<Arc<Self>, Box<dyn Error + Send + Sync>> {
        let metrics = operations::install_metrics()?;
        let (validator, store, store_switch) = validator(provider_url, folder)?;
        let webhooks = StripeWebhooks::builder(&validator, "orders", webhooks::SIGNING_SECRET).build()?;
        let orders = Orders::open(&folder.join("orders.sqlite"))?;
        Ok(Arc::new(Self { validator, webhooks, metrics, orders, journal: Journal::new(), store, store_switch }))
    }
}

/// In production: your own account, the provider's own address, `payproof::store::from_env()?` for the store, no switch before it,
/// and no prefix.
fn validator(provider_url: &str, folder: &Path) -> Result<(Validator, &'static str, StoreSwitch), BuildError> {
    let stripe = Stripe::builder("sk_live_sandbox").base_url(provider_url).own_account("acct_sandbox").build()?;
    // The page shows a breaker at work; by default look-ups have none.
    let builder = Validator::builder(stripe).breaker(Breaker::new());
    let builder = builder.attempt_timeout(ATTEMPT_TIMEOUT).total_deadline(TOTAL_DEADLINE);
    if let Some(url) = env::var("REDIS_URL").ok().filter(|url| !url.is_empty()) {
        // The payments of this run are gone after it, and those of the next have the same ids.
        let started = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let builder = builder.store_prefix(format!("payproof:demo-{started}"));
        let builder = builder.redemption_retention(Duration::from_secs(2 * 24 * 60 * 60));
        let (store, switch) = StoreSwitch::before(RedisStore::new(&url)?);
        Ok((builder.store(store).build()?, "Redis", switch))
    } else {
        let file = FileStore::builder(folder.join("payproof.redb")).only_instance().build()?;
        // The folder goes with this run, and on some systems it is in memory. In production say nothing of the kind.
        let builder = builder.restart_loses_at_most(RestartLoss::All);
        let (store, switch) = StoreSwitch::before(file);
        Ok((builder.store(store).build()?, "a file", switch))
    }
}

/// What a checkout service serves. The page and its stage come beside it.
pub(crate) fn routes(service: &Arc<Service>) -> Result<Router, BuildError> {
    let idempotent =
        IdempotencyLayer::builder(&service.validator, "checkout", HANDLER_TIMEOUT, Caller::scope).build()?;
    let checkouts = Router::new()
        .route("/checkouts", post(checkouts::create))
        // Validation, redemption and the order come to the same end however often they run.
        .layer(idempotent.on_unknown(OnUnknown::RunAgain))
        // What is added later sees a request earlier: nothing is replayed before it is known whose request it is.
        .layer(middleware::from_fn(caller::authenticate))
        .layer(middleware::from_fn_with_state(Arc::clone(service), count_click));
    let others = Router::new()
        .route("/webhooks/stripe", post(webhooks::receive))
        .route("/health", get(operations::health))
        .route("/metrics", get(operations::metrics));
    Ok(checkouts.merge(others).with_state(Arc::clone(service)))
}

/// Every request counts, also one that is answered without the handler.
async fn count_click(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    service.journal.clicked();
    next.run(request).await
}
