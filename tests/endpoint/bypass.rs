//! `DISABLE_IDEMPOTENCY_CHECKS`, in a process of its own, since it is the environment's.

use std::process::Command;

use axum::http::StatusCode;

use crate::service::Service;

const IN_CHILD: &str = "PAYPROOF_BYPASS_CHILD";

/// No test, unless the parent started this process with the variable set.
#[tokio::test]
async fn child() {
    let Ok(bypassed) = std::env::var(IN_CHILD) else { return };
    let service = Service::new();
    for _ in 0..3 {
        assert_eq!(service.pay().await.status, StatusCode::CREATED);
    }
    let stats = service.stats();
    let expected = if bypassed == "yes" { (3, 3, true) } else { (1, 0, false) };
    assert_eq!((service.handler.runs(), stats.requests_bypassed, stats.idempotency_checks_disabled), expected);
}

fn run_child(value: &str, bypassed: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "bypass::child", "--test-threads", "1"]);
    let run = command.env("DISABLE_IDEMPOTENCY_CHECKS", value).env(IN_CHILD, bypassed).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{value}: {said}");
}

#[test]
fn the_environment_lets_every_request_through_and_it_is_counted() {
    run_child("true", "yes");
}

#[test]
fn nothing_else_than_true_disables_anything() {
    for value in ["", "false", "1", "TRUE", "true ", "yes"] {
        run_child(value, "no");
    }
}
