//! A store in one file on this machine.

mod clock;
mod command;
mod fault;
mod open;
mod queues;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::time::Instant;

use self::command::FileVerb;
use self::queues::FileQueues;
use super::extras::{BatchAnswer, CountLeft, Offer, number_of};
use super::{
    Claim, Durability, Extras, Inspection, LARGEST_VALUE, RestartLoss, Store, StoreAnswer, StoreError, StoreFinding,
    Stored, Swap, check_value, ttl_millis,
};
use crate::accessors::{partial_debug, setters};
use crate::settings::build_error::BuildError;

/// Three million records of 300 bytes.
const MAX_BYTES: u64 = 1 << 30;

/// The contract's limit, so that one call cannot fill the queue or the file.
const LONGEST_KEY: usize = 512;

/// A store in one file on this machine, which survives crashes. Clones share everything.
///
/// ```no_run
/// use payproof::store::FileStore;
///
/// # fn main() -> Result<(), payproof::BuildError> {
/// // This service is one process on one machine.
/// let store = FileStore::builder("/var/lib/checkout/payproof.redb").only_instance().build()?;
/// # Ok(())
/// # }
/// ```
///
/// | setting | default | why |
/// |---|---|---|
/// | `only_instance` | no | the file cannot know whether there are other machines |
/// | `max_bytes` | 1 GiB | a full disk fails more than this store |
///
/// # What is kept
/// A write is answered once it is on the disk; writes that wait together share one. A crash of the process or of the
/// machine loses nothing that was answered, if the disk keeps what it said it wrote. A file on a file system in memory
/// (tmpfs, ramfs; told on Linux), or one that was deleted while it was open, loses [all](RestartLoss::All). A new file can be read and written
/// by its owner alone.
///
/// # One process at a time
/// The file is locked. A second process is refused with [`BuildError::StoreFileInUse`], until the first has ended or has
/// dropped its store. Do not put the file on a network file system: its locks may not hold.
///
/// # Time
/// Times to live go on while nothing runs. The store's clock starts from the system's when the file is opened, then
/// counts by itself, and never goes back behind what the file has seen. So a system clock that is set while the process
/// runs changes nothing until the next start. One that is behind at the start keeps records longer; one that is ahead
/// ends them earlier, and the store's clock then stays ahead.
///
/// # Cost
/// A read, and a claim on a key that is held, wait for no disk. The database runs on tokio's threads for blocking tasks, at
/// most two at once. At most 4,096 calls or 64 MiB are taken on; further ones wait for room, in order. There is no time-out
/// in here: a disk that hangs holds its callers until they give up, and a call that was waiting for room has then done
/// nothing.
///
/// # When the disk fails
/// The calls under way are told, and the file is opened again by itself, at most once a second. A full disk refuses
/// writes, removals too since they need room at first, and goes on answering reads; it recovers once there is room.
/// Dropping the last clone waits for the write under way, for ten seconds at most, and closes the file.
#[derive(Clone)]
pub struct FileStore {
    handle: Arc<StoreHandle>,
}

/// Closes the file with the last clone.
struct StoreHandle {
    queues: Arc<FileQueues>,
    only_instance: bool,
    /// Whether the file system is one that is kept in memory.
    in_memory: bool,
}

impl Drop for StoreHandle {
    fn drop(&mut self) {
        self.queues.close();
    }
}

/// How a [`FileStore`] is opened.
#[derive(Clone, Debug)]
#[must_use]
pub struct FileStoreBuilder {
    path: PathBuf,
    only_instance: bool,
    max_bytes: u64,
}

impl FileStoreBuilder {
    setters! {
        /// Says that this process is the only one of the service, on this machine and on all others.
        ///
        /// Then what this process sees is what all see, and the store counts as [shared](Durability::shared). The file
        /// cannot find that out: a second machine with a file of its own would take the same payment once more.
        pub fn only_instance(mut self) => self.only_instance = true;

        /// The most bytes held at once: keys twice, values, and 64 for each record. Further ones are refused. Default:
        /// 1 GiB.
        ///
        /// The file takes about twice as much, and up to four times with values of many KiB.
        pub fn max_bytes(mut self, bytes: u64) => self.max_bytes = bytes;
    }

    /// Opens the file, and creates it if there is none.
    ///
    /// It blocks, so call it at the start: the whole file is read, to see that nothing of it is damaged. That takes some two
    /// seconds for each GB.
    ///
    /// # Errors
    /// [`BuildError::StoreFileInUse`] if another process or store has it open; [`BuildError::StoreFile`] if it cannot be
    /// opened or is no store; [`BuildError::OutOfRange`] for `max_bytes` below what the largest record needs.
    pub fn build(self) -> Result<FileStore, BuildError> {
        let Self { path, only_instance, max_bytes } = self;
        let least = tables::cost(&" ".repeat(LONGEST_KEY), LARGEST_VALUE);
        if max_bytes < least {
            let rule = "at least 1,049,664, which one record may need";
            return Err(BuildError::OutOfRange { setting: "max_bytes", value: max_bytes.to_string(), rule });
        }
        let queues = FileQueues::open(path.clone(), max_bytes)?;
        let in_memory = open::is_in_memory(&path);
        Ok(FileStore { handle: Arc::new(StoreHandle { queues: Arc::new(queues), only_instance, in_memory }) })
    }
}

impl FileStore {
    /// Opens a store with the defaults.
    ///
    /// # Errors
    /// As for [`build`](FileStoreBuilder::build).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BuildError> {
        Self::builder(path).build()
    }

    /// A store in the file of this name, to be configured. The folder has to exist.
    pub fn builder(path: impl AsRef<Path>) -> FileStoreBuilder {
        FileStoreBuilder { path: path.as_ref().to_owned(), only_instance: false, max_bytes: MAX_BYTES }
    }

    async fn call(&self, key: &str, verb: FileVerb) -> Result<Swap, StoreError> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(StoreError::refused("a key has 1 to 512 bytes"));
        }
        self.handle.queues.call(key, verb).await
    }
}

// Shows the path, and nothing of what is held.
partial_debug!(FileStore, self => path: self.handle.queues.path());

fn micros(ttl: Duration) -> Result<u64, StoreError> {
    Ok(ttl_millis(ttl)?.saturating_mul(1000))
}

impl Store for FileStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        Ok(match self.call(key, FileVerb::Get).await? {
            Swap::Lost(stored) => stored,
            Swap::Swapped => None,
        })
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        check_value(value)?;
        match self.call(key, FileVerb::Claim { value: value.into(), ttl: micros(ttl)? }).await? {
            Swap::Swapped => Ok(Claim::Claimed),
            Swap::Lost(Some(stored)) => Ok(Claim::Held(stored)),
            Swap::Lost(None) => Err(StoreError::not_sent("the claim was not decided")),
        }
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        check_value(value)?;
        // What is longer than any value is stored nowhere, and is not worth copying.
        let expected = expected.get(..=LARGEST_VALUE).unwrap_or(expected).into();
        self.call(key, FileVerb::Replace { expected, value: value.into(), ttl: micros(ttl)? }).await
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        let expected = expected.get(..=LARGEST_VALUE).unwrap_or(expected).into();
        self.call(key, FileVerb::Remove { expected }).await
    }

    fn durability(&self) -> Durability {
        Durability { shared: self.handle.only_instance, best_effort: false }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        Handle::try_current().map_err(|_| StoreError::not_sent("there is no tokio runtime here"))?;
        let is_kept = !self.handle.in_memory && self.handle.queues.is_in_place().await;
        Ok(if is_kept { RestartLoss::Nothing } else { RestartLoss::All })
    }

    /// Commits once, and measures that.
    async fn inspect(&self) -> Result<Inspection, StoreError> {
        let queues = &self.handle.queues;
        let begin = Instant::now();
        queues.call("", FileVerb::Touch).await?;
        let mut inspection = Inspection::new("file", begin.elapsed());
        inspection.version = Some(format!("format {}", tables::FORMAT).into());
        inspection.compare = Some("in process".into());
        if !self.handle.only_instance {
            inspection.findings.push(StoreFinding::NotShared);
        }
        inspection.restart_loss = self.restart_loss().await?;
        if !queues.is_in_place().await {
            let reason = "its file was moved or deleted while it was open, and what is written to it is lost".into();
            inspection.findings.push(StoreFinding::Unreachable { reason });
        }
        Ok(inspection)
    }

    fn extras(&self) -> Extras {
        Extras::of(self.clone())
    }
}

impl Offer for FileStore {
    /// Handed in together, so that the reader answers them from one snapshot, or two if it is at work.
    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s> {
        Box::pin(join_all(keys.iter().map(|key| self.get(key))))
    }

    fn add<'s>(&'s self, key: &'s str, by: i64, ttl: Duration) -> StoreAnswer<'s, CountLeft> {
        Box::pin(async move {
            let added = self.call(key, FileVerb::Add { by, ttl: micros(ttl)? }).await?;
            let stored = if let Swap::Lost(stored) = added { stored } else { None };
            let sum = stored.and_then(|stored| Some((number_of(&stored.bytes)?, stored.ttl_left)));
            sum.ok_or_else(|| StoreError::outcome_unknown("the addition was not decided"))
        })
    }
}
