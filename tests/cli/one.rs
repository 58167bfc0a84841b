//! One payment from arguments, and what is said without asking the provider.

use payproof::testing::sandbox::{Fault, Faults, SandboxPayment};

use crate::program::{Program, paid, sandbox_with};

const ONE: [&str; 8] = ["validate", "pi_1", "19.99", "usd", "--tenant", "store_42", "--order", "6735"];

#[tokio::test]
async fn a_paid_payment_is_valid_and_exits_with_zero() {
    let sandbox = sandbox_with([paid("pi_1")]).await;
    let run = Program::at(&sandbox, &[&ONE[..], &["--format", "table"]].concat()).run().await;
    assert_eq!((run.code(), &*run.stderr), (0, ""));
    assert!(run.stdout.contains("Verdict: valid; 19.99 USD, captured"), "{}", run.stdout);
    assert!(run.stdout.contains("req_sandbox_1"), "{}", run.stdout);
}

#[tokio::test]
async fn every_mismatch_is_shown_and_exits_with_one() {
    let sandbox = sandbox_with([paid("pi_1")]).await;
    for (tenant, expected) in [
        ("store_42", &["amount_mismatch", "order_mismatch", "amount_received_mismatch"][..]),
        ("store_43", &["tenant_mismatch"][..]),
    ] {
        let run = Program::at(&sandbox, &["validate", "pi_1", "20", "usd", "--tenant", tenant]).run().await;
        assert_eq!(run.code(), 1, "{run:?}");
        let [row] = &*run.rows() else { panic!("{run:?}") };
        assert_eq!(row["verdict"], "invalid");
        let codes: Vec<_> = row["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
        assert_eq!(codes, expected);
        assert_eq!(row["attempts"][0]["outcome"], "facts");
    }
}

#[tokio::test]
async fn values_that_differ_invisibly_are_shown_so_that_a_person_sees_it() {
    let differs = SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735 \0\u{200b}");
    let sandbox = sandbox_with([differs]).await;
    let said = r#"order: expected "6735", actual "6735 \u{0}\u{200b}""#;
    for format in ["table", "csv", "jsonl"] {
        let run = Program::at(&sandbox, &[&ONE[..], &["--format", format]].concat()).run().await;
        assert_eq!(run.code(), 1, "{run:?}");
        let shown = match format {
            "jsonl" => run.rows()[0]["findings"].as_array().unwrap().iter().map(|it| it["text"].to_string()).collect(),
            _ => run.stdout.clone(),
        };
        // Each format has its own marks around a quotation mark.
        let plain = |text: &str| text.replace(['"', '\\'], "");
        assert!(plain(&shown).contains(&plain(said)), "{format}: {shown}");
        assert!(!shown.contains(['\0', '\u{200b}']), "{format}: {shown:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_told_exits_with_two_and_one_line() {
    let sandbox = sandbox_with([paid("pi_1")]).await;
    sandbox.set_faults(Faults::down());
    let run = Program::at(&sandbox, &[&ONE[..], &["--retries", "1"]].concat()).run().await;
    assert_eq!(run.code(), 2);
    assert!(run.error().contains("ask again later"), "{}", run.stderr);
    let [row] = &*run.rows() else { panic!("{run:?}") };
    assert_eq!(row["error"]["code"], "provider_unavailable");
    assert_eq!(row["attempts"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn retries_and_timeouts_are_set_by_options() {
    let sandbox = sandbox_with([paid("pi_1")]).await;
    sandbox.script("pi_1", [Fault::Stall]);
    let run =
        Program::at(&sandbox, &[&ONE[..], &["--attempt-timeout", "200ms", "--retries", "1"]].concat()).run().await;
    assert_eq!(run.code(), 0, "{run:?}");
    assert_eq!(sandbox.requests_for("pi_1"), 2);
}

#[tokio::test]
async fn a_single_tenant_need_not_be_named_by_the_payment() {
    let sandbox = sandbox_with([SandboxPayment::paid("pi_1", 1999, "usd")]).await;
    let arguments = ["validate", "pi_1", "19.99", "usd", "--tenant", "store_42"];
    assert_eq!(Program::at(&sandbox, &arguments).run().await.code(), 1);
    assert_eq!(Program::at(&sandbox, &[&arguments[..], &["--single-tenant"]].concat()).run().await.code(), 0);
}

#[tokio::test]
async fn the_mode_and_the_account_are_what_is_asked_for() {
    let sandbox = sandbox_with([paid("pi_1").test_mode()]).await;
    let run = Program::at(&sandbox, &ONE).run().await;
    assert_eq!((run.code(), &run.rows()[0]["verdict"]), (1, &"invalid".into()));
    let test = [&ONE[..], &["--mode", "test", "--account", "acct_1"]].concat();
    let key = ["sk", "test", "abc"].join("_");
    let run = Program::at(&sandbox, &test).env("STRIPE_SECRET_KEY", &key).run().await;
    assert_eq!(run.code(), 0, "{run:?}");
    let headers = sandbox.last_request().unwrap().headers().to_vec();
    assert!(headers.contains(&("stripe-account".into(), "acct_1".into())), "the account is asked");
    let run = Program::at(&sandbox, &ONE).env("STRIPE_SECRET_KEY", key).run().await;
    assert_eq!(run.code(), 2);
    assert!(run.error().contains("--mode test"), "{}", run.stderr);
}

#[tokio::test]
async fn settings_that_are_missing_or_wrong_are_told_with_what_to_do() {
    for (program, said) in [
        (Program::new(&ONE), "STRIPE_SECRET_KEY is not set; set it"),
        (Program::new(&ONE).env("STRIPE_SECRET_KEY", "pk_abc"), "use sk_"),
        (
            Program::new(&[&ONE[..], &["--base-url", "http://example.com"]].concat()).env("STRIPE_SECRET_KEY", "x"),
            "https",
        ),
        (Program::new(&[&ONE[..], &["--deadline", "soon"]].concat()), "such as 30s"),
        (Program::new(&[&ONE[..], &["--format", "xml"]].concat()), "table, jsonl, csv"),
        (Program::new(&[&ONE[..], &["--ordre", "1"]].concat()), "did you mean `--order`"),
        (Program::new(&["validate", "pi_1"]), "missing: <AMOUNT>, <CURRENCY>"),
        (Program::new(&["validade"]), "no such command; did you mean `validate`?"),
        (Program::new(&["frobnicate"]), "no such command; see payproof --help"),
        (Program::new(&[]), "see payproof --help"),
        (Program::new(&["explain", "--status", "42"]), "42"),
    ] {
        let run = program.run().await;
        assert_eq!(run.code(), 2, "{run:?}");
        assert!(run.error().contains(said), "{said}: {}", run.stderr);
    }
}

#[tokio::test]
async fn explain_names_the_rule_that_decides() {
    let arguments = ["explain", "--status", "429", "--header", "Retry-After: 2", "--body"];
    let body = r#"{"error":{"code":"lock_timeout","message":"in use"}}"#;
    let plain = Program::new(&arguments[..5]).run().await;
    assert_eq!((plain.code(), &*plain.stderr), (0, ""));
    assert!(plain.stdout.starts_with("transient by status 429: retried after 2s to 2.4s\n"), "{plain:?}");
    let given = Program::new(&[&arguments[..], &[body]].concat()).run().await;
    let read = Program::new(&[&arguments[..], &["-"]].concat()).run_with(body).await;
    assert!(given.stdout.contains("lock_timeout"), "{given:?}");
    assert_eq!(given.stdout, read.stdout);
}

#[tokio::test]
async fn completions_name_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = Program::new(&["completions", shell]).run().await;
        assert_eq!(run.code(), 0);
        for command in [
            "validate",
            "explain",
            "verify",
            "doctor",
            "inspect",
            "forget",
            "indeterminate",
            "resolve",
            "release",
            "cache",
            "decisions",
            "migrate",
        ] {
            assert!(run.stdout.contains(command), "{shell} lacks {command}");
        }
    }
}

#[tokio::test]
async fn help_goes_to_standard_output() {
    let run = Program::new(&["validate", "--help"]).run().await;
    assert_eq!((run.code(), &*run.stderr), (0, ""));
    assert!(run.stdout.contains("STRIPE_API_BASE") && run.stdout.contains("--concurrency"), "{}", run.stdout);
}

/// Names of variables in a source, as they stand between quotation marks.
fn variables_in(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |word: &&str| {
        let is_upper = word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        // What Cargo says of the crate is read when it is built.
        is_upper
            && !word.starts_with("CARGO_")
            && word.contains('_')
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && !word.ends_with('_')
    };
    text.split('"').skip(1).step_by(2).filter(is_name)
}

fn sources(folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[tokio::test]
async fn every_variable_that_is_read_stands_in_the_help() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut texts = Vec::new();
    sources(&src.join("bin/payproof"), &mut texts);
    for file in ["store/from_env.rs", "store/choices.rs", "endpoint/builder.rs"] {
        let text = std::fs::read_to_string(src.join(file)).unwrap();
        texts.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
    }
    let run = Program::new(&["--help"]).run().await;
    assert_eq!((run.code(), &*run.stderr), (0, ""));
    let words: Vec<&str> = run.stdout.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect();
    let mut seen = std::collections::BTreeSet::new();
    for variable in texts.iter().flat_map(|text| variables_in(text)) {
        assert!(words.contains(&variable), "{variable} is read, and not in the help:\n{}", run.stdout);
        seen.insert(variable);
    }
    for expected in
        ["NO_COLOR", "PAYPROOF_RECORD_KEY", "KV_REST_API_READ_ONLY_TOKEN", "USE_REDIS_CACHE", "STRIPE_API_BASE"]
    {
        assert!(seen.contains(expected), "{expected} is not found in the sources: {seen:?}");
    }
}
