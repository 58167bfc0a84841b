//! The store that the environment asks for.
#![cfg(all(feature = "file", feature = "postgres", feature = "redis", feature = "upstash", feature = "vercel-kv"))]

use std::collections::BTreeSet;

use payproof::BuildError;
use payproof::store::{Durability, EnvStore, Store, env_variables, from_vars};

use crate::folder::Folder;
use crate::generated::{compare, table};

const EXAMPLE: &str = include_str!("../../.env.example");

const DATABASE: &str = "postgres://127.0.0.1:1/shop";

fn choose(vars: &[(&str, &str)]) -> Result<EnvStore, BuildError> {
    choose_with_prefix("", vars)
}

fn choose_with_prefix(prefix: &str, vars: &[(&str, &str)]) -> Result<EnvStore, BuildError> {
    from_vars(prefix, |name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

/// Put together here, so that no literal looks like a credential.
fn token() -> String {
    ["AX", "token", "123456"].concat()
}

#[test]
fn each_variable_chooses_its_store_in_the_documented_order() {
    let token = token();
    let kv = [("KV_REST_API_URL", "https://kv.example"), ("KV_REST_API_TOKEN", &*token)];
    let older = [("UPSTASH_REDIS_URL", "https://older.example"), ("UPSTASH_REDIS_TOKEN", &*token)];
    let upstash = [("UPSTASH_REDIS_REST_URL", "https://up.example"), ("UPSTASH_REDIS_REST_TOKEN", &*token)];
    let redis = [("REDIS_URL", "redis://127.0.0.1:6379")];
    let mut vars: Vec<(&str, &str)> = Vec::new();
    let chosen = |vars: &[(&str, &str)]| {
        let store = choose(vars).unwrap();
        (store.name(), store.because().to_owned())
    };
    assert_eq!(chosen(&vars), ("memory", "no variable names a store".into()));
    vars.push(("KV_URL", "rediss://default:secret@kv.example:6379"));
    assert_eq!(chosen(&vars), ("redis", "KV_URL is set".into()));
    vars.extend(kv);
    assert_eq!(chosen(&vars), ("vercel-kv", "KV_REST_API_URL is set".into()));
    vars.extend(older);
    assert_eq!(chosen(&vars), ("upstash", "UPSTASH_REDIS_URL is set".into()));
    vars.extend(upstash);
    assert_eq!(chosen(&vars), ("upstash", "UPSTASH_REDIS_REST_URL is set".into()));
    vars.extend(redis);
    assert_eq!(chosen(&vars), ("redis", "REDIS_URL is set".into()));
    vars.push(("PAYPROOF_STORE", "vercel-kv"));
    assert_eq!(chosen(&vars), ("vercel-kv", "PAYPROOF_STORE says so".into()));
    vars.push(("USE_REDIS_CACHE", "false"));
    let off = choose(&vars).unwrap();
    assert_eq!((off.name(), off.is_degraded()), ("memory", true));
}

#[test]
fn the_older_upstash_names_serve_both_protocols() {
    let token = token();
    let tcp = [("UPSTASH_REDIS_URL", "rediss://default:secret@up.example:6379"), ("UPSTASH_REDIS_TOKEN", &*token)];
    assert_eq!(choose(&tcp).unwrap().name(), "redis");
    assert_eq!(choose(&tcp[..1]).unwrap().name(), "redis");
    let rest =
        [("PAYPROOF_STORE", "upstash"), ("UPSTASH_REDIS_URL", "https://up.example"), ("UPSTASH_REDIS_TOKEN", &*token)];
    assert_eq!(choose(&rest).unwrap().name(), "upstash");
}

#[test]
fn half_a_pair_names_the_missing_half() {
    let token = token();
    for [url, secret] in [
        ["UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"],
        ["UPSTASH_REDIS_URL", "UPSTASH_REDIS_TOKEN"],
        ["KV_REST_API_URL", "KV_REST_API_TOKEN"],
    ] {
        for (given, value, missing) in [(url, "https://x.example", secret), (secret, &*token, url)] {
            let error = choose(&[(given, value)]).unwrap_err().to_string();
            assert_eq!(error, format!("{missing} is missing; {given} is set"));
        }
    }
    let read_only = choose(&[("KV_REST_API_URL", "https://kv.example"), ("KV_REST_API_READ_ONLY_TOKEN", &token)]);
    assert!(read_only.unwrap_err().to_string().contains("KV_REST_API_READ_ONLY_TOKEN may not write"));
    let alone = choose_with_prefix("cache_", &[("cache_KV_REST_API_READ_ONLY_TOKEN", &token)]).unwrap_err().to_string();
    assert!(
        alone.starts_with("cache_KV_REST_API_TOKEN is missing; cache_KV_REST_API_READ_ONLY_TOKEN may not"),
        "{alone}"
    );
}

#[test]
fn a_prefix_is_put_before_addresses_and_tokens() {
    let token = token();
    let vars = [("cache_KV_REST_API_URL", "https://kv.example"), ("cache_KV_REST_API_TOKEN", &*token)];
    assert_eq!(choose(&vars).unwrap().name(), "memory");
    assert_eq!(choose_with_prefix("cache_", &vars).unwrap().name(), "vercel-kv");
}

#[test]
fn memory_in_production_is_degraded_and_refused_where_a_shared_store_is_required() {
    let environments =
        [("APP_ENV", "production"), ("NODE_ENV", "production"), ("APP_ENV", "Production"), ("NODE_ENV", " prod")];
    for (variable, value) in environments {
        let store = choose(&[(variable, value)]).unwrap();
        assert!(store.is_degraded());
        let error = store.require_shared().unwrap_err().to_string();
        assert!(error.contains("no variable names a store") && error.contains(variable), "{error}");
    }
    let store = choose(&[("APP_ENV", "staging")]).unwrap();
    assert!(!store.is_degraded());
    assert!(store.require_shared().is_err());
    assert!(choose(&[("REDIS_URL", "redis://127.0.0.1:1")]).unwrap().require_shared().is_ok());
}

#[test]
fn what_is_asked_for_and_missing_or_malformed_is_an_error_and_never_memory() {
    for (vars, said) in [
        (&[("PAYPROOF_STORE", "redis")][..], "REDIS_URL is missing"),
        (&[("PAYPROOF_STORE", "file")], "PAYPROOF_STORE_PATH is missing"),
        (&[("PAYPROOF_STORE", "upstash")], "UPSTASH_REDIS_REST_URL is missing"),
        (&[("PAYPROOF_STORE", "vercel-kv")], "KV_REST_API_URL is missing"),
        (&[("PAYPROOF_STORE", "postgres")], "PAYPROOF_DATABASE_URL is missing"),
        (&[("PAYPROOF_STORE", "mysql")], "must be memory, file, postgres, redis, upstash or vercel-kv"),
        (&[("USE_REDIS_CACHE", "perhaps")], "USE_REDIS_CACHE must be true or false"),
        (&[("PAYPROOF_STORE_PATH", "/srv/payproof")], "PAYPROOF_STORE is missing; PAYPROOF_STORE_PATH is set"),
        (
            &[("PAYPROOF_DATABASE_URL", DATABASE)],
            "PAYPROOF_STORE is missing; PAYPROOF_DATABASE_URL is set, so say postgres",
        ),
    ] {
        let error = choose(vars).unwrap_err().to_string();
        assert!(error.contains(said), "{vars:?}: {error}");
    }
    for url in ["nonsense", "https://x.example", "redis://127.0.0.1:6379 ", "redis://host:port"] {
        assert!(choose(&[("REDIS_URL", url)]).is_err(), "{url}");
    }
    let token = token();
    let spaced = format!("{token} ");
    for (url, secret) in
        [("http://up.example", &token), ("https://up.example ", &token), ("https://up.example", &spaced)]
    {
        let vars = [("UPSTASH_REDIS_REST_URL", url), ("UPSTASH_REDIS_REST_TOKEN", &**secret)];
        let error = choose(&vars).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&token), "{error:?}");
    }
}

#[test]
fn the_shops_own_database_is_used_only_where_it_is_named_for_this() {
    assert_eq!(choose(&[("DATABASE_URL", DATABASE)]).unwrap().name(), "memory");
    let asked =
        [("PAYPROOF_STORE", "postgres"), ("PAYPROOF_DATABASE_URL", DATABASE), ("REDIS_URL", "redis://127.0.0.1:1")];
    let store = choose(&asked).unwrap();
    assert_eq!((store.name(), store.address()), ("postgres", "postgres://127.0.0.1:1"));
    assert!(store.durability().shared);
    let wrong = [("PAYPROOF_STORE", "postgres"), ("PAYPROOF_DATABASE_URL", "mysql://shop:hunter22@127.0.0.1/shop")];
    let error = choose(&wrong).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter22"), "{error:?}");
}

#[test]
fn use_redis_cache_is_read_in_any_case_with_blanks_around_it() {
    let with = |value| choose(&[("USE_REDIS_CACHE", value), ("REDIS_URL", "redis://127.0.0.1:6379")]).unwrap();
    for value in ["", " ", "1", "true", "YES", " on\n"] {
        assert_eq!(with(value).name(), "redis", "{value:?}");
    }
    for value in ["0", "false", "No", "OFF", " False", "off\r\n"] {
        assert_eq!((with(value).name(), with(value).is_degraded()), ("memory", true), "{value:?}");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    assert_eq!(choose(&[("REDIS_URL", ""), ("PAYPROOF_STORE", "")]).unwrap().name(), "memory");
}

#[test]
fn neither_url_nor_token_is_shown() {
    let token = token();
    let vars = [("REDIS_URL", "redis://user:hunter22@127.0.0.1:1/0")];
    let shown = format!("{0} {0:?}", choose(&vars).unwrap());
    assert!(!shown.contains("hunter22"), "{shown}");
    let vars = [("KV_REST_API_URL", "https://kv.example"), ("KV_REST_API_TOKEN", &*token)];
    let shown = format!("{0} {0:?}", choose(&vars).unwrap());
    assert!(!shown.contains(&token), "{shown}");
}

/// The variables of some lines, with and without `#` before them.
fn variables(lines: &str) -> Vec<(String, String)> {
    let set = lines.lines().filter_map(|line| line.trim_start_matches('#').split_once('='));
    let set = set.filter(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn choose_by(lines: &str) -> Result<EnvStore, BuildError> {
    let vars = variables(lines);
    choose(&vars.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>())
}

#[test]
fn the_example_of_an_environment_chooses_redis_and_each_of_its_alternatives_what_it_says() {
    let as_it_stands: Vec<&str> = EXAMPLE.lines().filter(|line| !line.starts_with('#')).collect();
    let store = choose_by(&as_it_stands.join("\n")).unwrap();
    assert_eq!((store.name(), store.because(), store.is_degraded()), ("redis", "REDIS_URL is set", false));
    let folder = Folder::new("env-example");
    let alternatives: Vec<&str> = EXAMPLE.split("\n\n").filter(|part| part.starts_with("# or ")).collect();
    let chosen: Vec<&str> = alternatives
        .iter()
        .map(|part| choose_by(&part.replace("/var/lib/shop", &folder.path().display().to_string())).unwrap().name())
        .collect();
    assert_eq!(chosen, ["upstash", "upstash", "vercel-kv", "redis", "postgres", "file"], "{alternatives:#?}");
}

#[test]
fn the_example_of_an_environment_has_every_variable_of_a_store() {
    let named: BTreeSet<String> = variables(EXAMPLE).into_iter().map(|(name, _)| name).collect();
    let missing: Vec<&str> = env_variables().into_iter().filter(|name| !named.contains(*name)).collect();
    assert!(missing.is_empty(), ".env.example leaves out {missing:?}");
}

#[tokio::test]
async fn the_page_says_of_each_store_who_sees_it_and_what_it_loses() {
    let (token, folder) = (token(), Folder::new("store-table"));
    let file = folder.file().display().to_string();
    let mut rows = Vec::new();
    for vars in [
        &[("PAYPROOF_STORE", "memory")][..],
        &[("PAYPROOF_STORE", "file"), ("PAYPROOF_STORE_PATH", &*file)],
        &[("PAYPROOF_STORE", "postgres"), ("PAYPROOF_DATABASE_URL", DATABASE)],
        &[("REDIS_URL", "redis://127.0.0.1:1")],
        &[("UPSTASH_REDIS_REST_URL", "https://x.upstash.io"), ("UPSTASH_REDIS_REST_TOKEN", &*token)],
        &[("KV_REST_API_URL", "https://x.kv.vercel-storage.com"), ("KV_REST_API_TOKEN", &*token)],
    ] {
        let store = choose(vars).unwrap();
        let Durability { shared, best_effort } = store.durability();
        // Of these the server decides, and there is none here.
        let is_asked = ["postgres", "redis"].contains(&store.name());
        let restart = if is_asked { "the server is asked" } else { restart(&store).await.unwrap() };
        rows.push([
            format!("`{}`", store.name()),
            if shared { "every process" } else { "one process" }.to_owned(),
            restart.to_owned(),
            if best_effort { "the last writes" } else { "nothing" }.to_owned(),
        ]);
    }
    let head = ["store", "its records are seen by", "lost at a restart", "lost at a failover"];
    compare("docs/deploying.md", "stores", &table(head, rows));
}

/// In the page's words, of those who know it without a server.
async fn restart(store: &EnvStore) -> Option<&'static str> {
    use payproof::store::RestartLoss;
    match store.restart_loss().await.ok()? {
        RestartLoss::Nothing => Some("nothing"),
        RestartLoss::Second => Some("a second"),
        RestartLoss::All => Some("everything"),
        _ => None,
    }
}
