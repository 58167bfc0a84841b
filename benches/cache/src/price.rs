//! What is cached: a price with its tiers, 400 bytes as JSON.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    pub sku: String,
    pub amount: u64,
    pub currency: String,
    pub tiers: Vec<Tier>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tier {
    pub from: u32,
    pub amount: u64,
}

/// The key of one product.
#[must_use]
pub fn key(number: usize) -> String {
    format!("sku_{number:08}")
}

/// So many keys, shuffled alike in each run, so that their order in memory says nothing about the order of asking.
#[must_use]
pub fn keys(count: usize) -> Vec<String> {
    let mut keys: Vec<_> = (0..count).map(key).collect();
    let mut state = 42_u64;
    for at in (1..keys.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(state >> 33).unwrap_or_default() % (at + 1);
        keys.swap(at, other);
    }
    keys
}

/// What the database says.
#[must_use]
pub fn price_of(sku: &str) -> Price {
    let tiers = (1..=10).map(|number| Tier { from: number * 100, amount: 2_000 - u64::from(number) * 17 }).collect();
    Price { sku: sku.to_owned(), amount: 2_000, currency: "usd".to_owned(), tiers }
}
