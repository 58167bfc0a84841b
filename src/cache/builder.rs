//! Every setting of a cache, with its default; all checks are in `build`.

use std::sync::Arc;
use std::time::Duration;

use crate::accessors::setters;
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Codec, Ledger, Release, Seal};
use crate::settings::build_error::BuildError;
use crate::settings::switch::variable;
use crate::store::{AnyStore, EnvStore, MemoryStore, Store, from_env, from_vars};
use crate::validator::Validator;
use crate::validator::builder::ValidatorBuilder;

use super::Cache;
use super::backing::Backing;
use super::core::Core;
use super::share::Share;

/// All spaces together.
const MEMORY: u64 = 64 * 1024 * 1024;

/// Slower is no cache.
const STORE_TIMEOUT: Duration = Duration::from_millis(100);

/// As slow as a store may be where it is the store itself that matters.
const SURE_TIMEOUT: Duration = Duration::from_secs(1);

/// A crash costs the others this long.
const LEASE: Duration = Duration::from_secs(5);

/// The longest namespace, in bytes.
const MOST_NAMESPACE: usize = 100;

/// Settings of a [`Cache`].
///
/// | setting | default |
/// |---|---|
/// | `namespace` | none: it has to be said |
/// | `memory` | 64 MiB for all spaces |
/// | `store_prefix` | `payproof`; the validator's |
/// | `store_timeout` | 100 ms for calls that can go on without the store |
/// | `share_store` | not set: a validator's own store is not used |
/// | `record_keys` | none: records are not authenticated; the validator's |
#[derive(Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct CacheBuilder {
    behind: Behind,
    memory: u64,
    timeout: Duration,
    namespace: Option<Box<str>>,
    share: Option<u64>,
    prefix: Option<Box<str>>,
    keys: Option<Vec<Seal>>,
}

/// What stands behind a cache.
#[derive(Debug)]
enum Behind {
    Nothing,
    Store(Arc<dyn AnyStore>),
    Validator { ledger: Ledger, has_store: bool, identity: Fingerprint },
}

impl CacheBuilder {
    fn new(behind: Behind) -> Self {
        let (namespace, share, prefix, keys) = (None, None, None, None);
        Self { behind, memory: MEMORY, timeout: STORE_TIMEOUT, namespace, share, prefix, keys }
    }

    setters! {
        /// What tells this cache from others on the same store and prefix: the service's name, and its environment.
        ///
        /// Caches with one namespace share their entries; so all processes of a service say the same.
        pub fn namespace(mut self, name: impl Into<Box<str>>) => self.namespace = Some(name.into());

        /// The most bytes of all spaces in this process's memory. Default: 64 MiB.
        pub fn memory(mut self, bytes: u64) => self.memory = bytes;

        /// The longest that a call to the store may take which can go on without it. Default: 100 ms. Invalidations and
        /// puts have a second.
        pub fn store_timeout(mut self, timeout: Duration) => self.timeout = timeout;

        /// What every key in the store begins with: 1 to 64 of A-Z, a-z, 0-9, `_`, `-`, `.` and `:`. Default: `payproof`. A
        /// validator's cache has the validator's.
        pub fn store_prefix(mut self, prefix: impl Into<Box<str>>) => self.prefix = Some(prefix.into());

        /// Authenticates every entry, so that who can write to the store cannot forge permissions: one to four keys, of which
        /// the first signs. Default: none. A validator's cache has the validator's. See
        /// [`ValidatorBuilder::record_keys`](crate::ValidatorBuilder::record_keys).
        pub fn record_keys(mut self, keys: impl IntoIterator<Item = [u8; 32]>) =>
            self.keys = Some(keys.into_iter().map(|key| Seal::new(&key)).collect());
    }

    /// Puts entries into the validator's own store, at most this many bytes by this process at once: each value, and 512 for
    /// each entry and each tag that it began, as long as they are kept, stale values too. Further values are served, and not
    /// stored. Counters, which are small and end with their windows, are not counted. Default: another store, as `PAYPROOF_CACHE_…` says.
    ///
    /// A store that is full refuses redemptions. Give it room for all processes, or the cache a store of its own, which may
    /// evict.
    pub fn share_store(mut self, max_bytes: u64) -> Self {
        self.share = Some(max_bytes);
        self
    }

    /// Checks every setting, and builds the cache.
    ///
    /// # Errors
    /// When a setting is outside what makes sense, or there is a store and no namespace.
    pub fn build(self) -> Result<Cache, BuildError> {
        let Self { behind, memory, timeout, namespace, share, prefix, keys } = self;
        BuildError::check("store_timeout", timeout, timeout >= Duration::from_millis(1), "at least 1 ms")?;
        BuildError::check_store_prefix(prefix.as_deref().unwrap_or(ValidatorBuilder::STORE_PREFIX))?;
        BuildError::check_record_keys(keys.as_deref())?;
        let name = namespace.as_deref().unwrap_or_default();
        let on = |store, prefix: Option<Box<str>>, keys: Option<_>| {
            let codec = Codec::new(keys.unwrap_or_default(), Release::Current, Vec::new());
            Ledger::new(
                store,
                prefix.unwrap_or_else(|| ValidatorBuilder::STORE_PREFIX.into()),
                SURE_TIMEOUT,
                codec,
                None,
            )
        };
        let in_memory = || {
            let counters = on(Arc::new(MemoryStore::new()), None, None);
            Ok(Cache(Arc::new(Core::new(None, counters, memory))))
        };
        let (ledger, namespace) = match behind {
            Behind::Nothing => return in_memory(),
            Behind::Store(store) => {
                let rule = "1 to 100 bytes, or two services on one store would share entries";
                BuildError::check("namespace", name, (1..=MOST_NAMESPACE).contains(&name.len()), rule)?;
                (on(store, prefix, keys), Fingerprint::of("cache", [Some(name.as_bytes())]))
            }
            Behind::Validator { ledger, has_store, identity } => {
                let rule = "unset, since a validator's cache has the validator's";
                BuildError::check("store_prefix", &prefix, prefix.is_none(), rule)?;
                BuildError::check("record_keys", format_args!("set"), keys.is_none(), rule)?;
                let own =
                    Fingerprint::of("cache of a validator", [Some(&identity.as_bytes()[..]), Some(name.as_bytes())]);
                if share.is_some() {
                    (ledger, own)
                } else if names_a_store() {
                    (ledger.elsewhere(Arc::new(env_store()?)), own)
                } else if has_store {
                    let rule = "set, since redemptions rely on that store; or name another with PAYPROOF_CACHE_…";
                    return Err(BuildError::out_of_range("share_store", "not set".to_owned(), rule));
                } else {
                    return in_memory();
                }
            }
        };
        let quick = ledger.apart(timeout);
        let sure = ledger.surely_beside(&quick);
        let counters = sure.clone();
        let backing = Backing::new(quick, sure, namespace, LEASE, share.map(Share::new));
        let backing = backing.map_err(|error| BuildError::out_of_range("cache", error.to_string(), "randomness"))?;
        Ok(Cache(Arc::new(Core::new(Some(Arc::new(backing)), counters, memory))))
    }
}

impl Cache {
    /// Starts a cache on a store. Say its [`namespace`](CacheBuilder::namespace).
    pub fn builder(store: impl Store) -> CacheBuilder {
        CacheBuilder::new(Behind::Store(Arc::new(store)))
    }

    /// Starts a cache on the store that the environment names: by the variables of
    /// [`store::from_env`](fn@crate::store::from_env), each with `PAYPROOF_CACHE_` before it (`PAYPROOF_CACHE_REDIS_URL`;
    /// `PAYPROOF_CACHE_STORE` for `PAYPROOF_STORE`, and so each that begins with `PAYPROOF_`), or where none of those is set, by those variables themselves. Where
    /// `USE_REDIS_CACHE` is off it is memory in either case. Say its [`namespace`](CacheBuilder::namespace).
    ///
    /// # Errors
    /// As for `store::from_env`.
    pub fn from_env() -> Result<CacheBuilder, BuildError> {
        Ok(Self::builder(if names_a_store() { env_store()? } else { from_env()? }))
    }

    /// Starts a cache of this process alone, without a store.
    pub fn in_memory() -> CacheBuilder {
        CacheBuilder::new(Behind::Nothing)
    }
}

impl Validator {
    /// Starts a cache on the validator's store, with [`share_store`](CacheBuilder::share_store), or on the one that
    /// `PAYPROOF_CACHE_…` names; in memory where the validator has no store. Prefix and record keys are the validator's. Caches of
    /// validators of another account or mode share nothing with it.
    pub fn cache(&self) -> CacheBuilder {
        let account = &self.0.account;
        let identity = account.identity.fingerprint("cache", &[]);
        let has_store = account.has_store;
        CacheBuilder::new(Behind::Validator { ledger: account.ledger.clone(), has_store, identity })
    }
}

/// What the variables of a cache's own store begin with.
const OWN: &str = "PAYPROOF_CACHE_";

/// Whether the environment names a store for caches alone.
fn names_a_store() -> bool {
    std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with(OWN))
}

/// The store that the environment names for caches alone.
fn env_store() -> Result<EnvStore, BuildError> {
    // A prefix stands before the names of others alone; this crate's own have it within.
    from_vars(OWN, |name| match name.strip_prefix("PAYPROOF_") {
        Some(rest) if !name.starts_with(OWN) => variable(&format!("{OWN}{rest}")),
        _ => variable(name),
    })
}
