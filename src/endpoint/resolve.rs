//! What became of a request, by the word of a person who looked.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::account::Account;
use crate::guard::{OperationReference, RequestResolution, Resolution, ResolveError};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Change, Contents, Held, Key, LedgerError, RecordKind, State};
use crate::redaction::signature;
use crate::validator::Validator;

use super::indeterminate::requests;
use super::record::{KeptResponse, RequestPayload, RequestPhase};

impl Validator {
    /// Says what became of a request with an idempotency key whose end is unknown. `who` says so: 1 to 100 characters, for
    /// the log and for the [decisions](Self::decisions) in the store.
    ///
    /// One that was not executed gives its key back, and the same request runs anew. One that was executed is answered from
    /// then on with 200 and the given result as JSON; or, without one, with 409 `IDEMPOTENCY_RESPONSE_NOT_KEPT`.
    ///
    /// # Errors
    /// See [`ResolveError`].
    ///
    /// # Cancel safety
    /// Nothing happens until the future is awaited. Dropped after that, it may be done or not; asking again tells.
    pub fn resolve_request(
        &self,
        reference: OperationReference,
        resolution: Resolution,
        who: &str,
    ) -> impl Future<Output = Result<(), ResolveError>> + Send + use<> {
        let (account, who) = (Arc::clone(&self.0.account), who.to_owned());
        async move {
            Handle::try_current().map_err(|_| LedgerError::NoRuntime)?;
            let who = signature(&who).ok_or(ResolveError::Unsigned)?;
            let said = resolve(&account, &reference.digest(), &resolution, &who).await;
            // Any other error leaves it as unknown as it was.
            if matches!(said, Ok(()) | Err(ResolveError::NothingToResolve { .. }))
                && let Err(error) = requests(&account).remove(&reference.digest()).await
            {
                account.telemetry.store_failed(&error);
            }
            said?;
            account.telemetry.resolved(&reference.digest(), Some("request"), resolution.decided().as_str(), &who);
            Ok(())
        }
    }
}

async fn resolve(
    account: &Account,
    digest: &Fingerprint,
    resolution: &Resolution,
    who: &str,
) -> Result<(), ResolveError> {
    let (said, key) = (resolution.said()?, account.ledger.key(RecordKind::Request, digest));
    may_say(account.ledger.get(&key).await?.as_ref())??;
    let write = account.ledger.update(&key, |found| {
        Ok(match may_say(found)? {
            Ok((found, payload)) => (change(&key, found, &payload, said)?, Ok(())),
            Err(why) => (Change::Keep, Err(why)),
        })
    });
    requests(account).decide(digest, who, resolution.decided(), write).await?
}

/// The record of a request of which a person may say what became.
fn may_say(found: Option<&Held>) -> Result<Result<(&Held, RequestPayload<'_>), ResolveError>, LedgerError> {
    let nothing = |why| Ok(Err(ResolveError::NothingToResolve { why }));
    let Some(found) = found else { return nothing("there is no record of the request") };
    let payload = RequestPayload::read(found)?;
    match &payload.phase {
        RequestPhase::UnderWay if !found.lease_left().is_zero() => {
            Ok(Err(ResolveError::InProgress { retry_after: found.lease_left() }))
        }
        RequestPhase::Done(_) => nothing("the request was answered"),
        RequestPhase::UnderWay | RequestPhase::Indeterminate => Ok(Ok((found, payload))),
    }
}

/// What becomes of the record.
fn change(
    key: &Key,
    found: &Held,
    payload: &RequestPayload<'_>,
    said: RequestResolution<'_>,
) -> Result<Change, LedgerError> {
    let RequestResolution::Done(json) = said else { return Ok(Change::Remove) };
    let payload = key.payload_of(&payload.with(RequestPhase::Done(KeptResponse::said(json))))?;
    // For as long as the key was to be kept.
    let ttl = found.ttl_left().max(Duration::from_millis(1));
    Ok(Change::Write(Contents { state: State::Settled, ttl, lease: Duration::ZERO, payload }))
}
