//! One connection, shared by every call: the client library's multiplexer, over a stream of ours.
//!
//! Limits are ours too: how many requests are open, and what a request that was cut off may have done. Nothing is sent
//! twice, since the library's multiplexer has no retries.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, ErrorKind, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, Value};
use futures_util::future::{Either, select};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::endpoint::Login;
use super::reply::{Request, command};
use crate::store::StoreError;

/// The library's queue; what does not fit waits, within its caller's limit.
const MOST_QUEUED: usize = 1024;

/// Hears what the server says without being asked, before any answer that comes after that.
pub(super) type Pushes = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// One connection. Dropping it closes it.
pub(super) struct Wire {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    /// Requests wait for one of these in the order in which they came.
    places: Semaphore,
    most_open: usize,
    /// Requests whose callers left before the reply came; their places are taken until a later reply says that it has.
    left: AtomicUsize,
    /// Whether a request beyond the limit finds out what became of those.
    probing: AtomicBool,
    /// Told when one of those that wait may have to be that request.
    stuck: Notify,
    /// When a reply last came in, in microseconds since `opened`.
    heard: AtomicU64,
    opened: Instant,
}

impl Wire {
    /// Takes a stream over, with at most so many requests open at a time. Sends nothing.
    pub(super) async fn new<S>(stream: S, most_open: usize) -> Result<Self, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let no_login = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2);
        Self::open(stream, most_open, no_login, AsyncConnectionConfig::new()).await
    }

    /// Takes a stream over on which the server also says what it is not asked, and logs in, since that is said in RESP3 alone.
    pub(super) async fn listening<S>(
        stream: S,
        login: &Login,
        database: u16,
        pushes: Pushes,
    ) -> Result<Self, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(i64::from(database));
        if let Some(user) = &login.user {
            info = info.set_username(user);
        }
        if let Some(password) = &login.password {
            info = info.set_password(password);
        }
        let hear = move |push: PushInfo| {
            pushes(push);
            Ok::<(), ()>(())
        };
        Self::open(stream, 1, info, AsyncConnectionConfig::new().set_push_sender(hear)).await
    }

    async fn open<S>(
        stream: S,
        most_open: usize,
        info: RedisConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<Self, StoreError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Time is limited by the caller.
        let config = config.set_response_timeout(None).set_pipeline_buffer_size(most_open.clamp(1, MOST_QUEUED));
        let made = MultiplexedConnection::new_with_config(&info.set_skip_set_lib_name(), stream, config).await;
        let (connection, driver) = made.map_err(|error| not_opened(&error))?;
        Ok(Self {
            connection,
            driver: tokio::spawn(driver).abort_handle(),
            places: Semaphore::new(most_open.min(Semaphore::MAX_PERMITS)),
            most_open,
            left: AtomicUsize::new(0),
            probing: AtomicBool::new(false),
            stuck: Notify::new(),
            heard: AtomicU64::new(0),
            opened: Instant::now(),
        })
    }

    /// Sends a request and waits for its answer, however long that takes. Dropped, it may still be executed.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Value, StoreError> {
        self.place().await?.call(request).await
    }

    /// Waits for a place among the open requests, in order and however long that takes. Dropped, nothing was sent.
    pub(super) async fn place(&self) -> Result<ReplyPlace<'_>, StoreError> {
        self.check_open()?;
        let (free, must_probe) = (pin!(self.places.acquire()), pin!(self.must_probe()));
        let first = select(free, must_probe).await;
        let is_probe = matches!(first, Either::Right(_));
        if let Either::Left((permit, _)) = first {
            permit.map_err(|_closed| not_sent("it was given up"))?.forget();
        }
        Ok(ReplyPlace { wire: self, left_before: self.left.load(Ordering::Relaxed), is_probe, answered: false })
    }

    /// Ends once every place is held by a request whose caller left: then one more request has to find out what became of
    /// them. It ends for one of those that wait at a time.
    async fn must_probe(&self) {
        loop {
            if self.left.load(Ordering::Relaxed) >= self.most_open && !self.probing.swap(true, Ordering::Relaxed) {
                return;
            }
            // What is told between the look and this is kept for it.
            self.stuck.notified().await;
        }
    }

    /// Takes no further requests, those that wait for a place included.
    pub(super) fn refuse_more(&self) {
        self.places.close();
    }

    /// The same where it said nothing since then. Replies come in order: a server that said nothing all that time is hung, and a
    /// slow one is not helped by taking its connection away from every caller.
    pub(super) fn refuse_more_if_silent(&self, since: Instant) {
        if !self.heard_since(since) {
            self.refuse_more();
        }
    }

    /// Sends commands in one go, and waits for the answers to all of them.
    pub(super) async fn all(&self, commands: &[Vec<&[u8]>]) -> Result<Vec<Value>, StoreError> {
        self.check_open()?;
        let mut pipeline = ::redis::Pipeline::new();
        for words in commands {
            pipeline.add_command(command(words));
        }
        let mut connection = self.connection.clone();
        match self.read(connection.send_packed_commands(&pipeline, 0, commands.len()).await)? {
            Ok(replies) => Ok(replies),
            Err(refusal) => Ok(vec![refusal]),
        }
    }

    /// Tells a refusal of the server from a connection that broke.
    fn read<T>(&self, answer: Result<T, RedisError>) -> Result<Result<T, Value>, StoreError> {
        let answer = match answer {
            Ok(answer) => Ok(answer),
            // The first of the refusals says more than that the whole was called off.
            Err(error) => match error.clone().into_server_errors().as_deref() {
                Some([(_, refusal), ..]) => Err(Value::ServerError(refusal.clone())),
                _ => return Err(broken(&error)),
            },
        };
        let heard = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.heard.fetch_max(heard, Ordering::Relaxed);
        Ok(answer)
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.is_closed() { Err(not_sent("it was closed")) } else { Ok(()) }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }

    /// Whether it is open and was not given up.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_closed() && !self.places.is_closed()
    }

    /// Whether any reply has come in since then.
    pub(super) fn heard_since(&self, then: Instant) -> bool {
        let since = then.saturating_duration_since(self.opened).as_micros();
        u128::from(self.heard.load(Ordering::Relaxed)) > since
    }
}

/// The place of one request among those that may be open.
pub(super) struct ReplyPlace<'w> {
    wire: &'w Wire,
    /// So many were left open before this one was sent.
    left_before: usize,
    /// It has no place of its own.
    is_probe: bool,
    answered: bool,
}

impl ReplyPlace<'_> {
    /// Sends the request and waits for its answer, however long that takes. Dropped, it may still be executed.
    pub(super) async fn call(self, request: Request<'_>) -> Result<Value, StoreError> {
        let wire = self.wire;
        wire.check_open()?;
        let mut connection = wire.connection.clone();
        let reply = if let Request::One(words) = request {
            let answer = connection.send_packed_command(&command(words)).await;
            wire.read(answer)?.unwrap_or_else(|refusal| refusal)
        } else {
            let pipeline = request.pipeline();
            let answer = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await;
            match wire.read(answer)? {
                Ok(replies) => last_of(replies, request)?,
                Err(refusal) => refusal,
            }
        };
        self.answered();
        Ok(reply)
    }

    /// Replies come in order: whatever was sent before has its reply too, whether or not its caller still waits for it.
    fn answered(mut self) {
        self.answered = true;
        let take = |left: usize| Some(left.saturating_sub(self.left_before));
        let left = self.wire.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or_default();
        let own = usize::from(!self.is_probe);
        self.wire.places.add_permits(left.min(self.left_before).saturating_add(own));
    }
}

impl Drop for ReplyPlace<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.wire.probing.store(false, Ordering::Relaxed);
        } else if !self.answered {
            self.wire.left.fetch_add(1, Ordering::Relaxed);
        }
        if self.wire.left.load(Ordering::Relaxed) >= self.wire.most_open {
            self.wire.stuck.notify_one();
        }
    }
}

/// The reply that counts: the last one, or the first refusal before it, which says more than that the whole was called off.
/// Of reads all count, unless all are refused.
fn last_of(replies: Vec<Value>, request: Request<'_>) -> Result<Value, StoreError> {
    let is_refusal = |reply: &Value| matches!(reply, Value::ServerError(_));
    if matches!(request, Request::Reads(_)) && !replies.iter().all(is_refusal) {
        return Ok(Value::Array(replies));
    }
    let refused = replies.iter().position(is_refusal);
    if let Some(at) = refused
        && request.ran_apart(at)
    {
        return Err(StoreError::outcome_unknown("Redis refuses MULTI to this user; grant +multi and +exec"));
    }
    let counts = refused.unwrap_or_else(|| replies.len().saturating_sub(1));
    Ok(replies.into_iter().nth(counts).unwrap_or(Value::Nil))
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The error of a connection over which nothing of the request left this process.
fn not_sent(reason: &str) -> StoreError {
    StoreError::not_sent(format!("the connection to Redis was lost before anything was sent: {reason}"))
}

/// The error of a login, which the server may have refused.
fn not_opened(error: &RedisError) -> StoreError {
    match error.code() {
        // The library's own word for what servers before 7.0, and proxies like them, say to a HELLO that they do not know.
        None if error.kind() == ErrorKind::RESP3NotSupported => refused_greeting("ERR"),
        Some(code) => refused_greeting(code),
        None => not_sent(&reason(error)),
    }
}

fn refused_greeting(code: &str) -> StoreError {
    StoreError::refused(format!("the server refuses the greeting ({code})"))
}

/// The error of a connection that broke: the request may have been executed.
fn broken(error: &RedisError) -> StoreError {
    let reason = reason(error);
    StoreError::outcome_unknown(format!("the connection to Redis broke before the answer came: {reason}"))
}

/// The library's words, without what was sent.
fn reason(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.category()),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use ::redis::ServerErrorKind;

    use super::*;

    #[test]
    fn a_server_that_knows_no_hello_refuses_the_greeting_in_the_words_of_any_version() {
        let older = RedisError::from((ErrorKind::RESP3NotSupported, "the server does not support HELLO"));
        let newer = RedisError::from((ErrorKind::Server(ServerErrorKind::ResponseError), "unknown command 'HELLO'"));
        for error in [older, newer] {
            assert_eq!(not_opened(&error).to_string(), "the server refuses the greeting (ERR)");
        }
        let broken = RedisError::from((ErrorKind::Io, "connection reset"));
        assert!(!not_opened(&broken).is_refused());
    }
}
