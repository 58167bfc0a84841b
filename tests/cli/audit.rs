//! `payproof audit` is payproof-audit, in this program's manner.

use crate::program::{Program, Run};

async fn audit(arguments: &[&str]) -> Run {
    Program::new(&[&["audit"], arguments].concat()).run().await
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
