//! Looking into the store and mending it, on a real Redis.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use payproof::guard::{Effect, EffectCall, Operation};
use payproof::provider::ProviderError;
use payproof::store::RedisStore;
use payproof::testing::sandbox::{Faults, Sandbox, SandboxPayment};
use payproof::{Provenance, Stripe, Validator, ValidatorBuilder, Verdict};

use crate::program::{ACCOUNT, Program, paid, sandbox_with, secret_key};
use crate::redis_server::{RedisConfig, RedisServer};

/// A service on the same store.
pub(crate) fn service(sandbox: &Sandbox, redis: &RedisServer) -> Validator {
    service_with(sandbox, redis).build().unwrap()
}

fn service_with(sandbox: &Sandbox, redis: &RedisServer) -> ValidatorBuilder {
    let stripe = Stripe::builder(secret_key()).base_url(sandbox.url()).own_account(ACCOUNT).build().unwrap();
    // On a busy machine an answer may take longer than the default allows. What then is written late, a test would miss.
    Validator::builder(stripe).store(RedisStore::new(redis.url()).unwrap()).store_timeout(Duration::from_secs(20))
}

pub(crate) fn at(redis: &RedisServer, arguments: &[&str]) -> Program {
    Program::new(arguments).env("REDIS_URL", redis.url()).env("STRIPE_ACCOUNT_ID", ACCOUNT)
}

fn claim(payment: &str) -> payproof::PaymentIntent {
    let money = payproof::Money::parse("19.99", payproof::Currency::USD).unwrap();
    payproof::PaymentIntent::new("store_42", payment, money).unwrap().with_order("6735").unwrap()
}

#[tokio::test]
async fn what_a_service_knows_is_shown_and_forgotten() {
    let (sandbox, redis) =
        (sandbox_with([paid("pi_1").customer("cus_PlantedCustomer")]).await, RedisServer::start().await);
    let service = service(&sandbox, &redis);
    let nothing = at(&redis, &["inspect", "pi_1"]).run().await;
    assert_eq!((nothing.code(), &*nothing.stderr), (1, ""), "{nothing:?}");
    assert!(nothing.stdout.contains("none are kept") && nothing.stdout.contains("Redeemed: no"), "{nothing:?}");

    let Verdict::Valid(proof) = service.validate(claim("pi_1")).await.unwrap().into_verdict() else { panic!() };
    let _ = service.redeem(proof).await.unwrap();
    let shown = at(&redis, &["inspect", "pi_1"]).run().await;
    assert_eq!(shown.code(), 0, "{shown:?}");
    let year = "20";
    for said in [
        "status: Paid",
        "amount: 19.99 USD",
        "as_of: ",
        " GMT, ",
        " ago",
        year,
        "for order 6735 of tenant store_42",
        "store_id store_42",
    ] {
        assert!(shown.stdout.contains(said), "{said}: {}", shown.stdout);
    }
    let json = at(&redis, &["inspect", "pi_1", "--json"]).run().await;
    let row = &json.rows()[0];
    assert_eq!((&row["kept"]["facts"]["amount"], &row["redemption"]["order"]), (&1999.into(), &"6735".into()));
    assert!(!shown.stdout.contains("cus_") && !json.stdout.contains("cus_"), "who paid is not shown");

    // An operator who asks the store does not ask the provider.
    assert_eq!(sandbox.requests(), 1);
    let other = at(&redis, &["inspect", "pi_1", "--store-prefix", "other"]).run().await;
    assert_eq!(other.code(), 1);
    let forgotten = at(&redis, &["forget", "pi_1"]).run().await;
    assert_eq!((forgotten.code(), &*forgotten.stdout), (0, ""));
    assert!(forgotten.stderr.starts_with("changed: forgot the facts of pi_1"), "{}", forgotten.stderr);
    let after = at(&redis, &["inspect", "pi_1", "--json"]).run().await;
    assert_eq!((&after.rows()[0]["kept"], &after.rows()[0]["redemption"]["tenant"]), (&().into(), &"store_42".into()));
}

#[tokio::test]
async fn what_cannot_be_seen_in_kept_metadata_is_shown_as_an_escape() {
    let hidden = SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42").order("6735 \0\u{200b}");
    let (sandbox, redis) = (sandbox_with([hidden]).await, RedisServer::start().await);
    assert!(!service(&sandbox, &redis).validate(claim("pi_1")).await.unwrap().verdict().is_valid());
    let shown = at(&redis, &["inspect", "pi_1"]).run().await;
    assert!(shown.stdout.contains(r#"order_id "6735 \0\u{200b}""#), "{}", shown.stdout);
    assert!(shown.stdout.contains("store_id store_42"), "what can be seen stands as it is: {}", shown.stdout);
}

#[tokio::test]
async fn validations_use_the_store_of_the_environment_unless_told_not_to() {
    let (sandbox, redis) = (sandbox_with([paid("pi_1")]).await, RedisServer::start().await);
    assert!(service(&sandbox, &redis).validate(claim("pi_1")).await.unwrap().verdict().is_valid());
    let arguments = ["validate", "pi_1", "19.99", "usd", "--tenant", "store_42", "--order", "6735"];
    let program = |more: &[&str]| {
        let program = Program::at(&sandbox, &[&arguments[..], more].concat());
        program.env("REDIS_URL", redis.url()).env("STRIPE_ACCOUNT_ID", ACCOUNT)
    };
    let replayed = program(&["--max-age", "1h"]).run().await;
    assert_eq!((&replayed.rows()[0]["provenance"], sandbox.requests()), (&"replayed".into(), 1), "{replayed:?}");
    let fresh = program(&[]).run().await;
    assert_eq!((&fresh.rows()[0]["provenance"], sandbox.requests()), (&"fresh".into(), 2), "{fresh:?}");
    let alone = program(&["--no-store"]).run().await;
    assert_eq!((&alone.rows()[0]["provenance"], sandbox.requests()), (&"fresh".into(), 3), "{alone:?}");
}

#[tokio::test]
async fn a_refund_of_this_minute_is_seen_and_an_older_answer_is_marked() {
    let (sandbox, redis) = (sandbox_with([paid("pi_1")]).await, RedisServer::start().await);
    assert!(service(&sandbox, &redis).validate(claim("pi_1")).await.unwrap().verdict().is_valid());
    sandbox.put(paid("pi_1").refunded(1999));
    let arguments =
        ["validate", "pi_1", "19.99", "usd", "--tenant", "store_42", "--order", "6735", "--format", "table"];
    let program = |more: &[&str]| {
        let program = Program::at(&sandbox, &[&arguments[..], more].concat());
        program.env("REDIS_URL", redis.url()).env("STRIPE_ACCOUNT_ID", ACCOUNT)
    };
    let older = program(&["--max-age", "1h"]).run().await;
    assert!(older.code() == 0 && older.stdout.contains("NOT ASKED NOW"), "{older:?}");
    let now = program(&[]).run().await;
    assert!(now.code() == 1 && now.stdout.contains("refunded") && !now.stdout.contains("NOT ASKED"), "{now:?}");

    // Many lines about one payment ask once, and those of before are counted.
    let lines = "payment,amount,currency,tenant,order\n".to_owned() + &"pi_1,19.99,usd,store_42,6735\n".repeat(3);
    let many = |more: &[&str]| {
        let program = Program::at(&sandbox, &[&["validate"][..], more].concat());
        program.env("REDIS_URL", redis.url()).env("STRIPE_ACCOUNT_ID", ACCOUNT)
    };
    let before = sandbox.requests();
    let asked = many(&[]).run_with(&lines).await;
    let asked_about = sandbox.requests() - before;
    assert!(asked.code() == 1 && !asked.stderr.contains("NOT ASKED"), "{asked:?}");
    let older = many(&["--max-age", "1h"]).run_with(&lines).await;
    assert_eq!(sandbox.requests(), before + asked_about);
    assert!(older.stderr.contains("3 NOT ASKED NOW"), "{older:?}");
}

#[tokio::test]
async fn a_redemption_is_released_by_its_receipt_and_with_a_name() {
    let (sandbox, redis) = (sandbox_with([paid("pi_1")]).await, RedisServer::start().await);
    let service = service(&sandbox, &redis);
    let Verdict::Valid(proof) = service.validate(claim("pi_1")).await.unwrap().into_verdict() else { panic!() };
    let receipt = service.redeem(proof.clone()).await.unwrap().into_receipt();
    let text = receipt.to_string();
    for (arguments, said) in [
        (vec!["release", &text], "--who"),
        (vec!["release", &text, "--who", " "], "who"),
        (vec!["release", "{}", "--who", "Ada"], "no receipt"),
    ] {
        let run = at(&redis, &arguments).run().await;
        assert!(run.code() == 2 && run.error().contains(said), "{said}: {run:?}");
    }
    assert!(service.redemption(receipt.payment()).await.unwrap().is_some(), "nothing was undone");
    let run = at(&redis, &["release", &text, "--who", "Ada, ticket 7"]).run().await;
    assert_eq!((run.code(), &*run.stdout), (0, ""), "{run:?}");
    let said = "changed: released pi_1 and order 6735 of tenant store_42, by Ada, ticket 7\n";
    assert_eq!(run.stderr, said);
    assert!(service.redemption(receipt.payment()).await.unwrap().is_none());
    let again = at(&redis, &["release", "-", "--who", "Ada"]).run_with(&text).await;
    assert!(again.code() == 0 && again.stderr.starts_with("unchanged: pi_1"), "{again:?}");
    let _ = service.redeem(proof).await.unwrap();
    let later = at(&redis, &["release", &text, "--who", "Ada"]).run().await;
    assert!(later.code() == 2 && later.error().contains("redeemed before"), "a later redemption stays: {later:?}");
    // Who undid it stands in the store, once.
    let decided = at(&redis, &["decisions", "--json"]).run().await;
    let [row] = &decided.rows()[..] else { panic!("{decided:?}") };
    let fields: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["about", "at", "decided", "on", "subject", "who"]);
    assert_eq!((&row["who"], &row["decided"]), (&"Ada, ticket 7".into(), &"released".into()));
    assert_eq!((&row["on"], &row["subject"]), (&"redemption".into(), &"pi_1".into()));
    assert_eq!(row["about"], "tenant store_42, order 6735");
    let table = at(&redis, &["decisions", "--about", "pi_1"]).run().await;
    assert!(table.code() == 0 && table.stdout.contains(" GMT") && table.stdout.contains("Ada, ticket 7"), "{table:?}");
    let other = at(&redis, &["decisions", "--about", "pi_2"]).run().await;
    assert_eq!((other.code(), &*other.stdout), (0, "nothing was decided by hand\n"));
}

#[tokio::test]
async fn of_several_record_keys_the_first_signs_and_each_opens() {
    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];
    let (sandbox, redis) = (sandbox_with([paid("pi_1"), paid("pi_2")]).await, RedisServer::start().await);
    let service = |key| service_with(&sandbox, &redis).record_keys([key]).build().unwrap();
    let program = |arguments: &[&str], keys: &[[u8; 32]]| {
        let keys: Vec<String> = keys.iter().map(|key| STANDARD.encode(key)).collect();
        let program = Program::at(&sandbox, arguments).env("REDIS_URL", redis.url()).env("STRIPE_ACCOUNT_ID", ACCOUNT);
        // With a space behind each comma, as people write lists.
        program.env("PAYPROOF_RECORD_KEY", keys.join(", "))
    };
    assert!(service(OLD).validate(claim("pi_1")).await.unwrap().verdict().is_valid());
    for (keys, code) in [(&[NEW, OLD][..], 0), (&[OLD], 0), (&[NEW], 2)] {
        let shown = program(&["inspect", "pi_1"], keys).run().await;
        assert_eq!(shown.code(), code, "{shown:?}");
    }
    let arguments = ["validate", "pi_2", "19.99", "usd", "--tenant", "store_42", "--order", "6735"];
    assert_eq!(program(&arguments, &[NEW, OLD]).run().await.code(), 0);
    let read = service(NEW).validate(claim("pi_2")).await.unwrap();
    assert_eq!((read.provenance(), sandbox.requests()), (Provenance::Replayed, 2), "the first one signed");
    assert!(service(OLD).validate(claim("pi_2")).await.is_err());
    let many = program(&["inspect", "pi_1"], &[NEW; 5]).run().await;
    assert!(many.code() == 2 && many.error().contains("1 to 4 keys"), "{many:?}");
    let torn = program(&["inspect", "pi_1"], &[NEW]).env("PAYPROOF_RECORD_KEY", format!("{},", STANDARD.encode(NEW)));
    let torn = torn.run().await;
    assert!(torn.code() == 2 && torn.error().contains("PAYPROOF_RECORD_KEY must be 32 bytes in base64"), "{torn:?}");
    assert!(!torn.stderr.contains(&STANDARD.encode(NEW)), "no error shows a key");
}

#[tokio::test]
async fn with_a_store_the_account_has_to_be_named_or_the_only_one() {
    let (sandbox, redis) = (sandbox_with([paid("pi_1")]).await, RedisServer::start().await);
    let Verdict::Valid(proof) = service(&sandbox, &redis).validate(claim("pi_1")).await.unwrap().into_verdict() else {
        panic!("it is paid")
    };
    let _ = service(&sandbox, &redis).redeem(proof).await.unwrap();
    let inspect = |more: &[&str]| Program::new(&[&["inspect", "pi_1"], more].concat()).env("REDIS_URL", redis.url());
    let unnamed = inspect(&[]).run().await;
    assert_eq!(unnamed.code(), 2, "{unnamed:?}");
    for said in ["--own-account", "STRIPE_ACCOUNT_ID", "--account", "--only-account"] {
        assert!(unnamed.error().contains(said), "{said}: {}", unnamed.stderr);
    }
    for named in [["--own-account", ACCOUNT], ["--account", ACCOUNT]] {
        let run = inspect(&named).run().await;
        assert!(run.code() == 0 && run.stdout.contains("status: Paid"), "however it is reached: {run:?}");
    }
    for other in [&["--own-account", "acct_2"][..], &["--only-account"]] {
        let run = inspect(other).run().await;
        assert!(run.stdout.contains("none are kept"), "facts of another account: {run:?}");
    }
    let label = inspect(&["--own-account", "eu"]).run().await;
    assert!(label.code() == 2 && label.error().contains("acct_"), "{label:?}");
}

#[tokio::test]
async fn what_is_indeterminate_is_listed_and_resolved_with_a_name() {
    let (sandbox, redis) = (sandbox_with([]).await, RedisServer::start().await);
    let guard = service(&sandbox, &redis).guard();
    let none = at(&redis, &["indeterminate"]).run().await;
    assert_eq!((none.code(), &*none.stdout), (0, "nothing is indeterminate\n"), "{none:?}");

    let operations =
        ["first", "second", "third"].map(|name| Operation::new("store_42", "refund", name, Effect::write()).unwrap());
    for operation in &operations {
        let lost = |_: EffectCall| async { Err::<String, _>(ProviderError::outcome_unknown("the connection broke")) };
        assert!(guard.run(operation, lost).await.unwrap_err().is_indeterminate());
    }
    let listed = at(&redis, &["indeterminate", "--json"]).run().await;
    assert_eq!((listed.code(), listed.rows().len()), (1, 3), "{listed:?}");
    let row = &listed.rows()[0];
    assert_eq!((&row["tenant"], &row["name"]), (&"store_42".into(), &"refund".into()));
    assert_eq!((&row["kind"], &row["key_left_ms"]), (&"operation".into(), &serde_json::Value::Null));
    let fields: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["age_ms", "key_left_ms", "kind", "name", "reference", "tenant"]);
    let table = at(&redis, &["indeterminate"]).run().await;
    let doctor = at(&redis, &["doctor"]).run().await;
    assert!(doctor.stdout.contains("3 operation(s) and 0 request(s) are indeterminate"), "{doctor:?}");

    let outcomes: [&[&str]; 3] = [&["--done"], &["--done-with", r#""re_1""#], &["--not-executed"]];
    for (operation, outcome) in operations.iter().zip(outcomes) {
        let reference = guard.reference(operation).to_string();
        assert!(table.stdout.contains(&reference), "{}", table.stdout);
        let run = at(&redis, &[&["resolve", &*reference, "--who", "Ada, ticket 7"], outcome].concat()).run().await;
        assert_eq!(run.code(), 0, "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1);
        assert!(run.stderr.contains(&reference) && run.stderr.ends_with("by Ada, ticket 7\n"), "{}", run.stderr);
    }
    assert_eq!(at(&redis, &["indeterminate"]).run().await.code(), 0);
    let never = |_: EffectCall| async { Err::<String, _>(ProviderError::refused("sent again")) };
    assert!(guard.run(&operations[0], never).await.unwrap_err().is_result_missing());
    assert_eq!(guard.run(&operations[1], never).await.unwrap().value(), "re_1");
    let again = guard.run(&operations[2], |_: EffectCall| async { Ok("re_2".to_owned()) }).await.unwrap();
    assert_eq!(again.value(), "re_2");

    let reference = guard.reference(&operations[0]).to_string();
    let run = at(&redis, &["resolve", &reference, "--done", "--who", "Ada"]).run().await;
    assert_eq!(run.code(), 2);
    assert!(run.error().contains("it was executed"), "{}", run.stderr);
}

#[tokio::test]
async fn a_resolution_needs_exactly_one_outcome_a_name_and_a_reference() {
    let reference = "A".repeat(43);
    for (arguments, said) in [
        (vec!["resolve", &reference, "--who", "Ada"], "--done"),
        (vec!["resolve", &reference, "--done"], "--who"),
        (vec!["resolve", &reference, "--done", "--not-executed", "--who", "Ada"], "--done"),
        (vec!["resolve", "pi_1", "--done", "--who", "Ada"], "43 characters"),
        (vec!["resolve", &reference, "--done-with", "{", "--who", "Ada"], "not JSON"),
        (vec!["resolve", &reference, "--done", "--who", "Ada"], "set REDIS_URL"),
        (vec!["inspect", "pi_1"], "set REDIS_URL"),
    ] {
        let run = Program::new(&arguments).run().await;
        assert_eq!(run.code(), 2, "{run:?}");
        assert!(run.error().contains(said), "{said}: {}", run.stderr);
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_told_in_one_line() {
    let mut redis = RedisServer::start().await;
    redis.kill();
    for command in [vec!["inspect", "pi_1"], vec!["forget", "pi_1"], vec!["indeterminate"]] {
        let run = at(&redis, &command).run().await;
        assert_eq!((run.code(), &*run.stdout), (2, ""), "{run:?}");
        assert!(run.error().contains("store"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn the_doctor_finds_nothing_where_all_is_well() {
    let (sandbox, redis) = (sandbox_with([]).await, RedisServer::start().await);
    let run = Program::at(&sandbox, &["doctor"]).env("REDIS_URL", redis.url()).run().await;
    assert_eq!((run.code(), &*run.stderr), (0, ""), "{run:?}");
    for said in
        ["is sk_live_…", "accepts the key and answers in", "agrees with the provider's", "redis: REDIS_URL is set"]
    {
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
    }
    assert!(!run.stdout.contains('\u{1b}'), "no colors outside a terminal");
    let port = redis.url().rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    for asked in
        [format!("{} accepts", sandbox.url().trim_end_matches('/')), format!("; asked at redis://127.0.0.1:{port}")]
    {
        assert!(run.stdout.contains(&asked), "{asked}: {}", run.stdout);
    }
}

#[tokio::test]
async fn the_doctor_speaks_json_and_looks_at_deployments() {
    let (sandbox, redis) = (sandbox_with([]).await, RedisServer::start().await);
    let program = |arguments: &[&str]| Program::at(&sandbox, arguments).env("REDIS_URL", redis.url());
    let plain = program(&["doctor", "--json"]).run().await;
    assert_eq!((plain.code(), &*plain.stderr), (0, ""), "{plain:?}");
    assert!(plain.rows().iter().all(|row| ["ok", "note"].contains(&row["level"].as_str().unwrap())), "{plain:?}");
    assert!(plain.rows().iter().any(|row| row["subject"] == "store"));

    let arguments = ["doctor", "--json", "--production"];
    let run = program(&arguments).env("PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS", "on").run().await;
    assert_eq!(run.code(), 1, "{run:?}");
    let deploy: Vec<String> = run
        .rows()
        .iter()
        .filter(|row| row["subject"] == "deploy")
        .map(|row| format!("{} {}", row["level"], row["text"]))
        .collect();
    for (level, said) in [
        ("error", "STRIPE_API_BASE or --base-url leads away"),
        ("error", "PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS is on"),
        ("error", "set STRIPE_ACCOUNT_ID"),
        ("note", "a restricted key"),
        ("note", "PAYPROOF_RECORD_KEY is not set"),
        ("note", "neither APP_ENV nor NODE_ENV"),
    ] {
        let is_said = deploy.iter().any(|line| line.starts_with(&format!("\"{level}\"")) && line.contains(said));
        assert!(is_said, "{level}: {said}: {deploy:#?}");
    }
    let key = STANDARD.encode([1; 32]);
    let better = program(&arguments).env("STRIPE_ACCOUNT_ID", ACCOUNT).env("NODE_ENV", "production");
    let better = better.env("PAYPROOF_RECORD_KEY", key).run().await;
    let rows = better.rows();
    let errors = rows.iter().filter(|row| row["subject"] == "deploy" && row["level"] == "error").count();
    assert_eq!((better.code(), errors), (1, 1), "all but the address is well: {better:?}");
    for (value, level) in [("PRODUCTION", "ok"), ("production-like", "note")] {
        let rows = program(&arguments).env("APP_ENV", value).run().await.rows();
        let said = rows.iter().find(|row| row["text"].as_str().unwrap().contains("APP_ENV")).unwrap();
        assert_eq!(said["level"], level, "as services read it: {said}");
    }
    let test = program(&["doctor", "--production", "--mode", "test"]);
    let test = test.env("STRIPE_SECRET_KEY", ["rk", "test", "abc"].join("_")).run().await;
    assert!(test.stdout.contains("FAIL  deploy    --mode test"), "{test:?}");
}

#[tokio::test]
async fn the_doctor_says_what_to_do_about_each_finding() {
    let sandbox = sandbox_with([]).await;
    let redis = RedisConfig::new().line("maxmemory 100mb").line("maxmemory-policy allkeys-lru").start().await;
    let run = Program::at(&sandbox, &["doctor", "--color", "always"]).env("REDIS_URL", redis.url()).run().await;
    assert_eq!(run.code(), 1, "{run:?}");
    assert!(
        run.stdout.contains("set `maxmemory-policy noeviction`") && run.stdout.contains("\u{1b}[33mwarn"),
        "{run:?}"
    );

    let alone = Program::at(&sandbox, &["doctor"]).run().await;
    assert!(alone.code() == 1 && alone.stdout.contains("the environment names none"), "{alone:?}");
    let down = Program::at(&sandbox, &["doctor"]).env("REDIS_URL", "redis://127.0.0.1:1").run().await;
    assert!(down.code() == 1 && down.stdout.contains("check its address"), "{down:?}");
    let wrong = Program::at(&sandbox, &["doctor"]).env("PAYPROOF_STORE", "floppy").run().await;
    assert!(wrong.code() == 1 && wrong.stdout.contains("PAYPROOF_STORE must be"), "{wrong:?}");

    let keyless = Program::new(&["doctor"]).env("REDIS_URL", redis.url()).run().await;
    assert!(keyless.code() == 2 && keyless.stdout.contains("STRIPE_SECRET_KEY is not set"), "{keyless:?}");
    sandbox.set_faults(Faults::down());
    let outage = Program::at(&sandbox, &["doctor"]).run().await;
    assert!(outage.code() == 1 && outage.stdout.contains("FAIL  provider"), "{outage:?}");
}

#[tokio::test]
async fn the_doctor_finds_a_clock_that_is_off() {
    // An answer of a provider whose clock stands in 1994.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let message = "No such payment_intent: 'pi_payproof_doctor'";
        let body = format!(
            r#"{{"error":{{"code":"resource_missing","type":"invalid_request_error","param":"intent","message":"{message}"}}}}"#
        );
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let answer = format!(
            "HTTP/1.1 404 Not Found\r\ndate: {date}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let program = Program::new(&["doctor"]).env("STRIPE_SECRET_KEY", secret_key()).env("STRIPE_API_BASE", url);
    let run = tokio::time::timeout(Duration::from_secs(60), program.run()).await.unwrap();
    serving.abort();
    assert_eq!(run.code(), 1);
    assert!(run.stdout.contains("time service"), "{}", run.stdout);
}
