//! The store that the environment asks for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::settings::build_error::BuildError;
use crate::settings::switch;
use crate::telemetry::store_chosen;

use super::{AnyStore, Claim, Durability, Inspection, MemoryStore, RestartLoss, Store, StoreError, Stored, Swap};

/// Chooses a store by the environment's variables.
///
/// | asked in this order | chooses |
/// |---|---|
/// | `USE_REDIS_CACHE` is 0, false, no or off | memory, with a warning |
/// | `PAYPROOF_STORE` | `memory`, `file`, `redis`, `upstash` or `vercel-kv`, with the variables below |
/// | `REDIS_URL` | Redis |
/// | `UPSTASH_REDIS_REST_URL`, `UPSTASH_REDIS_REST_TOKEN` | Upstash over REST |
/// | `UPSTASH_REDIS_URL`, `UPSTASH_REDIS_TOKEN` (older) | Upstash: `https` over REST, `rediss` over TCP, where the URL holds the password |
/// | `KV_REST_API_URL`, `KV_REST_API_TOKEN` | Vercel KV |
/// | none of these | memory; with a warning if `APP_ENV` or `NODE_ENV` is `production` or `prod` |
///
/// The file store reads its path from `PAYPROOF_STORE_PATH`. An empty variable counts as unset. `USE_REDIS_CACHE`
/// and the names of environments are read in any case, blanks around them left out. What was chosen and why is logged once,
/// as `payproof.store_chosen`, and told by [`EnvStore::because`].
///
/// ```
/// # fn main() -> Result<(), payproof::BuildError> {
/// let store = payproof::store::from_env()?;
/// println!("payproof keeps its records in {store}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Half a pair names the missing half, also `PAYPROOF_STORE_PATH` where nothing chooses a store; a store whose feature is not
/// compiled in names the feature; a `USE_REDIS_CACHE` that is neither on (1, true, yes, on) nor off, and a `PAYPROOF_STORE`
/// that names no store, are named; and whatever the store itself refuses. It never falls back to memory in silence.
pub fn from_env() -> Result<EnvStore, BuildError> {
    from_env_with_prefix("")
}

/// Like [`from_env`], with this before the names of all variables that hold an address or a token, as some integrations
/// name them: `cache_` reads `cache_KV_REST_API_URL`.
///
/// # Errors
/// As for [`from_env`].
pub fn from_env_with_prefix(prefix: &str) -> Result<EnvStore, BuildError> {
    from_vars(prefix, switch::variable)
}

/// Like [`from_env_with_prefix`], with variables from elsewhere.
///
/// # Errors
/// As for [`from_env`].
pub fn from_vars(prefix: &str, var: impl Fn(&str) -> Option<String>) -> Result<EnvStore, BuildError> {
    let chosen = Vars { prefix, var: &var }.choose()?;
    store_chosen(chosen.name, &chosen.because, chosen.is_risky);
    Ok(chosen)
}

/// The store that the environment asked for. Clones share everything.
#[derive(Clone)]
pub struct EnvStore {
    store: Arc<dyn AnyStore>,
    name: &'static str,
    because: String,
    is_risky: bool,
}

impl EnvStore {
    /// `memory`, `file`, `redis`, `upstash` or `vercel-kv`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Which variable decided.
    #[must_use]
    pub fn because(&self) -> &str {
        &self.because
    }

    /// Whether this is memory in production: everything works, and a restart or a second process knows nothing of it.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.is_risky
    }

    /// Refuses a store that other processes do not see.
    ///
    /// # Errors
    /// Names what was chosen, and why.
    pub fn require_shared(self) -> Result<Self, BuildError> {
        if self.store.durability().shared {
            return Ok(self);
        }
        Err(BuildError::NotShared { store: self.name, because: self.because })
    }
}

impl fmt::Display for EnvStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.because)
    }
}

impl fmt::Debug for EnvStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvStore").field("store", &self.store).field("because", &self.because).finish_non_exhaustive()
    }
}

impl Store for EnvStore {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        self.store.get(key).await
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        self.store.claim(key, value, ttl).await
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        self.store.replace(key, expected, value, ttl).await
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        self.store.remove(key, expected).await
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        self.store.restart_loss().await
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        self.store.inspect().await
    }
}

const USE_REDIS_CACHE: &str = "USE_REDIS_CACHE";
const UPSTASH: [&str; 2] = ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"];
const UPSTASH_OLDER: [&str; 2] = ["UPSTASH_REDIS_URL", "UPSTASH_REDIS_TOKEN"];
const VERCEL_KV: [&str; 2] = ["KV_REST_API_URL", "KV_REST_API_TOKEN"];

struct Vars<'v> {
    prefix: &'v str,
    var: &'v dyn Fn(&str) -> Option<String>,
}

impl Vars<'_> {
    fn choose(&self) -> Result<EnvStore, BuildError> {
        if switch::read(USE_REDIS_CACHE, (self.var)(USE_REDIS_CACHE).as_deref())? == Some(false) {
            return Ok(self.memory("USE_REDIS_CACHE turns shared stores off", true));
        }
        if let Some(asked) = self.get("PAYPROOF_STORE") {
            let because = "PAYPROOF_STORE says so";
            return match &*asked {
                "memory" => Ok(self.memory(because, false)),
                "file" => {
                    file(&self.needed("PAYPROOF_STORE_PATH", "is missing; the file store needs a path")?, because)
                }
                "redis" => {
                    let url = self.prefixed("REDIS_URL");
                    redis(&self.needed(&url, "is missing; PAYPROOF_STORE asks for redis")?, because)
                }
                "upstash" => match (self.pair(UPSTASH)?, self.upstash_older()?) {
                    (Some([url, token]), _) => upstash(&url, &token, because),
                    (None, Some(store)) => Ok(EnvStore { because: because.to_owned(), ..store }),
                    (None, None) => {
                        Err(refused(self.prefixed(UPSTASH[0]), "is missing; PAYPROOF_STORE asks for upstash"))
                    }
                },
                "vercel-kv" => match self.pair(VERCEL_KV)? {
                    Some([url, token]) => vercel_kv(&url, &token, because),
                    None => Err(refused(self.prefixed(VERCEL_KV[0]), "is missing; PAYPROOF_STORE asks for vercel-kv")),
                },
                _ => Err(refused("PAYPROOF_STORE", "must be memory, file, redis, upstash or vercel-kv")),
            };
        }
        let name = self.prefixed("REDIS_URL");
        if let Some(url) = self.get(&name) {
            return redis(&url, &format!("{name} is set"));
        }
        if let Some([url, token]) = self.pair(UPSTASH)? {
            return upstash(&url, &token, &format!("{} is set", self.prefixed(UPSTASH[0])));
        }
        if let Some(store) = self.upstash_older()? {
            return Ok(store);
        }
        if let Some([url, token]) = self.pair(VERCEL_KV)? {
            return vercel_kv(&url, &token, &format!("{} is set", self.prefixed(VERCEL_KV[0])));
        }
        if self.get("PAYPROOF_STORE_PATH").is_some() {
            return Err(refused("PAYPROOF_STORE", "is missing; PAYPROOF_STORE_PATH is set, so say file"));
        }
        Ok(self.memory("no variable names a store", false))
    }

    /// The older names, which are used for two protocols.
    fn upstash_older(&self) -> Result<Option<EnvStore>, BuildError> {
        let [url_name, token_name] = UPSTASH_OLDER.map(|name| self.prefixed(name));
        let because = format!("{url_name} is set");
        match (self.get(&url_name), self.get(&token_name)) {
            (Some(url), _) if url.starts_with("redis") => redis(&url, &because).map(Some),
            (Some(_), None) => Err(refused(token_name, format!("is missing; {url_name} is set"))),
            (None, Some(_)) => Err(refused(url_name, format!("is missing; {token_name} is set"))),
            (Some(url), Some(token)) => upstash(&url, &token, &because).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Both of a pair, or neither.
    fn pair(&self, names: [&str; 2]) -> Result<Option<[String; 2]>, BuildError> {
        let [url_name, token_name] = names.map(|name| self.prefixed(name));
        match (self.get(&url_name), self.get(&token_name)) {
            (Some(url), Some(token)) => Ok(Some([url, token])),
            (None, None) => Ok(None),
            (Some(_), None) => {
                let read_only = self.prefixed("KV_REST_API_READ_ONLY_TOKEN");
                let also = if names == VERCEL_KV && self.get(&read_only).is_some() {
                    format!("; {read_only} may not write, so it is not used")
                } else {
                    String::new()
                };
                Err(refused(token_name, format!("is missing; {url_name} is set{also}")))
            }
            (None, Some(_)) => Err(refused(url_name, format!("is missing; {token_name} is set"))),
        }
    }

    fn memory(&self, because: &str, asked_for_loudly: bool) -> EnvStore {
        let production = ["APP_ENV", "NODE_ENV"].into_iter().find(|name| {
            let value = self.get(name).unwrap_or_default();
            ["production", "prod"].iter().any(|word| value.trim().eq_ignore_ascii_case(word))
        });
        let because = match production {
            Some(name) => format!("{because}, and {name} is production"),
            None => because.to_owned(),
        };
        EnvStore {
            store: Arc::new(MemoryStore::new()),
            name: "memory",
            because,
            is_risky: asked_for_loudly || production.is_some(),
        }
    }

    fn prefixed(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.var)(name).filter(|value| !value.is_empty())
    }

    fn needed(&self, name: &str, rule: &str) -> Result<String, BuildError> {
        self.get(name).ok_or_else(|| refused(name, rule))
    }
}

fn refused(variable: impl Into<String>, rule: impl Into<String>) -> BuildError {
    BuildError::Environment { variable: variable.into(), rule: rule.into() }
}

#[cfg(any(feature = "file", feature = "redis", feature = "upstash"))]
fn chosen(store: impl Store, name: &'static str, because: &str) -> EnvStore {
    EnvStore { store: Arc::new(store), name, because: because.to_owned(), is_risky: false }
}

/// What cannot be had without a feature is an error: memory instead would be a store that the operator did not ask for.
#[cfg(not(all(feature = "file", feature = "redis", feature = "vercel-kv")))]
fn needs(feature: &str, because: &str) -> BuildError {
    refused(because, format!("and the feature `{feature}` of payproof is not compiled in; add it"))
}

#[cfg(feature = "file")]
fn file(path: &str, because: &str) -> Result<EnvStore, BuildError> {
    Ok(chosen(super::FileStore::open(path)?, "file", because))
}

#[cfg(not(feature = "file"))]
fn file(_path: &str, because: &str) -> Result<EnvStore, BuildError> {
    Err(needs("file", because))
}

#[cfg(feature = "redis")]
fn redis(url: &str, because: &str) -> Result<EnvStore, BuildError> {
    Ok(chosen(super::RedisStore::new(url)?, "redis", because))
}

#[cfg(not(feature = "redis"))]
fn redis(_url: &str, because: &str) -> Result<EnvStore, BuildError> {
    Err(needs("redis", because))
}

#[cfg(feature = "upstash")]
fn upstash(url: &str, token: &str, because: &str) -> Result<EnvStore, BuildError> {
    Ok(chosen(super::UpstashStore::new(url, token)?, "upstash", because))
}

#[cfg(not(feature = "upstash"))]
fn upstash(_url: &str, _token: &str, because: &str) -> Result<EnvStore, BuildError> {
    Err(needs("upstash", because))
}

#[cfg(feature = "vercel-kv")]
fn vercel_kv(url: &str, token: &str, because: &str) -> Result<EnvStore, BuildError> {
    Ok(chosen(super::UpstashStore::vercel_kv(url, token)?, "vercel-kv", because))
}

#[cfg(not(feature = "vercel-kv"))]
fn vercel_kv(_url: &str, _token: &str, because: &str) -> Result<EnvStore, BuildError> {
    Err(needs("vercel-kv", because))
}
