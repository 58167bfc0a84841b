//! What several test files need: one payment and the intent that claims it, and hands on a future.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use payproof::provider::Attempt;
use payproof::provider::ProviderError;
use payproof::store::RestartLoss;
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Currency, Mode, Money, PaymentIntent, PaymentStatus, Proof, ProviderPayment};
use payproof::{Validation, Validator, ValidatorBuilder, Verdict};
use tokio::runtime::{Builder, Runtime};

/// A live payment of 19.99 USD, captured in full, of tenant `store_42` for order 6735.
pub(crate) fn paid(id: &str) -> ProviderPayment {
    unbound(id).with_metadata("order_id", "6735")
}

/// The same payment with no order named, so that it may be redeemed for any.
pub(crate) fn unbound(id: &str) -> ProviderPayment {
    ProviderPayment::new(id, PaymentStatus::Paid)
        .with_mode(Mode::Live)
        .with_amount(1999, Currency::USD)
        .with_amount_received(1999)
        .with_amount_refunded(0)
        .with_created(1_767_225_600)
        .with_as_of(1_767_225_660)
        .with_metadata("store_id", "store_42")
}

/// The intent that claims what [`paid`] states.
pub(crate) fn intent(id: &str) -> PaymentIntent {
    unbound_intent(id).with_order("6735").unwrap()
}

/// The intent that claims what [`unbound`] states.
pub(crate) fn unbound_intent(id: &str) -> PaymentIntent {
    PaymentIntent::new("store_42", id, Money::parse("19.99", Currency::USD).unwrap()).unwrap()
}

/// The same claims about another amount.
pub(crate) fn intent_of(id: &str, amount: &str) -> PaymentIntent {
    let money = Money::parse(amount, Currency::USD).unwrap();
    PaymentIntent::new("store_42", id, money).unwrap().with_order("6735").unwrap()
}

/// A provider that holds the paid payment `pi_1`.
pub(crate) fn provider() -> ScriptedProvider {
    let provider = ScriptedProvider::new();
    provider.put(paid("pi_1"));
    provider
}

/// For tests in which no text of a message may decide.
pub(crate) const NO_PATTERNS: [&str; 0] = [];

/// A server error, which passes.
pub(crate) fn busy() -> ProviderError {
    ProviderError::refused("busy").with_status(503)
}

/// A provider that fails the same way on every call.
pub(crate) fn failing(error: ProviderError) -> ScriptedProvider {
    let provider = provider();
    provider.always(Some(Step::Fail(error)));
    provider
}

/// A validator without breaker and budget, so that only the retries decide.
pub(crate) fn plain(provider: &ScriptedProvider) -> ValidatorBuilder {
    Validator::builder(provider.clone()).no_guard_breaker().no_retry_budget()
}

/// One process whose operator accepts that a restart loses all that the store holds.
pub(crate) fn forgetful(builder: ValidatorBuilder) -> ValidatorBuilder {
    builder.only_instance().restart_loses_at_most(RestartLoss::All)
}

/// Validates an intent that holds, and returns the proof.
pub(crate) async fn proof_of(validator: &Validator, intent: PaymentIntent) -> Proof {
    match validator.validate(intent).await.unwrap().into_verdict() {
        Verdict::Valid(proof) => proof,
        other => panic!("{other:?}"),
    }
}

/// The waits in an attempt log.
pub(crate) fn waits(attempts: &[Attempt]) -> Vec<Duration> {
    attempts.iter().filter_map(|attempt| Some(attempt.wait()?.0)).collect()
}

pub(crate) fn is_valid(validation: &Validation) -> bool {
    validation.verdict().is_valid()
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A runtime of one thread whose clock jumps, for what comes after the end of a process.
pub(crate) fn paused_runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Polls once, with the task's own waker.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Polls once, outside any task.
pub(crate) fn poll_now<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets every other task of a current-thread runtime run until it waits for something.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
