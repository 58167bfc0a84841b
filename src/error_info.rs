//! What every error says beside its text: a stable code, an HTTP status, a wait, and whether the same call may be made again.
//!
//! Each condition is a [`Condition`], which decides code, status and repetition together. Conditions that several errors
//! share stand here; those of one part of the crate alone stand in its own error.

use std::time::Duration;

/// What services and job queues ask of an error, whichever part of the crate it comes from.
///
/// All public errors have it, and the methods of the same names too, so that it need not be imported to ask one of them.
/// [`envelope::Failure`](crate::envelope::Failure) is made `From` all of them.
///
/// # Common conditions
/// The table of each error names what is its own. Every error of a call can also be one of these:
///
/// | code | status | retryable | when |
/// |---|---|---|---|
/// | `rate_limited` | 429 | yes | the provider limits this account's rate |
/// | `deadline_exceeded` | 504 | yes | the deadline passed |
/// | `provider_timeout` | 504 | yes | the last attempt ran into its timeout |
/// | `provider_unavailable` | 503 | yes | the provider cannot be reached, or fails |
/// | `circuit_open` | 503 | yes | the provider has been failing, and was not asked |
/// | `unreadable_answer` | 502 | yes | the provider answered with something that cannot be read |
/// | `unknown` | 502 | yes | the provider failed in words that no rule knows |
/// | `provider_refused` | 502 | no | the provider refuses this account's requests |
/// | `at_capacity` | 503 | yes | as many calls or keys are held as this process, or the tenant, may hold |
/// | `interrupted` | 503 | yes | the task at work panicked, or was shut down |
/// | `no_runtime` | 500 | no | there is no tokio runtime |
/// | `store_unavailable` | 503 | yes | the store gave no answer, refused, or did not confirm |
/// | `record_newer` | 503 | yes | a newer release wrote the record; a process of that release can use it |
/// | `decisions_full` | 503 | yes | as many decisions of people are recorded as have room in a day; there is room again from 00:00 UTC on |
/// | `record_unreadable` | 502 | no | the record is damaged, none of this crate's, or too large; look into the store |
///
/// ```
/// use std::time::Duration;
/// use payproof::ErrorInfo;
///
/// /// When a job queue makes the same call again; `None` when that cannot help.
/// fn next_try(error: &impl ErrorInfo, backoff: Duration) -> Option<Duration> {
///     error.is_retryable().then(|| error.retry_after().unwrap_or(backoff))
/// }
/// # let error = payproof::PaymentId::parse("").unwrap_err();
/// # assert_eq!((error.code(), next_try(&error, Duration::from_secs(1))), ("invalid_intent", None));
/// ```
pub trait ErrorInfo: std::error::Error {
    /// A stable code in lower case, for API answers, logs and metrics.
    fn code(&self) -> &'static str;

    /// A fitting HTTP status for an API, from 400 to 599. Never 402: an outage is not a missing payment.
    fn http_status(&self) -> u16;

    /// How long to wait before the same call is made again, where that is known. Not cut by any limit of this crate.
    fn retry_after(&self) -> Option<Duration>;

    /// Whether the same call may be made again as it is: it is safe, and may end otherwise. False when the caller or the
    /// operator has to change or find out something first.
    fn is_retryable(&self) -> bool;

    /// Whether the call may have been executed, and something keeps it from being executed twice when it is made again as it
    /// is, such as the provider's idempotency key. False by default.
    ///
    /// An idempotency layer releases the key of a request that is answered with such an error.
    fn is_protected(&self) -> bool {
        false
    }

    /// The text for the client of an API: without what only an operator may know.
    ///
    /// By default the error's own text, or where it is about the service's own settings (500, not retryable) no more than
    /// that.
    fn public_message(&self) -> String {
        public_text(self)
    }

    /// What a program needs beside the code, for the client of an API. Nothing by default.
    fn public_details(&self) -> Option<serde_json::Value> {
        None
    }
}

/// What an error says publicly that keeps nothing else to itself.
pub(crate) fn public_text<E: ErrorInfo + ?Sized>(error: &E) -> String {
    if error.http_status() == 500 && !error.is_retryable() {
        return "the service is not set up to do this".to_owned();
    }
    error.to_string()
}

impl<E: ErrorInfo + ?Sized> ErrorInfo for &E {
    fn code(&self) -> &'static str {
        E::code(self)
    }

    fn http_status(&self) -> u16 {
        E::http_status(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        E::retry_after(self)
    }

    fn is_retryable(&self) -> bool {
        E::is_retryable(self)
    }

    fn is_protected(&self) -> bool {
        E::is_protected(self)
    }

    fn public_message(&self) -> String {
        E::public_message(self)
    }

    fn public_details(&self) -> Option<serde_json::Value> {
        E::public_details(self)
    }
}

/// What an error is about. Errors of several parts of the crate answer their predicates by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The caller, who has to change the call.
    Caller,
    /// The operator, who has to change a setting.
    Configuration,
    /// A call of the same kind that is under way.
    InProgress,
    /// The store, or what it holds.
    Store,
    Timeout,
    RateLimited,
    Unavailable,
    /// What became of an effect.
    Outcome,
}

/// One condition: its code, its HTTP status, and whether the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) class: Class,
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) is_retryable: bool,
}

impl Condition {
    /// A condition that may be over when the same call is made again.
    pub(crate) const fn passing(class: Class, code: &'static str, status: u16) -> Self {
        Self { class, code, status, is_retryable: true }
    }

    /// A condition that lasts until the caller or the operator changes or finds out something.
    pub(crate) const fn lasting(class: Class, code: &'static str, status: u16) -> Self {
        Self { class, code, status, is_retryable: false }
    }
}

pub(crate) const INVALID_INTENT: Condition = Condition::lasting(Class::Caller, "invalid_intent", 400);
pub(crate) const KEY_REUSED: Condition = Condition::lasting(Class::Caller, "key_reused", 422);
pub(crate) const IN_PROGRESS: Condition = Condition::passing(Class::InProgress, "in_progress", 409);
pub(crate) const INTERRUPTED: Condition = Condition::passing(Class::Unavailable, "interrupted", 503);
pub(crate) const NO_RUNTIME: Condition = Condition::lasting(Class::Configuration, "no_runtime", 500);
pub(crate) const MISCONFIGURED: Condition = Condition::lasting(Class::Configuration, "misconfigured", 500);
pub(crate) const STORE_NOT_SHARED: Condition = Condition::lasting(Class::Configuration, "store_not_shared", 500);
pub(crate) const RESTART_LOSES: Condition = Condition::lasting(Class::Configuration, "restart_loses", 500);

/// The texts of conditions that several errors share.
pub(crate) const KEY_REUSED_TEXT: &str = "the idempotency key was used with other claims; use a new key";
pub(crate) const SHARED_STORE_TEXT: &str = "a store that every process sees; set one with `store`, or state with \
                                            `only_instance` that this process is the only one";
pub(crate) const INTERRUPTED_TEXT: &str =
    "the task at work panicked or was shut down; ask again, from a runtime with time enabled";
pub(crate) const NO_RUNTIME_TEXT: &str = "there is no tokio runtime here; call from inside one";

/// The text of [`IN_PROGRESS`], which names what is under way.
pub(crate) fn in_progress(what: &str) -> String {
    format!("another {what} is under way; ask again after the given wait")
}

/// Gives an error with `condition()` and `wait()`, or with one condition that is named here, the methods of [`ErrorInfo`], and
/// the trait. What follows goes into the trait's implementation.
macro_rules! error_info {
    ($error:ty = $condition:ident $(, $more:item)* $(,)?) => {
        #[allow(clippy::unused_self, reason = "its errors are all about the same condition")]
        impl $error {
            const fn condition(&self) -> $crate::error_info::Condition {
                $condition
            }

            const fn wait(&self) -> Option<std::time::Duration> {
                None
            }
        }

        error_info!($error $(, $more)*);
    };
    ($error:ty $(, $more:item)* $(,)?) => {
        impl $error {
            /// A stable code, for API answers, logs and metrics: see the table above.
            #[must_use]
            pub fn code(&self) -> &'static str {
                self.condition().code
            }

            /// A fitting HTTP status for an API: see the table above.
            #[must_use]
            pub fn http_status(&self) -> u16 {
                self.condition().status
            }

            /// How long to wait before the same call is made again, where that is known. Not cut by any limit of this
            /// crate.
            #[must_use]
            pub fn retry_after(&self) -> Option<std::time::Duration> {
                self.wait()
            }

            /// Whether the same call may be made again as it is: see the table above.
            #[must_use]
            pub fn is_retryable(&self) -> bool {
                self.condition().is_retryable
            }
        }

        impl $crate::error_info::ErrorInfo for $error {
            fn code(&self) -> &'static str {
                self.code()
            }

            fn http_status(&self) -> u16 {
                self.http_status()
            }

            fn retry_after(&self) -> Option<std::time::Duration> {
                self.retry_after()
            }

            fn is_retryable(&self) -> bool {
                self.is_retryable()
            }


            $($more)*
        }
    };
}
pub(crate) use error_info;
