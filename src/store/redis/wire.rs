//! One connection, shared by every call: the client library's multiplexer, over a stream of ours.
//!
//! Limits are ours too: how many requests are open, and what a request that was cut off may have done. Nothing is sent
//! twice, since the library's multiplexer has no retries.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::reply::{Reply, Request, command};

/// The library's queue; what does not fit waits, within its caller's limit.
const MOST_QUEUED: usize = 1024;

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// So many requests are open already that this one was not taken.
    Full(usize),
    /// Nothing of the request left this process.
    NotSent(Box<str>),
    /// The request may have been executed.
    Unknown(Box<str>),
}

impl Lost {
    /// Why, where it does not matter how far the request got.
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Full(_) => "too many commands are under way",
            Self::NotSent(reason) | Self::Unknown(reason) => reason,
        }
    }
}

/// One connection. Dropping it closes it.
pub(super) struct Wire {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    places: Semaphore,
    most_open: usize,
    /// Requests whose callers left before the reply came; their places are taken until a later reply says that it has.
    left: AtomicUsize,
    /// Whether a request beyond the limit finds out what became of those.
    probing: AtomicBool,
    /// When a reply last came in, in microseconds since `opened`.
    heard: AtomicU64,
    opened: Instant,
}

impl Wire {
    /// Takes a stream over, with at most so many requests open at a time. Sends nothing.
    pub(super) async fn new<S>(stream: S, most_open: usize) -> Result<Self, Lost>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let nobody = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        // Time is limited by the caller.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(most_open.clamp(1, MOST_QUEUED));
        let made = MultiplexedConnection::new_with_config(&nobody, stream, config).await;
        let (connection, driver) = made.map_err(|error| Lost::NotSent(reason(&error)))?;
        Ok(Self {
            connection,
            driver: tokio::spawn(driver).abort_handle(),
            places: Semaphore::new(most_open.min(Semaphore::MAX_PERMITS)),
            most_open,
            left: AtomicUsize::new(0),
            probing: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            opened: Instant::now(),
        })
    }

    /// Sends a request and waits for its answer, however long that takes. Dropped, it may still be executed.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Reply, Lost> {
        self.check_open()?;
        let place = self.take_place()?;
        let mut connection = self.connection.clone();
        let reply = if let Request::One(words) = request {
            let answer = connection.send_packed_command(&command(words)).await;
            self.read(answer)?.map_or_else(|refusal| refusal, Reply::from)
        } else {
            let pipeline = request.pipeline();
            let answer = connection.send_packed_commands(&pipeline, 0, pipeline.len()).await;
            match self.read(answer)? {
                Ok(replies) => last_of(replies, request)?,
                Err(refusal) => refusal,
            }
        };
        place.answered();
        Ok(reply)
    }

    fn take_place(&self) -> Result<Place<'_>, Lost> {
        let left_before = self.left.load(Ordering::Relaxed);
        let is_probe = match self.places.try_acquire() {
            Ok(permit) => {
                permit.forget();
                false
            }
            // Nobody waits for any of them, so one more has to find out what became of them.
            Err(_) if left_before >= self.most_open && !self.probing.swap(true, Ordering::Relaxed) => true,
            Err(_) => return Err(Lost::Full(self.most_open)),
        };
        Ok(Place { wire: self, left_before, is_probe, answered: false })
    }

    /// Sends commands in one go, and waits for the answers to all of them.
    pub(super) async fn all(&self, commands: &[Vec<&[u8]>]) -> Result<Vec<Reply>, Lost> {
        self.check_open()?;
        let mut pipeline = ::redis::Pipeline::new();
        for words in commands {
            pipeline.add_command(command(words));
        }
        let mut connection = self.connection.clone();
        match self.read(connection.send_packed_commands(&pipeline, 0, commands.len()).await)? {
            Ok(replies) => Ok(replies.into_iter().map(Reply::from).collect()),
            Err(refusal) => Ok(vec![refusal]),
        }
    }

    /// Tells a refusal of the server from a connection that broke.
    fn read<T>(&self, answer: Result<T, RedisError>) -> Result<Result<T, Reply>, Lost> {
        let answer = match answer {
            Ok(answer) => Ok(answer),
            Err(error) => Err(Reply::of_error(error).map_err(|error| Lost::Unknown(reason(&error)))?),
        };
        let heard = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.heard.fetch_max(heard, Ordering::Relaxed);
        Ok(answer)
    }

    fn check_open(&self) -> Result<(), Lost> {
        if self.is_closed() { Err(Lost::NotSent("the connection was closed".into())) } else { Ok(()) }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_finished()
    }

    /// Whether any reply has come in since then.
    pub(super) fn heard_since(&self, then: Instant) -> bool {
        let since = then.saturating_duration_since(self.opened).as_micros();
        u128::from(self.heard.load(Ordering::Relaxed)) > since
    }
}

/// A request that is open, and its place among those that may be.
struct Place<'w> {
    wire: &'w Wire,
    /// So many were left open before this one was sent.
    left_before: usize,
    /// It has no place of its own.
    is_probe: bool,
    answered: bool,
}

impl Place<'_> {
    /// Replies come in order: whatever was sent before has its reply too, whether or not somebody waits for it.
    fn answered(mut self) {
        self.answered = true;
        let take = |left: usize| Some(left.saturating_sub(self.left_before));
        let left = self.wire.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or_default();
        let own = usize::from(!self.is_probe);
        self.wire.places.add_permits(left.min(self.left_before).saturating_add(own));
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.wire.probing.store(false, Ordering::Relaxed);
        } else if !self.answered {
            self.wire.left.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The reply that counts: the last one, or the first refusal before it, which says more than that the whole was called off.
fn last_of(replies: Vec<Value>, request: Request<'_>) -> Result<Reply, Lost> {
    let refused = replies.iter().position(|reply| matches!(reply, Value::ServerError(_)));
    if let Some(at) = refused
        && request.ran_apart(at)
    {
        return Err(Lost::Unknown("Redis refuses MULTI to this user; grant +multi and +exec".into()));
    }
    let counts = refused.unwrap_or_else(|| replies.len().saturating_sub(1));
    Ok(replies.into_iter().nth(counts).map_or(Reply::Nil, Reply::from))
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The library's words, without what was sent.
fn reason(error: &RedisError) -> Box<str> {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.category()).into(),
        None => error.to_string().into(),
    }
}
