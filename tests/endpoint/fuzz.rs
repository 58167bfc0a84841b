//! Whatever is sent, there is an answer.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use payproof::endpoint::OnUnknown;
use proptest::prelude::*;

use crate::service::{SHOPPER, Service, validator};

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "[ -~]{0,300}".prop_map(String::into_bytes),
        r#" ?"[ -~]{0,20}["\\]{0,3}"?"#.prop_map(String::into_bytes),
    ]
}

fn method() -> impl Strategy<Value = Method> {
    proptest::sample::select(vec![Method::POST, Method::PUT, Method::GET, Method::DELETE, Method::CONNECT])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_header_and_no_body_panics(
        keys in proptest::collection::vec(value(), 0..3),
        kind in proptest::option::of(value()),
        id in proptest::option::of(value()),
        method in method(),
        path in "/[a-z0-9/%.~]{0,40}(\\?[a-z0-9=&%]{0,20})?",
        body in proptest::collection::vec(any::<u8>(), 0..2000),
        known in any::<bool>(),
        optional in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let layer = |layer: payproof::endpoint::IdempotencyLayer| {
                let layer = layer.on_unknown(OnUnknown::RunAgain);
                if optional { layer.optional() } else { layer }
            };
            let service = Service::with(&validator(), layer);
            let request = || {
                let mut request = Request::builder().method(method.clone()).uri(&path).body(Body::from(body.clone())).unwrap();
                for (name, values) in [("idempotency-key", &keys), ("content-type", &kind.iter().cloned().collect()), ("x-request-id", &id.iter().cloned().collect())] {
                    for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
                        request.headers_mut().append(name, value);
                    }
                }
                if known { request.extensions_mut().insert(SHOPPER); }
                request
            };
            let (first, second) = (service.send(request()).await, service.send(request()).await);
            // What was done is done once; what was refused is refused again.
            if second.is_replay() {
                assert_eq!((first.status, &first.body), (second.status, &second.body));
                assert_eq!(service.handler.runs(), 1);
            } else {
                assert_eq!(first.status, second.status);
                assert!(matches!(service.handler.runs(), 0 | 2));
            }
        });
    }
}
