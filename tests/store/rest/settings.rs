//! Settings that are refused, what is shown, and what an inspection says.

use std::fmt::Write as _;
use std::time::Duration;

use payproof::BuildError;
use payproof::store::{Durability, RestartLoss, Severity, Store, StoreFinding, UpstashStore};

use super::peers::RestServer;
use super::upstash::{Fault, UpstashStandIn};
use super::{MINUTE, patient, stand_in, store, token, warm};

#[test]
fn settings_that_cannot_work_are_refused() {
    let url = "https://eu1-tidy-cat-1.example.com";
    let rule = |url: &str, token: &str| UpstashStore::new(url, token).unwrap_err().to_string();
    for (bad, said) in [
        ("http://redis.example.com", "must use https"),
        ("http://10.0.0.1:8080", "must use https"),
        ("rediss://eu1-tidy-cat-1.example.com:6379", "must start with https"),
        ("eu1-tidy-cat-1.example.com", "absolute URL"),
        ("https://user:pass@example.com", "must not contain credentials"),
        (" https://example.com", "white space"),
        ("https://example.com\n", "white space"),
        ("https://example.com?_token=x", "query"),
    ] {
        let error = UpstashStore::new(bad, "token").unwrap_err();
        assert!(matches!(error, BuildError::Url { .. }) && error.to_string().contains(said), "{bad}: {error}");
        assert!(matches!(UpstashStore::vercel_kv(bad, "token"), Err(BuildError::Url { .. })), "{bad}");
    }
    for bad in ["", " ", "hidden\n", "hid den", "\"hidden\"", "hidd\u{e9}n", "hidden\u{7f}"] {
        let error = UpstashStore::new(url, bad).unwrap_err();
        assert!(matches!(error, BuildError::Credential { .. }), "{error}");
        assert!(!error.to_string().contains("hid"), "{error}");
        assert!(matches!(UpstashStore::vercel_kv(url, bad), Err(BuildError::Credential { .. })), "{bad}");
    }
    assert!(rule(url, "").contains("Upstash REST token"));
    assert!(UpstashStore::vercel_kv(url, "").unwrap_err().to_string().contains("Vercel KV REST token"));
    let ms = Duration::from_millis;
    let built = |connect, command, slots| {
        UpstashStore::builder(url, "t").connect_timeout(connect).command_timeout(command).max_in_flight(slots).build()
    };
    assert!(matches!(built(ms(2), ms(1), 1), Err(BuildError::Contradiction { .. })));
    for error in
        [built(ms(0), ms(1), 1), built(ms(1), ms(0), 1), built(ms(1), ms(1), 0), built(ms(1), ms(1), usize::MAX)]
    {
        assert!(matches!(error, Err(BuildError::OutOfRange { .. })), "{error:?}");
    }
    let error = UpstashStore::builder_vercel_kv(url, "t").max_in_flight(0).build().unwrap_err();
    assert!(error.to_string().contains("upstash.max_in_flight"), "{error}");
}

#[tokio::test]
async fn the_token_is_in_no_debug_and_no_error() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let upstash = UpstashStore::builder(server.url(), token());
    let vercel = UpstashStore::builder_vercel_kv(server.url(), token());
    let kv = vercel.clone().build().unwrap();
    let mut shown = format!("{upstash:?} {upstash:#?} {vercel:?} {store:?} {store:#?} {kv:?} {:?}", server.calls());
    assert!(format!("{store:?}{kv:?}").contains(&server.url()), "the host is shown");
    let echo = format!("ERR unknown command, with args beginning with: '{}' 'the-key' 'cGxhbnRlZA'", token());
    let page = format!("<pre>Authorization: Bearer {} the-key pp1:cGxhbnRlZA==</pre>", token());
    for fault in [Fault::Error(400, echo.clone()), Fault::Error(500, echo), Fault::Error(502, page)] {
        server.script([fault]);
        let error = store.claim("the-key", b"planted", MINUTE).await.unwrap_err();
        write!(shown, " {error} {error:?}").unwrap();
    }
    for secret in [&*token(), "the-key", "cGxhbnRlZA"] {
        // The calls that the stand-in recorded show commands, and these were sent after they were shown.
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn an_inspection_says_what_answers_and_what_to_mind() {
    let server = stand_in().await;
    let inspection = store(&server).inspect().await.unwrap();
    assert_eq!((&*inspection.server, inspection.version.as_deref()), ("upstash", Some("8.2.0")));
    assert_eq!(inspection.compare.as_deref(), Some("script that locks its key alone"));
    assert_eq!(inspection.findings, [StoreFinding::BestEffort]);

    let info = "redis_version:6.0.9\r\nmaxmemory_policy:allkeys-lru\r\nrole:slave\r\n";
    let server = UpstashStandIn::builder().info(info).clock_ahead(MINUTE).refuses_flags().never_encodes().start();
    let inspection = store(&server.await.unwrap()).inspect().await.unwrap();
    assert_eq!(inspection.compare.as_deref(), Some("script"));
    let codes: Vec<&str> = inspection.findings.iter().map(StoreFinding::code).collect();
    assert_eq!(codes, ["old_server", "evicts", "replica", "clock_differs", "best_effort"]);

    let server = UpstashStandIn::builder().lacks("INFO").lacks("TIME").start().await.unwrap();
    let inspection = store(&server).inspect().await.unwrap();
    let unknown = inspection.findings.iter().filter(|finding| finding.code() == "unknown").count();
    assert_eq!((unknown, inspection.version), (3, None));
    assert!(inspection.findings.iter().all(|finding| finding.severity() == Severity::Note));

    let server = stand_in().await;
    let store = UpstashStore::builder(server.url(), server.token())
        .connect_timeout(Duration::from_secs(2))
        .command_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    store.get("warm").await.unwrap();
    server.script([Fault::Late(Duration::ZERO), Fault::Late(Duration::from_millis(700))]);
    let inspection = store.inspect().await.unwrap();
    assert!(inspection.latency >= Duration::from_millis(700));
    assert!(matches!(inspection.findings[0], StoreFinding::Slow { .. }), "{inspection:?}");
}

#[tokio::test]
async fn an_inspection_of_a_real_redis_reads_its_version_and_clock() {
    let server = RestServer::start("inspect", &token()).await;
    let inspection = patient(server.url.clone(), &token()).inspect().await.unwrap();
    assert!(inspection.version.unwrap().starts_with(char::is_numeric));
    assert_eq!(inspection.findings, [StoreFinding::BestEffort]);
}

#[test]
fn both_are_shared_as_far_as_replication_goes() {
    let url = "https://example.com";
    let wanted = Durability { shared: true, best_effort: true };
    assert_eq!(UpstashStore::new(url, "t").unwrap().durability(), wanted);
    assert_eq!(UpstashStore::vercel_kv(url, "t").unwrap().durability(), wanted);
}

#[tokio::test]
async fn a_server_of_ones_own_behind_the_protocol_is_asked_what_a_restart_loses() {
    let server = RestServer::start("restart_loss", &token()).await;
    let store = patient(server.url.clone(), &token());
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Second));
    assert_eq!(store.inspect().await.unwrap().restart_loss, RestartLoss::Second);

    let server = stand_in().await;
    let silent = warm(&server).await;
    assert_eq!(silent.restart_loss().await, Ok(RestartLoss::Unknown));
    let asked = server.requests();
    assert_eq!(silent.restart_loss().await, Ok(RestartLoss::Unknown));
    assert_eq!(server.requests(), asked, "the answer is kept");

    let server = stand_in().await;
    let store = warm(&server).await;
    server.script([Fault::Error(503, "busy".into())]);
    assert!(store.restart_loss().await.is_err_and(|error| !error.is_refused()));
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Unknown), "a failure is not kept");
}
