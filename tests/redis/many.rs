//! Batch reads and counters: what is sent, and what fails which key.

use payproof::PaymentId;
use payproof::store::{Claim, Store, StoreError, Stored};
use payproof::testing::ScriptedProvider;

use crate::redis_server::{RedisConfig, RedisServer};
use crate::support::{intent, paid, plain};
use crate::{MINUTE, store};

/// What a batch answered, as texts.
pub(crate) fn texts(reads: Vec<Result<Option<Stored>, StoreError>>) -> Vec<String> {
    let text = |read: Result<Option<Stored>, StoreError>| match read {
        Ok(Some(stored)) => String::from_utf8(stored.bytes).unwrap(),
        Ok(None) => "none".into(),
        Err(error) => error.to_string(),
    };
    reads.into_iter().map(text).collect()
}

/// How often the server read from its connections.
fn reads_of(server: &RedisServer) -> u64 {
    let info = server.command(&["INFO", "stats"]);
    let line = info.lines().find_map(|line| line.trim().strip_prefix("total_reads_processed:")).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn a_batch_is_one_pipeline_that_reads_each_time_left_before_its_value() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for key in keys.iter().step_by(2) {
        assert_eq!(store.claim(key, key.as_bytes(), MINUTE).await, Ok(Claim::Claimed));
    }
    let calls = || ["pttl", "get", "exec"].map(|command| server.calls(command));
    let before_batch = calls();
    let own = {
        let before = reads_of(&server);
        reads_of(&server) - before
    };
    server.command(&["CONFIG", "SET", "slowlog-max-len", "1000", "slowlog-log-slower-than", "0"]);
    let before = reads_of(&server);
    let reads = texts(store.extras().get_many(&store, &keys).await);
    let took = reads_of(&server) - before - own;
    let log = server.command(&["SLOWLOG", "GET", "1000"]);
    for (number, read) in reads.iter().enumerate() {
        assert_eq!(read, if number % 2 == 0 { keys[number] } else { "none" });
    }
    let made: Vec<u64> = calls().iter().zip(before_batch).map(|(after, before)| after - before).collect();
    assert_eq!(made, [100, 100, 0]);
    // 9 KB in one packet; a server that is slow to read takes it in two.
    assert!(took <= 2, "{took} reads");
    // The latest first.
    let words: Vec<&str> = log.lines().map(str::trim).collect();
    let place = |verb: &str| words.windows(2).position(|pair| pair == [verb, "k7"]).unwrap();
    assert!(place("GET") < place("PTTL"), "{log}");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_fails_its_own_key() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    store.claim("good", b"good", MINUTE).await.unwrap();
    server.command(&["RPUSH", "list", "x"]);
    server.command(&["SET", "endless", "x"]);
    let reads = store.extras().get_many(&store, &["list", "good", "endless", "absent"]).await;
    assert!(reads.iter().step_by(2).take(1).all(|read| read.as_ref().is_err_and(StoreError::is_refused)));
    let reads = texts(reads);
    assert!(reads[0].contains("WRONGTYPE") && reads[2].contains("no time to live"), "{reads:?}");
    assert_eq!([&*reads[1], &*reads[3]], ["good", "none"]);
}

#[tokio::test]
async fn a_full_server_answers_a_batch() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    store.claim("k", b"v", MINUTE).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(store.claim("other", b"v", MINUTE).await.unwrap_err().to_string().contains("OOM"));
    assert_eq!(texts(store.extras().get_many(&store, &["k", "absent"]).await), ["v", "none"]);
}

#[tokio::test]
async fn a_user_without_a_right_is_told_so_for_every_key() {
    let server = RedisConfig::new().line("user reader on >pw ~payproof:* +@connection +get").start().await;
    let url = server.url().replace("://", "://reader:pw@");
    let store = store(url);
    let reads = texts(store.extras().get_many(&store, &["payproof:1", "payproof:2", "other"]).await);
    assert!(reads.iter().all(|read| read.contains("NOPERM")), "{reads:?}");
}

#[tokio::test]
async fn an_addition_is_one_transaction_and_what_is_no_counter_stays_as_it_is() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    let add = async |key: &str| store.extras().add(&store, key, 1, MINUTE).await;
    assert_eq!(add("k").await.unwrap().0, 1);
    assert_eq!(add("k").await.unwrap().0, 2);
    assert_eq!((server.calls("multi"), server.calls("incrby"), server.calls("eval")), (2, 2, 0));
    server.command(&["RPUSH", "list", "x"]);
    server.command(&["SET", "full", &i64::MAX.to_string()]);
    server.command(&["SET", "text", "x"]);
    for (key, why) in [("list", "WRONGTYPE"), ("full", "64 bits"), ("text", "no counter")] {
        let error = add(key).await.unwrap_err();
        assert!(error.is_refused() && error.to_string().contains(why), "{key}: {error}");
    }
    assert_eq!(server.command(&["GET", "full"]), i64::MAX.to_string());
    // It was added by then, so the error does not say that nothing was done.
    server.command(&["SET", "endless", "1"]);
    let error = add("endless").await.unwrap_err();
    assert!(error.is_outcome_unknown() && error.to_string().contains("no time to live"), "{error}");
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(add("new").await.unwrap_err().to_string().contains("OOM"));
    assert_eq!(server.command(&["EXISTS", "new"]), "0");
}

#[tokio::test]
async fn a_prefetch_reads_a_hundred_payments_in_one_round_trip() {
    let server = RedisServer::start().await;
    let payments: Vec<PaymentId> = (0..100).map(|number| intent(&format!("pi_{number}")).payment().clone()).collect();
    let process = || {
        let provider = ScriptedProvider::new();
        for payment in &payments {
            provider.put(paid(payment.as_str()));
        }
        (plain(&provider).store(store(server.url())).build().unwrap(), provider)
    };
    let (elsewhere, _) = process();
    assert_eq!(elsewhere.prefetch(payments.clone()).await.from_provider(), 100);
    let (validator, provider) = process();
    // Connects, and has the store looked at for the first time.
    validator.stored_facts(&payments[0]).await.unwrap();
    validator.check_store().await;
    let calls = || ["get", "pttl", "exec", "eval", "evalsha"].map(|command| server.calls(command));
    let own = {
        let before = reads_of(&server);
        reads_of(&server) - before
    };
    let (before, commands) = (reads_of(&server), calls());
    let ready = validator.prefetch(payments.clone()).await;
    let took = reads_of(&server) - before - own;
    assert_eq!((ready.from_store(), provider.calls()), (100, 0));
    // 18 KB, which the server takes in two or three reads, and the look at the store that a validator takes once. One round trip for
    // each payment would be a hundred.
    assert!(took <= 20, "{took} reads");
    let made: Vec<u64> = calls().iter().zip(commands).map(|(after, before)| after - before).collect();
    assert_eq!(made[..2], [100, 100]);
    let commands = calls();
    for payment in &payments {
        assert!(crate::support::is_valid(&validator.validate(intent(payment.as_str())).await.unwrap()));
    }
    assert_eq!(calls(), commands, "they are in memory");
}
