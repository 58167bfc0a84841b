//! What became of a request, by the word of a person who looked.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::call::error::runtime;
use crate::guard::{GuardError, OperationReference, Resolution, Said, signature};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Contents, Held, Kind, LedgerError, State, payload_of};
use crate::lookup::engine::Engine;
use crate::validator::Validator;

use super::record::{KeptResponse, RequestPayload, RequestPhase};

/// Another process must have written in between each time.
const MOST_ROUNDS: usize = 16;

impl Validator {
    /// Says what became of a request with an idempotency key whose end is unknown. `who` says so: 1 to 100 characters, for
    /// the log.
    ///
    /// One that was not executed gives its key back, and the same request runs anew. One that was executed is answered from
    /// then on with 200 and the given result as JSON; or, without one, with 409 `IDEMPOTENCY_RESPONSE_NOT_KEPT`.
    ///
    /// # Errors
    /// When there is no such request, it is under way or was answered, or the store did not confirm.
    ///
    /// # Cancel safety
    /// Nothing happens until the future is awaited. Dropped after that, it may be done or not; asking again tells.
    pub fn resolve_request(
        &self,
        reference: OperationReference,
        resolution: &Resolution,
        who: &str,
    ) -> impl Future<Output = Result<(), GuardError>> + Send + use<> {
        let (engine, resolution, who) = (Arc::clone(&self.0), resolution.clone(), who.to_owned());
        async move {
            runtime()?;
            let who = signature(&who)?;
            resolve(&engine, &reference.digest(), &resolution).await?;
            engine.telemetry.resolved(&reference.digest(), Some("request"), resolution.as_str(), &who);
            Ok(())
        }
    }
}

async fn resolve(engine: &Engine, digest: &Fingerprint, resolution: &Resolution) -> Result<(), GuardError> {
    let (ledger, key) = (&engine.effects, engine.effects.key(Kind::Request, digest));
    let said = resolution.said()?;
    for _ in 0..MOST_ROUNDS {
        let Some(held) = ledger.get(&key).await? else {
            return Err(GuardError::nothing_to_resolve("there is no record of the request"));
        };
        let payload = RequestPayload::read(&held)?;
        match &payload.phase {
            RequestPhase::UnderWay if !held.lease_left().is_zero() => {
                return Err(GuardError::in_progress(held.lease_left()));
            }
            RequestPhase::UnderWay | RequestPhase::Indeterminate => {}
            RequestPhase::Done(_) => return Err(GuardError::nothing_to_resolve("the request was answered")),
        }
        let is_resolved = match said {
            Said::NotExecuted => ledger.remove(&key, &held).await?,
            Said::Done(json) => match ledger.replace(&key, &held, answered(&held, &payload, json)?).await {
                Ok(is_replaced) => is_replaced,
                Err(LedgerError::TooLarge { .. }) => {
                    return Err(GuardError::settings(
                        "the given result is too large to keep; use `done_without_result`",
                    ));
                }
                Err(error) => return Err(error.into()),
            },
        };
        if is_resolved {
            return Ok(());
        }
    }
    Err(LedgerError::Contended.into())
}

/// The record of an answer, for as long as the key was to be kept.
fn answered(held: &Held, payload: &RequestPayload<'_>, json: Option<&[u8]>) -> Result<Contents, LedgerError> {
    let payload = payload_of(&payload.with(RequestPhase::Done(KeptResponse::said(json))))?;
    let ttl = held.ttl_left().max(Duration::from_millis(1));
    Ok(Contents { state: State::Settled, ttl, lease: Duration::ZERO, payload })
}
