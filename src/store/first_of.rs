//! Several tries side by side, of which the first to succeed counts.

use std::future::Future;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::sleep;

/// Makes tries side by side, each with a head start before the next one, and takes the first that succeeds. If none does, the
/// last failure counts, which without any try is this one.
pub(super) async fn first_of<T, E>(
    tries: impl Iterator<Item: Future<Output = Result<T, E>> + Send>,
    head_start: Duration,
    mut failure: E,
) -> Result<T, E> {
    let delayed = |(place, attempt)| async move {
        sleep(head_start.saturating_mul(place)).await;
        attempt.await
    };
    let mut tries: FuturesUnordered<_> = (0_u32..).zip(tries).map(delayed).collect();
    while let Some(ended) = tries.next().await {
        match ended {
            Ok(found) => return Ok(found),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
