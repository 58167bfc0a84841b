//! How a command ended.

use std::process::ExitCode;

/// What the exit status says, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// 0: everything is as it should be.
    Fine,
    /// 1: something is not.
    NotFine,
    /// 2: it could not be told.
    CouldNotTell,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}
