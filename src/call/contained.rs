//! A caller's own code, run with its panics caught, and under a limit.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

#[cfg(any(feature = "tower", feature = "webhook"))]
use tokio::time::{Instant, timeout_at};

/// It panicked, and how far it got is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Why there is no output. In either case how far it got is unknown.
#[cfg(any(feature = "tower", feature = "webhook"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aborted {
    Panicked,
    TimedOut,
}

/// Makes a future and goes through it.
///
/// # Errors
/// That it panicked.
pub(crate) async fn catch<F: Future>(make: impl FnOnce() -> F) -> Result<F::Output, Panicked> {
    let mut running = pin!(async move { make().await });
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        // It is not polled again.
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

/// The same, cut off at `until` by dropping it, wherever it is.
#[cfg(any(feature = "tower", feature = "webhook"))]
pub(crate) async fn catch_until<F: Future>(make: impl FnOnce() -> F, until: Instant) -> Result<F::Output, Aborted> {
    match timeout_at(until, catch(make)).await {
        Ok(caught) => caught.map_err(|Panicked| Aborted::Panicked),
        Err(_elapsed) => Err(Aborted::TimedOut),
    }
}
