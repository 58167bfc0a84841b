//! How far calls get, against a server that is nothing but a socket.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::sync::oneshot;

use super::*;

#[derive(Clone, Copy)]
enum Then {
    KeepOpen,
    HangUp,
}

/// Whether a whole request's head came, rather than the end of the connection.
fn asked(stream: &mut TcpStream) -> bool {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return false,
        }
    }
    true
}

fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = base_url("URL", &format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
    (listener, url)
}

/// Answers every request alike, and counts connections.
fn server(answer: impl Into<Vec<u8>>, then: Then) -> (Url, Arc<AtomicUsize>) {
    let (answer, connections, (listener, url)) = (answer.into(), Arc::new(AtomicUsize::new(0)), listen());
    let counter = Arc::clone(&connections);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            counter.fetch_add(1, Ordering::SeqCst);
            while asked(&mut stream) && stream.write_all(&answer).is_ok() && matches!(then, Then::KeepOpen) {}
        }
    });
    (url, connections)
}

/// Status, body and what broke.
async fn got(url: &Url) -> Result<(u16, Vec<u8>, Option<TransportError>), TransportError> {
    let reply = get(&client(url)?, url.clone(), &HeaderMap::new()).await?;
    Ok((reply.status, reply.body.as_ref().to_vec(), reply.fault))
}

impl From<BuildError> for TransportError {
    fn from(error: BuildError) -> Self {
        Self::Request(error.to_string())
    }
}

#[test]
fn plain_http_is_for_this_machine() {
    for url in ["http://localhost", "http://127.0.0.1:1", "http://127.9.9.9/", "http://[::1]:1", "https://a.example"] {
        assert!(base_url("URL", url).is_ok(), "{url}");
    }
    let wrong = [
        ("http://api.stripe.com", "must use https"),
        ("http://localhost.example.com", "must use https"),
        ("http://128.0.0.1", "must use https"),
        ("http://[::2]", "must use https"),
        ("ftp://localhost", "must start with https"),
        ("file:///etc/passwd", "must start with https"),
        ("api.stripe.com", "must be an absolute URL"),
        ("https://", "must be an absolute URL"),
        ("https://me:pw@a.example", "must not contain credentials"),
        ("https://me@a.example", "must not contain credentials"),
        ("https://a.example/?a=b", "must not contain a query"),
        ("https://a.example/?", "must not contain a query"),
        ("https://a.example/#a", "must not contain a query"),
        ("https://a.example\n", "white space"),
    ];
    for (url, rule) in wrong {
        let said = base_url("URL", url).unwrap_err().to_string();
        assert!(said.contains(rule), "{url}: {said}");
        assert!(!said.contains("pw"), "{said}");
    }
}

#[test]
fn nothing_is_installed_for_the_process() {
    client(&base_url("URL", "http://localhost").unwrap()).unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let (listener, url) = listen();
    drop(listener);
    let error = got(&url).await.unwrap_err();
    assert!(matches!(&error, TransportError::NotSent(cause) if cause.contains("refused")), "{error:?}");
}

#[tokio::test]
async fn an_unknown_host_sent_nothing() {
    let url = Url::parse("http://payproof.invalid/pi_secret").unwrap();
    let error = got(&url).await.unwrap_err();
    assert!(matches!(&error, TransportError::NotSent(cause) if !cause.contains("pi_secret")), "{error:?}");
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_may_have_sent() {
    let (url, _) = server("", Then::HangUp);
    assert!(matches!(got(&url).await, Err(TransportError::Broken(_))));
}

#[tokio::test]
async fn a_cut_body_keeps_its_status() {
    let (url, _) = server("HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nabc", Then::HangUp);
    let (status, body, fault) = got(&url).await.unwrap();
    assert_eq!((status, &*body), (500, &b"abc"[..]));
    assert!(matches!(fault, Some(TransportError::Broken(_))), "{fault:?}");
}

#[tokio::test]
async fn a_body_over_the_cap_is_not_read() {
    let (url, _) = server("HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\nabc", Then::KeepOpen);
    assert_eq!(got(&url).await.unwrap(), (200, Vec::new(), Some(TransportError::TooLarge)));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let long = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(17));
    let (url, _) = server(long, Then::KeepOpen);
    assert_eq!(got(&url).await.unwrap().2, Some(TransportError::TooLarge));
}

#[tokio::test]
async fn pieces_are_joined_in_order() {
    let (url, _) = server(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n",
        Then::KeepOpen,
    );
    assert_eq!(got(&url).await.unwrap(), (200, b"abcdef".to_vec(), None));
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let (url, _) = server("HTTP/1.1 302 F\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", Then::KeepOpen);
    assert_eq!(got(&url).await.unwrap(), (302, Vec::new(), None));
}

#[tokio::test]
async fn errors_keep_the_connection_too() {
    for head in ["HTTP/1.1 200 OK", "HTTP/1.1 404 No", "HTTP/1.1 503 Oh"] {
        let (url, connections) = server(format!("{head}\r\nContent-Length: 3\r\n\r\nabc"), Then::KeepOpen);
        let client = client(&url).unwrap();
        for _ in 0..10 {
            get(&client, url.clone(), &HeaderMap::new()).await.unwrap();
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1, "{head}");
    }
}

#[tokio::test]
async fn a_dripping_body_ends_with_its_future() {
    let (listener, url) = listen();
    let ((dripping, started), (hung_up, ended)) = (oneshot::channel(), oneshot::channel());
    thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        assert!(asked(&mut stream));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na").unwrap();
        dripping.send(()).unwrap();
        hung_up.send(!asked(&mut stream)).unwrap();
    });
    tokio::select! {
        reply = got(&url) => panic!("{reply:?}"),
        started = started => started.unwrap(),
    }
    assert!(ended.await.unwrap());
}
