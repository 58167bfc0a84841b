//! Counters.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::trial::{SLACK, TTL, Trial};
use super::{Breach, ContractRule};
use crate::store::Store;

/// So many tasks add so often at once. Without an addition of its own a store swaps, and few at a time find their turn.
const ADDERS: usize = 8;
const ADDITIONS: usize = 8;

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    adds(trial).await?;
    none_is_lost(trial).await?;
    is_refused(trial).await
}

async fn adds<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let (at, store, key) = (trial.at(ContractRule::AdditionsCount), trial.store(), trial.key("sum"));
    let begun = Instant::now();
    let mut wanted = 0_i64;
    // The times to live of later ones are not heeded.
    for (by, ttl) in
        [(5, TTL), (37, TTL.saturating_mul(2)), (0, SLACK), (-50, Duration::from_millis(1)), (i64::MAX, TTL)]
    {
        wanted = wanted.saturating_add(by);
        let (sum, left) = at.answer(store.extras().add(store, &key, by, ttl).await)?;
        at.ensure(sum == wanted, || format!("adding {by} came to {sum} in place of {wanted}"))?;
        let least = TTL.saturating_sub(begun.elapsed()).saturating_sub(SLACK);
        at.ensure((least..=TTL).contains(&left), || format!("{left:?} were left of {TTL:?}"))?;
    }
    let digits = wanted.to_string();
    let stored = at.holds(&key, digits.as_bytes()).await?;
    at.within(&stored, TTL)?;
    at.held(&key, b"claim", TTL, digits.as_bytes()).await?;
    // What a verb wrote is added to as well.
    at.swapped(&key, digits.as_bytes(), b"-7", TTL).await?;
    let (sum, _) = at.answer(store.extras().add(store, &key, -1, TTL).await)?;
    at.ensure(sum == -8, || format!("adding -1 to -7 came to {sum}"))?;
    at.removed(&key, b"-8").await?;
    let (sum, _) = at.answer(store.extras().add(store, &key, i64::MIN, TTL).await)?;
    at.ensure(sum == i64::MIN, || format!("the first addition of {} came to {sum}", i64::MIN))?;
    at.removed(&key, i64::MIN.to_string().as_bytes()).await
}

async fn none_is_lost<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    const RULE: ContractRule = ContractRule::AdditionsCount;
    let key: Arc<str> = trial.key("race").into();
    let sums = trial.race(RULE, ADDERS, |_, store| {
        let key = Arc::clone(&key);
        async move {
            let mut sums = Vec::with_capacity(ADDITIONS);
            for _ in 0..ADDITIONS {
                let added = store.extras().add(&*store, &key, 1, TTL).await;
                sums.push(added.map_err(|error| Breach::failed(RULE, error))?.0);
            }
            Ok(sums)
        }
    });
    let mut sums = sums.await?.concat();
    sums.sort_unstable();
    let all: Vec<i64> = (1..).take(ADDERS.saturating_mul(ADDITIONS)).collect();
    trial.at(RULE).ensure(sums == all, || format!("additions at once came to {sums:?}"))
}

async fn is_refused<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let (at, store) = (trial.at(ContractRule::AdditionsAreRefused), trial.store());
    let most = i64::MAX.to_string();
    let no_numbers: [&[u8]; 9] =
        [b"", b"-", b"1.5", b"1e3", b" 1", b"+1", b"007", b"99999999999999999999", b"\x00\xff"];
    for (place, bytes) in no_numbers.into_iter().chain([most.as_bytes()]).enumerate() {
        let key = trial.key(format!("refused {place}"));
        at.claimed(&key, bytes, TTL).await?;
        let added = store.extras().add(store, &key, 1, TTL).await;
        at.refused(&format!("an addition to {}", bytes.escape_ascii()), added)?;
        at.holds(&key, bytes).await?;
    }
    let key = trial.key("refused ttl");
    at.refused("an addition for no time", store.extras().add(store, &key, 1, Duration::ZERO).await)?;
    at.absent(&key).await
}
