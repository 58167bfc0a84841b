//! Replacements and removals, one after the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::trial::{At, TTL, Trial};
use super::{Breach, ContractRule};
use crate::store::{Claim, Store};

/// How often a write and a read follow one another.
const STEPS: usize = 48;

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    replaces(trial).await?;
    removes(trial).await?;
    writes_are_seen(trial).await
}

async fn replaces<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let key = trial.key("replace");
    let at = trial.at(ContractRule::ReplaceSwaps);
    at.claimed(&key, b"one", TTL).await?;
    at.swapped(&key, b"one", b"two", TTL).await?;
    at.holds(&key, b"two").await?;
    // To the same bytes: a renewal.
    at.swapped(&key, b"two", b"two", TTL).await?;
    at.holds(&key, b"two").await?;

    let at = trial.at(ContractRule::ReplaceCompares);
    at.lost(at.replace(&key, b"one", b"three", TTL).await?, Some(b"two"))?;
    at.lost(at.replace(&key, b"", b"three", TTL).await?, Some(b"two"))?;
    at.holds(&key, b"two").await?;
    let absent = trial.key("replace absent");
    at.lost(at.replace(&absent, b"one", b"two", TTL).await?, None)?;
    at.lost(at.replace(&absent, b"", b"two", TTL).await?, None)?;
    at.absent(&absent).await?;

    let at = trial.at(ContractRule::ReplaceSetsTtl);
    // Shorter, then longer.
    for ttl in [Duration::from_secs(60), Duration::from_secs(120)] {
        let begin = Instant::now();
        at.swapped(&key, b"two", b"two", ttl).await?;
        let stored = at.holds(&key, b"two").await?;
        at.within(&stored, ttl)?;
        let (left, passed) = (stored.ttl_left, begin.elapsed());
        let prolonged = left.saturating_add(passed).saturating_add(Duration::from_secs(1)) > ttl;
        at.ensure(prolonged, || format!("{left:?} were left of {ttl:?} after {passed:?}"))?;
    }
    Ok(())
}

async fn removes<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let key = trial.key("remove");
    let at = trial.at(ContractRule::RemoveCompares);
    at.claimed(&key, b"one", TTL).await?;
    at.lost(at.remove(&key, b"two").await?, Some(b"one"))?;
    at.lost(at.remove(&key, b"").await?, Some(b"one"))?;
    at.holds(&key, b"one").await?;
    let absent = trial.key("remove absent");
    at.lost(at.remove(&absent, b"one").await?, None)?;
    at.lost(at.remove(&absent, b"").await?, None)?;

    let at = trial.at(ContractRule::RemoveRemoves);
    at.removed(&key, b"one").await?;
    at.absent(&key).await?;
    at.lost(at.remove(&key, b"one").await?, None)?;
    at.lost(at.replace(&key, b"one", b"two", TTL).await?, None)?;
    at.claimed(&key, b"two", TTL).await?;
    at.holds(&key, b"two").await?;
    at.removed(&key, b"two").await
}

/// Each step from a task of its own, so that a store with several connections or replicas takes turns among them.
async fn writes_are_seen<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    const RULE: ContractRule = ContractRule::WritesAreSeen;
    let key: Arc<str> = trial.key("seen").into();
    trial.at(RULE).claimed(&key, b"0", TTL).await?;
    for step in 0..STEPS {
        let (key, before, now) = (Arc::clone(&key), step.to_string(), step.saturating_add(1).to_string());
        trial.at(RULE).swapped(&key, before.as_bytes(), now.as_bytes(), TTL).await?;
        let reads = trial.race(RULE, 2, move |reader, store| {
            let (key, now) = (Arc::clone(&key), now.clone());
            async move {
                let at = At::of(&*store, RULE);
                if reader == 0 {
                    at.holds(&key, now.as_bytes()).await.map(drop)
                } else {
                    match at.claim(&key, b"late", TTL).await? {
                        Claim::Held(stored) => at.is(Some(stored), now.as_bytes(), "a claim").map(drop),
                        Claim::Claimed => Err(at.breach("a held key was claimed")),
                    }
                }
            }
        });
        reads.await?;
    }
    Ok(())
}
