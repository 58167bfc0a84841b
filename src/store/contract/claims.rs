//! Claims, one after the other.

use std::time::Duration;

use super::trial::{TTL, Trial};
use super::{Breach, ContractRule};
use crate::store::Store;

/// Shorter than the ordinary one, so that a store that prolongs shows it.
const SHORT: Duration = Duration::from_secs(60);

pub(super) async fn check<S: Store>(trial: &Trial<S>) -> Result<(), Breach> {
    let key = trial.key("claim");
    let at = trial.at(ContractRule::ClaimTakesAbsent);
    at.absent(&key).await?;
    at.claimed(&key, b"first", SHORT).await?;
    at.holds(&key, b"first").await?;

    let at = trial.at(ContractRule::ClaimKeepsHeld);
    at.held(&key, b"second", TTL, b"first").await?;
    at.holds(&key, b"first").await?;
    // The same bytes again are no better claim: whose record it is, is for the caller to see.
    at.held(&key, b"first", TTL, b"first").await?;

    let at = trial.at(ContractRule::ClaimKeepsTtl);
    at.within(&at.held(&key, b"third", TTL, b"first").await?, SHORT)?;
    at.within(&at.holds(&key, b"first").await?, SHORT)
}
