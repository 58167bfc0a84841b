//! Why the database did not do what it was asked.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use crate::settings::build_error::BuildError;
use crate::store::StoreError;

/// A failure of the database: the transaction it happened in has changed nothing, unless it was being committed.
#[derive(Debug)]
pub(super) struct DatabaseFault(Box<::redb::Error>);

impl<E: Into<::redb::Error>> From<E> for DatabaseFault {
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

impl fmt::Display for DatabaseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            ::redb::Error::Io(error) => write!(f, "{error}"),
            other => write!(f, "{other}"),
        }
    }
}

impl DatabaseFault {
    /// For a call that has changed nothing.
    pub(super) fn before_commit(&self) -> StoreError {
        match &*self.0 {
            ::redb::Error::Io(error) if needs_an_operator(error.kind()) => {
                StoreError::refused(format!("the store's file cannot be written: {error}"))
            }
            ::redb::Error::Corrupted(_) => StoreError::refused(format!("the store's file is damaged: {self}")),
            _ => StoreError::not_sent(format!("the store's file failed: {self}")),
        }
    }

    /// For a call whose change may be in the file.
    pub(super) fn in_commit(&self) -> StoreError {
        StoreError::outcome_unknown(format!("the store's file failed while it was written: {self}"))
    }

    /// For a file that is being opened.
    pub(super) fn at(&self, path: &Path) -> BuildError {
        match &*self.0 {
            ::redb::Error::DatabaseAlreadyOpen => BuildError::StoreFileInUse { path: path.to_owned() },
            _ => unusable(path, self.to_string()),
        }
    }
}

/// Says why a file cannot be used.
pub(super) fn unusable(path: &Path, reason: impl Into<String>) -> BuildError {
    BuildError::StoreFile { path: path.to_owned(), reason: reason.into() }
}

/// Whether the disk will go on saying so until an operator makes room or gives the right.
fn needs_an_operator(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::FileTooLarge
            | ErrorKind::PermissionDenied
            | ErrorKind::QuotaExceeded
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::StorageFull
    )
}
