//! Checks a running service, through the door that everybody uses.

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
    for (keys, what) in [(Keys::One, "under one key"), (Keys::Each, "with a key each")] {
        let burst = stage.burst(keys).await;
        let holds = burst.as_ref().is_ok_and(|burst| (burst.provider_calls, burst.orders) == (1, 1));
        check(&format!("50 clicks {what}: one provider call, one order"), holds, &burst);
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
