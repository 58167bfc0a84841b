//! A look at a request's record, and what follows from it.
//!
//! | what is found | what happens |
//! |---|---|
//! | nothing | it is ours: the handler runs |
//! | another request under the same key | refused as reused, whatever became of that one |
//! | an answer | replayed |
//! | a run under way | waited for, and looked at again; then 409 |
//! | a run whose lease is over, or one of which nobody knows the end | 409, or run again where the route allows it |
//! | no answer from the store | 503: nothing runs |

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::ledger::{
    Claimed, Entry, Held, Ledger, LedgerError, Nonce, Ours, Replaced, State, Unconfirmed, Waited, Watch, payload_of,
};

use super::place::Place;
use super::record::{Payload, Phase, Replay};
use super::refusal::Refusal;
use super::settings::{OnUnknown, Settings};
use super::tenant_keys::Reserved;

/// Somebody else must have been faster each time; past this many something is wrong.
const MOST_ROUNDS: usize = 10_000;

/// A client told to come back sooner than this would do nothing else.
const SHORTEST_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The right to run the handler, for a time.
pub(super) struct Claim {
    pub(super) ours: Ours,
    /// From before it was asked for, so that the lease is never thought longer than it is.
    pub(super) asked_at: Instant,
    /// Its room among the keys of its tenant, where those are limited.
    pub(super) room: Option<Reserved>,
}

/// What came of a look.
pub(super) enum Turn {
    /// The handler is ours to run.
    Ours(Claim),
    Replayed(Replay),
    Refused(Refusal),
}

/// Looks, waits for who is at it, and looks again.
pub(super) async fn turn(settings: &Settings, place: &Place, on_unknown: OnUnknown) -> Turn {
    look(settings, place, on_unknown).await.unwrap_or_else(|error| {
        settings.engine.telemetry.store_failed(&error);
        Turn::Refused(Refusal::Unavailable { retry_after: error.retry_after() })
    })
}

async fn look(settings: &Settings, place: &Place, on_unknown: OnUnknown) -> Result<Turn, LedgerError> {
    let ledger = &settings.engine.effects;
    let deadline = Deadline::after(Instant::now(), settings.wait);
    let indeterminate = || Refusal::Indeterminate { reference: place.reference() };
    let (mut watch, mut overheard) = (None, None);
    for _ in 0..MOST_ROUNDS {
        let held = if let Some(held) = overheard.take() {
            held
        } else {
            match ask(settings, place).await? {
                Ok(claim) => return Ok(Turn::Ours(claim)),
                Err(Found::Held(held)) => Arc::new(held),
                Err(Found::ShareFull(refusal)) => return Ok(Turn::Refused(refusal)),
            }
        };
        let payload = Payload::read(&held)?;
        if !payload.is_about(&place.fingerprint) {
            return Ok(Turn::Refused(Refusal::KeyReused));
        }
        match (&payload.phase, on_unknown) {
            (Phase::Done(kept), _) => return Ok(Turn::Replayed(kept.replay())),
            (Phase::UnderWay, _) if !held.lease_left().is_zero() => {
                let watch: &mut Watch = watch.get_or_insert_with(|| ledger.watch(&place.key));
                match watch.wait(&mut held.under_way(), deadline).await {
                    Waited::Turn => {}
                    Waited::Over(held) => overheard = Some(held),
                    Waited::OutOfTime(lease_left) => {
                        let retry_after = lease_left.min(settings.wait).max(SHORTEST_RETRY_AFTER);
                        return Ok(Turn::Refused(Refusal::InProgress { retry_after }));
                    }
                }
            }
            (Phase::UnderWay, OnUnknown::Refuse) => {
                if give_up(settings, place, &held).await? {
                    settings.engine.telemetry.request_indeterminate(&place.digest);
                    return Ok(Turn::Refused(indeterminate()));
                }
            }
            (Phase::Indeterminate, OnUnknown::Refuse) => return Ok(Turn::Refused(indeterminate())),
            (Phase::UnderWay | Phase::Indeterminate, OnUnknown::RunAgain) => {
                if let Some(claim) = take_over(settings, place, &held).await? {
                    return Ok(Turn::Ours(claim));
                }
            }
        }
    }
    Err(LedgerError::Contended)
}

/// Why there is no claim.
enum Found {
    Held(Held),
    /// The tenant holds its share of keys, and this one is not among them.
    ShareFull(Refusal),
}

/// Claims the key, if its tenant may hold another one; else looks whether it holds this one.
async fn ask(settings: &Settings, place: &Place) -> Result<Result<Claim, Found>, LedgerError> {
    let ledger = &settings.engine.effects;
    let mut room = match settings.keys.as_ref().map(|keys| keys.reserve(&place.tenant)).transpose() {
        Ok(room) => room,
        Err(refusal) => return Ok(Err(ledger.get(&place.key).await?.map_or(Found::ShareFull(refusal), Found::Held))),
    };
    let nonce = Nonce::draw()?;
    let claim = entry(settings, place, nonce, 1, Phase::UnderWay)?;
    let asked_at = Instant::now();
    Ok(match confirmed(ledger, place, nonce, ledger.claim(&place.key, claim)).await? {
        Claimed::Ours(ours) => {
            if let Some(room) = &mut room {
                room.keep();
            }
            Ok(Claim { ours, asked_at, room })
        }
        Claimed::Held(held) => Err(Found::Held(held)),
    })
}

/// Says of a run whose lease is over that nobody knows the end of it. False when that has changed meanwhile.
///
/// It bears the nonce of the claim, by which whoever does know recognises it, and may still say so.
async fn give_up(settings: &Settings, place: &Place, held: &Held) -> Result<bool, LedgerError> {
    let generation = held.record.generation.saturating_add(1);
    let entry = entry(settings, place, held.record.nonce, generation, Phase::Indeterminate)?;
    let replaced = settings.engine.effects.take_over(&place.key, held, entry).await?;
    Ok(matches!(replaced, Replaced::Ours(_)))
}

/// Claims it in the place of a run that was found. `None` when that has changed meanwhile.
async fn take_over(settings: &Settings, place: &Place, held: &Held) -> Result<Option<Claim>, LedgerError> {
    let ledger = &settings.engine.effects;
    let nonce = Nonce::draw()?;
    let entry = entry(settings, place, nonce, held.record.generation.saturating_add(1), Phase::UnderWay)?;
    let asked_at = Instant::now();
    Ok(match confirmed(ledger, place, nonce, ledger.take_over(&place.key, held, entry)).await? {
        Replaced::Ours(ours) => Some(Claim { ours, asked_at, room: None }),
        Replaced::Lost(_) => None,
    })
}

/// Asks for a claim, and takes it back when its outcome does not become known, as when the client hangs up meanwhile.
async fn confirmed<T>(
    ledger: &Ledger,
    place: &Place,
    nonce: Nonce,
    asking: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    let unconfirmed = Unconfirmed::new(ledger, &place.key, nonce);
    let outcome = asking.await;
    unconfirmed.confirm(&outcome);
    outcome
}

/// What the record says next. Whatever it says, it is kept for the whole retention from then on.
pub(super) fn entry(
    settings: &Settings,
    place: &Place,
    nonce: Nonce,
    generation: u32,
    phase: Phase<'_>,
) -> Result<Entry, LedgerError> {
    let (state, lease) = match phase {
        Phase::UnderWay => (State::Claimed, settings.lease),
        Phase::Done(_) | Phase::Indeterminate => (State::Settled, Duration::ZERO),
    };
    let payload = payload_of(&Payload::new(&place.fingerprint, phase))?;
    Ok(Entry { state, nonce, generation, ttl: settings.retention, lease, payload })
}
