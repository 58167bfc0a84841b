//! A page of a list, as something the loop tries. No checkout waits for it, and it takes nothing that checkouts wait for.
//!
//! | | pages | look-ups |
//! |---|---|---|
//! | gate | their own; a limit of the whole account closes it too | their own |
//! | breaker | their own, by the same setting | their own |
//! | credit and line | their own, by the same setting | shared with guarded calls |
//! | places of `max_concurrent` | none: there is one page at a time | one each |
//! | hedges | none | by setting |
//! | an attempt, and the whole call | 30 s and 150 s, or what is set for look-ups where that is more | by setting |

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::attempt;
use crate::call::breaker::Breaker;
use crate::call::deadline::Deadline;
use crate::call::error::CallError;
use crate::call::refusals::ProviderCalls;
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;
use crate::payment::request_ids::RequestIds;
use crate::provider::attempt_log::AttemptOutcome;
use crate::provider::{Door, ListQuery, Listed, ProviderError};
use crate::telemetry::Telemetry;

use super::credit::{Credit, Hedges};
use super::lane::{Lane, Traffic};
use super::work::{Finished, NeverHedged, Work};
use super::{Retrier, RetryBudget, look_up};

/// A page holds as much as a hundred look-ups, so what is enough for one of those may cut each page off.
const ATTEMPT: Duration = Duration::from_secs(30);

/// Over all attempts at a page and their waits.
const PAGE: Duration = Duration::from_secs(150);

/// What pages have of their own.
#[derive(Debug)]
pub(crate) struct ListCalls {
    pub(super) lane: Lane,
    pub(super) credit: Credit,
    pub(super) attempt_timeout: Duration,
    deadline: Duration,
}

impl ListCalls {
    /// By the settings of look-ups.
    pub(crate) fn new(
        (breaker, budget): (Option<Breaker>, Option<RetryBudget>),
        (attempt_timeout, total_deadline): (Duration, Duration),
    ) -> Self {
        let (attempt_timeout, deadline) = (attempt_timeout.max(ATTEMPT), total_deadline.max(PAGE));
        let lane = Lane::new(breaker, attempt_timeout.min(deadline));
        Self { lane, credit: Credit::new(budget, Hedges::Off), attempt_timeout, deadline }
    }
}

struct Page<'r> {
    retrier: &'r Retrier,
    query: &'r ListQuery,
}

impl Work for Page<'_> {
    const TRAFFIC: Traffic = Traffic::Lists;

    type Answer = Listed;
    type Output = Listed;
    type Hedge = NeverHedged;

    fn calls(&self) -> ProviderCalls {
        ProviderCalls::Lists
    }

    fn attempt(
        &mut self,
        number: u32,
        _start: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<Listed, ProviderError>> + Send {
        let Retrier { provider, lists, .. } = self.retrier;
        attempt::list(&**provider, self.query, number, until, Arc::clone(&lists.lane.gate) as Arc<dyn Door>)
    }

    fn failed(&mut self, _error: &ProviderError, _now: Instant) -> bool {
        // A list changes nothing.
        true
    }

    fn finished(answer: Listed, _finished: Finished) -> Listed {
        answer
    }
}

/// One payment's facts, for no caller who waits at a checkout.
struct LookUpAside<'r> {
    retrier: &'r Retrier,
    payment: &'r PaymentId,
}

impl Work for LookUpAside<'_> {
    const TRAFFIC: Traffic = Traffic::Lists;

    type Answer = ProviderPayment;
    type Output = ProviderPayment;
    type Hedge = NeverHedged;

    fn calls(&self) -> ProviderCalls {
        self.retrier.calls_about(self.payment)
    }

    fn attempt(
        &mut self,
        number: u32,
        _start: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<ProviderPayment, ProviderError>> + Send {
        let (Retrier { provider, lists, .. }, payment) = (self.retrier, self.payment);
        let door = Arc::clone(&lists.lane.gate) as Arc<dyn Door>;
        // No flight contains its panics, and one payment's is not to end a walk of thousands.
        attempt::call(move || attempt::look_up(&**provider, payment, number, until, door))
    }

    fn failed(&mut self, _error: &ProviderError, _now: Instant) -> bool {
        // A look-up changes nothing.
        true
    }

    fn is_ready(facts: &ProviderPayment) -> bool {
        !facts.not_ready
    }

    fn shown(facts: &mut ProviderPayment) -> (AttemptOutcome, RequestIds) {
        look_up::shown(facts)
    }

    fn finished(facts: ProviderPayment, _finished: Finished) -> ProviderPayment {
        facts
    }
}

impl Retrier {
    /// Looks a payment up as pages are asked for: past its flights, and past what is kept of it.
    pub(crate) fn look_up_aside<'r>(
        &'r self,
        payment: &'r PaymentId,
        telemetry: &'r Telemetry,
    ) -> impl Future<Output = Result<ProviderPayment, CallError>> + Send + 'r {
        let now = Instant::now();
        let deadline = Deadline::after(now, self.lists.deadline);
        self.run(LookUpAside { retrier: self, payment }, now, deadline, telemetry)
    }

    /// Asks for one page, for as long as the future is held.
    pub(crate) fn list<'r>(
        &'r self,
        query: &'r ListQuery,
        telemetry: &'r Telemetry,
    ) -> impl Future<Output = Result<Listed, CallError>> + Send + 'r {
        let now = Instant::now();
        self.run(Page { retrier: self, query }, now, Deadline::after(now, self.lists.deadline), telemetry)
    }
}
