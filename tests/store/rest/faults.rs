//! Lost requests and replies, refusals, servers that stall or are not there.

use std::time::Duration;

use payproof::store::{Claim, Store, StoreError, StoreFinding, Swap, UpstashStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::peers::RestServer;
use super::upstash::Fault;
use super::{MINUTE, PATIENCE, patient, stand_in, store, token, warm};

/// Whether the call did nothing and another may do better.
fn is_not_sent(error: &StoreError) -> bool {
    !error.is_outcome_unknown() && !error.is_refused()
}

#[tokio::test]
async fn a_lost_reply_is_an_unknown_outcome_and_nothing_is_sent_twice() {
    let server = stand_in().await;
    let store = warm(&server).await;
    for (round, fault) in
        [Fault::DropReply, Fault::CutReply, Fault::PageAfter(502), Fault::HugeReply].into_iter().enumerate()
    {
        let key = format!("k{round}");
        let before = server.commands();
        server.script([fault.clone()]);
        let error = store.claim(&key, b"mine", MINUTE).await.unwrap_err();
        assert!(error.is_outcome_unknown(), "{fault:?}: {error}");
        assert_eq!(server.commands() - before, 1, "{fault:?}");
        // Who asks again is told by the bytes that the claim was its own.
        assert!(
            matches!(store.claim(&key, b"mine", MINUTE).await.unwrap(), Claim::Held(held) if held.bytes == b"mine")
        );
    }
    server.script([Fault::DropReply]);
    assert!(store.remove("k0", b"mine").await.unwrap_err().is_outcome_unknown());
    assert_eq!(store.remove("k0", b"mine").await.unwrap(), Swap::Lost(None));
}

#[tokio::test]
async fn a_lost_request_is_an_unknown_outcome_too() {
    let server = stand_in().await;
    let store = warm(&server).await;
    for fault in [Fault::DropRequest, Fault::Page(500), Fault::Page(503)] {
        server.script([fault.clone()]);
        let before = server.requests();
        assert!(store.claim("k", b"v", MINUTE).await.unwrap_err().is_outcome_unknown(), "{fault:?}");
        assert_eq!(server.requests() - before, 1, "{fault:?}");
        assert_eq!(store.get("k").await.unwrap(), None);
    }
}

#[tokio::test]
async fn each_refusal_says_what_to_do() {
    let server = stand_in().await;
    let store = warm(&server).await;
    let error = |status, text: &str| Fault::Error(status, text.to_owned());
    for (fault, advice) in [
        (Fault::QuotaUsedUp, "raise its plan"),
        (error(400, "ERR max requests limit exceeded. Limit: 500000, Usage: 500000."), "raise its plan"),
        (error(400, "ERR DB capacity quota exceeded"), "raise its plan"),
        (error(413, "ERR max request size exceeded"), "raise the plan"),
        (error(400, "OOM command not allowed"), "make room"),
        (error(400, "ERR syntax error"), "syntax error"),
        (Fault::Page(404), "check that the URL"),
        (Fault::Page(302), "check that the URL"),
        (Fault::Page(405), "check that the URL"),
    ] {
        server.script([fault.clone()]);
        let error = store.claim("k", b"v", MINUTE).await.unwrap_err();
        assert!(error.is_refused() && error.to_string().contains(advice), "{fault:?}: {error}");
    }
    for fault in [
        Fault::TooManyRequests { retry_after: Some(Duration::from_secs(7)) },
        Fault::TooManyRequests { retry_after: None },
        error(400, "LOADING the dataset"),
        error(400, "READONLY You can't write"),
        error(400, "ERR max concurrent connections exceeded"),
    ] {
        server.script([fault.clone()]);
        let failed = store.claim("k", b"v", MINUTE).await.unwrap_err();
        assert!(is_not_sent(&failed), "{fault:?}: {failed}");
        let wait = matches!(fault, Fault::TooManyRequests { retry_after: Some(_) }).then_some(Duration::from_secs(7));
        assert_eq!(failed.retry_after(), wait, "{fault:?}");
    }
    assert_eq!(store.get("k").await.unwrap(), None);
}

/// The stand-in sends one well-formed header; this server sends what a proxy in front of one makes of it.
#[tokio::test]
async fn a_wait_in_a_list_or_on_two_lines_is_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for lines in ["Retry-After: 1.5", "Retry-After: 3, 7", "Retry-After: soon\r\nRetry-After: 9"] {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            assert!(connection.read(&mut request).await.unwrap() > 0);
            let answer =
                format!("HTTP/1.1 429 Too Many Requests\r\n{lines}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for expected in [2, 7, 9] {
        let error = patient(url.clone(), "token").get("k").await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(expected)), "{error}");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_wrong_and_a_read_only_token_are_refused_as_such() {
    let server = stand_in().await;
    let wrong = patient(server.url(), "wrong").get("k").await.unwrap_err();
    assert!(wrong.is_refused() && wrong.to_string().contains("set the REST token"), "{wrong}");
    let read_only = patient(server.url(), server.read_only_token());
    let refused = read_only.claim("k", b"v", MINUTE).await.unwrap_err();
    assert!(refused.is_refused() && refused.to_string().contains("the token that may write"), "{refused}");
    let inspection = read_only.inspect().await.unwrap();
    assert!(inspection.findings.contains(&StoreFinding::ReadOnly), "{inspection:?}");
    assert!(patient(server.url(), "wrong").inspect().await.unwrap_err().is_refused());
    // The server from npm says it with a body that is no JSON.
    let redis = RestServer::start("token", &token()).await;
    let wrong = patient(redis.url.clone(), "wrong").get("k").await.unwrap_err();
    assert!(wrong.is_refused() && wrong.to_string().contains("set the REST token"), "{wrong}");
}

#[tokio::test]
async fn a_server_that_is_not_there_was_sent_nothing() {
    let server = stand_in().await;
    let url = server.url();
    server.stop().await;
    let store = patient(url, "token");
    assert!(is_not_sent(&store.claim("k", b"v", MINUTE).await.unwrap_err()));
    assert!(is_not_sent(&store.inspect().await.unwrap_err()));
}

#[tokio::test]
async fn a_stalled_server_costs_no_more_than_the_time_out() {
    let server = stand_in().await;
    let brief = UpstashStore::builder(server.url(), server.token())
        .connect_timeout(Duration::from_millis(200))
        .command_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    warm(&server).await;
    for fault in [Fault::Stall, Fault::StallReply] {
        server.script([fault.clone()]);
        let begin = Instant::now();
        let error = timeout(PATIENCE, brief.claim("k", b"v", MINUTE)).await.unwrap().unwrap_err();
        assert!(error.is_outcome_unknown(), "{fault:?}: {error}");
        assert!(begin.elapsed() >= Duration::from_millis(200));
    }
    let late = Fault::Late(Duration::from_millis(50));
    server.script([late]);
    assert!(matches!(store(&server).claim("k", b"w", MINUTE).await.unwrap(), Claim::Held(held) if held.bytes == b"v"));
}

#[tokio::test]
async fn calls_over_the_limit_wait_and_then_fail_with_nothing_sent() {
    let server = stand_in().await;
    let narrow = |limit| {
        let builder = UpstashStore::builder(server.url(), server.token()).connect_timeout(Duration::from_secs(1));
        builder.command_timeout(limit).max_in_flight(1).build().unwrap()
    };
    let store = narrow(Duration::from_secs(3));
    server.script([Fault::Stall]);
    let (first, second) = tokio::join!(store.claim("k", b"v", MINUTE), store.claim("k", b"v", MINUTE));
    assert!(first.unwrap_err().is_outcome_unknown());
    let error = second.unwrap_err();
    assert!(is_not_sent(&error) && error.to_string().contains("max_in_flight"), "{error}");
    assert_eq!(server.requests(), 1);
    let store = narrow(PATIENCE);
    let claims = futures_of(32, |number| {
        let store = store.clone();
        async move { store.claim(&format!("n{number}"), b"v", MINUTE).await }
    });
    for claim in claims.await {
        assert_eq!(claim.unwrap(), Claim::Claimed);
    }
}

#[tokio::test]
async fn a_dropped_call_leaves_the_store_usable() {
    let server = stand_in().await;
    let store = warm(&server).await;
    server.script([Fault::Stall]);
    let claim = store.claim("k", b"v", MINUTE);
    assert!(timeout(Duration::from_millis(50), claim).await.is_err());
    assert_eq!(store.claim("k", b"v", MINUTE).await.unwrap(), Claim::Claimed);
}

async fn futures_of<F>(count: usize, each: impl Fn(usize) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(each(number))).collect();
    let mut outputs = Vec::new();
    for task in tasks {
        outputs.push(task.await.unwrap());
    }
    outputs
}
