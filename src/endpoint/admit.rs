//! A look at a request's record, and what follows from it.
//!
//! | what is found | what happens |
//! |---|---|
//! | nothing | it is ours: the handler runs |
//! | another request under the same key | refused as reused, whatever became of that one |
//! | an answer | replayed |
//! | a run under way | waited for, and looked at again; then 409 |
//! | a run whose lease is over, or one whose end is unknown | 409, or run again where the route allows it |
//! | no answer from the store | 503: nothing runs |

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::ledger::{Acquired, Claimable, Contents, Decision, Held, Key, LateWords, Lease, LedgerError, Said, State};

use super::context::RequestContext;
use super::indeterminate::{self, requests};
use super::record::{KeptResponse, Replay, RequestPayload, RequestPhase};
use super::refusal::Refusal;
use super::settings::{LayerSettings, OnUnknown};
use super::tenant_keys::Reserved;

/// A client told to come back sooner than this would do nothing else.
const SHORTEST_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What came of a look.
pub(super) enum Admitted {
    /// The handler is this request's to run.
    Run(Box<Lease<RequestRecord>>),
    Replayed(Replay),
    Refused(Refusal),
}

/// Looks, waits for the run that is under way, and looks again.
pub(super) async fn admit(settings: &Arc<LayerSettings>, context: &RequestContext, on_unknown: OnUnknown) -> Admitted {
    let record = RequestRecord { settings: Arc::clone(settings), context: context.clone() };
    let deadline = Deadline::after(Instant::now(), settings.wait);
    let decide = |found: &Held, _| record.decide(found, on_unknown);
    let indeterminate = || Admitted::Refused(Refusal::Indeterminate { reference: context.reference() });
    // A tenant that holds its share of keys still gets what stands under those.
    let anew = || match &settings.keys {
        Some(keys) => keys.reserve(&context.tenant).map(|room| Some(Arc::new(room))).map_err(Known::ShareFull),
        None => Ok(None),
    };
    match settings.account.ledger.acquire(&record, anew, deadline, decide).await {
        Ok(Acquired::Lease(lease)) => {
            if let Some(room) = lease.carried() {
                room.keep();
            }
            Admitted::Run(lease)
        }
        Ok(Acquired::Answer(Known::ShareFull(refusal))) => Admitted::Refused(refusal),
        Ok(Acquired::Answer(Known::Answered(replay))) => Admitted::Replayed(*replay),
        Ok(Acquired::Answer(Known::Reused)) => Admitted::Refused(Refusal::KeyReused),
        Ok(Acquired::Answer(known @ (Known::Indeterminate | Known::Marked))) => {
            if matches!(known, Known::Marked) {
                settings.account.telemetry.request_indeterminate(&context.digest);
            }
            // That it cannot be put there changes nothing for its client. Who marked it may have ended before it did so.
            if let Err(error) = indeterminate::list(settings, context).await {
                settings.account.telemetry.store_failed(&error);
            }
            indeterminate()
        }
        Ok(Acquired::Busy { lease_left }) => {
            let retry_after = lease_left.min(settings.wait).max(SHORTEST_RETRY_AFTER);
            Admitted::Refused(Refusal::InProgress { retry_after })
        }
        Err(error) => {
            settings.account.telemetry.store_failed(&error);
            Admitted::Refused(Refusal::Unavailable { retry_after: error.retry_after() })
        }
    }
}

/// What a record says to a request.
enum Known {
    Answered(Box<Replay>),
    /// It is another request's, under the same key.
    Reused,
    Indeterminate,
    /// The same, as this request found out: the run's process is gone.
    Marked,
    /// There is none, and its tenant may hold no further key.
    ShareFull(Refusal),
}

/// The record of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestRecord {
    pub(super) settings: Arc<LayerSettings>,
    pub(super) context: RequestContext,
}

/// What came of a handler.
pub(super) enum RequestEnd {
    /// It answered: the payload, since the answer itself goes to the client.
    Answered(Vec<u8>),
    /// It may have had an effect.
    Indeterminate,
    /// It had none, or may be run again: the key is released.
    NotExecuted,
}

impl RequestEnd {
    /// The answer, where there was one.
    fn kept(&self) -> Option<KeptResponse<'_>> {
        let Self::Answered(payload) = self else { return None };
        match postcard::from_bytes(payload) {
            Ok(RequestPayload { phase: RequestPhase::Done(kept), .. }) => Some(kept),
            _ => None,
        }
    }
}

impl RequestRecord {
    fn decide(&self, found: &Held, on_unknown: OnUnknown) -> Result<Decision<Self, Known>, LedgerError> {
        let payload = RequestPayload::read(found)?;
        if !payload.is_about(&self.context.fingerprint) {
            return Ok(Decision::Answer(Known::Reused));
        }
        Ok(match (&payload.phase, on_unknown) {
            (RequestPhase::Done(kept), _) => Decision::Answer(Known::Answered(Box::new(kept.replay()))),
            (RequestPhase::UnderWay, _) if !found.lease_left().is_zero() => Decision::Wait,
            (RequestPhase::UnderWay, OnUnknown::Refuse) => {
                Decision::Mark(self.settled(self.payload(RequestPhase::Indeterminate)?), Known::Marked)
            }
            (RequestPhase::Indeterminate, OnUnknown::Refuse) => Decision::Answer(Known::Indeterminate),
            (RequestPhase::UnderWay | RequestPhase::Indeterminate, OnUnknown::RunAgain) => Decision::TakeOver(None),
        })
    }

    /// The last word about an answer.
    pub(super) fn answered(&self, kept: KeptResponse<'_>) -> Result<RequestEnd, LedgerError> {
        self.payload(RequestPhase::Done(kept)).map(RequestEnd::Answered)
    }

    fn payload(&self, phase: RequestPhase<'_>) -> Result<Vec<u8>, LedgerError> {
        self.context.key.payload_of(&RequestPayload::new(&self.context.fingerprint, phase))
    }

    fn settled(&self, payload: Vec<u8>) -> Contents {
        Contents { state: State::Settled, ttl: self.settings.retention, lease: Duration::ZERO, payload }
    }
}

/// Whatever it says, it is kept for the whole retention from then on.
impl Claimable for RequestRecord {
    /// The room of a key among those of its tenant, where they are limited.
    type Carried = Option<Arc<Reserved>>;
    type Word = RequestEnd;

    /// Where the record is gone, it was resolved or its time was over: a late answer would bring it back.
    fn late_words(&self, _word: Option<&RequestEnd>) -> LateWords {
        LateWords::OverOwnClaim
    }

    fn key(&self) -> &Key {
        &self.context.key
    }

    fn claim(&self, _room: &Option<Arc<Reserved>>, _since: Instant) -> Result<Contents, LedgerError> {
        let LayerSettings { retention: ttl, lease, .. } = *self.settings;
        Ok(Contents { state: State::Claimed, ttl, lease, payload: self.payload(RequestPhase::UnderWay)? })
    }

    /// Without its body.
    fn smaller(&self, word: &RequestEnd) -> Option<RequestEnd> {
        self.answered(word.kept()?.without_body()).ok()
    }

    /// What is unknown is listed; what is known after all, since another request had found the lease over, is taken off. An
    /// answer is told loudly where a person declared that the request was not executed: sent again, it may be executed twice.
    async fn follow(&self, _room: &Option<Arc<Reserved>>, word: &RequestEnd, said: &Said) -> Result<(), LedgerError> {
        match (word, said) {
            (_, Said::Lost(_)) if word.kept().is_some_and(|kept| kept.is_executed()) => {
                let (account, digest) = (&self.settings.account, &self.context.digest);
                if requests(account).was_declared_not_executed(digest).await? {
                    account.telemetry.contradicted("request", digest);
                }
                Ok(())
            }
            (_, Said::Lost(_)) => Ok(()),
            (RequestEnd::Indeterminate, _) => indeterminate::list(&self.settings, &self.context).await,
            (_, Said::InTime) => Ok(()),
            (_, Said::Late) => requests(&self.settings.account).remove(&self.context.digest).await.map(drop),
        }
    }

    fn last(&self, _room: &Option<Arc<Reserved>>, word: &RequestEnd) -> Result<Option<Contents>, LedgerError> {
        Ok(match word {
            RequestEnd::Answered(payload) => Some(self.settled(payload.clone())),
            RequestEnd::Indeterminate => Some(self.settled(self.payload(RequestPhase::Indeterminate)?)),
            RequestEnd::NotExecuted => None,
        })
    }
}
