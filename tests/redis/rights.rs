//! The settings and the user of docs/deploying.md: they suffice for all that a shop does, and none of the rights is one too many.

use payproof::Validator;
use payproof::store::{RedisStore, Store, StoreFinding};
use payproof::testing::ScriptedProvider;

use super::{MINUTE, patient};
use crate::redis_server::{RedisConfig, RedisServer};
use crate::store_use::use_store;

const PAGE: &str = include_str!("../../docs/deploying.md");
const STORE_DOCS: &str = include_str!("../../src/store/redis/mod.rs");
const REFUSALS: &str = include_str!("../../src/store/redis/fault.rs");

/// A user for the test, which changes the rights of the other one.
const ADMIN: &str = "user admin on >admin ~* +@all";

/// The lines of the page's `redis.conf`.
fn lines() -> Vec<&'static str> {
    let (_, block) = PAGE.split_once("<!-- redis.conf -->\n```text\n").unwrap();
    block.split_once("\n```").unwrap().0.lines().collect()
}

/// What the page's user may: the words behind its password and its keys.
fn rights() -> Vec<&'static str> {
    let user = lines()
        .into_iter()
        .find_map(|line| line.strip_prefix("user payproof on >CHANGE-ME ~payproof:* &payproof:line "))
        .unwrap();
    user.split(' ').collect()
}

fn config() -> RedisConfig {
    let lines = lines();
    let disk: Vec<&str> = lines.iter().filter(|line| line.starts_with("append")).copied().collect();
    let rest = lines.iter().filter(|line| !line.starts_with("append")).chain([&ADMIN]);
    let config =
        RedisConfig::new().disk(&disk.join("\n")).access(&["--user", "admin", "--pass", "admin", "--no-auth-warning"]);
    rest.fold(config, RedisConfig::line)
}

fn store(port: u16) -> RedisStore {
    patient(RedisStore::builder(format!("redis://payproof:CHANGE-ME@127.0.0.1:{port}")))
}

/// Does all that needs the store, and says what did not work.
async fn everything(store: RedisStore) -> Result<(), String> {
    let memory = store.inspect().await.map_err(|error| error.to_string())?.memory;
    memory.ok_or_else(|| "it is not told how full the server is".to_owned())?;
    use_store(store).await
}

#[tokio::test]
async fn the_documented_rights_suffice_and_each_of_them_is_needed() {
    let server = config().start().await;
    assert_eq!(everything(store(server.port())).await, Ok(()));
    for right in rights() {
        forget_all(&server);
        let taken = right.replacen('+', "-", 1);
        assert_eq!(server.command(&["ACL", "SETUSER", "payproof", &taken]), "OK", "{right}");
        assert!(
            everything(store(server.port())).await.is_err(),
            "nothing breaks without {right}: take it off the page"
        );
        assert_eq!(server.command(&["ACL", "SETUSER", "payproof", right]), "OK", "{right}");
    }
    forget_all(&server);
    assert_eq!(everything(store(server.port())).await, Ok(()));
    server.command(&["ACL", "SETUSER", "payproof", "resetkeys", "~elsewhere:*"]);
    assert!(everything(store(server.port())).await.is_err());
}

#[tokio::test]
async fn under_another_prefix_the_rights_to_its_keys_suffice() {
    let server = config().start().await;
    server.command(&["ACL", "SETUSER", "payproof", "resetkeys", "~shop:*"]);
    let store = store(server.port());
    let codes = async |prefix: &str| {
        let validator = Validator::builder(ScriptedProvider::new()).store(store.clone()).store_timeout(MINUTE);
        let validator = validator.store_prefix(prefix).build().unwrap();
        let (checked, health) = (validator.check_store().await, validator.health().await);
        assert_eq!(checked.is_fit(), health.store_check().is_fit(), "{checked:?}");
        checked.findings.iter().map(StoreFinding::code).collect::<Vec<_>>()
    };
    assert_eq!(codes("shop").await, ["restart_loses_second", "best_effort"]);
    assert!(codes("payproof").await.contains(&"read_only"), "it has no rights to these");
}

/// Scripts too, so that each round sends them anew.
fn forget_all(server: &RedisServer) {
    assert_eq!((&*server.command(&["FLUSHALL"]), &*server.command(&["SCRIPT", "FLUSH"])), ("OK", "OK"));
}

#[tokio::test]
async fn in_another_database_one_right_more_is_needed() {
    let server = config().start().await;
    let database = || patient(RedisStore::builder(format!("redis://payproof:CHANGE-ME@127.0.0.1:{}/3", server.port())));
    assert!(everything(database()).await.is_err());
    server.command(&["ACL", "SETUSER", "payproof", "+select"]);
    assert_eq!(everything(database()).await, Ok(()));
}

#[tokio::test]
async fn what_a_shop_must_not_do_the_user_may_not() {
    let server = config().start().await;
    let cli = |words: &[&str]| {
        let mut command = std::process::Command::new("redis-cli");
        command.args([
            "-p",
            &server.port().to_string(),
            "--user",
            "payproof",
            "--pass",
            "CHANGE-ME",
            "--no-auth-warning",
        ]);
        String::from_utf8(command.args(words).output().unwrap().stdout).unwrap()
    };
    for words in [
        &["FLUSHALL"][..],
        &["KEYS", "*"],
        &["CONFIG", "SET", "appendonly", "no"],
        &["GET", "elsewhere"],
        &["SHUTDOWN"],
    ] {
        assert!(cli(words).starts_with("NOPERM"), "{words:?}: {}", cli(words));
    }
    let nameless = patient(RedisStore::builder(server.url())).get("payproof:k").await.unwrap_err();
    assert!(nameless.to_string().contains("NOAUTH"), "{nameless}");
}

#[test]
fn the_rights_are_the_same_wherever_they_are_named() {
    let docs: String = STORE_DOCS.lines().filter_map(|line| line.strip_prefix("/// ")).collect::<Vec<_>>().join(" ");
    for right in rights().into_iter().chain(["+select", "+cluster|slots", "+asking", "+cluster|nodes"]) {
        assert!(docs.contains(right), "the docs of RedisStore leave out {right}");
        assert!(PAGE.contains(&right.replace('|', "\\|")), "the page leaves out {right}");
    }
    let refusals = REFUSALS.replace("\\\n                 ", "");
    assert!(
        refusals.contains(&format!("grant `~payproof:* &payproof:line {}`", rights().join(" "))),
        "what a NOPERM advises"
    );
}
