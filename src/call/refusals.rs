//! What the provider refuses for the sake of who asks: the credential, a right, the account's rate. Health tells of it.
//!
//! | it answers | what is remembered | what ends that |
//! |---|---|---|
//! | 401 | the credential is refused | a success, or a 403, which a credential gets that is known |
//! | 403 | calls of this kind are forbidden: a restricted key may lack one right | a success of such a call, or an hour without another 403: such calls may never be made again |
//! | 429, or a limit by the provider's own word | the rate is limited, until the wait that was told is over | a success |
//!
//! Look-ups and guarded calls may be made with two credentials, so that an answer to the ones ends nothing of the others.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::named;
use crate::call::deadline::after;
use crate::lock::Lock;
use crate::provider::{ProviderError, RateLimit};

/// How long a limit is told where the provider asks for no wait, and no call has succeeded since.
const LIMITED_FOR: Duration = Duration::from_secs(60);

/// How long a 403 is told where no such call is made again.
const FORBIDDEN_FOR: Duration = Duration::from_secs(60 * 60);

named! {
    /// A kind of call to the provider, which may need a right of its own.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ProviderCalls {
        /// Look-ups of payments.
        Payments = "look-ups of payments",
        /// Look-ups of what stands for a payment, as a Checkout session does.
        Aliases = "look-ups of sessions",
        /// Look-ups of what webhooks are about. Health tells of those by their deliveries.
        Related = "look-ups of other objects",
        /// What guards run: captures, refunds.
        Guarded = "guarded calls",
        /// Pages of lists. What reconciles by them tells of those.
        Lists = "pages of lists",
    } as_str(self: Self)
}

/// Those whose 403 is told.
const TOLD: [ProviderCalls; 3] = [ProviderCalls::Payments, ProviderCalls::Aliases, ProviderCalls::Guarded];

/// Since when, and until when.
type Told = (Instant, Instant);

/// What is remembered of one kind of call.
#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    unauthorized: Option<Instant>,
    forbidden: Option<Told>,
    limited: Option<Told>,
}

/// What the provider refuses at present.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// While nothing is refused, an answer takes no lock.
    has_any: AtomicBool,
    refused: Lock<[Refused; 5]>,
}

/// What was refused, and for how long it has been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefusedNow {
    /// The credential itself.
    pub(crate) credential: Option<Duration>,
    /// Calls of these kinds.
    pub(crate) forbidden: Vec<(ProviderCalls, Duration)>,
    /// The account's rate: since when, and for how long yet.
    pub(crate) limited: Option<(Duration, Duration)>,
}

impl Refusals {
    /// Calls of a kind were answered.
    #[inline]
    pub(crate) fn answered(&self, calls: ProviderCalls) {
        if self.has_any.load(Relaxed) {
            self.end(calls);
        }
    }

    #[cold]
    fn end(&self, calls: ProviderCalls) {
        let mut refused = self.refused.lock();
        for (at, one) in refused.iter_mut().enumerate() {
            if at == calls as usize {
                *one = Refused::default();
            } else if is_guarded(at) == (calls == ProviderCalls::Guarded) {
                (one.unauthorized, one.limited) = (None, None);
            }
        }
        self.has_any.store(refused.iter().any(Refused::is_any), Relaxed);
    }

    /// Calls of a kind failed.
    pub(crate) fn failed(&self, calls: ProviderCalls, error: &ProviderError, now: Instant) {
        let is_limit = match (calls, error.limits()) {
            (_, Some(RateLimit::Payment)) => false,
            // Lists have a limit of their own, by which no checkout is held up.
            (ProviderCalls::Lists, whom) => whom == Some(RateLimit::Account),
            _ => error.is_rate_limit(),
        };
        let status = error.status().unwrap_or_default();
        if !is_limit && !matches!(status, 401 | 403) {
            return;
        }
        let mut refused = self.refused.lock();
        if status == 403 {
            // The credential is known.
            for (_, one) in
                refused.iter_mut().enumerate().filter(|(at, _)| is_guarded(*at) == is_guarded(calls as usize))
            {
                one.unauthorized = None;
            }
        }
        let Some(one) = refused.get_mut(calls as usize) else { return };
        match status {
            401 => one.unauthorized = one.unauthorized.or(Some(now)),
            403 if !is_limit => one.forbidden = Some(longer(one.forbidden, now, FORBIDDEN_FOR)),
            _ => one.limited = Some(longer(one.limited, now, error.wait().unwrap_or(LIMITED_FOR))),
        }
        self.has_any.store(true, Relaxed);
    }

    /// What is refused now.
    pub(crate) fn now(&self, now: Instant) -> RefusedNow {
        if !self.has_any.load(Relaxed) {
            return RefusedNow::default();
        }
        let refused = *self.refused.lock();
        let lasted = |since: Instant| now.saturating_duration_since(since);
        let is_told = |(_, until): &Told| *until > now;
        let forbidden = |calls: ProviderCalls| refused.get(calls as usize)?.forbidden.filter(is_told);
        let kinds = TOLD.iter().filter_map(|calls| Some((*calls, forbidden(*calls)?.0)));
        let limited = refused.iter().filter_map(|one| one.limited).filter(is_told);
        let limited = limited.reduce(|(since, until), (other, later)| (since.min(other), until.max(later)));
        RefusedNow {
            credential: refused.iter().filter_map(|one| one.unauthorized).min().map(lasted),
            forbidden: kinds.map(|(calls, since)| (calls, lasted(since))).collect(),
            limited: limited.map(|(since, until)| (lasted(since), until.saturating_duration_since(now))),
        }
    }
}

impl Refused {
    fn is_any(&self) -> bool {
        self.unauthorized.is_some() || self.forbidden.is_some() || self.limited.is_some()
    }
}

/// Told for so long from now on, since when it has been told without a gap.
fn longer(before: Option<Told>, now: Instant, told_for: Duration) -> Told {
    let told = after(now, told_for);
    let (since, until) = before.filter(|(_, until)| *until > now).unwrap_or((now, told));
    (since, until.max(told))
}

fn is_guarded(at: usize) -> bool {
    at == ProviderCalls::Guarded as usize
}
