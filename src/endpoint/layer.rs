//! The layer, and its variants for single routes.

use std::sync::Arc;

use tower_layer::Layer;

use crate::accessors::setters;

use super::service::IdempotentService;
use super::settings::{KeyPolicy, LayerSettings, OnUnknown, Route};

/// Makes the routes below it idempotent: see the [module](crate::endpoint). Made by [`IdempotencyLayer::builder`].
///
/// Clones are cheap. A route that differs gets a variant of its own. A layer within another one of the same service
/// lets through what that one has seen to, whatever its own settings are, so give each route exactly one.
///
/// ```
/// # use std::time::Duration;
/// # use axum::{Router, http::request::Parts, routing::post};
/// # use payproof::endpoint::{IdempotencyLayer, OnUnknown, Scope};
/// # fn routes(validator: &payproof::Validator) -> Result<Router, payproof::BuildError> {
/// # let scope = |_: &Parts| None;
/// # async fn handler() {}
/// let idempotent = IdempotencyLayer::builder(validator, "checkout", Duration::from_secs(20), scope).build()?;
/// let routes = Router::new()
///     .route("/checkouts", post(handler).layer(idempotent.clone()))
///     .route("/carts", post(handler).layer(idempotent.clone().optional()))
///     .route("/receipts", post(handler).layer(idempotent.on_unknown(OnUnknown::RunAgain)));
/// # Ok(routes)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IdempotencyLayer {
    settings: Arc<LayerSettings>,
    route: Route,
}

impl IdempotencyLayer {
    pub(super) fn new(settings: LayerSettings) -> Self {
        let route = Route { key: KeyPolicy::Required, on_unknown: OnUnknown::default() };
        Self { settings: Arc::new(settings), route }
    }

    setters! {
        /// A request without a key is refused. This is what a layer does unless told otherwise.
        pub fn required(mut self) => self.route.key = KeyPolicy::Required;

        /// A request without a key goes through, and is not remembered. A malformed key is refused all the same.
        pub fn optional(mut self) => self.route.key = KeyPolicy::Optional;

        /// Every request goes through, and no key is looked at.
        pub fn off(mut self) => self.route.key = KeyPolicy::Off;

        /// What happens to a request whose first run's end is unknown. Default: it is refused.
        pub fn on_unknown(mut self, on_unknown: OnUnknown) => self.route.on_unknown = on_unknown;
    }
}

impl<S> Layer<S> for IdempotencyLayer {
    type Service = IdempotentService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdempotentService::new(inner, Arc::clone(&self.settings), self.route)
    }
}
