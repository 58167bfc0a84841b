//! `DISABLE_IDEMPOTENCY_CHECKS`, in a process of its own, since it is the environment's.

use std::process::Command;

use axum::http::StatusCode;
use payproof::BuildError;

use crate::service::{Service, builder, validator};

const IN_CHILD: &str = "PAYPROOF_BYPASS_CHILD";

const OLD: &str = "DISABLE_IDEMPOTENCY_CHECKS";
const NEW: &str = "PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS";

/// No test, unless the parent started this process with the variable set.
#[tokio::test]
async fn child() {
    let Ok(expected) = std::env::var(IN_CHILD) else { return };
    if let Some(variable) = expected.strip_prefix("refused by ") {
        let error = builder(&validator()).build().expect_err("it is refused");
        let BuildError::Environment { variable: named, .. } = &error else { panic!("{error:?}") };
        assert_eq!(named, variable);
        assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
        return;
    }
    let service = Service::new();
    for _ in 0..3 {
        assert_eq!(service.pay().await.status, StatusCode::CREATED);
    }
    let stats = service.stats();
    let expected = if expected == "on" { (3, 3, true) } else { (1, 0, false) };
    assert_eq!((service.handler.runs(), stats.requests_bypassed, stats.idempotency_checks_disabled), expected);
}

fn run_child(variables: &[(&str, &str)], expected: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "bypass::child", "--test-threads", "1"]).env_remove(OLD).env_remove(NEW);
    let run = command.envs(variables.iter().copied()).env(IN_CHILD, expected).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{variables:?}: {said}");
}

#[test]
fn the_environment_lets_every_request_through_and_it_is_counted() {
    for value in ["true", "1", "TRUE", "true ", "Yes", "\ton\n"] {
        run_child(&[(OLD, value)], "on");
        run_child(&[(NEW, value)], "on");
    }
    run_child(&[(OLD, "yes"), (NEW, "1")], "on");
    run_child(&[(OLD, ""), (NEW, "1")], "on");
}

#[test]
fn a_switch_that_is_off_or_empty_disables_nothing() {
    for value in ["", " ", "0", "false", "No", " OFF "] {
        run_child(&[(OLD, value)], "off");
        run_child(&[(NEW, value)], "off");
    }
    run_child(&[(OLD, "no"), (NEW, "0")], "off");
}

#[test]
fn a_switch_that_is_not_understood_is_refused_by_name_and_not_repeated() {
    for value in ["planted", "2", "tru", "true;", "enabled", "null", "\u{feff}true"] {
        run_child(&[(OLD, value)], &format!("refused by {OLD}"));
        run_child(&[(NEW, value), (OLD, "true")], &format!("refused by {NEW}"));
    }
}

#[test]
fn the_two_names_must_not_contradict_each_other() {
    for (old, new) in [("true", "false"), ("off", "on")] {
        run_child(&[(OLD, old), (NEW, new)], &format!("refused by {NEW}"));
    }
}

#[cfg(unix)]
#[test]
fn a_switch_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "bypass::child", "--test-threads", "1"]).env_remove(NEW);
    command.env(OLD, std::ffi::OsStr::from_bytes(b"true\xff")).env(IN_CHILD, format!("refused by {OLD}"));
    let run = command.output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
