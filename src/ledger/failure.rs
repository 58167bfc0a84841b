//! Why a reading failed, for those who waited for it in other processes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::error::CallError;

use super::millis;

/// A failure that concerns every process which asks for the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedFailure {
    pub(crate) code: Box<str>,
    pub(crate) retry_after_ms: Option<u64>,
}

impl SharedFailure {
    /// `None` where the cause is this process's own, and others may take over.
    pub(crate) fn of(error: &CallError) -> Option<Self> {
        let retry_after_ms = error.retry_after().map(millis);
        error.is_for_all().then(|| Self { code: error.condition().code.into(), retry_after_ms })
    }
}

impl From<SharedFailure> for CallError {
    fn from(SharedFailure { code, retry_after_ms }: SharedFailure) -> Self {
        Self::elsewhere(&code, retry_after_ms.map(Duration::from_millis))
    }
}
