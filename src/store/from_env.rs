//! The store that the environment asks for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::accessors::{getters, partial_debug};
use crate::settings::build_error::BuildError;
use crate::settings::switch;
use crate::telemetry::store_chosen;

use super::choices::{CHOICES, Choice, OURS, REDIS, names};
use super::{
    AnyStore, Claim, Durability, Extras, Inspection, MemoryStore, RestartLoss, Store, StoreError, Stored, Swap, hand_on,
};

/// Chooses a store by the environment's variables.
///
/// | asked in this order | chooses |
/// |---|---|
/// | `USE_REDIS_CACHE` is 0, false, no or off | memory, with a warning |
/// | `PAYPROOF_STORE` | `memory`, `file`, `postgres`, `redis`, `upstash` or `vercel-kv`, with the variables below |
/// | `REDIS_URL` | Redis |
/// | `UPSTASH_REDIS_REST_URL`, `UPSTASH_REDIS_REST_TOKEN` | Upstash over REST |
/// | `UPSTASH_REDIS_URL`, `UPSTASH_REDIS_TOKEN` (older) | Upstash: `https` over REST, `rediss` over TCP, where the URL holds the password |
/// | `KV_REST_API_URL`, `KV_REST_API_TOKEN` | Vercel KV over REST |
/// | `KV_URL` | Vercel KV over TCP, with the password in the URL |
/// | none of these | memory; with a warning if `APP_ENV` or `NODE_ENV` is `production` or `prod` |
///
/// The file store reads its path from `PAYPROOF_STORE_PATH`, and `postgres` its URL from `PAYPROOF_DATABASE_URL`; a shop's own
/// `DATABASE_URL` is not read. An empty variable counts as unset. `USE_REDIS_CACHE` and the names of environments are read in any case, blanks around them left out. What was chosen and why is logged once,
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
/// Half a pair names the missing half, also `PAYPROOF_STORE_PATH` or `PAYPROOF_DATABASE_URL` where nothing chooses a store, and
/// `KV_REST_API_READ_ONLY_TOKEN` alone; a store whose feature is not compiled in names the feature; a `USE_REDIS_CACHE` that is neither on (1, true, yes, on) nor off, and a `PAYPROOF_STORE`
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
    address: String,
    is_risky: bool,
}

impl EnvStore {
    getters! {
        /// `memory`, `file`, `postgres`, `redis`, `upstash` or `vercel-kv`.
        pub fn name(&self) -> &'static str => self.name;

        /// Which variable decided.
        pub fn because(&self) -> &str => &self.because;

        /// Where it is: scheme, host and port, or the file's path; empty for memory. Credentials are not in it.
        pub fn address(&self) -> &str => &self.address;

        /// Whether this is memory in production: everything works, and a restart or a second process knows nothing of
        /// it.
        pub fn is_degraded(&self) -> bool => self.is_risky;
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

partial_debug!(EnvStore, self => store: self.store, because: self.because);

impl Store for EnvStore {
    hand_on!(self => self.store);
}

const USE_REDIS_CACHE: &str = "USE_REDIS_CACHE";
const PAYPROOF_STORE: &str = "PAYPROOF_STORE";

struct Vars<'v> {
    prefix: &'v str,
    var: &'v dyn Fn(&str) -> Option<String>,
}

impl Vars<'_> {
    fn choose(&self) -> Result<EnvStore, BuildError> {
        if switch::read(USE_REDIS_CACHE, (self.var)(USE_REDIS_CACHE).as_deref())? == Some(false) {
            return Ok(self.memory("USE_REDIS_CACHE turns shared stores off", true));
        }
        let asked = self.get(PAYPROOF_STORE);
        if asked.as_deref() == Some("memory") {
            return Ok(self.memory("PAYPROOF_STORE says so", false));
        }
        let mut missing = None;
        for choice in CHOICES.iter().filter(|choice| asked.as_deref().is_none_or(|name| name == choice.name)) {
            if let Some(store) = self.open(choice, asked.is_some())? {
                return Ok(store);
            }
            missing = missing.or(Some(choice));
        }
        match (asked, missing) {
            (None, _) => Ok(self.memory("no variable names a store", false)),
            (Some(_), None) => Err(refused(PAYPROOF_STORE, format!("must be {}", names()))),
            (Some(name), Some(choice)) => {
                Err(refused(self.prefixed(choice.address), format!("is missing; PAYPROOF_STORE asks for {name}")))
            }
        }
    }

    /// The store of one choice; none where none of its variables is set.
    fn open(&self, choice: &Choice, asked: bool) -> Result<Option<EnvStore>, BuildError> {
        let address_name = self.prefixed(choice.address);
        let token_name = choice.token.map(|name| self.prefixed(name));
        let token = token_name.as_ref().and_then(|name| self.get(name));
        let read_only = choice.read_only.map(|name| self.prefixed(name)).filter(|name| self.get(name).is_some());
        let no_use = read_only.map(|name| format!("; {name} may not write, so it is not used")).unwrap_or_default();
        let (choice, address) = match (self.get(&address_name), token_name, &token) {
            (Some(address), ..) if choice.or_redis && address.starts_with("redis") => (&REDIS, address),
            (Some(_), Some(missing), None) => {
                return Err(refused(missing, format!("is missing; {address_name} is set{no_use}")));
            }
            (Some(address), ..) => (choice, address),
            (None, Some(given), Some(_)) => {
                return Err(refused(address_name, format!("is missing; {given} is set{no_use}")));
            }
            (None, Some(missing), None) if !no_use.is_empty() => {
                return Err(refused(missing, format!("is missing{no_use}")));
            }
            (None, ..) => return Ok(None),
        };
        if !asked && choice.address.starts_with(OURS) {
            return Err(refused(PAYPROOF_STORE, format!("is missing; {address_name} is set, so say {}", choice.name)));
        }
        let because = if asked { "PAYPROOF_STORE says so".to_owned() } else { format!("{address_name} is set") };
        // What cannot be had without a feature is an error: memory instead would be a store that the operator did not ask for.
        let Some(open) = choice.open else {
            let rule = format!("and the feature `{}` of payproof is not compiled in; add it", choice.feature);
            return Err(refused(because, rule));
        };
        let store = open(&address, &token.unwrap_or_default())?;
        let address = without_credentials(&address);
        Ok(Some(EnvStore { store, name: choice.name, because, address, is_risky: false }))
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
            address: String::new(),
            is_risky: asked_for_loudly || production.is_some(),
        }
    }

    fn prefixed(&self, name: &str) -> String {
        if name.starts_with(OURS) { name.to_owned() } else { format!("{}{name}", self.prefix) }
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.var)(name).filter(|value| !value.is_empty())
    }
}

/// Scheme, host and port of an address. What stands before the last `@`, and behind the host, may hold a credential. A path of
/// a file stays as it is.
fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let host = rest.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{}", host.split(['/', '?', '#']).next().unwrap_or_default())
}

fn refused(variable: impl Into<String>, rule: impl Into<String>) -> BuildError {
    BuildError::Environment { variable: variable.into(), rule: rule.into() }
}

#[cfg(test)]
mod tests {
    use super::without_credentials;

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (address, shown) in [
            ("redis://cache:6379/2", "redis://cache:6379"),
            ("rediss://user:pa/ss@cache:6380/2?token=1", "rediss://cache:6380"),
            ("redis://:p@ss@[::1]:6379", "redis://[::1]:6379"),
            ("https://eu1.upstash.example/secret-path#secret", "https://eu1.upstash.example"),
            ("postgres://shop:pa@ss@one:5432,two/shop?sslmode=require", "postgres://one:5432,two"),
            ("/var/lib/shop/payproof.redb", "/var/lib/shop/payproof.redb"),
        ] {
            assert_eq!(without_credentials(address), shown);
        }
    }
}
