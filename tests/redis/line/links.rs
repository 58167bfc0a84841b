//! What a line runs over: TLS, a reader that stops, and a store that wraps the one that has it.

use std::sync::Arc;

use payproof::store::RedisStore;
use payproof::testing::FlakyStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{MEMORY_FOR, PATIENCE, covered, first_miss, is_line, lines, payment, process, validator};
use crate::certificates::Certificates;
use crate::redis_server::{RedisConfig, RedisServer};
use crate::servers::{new_folder, until};
use crate::support::{ms, plain, provider};
use crate::{MINUTE, patient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_facts_are_covered_and_what_others_forget_is_heard() {
    let certificates = Certificates::make(new_folder("certificates"));
    let (authority, certificate) = (certificates.authority_file(), certificates.certificate_file());
    let server = RedisConfig::new().tls(&authority, &certificate, &certificates.key_file()).start().await;
    let provider = provider();
    let process = || {
        let store = RedisStore::builder(format!("rediss://localhost:{}", server.port()));
        validator(&provider, patient(store.root_certificate(certificates.authority())))
    };
    let (one, other) = (process(), process());
    covered(&server, &one).await;
    other.forget(&payment()).await.unwrap();
    first_miss(Instant::now(), &one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_wraps_another_hands_its_line_on() {
    let (server, provider) = (RedisServer::start().await, provider());
    let store = FlakyStore::new(crate::store(server.url()));
    let one = plain(&provider).store(store).store_timeout(MINUTE).facts_in_memory_for(MEMORY_FOR).build().unwrap();
    covered(&server, &one).await;
    assert!(one.stats().facts_are_covered);
    process(&provider, &server).forget(&payment()).await.unwrap();
    first_miss(Instant::now(), &one).await;
}

/// Leads to the server. Lines, or the connections for records, that are up when they are told so get nothing more, and stay open.
async fn way_that_stalls(server: u16, stalls_lines: bool) -> (u16, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, stalled) = (listener.local_addr().unwrap().port(), Arc::new(Notify::new()));
    let told = Arc::clone(&stalled);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let mut greeting = [0; 4_096];
                let count = client.read(&mut greeting).await.unwrap();
                let socket = TcpSocket::new_v4().unwrap();
                // So that little is under way, and the server itself has to keep the rest.
                socket.set_recv_buffer_size(4_096).unwrap();
                let mut there = socket.connect(([127, 0, 0, 1], server).into()).await.unwrap();
                there.write_all(&greeting[..count]).await.unwrap();
                tokio::select! {
                    () = told.notified(), if is_line(&greeting[..count]) == stalls_lines => std::future::pending().await,
                    _ = copy_bidirectional(&mut client, &mut there) => {}
                }
            });
        }
    });
    (port, stalled)
}

// No call is made that would find it dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_for_records_that_is_dead_keeps_no_line_from_beginning() {
    let (server, provider) = (RedisServer::start().await, provider());
    let (port, stalled) = way_that_stalls(server.port(), false).await;
    let builder = RedisStore::builder(format!("redis://127.0.0.1:{port}")).connections(2);
    let one = validator(&provider, builder.connect_timeout(ms(300)).command_timeout(ms(300)).build().unwrap());
    covered(&server, &one).await;
    assert_eq!(lines(&server), 1);
    stalled.notify_one();
    assert_eq!(server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]), "1");
    until("the line has ended", || !one.stats().facts_are_covered).await;
    until("there is a line again", || one.stats().facts_are_covered).await;
}

// A server of defaults does so at 32 MB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_reads_no_more_is_cut_by_the_server_and_another_one_follows() {
    let config = RedisConfig::new().line("client-output-buffer-limit pubsub 64kb 0 0");
    let (server, provider) = (config.start().await, provider());
    let (port, stalled) = way_that_stalls(server.port(), true).await;
    let (one, other) =
        (validator(&provider, crate::store(format!("redis://127.0.0.1:{port}"))), process(&provider, &server));
    covered(&server, &one).await;
    let ids = || {
        let list = server.command(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        list.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    let before = ids();
    stalled.notify_waiters();
    other.forget(&payment()).await.unwrap();
    first_miss(Instant::now(), &one).await;

    let (begun, mut round) = (Instant::now(), 0);
    let write = "for at = 1, 500 do redis.call('SET', 'payproof:facts:' .. ARGV[1] .. ':' .. at, '', 'PX', 600000) end";
    while before.iter().any(|id| ids().contains(id)) {
        round += 1;
        server.command(&["EVAL", write, "0", &round.to_string()]);
        assert!(begun.elapsed() < PATIENCE, "it is not cut");
    }
    println!("cut after the changes of {} records", 500 * round);
    covered(&server, &one).await;
    other.forget(&payment()).await.unwrap();
    first_miss(Instant::now(), &one).await;
}
