//! Looking into a cache and having it forget, on a real Redis.

use std::time::Duration;

use payproof::cache::{Cache, CacheBuilder, Cached, For, Space, Tags, Tenant, ttl};
use payproof::store::RedisStore;
use payproof::{Stripe, Validator};
use serde_json::json;

use crate::program::{ACCOUNT, Program, Run, secret_key};
use crate::redis_server::RedisServer;

/// Decides nothing, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn by_user(_: &String, tags: &mut Tags) {
    tags.add("user", 7);
}

/// Nothing that the service has read counts for a while, so that each call asks the store.
const SESSIONS: Space<For<u32>, String> =
    Space::per_tenant("session", ttl::LONG).version(2).tagged(by_user).memory_for(Duration::ZERO);

fn sessions(cache: CacheBuilder) -> Cached<For<u32>, String> {
    cache.namespace("shop").store_timeout(PATIENCE).build().unwrap().space(SESSIONS).unwrap()
}

async fn put(sessions: &Cached<For<u32>, String>) {
    sessions.put(&For::new(&Tenant::new("store_42"), 9), "planted".to_owned()).await.unwrap();
}

/// Runs the program on the caches that no validator has.
async fn run(redis: &RedisServer, arguments: &[&str]) -> Run {
    let own = ["cache"].iter().chain(arguments).chain(&["--without-validator", "--namespace", "shop"]);
    Program::new(&own.copied().collect::<Vec<_>>()).env("REDIS_URL", redis.url()).run().await
}

const PEEK: [&str; 5] = ["peek", "session", "2", "store_42", "9"];

#[tokio::test]
async fn what_is_kept_of_a_key_is_shown_and_its_value_only_where_asked_for() {
    let redis = RedisServer::start().await;
    let nothing = run(&redis, &PEEK).await;
    assert_eq!((nothing.code(), &*nothing.stderr), (1, ""), "{nothing:?}");
    assert!(nothing.stdout.starts_with("Kept:  nothing"), "{nothing:?}");
    put(&sessions(Cache::builder(RedisStore::new(redis.url()).unwrap()))).await;

    let shown = run(&redis, &PEEK).await;
    assert_eq!((shown.code(), &*shown.stderr), (0, ""));
    assert!(shown.stdout.contains("fresh for") && shown.stdout.contains("From:  put"), "{shown:?}");
    assert!(!shown.stdout.contains("planted"), "{shown:?}");
    let valued = run(&redis, &[&PEEK[..], &["--show-value"]].concat()).await;
    assert!(valued.stdout.contains("Value: \"planted\""), "{valued:?}");
    let row = &run(&redis, &[&PEEK[..], &["--json", "--show-value"]].concat()).await.rows()[0];
    assert_eq!([&row["kept"]["origin"], &row["kept"]["value"]], [&json!("put"), &json!("planted")]);
    assert_eq!(row["kept"]["is_stale"], json!(false));
    let row = &run(&redis, &["peek", "session", "1", "store_42", "9", "--json"]).await.rows()[0];
    assert_eq!(row["kept"], json!(null), "another version");
}

#[tokio::test]
async fn each_way_to_invalidate_reaches_what_the_service_has() {
    let redis = RedisServer::start().await;
    let sessions = sessions(Cache::builder(RedisStore::new(redis.url()).unwrap()));
    let ways: [&[&str]; 5] = [
        &["--tag", "user", "7"],
        &["--tenant", "store_42"],
        &["--space", "session"],
        &["--all"],
        &["--key", "session", "2", "store_42", "9"],
    ];
    for way in ways {
        put(&sessions).await;
        let other = run(&redis, &["invalidate", "--tag", "user", "8"]).await;
        assert_eq!(other.code(), 0, "{other:?}");
        let key = For::new(&Tenant::new("store_42"), 9);
        assert!(sessions.peek(&key).await.unwrap().is_some(), "another user's");
        let forgotten = run(&redis, &[&["invalidate"], way].concat()).await;
        assert_eq!((forgotten.code(), &*forgotten.stdout), (0, ""), "{way:?} {forgotten:?}");
        assert!(forgotten.stderr.starts_with("changed: the cache has forgotten "), "{forgotten:?}");
        let is_told = |id: &str| forgotten.stderr.contains(id);
        assert!(!is_told("store_42") && !is_told("7"), "who it was about stays out of logs: {forgotten:?}");
        assert!(sessions.peek(&key).await.unwrap().is_none(), "{way:?}");
    }
}

#[tokio::test]
async fn a_validators_cache_is_found_by_its_account() {
    let redis = RedisServer::start().await;
    let stripe = Stripe::builder(secret_key()).base_url("http://127.0.0.1:9").own_account(ACCOUNT).build().unwrap();
    let store = RedisStore::new(redis.url()).unwrap();
    let validator = Validator::builder(stripe).store(store).store_timeout(PATIENCE).build().unwrap();
    put(&sessions(validator.cache().share_store(1_000_000))).await;
    let peek = |account: &'static str| {
        let arguments = [&["cache"], &PEEK[..], &["--namespace", "shop", "--own-account", account]].concat();
        Program::new(&arguments).env("REDIS_URL", redis.url())
    };
    assert_eq!([peek(ACCOUNT).run().await.code(), peek("acct_1Other").run().await.code()], [0, 1]);
    // A cache with a store of its own is looked for there.
    let elsewhere = RedisServer::start().await;
    let nothing = peek(ACCOUNT).env("PAYPROOF_CACHE_REDIS_URL", elsewhere.url()).run().await;
    assert_eq!((nothing.code(), &*nothing.stderr), (1, ""));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_in_one_line() {
    let redis = RedisServer::start().await;
    for (arguments, says) in [
        (&["invalidate"][..], "--tag"),
        (&["invalidate", "--all", "--tenant", "store_42"], "--"),
        (&["invalidate", "--tag", "user", "7", "--tag", "user", "8"], "`--tag <KIND> <ABOUT>` is taken once"),
        (&["invalidate", "--tag", "user"], "`--tag <KIND> <ABOUT>` has too few values, or too many"),
        (
            &["invalidate", "--key", "session", "2", "a", "1", "--key", "session", "2", "a", "2"],
            "`--key <SPACE> <VERSION> <PART>...` is taken once",
        ),
        (&["invalidate", "--key", "session", "two", "store_42"], "VERSION must be"),
        (&["invalidate", "--space", "a space"], "must be 1 to 48 of a-z"),
        (&["peek", "Session", "1", "9"], "must be 1 to 48 of a-z"),
    ] {
        let refused = run(&redis, arguments).await;
        assert_eq!(refused.code(), 2, "{arguments:?}");
        assert!(refused.error().contains(says), "{arguments:?} {}", refused.stderr);
    }
    let unnamed = Program::new(&["cache", "peek", "session", "1", "9", "--without-validator"]).run().await;
    assert_eq!(unnamed.code(), 2);
    assert!(unnamed.error().contains("--namespace"), "{}", unnamed.stderr);
}
