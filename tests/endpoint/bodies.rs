//! Bodies: large, slow, broken off, and in pieces.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use payproof::endpoint::{IdempotencyLayer, ResponseBody};
use tokio::time::{Sleep, sleep};
use tower::{Layer, Service as _, ServiceExt, service_fn};

use crate::service::{Act, HANDLER_TIMEOUT, SHOPPER, Service, builder, request, scope, validator};
use crate::support::secs;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A body in the given pieces, that ends as told.
struct Pieces {
    pieces: Vec<&'static [u8]>,
    breaks: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.pieces.is_empty() {
            let breaks = std::mem::take(&mut self.breaks);
            return Poll::Ready(breaks.then(|| Err(std::io::Error::other("broke off"))));
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.pieces.remove(0))))))
    }
}

fn pieces(pieces: &[&'static [u8]]) -> Pieces {
    Pieces { pieces: pieces.to_vec(), breaks: false }
}

fn posting(body: Body) -> Request<Body> {
    request().map(|_| body)
}

#[tokio::test]
async fn a_body_in_pieces_is_the_same_as_in_one() {
    let service = Service::new();
    let first = service.send(posting(Body::new(pieces(&[b"p", b"", b"a", b"y"])))).await;
    assert_eq!(first.text(), "run 1: b\"pay\"");
    assert!(service.pay().await.is_replay());
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_before_anything_happens() {
    let validator = validator();
    let service = Service::layered(&validator, builder(&validator).max_request_body(3).build().unwrap());
    // Said beforehand, and found out.
    for body in [Body::from("four"), Body::new(pieces(&[b"fo", b"ur"]))] {
        let seen = service.send(posting(body)).await;
        assert_eq!((seen.status, &*seen.code()), (StatusCode::PAYLOAD_TOO_LARGE, "IDEMPOTENCY_BODY_TOO_LARGE"));
        assert_eq!(seen.json()["error"]["details"]["limit"], 3);
    }
    assert_eq!(service.handler.runs(), 0);
    assert!(!service.pay().await.is_replay(), "the key is free");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_off_or_dawdles_is_refused() {
    let service = Service::new();
    let broken = Pieces { pieces: vec![b"pa"], breaks: true };
    let seen = service.send(posting(Body::new(broken))).await;
    assert_eq!((seen.status, &*seen.code()), (StatusCode::BAD_REQUEST, "IDEMPOTENCY_BODY_UNREADABLE"));
    let seen = service.send(posting(slow())).await;
    assert_eq!((seen.status, &*seen.code()), (StatusCode::REQUEST_TIMEOUT, "IDEMPOTENCY_BODY_TIMEOUT"));
    assert_eq!(service.handler.runs(), 0);
}

/// A body that never comes to anything in time.
struct Slow(Pin<Box<Sleep>>);

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.as_mut().poll(cx).map(|()| None)
    }
}

fn slow() -> Body {
    Body::new(Slow(Box::pin(sleep(HANDLER_TIMEOUT * 2))))
}

#[tokio::test]
async fn an_answer_that_is_too_large_reaches_the_first_and_is_told_to_the_others() {
    let validator = validator();
    let service = Service::layered(&validator, builder(&validator).max_response_body(5).build().unwrap());
    for body in [Body::from("123456"), Body::new(pieces(&[b"12", b"34", b"5", b"6"]))] {
        let answer = Response::builder().status(201).header("location", "/orders/6735");
        let answer = answer.header("content-type", "text/csv").body(body).unwrap();
        let key = format!("key-{}", service.handler.runs());
        service.handler.script([Act::Answer(answer)]);
        let send = || {
            let mut request = request();
            request.headers_mut().insert("idempotency-key", format!("{key}-long-enough").parse().unwrap());
            service.send(request)
        };
        let first = send().await;
        assert_eq!((first.status, first.text()), (StatusCode::CREATED, "123456"));
        let second = send().await;
        assert_eq!((second.status, &*second.code()), (StatusCode::CONFLICT, "IDEMPOTENCY_RESPONSE_NOT_KEPT"));
        assert_eq!(second.json()["error"]["details"]["status"], 201);
        assert_eq!((second.is_replay(), &second.headers["location"]), (true, &"/orders/6735".parse().unwrap()));
    }
    assert_eq!(service.handler.runs(), 2);
    service.handler.script([Act::Answer(Response::new(Body::from("12345")))]);
    service.pay().await;
    assert_eq!(service.pay().await.text(), "12345", "the limit itself is kept");
}

#[tokio::test]
async fn headers_too_large_for_a_record_leave_the_body_out() {
    let service = Service::new();
    let body = Body::from(vec![b'b'; 120 * 1024]);
    let answer = Response::builder().header("link", "l".repeat(150 * 1024)).body(body).unwrap();
    service.handler.script([Act::Answer(answer)]);
    assert_eq!(service.pay().await.body.len(), 120 * 1024);
    assert_eq!(service.pay().await.code(), "IDEMPOTENCY_RESPONSE_NOT_KEPT");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_or_never_ends_leaves_it_open() {
    for answer in [Response::new(Body::new(Pieces { pieces: vec![b"half"], breaks: true })), Response::new(slow())] {
        let service = Service::new();
        service.handler.script([Act::Answer(answer)]);
        for _ in 0..2 {
            assert_eq!(service.pay().await.code(), "IDEMPOTENCY_INDETERMINATE");
        }
        assert_eq!(service.handler.runs(), 1);
    }
}

#[tokio::test]
async fn a_body_that_passes_keeps_its_length_and_its_trailers() {
    let service = Service::with(&validator(), IdempotencyLayer::off);
    service.handler.script([Act::Answer(Response::new(Body::from("12345")))]);
    let response = raw(&service).await;
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(5));
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), "5".parse().unwrap())]);
    let body = Full::new(Bytes::from("1")).with_trailers(ready(Some(Ok(trailers.clone()))));
    service.handler.script([Act::Answer(Response::new(Body::new(body)))]);
    let collected = raw(&service).await.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
}

async fn raw(service: &Service) -> Response<Body> {
    service.raw(request()).await
}

/// Any `http` service will do: here one without axum, whose bodies are its own and whose calls can fail.
#[tokio::test]
async fn a_service_without_axum_is_covered_as_well() {
    let validator = validator();
    let layer = IdempotencyLayer::builder(&validator, "checkout", secs(1), scope).build().unwrap();
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&runs);
    let service = layer.layer(service_fn(move |request: Request<Full<Bytes>>| {
        let run = counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async move {
            let body = request.into_body().collect().await.expect("it is whole").to_bytes();
            if body == "fail" {
                return Err(std::io::Error::other("the service failed"));
            }
            Ok::<_, std::io::Error>(Response::new(Full::new(Bytes::from(format!("{run}")))))
        }
    }));
    let send = |key: &str, body: &'static str| {
        let request = Request::post("/").header("idempotency-key", key).extension(SHOPPER);
        service.clone().oneshot(request.body(Full::from(body)).unwrap())
    };
    let text = |response: Response<ResponseBody<Full<Bytes>>>| async {
        response.into_body().collect().await.unwrap().to_bytes()
    };
    for replay in [false, true] {
        let response = send("12345678", "pay").await.unwrap();
        assert_eq!(response.headers().contains_key("idempotent-replayed"), replay);
        assert_eq!(text(response).await, "0");
    }
    assert_eq!(send("87654321", "fail").await.unwrap_err().to_string(), "the service failed");
    let refused = text(send("87654321", "fail").await.unwrap()).await;
    assert!(String::from_utf8_lossy(&refused).contains("IDEMPOTENCY_INDETERMINATE"), "{refused:?}");
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 2);
}

/// A service of which only the one that said that it is ready may be called.
#[derive(Default)]
struct Readied(bool);

impl Clone for Readied {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl tower::Service<Request<Full<Bytes>>> for Readied {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "it was not asked");
        ready(Ok(Response::new(Full::default())))
    }
}

#[tokio::test]
async fn the_service_that_said_it_is_ready_is_the_one_that_is_called() {
    let layer = builder(&validator()).build().unwrap();
    let mut service = layer.optional().layer(Readied::default());
    for key in [None, Some("12345678"), Some("87654321")] {
        let mut request = Request::post("/").extension(SHOPPER).body(Full::default()).unwrap();
        request.headers_mut().extend(key.map(|key| (IDEMPOTENCY_KEY, HeaderValue::from_static(key))));
        assert_eq!(service.ready().await.unwrap().call(request).await.unwrap().status(), StatusCode::OK);
    }
}
