//! Where calls wait for the file, and who carries them out.
//!
//! There are two lanes. The reader takes what waits, answers from a snapshot what changes nothing, and passes the rest
//! on. The writer takes what waits for it, and commits it in one transaction: callers share the wait for the disk, and
//! reads do not wait for it. Each lane has at most one worker, a blocking task that runs while there is work.
//!
//! A snapshot that is taken after a call began holds every write that was answered before it did, since writes are
//! answered after their commit. What the reader decides to write is decided again by the writer, within its transaction.

use std::collections::VecDeque;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::clock::Clock;
use super::command::{Command, FileVerb, size};
use super::fault::DatabaseFault;
use super::open::{self, Opened};
use super::tables::{self, Snapshot};
use crate::lock::Lock;
use crate::settings::build_error::BuildError;
use crate::store::{StoreError, Swap};

/// The room for calls that wait or are carried out, in KiB: each takes [`LEAST_ROOM`], and its bytes.
const ROOM: usize = 64 * 1024;

/// So that 4,096 small calls fill the queue; further ones wait with their callers.
const LEAST_ROOM: usize = 16;

/// The most that goes into one transaction, in calls and in bytes.
const LARGEST_BATCH: usize = 512;
const LARGEST_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// After the disk failed, the file is opened again at most so often.
const REOPENED_EVERY: Duration = Duration::from_secs(1);

/// How many records whose time is over go when the file is opened; the rest go with later writes.
const SWEPT_AT_OPEN: usize = 10_000;

/// How long a store that is dropped waits for the disk.
const LONGEST_CLOSE: Duration = Duration::from_secs(10);

/// The open file, for as long as a caller uses it.
#[derive(Debug)]
pub(super) struct FileQueues {
    path: PathBuf,
    max_bytes: u64,
    clock: Clock,
    lanes: Lock<Lanes>,
    file: Lock<Slot>,
    users: Arc<Users>,
    room: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Lanes {
    reading: Queue,
    writing: Queue,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Command>,
    /// A worker is on its way or at work.
    staffed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Reading,
    Writing,
}

impl Lanes {
    fn queue(&mut self, lane: Lane) -> &mut Queue {
        match lane {
            Lane::Reading => &mut self.reading,
            Lane::Writing => &mut self.writing,
        }
    }
}

impl Queue {
    /// Whether a worker has to be sent; it then counts as on its way.
    fn lacks_worker(&mut self) -> bool {
        !self.waiting.is_empty() && !mem::replace(&mut self.staffed, true)
    }

    fn batch(&mut self) -> Vec<Command> {
        let mut bytes = 0_usize;
        let most = self.waiting.iter().take(LARGEST_BATCH);
        let fitting = most.take_while(|command| {
            let before = bytes;
            bytes = bytes.saturating_add(size(&command.key, &command.verb));
            before < LARGEST_BATCH_BYTES
        });
        let batch = fitting.count();
        self.waiting.drain(..batch).collect()
    }
}

#[derive(Debug)]
struct Slot {
    /// After a failure the database takes nothing more; it has to be opened again.
    opened: Result<Arc<Opened>, StoreError>,
    tried: Instant,
}

/// Who uses the file at the moment.
#[derive(Debug, Default)]
struct Users {
    state: Lock<UserState>,
    gone: Condvar,
}

#[derive(Debug, Default)]
struct UserState {
    count: usize,
    closed: bool,
}

impl FileQueues {
    pub(super) fn open(path: PathBuf, max_bytes: u64) -> Result<Self, BuildError> {
        let opened = open::open(&path)?;
        let clock = Clock::from(opened.seen);
        tables::sweep(&opened.database, clock.now(), SWEPT_AT_OPEN).map_err(|fault| fault.at(&path))?;
        let file = Lock::new(Slot { opened: Ok(Arc::new(opened)), tried: Instant::now() });
        let room = Arc::new(Semaphore::new(ROOM));
        Ok(Self { path, max_bytes, clock, lanes: Lock::default(), file, users: Arc::default(), room })
    }

    /// Hands in a call and waits for its answer.
    pub(super) async fn call(self: &Arc<Self>, key: &str, verb: FileVerb) -> Result<Swap, StoreError> {
        let room = self.room_for(key, &verb).await?;
        let lane = if matches!(verb, FileVerb::Touch) { Lane::Writing } else { Lane::Reading };
        let (command, answer) = Command::new(key, verb, room);
        self.hand_in(lane, command)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::outcome_unknown("the store's worker failed")))
    }

    /// Waits for room in the queue, in order, for as long as the caller does.
    async fn room_for(&self, key: &str, verb: &FileVerb) -> Result<OwnedSemaphorePermit, StoreError> {
        let needed = LEAST_ROOM.saturating_add(size(key, verb) / 1024);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX);
        let closed = |_| StoreError::not_sent("the store's file is closed");
        Arc::clone(&self.room).acquire_many_owned(needed).await.map_err(closed)
    }

    fn hand_in(self: &Arc<Self>, lane: Lane, command: Command) -> Result<(), StoreError> {
        Handle::try_current().map_err(|_| StoreError::not_sent("there is no tokio runtime here"))?;
        let lacks_worker = {
            let mut lanes = self.lanes.lock();
            let queue = lanes.queue(lane);
            queue.waiting.push_back(command);
            queue.lacks_worker()
        };
        if lacks_worker {
            self.send_worker(lane);
        }
        Ok(())
    }

    /// Sends a worker. Where there is no runtime, it leaves its place at once.
    fn send_worker(self: &Arc<Self>, lane: Lane) {
        let worker = Worker { queues: Arc::downgrade(self), users: Arc::clone(&self.users), lane: Some(lane) };
        if let Ok(runtime) = Handle::try_current() {
            // The task is not awaited: it answers each call by itself, and leaves its place in any case.
            drop(runtime.spawn_blocking(move || worker.run()));
        }
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Whether what is open is still what its path names.
    pub(super) async fn is_in_place(self: &Arc<Self>) -> bool {
        let (queues, users) = (Arc::downgrade(self), Arc::clone(&self.users));
        let look = move || {
            let in_use = InUse::of(&queues, &users)?;
            let queues = in_use.queues.as_ref()?;
            let slot = queues.file.lock();
            slot.opened.as_ref().ok().map(|opened| open::is_still(&queues.path, opened.identity))
        };
        tokio::task::spawn_blocking(look).await.ok().flatten().unwrap_or(true)
    }

    /// Waits until no caller uses the file, and lets none use it any more.
    pub(super) fn close(&self) {
        let mut state = self.users.state.lock();
        state.closed = true;
        // A disk that does not answer must not hold its user for ever. Then the last worker closes the file.
        drop(self.users.gone.wait_timeout_while(state, LONGEST_CLOSE, |state| state.count > 0));
    }

    fn opened(&self) -> Result<Arc<Opened>, StoreError> {
        let mut slot = self.file.lock();
        if slot.opened.is_err() && slot.tried.elapsed() >= REOPENED_EVERY {
            slot.tried = Instant::now();
            let failure = |refusal: BuildError| StoreError::not_sent(refusal.to_string());
            slot.opened = open::open(&self.path).map(Arc::new).map_err(failure);
        }
        slot.opened.clone()
    }

    /// Lets go of a database that has failed.
    fn failed(&self, opened: &Arc<Opened>, fault: &DatabaseFault) {
        let mut slot = self.file.lock();
        if slot.opened.as_ref().is_ok_and(|current| Arc::ptr_eq(current, opened)) {
            slot.opened = Err(fault.before_commit());
        }
    }

    /// Answers what changes nothing, and gives back the rest.
    fn read(&self, batch: Vec<Command>) -> Vec<Command> {
        let opened = match self.opened() {
            Ok(opened) => opened,
            Err(error) => return refuse(batch, &error),
        };
        let snapshot = match Snapshot::of(&opened.database) {
            Ok(snapshot) => snapshot,
            Err(fault) => {
                self.failed(&opened, &fault);
                return refuse(batch, &fault.before_commit());
            }
        };
        let now = self.clock.now();
        let mut rest = Vec::new();
        for command in batch {
            match snapshot.answer(&command, now) {
                Ok(Some(answer)) => command.answer(answer),
                Ok(None) => rest.push(command),
                Err(fault) => {
                    self.failed(&opened, &fault);
                    command.answer(Err(fault.before_commit()));
                }
            }
        }
        rest
    }

    /// Carries out all of it, so that nothing is left.
    fn write(&self, batch: Vec<Command>) -> Vec<Command> {
        let opened = match self.opened() {
            Ok(opened) => opened,
            Err(error) => return refuse(batch, &error),
        };
        match tables::carry_out(&opened.database, batch, self.clock.now(), self.max_bytes) {
            Ok(()) => Vec::new(),
            Err(failure) => {
                // Before a caller is told and calls again.
                self.failed(&opened, &failure.fault);
                refuse(failure.batch, &failure.error)
            }
        }
    }
}

fn refuse(batch: Vec<Command>, error: &StoreError) -> Vec<Command> {
    for command in batch {
        command.answer(Err(error.clone()));
    }
    Vec::new()
}

/// The queues while a caller uses their file.
struct InUse {
    queues: Option<Arc<FileQueues>>,
    users: Arc<Users>,
}

impl InUse {
    fn of(queues: &Weak<FileQueues>, users: &Arc<Users>) -> Option<Self> {
        let mut state = users.state.lock();
        if state.closed {
            return None;
        }
        let queues = queues.upgrade()?;
        state.count = state.count.saturating_add(1);
        Some(Self { queues: Some(queues), users: Arc::clone(users) })
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        // Before it is said to be gone, so that who waits for that finds the file closed, or closes it himself.
        self.queues = None;
        let mut state = self.users.state.lock();
        state.count = state.count.saturating_sub(1);
        self.users.gone.notify_all();
    }
}

/// The worker of a lane.
struct Worker {
    queues: Weak<FileQueues>,
    users: Arc<Users>,
    /// None once it has left its place in good order.
    lane: Option<Lane>,
}

impl Worker {
    fn run(mut self) {
        let Some(in_use) = InUse::of(&self.queues, &self.users) else { return };
        let Some(queues) = in_use.queues.as_ref() else { return };
        while let Some(lane) = self.lane {
            let batch = queues.lanes.lock().queue(lane).batch();
            let rest = match lane {
                Lane::Reading => queues.read(batch),
                Lane::Writing => queues.write(batch),
            };
            self.go_on(queues, lane, rest);
        }
    }

    /// Stays while there is work in its lane. A reader who has none left becomes the writer if that place is free.
    fn go_on(&mut self, queues: &Arc<FileQueues>, lane: Lane, rest: Vec<Command>) {
        let send_writer = {
            let mut lanes = queues.lanes.lock();
            lanes.writing.waiting.extend(rest);
            let stays = !lanes.queue(lane).waiting.is_empty();
            if !stays {
                lanes.queue(lane).staffed = false;
                self.lane = None;
            }
            let lacks_writer = lanes.writing.lacks_worker();
            if lacks_writer && !stays {
                self.lane = Some(Lane::Writing);
            }
            lacks_writer && stays
        };
        if send_writer {
            queues.send_worker(Lane::Writing);
        }
    }
}

/// A worker that panicked, or was never run because its runtime shut down, leaves its lane to the next one. No worker is sent
/// for the calls that wait in it, so they are told that nothing was done.
impl Drop for Worker {
    fn drop(&mut self) {
        let Some(lane) = self.lane else { return };
        // Where the store is closed, no caller waits.
        let Some(in_use) = InUse::of(&self.queues, &self.users) else { return };
        let Some(queues) = in_use.queues.as_ref() else { return };
        let left = {
            let mut lanes = queues.lanes.lock();
            let queue = lanes.queue(lane);
            queue.staffed = false;
            mem::take(&mut queue.waiting)
        };
        refuse(left.into(), &StoreError::not_sent("the runtime that ran the store is gone"));
    }
}
