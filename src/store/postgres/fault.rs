//! What a failure of the client means: how far the call got.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::store::{StoreError, tls};

/// Nothing that matters was sent, however far the login got.
pub(super) fn connecting(error: &Error, address: &str) -> StoreError {
    if let Some(said) = error.as_db_error() {
        let fault = StoreError::from_sqlstate(said.code().code(), said.message());
        return if fault.is_outcome_unknown() { StoreError::not_sent(fault.to_string()) } else { fault };
    }
    let lost = || StoreError::not_sent(format!("no connection to PostgreSQL at {address}: {}", shown(error)));
    match error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
        Some(cause) if cause.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) => {
            tls::fault(cause, "PostgreSQL", "sslmode=disable")
        }
        // What the client makes of `target_session_attrs`.
        Some(cause) if cause.to_string() == "database does not allow writes" => {
            StoreError::from_sqlstate(SqlState::READ_ONLY_SQL_TRANSACTION.code(), "")
        }
        Some(_) => lost(),
        None if error.is_closed() => lost(),
        // A password or TLS that the server wants, or has not.
        None => StoreError::refused(format!("no login to PostgreSQL at {address}: {}", shown(error))),
    }
}

/// What became of a statement that was handed to a connection.
pub(super) fn calling(error: &Error) -> StoreError {
    match error.as_db_error() {
        Some(said) if ends_connection(said) => StoreError::from_last_sqlstate(said.code().code(), said.message()),
        Some(said) => StoreError::from_sqlstate(said.code().code(), said.message()),
        None => StoreError::outcome_unknown(format!("PostgreSQL gave no whole answer: {}", shown(error))),
    }
}

/// A pooler may state the severity in words alone.
fn ends_connection(said: &DbError) -> bool {
    matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
        || matches!(said.severity(), "FATAL" | "PANIC")
}

/// What the client says, and why.
fn shown(error: &Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
