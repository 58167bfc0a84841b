//! Keys, tenants, tags and spaces, as callers write them.

use payproof::cache::{For, Space, Tag, Tenant, ttl};

const PRICES: Space<For<String>, Option<u64>> = Space::per_tenant("price", ttl::MEDIUM).version(2);

#[test]
fn ids_of_tenants_and_tags_are_not_shown() {
    let (tenant, tag) = (Tenant::new("store_42"), Tag::new("user", 7));
    let shown = format!("{tenant:?} {tag:?} {:?}", Tag::tenant(&tenant));
    assert!(!shown.contains("42") && !shown.contains('7'), "{shown}");
    assert!(format!("{PRICES:?}").contains("price"));
}
