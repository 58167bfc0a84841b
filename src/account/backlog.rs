//! What found no room on a list of what is indeterminate, until there is some.

use std::collections::VecDeque;
use std::time::Duration;

use crate::intent::fingerprint::Fingerprint;
use crate::lock::Lock;

/// About 4 MB at the longest names. Whatever waits beyond that is listed when it is next run.
const MOST_WAITING: usize = 10_000;

/// An operation or a request that waits for a place on its list.
#[derive(Clone, Debug)]
pub(crate) struct Unlisted {
    pub(crate) digest: Fingerprint,
    pub(crate) tenant: Box<str>,
    pub(crate) name: Box<str>,
    /// How long the provider's key still protects another run, where it does.
    pub(crate) key_left: Option<Duration>,
}

/// Those of this process, the first first.
#[derive(Debug, Default)]
pub(crate) struct Backlog(Lock<VecDeque<Unlisted>>);

impl Backlog {
    /// False where it waited before, or there are too many.
    pub(crate) fn push(&self, unlisted: Unlisted) -> bool {
        let mut waiting = self.0.lock();
        let is_new = waiting.len() < MOST_WAITING && !waiting.iter().any(|one| one.digest == unlisted.digest);
        if is_new {
            waiting.push_back(unlisted);
        }
        is_new
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// False where it did not wait.
    pub(crate) fn remove(&self, digest: &Fingerprint) -> bool {
        let mut waiting = self.0.lock();
        let before = waiting.len();
        waiting.retain(|unlisted| unlisted.digest != *digest);
        waiting.len() < before
    }

    pub(crate) fn all(&self) -> Vec<Unlisted> {
        self.0.lock().iter().cloned().collect()
    }
}
