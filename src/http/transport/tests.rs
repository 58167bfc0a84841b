//! How far calls get, against a server that is nothing but a socket.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
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

/// Answers every request alike.
fn server(answer: impl Into<Vec<u8>>, then: Then) -> Url {
    let (answer, (listener, url)) = (answer.into(), listen());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while asked(&mut stream) && stream.write_all(&answer).is_ok() && matches!(then, Then::KeepOpen) {}
        }
    });
    url
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
async fn an_unknown_host_sent_nothing() {
    let url = Url::parse("http://payproof.invalid/pi_secret").unwrap();
    let error = got(&url).await.unwrap_err();
    assert!(matches!(&error, TransportError::NotSent(cause) if !cause.contains("pi_secret")), "{error:?}");
}

#[tokio::test]
async fn a_cut_body_keeps_its_status() {
    let url = server("HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\nabc", Then::HangUp);
    let (status, body, fault) = got(&url).await.unwrap();
    assert_eq!((status, &*body), (500, &b"abc"[..]));
    assert!(matches!(fault, Some(TransportError::Broken(_))), "{fault:?}");
}

#[tokio::test]
async fn a_body_over_the_cap_is_not_read() {
    let url = server("HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\nabc", Then::KeepOpen);
    assert_eq!(got(&url).await.unwrap(), (200, Vec::new(), Some(TransportError::TooLarge)));
}

#[tokio::test]
async fn pieces_are_joined_in_order() {
    let url = server(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n",
        Then::KeepOpen,
    );
    assert_eq!(got(&url).await.unwrap(), (200, b"abcdef".to_vec(), None));
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
