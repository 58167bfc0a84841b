//! Idempotent endpoints: a request with an `Idempotency-Key` happens once, however often it is sent.
//!
//! [`IdempotencyLayer`] is a `tower::Layer` for axum 0.8 and for every other service of `http` requests. It keeps its
//! records where the validator keeps those of effects, so every process that shares the store is covered.
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::http::request::Parts;
//! use axum::{Router, middleware, routing::post};
//! use payproof::endpoint::{IdempotencyLayer, Scope};
//! # use axum::{extract::Request, middleware::Next, response::Response};
//! # #[derive(Clone)]
//! # struct User { store: String, id: String }
//! # async fn authenticate(mut request: Request, next: Next) -> Response {
//! #     request.extensions_mut().insert(User { store: "store_42".into(), id: "shopper_7".into() });
//! #     next.run(request).await
//! # }
//! # async fn create_checkout() -> &'static str { "order 6735" }
//! # fn routes(validator: &payproof::Validator) -> Result<Router, payproof::BuildError> {
//!
//! let scope = |request: &Parts| {
//!     let user = request.extensions.get::<User>()?; // put there by `authenticate`
//!     Scope::new(&user.store, &user.id).ok()
//! };
//! let idempotent = IdempotencyLayer::builder(validator, "checkout", Duration::from_secs(20), scope).build()?;
//! let routes = Router::new()
//!     .route("/checkouts", post(create_checkout))
//!     .layer(idempotent)
//!     .layer(middleware::from_fn(authenticate)); // added last, so it sees the request first
//! # Ok(routes)
//! # }
//! # use tower::ServiceExt as _;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let validator = payproof::Validator::builder(payproof::testing::ScriptedProvider::new()).build()?;
//! # let routes = routes(&validator)?;
//! # let send = || axum::http::Request::post("/checkouts").header("Idempotency-Key", "8e03978e").body(String::new());
//! # let first = routes.clone().oneshot(send()?).await?;
//! # assert_eq!(first.headers().get("idempotent-replayed"), None);
//! # let second = routes.oneshot(send()?).await?;
//! # assert_eq!(second.headers()["idempotent-replayed"], "true");
//! # Ok(())
//! # }
//! ```
//!
//! # What is the same request
//! A request is known by the service's name, the validator's provider, account and mode, its [`Scope`], its method and its
//! key. What it asks for is its path, its query string, its
//! Content-Type and its body; the same key with anything else is refused with 422 before anything is replayed. With another
//! method it is another request, which runs by itself: a DELETE under the key of a POST is no duplicate of it. Under axum,
//! enable the feature `axum`: nested routers cut off the part of the path that they have read, and it reads the whole one.
//! Which query parameters do not count, and whether content types and multipart boundaries are normalized first, is set by
//! [`ignored_query_parameters`](IdempotencyLayerBuilder::ignored_query_parameters) and
//! [`normalized_content_type`](IdempotencyLayerBuilder::normalized_content_type).
//! The host is no part of it: a service that tells tenants apart by host takes it into the scope.
//!
//! The layer stands after authentication. It asks the service whose the request is, and refuses one that is of no known client.
//!
//! # What is done with it
//! | | |
//! |---|---|
//! | the first time | the handler runs in a task of its own, under `handler_timeout`; its answer is recorded, then given |
//! | again, while that runs | it waits, 5 s by default; then 409 `IDEMPOTENCY_IN_PROGRESS` with Retry-After |
//! | again, later | the same status, kept headers and body, and `Idempotent-Replayed: true` |
//! | again, after a 401, 403, 405, 407, 425, 429 or [`NotExecuted`](crate::envelope::NotExecuted) | it runs anew |
//! | again, after a guard's "run it again, which the provider's key makes safe", or [`Repeatable`](crate::envelope::Repeatable) | it runs anew |
//! | the handler panics | 500 `IDEMPOTENCY_HANDLER_PANICKED`, or 503 where the route is [`OnUnknown::RunAgain`] |
//! | again, after a 408, a 5xx, a panic, a timeout or a crash | 409 `IDEMPOTENCY_INDETERMINATE`, unless the route is [`OnUnknown::RunAgain`] |
//! | the store does not answer | 503 `IDEMPOTENCY_UNAVAILABLE`; nothing runs |
//!
//! Every other 4xx is kept, also one with Retry-After, such as a 409 of this crate for something under way: a handler that
//! passes it on, and has done nothing before it, says so with [`not_executed`](crate::envelope::Failure::not_executed).
//!
//! A failure made of an error that [is protected](crate::ErrorInfo::is_protected), as a guard's is where the provider's key makes
//! another run safe, releases the key by itself. That speaks for the guarded operation: a handler that had another effect
//! before it, which nothing protects, answers with a failure of its own, and then the same key is refused as indeterminate.
//!
//! A 408 leaves it open what was done: tower-http's `TimeoutLayer` below the layer answers so when it drops a handler that may
//! have had its effect. Leave the time to `handler_timeout`, or put a `TimeoutLayer` above the layer, where it ends the
//! client's wait and cuts no handler off.
//!
//! [`Refusal`] lists every code. Refusals are [`Failure`]s. `X-Request-Id` is carried from each
//! request to its answer.
//!
//! Only the service can find out what became of an indeterminate request. It can say so with
//! [`Validator::resolve_request`](crate::Validator::resolve_request), by the reference that the refusal and the log name.
//!
//! A handler that is cut off by its timeout is dropped where it awaits. What it has spawned goes on. Answers of handlers
//! below the layer are held until they are complete, so streams that never end do not belong there.
//!
//! # Limits
//! A key is kept for as long as its record, 24 h by default, and after that its request runs anew. Where a store loses a
//! record, in a failover or with its process, the request runs again: `redeem`, a guard or a UNIQUE column is what holds
//! then. Answers are kept as they are; what may not be in the store should not be in them.
//!
//! # In numbers
//! [`Stats::requests`](crate::telemetry::Stats::requests) counts by outcome: `first`, `replayed`, `released`, `not_completed`,
//! `indeterminate`, `not_recorded` (answered, but the store failed or the lease was over), `without_key`, and the refusals:
//! `key_required`, `key_invalid`, `key_reused`, `scope_required`, `in_progress`, `response_not_kept`, `share_full`,
//! `unavailable`, `body_too_large`, `body_unreadable`, `body_timeout`.

mod admit;
mod body;
mod builder;
mod context;
mod indeterminate;
mod key_header;
mod layer;
mod record;
mod refusal;
mod resolve;
mod run;
mod sameness;
mod scope;
mod service;
mod settings;
mod tenant_keys;

use bytes::Bytes;
use http::Response;

use crate::envelope::Failure;

pub use body::ResponseBody;
pub use builder::IdempotencyLayerBuilder;
pub use layer::IdempotencyLayer;
pub use refusal::Refusal;
pub use scope::Scope;
pub use service::IdempotentService;
pub use settings::OnUnknown;

fn respond<B: From<Bytes>>(refusal: &Refusal) -> Response<B> {
    Failure::from(refusal).into_http()
}
