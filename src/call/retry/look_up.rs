//! A look-up of one payment, as something the loop tries.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use crate::call::attempt;
use crate::call::audience::Audience;
use crate::call::deadline::Deadline;
use crate::call::error::CallError;
use crate::call::refusals::ProviderCalls;
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;
use crate::payment::request_ids::RequestIds;
use crate::provider::attempt_log::{AttemptOutcome, Attempts};
use crate::provider::{Door, ProviderError};
use crate::telemetry::Telemetry;

use super::Retrier;
use super::lane::Traffic;
use super::told::Told;
use super::work::{Finished, Hedge, Running, Work};

/// What the provider answered, when, and after which attempts.
#[derive(Debug)]
pub(crate) struct LookUpAnswer {
    pub(crate) facts: ProviderPayment,
    /// When the attempt that was answered began.
    pub(crate) asked_at: Instant,
    pub(crate) at: Instant,
    pub(crate) attempts: Attempts,
}

/// Whom to ask about which payment, and who wants to know.
#[derive(Clone, Copy)]
struct Question<'r> {
    retrier: &'r Retrier,
    payment: &'r PaymentId,
    audience: &'r Audience,
}

impl<'r> Question<'r> {
    fn ask(
        self,
        number: u32,
        until: Instant,
    ) -> impl Future<Output = Result<ProviderPayment, ProviderError>> + Send + 'r {
        let Retrier { provider, look_ups, .. } = self.retrier;
        let door = Arc::clone(&look_ups.gate) as Arc<dyn Door>;
        attempt::look_up(&**provider, self.payment, number, until, door)
    }
}

struct LookUp<'r, F> {
    question: Question<'r>,
    started: F,
}

impl<'r, F: Fn(Option<Instant>) + Send> Work for LookUp<'r, F> {
    const TRAFFIC: Traffic = Traffic::LookUps;

    type Answer = ProviderPayment;
    type Output = LookUpAnswer;
    type Hedge = Question<'r>;

    fn calls(&self) -> ProviderCalls {
        let Question { retrier, payment, .. } = self.question;
        retrier.calls_about(payment)
    }

    fn audience(&self) -> Option<&Audience> {
        Some(self.question.audience)
    }

    fn told(&self, now: Instant) -> Option<Told> {
        self.question.retrier.told.of(self.question.payment, now)
    }

    fn attempt(
        &mut self,
        number: u32,
        start: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<ProviderPayment, ProviderError>> + Send {
        (self.started)(Some(start));
        self.question.ask(number, until)
    }

    fn hedge(&self) -> Option<Question<'r>> {
        Some(self.question)
    }

    fn failed(&mut self, error: &ProviderError, now: Instant) -> bool {
        (self.started)(None);
        self.question.retrier.note_told(self.question.payment, error, now);
        // A look-up changes nothing.
        true
    }

    fn is_ready(facts: &ProviderPayment) -> bool {
        !facts.not_ready
    }

    fn asks_again(&mut self) {
        (self.started)(None);
    }

    fn shown(facts: &mut ProviderPayment) -> (AttemptOutcome, RequestIds) {
        shown(facts)
    }

    fn finished(facts: ProviderPayment, Finished { asked_at, at, attempts }: Finished) -> LookUpAnswer {
        LookUpAnswer { facts, asked_at, at, attempts }
    }
}

/// What the attempt log shows of a payment's facts.
pub(super) fn shown(facts: &mut ProviderPayment) -> (AttemptOutcome, RequestIds) {
    let outcome = if facts.not_ready { AttemptOutcome::NotReady } else { AttemptOutcome::Facts };
    (outcome, std::mem::take(&mut facts.request_ids))
}

impl Hedge<ProviderPayment> for Question<'_> {
    fn attempt(&self, number: u32, until: Instant) -> Running<'_, ProviderPayment> {
        Box::pin(self.ask(number, until))
    }

    fn audience(&self) -> &Audience {
        self.audience
    }
}

impl Retrier {
    /// Which calls look this id up.
    pub(super) fn calls_about(&self, id: &PaymentId) -> ProviderCalls {
        if self.provider.is_alias(id) { ProviderCalls::Aliases } else { ProviderCalls::Payments }
    }

    /// Asks for a payment's facts, for as long as there is a caller who waits for them: then an attempt under way is the last
    /// one. `started` hears of each attempt, and of its failure.
    ///
    /// Hands the loop's own future on, since a further one around it would make each leader's task larger.
    pub(crate) fn look_up<'r>(
        &'r self,
        (payment, audience): (&'r PaymentId, &'r Audience),
        begin: Instant,
        deadline: Deadline,
        telemetry: &'r Telemetry,
        started: impl Fn(Option<Instant>) + Send + 'r,
    ) -> impl Future<Output = Result<LookUpAnswer, CallError>> + Send + 'r {
        let question = Question { retrier: self, payment, audience };
        self.run(LookUp { question, started }, begin, deadline, telemetry)
    }
}
