//! Asking once more beside an attempt that was overtaken. The old attempt stays open, and the first answer counts.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::provider::ProviderError;

use super::Retrier;
use super::clearance::Clearance;
use super::credit::{Paid, Unpaid};
use super::decision::{Transient, decide};
use super::history::{AttemptHistory, Begun};
use super::work::{Hedge, Running, Work};

/// An attempt under way, and what it holds.
pub(super) struct OpenAttempt<'r, 'w, A> {
    pub(super) begun: Begun,
    pub(super) clearance: Clearance<'r>,
    pub(super) running: Running<'w, A>,
}

/// What came of an attempt.
pub(super) struct Reply<'r, A> {
    pub(super) answer: Result<A, ProviderError>,
    pub(super) begun: Begun,
    pub(super) clearance: Clearance<'r>,
}

enum Event<'r, A> {
    Replied(usize, Result<A, ProviderError>),
    Overtaken(Paid<'r>),
    Alarm,
    Audience,
}

impl Retrier {
    /// How an attempt is asked once more beside itself, if it may be, and until when it is waited for alone.
    pub(super) fn hedge_of<W: Work>(
        &self,
        work: &W,
        begun: Begun,
        history: &AttemptHistory<'_>,
    ) -> (Option<W::Hedge>, Instant) {
        let credit = self.credit(W::TRAFFIC);
        let silent_at = credit.silent_at(begun.start);
        let may_hedge = credit.hedges() && history.waits.left() >= LEAST_LEFT && silent_at < begun.until;
        match work.hedge().filter(|_| may_hedge) {
            Some(hedge) => (Some(hedge), silent_at),
            None => (None, begun.until),
        }
    }

    /// Goes on with an attempt that is silent, and asks once more beside it each time that it was overtaken. Brings the
    /// first reply that decides: an answer, a refusal, or the failure of the last attempt that was open.
    pub(super) async fn go_on<'r, 'w, A: Send>(
        &'r self,
        first: OpenAttempt<'r, 'w, A>,
        hedge: &'w impl Hedge<A>,
        history: &mut AttemptHistory<'_>,
    ) -> Reply<'r, A> {
        let mut alarm = pin!(sleep_until(first.begun.until));
        // Since when the latest attempt is silent, if it may be asked once more; in the queue while a caller waits.
        let (mut silent_since, mut silent) = (Some(first.begun.start), None);
        let mut open = vec![first];
        loop {
            let mut changed = pin!(hedge.audience().changed());
            if hedge.audience().is_empty() {
                silent = None;
            } else if silent.is_none() {
                silent = silent_since.map(|since| self.credit(history.traffic).silent(since));
            }
            if let Some(next) = open.iter().map(|attempt| attempt.begun.until).min() {
                alarm.as_mut().reset(next);
            }
            let next = |cx: &mut Context<'_>| match poll(&mut open, &mut silent, alarm.as_mut(), cx) {
                Poll::Pending => changed.as_mut().poll(cx).map(|()| Event::Audience),
                event @ Poll::Ready(_) => event,
            };
            let event = poll_fn(next).await;
            let now = Instant::now();
            let replied = match event {
                Event::Replied(at, answer) => Some((at, answer)),
                Event::Alarm => {
                    let over = open.iter().enumerate().find(|(_, attempt)| attempt.begun.until <= now);
                    over.map(|(at, attempt)| (at, Err(ProviderError::timed_out(attempt.begun.limit()))))
                }
                Event::Overtaken(paid) => {
                    silent = None;
                    silent_since = self.hedge(&mut open, hedge, paid, history, now);
                    None
                }
                Event::Audience => None,
            };
            let Some((at, answer)) = replied else { continue };
            let OpenAttempt { begun, clearance, .. } = open.remove(at);
            let error = match answer {
                Err(error) if !open.is_empty() => error,
                answer => {
                    abandon(&open, history, now);
                    return Reply { answer, begun, clearance };
                }
            };
            let decision = decide(&error, &self.patterns);
            if decision.transient == Transient::No {
                abandon(&open, history, now);
                return Reply { answer: Err(error), begun, clearance };
            }
            self.close_gate(history.traffic, &error, now);
            self.leave(clearance, (&error, &decision), begun, history, now);
            history.failed(&error, decision, None, begun, now);
        }
    }

    /// Asks once more, if gate and breaker and places let it pass at once. Since when that attempt may be overtaken, if it may.
    fn hedge<'r, 'w, A: Send>(
        &'r self,
        open: &mut Vec<OpenAttempt<'r, 'w, A>>,
        hedge: &'w impl Hedge<A>,
        paid: Paid<'r>,
        history: &mut AttemptHistory<'_>,
        now: Instant,
    ) -> Option<Instant> {
        let deadline = history.deadline;
        let clearance =
            self.clear_at_once(history.traffic, deadline, now).filter(|_| history.waits.nominal().is_some())?;
        paid.spent();
        if let Some(overtaken) = open.last_mut() {
            overtaken.begun.hedged_after = Some(now.saturating_duration_since(overtaken.begun.start));
        }
        let until = deadline.attempt_until(now, self.attempt_timeout(history.traffic));
        let begun = history.begin(now, until);
        let running = hedge.attempt(begun.number, until);
        open.push(OpenAttempt { begun, clearance, running });
        (history.waits.left() >= LEAST_LEFT).then_some(now)
    }
}

/// A hedge uses one of the call's retries, and never the last one: that is for after the silence.
const LEAST_LEFT: u32 = 2;

/// One of the attempts replied, the silent one was overtaken, or one has to be cut off.
fn poll<'r, A>(
    open: &mut [OpenAttempt<'_, '_, A>],
    silent: &mut Option<Unpaid<'r>>,
    alarm: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
) -> Poll<Event<'r, A>> {
    for (at, attempt) in open.iter_mut().enumerate() {
        if let Poll::Ready(answer) = attempt.running.as_mut().poll(cx) {
            return Poll::Ready(Event::Replied(at, answer));
        }
    }
    if let Some(silent) = silent
        && let Poll::Ready(paid) = Pin::new(silent).poll(cx)
    {
        return Poll::Ready(Event::Overtaken(paid));
    }
    alarm.poll(cx).map(|()| Event::Alarm)
}

fn abandon<A>(open: &[OpenAttempt<'_, '_, A>], history: &mut AttemptHistory<'_>, now: Instant) {
    for attempt in open {
        history.abandoned(attempt.begun, now);
    }
}
