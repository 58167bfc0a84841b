//! One delivery, from the claim to its end. It runs in a task of its own, so that a provider that hangs up cuts nothing.
//!
//! | what is found | what happens |
//! |---|---|
//! | nothing | the event is ours: the handler run, settled or given back |
//! | it was handled | a duplicate, acknowledged |
//! | a claim, its lease running | another process handles it: the provider has to come again |
//! | a claim whose lease is over | its process is gone: taken over |
//! | no answer from the store | nothing is done: the provider has to come again |
//!
//! Before that look the payment that the body names is forgotten, whatever is found: a duplicate is news of it as well. What a
//! thin event leads to is looked up under the claim and forgotten before the handler runs; the record keeps which payment it
//! was, or which one a snapshot names, so that a duplicate or a twin forgets it again and asks for nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::named;
use crate::call::contained::{self, Aborted};
use crate::call::deadline::{Deadline, after};
use crate::intent::payment_intent::PaymentId;
use crate::ledger::{
    Acquired, Claimable, Contents, Decision, Held, Key, LateWords, Lease, LedgerError, RecordKind, State,
};

use super::error::{HandlerError, Rejection, WebhookError};
use super::event::Event;
use super::record::{LedTo, Outcome};
use super::{Endpoint, OtherAccounts};

named! {
    /// What came of a delivery that is to be acknowledged with status 200.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Delivery {
        /// The handler has succeeded, and that is recorded.
        Handled = "handled",
        /// An earlier delivery of the event was handled.
        Duplicate = "duplicate",
        /// The event is of the other mode than the validator's, or of another account. The handler did not run.
        Ignored = "ignored",
    } as_str(self: Self)
}

/// A handler, whatever it is made of.
pub(super) type Handler = Box<dyn FnOnce(Event) -> Handling + Send>;

pub(super) type Handling = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// How long a provider is told to wait for a delivery under way. A handler takes milliseconds, and one second is the shortest
/// wait that Retry-After can say. To come back too early costs one call to the store; to wait for the end of the lease, which
/// lasts for the slowest handler and then for a crashed process, would cost most of a minute.
const BACK_SOON: Duration = Duration::from_secs(1);

/// Goes through one delivery.
pub(super) async fn deliver(endpoint: Arc<Endpoint>, event: Event, handler: Handler) -> Result<Delivery, WebhookError> {
    endpoint.forget(&event, event.named()).await?;
    if !endpoint.is_own(&event) && endpoint.other_accounts != OtherAccounts::Handle {
        if endpoint.other_accounts == OtherAccounts::Refuse {
            endpoint.account.telemetry.delivery_of_other_account();
            return Err(Rejection::OtherAccount.into());
        }
        endpoint.follow(&event).await?;
        endpoint.account.telemetry.delivery_of_other_account();
        return Ok(Delivery::Ignored);
    }
    let mut lease = match claim(&endpoint, &event).await? {
        Claim::Ours(lease) => lease,
        Claim::Before(Outcome { led_to: Some(payments) }) => {
            // What the body names was forgotten above.
            let unnamed = payments.iter().filter(|payment| event.named().all(|named| named != *payment));
            endpoint.forget(&event, unnamed).await?;
            return Ok(Delivery::Duplicate);
        }
        Claim::Before(Outcome { led_to: None }) => {
            endpoint.follow(&event).await?;
            return Ok(Delivery::Duplicate);
        }
    };
    match handle(&endpoint, &lease, event, handler).await {
        Ok(led_to) => settle(&endpoint, &mut lease, led_to).await,
        Err(error) => {
            // What the caller is told does not depend on it.
            if let Err(trouble) = lease.conclude(Word::NotHandled).await {
                endpoint.account.telemetry.store_failed(&trouble);
            }
            Err(error)
        }
    }
}

/// Whose turn it is.
enum Claim {
    Ours(Box<Lease<EventRecord>>),
    /// It was handled before, with this outcome.
    Before(Outcome),
}

/// Claims the event.
async fn claim(endpoint: &Arc<Endpoint>, event: &Event) -> Result<Claim, WebhookError> {
    let (key, lease) = (endpoint.key(event), endpoint.times(event).lease);
    let record = EventRecord { key, lease, retention: endpoint.retention };
    // The provider comes again by itself, so that nothing waits here.
    let no_wait = Deadline::after(Instant::now(), Duration::ZERO);
    let decide = |found: &Held, _| {
        Ok(match found.record.state {
            State::Settled => Decision::Answer(found.payload("is not that of an event")?),
            State::Claimed if !found.lease_left().is_zero() => Decision::Wait,
            _ => Decision::TakeOver(()),
        })
    };
    match endpoint.account.ledger.acquire(&record, || Ok(()), no_wait, decide).await {
        Ok(Acquired::Lease(lease)) => {
            if lease.took_over() {
                endpoint.account.telemetry.delivery_taken_over(&endpoint.name, event.id());
            }
            Ok(Claim::Ours(lease))
        }
        Ok(Acquired::Busy { lease_left }) => {
            Err(Rejection::InProgress { retry_after: lease_left.min(BACK_SOON) }.into())
        }
        Ok(Acquired::Answer(outcome)) => Ok(Claim::Before(outcome)),
        Err(error) => {
            endpoint.account.telemetry.store_failed(&error);
            Err(error.into())
        }
    }
}

/// Follows the event to its payment, and runs the handler under its limit.
async fn handle(
    endpoint: &Endpoint,
    lease: &Lease<EventRecord>,
    event: Event,
    handler: Handler,
) -> Result<LedTo, WebhookError> {
    let led_to = endpoint.follow(&event).await?;
    // What is left of the lease has to last for the handler, and for recording what came of it.
    let limit = endpoint.times(&event).to_begin;
    if lease.held_for() > limit {
        return Err(LedgerError::TimedOut { limit }.into());
    }
    let limit = endpoint.handler_timeout;
    match contained::catch_until(|| handler(event), after(Instant::now(), limit)).await {
        Ok(Ok(())) => Ok(led_to),
        Ok(Err(error)) => Err(Rejection::Failed(error).into()),
        Err(Aborted::Panicked) => Err(Rejection::Panicked.into()),
        Err(Aborted::TimedOut) => Err(Rejection::TimedOut { limit }.into()),
    }
}

/// Records that the event was handled.
async fn settle(endpoint: &Endpoint, lease: &mut Lease<EventRecord>, led_to: LedTo) -> Result<Delivery, WebhookError> {
    match lease.conclude(Word::Handled(Outcome { led_to })).await {
        Ok(true) => Ok(Delivery::Handled),
        // Another delivery took over, and records it, or hands it back to the provider.
        Ok(false) => {
            endpoint.account.telemetry.delivery_lost(&endpoint.name);
            Err(Rejection::NotRecorded(None).into())
        }
        Err(error) => {
            endpoint.account.telemetry.store_failed(&error);
            Err(Rejection::NotRecorded(Some(error)).into())
        }
    }
}

/// The record of an event.
#[derive(Clone, Debug)]
struct EventRecord {
    key: Key,
    lease: Duration,
    retention: Duration,
}

/// What came of the handler.
#[derive(Clone, Debug)]
enum Word {
    Handled(Outcome),
    /// The next delivery starts anew.
    NotHandled,
}

impl Claimable for EventRecord {
    type Carried = ();
    type Word = Word;

    /// The handler has succeeded: the event must not come to it again only because the store was away.
    fn late_words(&self, _word: Option<&Word>) -> LateWords {
        LateWords::AlsoWhereNoRecordIs
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn claim(&self, (): &(), _since: Instant) -> Result<Contents, LedgerError> {
        // It lives as long as what comes of it, so that it can be settled however late that is.
        let Self { lease, retention: ttl, .. } = *self;
        Ok(Contents { state: State::Claimed, ttl, lease, payload: self.key.payload_of(&Outcome::default())? })
    }

    fn last(&self, (): &(), word: &Word) -> Result<Option<Contents>, LedgerError> {
        let Word::Handled(outcome) = word else { return Ok(None) };
        let payload = self.key.payload_of(outcome)?;
        Ok(Some(Contents { state: State::Settled, ttl: self.retention, lease: Duration::ZERO, payload }))
    }
}

impl Endpoint {
    /// Forgets what is known of payments of the event, and of sessions that stand for them, for the account that the event is of.
    pub(super) async fn forget(
        &self,
        event: &Event,
        ids: impl IntoIterator<Item = &PaymentId>,
    ) -> Result<(), WebhookError> {
        let ids: Vec<&PaymentId> = ids.into_iter().collect();
        Ok(self.forget.exactly(event.account(), &ids).await.map_err(Rejection::NotForgotten)?)
    }

    /// Whether the event is of the validator's account.
    pub(super) fn is_own(&self, event: &Event) -> bool {
        match (event.account(), self.account.identity.account()) {
            (None, _) => true,
            (Some(account), Some(name)) => account == name,
            // An organization's endpoint names every account, so without a name this may be it.
            (Some(_), None) => !event.is_connected(),
        }
    }

    /// Where the event stands. Its mode is that of the provider's identity, which is part of every digest. An event of the own
    /// account is the same one whether it names that account or not: of a thin event and its twin one may, and one may not.
    fn key(&self, event: &Event) -> Key {
        let account = event.account().filter(|account| self.account.identity.account() != Some(account));
        let parts = [&*self.name, account.unwrap_or_default(), event.known_as()];
        self.account.ledger.key(RecordKind::Event, &self.account.identity.fingerprint("event", &parts))
    }
}
