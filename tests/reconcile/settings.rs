//! What a reconciler is not made of, and what it does not run with.

use std::task::Poll;

use futures_util::stream;
use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::reconcile::{ReconcileError, ReconcileStatus};
use payproof::{ProviderPayment, Validator};

use crate::shop::{DAY, Line, Lister, NEW_YEAR, lines};

#[test]
fn a_setting_that_makes_no_sense_is_named() {
    let shop = Lister::new();
    let too_fast = shop.window(NEW_YEAR, NEW_YEAR + DAY).pace(1001).build().unwrap_err();
    let too_small = shop.window(NEW_YEAR, NEW_YEAR + DAY).sort_memory(4095).build().unwrap_err();
    for (error, name) in [(too_fast, "pace"), (too_small, "sort_memory")] {
        assert!(error.to_string().starts_with(name), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_without_a_second_in_it_and_a_provider_without_lists_are_errors() {
    let shop = Lister::new();
    let empty = shop.window(NEW_YEAR, NEW_YEAR).build().unwrap();
    // It is refused before an order is read.
    let unread = stream::poll_fn(|_| -> Poll<Option<Line>> { panic!("no order is asked for") });
    let error = empty.run(unread).await.unwrap_err();
    assert!(matches!(error, ReconcileError::WindowEmpty { .. }) && error.code() == "window_empty", "{error}");
    let unset = shop.validator().reconciler().build().unwrap();
    assert_eq!(unset.run(lines([])).await.unwrap_err().code(), "window_unset");
    let identity = ProviderIdentity::new("acme").only_account();
    let without_lists =
        provider_fn(identity, |payment, _| async move { Ok(ProviderPayment::not_found(payment.as_str())) });
    let validator = Validator::builder(without_lists).build().unwrap();
    let error = validator.reconciler().since(NEW_YEAR).build().unwrap().run(lines([])).await.unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("listing_unsupported", false));
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let shop = Lister::new();
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap();
    let error = futures_util::FutureExt::now_or_never(reconciler.run(lines([]))).unwrap().unwrap_err();
    assert_eq!(error.code(), "no_runtime");
}

#[test]
fn a_status_has_the_exit_code_that_a_command_ends_with() {
    let all = [ReconcileStatus::Clean, ReconcileStatus::Found, ReconcileStatus::Incomplete];
    assert_eq!(all.map(ReconcileStatus::exit_code), [0, 1, 2]);
}
