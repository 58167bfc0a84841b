//! The stores over REST: against a stand-in that the service's own clients accept, and against a server from npm that runs
//! the script in a real Redis.
#![cfg(all(feature = "test-util", feature = "upstash", feature = "vercel-kv"))]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a server that does not do its part fails the test")]

mod peers;
#[path = "../support/upstash/mod.rs"]
mod upstash;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use payproof::BuildError;
use payproof::store::{
    Claim, Durability, RestartLoss, Severity, Store, StoreError, StoreFinding, Stored, Swap, UpstashStore, contract,
};
use peers::RestServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use upstash::{Fault, RecordedCall, UpstashStandIn};

const MINUTE: Duration = Duration::from_secs(60);

/// No test is decided by a time-out that it does not mean.
const PATIENCE: Duration = Duration::from_secs(20);

/// Put together here, so that no credential-shaped literal stands in the source.
fn token() -> String {
    format!("AX{}", "plantedTokenXyz")
}

async fn stand_in() -> UpstashStandIn {
    UpstashStandIn::builder().token(token()).start().await.unwrap()
}

fn patient(url: String, token: &str) -> UpstashStore {
    UpstashStore::builder(url, token).connect_timeout(PATIENCE).command_timeout(PATIENCE).build().unwrap()
}

fn store(server: &UpstashStandIn) -> UpstashStore {
    patient(server.url(), server.token())
}

fn kv(url: String, token: &str) -> UpstashStore {
    UpstashStore::builder_vercel_kv(url, token).connect_timeout(PATIENCE).command_timeout(PATIENCE).build().unwrap()
}

/// A store that has met its server, so that the next verb is one request.
async fn warm(server: &UpstashStandIn) -> UpstashStore {
    let store = store(server);
    assert_eq!(store.get("warm").await.unwrap(), None);
    store
}

#[track_caller]
fn bytes_of(stored: Option<Stored>) -> Vec<u8> {
    let stored = stored.unwrap();
    assert!(stored.ttl_left > Duration::ZERO && stored.ttl_left <= MINUTE, "{stored:?}");
    stored.bytes
}

/// Whether the call did nothing and another may do better.
fn is_not_sent(error: &StoreError) -> bool {
    !error.is_outcome_unknown() && !error.is_refused()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_keep_the_contract_on_the_stand_in() {
    let server = stand_in().await;
    let kv = kv(server.url(), server.token());
    let (first, second) = tokio::join!(contract::check(store(&server)), contract::check(kv));
    first.unwrap();
    second.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_a_server_that_neither_encodes_nor_knows_the_flag() {
    let server = UpstashStandIn::builder().never_encodes().refuses_flags().start().await.unwrap();
    contract::check(store(&server)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_stores_keep_the_contract_over_a_real_redis() {
    let server = RestServer::start("contract", &token()).await;
    let (first, second) = tokio::join!(
        contract::check(patient(server.url.clone(), &token())),
        contract::check(kv(server.url.clone(), &token()))
    );
    first.unwrap();
    second.unwrap();
}

#[tokio::test]
async fn a_real_redis_keeps_the_script_under_our_digest() {
    let server = RestServer::start("digest", &token()).await;
    let store = patient(server.url.clone(), &token());
    for round in 0..5 {
        assert_eq!(store.claim(&format!("k{round}"), b"v", MINUTE).await.unwrap(), Claim::Claimed);
    }
    let stats = command(&server.url, &token(), json!(["INFO", "commandstats"])).await;
    let calls = |name: &str| {
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
        line.map(|line| line.split(['=', ',']).nth(1).unwrap().parse::<u32>().unwrap()).unwrap_or_default()
    };
    // The first claim asks by digest, sends the text with the flag, and then the one without; the others ask by digest.
    assert_eq!((calls("eval"), calls("evalsha")), (2, 5), "{stats}");
    assert_eq!(store.inspect().await.unwrap().compare.as_deref(), Some("script"));
    // Both texts, since a server that knows the flag keeps the other one.
    let fresh = patient(server.url.clone(), &token());
    assert!(matches!(fresh.claim("k0", b"w", MINUTE).await.unwrap(), Claim::Held(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_own_clients_agree_with_the_stand_in() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let (key, value) = ("from the store", b"\x00\xff binary \n");
    assert_eq!(store.claim(key, value, MINUTE).await.unwrap(), Claim::Claimed);
    let calls = server.calls();
    let sent = |verb: &str| calls.iter().flat_map(RecordedCall::commands).find(|command| command[0] == verb).unwrap();
    let facts = json!({
        "peers": peers::folder(),
        "url": server.url(),
        "token": server.token(),
        "readOnlyToken": server.read_only_token(),
        "script": sent("EVAL")[1],
        "digest": sent("EVALSHA")[1],
        "recordKey": key,
        "recordValue": "pp1:AP8gYmluYXJ5IAo=",
    });
    let output = tokio::task::spawn_blocking(move || peers::run_clients(&facts)).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(bytes_of(store.get("from the client").await.unwrap()), value);
    // They send back the latest sync token, as ours does.
    let tokens = server.calls().iter().filter(|call| call.request().header("upstash-sync-token").is_some()).count();
    assert!(tokens > 20, "{tokens}");
}

#[tokio::test]
async fn each_verb_is_one_request_and_one_command() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let before = (server.requests(), server.commands());
    assert_eq!(store.claim("k", b"a", MINUTE).await.unwrap(), Claim::Claimed);
    assert!(matches!(store.claim("k", b"b", MINUTE).await.unwrap(), Claim::Held(held) if held.bytes == b"a"));
    assert_eq!(bytes_of(store.get("k").await.unwrap()), b"a");
    assert_eq!(store.replace("k", b"a", b"c", MINUTE).await.unwrap(), Swap::Swapped);
    assert!(matches!(store.remove("k", b"a").await.unwrap(), Swap::Lost(Some(held)) if held.bytes == b"c"));
    assert_eq!(store.remove("k", b"c").await.unwrap(), Swap::Swapped);
    assert_eq!(store.replace("k", b"c", b"d", MINUTE).await.unwrap(), Swap::Lost(None));
    assert_eq!((server.requests() - before.0, server.commands() - before.1), (7, 7));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn no_key_is_in_a_url_and_every_argument_is_a_string() {
    let server = stand_in().await;
    let store = warm(&server).await;
    store.claim("order 6735/../?_token=x", b"\xff", MINUTE).await.unwrap();
    for call in server.calls() {
        let request = call.request();
        assert_eq!((request.method(), request.path(), request.query()), ("POST", "/", None));
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {}", server.token())));
        assert_eq!(request.header("upstash-encoding"), Some("base64"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert!(["EVAL", "EVALSHA"].contains(&&*call.commands()[0][0]), "no other command reads or writes a record");
    }
    let last = server.calls().pop().unwrap();
    assert_eq!(last.commands()[0][2..], ["1", "order 6735/../?_token=x", "claim", "pp1:/w==", "60000"]);
}

#[tokio::test]
async fn the_latest_sync_token_is_sent_back() {
    let server = stand_in().await;
    let store = store(&server);
    for _ in 0..3 {
        store.get("k").await.unwrap();
    }
    let tokens: Vec<Option<String>> =
        server.calls().iter().map(|call| call.request().header("upstash-sync-token").map(str::to_owned)).collect();
    // One command had run when the first answer was sent, and so on.
    let sent = |count: u64| Some(format!("stand-in-{count}"));
    assert_eq!(tokens, [None, sent(1), sent(2), sent(3)]);
}

#[tokio::test]
async fn a_forgotten_script_is_sent_again() {
    let server = stand_in().await;
    let store = warm(&server).await;
    server.forget_scripts();
    let before = server.requests();
    assert_eq!(store.claim("k", b"v", MINUTE).await.unwrap(), Claim::Claimed);
    assert_eq!(store.remove("k", b"v").await.unwrap(), Swap::Swapped);
    assert_eq!(server.requests() - before, 3);
}

#[tokio::test]
async fn the_two_texts_are_probed_once() {
    let server = UpstashStandIn::builder().refuses_flags().start().await.unwrap();
    let store = store(&server);
    for _ in 0..3 {
        store.get("k").await.unwrap();
    }
    server.forget_scripts();
    store.get("k").await.unwrap();
    let calls = server.calls();
    let commands: Vec<&str> = calls.iter().map(|call| &*call.commands()[0][0]).collect();
    assert_eq!(commands, ["EVALSHA", "EVAL", "EVAL", "EVALSHA", "EVALSHA", "EVALSHA", "EVAL"]);
    let texts: HashSet<&str> =
        calls.iter().filter(|call| call.commands()[0][0] == "EVAL").map(|call| &*call.commands()[0][1]).collect();
    assert_eq!(texts.iter().filter(|text| text.starts_with("#!lua flags=allow-key-locking\n")).count(), 1);
    assert_eq!(texts.len(), 2);
}

#[tokio::test]
async fn odd_keys_and_any_bytes_come_back() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let long = "k".repeat(512);
    let keys = ["\u{0}", "a\nb\r\n", "\"quoted\" \\", "grüße 😀", "{tag}:*?[]", ":held:1:pp1:", &long];
    let large = vec![0xff; 70_000];
    let values: [&[u8]; 6] = [b"", b"\x00", b"OK", b":done", b"pp1:", &large];
    for (key, value) in keys.into_iter().zip(values.iter().cycle()) {
        assert_eq!(store.claim(key, value, MINUTE).await.unwrap(), Claim::Claimed, "{key:?}");
        assert_eq!(bytes_of(store.get(key).await.unwrap()), *value, "{key:?}");
    }
}

#[tokio::test]
async fn a_value_over_one_mebibyte_is_refused_before_it_is_sent() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let most = vec![7; 1 << 20];
    assert_eq!(store.claim("k", &most, MINUTE).await.unwrap(), Claim::Claimed);
    assert_eq!(bytes_of(store.get("k").await.unwrap()), most);
    let before = server.requests();
    let over = vec![7; (1 << 20) + 1];
    assert!(store.claim("l", &over, MINUTE).await.unwrap_err().is_refused());
    assert!(store.replace("k", &most, &over, MINUTE).await.unwrap_err().is_refused());
    assert_eq!(server.requests(), before);
}

#[tokio::test]
async fn what_somebody_else_stored_is_an_error_and_never_a_miss() {
    let server = stand_in().await;
    let store = warm(&server).await;
    for (key, command_) in [
        ("text", json!(["SET", "text", "something else", "PX", "60000"])),
        ("empty", json!(["SET", "empty", "", "PX", "60000"])),
        ("endless", json!(["SET", "endless", "pp1:YQ=="])),
        ("damaged", json!(["SET", "damaged", "pp1:*", "PX", "60000"])),
    ] {
        command(&server.url(), server.token(), command_).await;
        let errors = [
            store.get(key).await.map(drop).unwrap_err(),
            store.claim(key, b"v", MINUTE).await.map(drop).unwrap_err(),
            store.replace(key, b"other", b"v", MINUTE).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_refused() && error.to_string().contains("key prefix"), "{key}: {error}");
        }
    }
    // Redis stores more than texts.
    let redis = RestServer::start("foreign", &token()).await;
    command(&redis.url, &token(), json!(["LPUSH", "list", "1"])).await;
    let error = patient(redis.url.clone(), &token()).get("list").await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("stored under this key"), "{error}");
}

#[tokio::test]
async fn a_lost_reply_is_an_unknown_outcome_and_nothing_is_sent_twice() {
    let server = stand_in().await;
    let store = warm(&server).await;
    for (round, fault) in
        [Fault::DropReply, Fault::CutReply, Fault::PageAfter(502), Fault::HugeReply].into_iter().enumerate()
    {
        let key = format!("k{round}");
        let before = server.commands();
        server.script([fault.clone()]);
        let error = store.claim(&key, b"mine", MINUTE).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{fault:?}: {error}");
        assert_eq!(server.commands() - before, 1, "{fault:?}");
        // Who asks again is told by the bytes that the claim was its own.
        assert!(
            matches!(store.claim(&key, b"mine", MINUTE).await.unwrap(), Claim::Held(held) if held.bytes == b"mine")
        );
    }
    server.script([Fault::DropReply]);
    assert!(store.remove("k0", b"mine").await.unwrap_err().is_outcome_unknown());
    assert_eq!(store.remove("k0", b"mine").await.unwrap(), Swap::Lost(None));
}

#[tokio::test]
async fn a_lost_request_is_an_unknown_outcome_too() {
    let server = stand_in().await;
    let store = warm(&server).await;
    for fault in [Fault::DropRequest, Fault::Page(500), Fault::Page(503)] {
        server.script([fault.clone()]);
        let before = server.requests();
        assert!(store.claim("k", b"v", MINUTE).await.unwrap_err().is_outcome_unknown(), "{fault:?}");
        assert_eq!(server.requests() - before, 1, "{fault:?}");
        assert_eq!(store.get("k").await.unwrap(), None);
    }
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let error = |status, text: &str| Fault::Error(status, text.to_owned());
    for (fault, advice) in [
        (Fault::QuotaUsedUp, "raise its plan"),
        (error(400, "ERR DB capacity quota exceeded"), "raise its plan"),
        (error(413, "ERR max request size exceeded"), "raise the plan"),
        (error(400, "OOM command not allowed"), "make room"),
        (error(400, "ERR syntax error"), "syntax error"),
        (Fault::Page(404), "check that the URL"),
        (Fault::Page(302), "check that the URL"),
        (Fault::Page(405), "check that the URL"),
    ] {
        server.script([fault.clone()]);
        let error = store.claim("k", b"v", MINUTE).await.unwrap_err();
        assert!(error.is_refused() && error.to_string().contains(advice), "{fault:?}: {error}");
    }
    for fault in [
        Fault::TooManyRequests { retry_after: Some(Duration::from_secs(7)) },
        Fault::TooManyRequests { retry_after: None },
        error(400, "LOADING the dataset"),
        error(400, "ERR max concurrent connections exceeded"),
    ] {
        server.script([fault.clone()]);
        let failed = store.claim("k", b"v", MINUTE).await.unwrap_err();
        assert!(is_not_sent(&failed), "{fault:?}: {failed}");
        let wait = matches!(fault, Fault::TooManyRequests { retry_after: Some(_) }).then_some(Duration::from_secs(7));
        assert_eq!(failed.wait(), wait, "{fault:?}");
    }
    assert_eq!(store.get("k").await.unwrap(), None);
}

/// The stand-in sends one well-formed header; this server sends what a proxy in front of one makes of it.
#[tokio::test]
async fn a_wait_in_a_list_or_on_two_lines_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for lines in ["Retry-After: 1.5", "Retry-After: 3, 7", "Retry-After: soon\r\nRetry-After: 9"] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            assert!(connection.read(&mut request).await.unwrap() > 0);
            let answer =
                format!("HTTP/1.1 429 Too Many Requests\r\n{lines}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for expected in [2, 7, 9] {
        let error = patient(url.clone(), "token").get("k").await.unwrap_err();
        assert_eq!(error.wait(), Some(Duration::from_secs(expected)), "{error}");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_wrong_and_a_read_only_token_are_refused_as_such() {
    let server = stand_in().await;
    let wrong = patient(server.url(), "wrong").get("k").await.unwrap_err();
    assert!(wrong.is_refused() && wrong.to_string().contains("set the REST token"), "{wrong}");
    let read_only = patient(server.url(), server.read_only_token());
    let refused = read_only.claim("k", b"v", MINUTE).await.unwrap_err();
    assert!(refused.is_refused() && refused.to_string().contains("the token that may write"), "{refused}");
    let inspection = read_only.inspect().await.unwrap();
    assert!(inspection.findings.contains(&StoreFinding::ReadOnly), "{inspection:?}");
    assert!(patient(server.url(), "wrong").inspect().await.unwrap_err().is_refused());
    // The server from npm says it with a body that is no JSON.
    let redis = RestServer::start("token", &token()).await;
    let wrong = patient(redis.url.clone(), "wrong").get("k").await.unwrap_err();
    assert!(wrong.is_refused() && wrong.to_string().contains("set the REST token"), "{wrong}");
}

#[tokio::test]
async fn a_server_that_is_not_there_was_sent_nothing() {
    let server = stand_in().await;
    let url = server.url();
    server.stop().await;
    let store = patient(url, "token");
    assert!(is_not_sent(&store.claim("k", b"v", MINUTE).await.unwrap_err()));
    assert!(is_not_sent(&store.inspect().await.unwrap_err()));
}

#[tokio::test]
async fn a_stalled_server_costs_no_more_than_the_time_out() {
    let server = stand_in().await;
    let brief = UpstashStore::builder(server.url(), server.token())
        .connect_timeout(Duration::from_millis(200))
        .command_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    warm(&server).await;
    for fault in [Fault::Stall, Fault::StallReply] {
        server.script([fault.clone()]);
        let begin = Instant::now();
        let error = timeout(PATIENCE, brief.claim("k", b"v", MINUTE)).await.unwrap().unwrap_err();
        assert!(error.is_outcome_unknown(), "{fault:?}: {error}");
        assert!(begin.elapsed() >= Duration::from_millis(200));
    }
    let late = Fault::Late(Duration::from_millis(50));
    server.script([late]);
    assert!(matches!(store(&server).claim("k", b"w", MINUTE).await.unwrap(), Claim::Held(held) if held.bytes == b"v"));
}

#[tokio::test]
async fn calls_over_the_limit_wait_and_then_fail_with_nothing_sent() {
    let server = stand_in().await;
    let narrow = |limit| {
        let builder = UpstashStore::builder(server.url(), server.token()).connect_timeout(Duration::from_secs(1));
        builder.command_timeout(limit).max_in_flight(1).build().unwrap()
    };
    let store = narrow(Duration::from_secs(3));
    server.script([Fault::Stall]);
    let (first, second) = tokio::join!(store.claim("k", b"v", MINUTE), store.claim("k", b"v", MINUTE));
    assert!(first.unwrap_err().is_outcome_unknown());
    let error = second.unwrap_err();
    assert!(is_not_sent(&error) && error.to_string().contains("max_in_flight"), "{error}");
    assert_eq!(server.requests(), 1);
    let store = narrow(PATIENCE);
    let claims = futures_of(32, |number| {
        let store = store.clone();
        async move { store.claim(&format!("n{number}"), b"v", MINUTE).await }
    });
    for claim in claims.await {
        assert_eq!(claim.unwrap(), Claim::Claimed);
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_the_store_usable() {
    let server = stand_in().await;
    let store = warm(&server).await;
    server.script([Fault::Stall]);
    let claim = store.claim("k", b"v", MINUTE);
    assert!(timeout(Duration::from_millis(50), claim).await.is_err());
    assert_eq!(store.claim("k", b"v", MINUTE).await.unwrap(), Claim::Claimed);
}

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

async fn futures_of<F>(count: usize, each: impl Fn(usize) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(each(number))).collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.unwrap());
    }
    outputs
}

/// Sends one command past the stores; its result as text.
async fn command(url: &str, token: &str, command: Value) -> String {
    // reqwest is built without a crypto provider, and asks for one even where no TLS is spoken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(url).bearer_auth(token).json(&command).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    body["result"].as_str().map_or_else(|| body["result"].to_string(), str::to_owned)
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
