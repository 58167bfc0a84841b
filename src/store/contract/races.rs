//! Many callers at once.

use std::sync::Arc;

use super::trial::{At, TTL, Trial, shown};
use super::{Breach, ContractRule};
use crate::store::{Claim, Store, Swap};

/// Enough callers to fill a batch, and rounds to meet a rare order of events.
const RACERS: usize = 24;
const ROUNDS: usize = 8;

/// Who counts up, and how far each.
const COUNTERS: usize = 8;
const STEPS: usize = 8;

/// One task wins each round, so none loses more often than the others win.
const MOST_TRIES: usize = COUNTERS * STEPS + 1;

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    for round in 0..ROUNDS {
        one_claim_wins(trial, round).await?;
        one_swap_wins(trial, format!("replacements {round}"), |_| false).await?;
        // Some of them remove; in some rounds all do.
        let removes = move |racer: usize| round.is_multiple_of(4) || racer.wrapping_add(round).is_multiple_of(2);
        one_swap_wins(trial, format!("swaps {round}"), removes).await?;
        removals_and_claims_take_turns(trial, round).await?;
    }
    no_step_is_lost(trial).await
}

fn bytes_of(racer: usize) -> Vec<u8> {
    format!("racer {racer}").into_bytes()
}

async fn one_claim_wins<S: Store>(trial: &Trial<S>, round: usize) -> Result<(), Breach> {
    const RULE: ContractRule = ContractRule::OneClaimWins;
    let key: Arc<str> = trial.key(format!("claims {round}")).into();
    let claims = trial.race(RULE, RACERS, |racer, store| {
        let key = Arc::clone(&key);
        async move { At::of(&*store, RULE).claim(&key, &bytes_of(racer), TTL).await }
    });
    let claims = claims.await?;
    let at = trial.at(RULE);
    let winners: Vec<usize> = positions(&claims, |claim| *claim == Claim::Claimed);
    let [winner] = *winners else { return Err(at.breach(format!("{} of {RACERS} won", winners.len()))) };
    let bytes = bytes_of(winner);
    for claim in claims {
        if let Claim::Held(stored) = claim {
            at.within(&at.is(Some(stored), &bytes, "a loser")?, TTL)?;
        }
    }
    at.holds(&key, &bytes).await.map(drop)
}

/// Those racers remove, the others replace.
async fn one_swap_wins<S: Store>(
    trial: &Trial<S>,
    name: String,
    removes: impl Fn(usize) -> bool + Copy + Send + 'static,
) -> Result<(), Breach> {
    const RULE: ContractRule = ContractRule::OneSwapWins;
    let key: Arc<str> = trial.key(name).into();
    let at = trial.at(RULE);
    at.claimed(&key, b"before", TTL).await?;
    let swaps = trial.race(RULE, RACERS, |racer, store| {
        let key = Arc::clone(&key);
        async move {
            let at = At::of(&*store, RULE);
            if removes(racer) {
                at.remove(&key, b"before").await
            } else {
                at.replace(&key, b"before", &bytes_of(racer), TTL).await
            }
        }
    });
    let swaps = swaps.await?;
    let winners = positions(&swaps, |swap| *swap == Swap::Swapped);
    let [winner] = *winners else { return Err(at.breach(format!("{} of {RACERS} won", winners.len()))) };
    let left = (!removes(winner)).then(|| bytes_of(winner));
    for swap in swaps {
        if swap != Swap::Swapped {
            at.lost(swap, left.as_deref())?;
        }
    }
    match left {
        Some(bytes) => at.holds(&key, &bytes).await.map(drop),
        None => at.absent(&key).await,
    }
}

enum Turn {
    Removal(Swap),
    Claim(Claim),
}

/// One record is removed by some while others claim its key: one removal wins, and at most one claim after it.
async fn removals_and_claims_take_turns<S: Store>(trial: &Trial<S>, round: usize) -> Result<(), Breach> {
    const RULE: ContractRule = ContractRule::RemoveAndClaimTakeTurns;
    let key: Arc<str> = trial.key(format!("turns {round}")).into();
    let at = trial.at(RULE);
    at.claimed(&key, b"before", TTL).await?;
    let turns = trial.race(RULE, RACERS, |racer, store| {
        let key = Arc::clone(&key);
        async move {
            let at = At::of(&*store, RULE);
            if racer.wrapping_add(round).is_multiple_of(3) {
                at.remove(&key, b"before").await.map(Turn::Removal)
            } else {
                at.claim(&key, &bytes_of(racer), TTL).await.map(Turn::Claim)
            }
        }
    });
    let turns = turns.await?;
    let removals = positions(&turns, |turn| matches!(turn, Turn::Removal(Swap::Swapped)));
    at.ensure(removals.len() == 1, || format!("{} removals of one record won", removals.len()))?;
    let claims = positions(&turns, |turn| matches!(turn, Turn::Claim(Claim::Claimed)));
    at.ensure(claims.len() <= 1, || format!("{} claims won", claims.len()))?;
    let winner = claims.first().map(|&racer| bytes_of(racer));
    for turn in turns {
        let (Turn::Removal(Swap::Lost(Some(stored))) | Turn::Claim(Claim::Held(stored))) = turn else { continue };
        let known = stored.bytes == b"before" || Some(&stored.bytes) == winner.as_ref();
        at.ensure(known, || format!("a loser saw {}, which no task stored", shown(&stored.bytes)))?;
    }
    match winner {
        Some(bytes) => at.holds(&key, &bytes).await.map(drop),
        None => at.absent(&key).await,
    }
}

async fn no_step_is_lost<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    const RULE: ContractRule = ContractRule::NoSwapIsLost;
    let key: Arc<str> = trial.key("count").into();
    let at = trial.at(RULE);
    at.claimed(&key, b"0", TTL).await?;
    let counts = trial.race(RULE, COUNTERS, |_, store| {
        let key = Arc::clone(&key);
        async move {
            for _ in 0..STEPS {
                count_up(&At::of(&*store, RULE), &key).await?;
            }
            Ok(())
        }
    });
    counts.await?;
    at.holds(&key, COUNTERS.saturating_mul(STEPS).to_string().as_bytes()).await.map(drop)
}

/// One step, tried again from what the loser was told.
async fn count_up<S: Store>(at: &At<'_, S>, key: &str) -> Result<(), Breach> {
    let mut stored = at.get(key).await?;
    for _ in 0..MOST_TRIES {
        let Some(current) = stored else { return Err(at.breach("the count is gone")) };
        let count = str::from_utf8(&current.bytes).ok().and_then(|text| text.parse::<usize>().ok());
        let Some(count) = count else { return Err(at.breach(format!("the count is {}", shown(&current.bytes)))) };
        let next = count.saturating_add(1).to_string();
        match at.replace(key, &current.bytes, next.as_bytes(), TTL).await? {
            Swap::Swapped => return Ok(()),
            Swap::Lost(Some(other)) if other.bytes == current.bytes => {
                return Err(at.breach(format!("a swap was lost to {}, which it expected", shown(&other.bytes))));
            }
            Swap::Lost(other) => stored = other,
        }
    }
    Err(at.breach(format!("{MOST_TRIES} swaps in a row were lost")))
}

fn positions<T>(answers: &[T], which: impl Fn(&T) -> bool) -> Vec<usize> {
    answers.iter().enumerate().filter(|(_, answer)| which(answer)).map(|(position, _)| position).collect()
}
