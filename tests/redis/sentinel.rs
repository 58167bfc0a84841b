//! A primary with a replica and three sentinels. Starting them takes seconds, so one test does all that is asked of them.

use std::time::Duration;

use payproof::store::{RedisStore, RestartLoss, Store, contract};

use crate::redis_server::{RedisConfig, RedisSentinels, RedisServer};
use crate::{MINUTE, claimed_at_last, is_not_sent, patient};

/// The primary is missed for 1 s before the replica takes over; the rest is for a machine that has other things to do.
const FAILOVER: Duration = Duration::from_secs(20);

const PASSWORD: &str = "openSesame";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_are_asked_for_the_primary_and_again_after_a_failover() {
    let config = RedisConfig::new().password(PASSWORD).line(format!("masterauth {PASSWORD}"));
    let auth = format!("sentinel auth-pass {} {PASSWORD}", RedisSentinels::NAME);
    let trio = RedisSentinels::start_with(config, &[&auth]).await;
    let urls = trio.urls();
    let builder =
        |urls: &[&str]| RedisStore::builder_sentinel(urls, RedisSentinels::NAME).primary_login("default", PASSWORD);
    let patient_store = patient(builder(&["redis://127.0.0.1:1", &urls[2]]));
    contract::check(patient_store.clone()).await.unwrap();
    let inspection = patient_store.inspect().await.unwrap();
    assert_eq!(inspection.findings, []);
    assert_eq!(patient_store.restart_loss().await, Ok(RestartLoss::Second));
    // The other one may be set up in another way; it is asked once it is the primary.
    trio.replica.command(&["CONFIG", "SET", "appendfsync", "no"]);

    let unknown = patient(RedisStore::builder_sentinel(&urls, "another")).get("k").await.unwrap_err();
    assert!(unknown.is_refused() && unknown.to_string().contains("check the name"), "{unknown:?}");

    let unnamed = patient(RedisStore::builder_sentinel(&urls, RedisSentinels::NAME)).get("k").await.unwrap_err();
    assert!(unnamed.is_refused() && unnamed.to_string().contains("NOAUTH"), "{unnamed:?}");

    let store = builder(&urls.iter().map(String::as_str).collect::<Vec<_>>()).build().unwrap();
    store.claim("before", b"v", MINUTE).await.unwrap();
    trio.primary.command(&["WAIT", "1", "5000"]);
    trio.primary.hang();
    let (took, errors) = claimed_at_last(&store, "after", FAILOVER).await;
    println!("failover of a primary that hangs took {took:?}");
    assert!(!errors.is_empty(), "the failover went unseen");
    assert!(errors.iter().all(|error| !error.is_refused()), "{errors:?}");
    assert_eq!(trio.replica.command(&["GET", "after"]), "at last");
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Snapshot));
    assert_eq!(store.get("before").await.unwrap().unwrap().bytes, b"v");

    // The old primary comes back, is made a replica, and is not asked again.
    trio.primary.resume();
    crate::servers::until("the old primary follows", || {
        trio.primary.command(&["INFO", "replication"]).contains("master_link_status:up")
    })
    .await;
    for place in 0..20 {
        store.claim(&format!("later:{place}"), b"v", MINUTE).await.unwrap();
    }
}

#[tokio::test]
async fn without_a_sentinel_that_answers_nothing_is_sent() {
    let mut gone = RedisServer::start().await;
    let url = gone.url();
    let none = RedisServer::start().await;
    gone.kill();
    let store = patient(RedisStore::builder_sentinel([&url], RedisSentinels::NAME));
    assert!(is_not_sent(&store.get("k").await.unwrap_err()));
    let error = patient(RedisStore::builder_sentinel([none.url()], RedisSentinels::NAME)).get("k").await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("unknown command"), "{error:?}");
}
