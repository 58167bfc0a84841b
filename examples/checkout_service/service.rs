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
use axum::routing::post;
use payproof::store::{FileStore, RedisStore};
use payproof::{BuildError, Stripe, Validator};

use crate::journal::Journal;
use crate::orders::Orders;
use crate::{caller, checkouts};

/// Short, for people who look on. The default is 30 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// A shopper looks at a spinner for about so long. The default is 150 s.
const TOTAL_DEADLINE: Duration = Duration::from_secs(15);

/// What every request shares.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) validator: Validator,
    pub(crate) orders: Orders,
    pub(crate) journal: Journal,
    /// Where records are kept, for people.
    pub(crate) store: &'static str,
}

impl Service {
    /// `folder` is where the database goes, and the records too unless there is a Redis.
    pub(crate) fn start(provider_url: &str, folder: &Path) -> Result<Arc<Self>, Box<dyn Error + Send + Sync>> {
        let (validator, store) = validator(provider_url, folder)?;
        let orders = Orders::open(&folder.join("orders.sqlite"))?;
        Ok(Arc::new(Self { validator, orders, journal: Journal::new(), store }))
    }
}

/// In production: the provider's own address, `payproof::store::from_env()?` for the store, and no prefix.
fn validator(provider_url: &str, folder: &Path) -> Result<(Validator, &'static str), BuildError> {
    let stripe = Stripe::builder("sk_live_sandbox").base_url(provider_url).build()?;
    let builder = Validator::builder(stripe).attempt_timeout(ATTEMPT_TIMEOUT).total_deadline(TOTAL_DEADLINE);
    if let Ok(url) = env::var("REDIS_URL") {
        // The payments of this run are gone after it, and those of the next have the same ids.
        let started = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let prefix = format!("payproof-checkout-service-{started}");
        Ok((builder.store(RedisStore::new(&url)?).store_prefix(prefix).build()?, "Redis"))
    } else {
        let file = FileStore::builder(folder.join("payproof.redb")).only_instance().build()?;
        Ok((builder.store(file).build()?, "a file"))
    }
}

/// What a checkout service serves. The page and its stage come beside it.
pub(crate) fn routes(service: &Arc<Service>) -> Router {
    let checkouts = Router::new()
        .route("/checkouts", post(checkouts::create))
        .layer(middleware::from_fn(caller::authenticate))
        .layer(middleware::from_fn_with_state(Arc::clone(service), count_click));
    Router::new().merge(checkouts).with_state(Arc::clone(service))
}

/// Every request counts, also one that is answered without the handler.
async fn count_click(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    service.journal.clicked();
    next.run(request).await
}
