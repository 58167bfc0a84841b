//! A look-up of an object that is no payment, as something the loop tries once: the event that it is for comes again.

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use crate::call::attempt;
use crate::call::deadline::Deadline;
use crate::call::error::CallError;
use crate::call::refusals::ProviderCalls;
use crate::provider::{Door, ProviderError, RelatedAnswer, RelatedObject};
use crate::telemetry::Telemetry;

use super::Retrier;
use super::lane::Traffic;
use super::work::{Finished, NeverHedged, Work};

struct RelatedLookUp<'r> {
    retrier: &'r Retrier,
    object: &'r RelatedObject,
}

impl Work for RelatedLookUp<'_> {
    const TRAFFIC: Traffic = Traffic::LookUps;

    type Answer = RelatedAnswer;
    type Output = RelatedAnswer;
    type Hedge = NeverHedged;

    fn calls(&self) -> ProviderCalls {
        ProviderCalls::Related
    }

    fn attempt(
        &mut self,
        number: u32,
        _start: Instant,
        until: Instant,
    ) -> impl Future<Output = Result<RelatedAnswer, ProviderError>> + Send {
        let Retrier { provider, look_ups, .. } = self.retrier;
        attempt::related(&**provider, self.object, number, until, Arc::clone(&look_ups.gate) as Arc<dyn Door>)
    }

    fn failed(&mut self, _error: &ProviderError, _now: Instant) -> bool {
        false
    }

    fn finished(answer: RelatedAnswer, _finished: Finished) -> RelatedAnswer {
        answer
    }
}

impl Retrier {
    /// Asks once for an object and its payment, through the gate of the look-ups and what else holds those back.
    pub(crate) fn related<'r>(
        &'r self,
        object: &'r RelatedObject,
        deadline: Deadline,
        telemetry: &'r Telemetry,
    ) -> impl Future<Output = Result<RelatedAnswer, CallError>> + Send + 'r {
        self.run(RelatedLookUp { retrier: self, object }, Instant::now(), deadline, telemetry)
    }
}
