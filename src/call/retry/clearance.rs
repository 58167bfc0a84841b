//! What an attempt passes before it is sent: the gate, a place, the breaker.

use std::future::Future;
use std::time::Duration;

use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep, timeout};

use crate::call::audience::{Audience, while_wanted};
use crate::call::breaker::{Admission, ProviderHealth};
use crate::call::concurrency::Permit;
use crate::call::deadline::Deadline;
use crate::call::gate::{Gate, Passing, Probe};

use super::Retrier;
use super::credit::{AtGate, Credit};
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

/// Whether the gate holds a call back now.
enum Held<'g> {
    No(Option<Probe<'g>>),
    For(Duration),
    /// Until the gate changes, for so long at most.
    UntilChanged(Notified<'g>, Duration),
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

    /// Frees the place, and tells gate and breaker how it went: the gate whether the provider replied, or else that the next
    /// call finds out; the breaker, without a word on its health, that it says nothing.
    pub(super) fn leave(self, has_reply: bool, health: Option<ProviderHealth>, now: Instant) {
        let Some(holds) = self.0 else { return };
        if let Some(probe) = holds.probe.filter(|_| has_reply) {
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
        let (Lane { gate, breaker }, credit, places) = (self.lane(traffic), self.credit(traffic), self.places(traffic));
        let mut waiting = behind_gate.then(|| credit.waits_at_gate());
        async move {
            let mut leaves_at = None;
            loop {
                if now >= deadline.at() {
                    return Err(waiting.map_or(NotCleared::Deadline, |_| NotCleared::GateClosed(PROBED_SOON)));
                }
                let held = self.held((gate, credit), &mut waiting, &mut leaves_at, deadline, (came, now))?;
                let probe = match held {
                    Held::No(probe) => probe,
                    Held::For(wait) => {
                        Box::pin(while_wanted(audience, sleep(wait))).await.ok_or(NotCleared::Unwanted)?;
                        now = Instant::now();
                        continue;
                    }
                    Held::UntilChanged(changed, longest) => {
                        let probed = Box::pin(while_wanted(audience, timeout(longest, changed))).await;
                        probed.map(drop).ok_or(NotCleared::Unwanted)?;
                        now = Instant::now();
                        continue;
                    }
                };
                let permit = match places.map(|places| (places, places.try_take(now, deadline.at()))) {
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

    /// Whether the gate holds a call back now. Those who waited leave one after the other, so that they do not all come at
    /// once.
    fn held<'r>(
        &'r self,
        (gate, credit): (&'r Gate, &'r Credit),
        waiting: &mut Option<AtGate<'r>>,
        leaves_at: &mut Option<Instant>,
        deadline: Deadline,
        (came, now): (Instant, Instant),
    ) -> Result<Held<'r>, NotCleared> {
        match gate.pass(now) {
            Passing::Probe(probe) => Ok(Held::No(Some(probe))),
            Passing::Open => {
                let Some(waiting) = waiting else { return Ok(Held::No(None)) };
                let at = *leaves_at.get_or_insert_with(|| waiting.leaves_at(came, now));
                let wait = at.saturating_duration_since(now);
                match wait {
                    Duration::ZERO => Ok(Held::No(None)),
                    _ if deadline.allows(now, wait) => Ok(Held::For(wait)),
                    _ => Err(NotCleared::GateClosed(wait)),
                }
            }
            Passing::Closed { left, asked } => {
                let wait = self.spread(left);
                if asked > self.retry_after_cap || !deadline.allows(now, wait) {
                    return Err(NotCleared::GateClosed(asked));
                }
                waiting.get_or_insert_with(|| credit.waits_at_gate());
                *leaves_at = None;
                Ok(Held::For(wait))
            }
            Passing::Probed(changed, longest) => {
                waiting.get_or_insert_with(|| credit.waits_at_gate());
                *leaves_at = None;
                let longest = deadline.left(now).min(longest.saturating_add(Duration::from_millis(1)));
                Ok(Held::UntilChanged(changed, longest))
            }
        }
    }

    /// Clears an attempt that may wait for nothing.
    pub(super) fn clear_at_once(&self, traffic: Traffic, deadline: Deadline, now: Instant) -> Option<Clearance<'_>> {
        let Lane { gate, breaker } = self.lane(traffic);
        if !gate.is_open() || now >= deadline.at() {
            return None;
        }
        let permit = match self.places(traffic) {
            Some(places) => Some(places.try_take(now, deadline.at())?),
            None => None,
        };
        let admission = breaker.as_ref().map(|breaker| breaker.admit(now)).transpose().ok()?;
        Some(Clearance::new(permit, None, admission))
    }
}
