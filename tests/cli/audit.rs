//! `payproof audit` is payproof-audit, in this program's manner.

use crate::program::{Program, Run};

async fn audit(arguments: &[&str]) -> Run {
    Program::new(&[&["audit"], arguments].concat()).run().await
}

#[tokio::test]
async fn the_example_service_is_clean() {
    let run = audit(&["examples/checkout_service", "--deny", "low"]).await;
    assert!(run.stdout.starts_with("0 high, 0 medium, 0 low, 1 allowed; 11 of 11 routes judged"), "{run:?}");
    assert_eq!((run.code(), &*run.stderr), (0, ""));
}

#[tokio::test]
async fn its_wrong_twin_is_not() {
    let run = audit(&["tests/cli/wrong_twin.rs", "--format", "json"]).await;
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let found = |severity: &str| {
        let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == severity);
        let told = findings
            .map(|finding| format!("{} {}", finding["rule"].as_str().unwrap(), finding["route"].as_str().unwrap()));
        told.collect::<Vec<String>>()
    };
    let high = ["key-missing /checkouts", "payment-unproven /checkouts", "webhook-unsigned /webhooks/stripe"];
    assert_eq!((run.code(), found("high")), (1, high.map(str::to_owned).to_vec()));
    assert!(found("medium").contains(&"error-as-200 /orders/{id}/notes".to_owned()), "{:?}", found("medium"));
    assert!(found("low").contains(&"key-optional /orders/{id}/notes".to_owned()), "{:?}", found("low"));
}

#[tokio::test]
async fn arguments_that_cannot_be_used_are_told_in_one_line() {
    for (arguments, told) in [
        (&["no/such/folder"][..], "no/such/folder cannot be read"),
        (&["src", "--deny", "worst"], "must be low, medium, high or none"),
        (&[], "missing: <PATH>"),
        (&["--explain", "keys"], "must be `all` or one of"),
    ] {
        let run = audit(arguments).await;
        assert!(run.code() == 2 && run.error().contains(told), "{arguments:?}: {run:?}");
    }
}

#[tokio::test]
async fn a_rule_is_explained() {
    let run = audit(&["--explain", "webhook-unsigned"]).await;
    assert!(run.code() == 0 && run.stdout.starts_with("webhook-unsigned (high at worst)"), "{run:?}");
}
