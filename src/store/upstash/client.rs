//! The REST interface that Upstash Redis and Vercel KV share.
//!
//! Each verb is one run of one script: one request, one command, answered by the primary. A plain GET may be answered by a
//! replica, and a transaction of SET, GET and PTTL is three commands on the bill, so neither is ever sent. With one command
//! per verb there is nothing to batch.
//!
//! A server that does not know the script by its digest did nothing, and is sent its text: the one case in which a verb is
//! a second request. Nothing else is tried again.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::failure::{self, CommandFailure, CommandRefusal, Meaning};
use super::script::{LOCKING, PLAIN, RestScript};
use super::wire::{self, Text, Verb};
use crate::accessors::partial_debug;
use crate::http::object::Object;
use crate::http::retry_after;
use crate::http::transport::{self, HttpReply};
use crate::lock::Lock;
use crate::store::kept_loss::KeptLoss;
use crate::store::{StoreError, Swap};

/// A value of 1 MiB, encoded by us and again by the server, with what stands around it.
const MAX_BODY: usize = 2 << 20;

/// Makes a server wait for what this client has written elsewhere; a hint, and no promise between two clients.
const SYNC_TOKEN: HeaderName = HeaderName::from_static("upstash-sync-token");

/// What the server may send as its sync token. Theirs have about 40 characters.
const MAX_SYNC_TOKEN: usize = 512;

/// One database behind its REST interface.
pub(super) struct RestClient {
    pub(super) http: Client,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) token: String,
    /// The latest that came.
    pub(super) sync_token: Lock<Option<HeaderValue>>,
    pub(super) slots: Semaphore,
    pub(super) command_timeout: Duration,
    /// Set once the server has refused the script that locks its key alone.
    pub(super) refuses_flags: AtomicBool,
    pub(super) loss: KeptLoss,
}

impl RestClient {
    pub(super) async fn verb(&self, key: &str, verb: Verb<'_>) -> Result<Swap, StoreError> {
        self.read(&[key], verb, wire::answer).await
    }

    pub(super) async fn read<T>(
        &self,
        keys: &[&str],
        verb: Verb<'_>,
        read: fn(&str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        Ok(self.bounded(self.run(keys, verb, read)).await?)
    }

    /// One call in one slot and within its time, which begins with the wait for the slot.
    pub(super) async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T, CommandFailure>>,
    ) -> Result<T, CommandFailure> {
        let begun = Instant::now();
        let _slot = self.slot().await?;
        timeout(self.command_timeout.saturating_sub(begun.elapsed()), work).await.unwrap_or_else(|_| {
            let limit = self.command_timeout;
            Err(StoreError::outcome_unknown(format!("no answer within {limit:?}")).into())
        })
    }

    /// Callers wait for a slot in order, in their own futures, so the queue is as long as they are many, and empties with
    /// time. Half the time-out is for this: nothing is sent that has next to no time for its answer.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let patience = self.command_timeout.checked_div(2).unwrap_or_default();
        if let Ok(Ok(slot)) = timeout(patience, self.slots.acquire()).await {
            return Ok(slot);
        }
        Err(StoreError::not_sent(format!("`max_in_flight` requests were under way for {patience:?}")))
    }

    pub(super) async fn run<T>(
        &self,
        keys: &[&str],
        verb: Verb<'_>,
        read: fn(&str) -> Result<T, StoreError>,
    ) -> Result<T, CommandFailure> {
        let ask = async |run: &str, script: &str| {
            let reply = self.post(wire::run_script(run, script, keys, verb)).await?;
            let Text(result) = self.result(keys, &reply)?;
            Ok(read(&result)?)
        };
        let script = self.script();
        let known: Result<T, CommandFailure> = ask("EVALSHA", script.digest).await;
        if !known.as_ref().is_err_and(|failure| failure.meaning == Some(Meaning::NoScript)) {
            return known;
        }
        let sent = ask("EVAL", script.text).await;
        if !sent.as_ref().is_err_and(|failure| failure.meaning == Some(Meaning::Flags)) || *script == PLAIN {
            return sent;
        }
        self.refuses_flags.store(true, Ordering::Relaxed);
        ask("EVAL", PLAIN.text).await
    }

    pub(super) fn script(&self) -> &'static RestScript {
        if self.refuses_flags.load(Ordering::Relaxed) { &PLAIN } else { &LOCKING }
    }

    /// Runs a command without the script.
    pub(super) async fn plain(&self, arguments: &[&str]) -> Result<Value, StoreError> {
        let work = async {
            let reply = self.post(wire::command(arguments)).await?;
            self.result(&[], &reply)
        };
        Ok(self.bounded(work).await?)
    }

    async fn post(&self, body: String) -> Result<HttpReply, StoreError> {
        let mut headers = self.headers.clone();
        if let Some(token) = &*self.sync_token.lock() {
            headers.insert(SYNC_TOKEN, token.clone());
        }
        let sent = transport::post(&self.http, self.url.clone(), headers, body, MAX_BODY).await;
        let mut reply = sent.map_err(failure::of_transport)?;
        if let Some(token) = reply.headers.remove(SYNC_TOKEN).filter(|token| token.len() <= MAX_SYNC_TOKEN) {
            *self.sync_token.lock() = Some(token);
        }
        Ok(reply)
    }

    /// The result in a reply, or why there is none.
    fn result<'r, R: Deserialize<'r>>(&self, keys: &[&str], reply: &'r HttpReply) -> Result<R, CommandFailure> {
        let read: Option<Object<wire::RestReply<'r, R>>> = serde_json::from_slice(&reply.body).ok();
        let error = match read.map(|Object(reply)| reply) {
            Some(wire::RestReply { result: Some(result), error: None }) if reply.status == 200 => return Ok(result),
            Some(wire::RestReply { error, .. }) => error,
            None => None,
        };
        if let (Some(fault), 200..=299) = (&reply.fault, reply.status) {
            return Err(failure::of_transport(fault.clone()).into());
        }
        let waits = reply.headers.get_all(RETRY_AFTER).iter().filter_map(|value| value.to_str().ok());
        let refusal = CommandRefusal {
            status: reply.status,
            retry_after: retry_after::parse(waits, reply.header("date")),
            error: error.as_ref().map(|Text(text)| &**text),
            body: &reply.body,
            hidden: &[&[&*self.token], keys].concat(),
        };
        Err(refusal.failure())
    }
}

// Shows where it is, and no token.
partial_debug!(RestClient, self => url: self.url.origin().ascii_serialization(), command_timeout: self.command_timeout);
