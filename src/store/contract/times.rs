//! Times to live, by the store's own clock.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::trial::{At, SLACK, TTL, Trial};
use super::{Breach, ContractRule};
use crate::store::{Store, Stored, Swap};

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A time to live that is over soon, and is no number of whole seconds.
const BRIEF: Duration = Duration::from_millis(300);

/// How often it is looked at on its way.
const LOOK: Duration = Duration::from_millis(75);

/// By then every brief record is over, with a second to spare for a store that counts by another clock than ours.
const OVER: Duration = Duration::from_millis(1500);

/// How much longer than its time a record may be seen on a slow machine.
const LATEST: Duration = Duration::from_secs(20);

/// A measurement that took longer says little; it is made again.
const SHARP: Duration = Duration::from_millis(500);

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    is_bounded(trial).await?;
    is_kept(trial).await?;
    ends_in_time(trial).await?;
    is_over_for_every_verb(trial).await
}

async fn is_bounded<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let at = trial.at(ContractRule::TtlIsBounded);
    let (key, held) = (trial.key("unbounded"), trial.key("bounded"));
    at.claimed(&held, b"held", TTL).await?;
    let too_long = CENTURY.saturating_add(Duration::from_millis(1));
    for ttl in [Duration::ZERO, too_long, Duration::MAX] {
        at.refused(&format!("a claim for {ttl:?}"), trial.store().claim(&key, b"value", ttl).await)?;
        at.absent(&key).await?;
        at.refused(&format!("a replacement for {ttl:?}"), trial.store().replace(&held, b"held", b"new", ttl).await)?;
        at.holds(&held, b"held").await?;
    }
    Ok(())
}

/// Each is shorter by something when it is cut to whole seconds, and longer when it is rounded up to them.
const TTLS: &[Duration] = &[
    Duration::from_millis(900),
    Duration::from_millis(1900),
    Duration::from_millis(59_999),
    Duration::from_micros(59_998_001),
    Duration::from_millis(400 * 24 * 60 * 60 * 1000 + 999),
    CENTURY,
];

async fn is_kept<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let at = trial.at(ContractRule::TtlIsKept);
    for (number, &ttl) in TTLS.iter().enumerate() {
        for attempt in 0..5 {
            let key = trial.key(format!("kept {number} {attempt}"));
            let begin = Instant::now();
            at.claimed(&key, b"value", ttl).await?;
            let claimed = (at.get(&key).await, begin.elapsed());
            let again = Instant::now();
            let swapped = at.replace(&key, b"value", b"value", ttl).await;
            let replaced = (at.get(&key).await, again.elapsed());
            // Some of these would stay for years, so they go before anything is said about them.
            let removed = at.remove(&key, b"value").await;
            is_as_written(&at, claimed.0?, ttl, claimed.1)?;
            if claimed.1.saturating_add(replaced.1) < ttl {
                at.ensure(swapped? == Swap::Swapped, || format!("a record of {ttl:?} was not there"))?;
                is_as_written(&at, replaced.0?, ttl, replaced.1)?;
            }
            removed?;
            if begin.elapsed() < SHARP {
                break;
            }
        }
    }
    // Over before a reader can look; what counts is that it is taken, and that it is neither "never" nor for ever.
    for ttl in
        [Duration::from_nanos(1), Duration::from_micros(999), Duration::from_millis(1), Duration::from_micros(1001)]
    {
        let key = trial.key(format!("least {ttl:?}"));
        at.claimed(&key, b"value", ttl).await?;
        if let Some(stored) = at.get(&key).await? {
            at.within(&stored, Duration::from_millis(2))?;
        }
        sleep(Duration::from_millis(20)).await;
        is_gone(&at, &key, Instant::now()).await?;
    }
    Ok(())
}

/// What is left was written less what passed since, and the record is not gone before that is used up.
fn is_as_written<S: Store>(
    at: &At<'_, S>,
    stored: Option<Stored>,
    ttl: Duration,
    passed: Duration,
) -> Result<(), Breach> {
    let Some(stored) = stored else {
        let early = passed.saturating_add(SLACK) < ttl;
        return at.ensure(!early, || format!("a record of {ttl:?} was gone after {passed:?}"));
    };
    // Rounded up to whole milliseconds.
    at.within(&stored, ttl.saturating_add(Duration::from_micros(999)))?;
    let left = stored.ttl_left;
    let least = ttl.saturating_sub(passed).saturating_sub(SLACK);
    at.ensure(left >= least, || format!("{left:?} were left of {ttl:?} after {passed:?}"))
}

async fn ends_in_time<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let at = trial.at(ContractRule::TtlEnds);
    let key = trial.key("brief");
    let begin = Instant::now();
    at.claimed(&key, b"value", BRIEF).await?;
    let claimed = Instant::now();
    loop {
        let Some(stored) = at.get(&key).await? else {
            let passed = begin.elapsed();
            let early = passed.saturating_add(SLACK) < BRIEF;
            return at.ensure(!early, || format!("a record of {BRIEF:?} was gone after {passed:?}"));
        };
        let passed = claimed.elapsed();
        let late = passed > BRIEF.saturating_add(LATEST);
        at.ensure(!late, || format!("a record of {BRIEF:?} was there after {passed:?}"))?;
        // A look must not prolong.
        sleep(stored.ttl_left.clamp(Duration::from_millis(1), LOOK)).await;
    }
}

async fn is_gone<S: Store>(at: &At<'_, S>, key: &str, since: Instant) -> Result<(), Breach> {
    while let Some(stored) = at.get(key).await? {
        let (left, passed) = (stored.ttl_left, since.elapsed());
        at.ensure(passed < LATEST, || {
            format!("a record is still there {passed:?} after its time, with {left:?} left")
        })?;
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Each verb is the first to touch its record after the end, since a store may only notice when it is asked.
async fn is_over_for_every_verb<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let (at, lasts) = (trial.at(ContractRule::TtlEnds), trial.at(ContractRule::ReplaceSetsTtl));
    let [get, claim, replace, remove] =
        ["get", "claim", "replace", "remove"].map(|verb| trial.key(format!("over {verb}")));
    for key in [&get, &claim, &replace, &remove] {
        at.claimed(key, b"old", BRIEF).await?;
    }
    let lasting = renewed(trial).await?;
    sleep(OVER).await;
    for key in &lasting {
        lasts.holds(key, b"new").await?;
    }
    at.absent(&get).await?;
    at.claimed(&claim, b"new", TTL).await?;
    at.lost(at.replace(&replace, b"old", b"new", TTL).await?, None)?;
    at.lost(at.remove(&remove, b"old").await?, None)?;
    at.holds(&claim, b"new").await?;
    at.absent(&replace).await?;
    at.absent(&remove).await?;
    at.claimed(&get, b"new", TTL).await?;
    // Again, since those writes may have swept what is over, and more.
    for key in &lasting {
        lasts.holds(key, b"new").await?;
    }
    Ok(())
}

/// Keys of records that lived briefly, and now hold `new` for long: one was replaced, the other removed and claimed again.
async fn renewed<S: Store>(trial: &Trial<S>) -> Result<Vec<String>, Breach> {
    let at = trial.at(ContractRule::ReplaceSetsTtl);
    let mut lasting = Vec::new();
    for name in ["replaced", "removed"] {
        let key = trial.key(name);
        let began = Instant::now();
        at.claimed(&key, b"old", BRIEF).await?;
        let swap = match name {
            "replaced" => at.replace(&key, b"old", b"new", TTL).await?,
            _ => at.remove(&key, b"old").await?,
        };
        // On a machine that stands still the record may be over before it is changed; then there is nothing to see.
        let in_time = began.elapsed().saturating_add(SLACK) < BRIEF;
        at.ensure(swap == Swap::Swapped || !in_time, || format!("a record of {BRIEF:?} was gone before"))?;
        if swap == Swap::Swapped {
            if name == "removed" {
                at.claimed(&key, b"new", TTL).await?;
            }
            lasting.push(key);
        }
    }
    Ok(lasting)
}
