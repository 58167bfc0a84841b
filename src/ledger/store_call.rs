//! One call to the store: within its time-out, not where the breaker turns it away, and once more where its connection broke.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::intent::fingerprint::Fingerprint;
use crate::store::StoreError;
use crate::telemetry::{Stopwatch, StoreWatch, store_call};

use super::breaker::{BegunCall, PACE, StoreBreaker};
use super::{Key, Ledger, LedgerError, RecordKind};

/// Harmless readings at places of the prober's own. In a cluster these lie on most of its servers.
const PROBED_PLACES: u8 = 8;

impl Ledger {
    /// The same, telling this watch that the store answers, and of calls that were not made.
    pub(crate) fn heard_by(&self, watch: &Arc<StoreWatch>) -> Self {
        self.with(|parts| parts.breaker = Arc::new(StoreBreaker::told_to(Arc::clone(watch))))
    }

    /// The same, for calls that are made whatever the breaker says: they bring to an end what was begun, or are about the
    /// store itself.
    pub(super) fn always(&self) -> Self {
        Self { asks_always: true, ..self.clone() }
    }

    /// Whether calls are turned away, since the store does not answer.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.breaker.is_open()
    }

    /// Makes one call, and says how long it took.
    pub(super) async fn once<T, F>(&self, verb: &'static str, call: impl FnOnce() -> F) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let begun = self.begin()?;
        let answer = timed(self.timeout, call()).await;
        self.heard(begun, verb, answer.as_ref().err());
        answer
    }

    /// Makes one call whose answer may be remembered, and so says nothing of the store.
    pub(super) async fn in_time<T, F>(&self, call: impl FnOnce() -> F) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let begun = self.begin()?;
        let answer = timed(self.timeout, call()).await;
        match &answer {
            Ok(_) => self.breaker.said_nothing(begun),
            Err(error) => self.failed(begun, error),
        }
        answer
    }

    /// Makes one call, and a second one when the connection broke.
    pub(super) async fn patiently<T, F>(&self, verb: &'static str, call: impl Fn() -> F) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        with_one_retry(|| self.once(verb, &call)).await
    }

    /// Whether a call is made.
    ///
    /// # Errors
    /// When it is not.
    #[inline]
    pub(super) fn begin(&self) -> Result<BegunCall, LedgerError> {
        Handle::try_current().map_err(|_| LedgerError::NoRuntime)?;
        if self.breaker.is_open() && !self.asks_always {
            let begun = self.breaker.begin_open(self.timeout, &|| self.start_prober());
            return begun.ok_or(LedgerError::NotAsked { retry_after: PACE });
        }
        Ok(self.breaker.begin())
    }

    /// Tells of a call, and of its failure if it failed.
    pub(super) fn heard(&self, begun: BegunCall, verb: &'static str, failure: Option<&LedgerError>) {
        match failure {
            None => self.breaker.answered(),
            Some(error) => self.failed(begun, error),
        }
        store_call(verb, failure.map_or("ok", LedgerError::reach), Stopwatch::since(begun.at));
    }

    fn failed(&self, begun: BegunCall, error: &LedgerError) {
        self.breaker.failed(begun, error, self.timeout, &|| self.start_prober());
    }

    /// Asks the store at its pace until it answers, for as long as there is a ledger with this breaker.
    fn start_prober(&self) -> Option<AbortHandle> {
        let (breaker, store, limit) = (Arc::downgrade(&self.breaker), Arc::clone(&self.store), self.timeout);
        let key = |number| self.key(RecordKind::Canary, &Fingerprint::of("probe", [Some(&[number][..])]));
        let keys: Vec<Key> = (0..PROBED_PLACES).map(key).collect();
        let prober = async move {
            for key in keys.iter().cycle() {
                sleep(PACE).await;
                let asked_at = Instant::now();
                let answer = timed(limit, store.get(&key.text)).await.map(drop);
                let is_done =
                    |breaker: Arc<StoreBreaker>| breaker.probed(answer.as_ref().copied(), asked_at.elapsed(), limit);
                if breaker.upgrade().is_none_or(is_done) {
                    return;
                }
            }
        };
        Some(Handle::try_current().ok()?.spawn(prober).abort_handle())
    }
}

/// What a call comes to within this time.
pub(super) async fn timed<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, LedgerError> {
    match timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(LedgerError::TimedOut { limit }),
    }
}

/// Asks a second time when the connection broke: by then it may be a new one, and a step that was made meets its own bytes.
pub(super) async fn with_one_retry<T, F>(ask: impl Fn() -> F) -> Result<T, LedgerError>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    match ask().await {
        Err(first) if first.is_worth_another_try() => ask().await.map_err(|next| first.or(next)),
        answer => answer,
    }
}
