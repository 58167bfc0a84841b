//! The stores that the environment can choose, in one table: a new store is a new row.
//!
//! [`from_env`](fn@super::from_env) reads it and words its errors with it, the command line prints it, and the tests below hold
//! the docs, the page about deploying and the features against it.

use std::sync::Arc;

use super::AnyStore;
use crate::settings::build_error::BuildError;

/// Opens a store at an address, with its token; the token is empty where the row has none.
pub(super) type Open = fn(&str, &str) -> Result<Arc<dyn AnyStore>, BuildError>;

/// One way to choose a store.
pub(super) struct Choice {
    /// What `PAYPROOF_STORE` says, and [`EnvStore::name`](super::EnvStore::name).
    pub(super) name: &'static str,
    /// The variable that holds where it is. One that begins with [`OURS`] needs `PAYPROOF_STORE` beside it and takes no prefix.
    pub(super) address: &'static str,
    /// The variable that holds its secret, where that is not part of the address.
    pub(super) token: Option<&'static str>,
    /// A variable beside them whose token cannot write.
    pub(super) read_only: Option<&'static str>,
    /// The address may also be one of Redis over TCP, with the secret in it.
    pub(super) or_redis: bool,
    /// What has to be compiled in.
    pub(super) feature: &'static str,
    /// Absent where that feature is.
    pub(super) open: Option<Open>,
}

/// What this crate's own variables begin with.
pub(super) const OURS: &str = "PAYPROOF_";

macro_rules! open_with {
    ($feature:literal, $open:expr) => {{
        #[cfg(feature = $feature)]
        let open: Option<Open> = Some($open);
        #[cfg(not(feature = $feature))]
        let open: Option<Open> = None;
        open
    }};
}

pub(super) const REDIS: Choice = Choice {
    name: "redis",
    address: "REDIS_URL",
    token: None,
    read_only: None,
    or_redis: false,
    feature: "redis",
    open: open_with!("redis", |url, _| Ok(Arc::new(super::RedisStore::new(url)?))),
};

const UPSTASH: Choice = Choice {
    name: "upstash",
    address: "UPSTASH_REDIS_REST_URL",
    token: Some("UPSTASH_REDIS_REST_TOKEN"),
    read_only: None,
    or_redis: false,
    feature: "upstash",
    open: open_with!("upstash", |url, token| Ok(Arc::new(super::UpstashStore::new(url, token)?))),
};

/// Every choice but memory, in the order in which they are asked.
pub(super) const CHOICES: [Choice; 7] = [
    REDIS,
    UPSTASH,
    // The older names, which are used for two protocols.
    Choice { address: "UPSTASH_REDIS_URL", token: Some("UPSTASH_REDIS_TOKEN"), or_redis: true, ..UPSTASH },
    Choice {
        name: "vercel-kv",
        address: "KV_REST_API_URL",
        token: Some("KV_REST_API_TOKEN"),
        read_only: Some("KV_REST_API_READ_ONLY_TOKEN"),
        feature: "vercel-kv",
        open: open_with!("vercel-kv", |url, token| Ok(Arc::new(super::UpstashStore::vercel_kv(url, token)?))),
        ..UPSTASH
    },
    // What Vercel KV sets beside those, for Redis' own protocol.
    Choice { address: "KV_URL", ..REDIS },
    // `DATABASE_URL` is the shop's own, with parameters that are other libraries' affair.
    Choice {
        name: "postgres",
        address: "PAYPROOF_DATABASE_URL",
        feature: "postgres",
        open: open_with!("postgres", |url, _| Ok(Arc::new(super::PostgresStore::new(url)?))),
        ..REDIS
    },
    Choice {
        name: "file",
        address: "PAYPROOF_STORE_PATH",
        feature: "file",
        open: open_with!("file", |path, _| Ok(Arc::new(super::FileStore::open(path)?))),
        ..REDIS
    },
];

/// The names that `PAYPROOF_STORE` takes, in words.
pub(super) fn names() -> String {
    let mut names: Vec<&str> = CHOICES.iter().map(|choice| choice.name).collect();
    names.sort_unstable();
    names.dedup();
    let last = names.pop().unwrap_or_default();
    format!("memory, {} or {last}", names.join(", "))
}

/// The variables that choose a store, in words: for a help text, or a message that one is missing.
#[must_use]
pub fn env_choices() -> String {
    let mut said: Vec<String> = Vec::new();
    for (at, choice) in CHOICES.iter().enumerate() {
        if CHOICES.iter().take(at).any(|earlier| earlier.name == choice.name) {
            continue;
        }
        let asked = if choice.address.starts_with(OURS) {
            format!("PAYPROOF_STORE={} and ", choice.name)
        } else {
            String::new()
        };
        let token = choice.token.map(|token| format!(" and {token}")).unwrap_or_default();
        said.push(format!("{asked}{}{token}", choice.address));
    }
    said.join(", or ")
}

/// Every variable that [`from_env`](fn@super::from_env) reads, in the order in which it asks for them.
#[must_use]
pub fn env_variables() -> Vec<&'static str> {
    let chosen = CHOICES.iter().flat_map(|choice| [Some(choice.address), choice.token, choice.read_only]);
    let switches = ["PAYPROOF_STORE", "USE_REDIS_CACHE", "APP_ENV", "NODE_ENV"].into_iter().map(Some);
    switches.chain(chosen).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/deploying.md");
    const MANIFEST: &str = include_str!("../../Cargo.toml");
    const CRATE_DOCS: &str = include_str!("../lib.rs");
    const STORE_DOCS: &str = include_str!("mod.rs");
    const FROM_ENV: &str = include_str!("from_env.rs");

    #[test]
    fn the_docs_of_from_env_list_each_choice_in_its_order() {
        let rows = FROM_ENV.lines().filter_map(|line| line.strip_prefix("/// | `"));
        let rows: Vec<String> = rows.map(|row| format!("`{row}")).collect();
        let listed = CHOICES.iter().filter(|choice| !choice.address.starts_with(OURS)).map(|choice| {
            let token = choice.token.map(|token| format!(", `{token}`")).unwrap_or_default();
            format!("`{}`{token} ", choice.address)
        });
        let listed: Vec<String> =
            ["`USE_REDIS_CACHE` ".to_owned(), "`PAYPROOF_STORE` ".to_owned()].into_iter().chain(listed).collect();
        assert_eq!(rows.len(), listed.len(), "{rows:#?}");
        for (row, listed) in rows.iter().zip(&listed) {
            assert!(row.starts_with(listed), "{row}: {listed}");
        }
        let names = names().replace(", ", "`, `").replace(" or ", "` or `");
        assert!(rows[1].contains(&format!("`{names}`")), "{names}");
        assert!(FROM_ENV.contains(&format!("    /// `{names}`.\n")), "the docs of EnvStore::name");
    }

    #[test]
    fn page_and_tables_name_each_store_with_its_variables_and_feature() {
        for choice in CHOICES {
            let cell = format!("`{}`", choice.feature);
            let in_table = |docs: &str| docs.lines().any(|line| line.contains("| ") && line.contains(&cell));
            assert!(in_table(PAGE) && in_table(STORE_DOCS) && in_table(CRATE_DOCS), "the feature {cell}");
            assert!(MANIFEST.contains(&format!("\n{} = [", choice.feature)), "the feature {cell}");
        }
        for variable in env_choices().split([' ', ',', '=']).filter(|word| word.contains('_')) {
            assert!(PAGE.contains(&format!("`{variable}`")), "the page leaves out {variable}");
        }
    }

    #[test]
    fn the_command_line_brings_every_store() {
        let cli = MANIFEST.split_once("\ncli = [").unwrap().1.split_once(']').unwrap().0;
        for choice in CHOICES {
            let brought = cli.contains(&format!("\"{}\"", choice.feature)) || choice.feature == "upstash";
            assert!(brought, "{}", choice.feature);
        }
    }
}
