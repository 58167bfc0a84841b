//! Effects that happen once: the engine of validations, for any call to the provider.
//!
//! A guarded operation has one record, which is written before anything is sent. A run that finds it waits, replays, takes
//! over or asks the provider; no run sends twice what nothing protects.
//!
//! | | read | write under a provider key | write without one |
//! |---|---|---|---|
//! | not sent, rate limit | tried again | tried again | tried again |
//! | no answer, 5xx | tried again | tried again under the same key | indeterminate |
//! | refused | an error | refused, for good | refused, for good |
//! | the process crashed | taken over after the lease | sent again under the same key | indeterminate |
//! | the store is down | goes on without it | refused, unless `go_on_without_store` | refused |
//! | a restart of the store loses more than is accepted | goes on | goes on | refused |

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::accessors::{partial_debug, setters};
use crate::account::Account;
use crate::call::error::runtime;
use crate::ledger::LedgerError;
use crate::provider::ProviderError;
use crate::validator::Validator;

mod call;
mod error;
mod executed;
mod fate;
mod indeterminate;
mod job;
mod known;
mod lead;
mod operation;
mod reconcile;
mod record;
mod resolve;
mod resolve_error;
mod run;
mod sending;
mod turn;
mod word;

use indeterminate::operations;
use job::{GuardSettings, OperationRecord, RunContext};
use resolve::Saying;

#[cfg(feature = "tower")]
pub(crate) use resolve::RequestResolution;

pub use call::{EffectCall, ReconcileCall, Reconciled};
pub use error::GuardError;
pub use executed::Executed;
pub use indeterminate::{IndeterminateList, IndeterminateOperation, InvalidReference, OperationReference};
pub use operation::{Effect, Operation};
pub use resolve::{OperationStatus, Resolution};
pub use resolve_error::ResolveError;
pub use run::GuardRun;

/// Thirteen months and a margin: longer than any dispute, and than any client tries again.
const WRITE_RETENTION: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// A day, as facts are kept.
const READ_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// Lets any call to the provider happen once per operation, however often it is asked for, by however many processes.
///
/// It shares the validator's provider account: its retries, budget, deadline, store and places for provider calls. Breaker
/// and rate limit are its own, so that guarded calls that fail stop no validation; only what an adapter calls a
/// [limit of the whole account](crate::provider::RateLimit::Account) holds back both. Without a store, operations are remembered in this process only, forgotten with it, and 100,000 at most; for more, set a
/// [`MemoryStore`](crate::store::MemoryStore) of that size. Clones cost one counter.
///
/// A guard remembers as well as its store does. Where a store loses a record, in a failover or a restart, an operation that
/// nothing else protects may happen again; the provider's key is what holds then. So a write without such a key is refused
/// where a [restart](crate::store::Store::restart_loss) loses more than a second, or does not say how much, unless
/// [`restart_loses_at_most`](crate::ValidatorBuilder::restart_loses_at_most) accepts that. In this process's memory it loses
/// all. It is refused as well where other processes would not see its record, and might send it too, unless there is
/// [no other](crate::ValidatorBuilder::only_instance).
///
/// ```
/// # use payproof::provider::ProviderError;
/// # use payproof::testing::ScriptedProvider;
/// # use payproof::guard::{Effect, EffectCall, Operation};
/// # use payproof::Validator;
/// # use std::time::Duration;
/// # async fn send_refund(key: &str) -> Result<String, ProviderError> { Ok(format!("re_{}", key.len())) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let validator = Validator::builder(ScriptedProvider::new()).build()?;
/// let guard = validator.guard();
/// let kept_for = Duration::from_secs(24 * 60 * 60);
/// let refund = Operation::new("store_42", "refund", "order 6735, first refund", Effect::keyed_write(kept_for))?
///     .claim("payment", "pi_3MtwBw")?
///     .claim("amount", "19.99 USD")?;
///
/// let done = guard.run(&refund, |call: EffectCall| async move { send_refund(call.provider_key()).await }).await?;
/// assert_eq!(done.value(), "re_43");
///
/// // A second click, a second process, a year later: the same result, and nothing is sent.
/// let again = guard.run(&refund, |call: EffectCall| async move { send_refund(call.provider_key()).await }).await?;
/// assert!(again.attempts().is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a guard does nothing until something is run"]
pub struct Guard {
    account: Arc<Account>,
    settings: GuardSettings,
}

impl Validator {
    /// A guard for calls that must happen once, such as captures and refunds, at this validator's provider account.
    pub fn guard(&self) -> Guard {
        let settings = GuardSettings {
            write_retention: WRITE_RETENTION,
            read_retention: READ_RETENTION,
            goes_on_without_store: false,
        };
        Guard { account: Arc::clone(&self.0.account), settings }
    }
}

impl Guard {
    setters! {
        /// How long it is remembered what became of a write. Default: 400 days. Afterwards the same operation is sent
        /// again.
        ///
        /// Must exceed the lease; a run says so otherwise.
        pub fn write_retention(mut self, retention: Duration) => self.settings.write_retention = retention;

        /// How long the result of a read is replayed. Default: 24 h.
        pub fn read_retention(mut self, retention: Duration) => self.settings.read_retention = retention;

        /// Lets a write whose provider keeps its key go on while the store does not answer. Default: it is refused.
        ///
        /// Without the store it is unknown when an operation was first sent, and whether a person has said since that
        /// it was not executed. So going on is safe only for operations that are not asked for again after the
        /// provider's key is gone.
        pub fn go_on_without_store(mut self) => self.settings.goes_on_without_store = true;
    }

    /// Runs an operation once, and replays its result from then on.
    ///
    /// Runs that wait for another one look into the store together: about four times a second per process and operation.
    ///
    /// The call is made under the validator's attempt timeout, once per attempt, and cut off by dropping its future; it
    /// must not retry by itself. Its result is kept as JSON. A panic in it counts as an unknown outcome.
    ///
    /// # Errors
    /// See [`GuardError`]. How a failure is read: not sent, rate limits (429) and 401, 403, 405, 407 and 425 say that
    /// nothing was executed. Any other 4xx, but for 408, is a refusal, for good. Everything else leaves it open:
    /// such a write is tried again only if its provider keeps the key, and the call took
    /// [`provider_key`](EffectCall::provider_key).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: what is under way goes on in a task of its own, and its result serves the caller that
    /// runs the operation next.
    ///
    /// # Panics
    /// In a tokio runtime without time enabled, which offers no way to ask beforehand.
    pub fn run<T, F, Fut>(&self, operation: &Operation, call: F) -> GuardRun<T>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(EffectCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, ProviderError>> + Send + 'static,
    {
        let place = self.place(operation);
        GuardRun::new(RunContext { place, call: Box::new(move |attempt| Box::pin(call(attempt))), inquire: None })
    }

    /// Where an operation stands. Asks the store, and changes nothing.
    ///
    /// # Errors
    /// When the store does not answer or holds something unreadable, or the operation was run with other claims.
    pub fn status(
        &self,
        operation: &Operation,
    ) -> impl Future<Output = Result<OperationStatus, GuardError>> + Send + use<> {
        let place = self.place(operation);
        async move {
            runtime()?;
            resolve::status(&place).await
        }
    }

    /// Says what became of an indeterminate operation. `who` says so: 1 to 100 characters, for the log and for the
    /// [decisions](crate::Validator::decisions) in the store.
    ///
    /// An operation that was not executed is sent in a new round at its next run, under a new provider key. So say so only
    /// when no request can still be on its way. A refused operation may be opened again in this way.
    ///
    /// # Errors
    /// See [`ResolveError`].
    ///
    /// # Cancel safety
    /// Nothing happens until the future is awaited. Dropped after that, it goes on.
    pub fn resolve(
        &self,
        operation: &Operation,
        resolution: Resolution,
        who: &str,
    ) -> impl Future<Output = Result<(), ResolveError>> + Send + use<> {
        let OperationRecord { digest, fingerprint, .. } = self.place(operation);
        let retention = self.settings.write_retention;
        let fingerprint = Some(fingerprint);
        self.say(Saying { digest, fingerprint, resolution, who: who.into(), retention })
    }

    /// Like [`resolve`](Self::resolve), for an operation from the list of what is [`indeterminate`](Self::indeterminate).
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve).
    pub fn resolve_reference(
        &self,
        reference: OperationReference,
        resolution: Resolution,
        who: &str,
    ) -> impl Future<Output = Result<(), ResolveError>> + Send + use<> {
        let (digest, retention) = (reference.digest(), self.settings.write_retention);
        self.say(Saying { digest, fingerprint: None, resolution, who: who.into(), retention })
    }

    /// What has to be looked into: the writes of this provider account that were found to be indeterminate.
    ///
    /// Each time, up to 20 of them are compared with their records, and taken off where those say otherwise.
    ///
    /// A write whose process crashed is found when it is next run.
    ///
    /// # Errors
    /// When the store does not answer or holds something unreadable.
    pub fn indeterminate(&self) -> impl Future<Output = Result<IndeterminateList, GuardError>> + Send + use<> {
        let (account, retention) = (Arc::clone(&self.account), self.settings.write_retention);
        async move {
            runtime()?;
            Ok(IndeterminateList::of(operations(&account, retention).list().await?))
        }
    }

    /// What names an operation without saying what it is.
    #[must_use]
    pub fn reference(&self, operation: &Operation) -> OperationReference {
        OperationReference::new(operation.digest(&self.account.identity))
    }

    fn place(&self, operation: &Operation) -> OperationRecord {
        OperationRecord::new(&self.account, self.settings, operation)
    }

    fn say(&self, saying: Saying) -> impl Future<Output = Result<(), ResolveError>> + Send + use<> {
        let account = Arc::clone(&self.account);
        async move {
            let runtime = Handle::try_current().map_err(|_| LedgerError::NoRuntime)?;
            let retry_after = account.limits.lease;
            // In a task of its own, so that no caller who leaves cuts it between the record, the list and the log.
            let saying = runtime.spawn(async move { resolve::resolve(&account, saying).await });
            saying.await.map_err(|_| ResolveError::InProgress { retry_after })?
        }
    }
}

// Shows the provider and the settings, and nothing of what is held.
partial_debug!(Guard, self => provider: self.account.retrier.provider, settings: self.settings);
