//! A server that evicts nothing and is nearly full.

use std::time::Duration;

use payproof::Validator;
use payproof::cache::{Space, StoreUse, ttl};
use payproof::testing::ScriptedProvider;
use tokio::time::sleep;

use crate::redis_server::RedisConfig;
use crate::store;

/// Decides nothing, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(10);

const NUMBERS: Space<u32, u32> = Space::global("number", ttl::HOUR);

#[tokio::test]
async fn a_cache_leaves_a_nearly_full_server_to_redemptions_and_health_says_so() {
    let server = RedisConfig::new().line("maxmemory-policy noeviction").start().await;
    server.command(&["SETRANGE", "filler", "16000000", "x"]);
    let info = server.command(&["INFO", "memory"]);
    let used = info.lines().find_map(|line| line.trim().strip_prefix("used_memory:")?.parse::<u64>().ok()).unwrap();
    assert_eq!(server.command(&["CONFIG", "SET", "maxmemory", &(used * 100 / 90).to_string()]), "OK");

    let validator = Validator::builder(ScriptedProvider::new()).store(store(server.url()));
    let validator = validator.store_timeout(PATIENCE).build().unwrap();
    let cache = validator.cache().share_store(1_000_000).store_timeout(PATIENCE).build().unwrap();
    let numbers = cache.space(NUMBERS).unwrap();
    let get = async |number: u32| {
        let load = move || async move { Ok::<_, std::io::Error>(number) };
        numbers.get_or_load(&number, load).await.unwrap().store()
    };
    // The first call has the server looked at, beside it.
    let mut number = 0;
    while get(number).await != StoreUse::NotKept {
        assert!(number < 1_000, "the server is never found full");
        number += 1;
        sleep(Duration::from_millis(10)).await;
    }
    let entries = || server.command(&["KEYS", "payproof:cache:number:*"]);
    let before = entries();
    for next in 1..=20 {
        assert_eq!(get(number + next).await, StoreUse::NotKept);
    }
    assert_eq!(entries(), before);
    // It waits for the server for less than a second, which a busy machine may take.
    for tries in 1.. {
        let health = validator.health().await;
        if health.reasons().iter().any(|reason| reason.to_string().contains("caches store nothing more")) {
            assert!(health.reasons().iter().any(|reason| reason.code() == "nearly_full"));
            break;
        }
        assert!(tries < 20, "{health:?}");
    }
}
