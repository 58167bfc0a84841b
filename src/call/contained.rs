//! A caller's own code, run under a limit, with its panics caught.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use tokio::time::{Instant, timeout_at};

/// Why there is no output. In either case how far it got is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Panicked,
    TimedOut,
}

/// Makes a future and goes through it. At `until` it is cut off by dropping it, wherever it is.
pub(crate) async fn run<F: Future>(make: impl FnOnce() -> F, until: Instant) -> Result<F::Output, Broken> {
    let mut running = pin!(async move { make().await });
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        // It is not polled again.
        Err(_) => Poll::Ready(Err(Broken::Panicked)),
    });
    timeout_at(until, caught).await.unwrap_or(Err(Broken::TimedOut))
}
