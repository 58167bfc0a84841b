//! One run of the suite: its keys, and the verbs with what they have to answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{Breach, ContractRule};
use crate::store::{Claim, Store, StoreError, Stored, Swap};

/// How long an ordinary record lives: longer than its rules take, and short enough to leave nothing behind for long.
pub(super) const TTL: Duration = Duration::from_secs(180);

/// How far the store's clock may be from ours while a rule runs: it may be read less often than once a millisecond.
pub(super) const SLACK: Duration = Duration::from_millis(100);

/// One run against one store.
#[derive(Debug)]
pub(super) struct Trial<S> {
    store: Arc<S>,
    run: u64,
}

impl<S: Store> Trial<S> {
    pub(super) fn new(store: S) -> Self {
        let mut rng: StdRng = rand::make_rng();
        Self { store: Arc::new(store), run: rng.random() }
    }

    pub(super) fn store(&self) -> &S {
        &self.store
    }

    /// A key of this run.
    pub(super) fn key(&self, name: impl AsRef<str>) -> String {
        format!("payproof:contract:{:016x}:{}", self.run, name.as_ref())
    }

    /// The verbs, for one rule.
    pub(super) fn at(&self, rule: ContractRule) -> At<'_, S> {
        At { store: &self.store, rule }
    }

    /// Starts so many tasks at one moment, and gives their answers in order.
    pub(super) async fn race<T, F>(
        &self,
        rule: ContractRule,
        racers: usize,
        call: impl Fn(usize, Arc<S>) -> F,
    ) -> Result<Vec<T>, Breach>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Breach>> + Send + 'static,
    {
        let start = Arc::new(Barrier::new(racers));
        let mut tasks = JoinSet::new();
        for racer in 0..racers {
            let start = Arc::clone(&start);
            let call = call(racer, Arc::clone(&self.store));
            tasks.spawn(async move {
                start.wait().await;
                call.await.map(|answer| (racer, answer))
            });
        }
        let mut answers = Vec::with_capacity(racers);
        while let Some(ended) = tasks.join_next().await {
            answers.push(ended.map_err(|_| Breach::new(rule, "a call panicked"))??);
        }
        answers.sort_by_key(|(racer, _)| *racer);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }
}

/// The verbs of a store under one rule: what they answer has to be as said, or the rule is broken.
#[derive(Debug)]
pub(super) struct At<'s, S> {
    store: &'s S,
    rule: ContractRule,
}

impl<'s, S: Store> At<'s, S> {
    pub(super) fn of(store: &'s S, rule: ContractRule) -> Self {
        Self { store, rule }
    }

    pub(super) fn ensure(&self, holds: bool, seen: impl FnOnce() -> String) -> Result<(), Breach> {
        if holds { Ok(()) } else { Err(self.breach(seen())) }
    }

    pub(super) fn breach(&self, seen: impl Into<Box<str>>) -> Breach {
        Breach::new(self.rule, seen)
    }

    pub(super) fn answer<T>(&self, answer: Result<T, StoreError>) -> Result<T, Breach> {
        answer.map_err(|error| Breach::failed(self.rule, error))
    }

    /// Fails unless the store refused.
    pub(super) fn refused<T>(&self, what: &str, answer: Result<T, StoreError>) -> Result<(), Breach> {
        match answer {
            Err(error) if error.is_refused() => Ok(()),
            Err(error) => Err(self.breach(format!("{what} failed without being refused: {error}"))),
            Ok(_) => Err(self.breach(format!("{what} was accepted"))),
        }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Stored>, Breach> {
        self.answer(self.store.get(key).await)
    }

    pub(super) async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, Breach> {
        self.answer(self.store.claim(key, value, ttl).await)
    }

    pub(super) async fn replace(
        &self,
        key: &str,
        expected: &[u8],
        value: &[u8],
        ttl: Duration,
    ) -> Result<Swap, Breach> {
        self.answer(self.store.replace(key, expected, value, ttl).await)
    }

    pub(super) async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, Breach> {
        self.answer(self.store.remove(key, expected).await)
    }

    /// Claims a key that has to be absent.
    pub(super) async fn claimed(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Breach> {
        match self.claim(key, value, ttl).await? {
            Claim::Claimed => Ok(()),
            Claim::Held(stored) => Err(self.breach(format!("an absent key was held by {}", shown(&stored.bytes)))),
        }
    }

    /// Claims a key that has to be held by these bytes.
    pub(super) async fn held(&self, key: &str, value: &[u8], ttl: Duration, by: &[u8]) -> Result<Stored, Breach> {
        match self.claim(key, value, ttl).await? {
            Claim::Claimed => Err(self.breach(format!("a key held by {} was claimed", shown(by)))),
            Claim::Held(stored) => self.is(Some(stored), by, "a claim"),
        }
    }

    /// Replaces bytes that have to be stored.
    pub(super) async fn swapped(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<(), Breach> {
        self.won(self.replace(key, expected, value, ttl).await?, expected, "replaced")
    }

    /// Removes bytes that have to be stored.
    pub(super) async fn removed(&self, key: &str, expected: &[u8]) -> Result<(), Breach> {
        self.won(self.remove(key, expected).await?, expected, "removed")
    }

    fn won(&self, swap: Swap, expected: &[u8], done: &str) -> Result<(), Breach> {
        match swap {
            Swap::Swapped => Ok(()),
            Swap::Lost(stored) => Err(self.breach(format!(
                "{} was not {done}, and {} is said to be stored",
                shown(expected),
                stored.map_or_else(|| "nothing".into(), |stored| shown(&stored.bytes))
            ))),
        }
    }

    /// The key has to hold these bytes.
    pub(super) async fn holds(&self, key: &str, bytes: &[u8]) -> Result<Stored, Breach> {
        self.is(self.get(key).await?, bytes, "a read")
    }

    /// The key has to be absent.
    pub(super) async fn absent(&self, key: &str) -> Result<(), Breach> {
        match self.get(key).await? {
            None => Ok(()),
            Some(stored) => {
                Err(self.breach(format!("{} is there, with {:?} left", shown(&stored.bytes), stored.ttl_left)))
            }
        }
    }

    /// What a verb says is stored has to be these bytes, with some time left.
    pub(super) fn is(&self, stored: Option<Stored>, bytes: &[u8], verb: &str) -> Result<Stored, Breach> {
        match stored {
            None => Err(self.breach(format!("{verb} found nothing in place of {}", shown(bytes)))),
            Some(stored) if stored.bytes != bytes => {
                Err(self.breach(format!("{verb} found {} in place of {}", shown(&stored.bytes), shown(bytes))))
            }
            Some(stored) => Ok(stored),
        }
    }

    /// A swap has to be lost to what is stored, which is these bytes or nothing.
    pub(super) fn lost(&self, swap: Swap, to: Option<&[u8]>) -> Result<(), Breach> {
        match (swap, to) {
            (Swap::Swapped, _) => Err(self.breach("a swap that expected something else was made")),
            (Swap::Lost(stored), Some(bytes)) => self.is(stored, bytes, "a lost swap").map(drop),
            (Swap::Lost(None), None) => Ok(()),
            (Swap::Lost(Some(stored)), None) => {
                Err(self.breach(format!("a swap of an absent key was lost to {}", shown(&stored.bytes))))
            }
        }
    }

    /// What is left of a time to live has to be within it.
    pub(super) fn within(&self, stored: &Stored, ttl: Duration) -> Result<(), Breach> {
        let left = stored.ttl_left;
        self.ensure(left <= ttl, || format!("{left:?} were left of {ttl:?}"))
    }
}

/// The suite's own bytes, cut to what can be read.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 24;
    match bytes.get(..MOST) {
        Some(head) => format!("{} bytes from `{}…`", bytes.len(), head.escape_ascii()),
        None => format!("`{}`", bytes.escape_ascii()),
    }
}
