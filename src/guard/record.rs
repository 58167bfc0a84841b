//! What a guarded operation's record holds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::call::error::CallError;
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Held, LedgerError, SharedFailure, State, Versioned};
use crate::moment::Moment;
use crate::provider::ProviderError;
use crate::provider::attempt_log::Attempt;

use super::error::{GuardError, NoResult, Unkept};

/// A result that can be kept and repeated.
pub(super) trait Keepable: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Keepable for T {}

/// How far the operation has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// It is being sent, or was when its process ended.
    UnderWay,
    /// The provider is being asked what became of it. Nothing is sent meanwhile.
    Reconciling,
    /// Executed.
    Done(KeptResult),
    /// The provider will not execute it.
    Refused(KeptRefusal),
    /// A read that failed, for those who waited for it.
    Failed(ReadFailure),
    /// It may have been executed.
    Indeterminate,
    /// It was not executed, and may be sent in a new round.
    NotExecuted,
}

/// A result, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum KeptResult {
    Json(#[serde(with = "crate::ledger::octets")] Vec<u8>),
    /// Larger than a record may be, or not to be written as JSON.
    Nothing,
}

/// A provider's refusal, to be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptRefusal {
    message: Box<str>,
    status: Option<u16>,
    code: Option<Box<str>>,
    request_id: Option<Box<str>>,
}

/// Why a read failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ReadFailure {
    Refused(KeptRefusal),
    Code(SharedFailure),
}

/// Everything that outlives the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payload {
    pub(super) fingerprint: [u8; 32],
    pub(super) is_write: bool,
    /// How long the provider keeps the key of what was sent. `None` when nothing protects another sending.
    pub(super) protected_ms: Option<u64>,
    /// Goes up when a person or the hook says that the operation was not executed, so that it gets a new key at the provider.
    pub(super) round: u32,
    /// How long before the record was written the round may first have been sent.
    pub(super) first_sent_ms: u64,
    pub(super) phase: Phase,
}

impl Versioned<'_> for Payload {}

impl Payload {
    /// Reads a record.
    ///
    /// # Errors
    /// When it holds something else. That is never the same as a miss.
    pub(super) fn read(held: &Held) -> Result<Self, LedgerError> {
        held.payload("holds no operation")
    }

    pub(super) fn state(&self) -> State {
        match &self.phase {
            Phase::UnderWay | Phase::Reconciling => State::Claimed,
            Phase::Done(_) | Phase::Refused(_) | Phase::Indeterminate | Phase::NotExecuted => State::Settled,
            Phase::Failed(_) => State::Failed,
        }
    }

    pub(super) fn is_about(&self, fingerprint: &Fingerprint) -> bool {
        self.fingerprint == *fingerprint.as_bytes()
    }

    /// When the round may first have been sent, as of a record that was read.
    pub(super) fn first_sent(&self, held: &Held) -> Moment {
        Moment::before(held.asked_at, Duration::from_millis(self.first_sent_ms).saturating_add(held.age_of_contents()))
    }
}

impl KeptResult {
    /// The value as JSON, which can hold what no other format can: whatever describes itself.
    pub(super) fn of<T: Serialize>(value: &T) -> Self {
        // The value's own code must not take the fact with it that the operation was executed.
        match catch_unwind(AssertUnwindSafe(|| serde_json::to_vec(value))) {
            Ok(Ok(json)) => Self::Json(json),
            _ => Self::Nothing,
        }
    }

    /// Reads the value back.
    ///
    /// # Errors
    /// When it is not there, or is none of this type. What is there is not repeated.
    pub(super) fn value<T: DeserializeOwned>(&self) -> Result<T, GuardError> {
        match self {
            Self::Json(json) => {
                serde_json::from_slice(json).map_err(|_| NoResult::ResultMissing(Unkept::OfAnotherType).into())
            }
            Self::Nothing => Err(NoResult::ResultMissing(Unkept::TooLarge).into()),
        }
    }
}

impl KeptRefusal {
    pub(super) fn of(error: &ProviderError) -> Self {
        Self {
            message: error.text().into(),
            status: error.status(),
            code: error.code().map(Into::into),
            request_id: error.provider_request_id().map(Into::into),
        }
    }

    /// The same refusal again.
    pub(super) fn into_error(self, attempts: Vec<Attempt>) -> GuardError {
        let Self { message, status, code, request_id } = self;
        let error = status.into_iter().fold(ProviderError::refused(message), ProviderError::with_status);
        let error = code.into_iter().fold(error, ProviderError::with_code);
        let error = request_id.into_iter().fold(error, ProviderError::with_request_id);
        NoResult::Refused { error, attempts }.into()
    }
}

impl ReadFailure {
    pub(super) fn into_error(self) -> GuardError {
        match self {
            Self::Refused(refusal) => refusal.into_error(Vec::new()),
            Self::Code(failure) => CallError::from(failure).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::RecordKind;
    use crate::ledger::golden::is_golden;

    #[test]
    fn golden_files_hold_what_is_written_of_operations() {
        let refusal = KeptRefusal {
            message: "the card was declined".into(),
            status: Some(402),
            code: Some("card_declined".into()),
            request_id: Some("req_1".into()),
        };
        let bare = KeptRefusal { message: "no".into(), status: None, code: None, request_id: None };
        let code = ReadFailure::Code(SharedFailure { code: "unavailable".into(), retry_after_ms: Some(1_000) });
        let phases = [
            ("under_way", Phase::UnderWay),
            ("reconciling", Phase::Reconciling),
            ("done", Phase::Done(KeptResult::Json(br#"{"id":"re_1"}"#.to_vec()))),
            ("done_without_result", Phase::Done(KeptResult::Nothing)),
            ("refused", Phase::Refused(refusal)),
            ("failed_by_refusal", Phase::Failed(ReadFailure::Refused(bare))),
            ("failed", Phase::Failed(code)),
            ("indeterminate", Phase::Indeterminate),
            ("free", Phase::NotExecuted),
        ];
        for (variant, phase) in phases {
            let (is_write, protected_ms) = (!matches!(phase, Phase::Failed(_)), Some(86_400_000));
            let payload =
                Payload { fingerprint: [0x33; 32], is_write, protected_ms, round: 2, first_sent_ms: 14_000, phase };
            let marks = payload.phase == Phase::Indeterminate;
            is_golden(RecordKind::Operation, 1, variant, payload.state(), marks, &payload);
        }
    }
}
