//! Webhooks: what the provider reports, verified, handled once, and never answered from stale facts.
//!
//! ```
//! use axum::body::Bytes;
//! use axum::extract::State;
//! use axum::http::HeaderMap;
//! use payproof::envelope::{Failure, Success};
//! use payproof::webhook::StripeWebhooks;
//!
//! async fn receive(
//!     State(webhooks): State<StripeWebhooks>,
//!     headers: HeaderMap,
//!     body: Bytes, // the raw bytes: the signature is over them
//! ) -> Result<Success<&'static str>, Failure> {
//!     let delivery = webhooks
//!         .receive(headers.get("stripe-signature"), &body, |event| async move {
//!             match (event.event_type(), event.payment()) {
//!                 ("charge.refunded", Some(payment)) => hold_back(payment.as_str()).await,
//!                 _ => Ok(()),
//!             }
//!         })
//!         .await?; // an error answers with its own status, and Stripe delivers the event again
//!     Ok(Success::new(delivery.as_str()))
//! }
//! # async fn hold_back(payment: &str) -> Result<(), std::io::Error> { Ok(()) }
//! # use axum::body::Body;
//! # use axum::http::{Request, StatusCode};
//! # use payproof::testing::{ScriptedProvider, webhook};
//! # use payproof::Validator;
//! # use tower::ServiceExt as _;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = concat!("whsec", "_", "of_this_endpoint").to_owned();
//!
//! let validator = Validator::builder(ScriptedProvider::new()).build()?;
//! let webhooks = StripeWebhooks::builder(&validator, "orders", secret.clone()).build()?;
//! let app = axum::Router::new().route("/webhooks/stripe", axum::routing::post(receive)).with_state(webhooks);
//! # let body = webhook::EventBody::of_payment("evt_1", "charge.refunded", "pi_1").to_string();
//! # let request = |signature: &str| Request::post("/webhooks/stripe")
//! #     .header("stripe-signature", signature).body(Body::from(body.clone()));
//! # let signature = webhook::sign(&secret, webhook::now(), &body);
//! # for answer in ["handled", "duplicate"] {
//! #     let response = app.clone().oneshot(request(&signature)?).await?;
//! #     assert_eq!(response.status(), StatusCode::OK);
//! #     let text = axum::body::to_bytes(response.into_body(), 1_000).await?;
//! #     assert_eq!(text, format!(r#"{{"data":"{answer}"}}"#));
//! # }
//! # let response = app.oneshot(request("t=1,v1=00")?).await?;
//! # assert_eq!(response.status(), StatusCode::BAD_REQUEST);
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to a delivery
//! 1. Its signature is checked, over the raw bytes, in constant time, with every secret; only then is the body read, as far as
//!    it says what becomes of the event; its tree is made when the handler asks for it.
//! 2. An event of the other mode than the validator's is acknowledged and ignored.
//! 3. If the event names a payment, what is known of it is [forgotten](crate::Validator::forget), in this process and in the store,
//!    and so is the Checkout session that it is about, so that the handler and the calls after it learn the truth. Other
//!    processes serve what they have for up to 5 s more, or 1 s where the store tells of changes
//!    ([`facts_in_memory_for`](crate::ValidatorBuilder::facts_in_memory_for)). It is forgotten for the account that the event names, whichever the
//!    validator's is, and for every delivery, duplicates included.
//! 4. An event of another account than the validator's is acknowledged and ignored by default ([`OtherAccounts`]). A thin one
//!    is first followed to its payment, as in step 6; where that fails, Stripe is asked to deliver it again.
//! 5. The event is claimed in the validator's store, by endpoint, account, mode and id; a thin event that names its snapshot
//!    twin by the twin's id, so that of the two one is handled.
//! 6. A thin event names a charge, a dispute and the like, and not its payment: the object is asked for, once, within 10 s, and
//!    its payment is forgotten. A duplicate forgets that again, and asks for nothing. [`Event::object`] has what was found.
//!    `docs/webhooks.md` lists the types, and what each answer about an object comes to.
//! 7. The handler runs, in a task of its own and under its limit. A provider that hangs up cuts it no more than it cuts the
//!    rest.
//! 8. That it succeeded is recorded, and then the delivery is acknowledged. A handler that fails, panics or takes too long
//!    gives the event back, so that the next delivery runs it again.
//!
//! | answer | status | counted in [`Stats::deliveries`](crate::telemetry::Stats::deliveries) as |
//! |---|---|---|
//! | handled, and recorded | 200 | `handled` |
//! | was handled before | 200 | `duplicate` |
//! | of the other mode, or of another account | 200 | `ignored` |
//! | rejected, or not handled | see [`WebhookError`] | the error's code |
//!
//! # What is guaranteed, and what is not
//! - **At least once.** An event is acknowledged only after its handler succeeded and that was recorded. Where the recording
//!   fails the answer is 503, and it is tried again for a minute, so that the next delivery is a duplicate. If the store is
//!   down for longer, or the process ends between the handler's success and the record, the next delivery runs the handler
//!   again. A handler whose effects must not happen twice makes them with [`Validator::guard`](crate::Validator::guard), or in
//!   one transaction with the event's id.
//! - **One at a time.** While a delivery is being handled, no other of the same event is, in any process with the same store.
//!   A process that ends meanwhile is waited for: `handler_timeout`, six times `store_timeout`, and 5 s; where a thin event's
//!   object is asked for, four times `store_timeout` and 10 s longer. A handler that blocks its thread past its limit cannot be
//!   cut off, and after that time another may run beside it.
//! - **Events of the other mode are ignored,** since Stripe sends test events of connected accounts to live endpoints too. To
//!   handle one would ship goods for play money; to refuse it would have Stripe deliver it for days, and switch the endpoint
//!   off in the end.
//! - **One endpoint may serve all accounts of a platform or an organization.** Stripe names the account in each of their
//!   events, by `account` or by `context`. The facts of that account are forgotten in the validator's store, and in every
//!   validator of this process that [names](crate::provider::ProviderIdentity::with_account) the account; one with a store of its
//!   own needs an endpoint of its own. A validator that names none cannot tell whether the account is its own, so it forgets
//!   the payment as well; for [`OtherAccounts`] it takes an event with `account` for another's, and any other for its own: also
//!   thin events of connected accounts, which name their account by `context` as those of an organization do. Name the account
//!   where such events come. Events that name no account are of the validator's own, and reach no other validator's memory.
//! - **Without a shared store** events are remembered in this process only, 100,000 at most with all else that is remembered
//!   there; then further ones are answered with 503. Set a [`store`](crate::ValidatorBuilder::store).
//! - **An id that is no payment's** names nothing that was ever validated, so nothing is forgotten, and the handler runs.
//! - **The clock of the wall** is read for the age of signatures, which Stripe's clock wrote, and for nothing else. Keep the
//!   machine's clock in step.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{Instrument as _, Span};

use crate::accessors::partial_debug;
use crate::account::Account;
use crate::lookup::lookups::Forget;
use crate::moment::since_1970;
use crate::payment::facts::Mode;
use crate::telemetry::record_event;
use crate::validator::Validator;

mod builder;
mod delivery;
mod error;
mod event;
mod following;
mod outline;
mod record;
mod rfc3339;
mod signature;
mod types;

use delivery::{Handler, deliver};
use error::{HandlerError, Rejection};
use signature::{SigningSecret, verify};

pub use builder::StripeWebhooksBuilder;
pub use delivery::Delivery;
pub use error::WebhookError;
pub use event::{Event, EventObject};
#[cfg(feature = "test-util")]
pub(crate) use signature::sign;

/// What an endpoint does with events of other accounts than its validator's, after their payments are forgotten.
///
/// An event without an account, or of the account that the validator [names](crate::provider::ProviderIdentity::with_account), is
/// its own; where the validator names none, so is one that names its account by `context` alone, as
/// thin events of connected accounts do: name the account where those come. Whatever is chosen here,
/// [`Stats::deliveries_of_other_accounts`](crate::telemetry::Stats::deliveries_of_other_accounts) counts those for which no handler ran, and [`Validator::health`] notes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OtherAccounts {
    /// They are acknowledged, and the handler does not run: what it does would be done to the validator's own orders.
    #[default]
    Ignore,
    /// The handler runs. It has to look at [`Event::account`].
    Handle,
    /// They are refused with status 403, before a thin one is followed: it forgets only the payment that its body
    /// names. Stripe delivers them again for days, and switches the endpoint off in the end. For endpoints at which they are a
    /// mistake that has to be seen.
    Refuse,
}

/// One endpoint that Stripe delivers events to.
///
/// It shares the validator's store and provider account. Clones cost one counter.
#[derive(Clone, Debug)]
pub struct StripeWebhooks(Arc<Endpoint>);

/// What an endpoint is made of.
struct Endpoint {
    account: Arc<Account>,
    forget: Forget,
    mode: Mode,
    name: Box<str>,
    secrets: Vec<SigningSecret>,
    tolerance: Duration,
    handler_timeout: Duration,
    retention: Duration,
    max_body: usize,
    other_accounts: OtherAccounts,
    /// For requests about the objects of events.
    places: Semaphore,
    /// For an event whose body names its payment, and for one that has to be followed there.
    times: [DeliveryTimes; 2],
}

/// How long parts of a delivery may take.
#[derive(Clone, Copy, Debug, Default)]
struct DeliveryTimes {
    /// From asking for the claim to the handler's beginning.
    to_begin: Duration,
    /// To the end of everything.
    lease: Duration,
}

impl StripeWebhooks {
    /// Starts an endpoint with its signing secret, `whsec_…`, and safe defaults.
    ///
    /// The name is yours, and part of what an event is known by: two endpoints with other names both handle it. Keep it when
    /// the secret is rotated.
    pub fn builder(
        validator: &Validator,
        endpoint: impl Into<Box<str>>,
        signing_secret: impl Into<Box<str>>,
    ) -> StripeWebhooksBuilder {
        StripeWebhooksBuilder::new(validator, endpoint.into(), signing_secret.into())
    }

    /// Takes one delivery: the `Stripe-Signature` header, if there is one, and the body as it came.
    ///
    /// The signature is checked at once, everything else when the future is awaited. It holds what it needs and can be
    /// spawned.
    ///
    /// # Errors
    /// See [`WebhookError`]. `Failure::from` makes the answer of it.
    ///
    /// # Cancel safety
    /// Nothing is done until the future is awaited. Dropped after that, what is under way goes on to its end, and the next
    /// delivery finds what came of it.
    ///
    /// # Panics
    /// In a tokio runtime without time enabled, which offers no way to ask beforehand.
    pub fn receive<S, B, H, Fut, E>(
        &self,
        signature: Option<&S>,
        body: &B,
        handler: H,
    ) -> impl Future<Output = Result<Delivery, WebhookError>> + Send + use<S, B, H, Fut, E>
    where
        S: AsRef<[u8]> + ?Sized,
        B: AsRef<[u8]> + ?Sized,
        H: FnOnce(Event) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let endpoint = Arc::clone(&self.0);
        let event = endpoint.read(signature.map(AsRef::as_ref), body.as_ref());
        let handler: Handler = Box::new(|event| {
            let handling = handler(event);
            Box::pin(async { handling.await.map_err(Into::<HandlerError>::into) })
        });
        async move {
            let span = endpoint.account.telemetry.delivery_span(&endpoint.name);
            endpoint.take(event, handler, &span).instrument(span.clone()).await
        }
    }
}

impl Endpoint {
    fn times(&self, event: &Event) -> DeliveryTimes {
        let [direct, followed] = self.times;
        if event.related().is_some() { followed } else { direct }
    }

    /// Reads what Stripe has signed. Nothing is read before that is known.
    fn read(&self, signature: Option<&[u8]>, body: &[u8]) -> Result<Event, WebhookError> {
        if body.len() > self.max_body {
            return Err(Rejection::BodyTooLarge { bytes: body.len(), max_body: self.max_body }.into());
        }
        let header = signature.ok_or(Rejection::NoSignature)?;
        verify(&self.secrets, header, body, since_1970(), self.tolerance)?;
        Ok(Event::parse(body).map_err(Rejection::NotAnEvent)?)
    }

    async fn take(
        self: Arc<Self>,
        event: Result<Event, WebhookError>,
        handler: Handler,
        span: &Span,
    ) -> Result<Delivery, WebhookError> {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                self.account.telemetry.delivery_refused(span, error.code(), &error);
                return self.answer(span, Err(error));
            }
        };
        record_event(span, event.id(), event.event_type());
        if event.mode() != self.mode {
            return self.answer(span, Ok(Delivery::Ignored));
        }
        let Ok(runtime) = Handle::try_current() else { return self.answer(span, Err(Rejection::NoRuntime.into())) };
        self.account.watch_store();
        let (lease, handler_timeout) = (self.times(&event).lease, self.handler_timeout);
        let delivering = async move {
            let delivered = deliver(Arc::clone(&self), event, handler).await;
            self.answer(&Span::current(), delivered)
        };
        // It ends within its lease, unless the handler blocks its thread.
        match timeout(lease, runtime.spawn(delivering.instrument(span.clone()))).await {
            Ok(delivered) => delivered.unwrap_or_else(|_| Err(Rejection::Interrupted.into())),
            Err(_elapsed) => Err(Rejection::TimedOut { limit: handler_timeout }.into()),
        }
    }

    /// Counts and shows an answer. Where there is a task, in there: the caller that waits for it may be gone.
    fn answer(&self, span: &Span, delivered: Result<Delivery, WebhookError>) -> Result<Delivery, WebhookError> {
        let (outcome, handler_error) = match &delivered {
            Ok(delivery) => (delivery.as_str(), None),
            Err(error) => (error.code(), error.handler_error()),
        };
        self.account.telemetry.delivery(span, outcome, handler_error.as_deref());
        delivered
    }
}

// The endpoint and its settings, and no secret.
partial_debug!(Endpoint, self =>
    provider: self.account.retrier.provider, name: self.name, secrets: self.secrets.len(), tolerance: self.tolerance,
    handler_timeout: self.handler_timeout, retention: self.retention, max_body: self.max_body,
    other_accounts: self.other_accounts
);
