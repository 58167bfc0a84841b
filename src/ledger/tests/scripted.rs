//! A store in memory whose commands go wrong as a test says, and that no bytes may stand in twice.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use crate::accessors::partial_debug;
use crate::lock::Lock;
use crate::store::{Claim, Durability, Inspection, MemoryStore, RestartLoss, Store, StoreError, Stored, Swap};

/// What becomes of one command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Made,
    /// It is made, and the caller is told that the connection broke.
    ReplyLost,
    /// It is made this much later, and the caller is told at once that the connection broke.
    MadeLate(Duration),
    /// It is not made, and the caller is told that the connection broke.
    Broken,
    /// It is made after this long, and answered then: the process stands still before it.
    StopsBefore(Duration),
    /// It is made at once, and answered after this long: the process stands still after it.
    StopsAfter(Duration),
}

/// Which bytes have stood under which keys.
type Stood = HashSet<(String, Vec<u8>)>;

/// What all processes share.
#[derive(Clone, Default)]
pub(super) struct Shared {
    pub(super) records: MemoryStore,
    stood: Arc<Lock<Stood>>,
    /// Whether bytes that stood once stood again.
    twice: Arc<AtomicBool>,
}

/// One process's way to the store.
#[derive(Clone, Default)]
pub(super) struct Way {
    pub(super) shared: Shared,
    script: Arc<Lock<VecDeque<Fate>>>,
    /// What becomes of every command until it is mended.
    always: Arc<Lock<Option<Fate>>>,
}

partial_debug!(Way, self =>);

impl Way {
    pub(super) fn to(shared: &Shared) -> Self {
        Self { shared: shared.clone(), ..Self::default() }
    }

    pub(super) fn script(&self, fates: impl IntoIterator<Item = Fate>) {
        self.script.lock().extend(fates);
    }

    pub(super) fn cut(&self) {
        *self.always.lock() = Some(Fate::Broken);
    }

    pub(super) fn mend(&self) {
        *self.always.lock() = None;
        self.script.lock().clear();
    }

    async fn run<T, F>(&self, call: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let always = *self.always.lock();
        let fate = always.or_else(|| self.script.lock().pop_front()).unwrap_or(Fate::Made);
        let unknown = || StoreError::outcome_unknown("the connection broke");
        match fate {
            Fate::Made => call.await,
            Fate::ReplyLost => call.await.and(Err(unknown())),
            Fate::MadeLate(late) => {
                tokio::spawn(async move {
                    sleep(late).await;
                    call.await.map(drop)
                });
                Err(unknown())
            }
            Fate::Broken => Err(unknown()),
            Fate::StopsBefore(still) => {
                sleep(still).await;
                call.await
            }
            Fate::StopsAfter(still) => {
                let answer = call.await;
                sleep(still).await;
                answer
            }
        }
    }
}

impl Shared {
    pub(super) fn assert_no_bytes_stood_twice(&self) {
        assert!(!self.twice.load(Ordering::Relaxed), "bytes that stood once stood again");
    }

    fn now_stands(&self, key: &str, bytes: &[u8]) {
        let is_new = self.stood.lock().insert((key.to_owned(), bytes.to_vec()));
        self.twice.fetch_or(!is_new, Ordering::Relaxed);
    }
}

impl Store for Way {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        let (shared, key) = (self.shared.clone(), key.to_owned());
        self.run(async move { shared.records.get(&key).await }).await
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        let (shared, key, value) = (self.shared.clone(), key.to_owned(), value.to_vec());
        self.run(async move {
            let claim = shared.records.claim(&key, &value, ttl).await?;
            if claim == Claim::Claimed {
                shared.now_stands(&key, &value);
            }
            Ok(claim)
        })
        .await
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        let (shared, key) = (self.shared.clone(), key.to_owned());
        let (expected, value) = (expected.to_vec(), value.to_vec());
        self.run(async move {
            let swap = shared.records.replace(&key, &expected, &value, ttl).await?;
            if swap == Swap::Swapped {
                shared.now_stands(&key, &value);
            }
            Ok(swap)
        })
        .await
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        let (shared, key, expected) = (self.shared.clone(), key.to_owned(), expected.to_vec());
        self.run(async move { shared.records.remove(&key, &expected).await }).await
    }

    fn durability(&self) -> Durability {
        Durability { shared: true, best_effort: false }
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        Ok(RestartLoss::Nothing)
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        Ok(Inspection::new("scripted", Duration::ZERO))
    }
}
