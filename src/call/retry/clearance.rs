//! What an attempt passes before it is sent: the gate, a place, the breaker.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::call::audience::{Audience, while_wanted};
use crate::call::breaker::{Admission, ProviderHealth};
use crate::call::concurrency::Permit;
use crate::call::deadline::Deadline;
use crate::call::gate::{Passing, Probe};

use super::Retrier;
use super::lane::{Lane, Traffic};

/// A call whose time is over while the gate is probed comes back after this.
const PROBED_SOON: Duration = Duration::from_secs(1);

/// Why nothing may go to the provider now.
#[derive(Clone, Copy)]
pub(super) enum NotCleared {
    GateClosed(Duration),
    BreakerOpen(Duration),
    Deadline,
    /// No caller waits any more.
    Unwanted,
}

/// What may go to the provider now. Boxed, since by default an attempt holds nothing, and many may be under way.
pub(super) struct Clearance<'r>(Option<Box<Holds<'r>>>);

/// What an attempt gives back when it is over.
struct Holds<'r> {
    _permit: Option<Permit<'r>>,
    probe: Option<Probe<'r>>,
    admission: Option<Admission<'r>>,
}

impl<'r> Clearance<'r> {
    fn new(permit: Option<Permit<'r>>, probe: Option<Probe<'r>>, admission: Option<Admission<'r>>) -> Self {
        let is_empty = permit.is_none() && probe.is_none() && admission.is_none();
        Self((!is_empty).then(|| Box::new(Holds { _permit: permit, probe, admission })))
    }

    /// Frees the place, and tells gate and breaker how it went; the breaker, without a word on that, that it says nothing.
    pub(super) fn leave(self, health: Option<ProviderHealth>, now: Instant) {
        let Some(holds) = self.0 else { return };
        if let Some(probe) = holds.probe {
            probe.answered();
        }
        if let (Some(admission), Some(health)) = (holds.admission, health) {
            admission.report(now, health);
        }
    }
}

impl Retrier {
    /// Waits for the gate and for a place while there is a caller, and asks the breaker. Never holds a place while waiting
    /// for the gate. Says since when the attempt may go.
    pub(super) fn clear<'r, 'a>(
        &'r self,
        (traffic, audience): (Traffic, Option<&'a Audience>),
        deadline: Deadline,
        (came, behind_gate): (Instant, bool),
        mut now: Instant,
    ) -> impl Future<Output = Result<(Clearance<'r>, Instant), NotCleared>> + Send + use<'r, 'a> {
        let Lane { gate, breaker } = self.lane(traffic);
        let mut waiting = behind_gate.then(|| self.credit.waits_at_gate());
        async move {
            let mut leaves_at = None;
            loop {
                if now >= deadline.at() {
                    return Err(waiting.map_or(NotCleared::Deadline, |_| NotCleared::GateClosed(PROBED_SOON)));
                }
                let probe = match gate.pass(now) {
                    Passing::Open => None,
                    Passing::Probe(probe) => Some(probe),
                    Passing::Closed { left, asked } => {
                        let wait = self.spread(left);
                        if asked > self.retry_after_cap || !deadline.allows(now, wait) {
                            return Err(NotCleared::GateClosed(asked));
                        }
                        waiting.get_or_insert_with(|| self.credit.waits_at_gate());
                        Box::pin(while_wanted(audience, sleep(wait))).await.ok_or(NotCleared::Unwanted)?;
                        (now, leaves_at) = (Instant::now(), None);
                        continue;
                    }
                    Passing::Probed(changed, longest) => {
                        waiting.get_or_insert_with(|| self.credit.waits_at_gate());
                        let left = deadline.left(now).min(longest.saturating_add(Duration::from_millis(1)));
                        let probed = Box::pin(while_wanted(audience, timeout(left, changed))).await;
                        probed.map(drop).ok_or(NotCleared::Unwanted)?;
                        (now, leaves_at) = (Instant::now(), None);
                        continue;
                    }
                };
                // Those who waited leave one after the other, so that they do not all come at once.
                if let (Some(waiting), None) = (&waiting, &probe) {
                    let at = *leaves_at.get_or_insert_with(|| waiting.leaves_at(came, now));
                    if now < at {
                        let wait = at.saturating_duration_since(now);
                        if !deadline.allows(now, wait) {
                            return Err(NotCleared::GateClosed(wait));
                        }
                        Box::pin(while_wanted(audience, sleep(wait))).await.ok_or(NotCleared::Unwanted)?;
                        now = Instant::now();
                        continue;
                    }
                }
                let permit = match self.concurrency.as_ref().map(|places| (places, places.try_take(now, deadline.at())))
                {
                    None => None,
                    Some((_, Some(permit))) => Some(permit),
                    Some((places, None)) => {
                        let permit = Box::pin(while_wanted(audience, places.take(now, deadline.at()))).await;
                        now = Instant::now();
                        Some(permit.ok_or(NotCleared::Unwanted)?.ok_or(NotCleared::Deadline)?)
                    }
                };
                // The call that had the permit before may have closed the gate.
                if permit.is_some() && probe.is_none() && !gate.is_open() {
                    continue;
                }
                let admission = breaker.as_ref().map(|breaker| breaker.admit(now)).transpose();
                let admission = admission.map_err(NotCleared::BreakerOpen)?;
                return Ok((Clearance::new(permit, probe, admission), now));
            }
        }
    }

    /// Clears an attempt that may wait for nothing.
    pub(super) fn clear_at_once(&self, traffic: Traffic, deadline: Deadline, now: Instant) -> Option<Clearance<'_>> {
        let Lane { gate, breaker } = self.lane(traffic);
        if !gate.is_open() || now >= deadline.at() {
            return None;
        }
        let permit = match &self.concurrency {
            Some(places) => Some(places.try_take(now, deadline.at())?),
            None => None,
        };
        let admission = breaker.as_ref().map(|breaker| breaker.admit(now)).transpose().ok()?;
        Some(Clearance::new(permit, None, admission))
    }
}
