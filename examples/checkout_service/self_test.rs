//! Checks a running service, through the routes that clients use.

use std::process::ExitCode;
use std::sync::Arc;

use crate::stage::{Browser, Keys, Stage};

/// Prints one line for each thing that was checked.
pub(crate) async fn run(stage: &Arc<Stage>, browser: &Browser) -> ExitCode {
    let mut good = true;
    let mut check = |what: &str, holds: bool, seen: &dyn std::fmt::Debug| {
        good &= holds;
        if holds { println!("ok: {what}") } else { println!("NOT OK: {what}: {seen:?}") }
    };
    for (keys, runs, what) in [
        (Keys::One, 1, "50 clicks with one key: one handler run, one provider call, one order"),
        (Keys::Each, 50, "50 clicks with 50 keys: one provider call, one order"),
    ] {
        let burst = stage.burst(keys).await;
        let figures = burst.as_ref().map(|burst| (burst.handler_runs, burst.provider_calls, burst.orders));
        check(what, figures.is_ok_and(|figures| figures == (runs, 1, 1)), &burst);
    }
    let refund = stage.refund().await;
    let after = refund.as_ref().ok().and_then(|refund| refund.steps.last());
    check(
        "a refund is seen by the next checkout",
        after.is_some_and(|step| step.said == "422 PAYMENT_INVALID"),
        &refund,
    );
    for path in ["/", "/health", "/metrics"] {
        let said = browser.get(path).await;
        check(&format!("GET {path} answers"), said.as_ref().is_ok_and(|said| said.status == 200), &said);
    }
    ExitCode::from(u8::from(!good))
}
