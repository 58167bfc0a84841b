//! What the caches of the simulation keep, where it comes from, and one process of it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::cache::{Cache, CacheError, For, Loads, Space, Tags, Tenant};
use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::chaos_store::ChaosStore;
use crate::support::{ms, secs};

pub(super) const FRESH: Duration = secs(60);
pub(super) const STALE: Duration = secs(30);

pub(super) type Key = For<u8>;

/// What is cached: which load it is of, what it was loaded for, and whose tag it bears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Loaded {
    pub(super) load: usize,
    pub(super) key: (u8, u8),
    pub(super) user: u8,
}

pub(super) const PLAIN: Space<Key, Loaded> = Space::per_tenant("plain", FRESH);
pub(super) const STALE_SERVED: Space<Key, Loaded> =
    Space::per_tenant("stale", FRESH).stale_while_revalidate(STALE).stale_if_error(STALE);
pub(super) const TAGGED: Space<Key, Loaded> = Space::per_tenant("tagged", FRESH).tagged(by_user);
pub(super) const SPACES: [Space<Key, Loaded>; 3] = [PLAIN, STALE_SERVED, TAGGED];

pub(super) fn by_user(loaded: &Loaded, tags: &mut Tags) {
    tags.add("user", loaded.user);
}

pub(super) const TENANTS: u8 = 2;
pub(super) const KEYS: u8 = 2;
pub(super) const USERS: u8 = 2;

pub(super) fn tenant(number: u8) -> Tenant {
    Tenant::new(format!("tenant_{number}"))
}

/// Which value is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct What {
    pub(super) space: usize,
    pub(super) tenant: u8,
    pub(super) key: u8,
}

impl What {
    /// Each of a space.
    pub(super) fn all(space: usize) -> impl Iterator<Item = Self> {
        (0..TENANTS).flat_map(move |tenant| (0..KEYS).map(move |key| Self { space, tenant, key }))
    }

    pub(super) fn any(rng: &mut StdRng) -> Self {
        Self {
            space: rng.random_range(0..SPACES.len()),
            tenant: rng.random_range(0..TENANTS),
            key: rng.random_range(0..KEYS),
        }
    }

    pub(super) fn key(self) -> Key {
        For::new(&tenant(self.tenant), self.key)
    }
}

/// What is invalidated.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    Key(What),
    User(u8),
    Tenant(u8),
    Space(usize),
    All,
}

impl Reach {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        match rng.random_range(0..10) {
            0..=4 => Self::Key(What::any(rng)),
            5 | 6 => Self::User(rng.random_range(0..USERS)),
            7 => Self::Tenant(rng.random_range(0..TENANTS)),
            8 => Self::Space(rng.random_range(0..SPACES.len())),
            _ => Self::All,
        }
    }

    pub(super) fn covers(self, what: What, user: u8) -> bool {
        match self {
            Self::Key(key) => key == what,
            Self::User(of) => what.space == 2 && of == user,
            Self::Tenant(of) => of == what.tenant,
            Self::Space(of) => of == what.space,
            Self::All => true,
        }
    }
}

/// A load, or a value that a caller made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Began {
    pub(super) at: Instant,
    pub(super) what: What,
    pub(super) user: u8,
}

/// Where values come from. It always answers, in its time.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) rng: StdRng,
    pub(super) slowest: u64,
    pub(super) loads: Vec<Began>,
}

impl Home {
    pub(super) fn begin(&mut self, what: What) -> (Loaded, Duration) {
        let (load, user) = (self.loads.len(), self.rng.random_range(0..USERS));
        self.loads.push(Began { at: Instant::now(), what, user });
        let takes = ms(if self.slowest == 0 { 0 } else { self.rng.random_range(0..=self.slowest) });
        (Loaded { load, key: (what.tenant, what.key), user }, takes)
    }
}

/// One process: a cache, and its spaces.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) cache: Cache,
    pub(super) spaces: Vec<Loads<Key, Loaded>>,
}

impl Process {
    pub(super) fn start(
        way: &ChaosStore,
        store_timeout: Duration,
        home: &Arc<Mutex<Home>>,
        crashed: &Arc<AtomicBool>,
    ) -> Self {
        let cache = Cache::builder(way.clone()).namespace("shop").store_timeout(store_timeout).build().unwrap();
        let open = |(space, rules): (usize, Space<Key, Loaded>)| {
            let (home, crashed) = (Arc::clone(home), Arc::clone(crashed));
            cache.space(rules).unwrap().loads(move |key: Key| {
                let (home, crashed) = (Arc::clone(&home), Arc::clone(&crashed));
                async move {
                    if crashed.load(Relaxed) {
                        std::future::pending::<()>().await;
                    }
                    let of = u8::from(*key.tenant() != tenant(0));
                    let what = What { space, tenant: of, key: *key.key() };
                    let (loaded, takes) = home.lock().unwrap().begin(what);
                    sleep(takes).await;
                    Ok::<_, CacheError>(loaded)
                }
            })
        };
        let spaces = SPACES.into_iter().enumerate().map(open).collect();
        Self { cache, spaces }
    }
}
