//! Keeping a lease while there is work to do.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

/// A lease is renewed this often within its time, so that one lost reply does not end it.
const RENEWALS_PER_LEASE: u32 = 3;

/// The time between two renewals.
pub(crate) fn renewal_pace(lease: Duration) -> Duration {
    lease.checked_div(RENEWALS_PER_LEASE).unwrap_or(lease)
}

/// Goes through the work, and drives the renewals beside it.
///
/// A renewal that is under way when the work is done is dropped. It may still be made: [`Ledger::settle`] and
/// [`Ledger::release`] know the record in either edition.
///
/// [`Ledger::settle`]: super::Ledger::settle
/// [`Ledger::release`]: super::Ledger::release
pub(crate) async fn while_renewing<T>(work: impl Future<Output = T>, renewals: impl Future<Output = Infallible>) -> T {
    let (mut work, mut renewals) = (pin!(work), pin!(renewals));
    poll_fn(|cx| {
        let done = work.as_mut().poll(cx);
        if done.is_pending() {
            // They never end by themselves.
            let _ = renewals.as_mut().poll(cx);
        }
        done
    })
    .await
}
