//! What a cached read costs on a server, counted between the two.

use std::convert::Infallible;

use payproof::cache::{Cache, For, HitSource, Loads, Space, StoreUse, Tenant, ttl};
use payproof::store::RedisStore;

use super::{MINUTE, patient};
use crate::proxy::Proxy;
use crate::redis_server::RedisServer;

const PRICES: Space<For<u32>, u32> = Space::per_tenant("price", ttl::HOUR);

/// As many as a process remembers the generations of, and more.
const TENANTS: u32 = 10_000;

/// A process of the service.
fn process(port: u16) -> Loads<For<u32>, u32> {
    let store = patient(RedisStore::builder(format!("redis://127.0.0.1:{port}")));
    let cache = Cache::builder(store).namespace("shop").store_timeout(MINUTE).build().unwrap();
    cache.space(PRICES).unwrap().loads(|key: For<u32>| async move { Ok::<_, Infallible>(*key.key()) })
}

#[tokio::test]
async fn a_hit_of_each_of_ten_thousand_tenants_that_are_new_to_the_process_is_one_round_trip() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let keys: Vec<_> = (0..TENANTS).map(|number| For::new(&Tenant::new(format!("store_{number}")), number)).collect();
    for loaded in process(server.port()).get_many(&keys).await {
        assert_eq!(loaded.unwrap().store(), StoreUse::Kept);
    }
    let prices = process(proxy.port());
    for (number, key) in keys.iter().enumerate() {
        proxy.take_traffic();
        let hit = prices.get(key).await.unwrap();
        assert_eq!(hit.source(), HitSource::Store);
        let traffic = proxy.take_traffic();
        assert_eq!(traffic.rounds_of_reads(), 1, "{number}: {traffic:?}");
    }
}
