//! What is sent, and what comes back.

use std::collections::HashSet;

use payproof::store::{Claim, Store, Swap};
use serde_json::json;

use super::peers::RestServer;
use super::upstash::UpstashStandIn;
use super::{MINUTE, bytes_of, command, patient, stand_in, store, token, warm};

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
async fn a_batch_is_one_request_and_a_further_one_for_each_megabyte() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let keys: Vec<String> = (0..40).map(|number| format!("k{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let requests = async || {
        let before = server.requests();
        let reads = store.extras().get_many(&store, &keys).await;
        (reads, server.requests() - before)
    };
    let (reads, sent) = requests().await;
    assert!(sent == 1 && reads.iter().all(|read| *read == Ok(None)));
    for (number, key) in keys.iter().enumerate() {
        store.claim(key, &vec![u8::try_from(number).unwrap(); 64 * 1024], MINUTE).await.unwrap();
    }
    // 64 KiB are 87 KB as text, of which eleven go into an answer.
    let (reads, sent) = requests().await;
    assert_eq!(sent, 4);
    for (number, read) in reads.into_iter().enumerate() {
        assert_eq!(bytes_of(read.unwrap()), vec![u8::try_from(number).unwrap(); 64 * 1024]);
    }
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
async fn what_another_program_stored_is_an_error_and_never_a_miss() {
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
