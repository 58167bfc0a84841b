//! What a handler may do to a delivery, and a provider to a handler.

use std::convert::Infallible;
use std::error::Error;
use std::future::{pending, ready};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use payproof::webhook::{Event, StripeWebhooks, WebhookError};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{ms, poll_once, secs, settle};
use crate::{Runs, alone, deliver, event, secret, validator_on, word};

/// Delivers to a handler that does not succeed, and then to one that does.
async fn fails_then_runs_again<H, Fut, E>(webhooks: &StripeWebhooks, handler: H) -> WebhookError
where
    H: FnOnce(Event) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let error = deliver(webhooks, &event("evt_1"), handler).await.unwrap_err();
    assert!(error.is_handler());
    assert_eq!(error.retry_after(), None);
    let runs = Runs::default();
    assert_eq!(runs.deliver(webhooks, &event("evt_1")).await, "handled", "at once, without waiting for any lease");
    assert_eq!(runs.deliver(webhooks, &event("evt_1")).await, "duplicate");
    error
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_gets_the_event_again() {
    let failing = |_| async { Err(io::Error::other("the mail server is away")) };
    let error = fails_then_runs_again(&alone(), failing).await;
    assert_eq!((error.code(), error.http_status()), ("handler_failed", 500));
    let source = error.source().unwrap();
    assert!(source.downcast_ref::<io::Error>().is_some(), "the handler's own error is there to be looked at");
    assert_eq!(source.to_string(), "the mail server is away");
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_fail_with_anything_that_becomes_an_error() {
    let text = fails_then_runs_again(&alone(), |_| async { Err("a text") }).await;
    assert_eq!(text.source().unwrap().to_string(), "a text");
    let boxed = |_| async { Err(Box::<dyn Error + Send + Sync>::from("a box")) };
    assert_eq!(fails_then_runs_again(&alone(), boxed).await.source().unwrap().to_string(), "a box");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_gets_the_event_again() {
    let panicking = |event: Event| async move {
        assert_eq!(event.id(), "another", "scripted");
        Ok::<(), Infallible>(())
    };
    let error = fails_then_runs_again(&alone(), panicking).await;
    assert_eq!((error.code(), error.http_status()), ("handler_panicked", 500));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_before_it_has_a_future_gets_the_event_again() {
    let panicking = |event: Event| {
        assert_eq!(event.id(), "another", "scripted");
        ready(Ok::<(), Infallible>(()))
    };
    let error = fails_then_runs_again(&alone(), panicking).await;
    assert_eq!(error.code(), "handler_panicked");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_cut_off_at_its_limit() {
    /// Says when it is dropped.
    struct Held(Arc<AtomicBool>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (begin, dropped) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let held = Held(Arc::clone(&dropped));
    let hanging = move |_| async move {
        let _held = held;
        pending::<Result<(), Infallible>>().await
    };
    let error = fails_then_runs_again(&alone(), hanging).await;
    assert_eq!((error.code(), error.http_status()), ("handler_timed_out", 504));
    assert_eq!(begin.elapsed(), secs(30));
    assert!(dropped.load(Ordering::SeqCst), "no part of it runs on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_cannot_be_cut_off_is_waited_for() {
    let validator = validator_on(payproof::store::MemoryStore::new());
    let webhooks = StripeWebhooks::builder(&validator, "orders", secret()).handler_timeout(ms(1)).build().unwrap();
    let (started, has_started) = oneshot::channel();
    let (release, blocked) = mpsc::channel::<()>();
    // It blocks its thread.
    let stubborn = deliver(&webhooks, &event("evt_1"), move |_| async move {
        started.send(()).unwrap();
        blocked.recv().unwrap();
        pending::<Result<(), Infallible>>().await
    });
    let mut stubborn = tokio::spawn(stubborn);
    has_started.await.unwrap();
    assert!(timeout(ms(50), &mut stubborn).await.is_err(), "no other delivery may begin beside it");
    assert_eq!(Runs::default().deliver(&webhooks, &event("evt_1")).await, "in_progress");
    release.send(()).unwrap();
    assert_eq!(word(stubborn.await.unwrap()), "handler_timed_out");
    assert_eq!(Runs::default().deliver(&webhooks, &event("evt_1")).await, "handled");
}

#[tokio::test(start_paused = true)]
async fn the_handlers_limit_can_be_set() {
    let validator = validator_on(payproof::store::MemoryStore::new());
    let webhooks = StripeWebhooks::builder(&validator, "orders", secret()).handler_timeout(secs(3)).build().unwrap();
    let begin = Instant::now();
    fails_then_runs_again(&webhooks, |_| pending::<Result<(), Infallible>>()).await;
    assert_eq!(begin.elapsed(), secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_up_cuts_no_handler() {
    let (webhooks, runs) = (alone(), Runs::default());
    {
        let (webhooks, runs) = (webhooks.clone(), runs.clone());
        let mut delivery = pin!(async move { runs.deliver_slowly(&webhooks, &event("evt_1"), secs(20)).await });
        assert!(poll_once(delivery.as_mut()).await.is_pending());
        settle().await;
    }
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "in_progress", "it goes on without the provider");
    sleep(secs(21)).await;
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "duplicate", "and was recorded");
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_up_at_once_leaves_nothing_half_done() {
    let (webhooks, runs) = (alone(), Runs::default());
    {
        let runs = runs.clone();
        let mut delivery = pin!(deliver(&webhooks, &event("evt_1"), move |_| async move {
            runs.begin();
            Ok::<(), Infallible>(())
        }));
        assert!(poll_once(delivery.as_mut()).await.is_pending());
    }
    settle().await;
    assert_eq!(runs.deliver(&webhooks, &event("evt_1")).await, "duplicate");
    assert_eq!(runs.count(), 1);
}
