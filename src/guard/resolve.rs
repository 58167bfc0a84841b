//! What became of an operation, by the word of a person who looked.

use std::time::Duration;

use serde::Serialize;

use crate::accessors::partial_debug;
use crate::account::{Account, Decided};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Change, Contents, Held, Key, LedgerError, RecordKind, State};
use crate::redaction::signature;

use super::error::{GuardError, NoResult};
use super::indeterminate::operations;
use super::job::OperationRecord;
use super::record::{KeptResult, Payload, Phase};
use super::resolve_error::ResolveError;

/// What became of an operation that was indeterminate.
#[derive(Clone)]
pub struct Resolution(Outcome);

#[derive(Clone)]
enum Outcome {
    Done(KeptResult),
    /// The value could not be written, which is told when it is used.
    Unwritable,
    NotExecuted,
}

impl Resolution {
    /// It was executed, with this result; later runs get it.
    #[must_use]
    pub fn done<T: Serialize>(value: &T) -> Self {
        Self(match KeptResult::of(value) {
            KeptResult::Nothing => Outcome::Unwritable,
            kept @ KeptResult::Json(_) => Outcome::Done(kept),
        })
    }

    /// It was executed. Later runs are told so, and that its result is missing.
    #[must_use]
    pub fn done_without_result() -> Self {
        Self(Outcome::Done(KeptResult::Nothing))
    }

    /// It was not executed, and what was sent will not be any more. The next run sends it under a new provider key.
    #[must_use]
    pub fn not_executed() -> Self {
        Self(Outcome::NotExecuted)
    }

    /// The result as JSON, if it was executed and there is one.
    #[cfg(feature = "tower")]
    pub(crate) fn said(&self) -> Result<RequestResolution<'_>, ResolveError> {
        match &self.0 {
            Outcome::Done(KeptResult::Json(json)) => Ok(RequestResolution::Done(Some(json))),
            Outcome::Done(KeptResult::Nothing) => Ok(RequestResolution::Done(None)),
            Outcome::NotExecuted => Ok(RequestResolution::NotExecuted),
            Outcome::Unwritable => Err(ResolveError::Unwritable),
        }
    }

    pub(crate) const fn decided(&self) -> Decided {
        match self.0 {
            Outcome::Done(_) | Outcome::Unwritable => Decided::Done,
            Outcome::NotExecuted => Decided::NotExecuted,
        }
    }
}

/// What a person says became of a request.
#[cfg(feature = "tower")]
#[derive(Clone, Copy)]
pub(crate) enum RequestResolution<'r> {
    Done(Option<&'r [u8]>),
    NotExecuted,
}

// Shows no result.
partial_debug!(Resolution, self => outcome: self.decided());

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationStatus {
    /// Nothing is known of it: never run, or not executed.
    Absent,
    /// It is under way, for so long at most.
    InProgress {
        /// How long it is still protected.
        lease_left: Duration,
    },
    /// Executed; a run gets the result.
    Done,
    /// The provider refused it; a run gets the same refusal.
    Refused,
    /// It is unknown whether it was executed.
    Indeterminate,
}

/// Where an operation stands. Changes nothing.
pub(super) async fn status(place: &OperationRecord) -> Result<OperationStatus, GuardError> {
    let Some(held) = place.account.ledger.get(&place.key).await? else { return Ok(OperationStatus::Absent) };
    let payload = Payload::read(&held)?;
    if !payload.is_about(&place.fingerprint) {
        return Err(NoResult::KeyReused.into());
    }
    Ok(match payload.phase {
        Phase::Done(_) => OperationStatus::Done,
        Phase::Refused(_) => OperationStatus::Refused,
        Phase::Failed(_) | Phase::NotExecuted => OperationStatus::Absent,
        Phase::Indeterminate => OperationStatus::Indeterminate,
        Phase::UnderWay | Phase::Reconciling => match held.lease_left() {
            lease_left if !lease_left.is_zero() => OperationStatus::InProgress { lease_left },
            _ if payload.is_write => OperationStatus::Indeterminate,
            _ => OperationStatus::Absent,
        },
    })
}

/// Who says what about which operation.
pub(super) struct Saying {
    pub(super) digest: Fingerprint,
    /// What it claims, where the one who says it knows.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) resolution: Resolution,
    pub(super) who: String,
    pub(super) retention: Duration,
}

/// Writes what became of an operation, if it is indeterminate.
pub(super) async fn resolve(account: &Account, saying: Saying) -> Result<(), ResolveError> {
    let Saying { digest, fingerprint, resolution, who, retention } = saying;
    let who = signature(&who).ok_or(ResolveError::Unsigned)?;
    let phase = match &resolution.0 {
        Outcome::Unwritable => return Err(ResolveError::Unwritable),
        Outcome::Done(kept) => Phase::Done(kept.clone()),
        Outcome::NotExecuted => Phase::NotExecuted,
    };
    let key = account.ledger.key(RecordKind::Operation, &digest);
    let may_say = |found: Option<&Held>| {
        let Some(found) = found else {
            return Ok(Err(ResolveError::NothingToResolve { why: "there is no record of the operation" }));
        };
        let payload = Payload::read(found)?;
        if fingerprint.is_some_and(|fingerprint| !payload.is_about(&fingerprint)) {
            return Ok(Err(ResolveError::KeyReused));
        }
        Ok::<_, LedgerError>(is_open(&payload, found, &phase).map(|()| payload))
    };
    let list = operations(account, retention);
    let said = if let Err(why) = may_say(account.ledger.get(&key).await?.as_ref())? {
        Err(why)
    } else {
        let write = account.ledger.update(&key, |found| {
            Ok(match may_say(found)? {
                Ok(payload) => (Change::Write(contents(&key, &payload, phase.clone(), retention)?), Ok(())),
                Err(why) => (Change::Keep, Err(why)),
            })
        });
        list.decide(&digest, &who, resolution.decided(), write).await?
    };
    if matches!(said, Err(ResolveError::InProgress { .. } | ResolveError::KeyReused)) {
        return said;
    }
    let name = list.remove(&digest).await;
    if said.is_ok() {
        let known = name.as_ref().ok().and_then(Option::as_deref);
        account.telemetry.resolved(&digest, known, resolution.decided().as_str(), &who);
    }
    if let Err(error) = name {
        account.telemetry.store_failed(&error);
    }
    said
}

/// Whether a person may say what became of an operation. A refused one may be tried again, once the cause is mended.
fn is_open(payload: &Payload, held: &Held, next: &Phase) -> Result<(), ResolveError> {
    let nothing = |why| Err(ResolveError::NothingToResolve { why });
    match &payload.phase {
        Phase::UnderWay | Phase::Reconciling if !held.lease_left().is_zero() => {
            Err(ResolveError::InProgress { retry_after: held.lease_left() })
        }
        _ if !payload.is_write => nothing("it is a read, which may be run again"),
        Phase::UnderWay | Phase::Reconciling | Phase::Indeterminate => Ok(()),
        Phase::Refused(_) if *next == Phase::NotExecuted => Ok(()),
        Phase::Done(_) => nothing("it was executed"),
        Phase::Refused(_) => nothing("the provider refused it"),
        Phase::NotExecuted | Phase::Failed(_) => nothing("it was not executed"),
    }
}

/// What a person says, in a new round where nothing was executed.
fn contents(key: &Key, before: &Payload, phase: Phase, ttl: Duration) -> Result<Contents, LedgerError> {
    let further = u32::from(phase == Phase::NotExecuted);
    let round = before.round.saturating_add(further);
    let next = Payload { protected_ms: None, round, first_sent_ms: 0, phase, ..before.clone() };
    Ok(Contents { state: State::Settled, ttl, lease: Duration::ZERO, payload: key.payload_of(&next)? })
}
