//! The contract that every store must keep, as a suite that any store can be run against.
//!
//! ```
//! use payproof::store::{MemoryStore, contract};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), contract::Breach> {
//! let report = contract::check(MemoryStore::new()).await?;
//! assert!(report.rules().contains(&contract::ContractRule::OneClaimWins));
//! # Ok(())
//! # }
//! ```
//!
//! Run it in a multi-thread runtime too: there the races are between threads, and not only between tasks.

mod breach;
mod bytes;
mod claims;
mod counts;
mod drops;
mod keys;
mod many;
mod races;
mod rule;
mod swaps;
mod times;
mod trial;

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{MemoryStore, Store};
pub use breach::Breach;
pub use rule::{ContractRule, Report};
use trial::Trial;

/// How long one group of rules may take. The slowest takes three seconds of waiting for records to end; the rest is for
/// a store far away.
const LONGEST_GROUP: Duration = Duration::from_secs(120);

/// Runs the whole suite against a store.
///
/// It takes a few seconds and some two thousand commands. Keys begin with `payproof:contract:` and a number drawn for the
/// run, so runs may overlap, and with other use of the store. What it leaves behind ends by itself within three minutes.
///
/// Pass a clone or an `Arc` of a store that is used further.
///
/// # Errors
/// The first rule that is broken, and what was seen. A store that fails or does not answer breaks the rule that was being
/// checked.
///
/// # Cancel safety
/// Dropped, it stops. It may then leave a small record behind that was about to be removed and would live for years.
pub async fn check<S: Store>(store: S) -> Result<Report, Breach> {
    let begin = Instant::now();
    let trial = Trial::new(store);
    let durability = trial.store().durability();
    bounded(ContractRule::InspectAnswers, inspects(&trial)).await?;
    bounded(ContractRule::ClaimTakesAbsent, claims::check(&trial)).await?;
    bounded(ContractRule::ReplaceSwaps, swaps::check(&trial)).await?;
    bounded(ContractRule::ValuesAreWhole, bytes::check(&trial)).await?;
    bounded(ContractRule::KeysAreDistinct, keys::check(&trial)).await?;
    bounded(ContractRule::OneClaimWins, races::check(&trial)).await?;
    bounded(ContractRule::DroppedIsWhole, drops::check(&trial)).await?;
    bounded(ContractRule::TtlIsKept, times::check(&trial)).await?;
    bounded(ContractRule::BatchesRead, many::check(&trial)).await?;
    bounded(ContractRule::AdditionsCount, counts::check(&trial)).await?;
    let after = trial.store().durability();
    if after != durability {
        return Err(Breach::new(ContractRule::DurabilityIsStable, format!("{durability:?} became {after:?}")));
    }
    Ok(Report { took: begin.elapsed() })
}

/// Checks what a store that wraps another must hand on, beside the verbs that [`check`] is for.
///
/// ```
/// use payproof::store::contract;
/// use std::sync::Arc;
///
/// contract::check_wrapper(Arc::new)?;
/// # Ok::<(), contract::Breach>(())
/// ```
///
/// # Errors
/// When the wrapper around a store in memory does not offer what that store does.
pub fn check_wrapper<S: Store>(wrap: impl FnOnce(MemoryStore) -> S) -> Result<(), Breach> {
    let wrapper = wrap(MemoryStore::new());
    if wrapper.extras().is_empty() {
        return Err(Breach::new(ContractRule::ExtrasAreHandedOn, format!("{wrapper:?} offers its four verbs alone")));
    }
    Ok(())
}

async fn bounded(rule: ContractRule, group: impl Future<Output = Result<(), Breach>>) -> Result<(), Breach> {
    let late = |_| Err(Breach::new(rule, format!("this rule and those of its group took over {LONGEST_GROUP:?}")));
    timeout(LONGEST_GROUP, group).await.unwrap_or_else(late)
}

async fn inspects<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let at = trial.at(ContractRule::InspectAnswers);
    let inspection = at.answer(trial.store().inspect().await)?;
    at.ensure(!inspection.server.is_empty(), || "it does not say what answers".into())?;
    let at = trial.at(ContractRule::RestartLossIsSaid);
    let (said, seen) = (at.answer(trial.store().restart_loss().await)?, inspection.restart_loss);
    at.ensure(said == seen, || format!("it says {said:?}, and a look at it says {seen:?}"))
}
