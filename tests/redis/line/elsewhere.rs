//! A line that leads to another server than the records do, as behind one address it may.

use payproof::store::{Store, StoreFinding};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::{Asked, covered, is_covered, is_line, validator};
use crate::redis_server::RedisServer;
use crate::support::provider;

/// Listens where a line leads to another server than all else does.
async fn two_behind_one_address(server: u16, of_lines: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut greeting = [0; 4_096];
                let count = client.read(&mut greeting).await.unwrap();
                let port = if is_line(&greeting[..count]) { of_lines } else { server };
                let mut there = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                there.write_all(&greeting[..count]).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut there).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_to_another_server_than_that_of_the_records_covers_nothing() {
    let (server, elsewhere, provider) = (RedisServer::start().await, RedisServer::start().await, provider());
    let port = two_behind_one_address(server.port(), elsewhere.port()).await;
    let store = crate::store(format!("redis://127.0.0.1:{port}"));
    let one = validator(&provider, store.clone());
    assert!(!is_covered(&server, &one).await && !is_covered(&server, &one).await);
    assert!(elsewhere.calls("client|tracking") > 0 && elsewhere.asked() == 0, "the line is at the other server");
    assert!(!one.stats().facts_are_covered);
    let findings = store.inspect().await.unwrap().findings;
    let [StoreFinding::NoInvalidationLine { reason }] = findings.as_slice() else { panic!("{findings:?}") };
    assert!(reason.contains("records stand in another one"), "{reason}");
    // It would do, were the records there as well.
    let same = validator(&provider, crate::store(server.url()));
    covered(&server, &same).await;
    assert!(same.stats().facts_are_covered);
    assert_eq!(crate::store(server.url()).inspect().await.unwrap().findings, []);
}
