//! The end of facts in memory, and what a hit needs to know of them, in one word.

use std::time::Duration;

use crate::moment::nanos;
use crate::payment::method::PaymentMethod;
use crate::payment::verdict::Capture;

/// When facts stop being fresh, in nanoseconds by the cache's clock. The highest bits say whether they are of an
/// authorization, how the payment was made, and whether a line covers them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Until(u64);

impl Until {
    const AUTHORIZED: u64 = 1 << 63;

    /// Where the two bits of the method stand.
    const METHOD_AT: u32 = 61;

    const COVERED: u64 = 1 << 60;

    /// What is left for the moment itself.
    const MOMENT: u64 = (1 << 60) - 1;

    pub(super) fn new(
        answered_at: u64,
        fresh_for: Duration,
        capture: Capture,
        method: PaymentMethod,
        is_covered: bool,
    ) -> Self {
        let until = answered_at.saturating_add(nanos(fresh_for)).min(Self::MOMENT);
        let method = match method {
            PaymentMethod::Unstated => 0_u64,
            PaymentMethod::Card => 1,
            PaymentMethod::BankDebit => 2,
            PaymentMethod::Other => 3,
        };
        let captured = if capture == Capture::Authorized { Self::AUTHORIZED } else { 0 };
        let covered = if is_covered { Self::COVERED } else { 0 };
        Self(until | (method << Self::METHOD_AT) | captured | covered)
    }

    pub(super) fn is_after(self, now: u64) -> bool {
        self.0 & Self::MOMENT > now
    }

    pub(super) fn is_covered(self) -> bool {
        self.0 & Self::COVERED != 0
    }

    pub(super) fn method(self) -> PaymentMethod {
        match (self.0 >> Self::METHOD_AT) & 3 {
            1 => PaymentMethod::Card,
            2 => PaymentMethod::BankDebit,
            3 => PaymentMethod::Other,
            _ => PaymentMethod::Unstated,
        }
    }

    pub(super) fn capture(self) -> Capture {
        if self.0 & Self::AUTHORIZED == 0 { Capture::Captured } else { Capture::Authorized }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_the_capture_the_method_and_the_cover_share_a_word() {
        let methods =
            [PaymentMethod::Unstated, PaymentMethod::Card, PaymentMethod::BankDebit, PaymentMethod::Other].into_iter();
        let kinds = || [Capture::Captured, Capture::Authorized].map(|capture| [(capture, false), (capture, true)]);
        for (method, (capture, is_covered)) in
            methods.flat_map(|method| kinds().concat().into_iter().map(move |kind| (method, kind)))
        {
            let until = Until::new(5, Duration::from_nanos(10), capture, method, is_covered);
            assert_eq!((until.capture(), until.method(), until.is_covered()), (capture, method, is_covered));
            assert_eq!((until.is_after(14), until.is_after(15)), (true, false));
            assert!(Until::new(5, Duration::MAX, capture, method, is_covered).is_after(1 << 59));
        }
    }
}
