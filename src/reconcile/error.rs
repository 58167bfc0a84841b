//! Why there is no report.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::error_info::{Class, Condition, INTERRUPTED, INTERRUPTED_TEXT, NO_RUNTIME, NO_RUNTIME_TEXT, error_info};

/// A run that came to no report. What a run could not find out is no error: its report says so.
///
/// | code | status | retryable | when |
/// |---|---|---|---|
/// | `window_empty` | 400 | no | the window ends before it begins |
/// | `window_unset` | 400 | no | the window's beginning is not set |
/// | `window_too_late` | 400 | no | the orders were exported too early for the window's end, and no work folder leads to a next run |
/// | `orders_missing` | 422 | no | there is nothing to resume: the folder does not hold the orders of a run |
/// | `plan_differs` | 409 | no | the folder holds an unfinished run of another plan, whose window this one would pass over |
/// | `folder_in_use` | 409 | yes | another run holds the folder |
/// | `folder_not_private` | 500 | no | users other than its owner may read the folder |
/// | `folder_failed` | 500 | yes | a file of the folder cannot be written or read, or is damaged |
/// | `listing_unsupported` | 500 | no | the provider's adapter lists no payments |
/// | the [common ones](crate::ErrorInfo#common-conditions) | | | |
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReconcileError {
    /// The window ends before it begins.
    #[error("the window has to end after it begins: it begins at {since} and ends at {until}, in seconds since 1970")]
    WindowEmpty {
        /// Where it begins.
        since: u64,
        /// Where it ends.
        until: u64,
    },
    /// The orders were exported too early for the window's end, and no [work folder](super::ReconcilerBuilder::work) leaves the rest
    /// to the next run.
    #[error(
        "the window ends at {until}, and orders of that export are known up to {known_until}, in seconds since 1970; end it there, \
         or name a work folder, by which the next run looks at the rest"
    )]
    WindowTooLate {
        /// Where it ends.
        until: u64,
        /// When the orders were exported, less the [time](super::ReconcilerBuilder::too_recent) that the shop needs.
        known_until: u64,
    },
    /// The window's beginning is not set.
    #[error("there is no run to go on with, and a new one needs the window's beginning; set `since`")]
    WindowUnset,
    /// The folder does not hold the orders of a run.
    #[error("there is no run to resume in the folder: its orders were not read to their end; give them again")]
    OrdersMissing,
    /// The folder holds an unfinished run of another plan.
    #[error(
        "the folder holds an unfinished run whose {field} is {planned}, and this one's is {given}; resume that one, cover its \
         window with later orders, or remove its `plan.json` to give it up"
    )]
    PlanDiffers {
        /// What differs first.
        field: &'static str,
        /// What the folder's run has.
        planned: String,
        /// What this one has.
        given: String,
    },
    /// Another run holds the folder.
    #[error("another run holds the folder {}; wait for its end, or name another", .0.display())]
    FolderInUse(PathBuf),
    /// Users other than the owner may read the folder, which holds orders and payments.
    #[error("the folder {} can be read by others than its owner; take that right away (`chmod 700`), or name another", .0.display())]
    FolderNotPrivate(PathBuf),
    /// A file of the folder cannot be written or read, or is damaged.
    #[error("a file of the work folder cannot be used")]
    FolderFailed(#[from] io::Error),
    /// The provider's adapter lists no payments.
    #[error("the provider's adapter lists no payments; implement `Provider::list`")]
    ListingUnsupported,
    /// There is no tokio runtime.
    #[error("{NO_RUNTIME_TEXT}")]
    NoRuntime,
    /// A task of the run panicked, or its runtime was shut down.
    #[error("{INTERRUPTED_TEXT}")]
    Interrupted,
}

error_info!(ReconcileError);

impl ReconcileError {
    fn condition(&self) -> Condition {
        match self {
            Self::WindowEmpty { .. } => Condition::lasting(Class::Caller, "window_empty", 400),
            Self::WindowTooLate { .. } => Condition::lasting(Class::Caller, "window_too_late", 400),
            Self::WindowUnset => Condition::lasting(Class::Caller, "window_unset", 400),
            Self::OrdersMissing => Condition::lasting(Class::Caller, "orders_missing", 422),
            Self::PlanDiffers { .. } => Condition::lasting(Class::Caller, "plan_differs", 409),
            Self::FolderInUse(_) => Condition::passing(Class::InProgress, "folder_in_use", 409),
            Self::FolderNotPrivate(_) => Condition::lasting(Class::Configuration, "folder_not_private", 500),
            Self::FolderFailed(_) => Condition::passing(Class::Configuration, "folder_failed", 500),
            Self::ListingUnsupported => Condition::lasting(Class::Configuration, "listing_unsupported", 500),
            Self::NoRuntime => NO_RUNTIME,
            Self::Interrupted => INTERRUPTED,
        }
    }

    #[expect(clippy::unused_self, reason = "no condition says how long it takes")]
    const fn wait(&self) -> Option<Duration> {
        None
    }
}
