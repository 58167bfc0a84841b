//! One call, on its way to the file and back.

use std::borrow::Cow;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::clock::micros;
use crate::store::extras::sum;
use crate::store::{StoreError, Stored, Swap};

/// A call, and the channel to the caller that waits for its answer, or has left.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) key: Box<str>,
    pub(super) verb: FileVerb,
    reply: oneshot::Sender<Result<Swap, StoreError>>,
    /// Its share of the queue, given back with the answer.
    _room: OwnedSemaphorePermit,
}

/// What is asked. Times to live are in microseconds.
#[derive(Debug)]
pub(super) enum FileVerb {
    Get,
    Claim {
        value: Box<[u8]>,
        ttl: u64,
    },
    Replace {
        expected: Box<[u8]>,
        value: Box<[u8]>,
        ttl: u64,
    },
    Remove {
        expected: Box<[u8]>,
    },
    Add {
        by: i64,
        ttl: u64,
    },
    /// A commit that changes no record: what inspecting the store measures.
    Touch,
}

/// What a verb comes to, given what is stored.
#[derive(Debug)]
pub(super) enum CommandEffect<'c> {
    /// Nothing changes; this is stored.
    None(Option<Stored>),
    Put {
        value: Cow<'c, [u8]>,
        ttl: u64,
    },
    Delete,
    Touch,
    /// Nothing changes, and this is why.
    Refused(StoreError),
}

impl<'c> CommandEffect<'c> {
    fn put(value: impl Into<Cow<'c, [u8]>>, ttl: u64) -> Self {
        Self::Put { value: value.into(), ttl }
    }
}

impl Command {
    pub(super) fn new(
        key: &str,
        verb: FileVerb,
        room: OwnedSemaphorePermit,
    ) -> (Self, oneshot::Receiver<Result<Swap, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { key: key.into(), verb, reply, _room: room }, answer)
    }

    /// Whether the caller has left.
    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// The same decision whether it is made from a snapshot or within the transaction that carries it out.
    pub(super) fn decide(&self, stored: Option<Stored>) -> CommandEffect<'_> {
        match (&self.verb, stored) {
            (FileVerb::Touch, _) => CommandEffect::Touch,
            (FileVerb::Claim { value, ttl }, None) => CommandEffect::put(&**value, *ttl),
            (FileVerb::Replace { expected, value, ttl }, Some(stored)) if **expected == *stored.bytes => {
                CommandEffect::put(&**value, *ttl)
            }
            (FileVerb::Add { by, ttl }, None) => CommandEffect::put(by.to_string().into_bytes(), *ttl),
            (FileVerb::Add { by, .. }, Some(stored)) => match sum(&stored.bytes, *by) {
                // In whole microseconds, as it was written.
                Ok(sum) => CommandEffect::put(sum.to_string().into_bytes(), micros(stored.ttl_left)),
                Err(refused) => CommandEffect::Refused(refused),
            },
            (FileVerb::Remove { expected }, Some(stored)) if **expected == *stored.bytes => CommandEffect::Delete,
            (_, stored) => CommandEffect::None(stored),
        }
    }

    /// What is said once a value was written: that it was, or the value where the caller does not know it.
    pub(super) fn written(&self, value: &[u8], ttl: u64) -> Swap {
        match self.verb {
            FileVerb::Add { .. } => {
                Swap::Lost(Some(Stored { bytes: value.to_vec(), ttl_left: Duration::from_micros(ttl) }))
            }
            _ => Swap::Swapped,
        }
    }

    pub(super) fn answer(self, answer: Result<Swap, StoreError>) {
        // A caller that has left misses nothing.
        let _ = self.reply.send(answer);
    }
}

/// How much a call holds, roughly.
pub(super) fn size(key: &str, verb: &FileVerb) -> usize {
    let bytes = match verb {
        FileVerb::Get | FileVerb::Add { .. } | FileVerb::Touch => 0,
        FileVerb::Claim { value, .. } => value.len(),
        FileVerb::Replace { expected, value, .. } => expected.len().saturating_add(value.len()),
        FileVerb::Remove { expected } => expected.len(),
    };
    key.len().saturating_add(bytes)
}
