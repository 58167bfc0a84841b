//! The waits that the provider asked of single payments. They outlive the calls that were told: the next caller of such a
//! payment waits too, or hears for how long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::call::audience::{Audience, while_wanted};
use crate::call::deadline::{Deadline, after};
use crate::call::error::{CallError, Cause, Stopped};
use crate::call::gate::LONGEST_CLOSURE;
use crate::intent::payment_intent::PaymentId;
use crate::lock::Lock;
use crate::provider::{ProviderError, RateLimit};

use super::Retrier;
use super::decision::{Transient, decide};
use super::hint::ServerHint;

/// The most payments whose waits are kept. Past that a wait is known to the callers of its own flight alone.
const MOST: usize = 1_024;

/// The payments that are left alone for a while.
#[derive(Debug, Default)]
pub(crate) struct ToldWaits {
    /// Most calls find none, and then take no lock.
    any: AtomicBool,
    by_payment: Lock<HashMap<PaymentId, Told>>,
}

/// What the provider said of a payment, and until when it is left alone.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// A minute on at most: then one call finds out.
    until: Instant,
    /// Until when the provider asked to wait.
    asked_until: Instant,
    error: ProviderError,
}

impl ToldWaits {
    /// Notes that the provider asks to wait for so long with this payment, unless it asked for longer already.
    fn note(&self, payment: &PaymentId, wait: Duration, error: &ProviderError, now: Instant) {
        let mut told = self.by_payment.lock();
        if told.len() >= MOST {
            told.retain(|_, told| told.until > now);
        }
        if told.len() < MOST || told.contains_key(payment) {
            let (until, asked_until) = (after(now, wait.min(LONGEST_CLOSURE)), after(now, wait));
            let mut next = Told { until, asked_until, error: error.clone() };
            if let Some(before) = told.remove(payment).filter(|before| before.until > now) {
                next.until = until.max(before.until);
                if before.asked_until > asked_until {
                    (next.asked_until, next.error) = (before.asked_until, before.error);
                }
            }
            told.insert(payment.clone(), next);
            self.any.store(true, Ordering::Release);
        }
    }

    /// What the provider said of a payment, where it asked to leave it alone for a while that is not over.
    pub(crate) fn of(&self, payment: &PaymentId, now: Instant) -> Option<Told> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut told = self.by_payment.lock();
        if told.get(payment)?.until > now {
            return told.get(payment).cloned();
        }
        told.remove(payment);
        self.any.store(!told.is_empty(), Ordering::Release);
        None
    }
}

impl Retrier {
    /// Waits for as long as the provider asked of the payment before this call came.
    pub(super) async fn leave_alone(
        &self,
        told: Told,
        audience: Option<&Audience>,
        deadline: Deadline,
        now: Instant,
    ) -> Result<(), CallError> {
        let wait = self.spread(told.left(now));
        if told.asked(now) > self.retry_after_cap || !deadline.allows(now, wait) {
            return Err(told.too_long(now));
        }
        while_wanted(audience, sleep(wait)).await.ok_or_else(|| CallError::new(Cause::Interrupted))
    }

    /// Keeps what the error of a look-up asks for beyond the call, where it concerns its payment alone.
    pub(super) fn note_told(&self, payment: &PaymentId, error: &ProviderError, now: Instant) {
        let ServerHint { wait, closure, .. } = self.hint(error);
        let unsaid = (error.limits() == Some(RateLimit::Payment)).then(|| self.first_wait());
        if let (Some(wait), None) = (wait.or(unsaid), closure)
            && decide(error, &self.patterns).transient != Transient::No
        {
            self.told.note(payment, wait, error, now);
        }
    }
}

impl Told {
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.until.saturating_duration_since(now)
    }

    /// How long the provider asks to wait, however long that is.
    pub(crate) fn asked(&self, now: Instant) -> Duration {
        self.asked_until.saturating_duration_since(now)
    }

    /// For a call that cannot wait for so long.
    pub(crate) fn too_long(self, now: Instant) -> CallError {
        let asked = self.asked(now);
        let cause = Cause::Provider { stopped: Stopped::WaitTooLong, error: self.error };
        CallError::after_attempts(cause, Some(asked), Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(number: usize) -> PaymentId {
        PaymentId::parse(format!("pi_{number}")).unwrap()
    }

    #[test]
    fn a_payment_is_left_alone_for_as_long_as_was_asked_and_for_a_minute_at_most() {
        let (waits, now, error) = (ToldWaits::default(), Instant::now(), ProviderError::refused("in use"));
        let at = |secs| now + Duration::from_secs(secs);
        assert!(waits.of(&payment(1), now).is_none());
        waits.note(&payment(1), Duration::from_secs(5), &error, now);
        waits.note(&payment(2), Duration::from_secs(3_600), &error, now);
        assert_eq!(waits.of(&payment(1), at(2)).map(|told| told.left(at(2))), Some(Duration::from_secs(3)));
        assert!(waits.of(&payment(1), at(5)).is_none() && waits.of(&payment(3), at(5)).is_none());
        let told = waits.of(&payment(2), at(59)).unwrap();
        assert_eq!(told.left(at(59)), Duration::from_secs(1));
        assert_eq!(told.too_long(at(59)).retry_after(), Some(Duration::from_secs(3_541)));
        assert!(waits.of(&payment(2), at(60)).is_none() && !waits.any.load(Ordering::Acquire), "all are over");
    }

    #[test]
    fn no_more_payments_are_kept_than_there_is_room_for_and_those_that_are_over_make_room() {
        let (waits, now, error) = (ToldWaits::default(), Instant::now(), ProviderError::refused("in use"));
        let second = Duration::from_secs(1);
        for number in 0..=MOST {
            waits.note(&payment(number), second, &error, now);
        }
        assert!(waits.of(&payment(MOST), now).is_none() && waits.of(&payment(0), now).is_some());
        waits.note(&payment(0), second * 2, &error, now);
        assert_eq!(waits.of(&payment(0), now).map(|told| told.left(now)), Some(second * 2), "its own place is there");
        waits.note(&payment(MOST), second, &error, now + second);
        assert!(waits.of(&payment(MOST), now + second).is_some() && waits.of(&payment(0), now + second).is_some());
    }
}
