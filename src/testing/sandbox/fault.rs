use std::time::Duration;

use crate::testing::pick;

/// One way in which an answer goes wrong.
///
/// A fault that alters a payment's facts answers with an invented paid payment where none is known.
/// `SlowHeaders(Duration::ZERO)` is a healthy answer, for a script such as "fail, answer, fail".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 429 for the account's global rate.
    RateLimited {
        /// Sent as `Retry-After`, rounded up to whole seconds; none leaves the header out.
        retry_after: Option<Duration>,
    },
    /// 429 whose `Retry-After` is an HTTP-date.
    RateLimitedUntil {
        /// How far that date lies after the answer's own `Date`, rounded up to whole seconds.
        wait: Duration,
    },
    /// 429 with code `lock_timeout`: this one payment is in use elsewhere.
    LockTimeout,
    /// 500 with Stripe's JSON body.
    InternalError,
    /// 500 with `Stripe-Should-Retry: false`.
    ShouldNotRetry,
    /// 400 with `Stripe-Should-Retry: true`.
    ShouldRetry,
    /// 502 with an HTML page, as a proxy sends it.
    BadGateway,
    /// 503 with Stripe's JSON body.
    Unavailable,
    /// 504 with an HTML page, as a proxy sends it.
    GatewayTimeout,
    /// This status, kept within 200 to 599, with this body.
    ///
    /// A body that starts with `{` is sent as JSON, another one as plain text. 204 and 304 carry none.
    Status(u16, String),
    /// The connection is reset once the request was read.
    Reset,
    /// The connection is closed in good order, without an answer.
    DropAfterRequest,
    /// Nothing is sent for this long, then the healthy answer.
    SlowHeaders(Duration),
    /// Headers at once, then the body byte by byte.
    DrippingBody {
        /// The pause before each byte; a body has some two thousand.
        every: Duration,
    },
    /// Half the body that `Content-Length` promises, then the connection is closed.
    TruncatedBody,
    /// 200 with half a JSON object, and a `Content-Length` that agrees with it.
    WrongJson,
    /// 200 with an HTML page.
    NotJson,
    /// 200 with the facts of this payment under another id.
    WrongPayment,
    /// 200 with the facts of this payment under the status `requires_divination`.
    UnknownStatus,
    /// 200 with the facts of this payment, without the charge, which Stripe has still to write down.
    NoChargeYet,
    /// 302 to this address.
    Redirect(String),
    /// 200 with the true answer behind 10 MiB of padding, in chunks and without `Content-Length`.
    HugeBody,
    /// No answer ever; the connection stays open until the client closes it.
    Stall,
}

/// Faults that happen by chance, each with its own probability.
///
/// One draw per request decides, so that at most one fault happens and each happens exactly as often as its
/// chance says. Once the chances add up to 1, those added later never happen.
///
/// ```
/// use payproof::testing::sandbox::{Fault, Faults};
///
/// let faults = Faults::none().chance(Fault::Unavailable, 0.2).chance(Fault::Reset, 0.05);
/// # assert_ne!(faults, Faults::none());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    chances: Vec<(Fault, f64)>,
}

impl Faults {
    /// Nothing goes wrong by chance.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// About a third of the answers go wrong, each in a way that a retry survives.
    ///
    /// | fault | of 100 |
    /// |---|---|
    /// | [`Unavailable`](Fault::Unavailable) | 8 |
    /// | [`RateLimited`](Fault::RateLimited) without a time | 5 |
    /// | [`Reset`](Fault::Reset) | 4 |
    /// | [`InternalError`](Fault::InternalError) | 4 |
    /// | [`BadGateway`](Fault::BadGateway) | 3 |
    /// | [`DropAfterRequest`](Fault::DropAfterRequest) | 3 |
    /// | [`SlowHeaders`](Fault::SlowHeaders) of 50 ms | 3 |
    /// | [`GatewayTimeout`](Fault::GatewayTimeout) | 2 |
    /// | [`LockTimeout`](Fault::LockTimeout) | 2 |
    /// | [`TruncatedBody`](Fault::TruncatedBody) | 2 |
    #[must_use]
    pub fn stormy() -> Self {
        Self::none()
            .chance(Fault::Unavailable, 0.08)
            .chance(Fault::RateLimited { retry_after: None }, 0.05)
            .chance(Fault::Reset, 0.04)
            .chance(Fault::InternalError, 0.04)
            .chance(Fault::BadGateway, 0.03)
            .chance(Fault::DropAfterRequest, 0.03)
            .chance(Fault::SlowHeaders(Duration::from_millis(50)), 0.03)
            .chance(Fault::GatewayTimeout, 0.02)
            .chance(Fault::LockTimeout, 0.02)
            .chance(Fault::TruncatedBody, 0.02)
    }

    /// Every answer is a 503.
    #[must_use]
    pub fn down() -> Self {
        Self::none().chance(Fault::Unavailable, 1.0)
    }

    /// Adds a fault with its probability, from 0 to 1.
    ///
    /// What lies outside is moved to the nearer end; not-a-number counts as 0.
    #[must_use]
    pub fn chance(mut self, fault: Fault, probability: f64) -> Self {
        let probability = if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) };
        self.chances.push((fault, probability));
        self
    }

    pub(super) fn is_none(&self) -> bool {
        self.chances.is_empty()
    }

    pub(super) fn pick(&self, draw: f64) -> Option<&Fault> {
        pick(&self.chances, draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draw_falls_on_the_fault_that_covers_it() {
        let faults = Faults::none().chance(Fault::Reset, 0.25).chance(Fault::Stall, 0.5);
        assert_eq!(faults.pick(0.0), Some(&Fault::Reset));
        assert_eq!(faults.pick(0.249), Some(&Fault::Reset));
        assert_eq!(faults.pick(0.25), Some(&Fault::Stall));
        assert_eq!(faults.pick(0.749), Some(&Fault::Stall));
        assert_eq!(faults.pick(0.75), None);
    }

    #[test]
    fn chance_of_zero_never_happens_and_of_one_always() {
        assert_eq!(Faults::none().chance(Fault::Reset, 0.0).pick(0.0), None);
        assert_eq!(Faults::down().pick(0.999_999_999), Some(&Fault::Unavailable));
        assert_eq!(Faults::none().pick(0.0), None);
    }

    #[test]
    fn odd_probabilities_are_moved_into_range() {
        assert_eq!(Faults::none().chance(Fault::Reset, f64::NAN).pick(0.0), None);
        assert_eq!(Faults::none().chance(Fault::Reset, -3.0).pick(0.0), None);
        assert_eq!(Faults::none().chance(Fault::Reset, f64::INFINITY).pick(0.9), Some(&Fault::Reset));
    }
}
