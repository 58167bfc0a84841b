//! One connection, shared by every call: requests go out in the order they come in, and replies come back in it.
//!
//! One task reads and writes. It belongs to the [`Wire`], and ends with it. The client library's own multiplexer costs more
//! than twice as much per call, which shows in what a replay costs.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::resp::{Parsed, Reply, Request, parse, skip};

/// How much is read at once, at least.
const READ: usize = 16 << 10;

/// Values are at most 1 MiB, so a reply over this is none of ours.
const LARGEST_REPLY: usize = 4 << 20;

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

type Answer = Result<Reply, Lost>;

/// One connection. Dropping it closes it.
pub(super) struct Wire {
    shared: Arc<Shared>,
    driver: AbortHandle,
}

struct Shared {
    queue: Mutex<Queue>,
    /// When bytes last came in, in microseconds since `opened`.
    heard: AtomicU64,
    opened: Instant,
}

/// What waits for the driver.
#[derive(Default)]
struct Queue {
    out: Vec<u8>,
    waiting: Vec<Waiting>,
    /// Requests that no reply has come for, those at the driver included.
    open: usize,
    most_open: usize,
    /// Set while the driver sleeps.
    driver: Option<Waker>,
    closed: Option<Box<str>>,
    /// Bytes ever queued.
    queued: u64,
}

struct Waiting {
    /// Where the request starts among all bytes ever sent.
    start: u64,
    /// Replies still to come, of which the last one is the answer.
    replies: usize,
    /// The first error among the replies before the last.
    error: Option<Box<str>>,
    answer: oneshot::Sender<Answer>,
}

impl Wire {
    /// Takes a stream over, with at most so many requests open at a time.
    pub(super) fn new<S>(stream: S, most_open: usize) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let queue = Mutex::new(Queue { most_open, ..Queue::default() });
        let shared = Arc::new(Shared { queue, heard: AtomicU64::new(0), opened: Instant::now() });
        let driver = Driver {
            stream,
            shared: Arc::clone(&shared),
            out: Vec::new(),
            written: 0,
            written_ever: 0,
            unflushed: false,
            waiting: VecDeque::new(),
            inbox: Vec::new(),
            start: 0,
            filled: 0,
        };
        Self { shared, driver: tokio::spawn(driver).abort_handle() }
    }

    /// Queues a request; the receiver gets its answer. Nothing is taken back when the receiver is dropped.
    pub(super) fn send(&self, request: Request<'_>) -> Result<oneshot::Receiver<Answer>, Lost> {
        let (answer, receiver) = oneshot::channel();
        let driver = {
            let mut queue = self.shared.lock();
            if let Some(reason) = &queue.closed {
                return Err(Lost::NotSent(reason.clone()));
            }
            if queue.open >= queue.most_open {
                return Err(Lost::Full(queue.most_open));
            }
            let start = queue.queued;
            let before = queue.out.len();
            request.pack(&mut queue.out);
            let length = queue.out.len().saturating_sub(before);
            queue.queued = start.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            queue.open = queue.open.saturating_add(1);
            queue.waiting.push(Waiting { start, replies: request.replies(), error: None, answer });
            queue.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(receiver)
    }

    /// Sends a request and waits for its answer, however long that takes.
    pub(super) async fn call(&self, request: Request<'_>) -> Answer {
        let receiver = self.send(request)?;
        // The driver answers everything before it ends, unless its runtime ends first.
        receiver.await.unwrap_or_else(|_| Err(Lost::Unknown("the connection's task ended with its runtime".into())))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_finished() || self.shared.lock().closed.is_some()
    }

    /// Whether anything has come in since then.
    pub(super) fn heard_since(&self, then: Instant) -> bool {
        let since = then.saturating_duration_since(self.shared.opened).as_micros();
        u128::from(self.shared.heard.load(Ordering::Relaxed)) > since
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No foreign code runs under this lock, so a poisoned one is whole all the same.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves bytes both ways until one end is gone.
struct Driver<S> {
    stream: S,
    shared: Arc<Shared>,
    out: Vec<u8>,
    /// How much of `out` is written.
    written: usize,
    written_ever: u64,
    unflushed: bool,
    waiting: VecDeque<Waiting>,
    inbox: Vec<u8>,
    /// Where the next reply starts in `inbox`, and how far `inbox` is filled.
    start: usize,
    filled: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let end = ready!(self.run(cx));
        self.close(&end);
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Goes on until both directions wait; ready when the connection is of no more use.
    fn run(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            // Reading first: of a connection that has ended, this says so before anything more is written.
            let reading = match self.read(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                other => other.is_pending(),
            };
            let writing = match self.write(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                other => other.is_pending(),
            };
            if !reading {
                continue;
            }
            let mut queue = self.shared.lock();
            if writing || queue.out.is_empty() {
                queue.driver = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
    }

    /// Ready when everything that was queued is written.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
                let mut queue = self.shared.lock();
                std::mem::swap(&mut queue.out, &mut self.out);
                self.waiting.extend(queue.waiting.drain(..));
            }
            let rest = self.out.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written = self.written.saturating_add(count);
            self.written_ever = self.written_ever.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when something came in and was handed on.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.make_room();
        let mut buffer = ReadBuf::new(self.inbox.get_mut(self.filled..).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        if count == 0 {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")));
        }
        self.filled = self.filled.saturating_add(count);
        let heard = self.shared.opened.elapsed().as_micros();
        self.shared.heard.store(u64::try_from(heard).unwrap_or(u64::MAX), Ordering::Relaxed);
        Poll::Ready(self.deliver())
    }

    fn make_room(&mut self) {
        if self.start == self.filled {
            (self.start, self.filled) = (0, 0);
        }
        if self.inbox.len().saturating_sub(self.filled) < READ {
            self.inbox.copy_within(self.start..self.filled, 0);
            self.filled = self.filled.saturating_sub(self.start);
            self.start = 0;
            // Doubling, so that a long reply is not copied once per read.
            let wanted = self.filled.saturating_mul(2).max(self.filled.saturating_add(READ));
            if self.inbox.len() < wanted {
                self.inbox.resize(wanted, 0);
            }
        }
    }

    /// Hands on every answer that is complete.
    fn deliver(&mut self) -> io::Result<()> {
        let mut answered = 0_usize;
        let result = self.deliver_all(&mut answered);
        if answered > 0 {
            let mut queue = self.shared.lock();
            queue.open = queue.open.saturating_sub(answered);
        }
        result
    }

    fn deliver_all(&mut self, answered: &mut usize) -> io::Result<()> {
        let garbled = || io::Error::other("what answers does not speak the Redis protocol");
        let bytes = self.inbox.get(..self.filled).unwrap_or_default();
        while self.start < self.filled {
            // Redis says nothing unasked, except why it closes the connection.
            let Some(front) = self.waiting.front_mut() else { return Err(unasked(bytes, self.start)) };
            if front.replies > 1 {
                match skip(bytes, self.start) {
                    Parsed::Whole(error, end) => {
                        self.start = end;
                        front.replies = front.replies.saturating_sub(1);
                        front.error = front.error.take().or(error);
                        continue;
                    }
                    Parsed::Part => break,
                    Parsed::Garbled => return Err(garbled()),
                }
            }
            match parse(bytes, self.start) {
                Parsed::Whole(reply, end) => {
                    self.start = end;
                    *answered = answered.saturating_add(1);
                    if let Some(Waiting { error, answer, .. }) = self.waiting.pop_front() {
                        // What went wrong first says more than that the whole was called off.
                        let reply = match (reply, error) {
                            (Reply::Error(_), Some(first)) => Reply::Error(first),
                            (reply, _) => reply,
                        };
                        let _ = answer.send(Ok(reply));
                    }
                }
                Parsed::Part => break,
                Parsed::Garbled => return Err(garbled()),
            }
        }
        if self.filled.saturating_sub(self.start) > LARGEST_REPLY {
            return Err(io::Error::other("a reply is longer than anything that is stored here"));
        }
        Ok(())
    }

    /// Tells every caller how far their request got.
    fn close(&mut self, end: &io::Error) {
        let reason: Box<str> = end.to_string().into();
        let mut queue = self.shared.lock();
        queue.closed = Some(reason.clone());
        queue.out = Vec::new();
        self.waiting.extend(queue.waiting.drain(..));
        drop(queue);
        for waiting in self.waiting.drain(..) {
            let lost = if waiting.start < self.written_ever { Lost::Unknown } else { Lost::NotSent };
            let _ = waiting.answer.send(Err(lost(reason.clone())));
        }
    }
}

/// The server's last words, if they are an error.
fn unasked(bytes: &[u8], start: usize) -> io::Error {
    match parse(bytes, start) {
        Parsed::Whole(Reply::Error(text), _) => io::Error::other(text.to_string()),
        _ => io::Error::other("an answer came that nobody asked for"),
    }
}
