//! What a server lost of what it had acknowledged is told, whatever it was: a flush, an eviction, a restart from a snapshot.

use std::time::Duration;

use payproof::Validator;
use payproof::health::HealthReason;
use payproof::store::{RecordLoss, StoreFinding};
use tokio::time::sleep;

use crate::redis_server::{RedisConfig, RedisServer};
use crate::support::{intent, plain, provider};
use crate::{MINUTE, store};

/// Where this process's canary stands.
fn canaries(server: &RedisServer) -> Vec<String> {
    server.command(&["KEYS", "payproof:canary:*"]).split_whitespace().map(str::to_owned).collect()
}

/// A validator that has used its store, and looked at it once.
async fn used(server: &RedisServer) -> Validator {
    let validator = plain(&provider()).store(store(server.url())).store_timeout(MINUTE).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap();
    look(server, || canaries(server).len() == 1).await;
    validator
}

/// Has minutes pass, until a look has come to this. The task that looks may be at its first one still when a minute passes.
async fn look(server: &RedisServer, mut has_come_to: impl FnMut() -> bool) {
    for _ in 0..100 {
        tokio::time::pause();
        tokio::time::advance(MINUTE + Duration::from_secs(1)).await;
        tokio::time::resume();
        for _ in 0..15 {
            if has_come_to() {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    panic!("no look came to its end: {}", server.command(&["DBSIZE"]));
}

async fn lost(validator: &Validator) -> Option<RecordLoss> {
    let health = validator.health().await;
    health.reasons().iter().find_map(|reason| match reason {
        HealthReason::Store(StoreFinding::RecordsLost { loss, .. }) => Some(*loss),
        _ => None,
    })
}

#[tokio::test]
async fn a_flush_is_told_as_lost_and_a_first_start_is_not() {
    let server = RedisServer::start().await;
    let validator = used(&server).await;
    assert_eq!(lost(&validator).await, None);
    server.command(&["FLUSHALL"]);
    look(&server, || validator.stats().store_losses == 1).await;
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(lost(&validator).await, Some(RecordLoss::Gone));
}

#[tokio::test]
async fn an_eviction_is_told_as_lost() {
    let server = RedisConfig::new().line("maxmemory-policy allkeys-random").start().await;
    let validator = used(&server).await;
    let used_bytes = server.command(&["INFO", "memory"]);
    let used_bytes = used_bytes.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let limit = used_bytes.trim().parse::<u64>().unwrap() + 300_000;
    server.command(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    for number in 0..2_000 {
        server.command(&["SET", &format!("else:{number}"), &"x".repeat(10_000)]);
        if canaries(&server).is_empty() {
            break;
        }
    }
    assert!(canaries(&server).is_empty(), "nothing was evicted");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    look(&server, || validator.stats().store_losses == 1).await;
}

#[tokio::test]
async fn a_restart_from_an_older_snapshot_is_told_as_lost() {
    let mut server = RedisConfig::new().disk("appendonly no\nsave \"\"").start().await;
    let validator = used(&server).await;
    server.command(&["SAVE"]);
    let [key] = &canaries(&server)[..] else { panic!() };
    let snapshot = server.command(&["GET", key]);
    look(&server, || server.command(&["GET", key]) != snapshot).await;
    server.kill();
    server.restart().await;
    assert_eq!(server.command(&["GET", key]), snapshot, "it has come back as of before");
    look(&server, || validator.stats().store_losses == 1).await;
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(lost(&validator).await, Some(RecordLoss::Older));
}
