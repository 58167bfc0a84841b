//! What an unfinished payment waits for, until when, and when it is worth asking again.

use std::time::Duration;

use crate::accessors::getters;
use crate::intent::money::Money;
use crate::payment::facts::{PaymentStatus, ProviderPayment};
use crate::payment::waits_for::{End, WaitsFor};

/// To ask again sooner is answered from memory.
const SOONEST: Duration = Duration::from_secs(1);

/// What an unfinished payment waits for, and when to ask again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub(crate) waits_for: WaitsFor,
    pub(crate) until: Option<u64>,
    pub(crate) remaining: Option<Money>,
    pub(crate) poll_after: Duration,
}

impl Waiting {
    /// What the facts say of it, when they are of this age.
    pub(crate) fn of<T>(facts: &ProviderPayment<T>, age: Duration, remaining: Option<Money>) -> Self {
        let waits_for = facts.waits_for.unwrap_or(match facts.status {
            PaymentStatus::Paid | PaymentStatus::Authorized => WaitsFor::Capture,
            PaymentStatus::Processing => WaitsFor::Processing,
            _ => WaitsFor::Unknown,
        });
        let until = facts.waits_until.or(facts.capture_before.filter(|_| waits_for == WaitsFor::Capture));
        let since_created = facts.created.zip(facts.as_of).map_or(0, |(created, as_of)| as_of.saturating_sub(created));
        let end = until.zip(facts.as_of).map(|(until, as_of)| match until.checked_sub(as_of) {
            Some(left) if left > 0 => End::Ahead(Duration::from_secs(left)),
            _ => End::Past(Duration::from_secs(as_of.saturating_sub(until))),
        });
        // From the provider's answer on.
        let poll_after = waits_for.poll_after(Duration::from_secs(since_created), end).saturating_sub(age).max(SOONEST);
        Self { waits_for, until, remaining, poll_after }
    }

    getters! {
        /// What it waits for.
        pub fn waits_for(&self) -> WaitsFor => self.waits_for;

        /// When that ends, in seconds since 1970 by the provider's clock, where there is an end: a voucher, a QR code or a
        /// hold lapses, small deposits arrive, an account is debited. The provider may tell of it later.
        pub fn until(&self) -> Option<u64> => self.until;

        /// What has still to arrive, of a transfer from a bank.
        pub fn remaining(&self) -> Option<Money> => self.remaining;

        /// How long to wait before asking again: seconds for what a shopper does now, and the longer the payment has been
        /// waiting; hours for what takes days; never past the end.
        pub fn poll_after(&self) -> Duration => self.poll_after;
    }
}
