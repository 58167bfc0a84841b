//! The span of a load for the cache.

use payproof::cache::{Cache, For, Space, Tag, Tags, Tenant, ttl};
use payproof::store::MemoryStore;
use tracing::{Instrument as _, Level, info_span};

use super::fields;
use super::validations::Collector;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what `tagged` takes")]
fn by_user(user: &u64, tags: &mut Tags) {
    tags.add("user", user);
}

const PRICES: Space<For<String>, u64> = Space::per_tenant("price", ttl::SHORT).tagged(by_user);

#[tokio::test(start_paused = true)]
async fn a_load_has_a_span_below_its_callers_that_names_no_key_tag_or_tenant() {
    let (seen, _guard) = Collector::install();
    let cache = Cache::builder(MemoryStore::new()).namespace("shop").build().unwrap();
    let prices = cache.space(PRICES).unwrap().loads(|key: For<String>| async move {
        info_span!(target: "payproof::test", "database").in_scope(|| ());
        if key.key() == "sku_1" { Ok(4_711) } else { Err("no such row") }
    });
    let request = info_span!(target: "payproof::test", "request");
    let tenant = Tenant::new("store_42");
    async {
        for sku in ["sku_1", "sku_1", "sku_2"] {
            // The second is found in memory, and the third fails.
            let _ = prices.get(&For::new(&tenant, sku.to_owned())).await;
        }
        cache.invalidate(&Tag::new("user", 4_711)).await.unwrap();
    }
    .instrument(request.clone())
    .await;

    let loads = seen.spans("payproof.cache_load");
    assert_eq!(loads.len(), 2);
    for (load, outcome) in loads.iter().zip(["loaded", "failed"]) {
        assert_eq!((load.level, &load.parent, load.closed), (Level::INFO, &request.id(), true));
        assert_eq!(load.declared, ["space", "outcome"]);
        assert_eq!(load.fields, fields([("space", "price"), ("outcome", outcome)]));
    }
    let asked = seen.spans("database");
    assert!(loads.iter().zip(&asked).all(|(load, asked)| asked.parent.as_ref() == Some(&load.id)), "{asked:?}");
    for event in seen.events() {
        let said = format!("{} {:?}", event.message, event.fields);
        assert!(!["sku_", "store_42", "4711"].iter().any(|word| said.contains(word)), "{said}");
    }
}
