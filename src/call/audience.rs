//! The callers that wait for what a task of its own brings, by number.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Stands for an audience that no caller joins any more.
const CLOSED: usize = usize::MAX;

/// How many callers wait. Once the last one has left, the task may close it, and ends; the next caller starts another.
#[derive(Debug)]
pub(crate) struct Audience {
    waiting: AtomicUsize,
    changed: Notify,
}

impl Audience {
    /// Of the caller that starts the task.
    pub(crate) fn of_one() -> Self {
        Self { waiting: AtomicUsize::new(1), changed: Notify::new() }
    }

    /// Adds a caller, unless it is closed.
    pub(crate) fn join(&self) -> bool {
        let one_more = |waiting: usize| (waiting != CLOSED).then_some(waiting.saturating_add(1));
        let before = self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        if before == Ok(0) {
            self.tell();
        }
        before.is_ok()
    }

    /// Takes away a caller that had joined.
    pub(crate) fn leave(&self) {
        if self.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.tell();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.waiting.load(Ordering::SeqCst), 0 | CLOSED)
    }

    /// Ready when the last caller leaves, the first one comes back, or it is told that there is news.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Tells all who wait for a change.
    pub(crate) fn tell(&self) {
        self.changed.notify_waiters();
    }

    /// Closes it, once it is empty.
    async fn close(&self) {
        loop {
            let changed = self.changed();
            if self.waiting.compare_exchange(0, CLOSED, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return;
            }
            changed.await;
        }
    }
}

/// Waits for this, for as long as there is a caller to do so for. `None` when the audience is closed instead.
pub(crate) async fn while_wanted<T>(audience: Option<&Audience>, wait: impl Future<Output = T>) -> Option<T> {
    let Some(audience) = audience else { return Some(wait.await) };
    let (mut closed, mut wait) = (pin!(audience.close()), pin!(wait));
    poll_fn(|cx| match closed.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => wait.as_mut().poll(cx).map(Some),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn an_audience_that_is_empty_is_closed_and_joined_no_more() {
        let audience = Audience::of_one();
        assert_eq!(while_wanted(Some(&audience), ready(7)).await, Some(7));
        assert!(audience.join());
        audience.leave();
        audience.leave();
        assert!(audience.is_empty() && audience.join(), "empty is not closed");
        let leaves = async {
            tokio::task::yield_now().await;
            audience.leave();
        };
        let (waited, ()) = tokio::join!(while_wanted(Some(&audience), pending::<()>()), leaves);
        assert_eq!((waited, audience.join(), audience.is_empty()), (None, false, true));
    }

    #[tokio::test]
    async fn a_caller_that_comes_back_in_time_keeps_it_open() {
        let audience = Audience::of_one();
        let mut waiting = Box::pin(while_wanted(Some(&audience), pending::<()>()));
        assert!(poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
        audience.leave();
        assert!(audience.join());
        assert!(poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    }
}
