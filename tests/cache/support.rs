//! What the tests of the cache share: a loader that counts and says what it is told, and two processes on one store.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use payproof::cache::{Cache, For, Loads, Space, Tags, Tenant, ttl};
use payproof::store::{MemoryStore, Store};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{advance, sleep};

pub(crate) type Sku = For<String>;

/// What most of the tests ask.
pub(crate) const PRICES: Space<Sku, u64> = Space::per_tenant("price", ttl::MEDIUM);

/// Values that say whose they are.
pub(crate) const TAGGED: Space<Sku, u64> = Space::per_tenant("session", ttl::LONG).tagged(by_user);

#[allow(clippy::trivially_copy_pass_by_ref, reason = "values are given by reference, whatever their type")]
fn by_user(user: &u64, tags: &mut Tags) {
    tags.add("user", user);
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A runtime of one thread whose clock stands still.
pub(crate) fn paused_runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

pub(crate) fn sku(name: &str) -> Sku {
    For::new(&Tenant::new("store_42"), name.to_owned())
}

/// A database with one number, which takes a while to say it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Database(Arc<State>);

#[derive(Debug, Default)]
struct State {
    value: AtomicU64,
    takes_ms: AtomicU64,
    loads: AtomicU64,
    /// How many of the next loads fail.
    fails: AtomicU64,
}

impl Database {
    pub(crate) fn of(value: u64) -> Self {
        let database = Self::default();
        database.set(value);
        database
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.value.store(value, SeqCst);
    }

    pub(crate) fn takes(&self, time: Duration) {
        self.0.takes_ms.store(u64::try_from(time.as_millis()).unwrap(), SeqCst);
    }

    pub(crate) fn fails(&self, loads: u64) {
        self.0.fails.store(loads, SeqCst);
    }

    pub(crate) fn loads(&self) -> u64 {
        self.0.loads.load(SeqCst)
    }

    /// Reads the value first, and says it after its time: what is written meanwhile, it does not know.
    pub(crate) async fn load(&self) -> Result<u64, &'static str> {
        self.0.loads.fetch_add(1, SeqCst);
        let value = self.0.value.load(SeqCst);
        let fails = self.0.fails.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        sleep(ms(self.0.takes_ms.load(SeqCst))).await;
        if fails { Err("the database is down") } else { Ok(value) }
    }
}

/// A process of the service `shop` on this store.
pub(crate) fn process(store: impl Store) -> Cache {
    Cache::builder(store).namespace("shop").build().unwrap()
}

/// Two processes on one store of their own.
pub(crate) fn two(space: Space<Sku, u64>, database: &Database) -> ([Cache; 2], [Loads<Sku, u64>; 2]) {
    let store = MemoryStore::new();
    let processes = [process(store.clone()), process(store)];
    let loads = processes.each_ref().map(|process| loads(process, space, database));
    (processes, loads)
}

pub(crate) fn loads(cache: &Cache, space: Space<Sku, u64>, database: &Database) -> Loads<Sku, u64> {
    let database = database.clone();
    cache.space(space).unwrap().loads(move |_| {
        let database = database.clone();
        async move { database.load().await }
    })
}

/// Lets the clock go on, so that two moments are told apart.
pub(crate) async fn tick() {
    advance(ms(5)).await;
}
