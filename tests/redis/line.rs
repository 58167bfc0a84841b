//! The invalidation line: facts in memory are served without the store while the server tells of changes, and no longer.
//!
//! Facts are kept for a second where no line covers them, so that one that serves them later without asking has a line.

mod cluster;
mod elsewhere;
#[cfg(feature = "metrics")]
mod gauge;
mod links;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use payproof::provider::{Call, Provider, ProviderError, ProviderIdentity};
use payproof::store::{RedisStore, RedisStoreBuilder, Severity, Store, StoreFinding};
use payproof::testing::ScriptedProvider;
use payproof::{AliasState, Currency, PaymentAlias, PaymentId, Provenance, ProviderPayment, Validator};
use tokio::time::{Instant, sleep, timeout};

use crate::redis_server::{RedisCluster, RedisConfig, RedisSentinels, RedisServer};
use crate::support::{intent, ms, paid, plain, poll_now, provider, secs};
use crate::{MINUTE, patient};

/// The shortest with which validators have a line.
const MEMORY_FOR: Duration = secs(1);

/// The promise: how long after `forget` was answered others may serve the older facts.
const BOUND: Duration = secs(1);

/// Long enough for a machine that has other things to do: no test is decided by it.
const PATIENCE: Duration = secs(60);

fn validator(provider: &ScriptedProvider, store: RedisStore) -> Validator {
    plain(provider).store(store).store_timeout(MINUTE).facts_in_memory_for(MEMORY_FOR).build().unwrap()
}

fn process(provider: &ScriptedProvider, server: &RedisServer) -> Validator {
    validator(provider, crate::store(server.url()))
}

fn payment() -> PaymentId {
    PaymentId::parse("pi_1").unwrap()
}

/// Servers that count how often they were asked for a record.
trait Asked {
    fn asked(&self) -> u64;
}

impl Asked for RedisServer {
    fn asked(&self) -> u64 {
        self.calls("multi")
    }
}

impl Asked for RedisCluster {
    fn asked(&self) -> u64 {
        self.servers().iter().map(RedisServer::asked).sum()
    }
}

/// Whether a validation asks the server.
async fn asks(server: &impl Asked, validator: &Validator) -> bool {
    let before = server.asked();
    validator.validate(intent("pi_1")).await.unwrap();
    server.asked() > before
}

/// Whether facts that were in memory a moment ago are served when they may not be without a line.
async fn is_covered(server: &impl Asked, validator: &Validator) -> bool {
    // The first reads them, where they are not there; the second has them covered, after a session began.
    for _ in 0..2 {
        validator.validate(intent("pi_1")).await.unwrap();
    }
    sleep(MEMORY_FOR + ms(50)).await;
    !asks(server, validator).await
}

async fn covered(server: &impl Asked, validator: &Validator) {
    let begun = Instant::now();
    while !is_covered(server, validator).await {
        assert!(begun.elapsed() < PATIENCE, "the facts are not covered");
    }
}

/// Waits until a validation asks the server. What a line had covered is gone by then.
async fn asks_at_last(server: &impl Asked, validator: &Validator) {
    let begun = Instant::now();
    while !asks(server, validator).await {
        assert!(begun.elapsed() < PATIENCE, "memory goes on answering");
        sleep(ms(10)).await;
    }
}

/// How long after this moment a call began that was not answered from memory. None that begins later than the bound is.
async fn first_miss(since: Instant, validator: &Validator) -> Duration {
    loop {
        let began = since.elapsed();
        let answer = timeout(PATIENCE, validator.validate(intent("pi_1"))).await.unwrap();
        if !answer.is_ok_and(|validation| validation.provenance() == Provenance::Replayed) {
            return began;
        }
        assert!(began <= BOUND, "a call that began {began:?} later was answered from memory");
        sleep(ms(5)).await;
    }
}

/// The connections that hear of changes.
fn lines(server: &RedisServer) -> usize {
    server.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().filter(|line| line.contains("id=")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn covered_facts_are_served_without_the_server_until_any_process_forgets_them() {
    let (server, provider) = (RedisServer::start().await, provider());
    let (one, other) = (process(&provider, &server), process(&provider, &server));
    for _ in 0..3 {
        covered(&server, &one).await;
        other.forget(&payment()).await.unwrap();
        let missed = first_miss(Instant::now(), &one).await;
        println!("the first miss elsewhere began {missed:?} after forget was answered");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_processes_without_a_line_and_people_change_is_heard() {
    let (server, provider) = (RedisServer::start().await, provider());
    let one = process(&provider, &server);
    let older = patient(RedisStore::builder(server.url()).no_invalidation_line());
    let older = validator(&provider, older);
    assert!(!is_covered(&server, &older).await, "it has no line");
    covered(&server, &one).await;
    older.forget(&payment()).await.unwrap();
    first_miss(Instant::now(), &one).await;

    covered(&server, &one).await;
    let key = server.command(&["KEYS", "payproof:facts:{*"]);
    assert_eq!(server.command(&["DEL", key.trim()]), "1");
    first_miss(Instant::now(), &one).await;

    covered(&server, &one).await;
    assert_eq!(server.command(&["FLUSHALL"]), "OK");
    first_miss(Instant::now(), &one).await;
    covered(&server, &one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_covered_is_dropped_when_the_line_ends_and_covered_anew_with_the_next() {
    let (mut server, provider) = (RedisServer::start().await, provider());
    let one = process(&provider, &server);
    covered(&server, &one).await;
    assert_eq!(server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
    asks_at_last(&server, &one).await;
    covered(&server, &one).await;

    // The file may lack what was written within the last second.
    server.command(&["CONFIG", "SET", "appendfsync", "always"]);
    server.restart().await;
    asks_at_last(&server, &one).await;
    covered(&server, &one).await;

    // A connection for records may lead to another server from now on.
    assert_eq!(server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]), "1");
    first_read_elsewhere(&one).await;
    asks_at_last(&server, &one).await;
    covered(&server, &one).await;
}

/// Has the store asked for something else, so that the connection for records is made anew.
async fn first_read_elsewhere(validator: &Validator) {
    validator.stored_facts(&payment()).await.unwrap();
}

/// A store that gives up soon, for servers that hang.
fn impatient(server: &RedisServer) -> RedisStore {
    RedisStore::builder(server.url()).connect_timeout(ms(300)).command_timeout(ms(300)).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_covered_is_served_a_second_after_the_server_began_to_hang() {
    let (server, provider) = (RedisServer::start().await, provider());
    let one = validator(&provider, impatient(&server));
    covered(&server, &one).await;
    server.hang();
    first_miss(Instant::now(), &one).await;
    server.resume();
    covered(&server, &one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_becomes_a_replica_covers_nothing_although_its_connections_stay() {
    let (server, primary, provider) = (RedisServer::start().await, RedisServer::start().await, provider());
    let one = validator(&provider, impatient(&server));
    covered(&server, &one).await;
    assert_eq!(server.command(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]), "OK");
    first_miss(Instant::now(), &one).await;
    assert_eq!(server.command(&["REPLICAOF", "NO", "ONE"]), "OK");
    covered(&server, &one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validators_of_one_prefix_share_a_line_which_ends_with_the_last_of_them() {
    let (server, provider) = (RedisServer::start().await, provider());
    let store = crate::store(server.url());
    let one = validator(&provider, store.clone());
    let builder = |prefix: &str| {
        plain(&provider).store(store.clone()).store_timeout(MINUTE).facts_in_memory_for(MEMORY_FOR).store_prefix(prefix)
    };
    let same = builder("payproof").build().unwrap();
    covered(&server, &one).await;
    covered(&server, &same).await;
    assert_eq!(lines(&server), 1);
    let apart = builder("another").build().unwrap();
    covered(&server, &apart).await;
    assert_eq!(lines(&server), 2);
    // A validator that wants to know sooner asks the store, and one that keeps nothing needs no line.
    let eager = builder("eager").facts_in_memory_for(ms(999)).build().unwrap();
    let keeping_none = builder("none").facts_in_memory(0).build().unwrap();
    assert!(!is_covered(&server, &eager).await && !is_covered(&server, &keeping_none).await);
    assert_eq!(lines(&server), 2);
    drop((apart, one));
    crate::servers::until("one line is left", || lines(&server) == 1).await;
    assert!(is_covered(&server, &same).await);
    drop(same);
    crate::servers::until("no line is left", || lines(&server) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_nothing_is_covered_and_the_inspection_says_what_to_grant() {
    for (right, said) in
        [("-subscribe", "SUBSCRIBE"), ("resetchannels", "SUBSCRIBE"), ("-client|tracking", "CLIENT TRACKING")]
    {
        let user = format!("user default on nopass ~* &* +@all {right}");
        let admin = "user admin on >admin ~* &* +@all";
        let access = ["--user", "admin", "--pass", "admin", "--no-auth-warning"];
        let server = RedisConfig::new().line(user).line(admin).access(&access).start().await;
        has_no_line(&server, &[said, "NOPERM", "+client|tracking"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_resp3_is_not_spoken_nothing_is_covered_and_the_inspection_says_so() {
    let server = RedisConfig::new().line("rename-command HELLO \"\"").start().await;
    has_no_line(&server, &["greeting"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_logs_in_and_hears_of_every_database() {
    let (server, provider) = (RedisConfig::new().password("openSesame").start().await, provider());
    let one = validator(&provider, crate::store(format!("redis://:openSesame@127.0.0.1:{}/3", server.port())));
    covered(&server, &one).await;
    let key = server.command(&["-n", "3", "KEYS", "payproof:facts:{*"]);
    assert_eq!(server.command(&["-n", "3", "DEL", key.trim()]), "1");
    first_miss(Instant::now(), &one).await;
}

/// Nothing is covered, and a finding says all this.
async fn has_no_line(server: &RedisServer, said: &[&str]) {
    let one = process(&provider(), server);
    assert!(!is_covered(server, &one).await && !is_covered(server, &one).await, "{said:?}");
    let findings = crate::store(server.url()).inspect().await.unwrap().findings;
    let [found @ StoreFinding::NoInvalidationLine { .. }] = findings.as_slice() else { panic!("{findings:?}") };
    let text = found.to_string();
    assert!(said.iter().all(|said| text.contains(said)), "{text}");
    assert_eq!((found.code(), found.severity()), ("no_invalidation_line", Severity::Note));
    let off = patient(RedisStore::builder(server.url()).no_invalidation_line());
    assert_eq!(off.inspect().await.unwrap().findings, []);
}

/// Whether these first bytes of a connection are a line's, which alone speaks RESP3.
fn is_line(greeting: &[u8]) -> bool {
    String::from_utf8_lossy(greeting).contains("HELLO\r\n$1\r\n3\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_begins_anew_in_another_runtime() {
    let (server, provider) = (RedisServer::start().await, provider());
    let one = process(&provider, &server);
    let before = one.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(before.validate(intent("pi_1"))).unwrap();
    })
    .join()
    .unwrap();
    covered(&server, &one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_the_line_is_at_the_new_primary() {
    let (trio, provider) = (RedisSentinels::start().await, provider());
    let store = || {
        let builder: RedisStoreBuilder = RedisStore::builder_sentinel(trio.urls(), RedisSentinels::NAME);
        builder.connect_timeout(ms(500)).command_timeout(ms(500)).build().unwrap()
    };
    let (one, other) = (validator(&provider, store()), validator(&provider, store()));
    covered(&trio.primary, &one).await;
    trio.primary.command(&["WAIT", "1", "5000"]);
    trio.primary.hang();
    first_miss(Instant::now(), &one).await;
    let begun = Instant::now();
    while !is_covered_anywhere(&one, &trio.replica).await {
        assert!(begun.elapsed() < PATIENCE, "the new primary covers nothing");
    }
    other.forget(&payment()).await.unwrap();
    first_miss(Instant::now(), &one).await;
    trio.primary.resume();
}

/// The same where a validation may have to do without the store.
async fn is_covered_anywhere(validator: &Validator, primary: &RedisServer) -> bool {
    let is_up = primary.command(&["ROLE"]).starts_with("master");
    is_up && is_covered(primary, validator).await
}

/// Knows the payment `pi_1` and its session `cs_1`, and counts how often it is asked about that.
#[derive(Clone, Debug)]
struct Sessions {
    identity: ProviderIdentity,
    asked: Arc<AtomicUsize>,
}

impl Provider for Sessions {
    fn identity(&self) -> &ProviderIdentity {
        &self.identity
    }

    fn is_alias(&self, id: &PaymentId) -> bool {
        id.as_str().starts_with("cs_")
    }

    async fn look_up(&self, id: &PaymentId, _call: &Call) -> Result<ProviderPayment, ProviderError> {
        if !self.is_alias(id) {
            return Ok(paid("pi_1"));
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(paid("pi_1").with_alias(PaymentAlias::new(AliasState::Complete).with_amount(1999, Currency::USD)))
    }
}

// A line tells of payments alone, so that what an alias states is believed for no longer than `forget` promises.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alias_that_was_forgotten_elsewhere_is_asked_about_a_second_later() {
    let (server, asked) = (RedisServer::start().await, Arc::new(AtomicUsize::new(0)));
    let provider = Sessions { identity: ProviderIdentity::new("scripted").only_account(), asked: Arc::clone(&asked) };
    let process = || {
        let builder = Validator::builder(provider.clone()).single_tenant().store(crate::store(server.url()));
        builder.store_timeout(MINUTE).facts_in_memory_for(MINUTE).build().unwrap()
    };
    let (one, other) = (process(), process());
    one.validate(intent("cs_1")).await.unwrap();
    other.forget(&PaymentId::parse("cs_1").unwrap()).await.unwrap();
    sleep(BOUND).await;
    let before = asked.load(Ordering::Relaxed);
    one.validate(intent("cs_1")).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), before + 1);
}

// As on a disk that is full: the server tells of changes and takes no records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_line_the_provider_is_asked_once_a_second_where_the_store_takes_no_records() {
    let (server, provider) = (RedisServer::start().await, provider());
    let one = process(&provider, &server);
    covered(&server, &one).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let begun = Instant::now();
    provider.put(paid("pi_2"));
    while one.validate(intent("pi_2")).await.unwrap().provenance() != Provenance::Replayed {
        assert!(begun.elapsed() < PATIENCE, "each call asks the provider");
    }
    assert!(one.stats().facts_are_covered, "the line was up");
    sleep(BOUND).await;
    assert_ne!(one.validate(intent("pi_2")).await.unwrap().provenance(), Provenance::Replayed);
}

#[test]
fn outside_a_runtime_many_are_answered_from_memory_or_get_an_error() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let provider = provider();
    let (server, one) = runtime.block_on(async {
        let server = RedisServer::start().await;
        let builder = plain(&provider).store(crate::store(server.url())).facts_in_memory_for(MINUTE);
        let one = builder.build().unwrap();
        covered(&server, &one).await;
        (server, one)
    });
    let mut answers = one.validate_all(stream::iter([intent("pi_1"), intent("pi_2")]));
    let Poll::Ready(Some((_, Ok(_)))) = poll_now(answers.next()) else { panic!("memory has the first") };
    let Poll::Ready(Some((_, Err(error)))) = poll_now(answers.next()) else { panic!("the second cannot be looked up") };
    assert!(error.is_configuration(), "{error}");
    drop(server);
}

// The session begins while they are read, since only then there is a connection for records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_prefetch_at_the_start_has_ready_is_in_memory() {
    let (server, provider) = (RedisServer::start().await, provider());
    let payments: Vec<PaymentId> = (0..2_000).map(|at| PaymentId::parse(format!("pi_{at}")).unwrap()).collect();
    for payment in &payments {
        provider.put(paid(payment.as_str()));
    }
    assert_eq!(process(&provider, &server).prefetch(payments.clone()).await.failures().len(), 0);
    let begun = Instant::now();
    loop {
        let one = process(&provider, &server);
        let first = one.prefetch(payments.clone()).await;
        let is_covered = one.stats().facts_are_covered;
        assert_eq!((first.from_store(), first.from_provider()), (payments.len(), 0));
        let kept = one.prefetch(payments.clone()).await.in_memory();
        println!("{kept} are in memory, with a line: {is_covered}");
        // On a busy machine the session may begin later, which drops them.
        if is_covered && kept == payments.len() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "what was made ready is gone");
    }
}
