//! One look at an operation's record, and what follows from it. It runs in a task of its own, so that no caller who leaves
//! cuts it between its steps.
//!
//! | what is found | what happens |
//! |---|---|
//! | nothing | it is ours: sent, and settled |
//! | a result or a refusal | replayed, if the claims are the same |
//! | a claim, its lease running | the caller waits and looks again |
//! | a claim whose lease is over, of a read | taken over |
//! | the same of a write, or an indeterminate one, that the provider's key still protects | sent again under the same key |
//! | the same, unprotected | indeterminate: reconciled, or left to somebody who knows |
//! | a round that was not executed | ours, under a new key |
//! | no answer from the store | a read goes on without; so does a write that the provider's key protects |

use std::sync::Arc;

use crate::ledger::{Asked, Claimed, FAILED_FOR, Held, LedgerError, Nonce, Replaced, UnderWay};
use crate::moment::Moment;
use crate::payment::verdict::Provenance;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::done::Done;
use super::error::{GuardError, Next};
use super::job::{Job, Place, Standing};
use super::lead::{lead, reconcile};
use super::lease::Lease;
use super::record::{Payload, Phase};
use super::unresolved::list;

/// What came of one look.
pub(super) enum Turn<T> {
    Over(Result<Done<T>, GuardError>),
    /// Another call is at it.
    Wait(UnderWay),
    /// It changed; look again.
    Again,
}

/// Looks, and goes through with what follows. `waited_for` tells the claim that this run waited for, if it did.
pub(super) async fn turn<T>(job: Arc<Job<T>>, waited_for: Option<Nonce>) -> Turn<T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    look(&job, waited_for).await.unwrap_or_else(|error| Turn::Over(Err(error)))
}

async fn look<T>(job: &Job<T>, waited_for: Option<Nonce>) -> Result<Turn<T>, GuardError>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let place = &job.place;
    let begin = Asked::now();
    let nonce = Nonce::draw()?;
    let standing = Standing {
        round: 0,
        first_sent: Moment::at(begin.at),
        protected: place.operation.effect().key_kept_for(),
        in_doubt: false,
    };
    let entry = place.entry(nonce, &place.payload(&standing, Phase::UnderWay))?;
    let held = match place.engine.effects.claim(&place.key, entry).await {
        Ok(Claimed::Ours(ours)) => {
            let lease = Lease::new(place, standing, nonce, Some(ours), begin);
            return Ok(lead(job, lease, begin.at).await);
        }
        Ok(Claimed::Held(held)) => held,
        Err(error) => return without_store(job, standing, nonce, error, begin).await,
    };
    // Another one from here on: a claim whose reply was lost may still be made, any time later.
    let nonce = Nonce::draw()?;
    let payload = Payload::read(&held)?;
    if !payload.is_about(&place.fingerprint) {
        return Err(GuardError::key_reused());
    }
    let again = Standing { round: payload.round, ..standing };
    if let Some(result) = known(&payload, &held, waited_for) {
        return result.map(|done| Turn::Over(Ok(done)));
    }
    match &payload.phase {
        Phase::UnderWay | Phase::Reconciling if !held.lease_left().is_zero() => Ok(Turn::Wait(held.under_way())),
        Phase::UnderWay | Phase::Reconciling | Phase::Indeterminate if payload.is_write => {
            doubtful(job, &held, &payload, again, nonce).await
        }
        _ => take_over(job, &held, again, nonce).await,
    }
}

/// The result that a record holds, if it holds one for this run. `waited_for` is the claim that this run waited for.
fn known<T>(payload: &Payload, held: &Held, waited_for: Option<Nonce>) -> Option<Result<Done<T>, GuardError>>
where
    T: DeserializeOwned,
{
    match &payload.phase {
        Phase::Done(kept) => {
            let provenance = if waited_for.is_some() { Provenance::Coalesced } else { Provenance::Replayed };
            let done = |value| Done { value, provenance, attempts: Vec::new(), degraded: None };
            Some(kept.value().map(done))
        }
        Phase::Refused(refusal) => Some(Err(refusal.clone().into_error(Vec::new()))),
        Phase::Failed(failure) if waited_for == Some(held.record.nonce) && held.age < FAILED_FOR => {
            Some(Err(failure.clone().into_error()))
        }
        _ => None,
    }
}

/// What another run's look says to one that waited, if that needs no look of its own.
pub(super) fn overheard<T>(job: &Job<T>, held: &Held, waited_for: Nonce) -> Option<Result<Done<T>, GuardError>>
where
    T: DeserializeOwned,
{
    let payload = match Payload::read(held) {
        Ok(payload) => payload,
        Err(error) => return Some(Err(error.into())),
    };
    if !payload.is_about(&job.place.fingerprint) {
        return Some(Err(GuardError::key_reused()));
    }
    if let Some(result) = known(&payload, held, Some(waited_for)) {
        return Some(result);
    }
    // Who found it so first has put it on the list.
    let is_open = payload.phase == Phase::Indeterminate && payload.is_write && job.inquire.is_none();
    (is_open && job.place.resendable(&payload, payload.first_sent(held)).is_none())
        .then(|| Err(GuardError::indeterminate(Next::Resolve, None)))
}

/// Takes the operation on in the place of who had it before, and sends it.
async fn take_over<T>(job: &Job<T>, held: &Held, standing: Standing, nonce: Nonce) -> Result<Turn<T>, GuardError>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let place = &job.place;
    let begin = Asked::now();
    let entry = place.entry(nonce, &place.payload(&standing, Phase::UnderWay))?;
    match place.engine.effects.take_over(&place.key, held, entry).await {
        Ok(Replaced::Ours(ours)) => {
            let lease = Lease::new(place, standing, nonce, Some(ours), begin);
            Ok(lead(job, lease, begin.at).await)
        }
        Ok(Replaced::Lost(_)) => Ok(Turn::Again),
        Err(error) => without_store(job, standing, nonce, error, begin).await,
    }
}

/// Goes on with a write that may have been executed.
async fn doubtful<T>(
    job: &Job<T>,
    held: &Held,
    payload: &Payload,
    standing: Standing,
    nonce: Nonce,
) -> Result<Turn<T>, GuardError>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let place = &job.place;
    let first_sent = payload.first_sent(held);
    let protected = place.resendable(payload, first_sent);
    let standing = Standing { first_sent, protected, in_doubt: true, ..standing };
    if protected.is_some() {
        return take_over(job, held, standing, nonce).await;
    }
    if job.inquire.is_none() {
        if payload.phase != Phase::Indeterminate && !give_up(place, held, &standing).await? {
            return Ok(Turn::Again);
        }
        list(place).await;
        return Err(GuardError::indeterminate(Next::Resolve, None));
    }
    let begin = Asked::now();
    let entry = place.entry(nonce, &place.payload(&standing, Phase::Reconciling))?;
    match place.engine.effects.take_over(&place.key, held, entry).await? {
        Replaced::Ours(ours) => {
            let lease = Lease::new(place, standing, nonce, Some(ours), begin);
            reconcile(job, lease, begin.at).await
        }
        Replaced::Lost(_) => Ok(Turn::Again),
    }
}

/// Says of a write that broke off that nobody knows what became of it. False when it changed meanwhile.
///
/// The mark names the claim, so that the process which does know may still say so.
async fn give_up(place: &Place, held: &Held, standing: &Standing) -> Result<bool, LedgerError> {
    let contents = place.contents(&place.payload(standing, Phase::Indeterminate))?;
    let is_ours = place.engine.effects.mark(&place.key, held, contents).await?;
    if is_ours {
        place.engine.telemetry.indeterminate(place.operation.name(), &place.digest);
    }
    Ok(is_ours)
}

/// Goes on without the store, if nothing can go wrong by that.
async fn without_store<T>(
    job: &Job<T>,
    standing: Standing,
    nonce: Nonce,
    error: LedgerError,
    begin: Asked,
) -> Result<Turn<T>, GuardError>
where
    T: Serialize + DeserializeOwned + Send + 'static,
{
    let place = &job.place;
    let lease = Lease::new(place, standing, nonce, None, begin);
    let may_go_on = error.is_down() || error.is_newer() && !place.is_write();
    if !may_go_on {
        return Err(error.into());
    }
    place.engine.telemetry.store_failed(&error);
    let is_safe = !place.is_write() || standing.protected.is_some() && place.settings.goes_on_without_store;
    if is_safe {
        return Ok(lead(job, lease, begin.at).await);
    }
    // The claim may be there all the same, and would look like a sending that broke off.
    match (error.is_outcome_unknown(), standing.in_doubt) {
        (true, false) => lease.give_back().await,
        (true, true) => {
            lease.settle(Phase::Indeterminate).await;
        }
        (false, _) => {}
    }
    Err(error.into())
}
