//! Reads of many records at once.

use tokio::time::Instant;

use super::trial::{At, SLACK, TTL, Trial, shown};
use super::{Breach, ContractRule};
use crate::store::extras::MOST_KEYS;
use crate::store::{Store, Stored};

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let at = trial.at(ContractRule::BatchesRead);
    let keys: Vec<String> = (0..MOST_KEYS).map(|number| trial.key(format!("many {number}"))).collect();
    ensure_read(trial, &at, &keys, |_| None).await?;
    // Every third is there, in an order of its own; one of those is empty, and one is changed afterwards.
    let begun = Instant::now();
    let is_there = |number: usize| number % 3 == 1;
    let value = |number: usize| if number == 4 { Vec::new() } else { format!("{number}\0\r\n\u{ff}").into_bytes() };
    let there = || keys.iter().enumerate().rev().filter(|(number, _)| is_there(*number));
    for (number, key) in there() {
        at.claimed(key, &value(number), TTL).await?;
    }
    let reads = ensure_read(trial, &at, &keys, |number| is_there(number).then(|| value(number))).await?;
    for stored in reads.iter().flatten() {
        at.within(stored, TTL)?;
        let least = TTL.saturating_sub(begun.elapsed()).saturating_sub(SLACK);
        at.ensure(stored.ttl_left >= least, || format!("{:?} were left of {TTL:?}", stored.ttl_left))?;
    }
    if let Some(key) = keys.get(7) {
        at.swapped(key, &value(7), b"changed", TTL).await?;
    }
    if let Some(key) = keys.get(10) {
        at.removed(key, &value(10)).await?;
    }
    // A key may be asked for twice, and the fewest are one.
    let few: Vec<String> = [7, 10, 7, 13].iter().filter_map(|place| keys.get(*place).cloned()).collect();
    let wanted = [Some(b"changed".to_vec()), None, Some(b"changed".to_vec()), Some(value(13))];
    ensure_read(trial, &at, &few, |number| wanted.get(number).cloned().flatten()).await?;
    ensure_read(trial, &at, few.get(3..).unwrap_or_default(), |_| Some(value(13))).await?;
    ensure_read(trial, &at, &[], |_| None).await.map(drop)
}

/// A batch has to answer for each key with these bytes, or with nothing.
async fn ensure_read<S: Store>(
    trial: &Trial<S>,
    at: &At<'_, S>,
    keys: &[String],
    wanted: impl Fn(usize) -> Option<Vec<u8>>,
) -> Result<Vec<Option<Stored>>, Breach> {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let reads = trial.store().extras().get_many(trial.store(), &keys).await;
    at.ensure(reads.len() == keys.len(), || format!("{} answers to {} keys", reads.len(), keys.len()))?;
    let mut found = Vec::with_capacity(reads.len());
    for (number, read) in reads.into_iter().enumerate() {
        let stored = at.answer(read)?;
        found.push(match (wanted(number), stored) {
            (Some(bytes), stored) => Some(at.is(stored, &bytes, "a read in a batch")?),
            (None, None) => None,
            (None, Some(stored)) => {
                return Err(at.breach(format!("a read in a batch found {} under an absent key", shown(&stored.bytes))));
            }
        });
    }
    Ok(found)
}
