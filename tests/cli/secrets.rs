//! What is in the environment or in the wrong place never comes out again.

use payproof::testing::sandbox::{Fault, Faults};

use crate::program::{Program, Run, paid, sandbox_with, secret_key};

/// The parts of each secret that give it away.
const NEEDLES: [&str; 4] = ["51HxPlantedAbCd", "YrKJPlantedUKri", "pw0rdPlantedXyz", "AXPlantedToken"];

#[track_caller]
fn assert_clean(what: &str, run: &Run) {
    for needle in NEEDLES {
        assert!(!run.stdout.contains(needle) && !run.stderr.contains(needle), "{what} shows {needle}: {run:?}");
    }
    for word in ["panicked", "RUST_BACKTRACE", ".rs:"] {
        assert!(!run.stderr.contains(word), "{what} shows a panic: {run:?}");
    }
}

/// The environment of a service, with something to find in every variable. Nothing listens at its addresses.
fn with_secrets(program: Program) -> Program {
    let [_, _, password, token] = NEEDLES;
    program
        .env("STRIPE_SECRET_KEY", secret_key())
        .env("REDIS_URL", format!("redis://service:{password}@127.0.0.1:1"))
        .env("UPSTASH_REDIS_REST_URL", "http://127.0.0.1:1")
        .env("UPSTASH_REDIS_REST_TOKEN", token)
        .env("TOKEN", format!("Bearer {token}"))
}

#[tokio::test]
async fn no_command_shows_a_secret_when_everything_fails() {
    let sandbox = sandbox_with([paid("pi_1")]).await;
    let reflected = format!("no such key: {}", secret_key());
    sandbox.set_faults(Faults::none().chance(Fault::Status(401, reflected), 1.0));
    let url = sandbox.url();
    let one = ["validate", "pi_1", "19.99", "usd", "--tenant", "store_42"];
    for arguments in [
        &one[..],
        &["doctor"],
        &["doctor", "--production", "--json"],
        &["inspect", "pi_1"],
        &["forget", "pi_1"],
        &["indeterminate"],
        &["verify", "http://127.0.0.1:1/", "--header-env", "Authorization=TOKEN"],
        &["verify", &url, "--header-env", "Authorization=TOKEN"],
    ] {
        for address in [&*url, "http://127.0.0.1:1"] {
            let program = with_secrets(Program::new(arguments)).env("STRIPE_API_BASE", address);
            let run = program.run().await;
            assert_ne!(run.code(), 0, "{arguments:?}: {run:?}");
            assert_clean(&format!("{arguments:?}"), &run);
        }
    }
}

#[tokio::test]
async fn secrets_in_the_wrong_place_are_not_repeated() {
    let sandbox = sandbox_with([]).await;
    let (key, client_secret) = (secret_key(), format!("pi_3Mtw_{}_{}", "secret", NEEDLES[1]));
    let url = format!("http://service:{}@127.0.0.1:1/", NEEDLES[2]);
    let redis = |program: Program| program.env("REDIS_URL", format!("radish://:{}@127.0.0.1:1", NEEDLES[2]));
    for (arguments, program) in [
        (vec!["validate", &*key, "1", "usd", "--tenant", "t"], None),
        (vec!["validate", &*client_secret, "1", "usd", "--tenant", "t"], None),
        (vec!["validate", "pi_1", &*key, "usd", "--tenant", "t"], None),
        (vec!["validate", "pi_1", "1", &*key, "--tenant", "t"], None),
        (vec!["validate", "pi_1", "1", "usd", &*key], None),
        (vec!["validate", "--mode", &*key], None),
        (vec!["validate", "--retries", &*key], None),
        (vec!["validate", "--secret-key", &*key], None),
        (vec!["inspect", &*client_secret], None),
        (vec!["reconcile", "--orders", "-", "--orders-as-of", &*key, "--since", "1d"], None),
        (vec!["reconcile", "--orders", "orders.csv", "--since", "1d", "--tz", &*key], None),
        (vec!["resolve", &*key, "--done", "--who", "Ada"], None),
        (vec!["verify", &*url], None),
        (vec!["doctor", "--base-url", &*url], None),
        (vec!["doctor", "--account", &*key], None),
        (vec!["inspect", "pi_1"], Some(redis(Program::new(&["inspect", "pi_1"])))),
        (vec![&*key], None),
    ] {
        let program = program.unwrap_or_else(|| Program::at(&sandbox, &arguments));
        let run = program.run().await;
        assert_ne!(run.code(), 0, "{arguments:?}");
        assert_clean("an argument", &run);
    }
    let lines = format!("{{\"payment\":\"{client_secret}\",\"amount\":\"{key}\"}}\n{{\"{key}\": 1\n\"{key}\"\n");
    let run = Program::at(&sandbox, &["validate"]).run_with(lines).await;
    assert_eq!((run.code(), run.rows().len()), (2, 3), "{run:?}");
    assert_clean("a line", &run);
}
