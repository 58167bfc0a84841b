//! Calls that are dropped before they answer.

use std::future::Future;
use std::pin::pin;

use futures_util::future::poll_immediate;
use tokio::task::yield_now;

use super::trial::{TTL, Trial, shown};
use super::{Breach, ContractRule};
use crate::store::{Claim, Store, Swap};

/// After how many polls a call is dropped, at most.
const MOST_POLLS: usize = 24;

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    for polls in 0..MOST_POLLS {
        dropped_claim(trial, polls).await?;
        dropped_swap(trial, polls).await?;
    }
    Ok(())
}

/// Longer than what a store may pass on in one piece, so that half of it would show.
fn bytes(polls: usize) -> Vec<u8> {
    let byte = u8::try_from(polls).unwrap_or_default().wrapping_add(b'a');
    vec![byte; 24 * 1024]
}

async fn dropped_claim<S: Store>(trial: &Trial<S>, polls: usize) -> Result<(), Breach> {
    let at = trial.at(ContractRule::DroppedIsWhole);
    let (key, other) = (trial.key(format!("dropped {polls}")), trial.key(format!("beside {polls}")));
    let value = bytes(polls);
    poll_then_drop(trial.store().claim(&key, &value, TTL), polls).await;
    // The next call must not be given the answer to the one before.
    at.claimed(&other, b"beside", TTL).await?;
    at.holds(&other, b"beside").await?;
    match at.claim(&key, b"later", TTL).await? {
        Claim::Claimed if polls == 0 => at.holds(&key, b"later").await.map(drop),
        // A dropped claim that is still under way finds the key held.
        Claim::Claimed => match at.get(&key).await? {
            Some(stored) => at.is(Some(stored), b"later", "a read").map(drop),
            None => Err(at.breach("a claim that won after it left nothing")),
        },
        Claim::Held(_) if polls == 0 => Err(at.breach("a claim that was never polled was made")),
        Claim::Held(stored) => {
            at.within(&stored, TTL)?;
            at.is(Some(stored), &value, "the next claim").map(drop)
        }
    }
}

async fn dropped_swap<S: Store>(trial: &Trial<S>, polls: usize) -> Result<(), Breach> {
    let at = trial.at(ContractRule::DroppedIsWhole);
    let key = trial.key(format!("dropped swap {polls}"));
    let (before, after) = (bytes(polls), bytes(polls.saturating_add(1)));
    at.claimed(&key, &before, TTL).await?;
    poll_then_drop(trial.store().replace(&key, &before, &after, TTL), polls).await;
    match at.replace(&key, &before, b"later", TTL).await? {
        Swap::Swapped => at.holds(&key, b"later").await.map(drop),
        Swap::Lost(Some(stored)) if stored.bytes == after => at.removed(&key, &after).await,
        Swap::Lost(stored) => {
            let stored = stored.map_or_else(|| "nothing".into(), |stored| shown(&stored.bytes));
            Err(at.breach(format!("a dropped replacement left {stored}")))
        }
    }
}

/// Polls so often, with a turn for all other tasks in between, and drops.
async fn poll_then_drop<F: Future>(call: F, polls: usize) {
    let mut call = pin!(call);
    for _ in 0..polls {
        if poll_immediate(call.as_mut()).await.is_some() {
            return;
        }
        yield_now().await;
    }
}
