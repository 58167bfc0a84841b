//! One run, from the caller's side: looks, waits, and looks again. What it starts goes on without it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};
use tracing::{Instrument, Span};

use crate::accessors::{partial_debug, setters};
use crate::call::deadline::Deadline;
use crate::call::error::{CallError, runtime};
use crate::ledger::{LedgerError, Look, Turn};
use crate::provider::ProviderError;

use super::call::{ReconcileCall, Reconciled};
use super::error::{GuardError, NoResult};
use super::executed::Executed;
use super::job::RunContext;
use super::record::Keepable;
use super::turn::{overheard, turn};

/// So much longer than the longest validation a run may take to its last step: its record, and its place on the list of
/// what is indeterminate, which may have to wait for others.
const LAST_STEPS: Duration = Duration::from_secs(15);

/// A guarded call that starts when it is awaited. Made by [`Guard::run`](crate::guard::Guard::run).
#[must_use = "a guarded call does nothing until it is awaited"]
pub struct GuardRun<T> {
    /// Taken when it starts.
    job: Option<RunContext<T>>,
    deadline: Option<Duration>,
    running: Option<Running<T>>,
}

type Running<T> = Pin<Box<dyn Future<Output = Result<Executed<T>, GuardError>> + Send>>;

impl<T> GuardRun<T> {
    pub(super) fn new(job: RunContext<T>) -> Self {
        Self { job: Some(job), deadline: None, running: None }
    }

    setters! {
        /// Waits at most this long. What is under way goes on without this caller; run it again for the result.
        ///
        /// Unset, it waits for as long as the operation takes, and for the longest validation where another run is at it. A call
        /// that blocks its thread holds its caller for the longest validation and 15 s at most, and is then
        /// [in progress](GuardError::is_in_progress); on a current-thread runtime, for as long as it blocks.
        pub fn deadline(mut self, limit: Duration) => self.deadline = Some(limit);
    }

    /// How to find out what became of the operation, where it is unknown and no provider key protects another sending.
    ///
    /// The hook reads the truth at the provider, and changes nothing. It is tried like a read. One run asks at a time.
    pub fn reconcile<H, Fut>(mut self, hook: H) -> Self
    where
        H: Fn(ReconcileCall) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reconciled<T>, ProviderError>> + Send + 'static,
    {
        if let Some(job) = &mut self.job {
            job.inquire = Some(Box::new(move |inquiry| Box::pin(hook(inquiry))));
        }
        self
    }
}

impl<T: Serialize + DeserializeOwned + Send + 'static> Future for GuardRun<T> {
    type Output = Result<Executed<T>, GuardError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(running) = &mut this.running {
            let answer = running.as_mut().poll(cx);
            if answer.is_ready() {
                this.running = None;
            }
            return answer;
        }
        // Once it has answered, it has nothing more to say.
        let Some(job) = this.job.take() else { return Poll::Pending };
        let span = job.place.account.telemetry.operation_span(job.place.operation.name());
        let running = run(Arc::new(job), this.deadline).instrument(span);
        this.running.insert(Box::pin(running)).as_mut().poll(cx)
    }
}

partial_debug!(GuardRun<T>, self =>
    operation: self.job.as_ref().map(|job| &job.place.operation), deadline: self.deadline
);

async fn run<T: Keepable>(job: Arc<RunContext<T>>, limit: Option<Duration>) -> Result<Executed<T>, GuardError> {
    let result = wait(&job, limit).await;
    let shown = result.as_ref().map(|done| (done.provenance, done.degraded)).map_err(GuardError::code);
    job.place.account.telemetry.operation(&Span::current(), shown);
    result
}

/// Refuses a write that nothing but the store's record keeps from being sent twice, where other processes do not see the
/// record, or a restart may lose it.
async fn check_store<T>(job: &RunContext<T>, deadline: Deadline) -> Result<(), GuardError> {
    let (account, effect) = (&job.place.account, job.place.operation.effect());
    if !effect.is_write() || effect.key_kept_for().is_some() {
        return Ok(());
    }
    if !account.is_alone_or_shared() {
        return Err(NoResult::StoreNotShared.into());
    }
    let refused = timeout(deadline.left(Instant::now()), account.ledger.refused_loss()).await;
    let limit = deadline.limit();
    match refused.map_err(|_elapsed| LedgerError::TimedOut { limit })?? {
        Some(loss) => Err(NoResult::RestartLoses(loss).into()),
        None => Ok(()),
    }
}

async fn wait<T: Keepable>(job: &Arc<RunContext<T>>, limit: Option<Duration>) -> Result<Executed<T>, GuardError> {
    let runtime = runtime()?;
    let account = &job.place.account;
    job.place.check()?;
    account.watch_store();
    let begin = Instant::now();
    let deadline = Deadline::after(begin, limit.unwrap_or(account.limits.worst_case));
    check_store(job, deadline).await?;
    let in_progress = || NoResult::InProgress { retry_after: account.limits.lease.saturating_sub(begin.elapsed()) };
    let in_turn = |look: Look| {
        let (job, runtime) = (Arc::clone(job), runtime.clone());
        async move {
            if let Some(result) = overheard(&job, &look) {
                return result.map(Turn::Over);
            }
            // Held while the run asks, and while its work goes on; not while it waits for another one.
            let reserved = job.place.account.permits.reserve(job.place.operation.tenant(), Instant::now());
            let permit = reserved.map_err(CallError::from)?;
            let looking = async move {
                let _permit = permit;
                turn(&job, look).await
            };
            let looking = runtime.spawn(looking.in_current_span());
            // Without a caller's limit it ends by itself, unless the call blocks its thread or the runtime stands still.
            let left = match limit {
                Some(_) => deadline.left(Instant::now()),
                None => account.limits.worst_case.saturating_add(LAST_STEPS),
            };
            let looked = timeout(left, looking).await.map_err(|_| in_progress())?;
            // The task is gone with its runtime, and what it claimed stands until its lease is over.
            looked.map_err(|_| in_progress())?
        }
    };
    let busy = |retry_after| Err(NoResult::InProgress { retry_after }.into());
    account.ledger.in_turns((&job.place.key, None), Look::default(), deadline, in_turn, busy).await
}
