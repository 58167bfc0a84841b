//! One run of an operation: what is to be done, and where its record stands.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::account::Account;
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Key, Nonce, RecordKind};
use crate::moment::Moment;
use crate::provider::ProviderError;

use super::call::{EffectCall, ReconcileCall, Reconciled};
use super::error::{GuardError, NoResult};
use super::operation::Operation;
use super::record::Payload;

/// What a call returns, whatever it is made of.
pub(super) type Calling<T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send>>;

pub(super) type ProviderCall<T> = dyn Fn(EffectCall) -> Calling<T> + Send + Sync;

pub(super) type Inquire<T> = dyn Fn(ReconcileCall) -> Calling<Reconciled<T>> + Send + Sync;

/// A provider's key is not relied on in the last minute of its retention: its clock and ours are not the same.
const KEY_MARGIN: Duration = Duration::from_secs(60);

/// How long results are kept, and what is done without the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuardSettings {
    pub(super) write_retention: Duration,
    pub(super) read_retention: Duration,
    pub(super) goes_on_without_store: bool,
}

/// Where one operation stands, and what it is.
#[derive(Clone)]
pub(super) struct OperationRecord {
    pub(super) account: Arc<Account>,
    pub(super) settings: GuardSettings,
    pub(super) operation: Operation,
    pub(super) digest: Fingerprint,
    pub(super) fingerprint: Fingerprint,
    pub(super) key: Key,
}

/// A place, and what to do there.
pub(super) struct RunContext<T> {
    pub(super) place: OperationRecord,
    pub(super) call: Box<ProviderCall<T>>,
    pub(super) inquire: Option<Box<Inquire<T>>>,
}

/// Where the operation is when a run takes it on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) round: u32,
    pub(super) first_sent: Moment,
    /// How long the provider keeps the key, if that protects another sending.
    pub(super) protected: Option<Duration>,
    /// Whether it may have been executed before.
    pub(super) in_doubt: bool,
    /// The claim under which it was sent, where the provider is asked what became of that and nothing is sent.
    pub(super) asks_about: Option<Nonce>,
}

impl OperationRecord {
    pub(super) fn new(account: &Arc<Account>, settings: GuardSettings, operation: &Operation) -> Self {
        let (account, operation) = (Arc::clone(account), operation.clone());
        let (digest, fingerprint) = (operation.digest(&account.identity), operation.fingerprint());
        let key = account.ledger.key(RecordKind::Operation, &digest);
        Self { account, settings, operation, digest, fingerprint, key }
    }

    pub(super) fn is_write(&self) -> bool {
        self.operation.effect().is_write()
    }

    /// Refuses settings that would break what they promise, with the values.
    pub(super) fn check(&self) -> Result<(), GuardError> {
        let GuardSettings { write_retention, read_retention, .. } = self.settings;
        let lease = self.account.limits.lease;
        let kept_too_short = self.operation.effect().key_kept_for().filter(|kept| *kept < self.key_needed_for());
        let message = if write_retention <= lease {
            format!("write_retention ({write_retention:?}) must exceed the lease ({lease:?})")
        } else if read_retention.is_zero() {
            "read_retention is zero, and must be more".to_owned()
        } else if let Some(kept) = kept_too_short {
            format!(
                "provider_key_kept_for ({kept:?}) must be at least the total deadline and a minute ({:?}); \
                 without such a key, say `None`",
                self.key_needed_for()
            )
        } else {
            return Ok(());
        };
        Err(NoResult::GuardSettings(message.into()).into())
    }

    /// A run that begins now may send for so long.
    fn key_needed_for(&self) -> Duration {
        self.account.limits.total_deadline.saturating_add(KEY_MARGIN)
    }

    /// How long the provider keeps the key, if another sending is protected by it until a run that begins now is over.
    pub(super) fn resendable(&self, payload: &Payload, first_sent: Moment) -> Option<Duration> {
        // The run that sent before promised the one, and the run that would send now the other.
        let promised = self.operation.effect().key_kept_for()?;
        let kept = Duration::from_millis(payload.protected_ms?).min(promised);
        (first_sent.age().saturating_add(self.key_needed_for()) <= kept).then_some(kept)
    }

    /// For how long a run may still begin that the key protects to its end, where the provider keeps it for so long.
    pub(super) fn key_left(&self, kept: Duration, first_sent: Moment) -> Duration {
        kept.saturating_sub(first_sent.age()).saturating_sub(self.key_needed_for())
    }

    /// Where an operation is of which there is no record.
    pub(super) fn first_round(&self) -> Progress {
        let protected = self.operation.effect().key_kept_for();
        let first_sent = Moment::at(Instant::now());
        Progress { round: 0, first_sent, protected, in_doubt: false, asks_about: None }
    }
}
