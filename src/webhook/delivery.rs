//! One delivery, from the claim to its end. It runs in a task of its own, so that a provider that hangs up cuts nothing.
//!
//! | what is found | what happens |
//! |---|---|
//! | nothing | the event is ours: the handler run, settled or given back |
//! | it was handled | a duplicate, acknowledged |
//! | a claim, its lease running | somebody is at it: the provider has to come again |
//! | a claim whose lease is over | its process is gone: taken over |
//! | no answer from the store | nothing is done: the provider has to come again |
//!
//! Before that look the payment is forgotten, whatever is found: a duplicate is news of it as well.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::contained::{self, Broken};
use crate::deadline::after;
use crate::ledger::{Claimed, Entry, Held, Holds, Key, Kind, Ledger, LedgerError, Nonce, Ours, Replaced, State, later};

use super::error::{HandlerError, WebhookError};
use super::event::Event;
use super::{Endpoint, OtherAccounts};

/// What came of a delivery that is to be acknowledged with status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// The handler has succeeded, and that is recorded.
    Handled,
    /// An earlier delivery of the event was handled.
    Duplicate,
    /// The event is of the other mode than the validator's, or of another account. The handler did not run.
    Ignored,
}

impl Delivery {
    /// A stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
        }
    }
}

/// A handler, whatever it is made of.
pub(super) type Handler = Box<dyn FnOnce(Event) -> Handling + Send>;

pub(super) type Handling = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// How long a provider is told to wait for a delivery under way. A handler takes milliseconds, and one second is the shortest
/// wait that Retry-After can say. To come back too early costs one call to the store; to wait for the end of the lease, which
/// lasts for the slowest handler and then for a crashed process, would cost most of a minute.
const BACK_SOON: Duration = Duration::from_secs(1);

/// Each time somebody else must have claimed the event and given it back in between.
const MOST_ROUNDS: u32 = 16;

/// How an event's record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Handled,
    /// Nothing came of it: the next delivery starts anew.
    GivenBack,
}

/// Goes through one delivery.
pub(super) async fn deliver(endpoint: Arc<Endpoint>, event: Event, handler: Handler) -> Result<Delivery, WebhookError> {
    endpoint.forget_payment(&event).await?;
    if !endpoint.is_own(&event) && endpoint.other_accounts != OtherAccounts::Handle {
        endpoint.engine.telemetry.delivery_of_other_account();
        let is_refused = endpoint.other_accounts == OtherAccounts::Refuse;
        return if is_refused { Err(WebhookError::other_account()) } else { Ok(Delivery::Ignored) };
    }
    let Some(claim) = Claim::make(&endpoint, &event).await? else { return Ok(Delivery::Duplicate) };
    match handle(&claim, event, handler).await {
        Ok(()) => claim.settle().await,
        Err(error) => {
            claim.give_back().await;
            Err(error)
        }
    }
}

/// Runs the handler under its limit.
async fn handle(claim: &Claim, event: Event, handler: Handler) -> Result<(), WebhookError> {
    let endpoint = &*claim.turn.endpoint;
    // What is left of the lease has to last for the handler, and for recording what came of it.
    let limit = endpoint.time_to_begin;
    if claim.asked_at.elapsed() > limit {
        return Err(LedgerError::TimedOut { limit }.into());
    }
    let limit = endpoint.handler_timeout;
    match contained::run(|| handler(event), after(Instant::now(), limit)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(WebhookError::failed(error)),
        Err(Broken::Panicked) => Err(WebhookError::panicked()),
        Err(Broken::TimedOut) => Err(WebhookError::timed_out(limit)),
    }
}

/// The event's record, and who writes it.
#[derive(Clone)]
struct Turn {
    endpoint: Arc<Endpoint>,
    key: Key,
    nonce: Nonce,
    generation: u32,
}

/// The right to handle an event, for a time.
struct Claim {
    turn: Turn,
    ours: Ours,
    /// From before the claim was asked for, so that the lease is never thought longer than it is.
    asked_at: Instant,
}

impl Claim {
    /// Claims the event. `None` when it was handled before.
    async fn make(endpoint: &Arc<Endpoint>, event: &Event) -> Result<Option<Self>, WebhookError> {
        let key = endpoint.key(event);
        for _ in 0..MOST_ROUNDS {
            let turn = Turn { endpoint: Arc::clone(endpoint), key: key.clone(), nonce: Nonce::draw()?, generation: 1 };
            let asked_at = Instant::now();
            let held = match turn.ledger().claim(&key, turn.entry(State::Claimed)).await {
                Ok(Claimed::Ours(ours)) => return Ok(Some(Self { turn, ours, asked_at })),
                Ok(Claimed::Held(held)) => held,
                Err(error) => return Err(turn.refused(error)),
            };
            match held.record.state {
                State::Settled => return Ok(None),
                State::Claimed if !held.lease_left().is_zero() => {
                    return Err(WebhookError::in_progress(held.lease_left().min(BACK_SOON)));
                }
                _ => {}
            }
            let generation = held.record.generation.saturating_add(1);
            // Another nonce: the first claim may still be made, any time later.
            let turn = Turn { nonce: Nonce::draw()?, generation, ..turn };
            let asked_at = Instant::now();
            match turn.ledger().take_over(&key, &held, turn.entry(State::Claimed)).await {
                Ok(Replaced::Ours(ours)) => {
                    endpoint.engine.telemetry.delivery_taken_over(&endpoint.name, event.id());
                    return Ok(Some(Self { turn, ours, asked_at }));
                }
                Ok(Replaced::Lost(_)) => {}
                Err(error) => return Err(turn.refused(error)),
            }
        }
        Err(LedgerError::Contended.into())
    }

    /// Records that the event was handled.
    async fn settle(self) -> Result<Delivery, WebhookError> {
        let Self { turn, ours, .. } = self;
        match turn.ledger().settle(&turn.key, &ours, turn.entry(State::Settled)).await {
            Ok(Replaced::Ours(_)) => Ok(Delivery::Handled),
            // Somebody took over, and records it, or hands it back to the provider.
            Ok(Replaced::Lost(_)) => {
                turn.endpoint.engine.telemetry.delivery_lost(&turn.endpoint.name);
                Err(WebhookError::not_recorded(None))
            }
            Err(error) => {
                turn.endpoint.engine.telemetry.store_failed(&error);
                turn.end_later(End::Handled);
                Err(WebhookError::not_recorded(Some(error)))
            }
        }
    }

    /// Gives the event back, so that the next delivery is handled. What the caller is told does not depend on it.
    async fn give_back(self) {
        let Self { turn, ours, .. } = self;
        if let Err(error) = turn.ledger().release(&turn.key, &ours).await {
            turn.endpoint.engine.telemetry.store_failed(&error);
            turn.end_later(End::GivenBack);
        }
    }
}

impl Turn {
    fn ledger(&self) -> &Ledger {
        &self.endpoint.engine.effects
    }

    /// The record says no more than its state.
    fn entry(&self, state: State) -> Entry {
        let Self { endpoint, nonce, generation, .. } = self;
        let lease = if state == State::Claimed { endpoint.lease } else { Duration::ZERO };
        // A claim lives as long, so that it can be settled however late that is, unless somebody has taken over.
        Entry { state, nonce: *nonce, generation: *generation, ttl: endpoint.retention, lease, payload: Vec::new() }
    }

    /// Ends a delivery whose claim was not confirmed. It may be there all the same, and would keep the next one off.
    fn refused(self, error: LedgerError) -> WebhookError {
        self.endpoint.engine.telemetry.store_failed(&error);
        if error.is_outcome_unknown() {
            self.end_later(End::GivenBack);
        }
        error.into()
    }

    /// Tries for a while to write how it ended, for when the event comes again.
    fn end_later(self, end: End) {
        tokio::spawn(async move { later(Holds::Claim, || self.end_late(end)).await });
    }

    /// Writes it in the place of our own record, and of nobody else's.
    async fn end_late(&self, end: End) -> Result<(), LedgerError> {
        let (ledger, key) = (self.ledger(), &self.key);
        let is_ours = |held: &Held| held.is_of(self.nonce);
        match end {
            End::GivenBack => ledger.withdraw(key, is_ours).await,
            End::Handled => match ledger.get(key).await? {
                Some(held) if is_ours(&held) => {
                    ledger.take_over(key, &held, self.entry(State::Settled)).await.map(|_| ())
                }
                Some(_) => Ok(()),
                None => ledger.claim(key, self.entry(State::Settled)).await.map(|_| ()),
            },
        }
    }
}

impl Endpoint {
    /// Forgets what is known of the event's payment, for the account that the event is of.
    async fn forget_payment(&self, event: &Event) -> Result<(), WebhookError> {
        let Some(payment) = event.payment() else { return Ok(()) };
        let forgotten = match event.account() {
            Some(account) => self.engine.forget_of(account, payment).await,
            None => self.engine.forget(payment).await,
        };
        forgotten.map_err(WebhookError::not_forgotten)
    }

    /// Whether the event is of the validator's account.
    fn is_own(&self, event: &Event) -> bool {
        match (event.account(), self.engine.identity.account_name()) {
            (None, _) => true,
            (Some(account), Some(name)) => account == name,
            // An organization's endpoint names every account, so without a name this may be it.
            (Some(_), None) => !event.is_connected(),
        }
    }

    /// Where the event stands. Its mode is that of the provider's identity, which is part of every digest.
    fn key(&self, event: &Event) -> Key {
        let parts = [&*self.name, event.account().unwrap_or_default(), event.id()];
        self.engine.effects.key(Kind::Event, &self.engine.identity.fingerprint("event", &parts))
    }
}
