//! From a thin event to its payment: one request for the object that the event names, and the payment is forgotten.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::call::deadline::Deadline;
use crate::call::error::{CallError, Cause};
use crate::provider::{ProviderError, RelatedAnswer, RelatedObject};

use super::Endpoint;
use super::error::{Rejection, WebhookError};
use super::event::{Event, Fetched};
use super::record::LedTo;
use super::types;

/// The longest that it takes, waiting included. Stripe may hang up sooner; the delivery goes on.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// The most of an endpoint at once: after an outage Stripe sends hundreds of events, and each of their requests takes from the
/// rate that validations are made within.
pub(super) const AT_ONCE: usize = 4;

/// The status of an answer that says that the credential may not read.
const FORBIDDEN: u16 = 403;

impl Endpoint {
    /// Asks for the object of an event whose body does not name its payment, and forgets that payment. An event that names it
    /// asks for nothing; what a snapshot names is kept for its thin twin.
    ///
    /// | the provider answers | what happens |
    /// |---|---|
    /// | with the object | its payment is forgotten |
    /// | that it is gone | the handler is told |
    /// | that it may not be read | noted for health; the handler is told, but what may have taken money back comes again |
    /// | anything else, or not in time | the event comes again |
    pub(super) async fn follow(&self, event: &Event) -> Result<LedTo, WebhookError> {
        let Some(object) = event.related() else {
            self.note_unnamed(event);
            // The body of a thin twin may name no payment.
            return Ok(event.payment().filter(|_| !event.is_thin()).map(|payment| vec![payment.clone()]));
        };
        let fetched = match self.ask(object).await {
            Ok(RelatedAnswer::Found { payment, object }) => Fetched::Found { payment, object },
            Ok(RelatedAnswer::Gone) => Fetched::Gone,
            Ok(RelatedAnswer::Unsupported) => self.unreadable(event, object)?,
            Err(error) if error.provider().and_then(ProviderError::status) == Some(FORBIDDEN) => {
                self.unreadable(event, object)?
            }
            Err(error) => return Err(Rejection::NotLookedUp(error).into()),
        };
        let led_to = match &fetched {
            Fetched::Found { payment, .. } => Some(payment.iter().cloned().collect::<Vec<_>>()),
            Fetched::Gone => Some(Vec::new()),
            Fetched::Unreadable => None,
        };
        self.forget(event, led_to.iter().flatten()).await?;
        event.keep(fetched);
        Ok(led_to)
    }

    /// Asks within the limit, and as one of a few.
    async fn ask(&self, object: &RelatedObject) -> Result<RelatedAnswer, CallError> {
        let deadline = Deadline::after(Instant::now(), LIMIT);
        let Ok(place) = timeout_at(deadline.at(), self.places.acquire()).await else {
            return Err(CallError::new(Cause::Deadline { limit: LIMIT, last: None }));
        };
        let answer = self.account.retrier.related(object, deadline, &self.account.telemetry).await;
        drop(place);
        answer
    }

    /// The payment stays unknown until the operator gives the credential its right.
    fn unreadable(&self, event: &Event, object: &RelatedObject) -> Result<Fetched, WebhookError> {
        self.note_unreadable(event, object.kind());
        if types::has_to_come_again(event.event_type(), object.kind()) {
            return Err(Rejection::Unreadable { object: object.kind().into() }.into());
        }
        Ok(Fetched::Unreadable)
    }

    /// A thin event that may have taken money back, and names no object that can be asked for, says no more when it comes
    /// again: it is acknowledged, and the operator is told.
    fn note_unnamed(&self, event: &Event) {
        let event_type = event.event_type();
        let kind = types::object_of(event_type).filter(|kind| types::has_to_come_again(event_type, kind));
        if let Some(kind) = kind.filter(|_| event.is_thin()) {
            self.note_unreadable(event, kind);
        }
    }

    /// Tells the operator and health. What the credential may read of another account is that account's to say, and no verdict
    /// of this validator depends on it.
    fn note_unreadable(&self, event: &Event, kind: &str) {
        if self.is_own(event) {
            self.account.telemetry.object_unreadable(&self.name, kind);
        }
    }
}
