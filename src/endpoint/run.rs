//! One run of a handler, in a task of its own, so that a client that hangs up does not cut it.
//!
//! | what the handler does | what is recorded |
//! |---|---|
//! | answers 2xx, 3xx or a 4xx | the answer, or that its body was too large |
//! | answers 401, 403, 405, 407, 425 or 429, or says [`NotExecuted`] | nothing: the key is released |
//! | has not begun while the lease would have lasted for it | nothing: it does not begin, and the key is released |
//! | answers 408 or 5xx, panics, takes too long, or breaks off its answer | that nobody knows; or nothing, where the route allows another run |

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;
use tracing::Span;

use crate::contained;
use crate::deadline::after;
use crate::envelope::NotExecuted;
use crate::ledger::{Entry, Holds, Key, Ledger, LedgerError, Ours, Replaced, later};
use crate::status_meaning::StatusMeaning;

use super::body::{Read, ResponseBody, read};
use super::place::Place;
use super::record::{Kept, Phase};
use super::refusal::Refusal;
use super::settings::{OnUnknown, Settings};
use super::turn::{Claim, entry};

/// A claim, and what is to come of it.
pub(super) struct Run {
    pub(super) settings: Arc<Settings>,
    pub(super) place: Place,
    pub(super) claim: Claim,
    pub(super) on_unknown: OnUnknown,
}

/// A handler's answer, as far as it was read.
enum Answered<R> {
    Whole(Parts, Bytes),
    TooLong(Parts, VecDeque<Bytes>, Pin<Box<R>>),
    Broken,
    /// It is not kept, so it need not be read.
    Unread(Parts, R, StatusMeaning),
}

impl Run {
    /// Runs the handler, records what came of it, and answers. In that order: an answer that a client has, a duplicate gets.
    pub(super) async fn go<S, B, R>(self, inner: S, request: Request<B>) -> Result<Response<ResponseBody<R>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body<Data = Bytes>,
    {
        // What is left of the lease has to last for the handler, and for recording what came of it.
        if self.claim.asked_at.elapsed() > self.settings.time_to_begin {
            let refusal = Refusal::Unavailable { retry_after: None };
            self.release(refusal.outcome()).await;
            return Ok(super::respond(&refusal));
        }
        let until = after(Instant::now(), self.settings.handler_timeout);
        let answered = match contained::run(|| self.handle(inner, request), until).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => {
                self.unknown().await;
                return Err(error);
            }
            Err(_) => Answered::Broken,
        };
        Ok(match answered {
            Answered::Whole(parts, body) => {
                self.done(&parts, Some(&body)).await;
                Response::from_parts(parts, ResponseBody::whole(body))
            }
            Answered::TooLong(parts, read, rest) => {
                self.done(&parts, None).await;
                Response::from_parts(parts, ResponseBody::rest(read, rest))
            }
            Answered::Unread(parts, body, meaning) => {
                match meaning {
                    StatusMeaning::NotExecuted => self.release("released").await,
                    _ => self.unknown().await,
                }
                Response::from_parts(parts, ResponseBody::passed(body))
            }
            Answered::Broken => {
                let refusal = match self.on_unknown {
                    OnUnknown::Refuse => Refusal::Indeterminate { reference: self.place.reference() },
                    OnUnknown::RunAgain => Refusal::NotCompleted,
                };
                self.unknown().await;
                super::respond(&refusal)
            }
        })
    }

    async fn handle<S, B, R>(&self, mut inner: S, request: Request<B>) -> Result<Answered<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body<Data = Bytes>,
    {
        let (parts, body) = inner.call(request).await?.into_parts();
        Ok(match self.meaning(&parts) {
            StatusMeaning::Executed | StatusMeaning::Refused => match read(body, self.settings.max_response_body).await
            {
                Read::Whole(body) => Answered::Whole(parts, body),
                Read::TooLong(read, rest) => Answered::TooLong(parts, read, rest),
                Read::Broken => Answered::Broken,
            },
            meaning => Answered::Unread(parts, body, meaning),
        })
    }

    /// What the answer says of its handler's effect, by what was stated and else by its status.
    fn meaning(&self, parts: &Parts) -> StatusMeaning {
        if parts.extensions.get::<NotExecuted>().is_some() || self.settings.never_kept.contains(&parts.status) {
            return StatusMeaning::NotExecuted;
        }
        match StatusMeaning::of(parts.status.as_u16()) {
            // The service has said otherwise by its own list.
            StatusMeaning::NotExecuted => StatusMeaning::Refused,
            meaning => meaning,
        }
    }

    /// Records the answer.
    async fn done(self, parts: &Parts, body: Option<&Bytes>) {
        let kept = Kept::of(parts.status, &parts.headers, &self.settings.kept_headers, body);
        let recorded = match self.record(Phase::Done(kept.clone())).await {
            Err(LedgerError::TooLarge { .. }) => self.record(Phase::Done(kept.without_body())).await,
            recorded => recorded,
        };
        self.told("first", recorded);
    }

    /// Records that nobody knows what became of it, unless the route allows another run.
    async fn unknown(self) {
        if self.on_unknown == OnUnknown::RunAgain {
            return self.release("not_completed").await;
        }
        let recorded = self.record(Phase::Indeterminate).await;
        self.settings.engine.telemetry.request_indeterminate(&self.place.digest);
        self.told("indeterminate", recorded);
    }

    /// Gives the key back.
    async fn release(mut self, outcome: &'static str) {
        if let Some(room) = &mut self.claim.room {
            room.free();
        }
        let ledger = &self.settings.engine.effects;
        let released = give_back(ledger, &self.place.key, &self.claim.ours).await;
        if released.is_err() {
            let (ledger, key, ours) = (ledger.clone(), self.place.key.clone(), self.claim.ours.clone());
            tokio::spawn(async move { later(Holds::Claim, || give_back(&ledger, &key, &ours)).await });
        }
        self.told(outcome, released.map(|()| true));
    }

    /// Writes what came of it. False when somebody else has taken over. What cannot be written now is tried again for a
    /// minute, so that a duplicate gets the answer all the same.
    async fn record(&self, phase: Phase<'_>) -> Result<bool, LedgerError> {
        let record = &self.claim.ours.record;
        let entry = entry(&self.settings, &self.place, record.nonce, record.generation, phase)?;
        let ledger = &self.settings.engine.effects;
        match settle(ledger, &self.place.key, &self.claim.ours, entry.clone()).await {
            Err(error) if !matches!(error, LedgerError::TooLarge { .. }) => {
                let (ledger, key, ours) = (ledger.clone(), self.place.key.clone(), self.claim.ours.clone());
                tokio::spawn(async move {
                    later(Holds::Record, async || settle(&ledger, &key, &ours, entry.clone()).await.map(|_| ())).await;
                });
                Err(error)
            }
            settled => settled,
        }
    }

    /// Counts the request, and says loudly what is not recorded.
    fn told(&self, outcome: &'static str, recorded: Result<bool, LedgerError>) {
        let telemetry = &self.settings.engine.telemetry;
        let outcome = match recorded {
            Ok(true) => outcome,
            Ok(false) => {
                telemetry.request_lost(&self.place.digest);
                "not_recorded"
            }
            Err(error) => {
                telemetry.store_failed(&error);
                "not_recorded"
            }
        };
        telemetry.request(&Span::current(), outcome);
    }
}

/// Writes what came of a run in the place of its claim; or of what others made of that when they found its lease over, who
/// could not know. False when somebody else has taken over.
async fn settle(ledger: &Ledger, key: &Key, ours: &Ours, entry: Entry) -> Result<bool, LedgerError> {
    let replaced = match ledger.settle(key, ours, entry.clone()).await? {
        Replaced::Lost(Some(held)) if held.is_of(ours.record.nonce) => ledger.take_over(key, &held, entry).await?,
        replaced => replaced,
    };
    Ok(matches!(replaced, Replaced::Ours(_)))
}

/// Removes a claim, or what others made of it.
async fn give_back(ledger: &Ledger, key: &Key, ours: &Ours) -> Result<(), LedgerError> {
    if ledger.release(key, ours).await? {
        return Ok(());
    }
    if let Some(held) = ledger.get(key).await?
        && held.is_of(ours.record.nonce)
    {
        ledger.remove(key, &held).await?;
    }
    Ok(())
}
