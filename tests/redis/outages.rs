//! Servers that are away, hang or lose connections: how far a call got, how long it took, and that the next one works.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payproof::LedgerError;
use payproof::redeem::RedeemError;
use payproof::store::{Claim, RedisStore, Store, Swap};
use payproof::telemetry::BreakerState;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::proxy::{Fault, Proxy};
use crate::redis_server::{RedisConfig, RedisServer};
use crate::resp::RespReader;
use crate::support::{intent, plain, proof_of, provider};
use crate::{MINUTE, claimed_at_last, is_not_sent, patient, store};

/// Recovery takes about a tenth of a second; the bound is for a machine that has other things to do.
const SOON: Duration = Duration::from_secs(10);

/// The default limits, which bound how long a hung server holds a call.
fn impatient(url: &str) -> RedisStore {
    RedisStore::new(url).unwrap()
}

#[tokio::test]
async fn a_server_that_is_away_is_not_sent_to_and_is_left_in_peace_for_a_moment() {
    let mut server = RedisServer::start().await;
    let store = store(server.url());
    store.get("k").await.unwrap();
    server.kill();
    sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    for _ in 0..100 {
        let error = store.claim("k", b"v", MINUTE).await.unwrap_err();
        assert!(is_not_sent(&error) && error.to_string().contains("no connection to Redis"), "{error:?}");
    }
    assert!(begun.elapsed() < SOON);
    let unknown = crate::store("redis://host.invalid").get("k").await.unwrap_err();
    assert!(is_not_sent(&unknown), "{unknown:?}");
}

#[tokio::test]
async fn callers_of_a_dead_server_share_its_attempts() {
    // Something that accepts and never speaks, so that every attempt runs into the limit.
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let proxy = Proxy::start(port).await;
    let builder = RedisStore::builder(format!("redis://127.0.0.1:{}", proxy.port()));
    let store = builder.connect_timeout(Duration::from_millis(300)).build().unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let store = store.clone();
        calls.spawn(async move { store.get("k").await });
    }
    while let Some(call) = calls.join_next().await {
        let error = call.unwrap().unwrap_err();
        assert!(is_not_sent(&error) && error.to_string().contains("within 300ms"), "{error:?}");
    }
    assert!(proxy.connections() <= 2, "{}", proxy.connections());
}

#[tokio::test]
async fn after_a_restart_the_next_calls_work_and_records_are_still_there() {
    let mut server = RedisConfig::new().line("appendfsync always").start().await;
    let store = store(server.url());
    store.claim("before", b"v", MINUTE).await.unwrap();
    server.kill();
    sleep(Duration::from_millis(100)).await;
    assert!(is_not_sent(&store.get("before").await.unwrap_err()));
    server.restart().await;
    claimed_at_last(&store, "after", SOON).await;
    assert_eq!(store.get("before").await.unwrap().unwrap().bytes, b"v");
}

#[tokio::test]
async fn a_connection_that_broke_while_idle_is_made_anew_without_an_error() {
    let server = RedisServer::start().await;
    let store = store(server.url());
    store.get("k").await.unwrap();
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(store.claim("k", b"v", MINUTE).await.unwrap(), Claim::Claimed);
}

#[tokio::test]
async fn a_server_that_hangs_holds_two_redemptions_up_and_is_used_once_a_probe_was_answered() {
    let server = RedisServer::start().await;
    let validator = plain(&provider()).store(impatient(&server.url())).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    let state = || validator.stats().store_breaker;
    assert_eq!(state(), Some(BreakerState::Closed));
    let was_asked = async || {
        let error = validator.redeem(&proof).await.unwrap_err();
        assert_eq!(error.code(), "store_unavailable", "{error:?}");
        !matches!(error, RedeemError::Store(LedgerError::NotAsked { .. }))
    };
    server.hang();
    let mut held_up = 0;
    while was_asked().await {
        held_up += 1;
        assert!(held_up <= 2, "each has a second try, so one may be enough");
    }
    for _ in 0..1_000 {
        assert!(!was_asked().await);
    }
    assert_eq!(state(), Some(BreakerState::Open));
    server.resume();
    let begun = Instant::now();
    while state() == Some(BreakerState::Open) {
        assert!(begun.elapsed() < SOON, "no probe was answered");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(validator.redeem(&proof).await.is_ok());
}

#[tokio::test]
async fn a_server_that_hangs_holds_no_caller_for_longer_than_the_limits() {
    let server = RedisServer::start().await;
    let store = impatient(&server.url());
    store.claim("k", b"v", MINUTE).await.unwrap();
    server.hang();
    let begun = Instant::now();
    let first = store.claim("l", b"v", MINUTE).await.unwrap_err();
    assert!(first.is_outcome_unknown() && first.to_string().contains("500ms"), "{first:?}");
    // The connection is given up, and the next one does not come up: a caller that asks now has sent nothing.
    let second = store.claim("m", b"v", MINUTE).await.unwrap_err();
    assert!(is_not_sent(&second), "{second:?}");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    server.resume();
    claimed_at_last(&store, "n", SOON).await;
    assert_eq!(store.get("k").await.unwrap().unwrap().bytes, b"v");
    assert_eq!(store.get("m").await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_pauses_its_clients_costs_one_limit_and_comes_back() {
    let server = RedisServer::start().await;
    let store = impatient(&server.url());
    store.get("k").await.unwrap();
    server.command(&["CLIENT", "PAUSE", "2000", "ALL"]);
    let begun = Instant::now();
    let error = store.claim("k", b"v", MINUTE).await.unwrap_err();
    assert!(error.is_outcome_unknown(), "{error:?}");
    assert!(begun.elapsed() < SOON);
    claimed_at_last(&store, "l", SOON).await;
}

#[tokio::test]
async fn a_reply_that_is_lost_leaves_the_outcome_open_and_the_command_executed_once() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    for fault in [Fault::DropReplies, Fault::CutAfter(1), Fault::CutAfter(20), Fault::CutAfter(40)] {
        let store = impatient(&url);
        store.get("warm").await.unwrap();
        server.command(&["CONFIG", "RESETSTAT"]);
        server.command(&["DEL", "k"]);
        proxy.set(fault);
        let error = store.claim("k", b"mine", MINUTE).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{fault:?}: {error:?}");
        proxy.set(Fault::None);
        assert_eq!(server.calls("exec"), 1, "{fault:?}");
        assert_eq!(server.command(&["GET", "k"]), "mine", "{fault:?}");
        claimed_at_last(&store, &format!("after {fault:?}"), SOON).await;
    }
}

#[tokio::test]
async fn a_script_whose_reply_is_lost_is_executed_once() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let store = impatient(&format!("redis://127.0.0.1:{}", proxy.port()));
    store.claim("k", b"1", MINUTE).await.unwrap();
    assert_eq!(store.replace("k", b"1", b"2", MINUTE).await.unwrap(), Swap::Swapped);
    server.command(&["CONFIG", "RESETSTAT"]);
    proxy.set(Fault::DropReplies);
    let error = store.replace("k", b"2", b"3", MINUTE).await.unwrap_err();
    assert!(error.is_outcome_unknown(), "{error:?}");
    proxy.set(Fault::None);
    assert_eq!((server.calls("evalsha"), server.calls("eval"), server.calls("set")), (1, 0, 1));
    assert_eq!(server.command(&["GET", "k"]), "3");
}

#[tokio::test]
async fn a_line_that_stalls_is_given_up_and_made_anew() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let store = impatient(&format!("redis://127.0.0.1:{}", proxy.port()));
    store.get("k").await.unwrap();
    proxy.set(Fault::Stall);
    assert!(store.claim("k", b"v", MINUTE).await.unwrap_err().is_outcome_unknown());
    assert!(is_not_sent(&store.claim("k", b"v", MINUTE).await.unwrap_err()));
    proxy.set(Fault::None);
    claimed_at_last(&store, "l", SOON).await;
    assert!(proxy.connections() >= 2);
}

#[tokio::test]
async fn beyond_the_most_commands_in_flight_calls_wait_for_their_turn_in_order() {
    const CALLS: u8 = 12;
    let server = RedisServer::start().await;
    let store = patient(RedisStore::builder(server.url()).max_in_flight(3));
    store.claim("turn", &[0], MINUTE).await.unwrap();
    // The server knows the script by now, so that each call is one command.
    assert_eq!(store.replace("turn", &[0], &[1], MINUTE).await, Ok(Swap::Swapped));
    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let mut calls = tokio::task::JoinSet::new();
    for turn in 1..=CALLS {
        let store = store.clone();
        calls.spawn(async move { store.replace("turn", &[turn], &[turn + 1], MINUTE).await });
        // It has taken its place, or stands in the queue, before the next one comes.
        tokio::task::yield_now().await;
    }
    sleep(Duration::from_millis(100)).await;
    server.command(&["CLIENT", "UNPAUSE"]);
    for swapped in calls.join_all().await {
        assert_eq!(swapped, Ok(Swap::Swapped), "each expects what the one before it wrote");
    }
    assert_eq!(store.get("turn").await.unwrap().unwrap().bytes, [CALLS + 1]);
}

#[tokio::test]
async fn a_call_whose_turn_does_not_come_in_time_was_not_sent() {
    let server = RedisServer::start().await;
    let builder = RedisStore::builder(server.url()).connect_timeout(Duration::from_secs(10));
    let store = builder.command_timeout(Duration::from_secs(4)).max_in_flight(3).build().unwrap();
    store.get("k").await.unwrap();
    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let mut open = tokio::task::JoinSet::new();
    for place in 0..3 {
        let store = store.clone();
        open.spawn(async move { store.claim(&format!("k{place}"), b"v", MINUTE).await });
    }
    sleep(Duration::from_millis(100)).await;
    let error = store.claim("k4", b"v", MINUTE).await.unwrap_err();
    assert!(is_not_sent(&error) && error.to_string().contains("max_in_flight"), "{error:?}");
    for answer in open.join_all().await {
        assert!(answer.unwrap_err().is_outcome_unknown());
    }
    server.command(&["CLIENT", "UNPAUSE"]);
    assert_eq!(store.get("k4").await, Ok(None));
}

#[tokio::test]
async fn commands_whose_callers_left_count_until_a_later_one_is_answered() {
    let server = RedisServer::start().await;
    let store = patient(RedisStore::builder(server.url()).max_in_flight(3));
    store.get("k").await.unwrap();
    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    for place in 0..3 {
        let key = format!("k{place}");
        let call = store.claim(&key, b"v", MINUTE);
        assert!(timeout(Duration::from_millis(100), call).await.is_err());
    }
    // One finds out what became of them, and the others wait for what it finds.
    let mut waiting = tokio::task::JoinSet::new();
    for place in 3..12 {
        let store = store.clone();
        waiting.spawn(async move { store.claim(&format!("k{place}"), b"v", MINUTE).await });
    }
    sleep(Duration::from_millis(100)).await;
    server.command(&["CLIENT", "UNPAUSE"]);
    for answer in waiting.join_all().await {
        assert_eq!(answer, Ok(Claim::Claimed));
    }
    assert_eq!(server.command(&["DBSIZE"]), "12");
}

#[tokio::test]
async fn calls_that_wait_for_their_turn_are_told_when_the_connection_breaks() {
    let server = RedisServer::start().await;
    let store = patient(RedisStore::builder(server.url()).max_in_flight(1));
    store.get("k").await.unwrap();
    server.command(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let claim = |key: &'static str| {
        let store = store.clone();
        tokio::spawn(async move { store.claim(key, b"v", MINUTE).await })
    };
    let open = claim("open");
    sleep(Duration::from_millis(100)).await;
    let waiting = claim("waiting");
    sleep(Duration::from_millis(100)).await;
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert!(open.await.unwrap().unwrap_err().is_outcome_unknown());
    let error = waiting.await.unwrap().unwrap_err();
    assert!(is_not_sent(&error) && !error.to_string().contains("max_in_flight"), "{error:?}");
}

#[tokio::test]
async fn what_is_no_redis_is_told_so() {
    use tokio::io::AsyncWriteExt as _;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let web = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = store(format!("redis://127.0.0.1:{port}")).get("k").await.unwrap_err();
    web.abort();
    assert!(is_not_sent(&error), "{error:?}");
}

#[test]
fn a_store_outlives_the_runtime_it_was_first_used_in() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let server = first.block_on(RedisServer::start());
    let store = store(server.url());
    first.block_on(store.claim("k", b"v", MINUTE)).unwrap();
    // An attempt that is cut off with its runtime must not be waited for.
    first.block_on(async { _ = timeout(Duration::ZERO, store.get("k")).await });
    drop(first);
    let second = runtime();
    let stored = second.block_on(store.get("k")).unwrap();
    assert_eq!(stored.unwrap().bytes, b"v");
}

/// A server of one connection at a time that answers a read only once it was asked about its disk, and that only once it is
/// read again: slow, and never silent.
async fn answer_late(mut stream: tokio::net::TcpStream, read: Arc<Notify>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut commands, mut buffer) = (RespReader::default(), vec![0; 16 << 10]);
    let (mut held, mut was_asked) = (String::new(), false);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        for command in commands.read(&buffer[..count]) {
            let reply = match &*command {
                "HELLO" | "CLIENT" => "-ERR unknown command\r\n",
                "INFO" | "CONFIG" => "-NOPERM not allowed\r\n",
                "MULTI" => "+OK\r\n",
                "EXEC" => "*2\r\n$-1\r\n:-2\r\n",
                _ => "+QUEUED\r\n",
            };
            let is_late = matches!(&*command, "INFO" | "CONFIG");
            if is_late && !was_asked {
                was_asked = true;
                stream.write_all(std::mem::take(&mut held).as_bytes()).await.unwrap();
            }
            held += reply;
            if command == "EXEC" {
                read.notify_one();
            }
            let answers_now = matches!(&*command, "HELLO" | "CLIENT") || (command == "EXEC" && was_asked);
            if answers_now {
                stream.write_all(std::mem::take(&mut held).as_bytes()).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_is_slow_to_say_what_a_restart_loses_keeps_its_connection() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let connections = Arc::new(AtomicUsize::new(0));
    let was_read = Arc::new(Notify::new());
    let (count, read) = (Arc::clone(&connections), Arc::clone(&was_read));
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer_late(stream, Arc::clone(&read)));
        }
    });
    let store = RedisStore::builder(url).command_timeout(Duration::from_secs(1)).build().unwrap();
    let reading = store.clone();
    let reading = tokio::spawn(async move { reading.get("k").await });
    was_read.notified().await;
    let error = store.restart_loss().await.unwrap_err();
    assert!(is_not_sent(&error), "{error:?}");
    assert_eq!(reading.await.unwrap().unwrap(), None);
    assert_eq!(store.get("k").await.unwrap(), None);
    assert_eq!(connections.load(Ordering::SeqCst), 1, "it answered others meanwhile");
    server.abort();
}
