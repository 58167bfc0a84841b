//! One run of a handler, in a task of its own, so that a client that hangs up does not cut it.
//!
//! | what the handler does | what is recorded |
//! |---|---|
//! | answers 2xx, 3xx or a 4xx | the answer, or that its body was too large |
//! | answers 401, 403, 405, 407, 425 or 429, or says [`NotExecuted`] | nothing: the key is released |
//! | has not begun while the lease would have lasted for it | nothing: it does not begin, and the key is released |
//! | says [`Repeatable`] | nothing: the key is released, since another run is safe |
//! | answers 408 or 5xx, panics, takes too long, or breaks off its answer | that the outcome is unknown; or nothing, where the route allows another run |

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

use crate::call::contained::{self, Aborted};
use crate::call::deadline::after;
use crate::envelope::{NotExecuted, Repeatable};
use crate::guard::OperationReference;
use crate::http::status_meaning::StatusMeaning;
use crate::ledger::{Lease, LedgerError};

use super::admit::{RequestEnd, RequestRecord};
use super::body::{Read, ResponseBody, read};
use super::context::RequestContext;
use super::record::KeptResponse;
use super::refusal::Refusal;
use super::settings::{LayerSettings, OnUnknown};

/// A claim, and what is to come of it.
pub(super) struct Run {
    pub(super) lease: Box<Lease<RequestRecord>>,
    pub(super) on_unknown: OnUnknown,
}

/// A handler's answer, as far as it was read.
enum Answered<R> {
    Whole(Parts, Bytes),
    TooLong(Parts, VecDeque<Bytes>, Pin<Box<R>>),
    Broken,
    Panicked,
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
        if self.lease.held_for() > self.settings().time_to_begin {
            let refusal = Refusal::Unavailable { retry_after: None };
            self.release(refusal.outcome()).await;
            return Ok(super::respond(&refusal));
        }
        let until = after(Instant::now(), self.settings().handler_timeout);
        let answered = match contained::catch_until(|| self.handle(inner, request), until).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => {
                self.unknown().await;
                return Err(error);
            }
            Err(Aborted::Panicked) => Answered::Panicked,
            Err(Aborted::TimedOut) => Answered::Broken,
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
                    _ if parts.extensions.get::<Repeatable>().is_some() => self.release("not_completed").await,
                    StatusMeaning::NotExecuted => self.release("released").await,
                    _ => self.unknown().await,
                }
                Response::from_parts(parts, ResponseBody::passed(body))
            }
            Answered::Broken => self.broken(|reference| Refusal::Indeterminate { reference }).await,
            Answered::Panicked => self.broken(|reference| Refusal::HandlerPanicked { reference }).await,
        })
    }

    /// There is no answer to give.
    async fn broken<B: From<Bytes>>(self, refused: impl FnOnce(OperationReference) -> Refusal) -> Response<B> {
        let refusal = match self.on_unknown {
            OnUnknown::Refuse => refused(self.context().reference()),
            OnUnknown::RunAgain => Refusal::NotCompleted,
        };
        self.unknown().await;
        super::respond(&refusal)
    }

    fn settings(&self) -> &LayerSettings {
        &self.lease.what().settings
    }

    fn context(&self) -> &RequestContext {
        &self.lease.what().context
    }

    async fn handle<S, B, R>(&self, mut inner: S, request: Request<B>) -> Result<Answered<R>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body<Data = Bytes>,
    {
        let (parts, body) = inner.call(request).await?.into_parts();
        Ok(match self.meaning(&parts) {
            // Its key is released, whatever its status.
            meaning if parts.extensions.get::<Repeatable>().is_some() => Answered::Unread(parts, body, meaning),
            StatusMeaning::Executed | StatusMeaning::Refused => {
                match read(body, self.settings().max_response_body).await {
                    Read::Whole(body) => Answered::Whole(parts, body),
                    Read::TooLong(read, rest) => Answered::TooLong(parts, read, rest),
                    Read::Broken => Answered::Broken,
                }
            }
            meaning => Answered::Unread(parts, body, meaning),
        })
    }

    /// What the answer says of its handler's effect, by what was stated and else by its status.
    fn meaning(&self, parts: &Parts) -> StatusMeaning {
        if parts.extensions.get::<NotExecuted>().is_some() || self.settings().never_kept.contains(&parts.status) {
            return StatusMeaning::NotExecuted;
        }
        match StatusMeaning::of(parts.status.as_u16()) {
            // The service has said otherwise by its own list.
            StatusMeaning::NotExecuted => StatusMeaning::Refused,
            meaning => meaning,
        }
    }

    /// Records the answer.
    async fn done(mut self, parts: &Parts, body: Option<&Bytes>) {
        let settings = Arc::clone(&self.lease.what().settings);
        let kept = KeptResponse::of(parts.status, &parts.headers, &settings.kept_headers, body);
        let recorded = match self.lease.what().answered(kept) {
            Ok(word) => self.lease.conclude(word).await,
            Err(error) => Err(error),
        };
        self.told("first", recorded);
    }

    /// Records that what became of it is unknown, unless the route allows another run.
    async fn unknown(mut self) {
        if self.on_unknown == OnUnknown::RunAgain {
            return self.release("not_completed").await;
        }
        let recorded = self.lease.conclude(RequestEnd::Indeterminate).await;
        let RequestRecord { settings, context } = self.lease.what();
        settings.account.telemetry.request_indeterminate(&context.digest);
        self.told("indeterminate", recorded);
    }

    /// Gives the key back.
    async fn release(mut self, outcome: &'static str) {
        if let Some(room) = self.lease.carried() {
            room.free();
        }
        let released = self.lease.conclude(RequestEnd::NotExecuted).await;
        // Another process that has taken over has the key by now.
        self.told(outcome, released.map(|_| true));
    }

    /// Counts the request, and says loudly what is not recorded.
    fn told(&self, outcome: &'static str, recorded: Result<bool, LedgerError>) {
        let telemetry = &self.settings().account.telemetry;
        let outcome = match recorded {
            Ok(true) => outcome,
            Ok(false) => {
                telemetry.request_lost(&self.context().digest);
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
