//! What is not believed.

use std::convert::Infallible;
use std::future::ready;

use payproof::envelope::Failure;
use payproof::store::MemoryStore;
use payproof::testing::webhook::{now, sign};
use payproof::webhook::{Delivery, StripeWebhooks, WebhookError};
use proptest::prelude::*;

use crate::support::{paused_runtime, secs};
use crate::{alone, event, secret, validator_on};

/// Delivers a body with a header, to a handler that must not run unless both are Stripe's.
async fn receive(webhooks: &StripeWebhooks, header: Option<&str>, body: &[u8]) -> Result<Delivery, WebhookError> {
    webhooks.receive(header, body, |_| ready(Ok::<(), Infallible>(()))).await
}

async fn refusal(webhooks: &StripeWebhooks, header: Option<&str>, body: &str) -> (&'static str, u16) {
    let error = receive(webhooks, header, body.as_bytes()).await.unwrap_err();
    (error.code(), error.http_status())
}

#[tokio::test(start_paused = true)]
async fn a_delivery_without_a_fitting_signature_is_refused() {
    let (webhooks, body) = (alone(), event("evt_1").to_string());
    let header = sign(&secret(), now(), &body);
    assert_eq!(refusal(&webhooks, None, &body).await, ("signature_missing", 400));
    for malformed in ["", "t=1", "v1=00", "Bearer x", "t=1;v1=00"] {
        assert_eq!(refusal(&webhooks, Some(malformed), &body).await, ("signature_malformed", 400), "{malformed}");
    }
    let others = sign(&format!("{}x", secret()), now(), &body);
    assert_eq!(refusal(&webhooks, Some(&others), &body).await, ("signature_mismatch", 400));
    let v0 = header.replace("v1=", "v0=");
    assert_eq!(refusal(&webhooks, Some(&v0), &body).await, ("signature_malformed", 400));
    for tampered in [body.replace("pi_1", "pi_2"), format!("{body} "), body[1..].to_owned(), String::new()] {
        assert_eq!(refusal(&webhooks, Some(&header), &tampered).await, ("signature_mismatch", 400), "{tampered}");
    }
    let error = receive(&webhooks, Some(&others), body.as_bytes()).await.unwrap_err();
    assert!(error.is_signature() && !error.is_body());
    assert_eq!(receive(&webhooks, Some(&header), body.as_bytes()).await.unwrap(), Delivery::Handled);
}

#[tokio::test(start_paused = true)]
async fn a_signature_of_another_time_is_refused_on_both_sides() {
    let (webhooks, body) = (alone(), event("evt_1").to_string());
    // Far from the border, since the clock of the wall goes on.
    for time in [0, now() - 400, now() + 400, u64::MAX] {
        let header = sign(&secret(), time, &body);
        assert_eq!(refusal(&webhooks, Some(&header), &body).await, ("signature_out_of_time", 400), "{time}");
    }
    for time in [now() - 200, now() + 200] {
        let header = sign(&secret(), time, &body);
        assert!(receive(&webhooks, Some(&header), body.as_bytes()).await.is_ok(), "{time}");
    }
    // To state another time is to change what is signed.
    let old = sign(&secret(), now() - 1_000, &body);
    let (_, signature) = old.split_once(',').unwrap();
    let fresh = format!("t={},{signature}", now());
    assert_eq!(refusal(&webhooks, Some(&fresh), &body).await, ("signature_mismatch", 400));
}

#[tokio::test(start_paused = true)]
async fn the_tolerance_can_be_set() {
    let validator = validator_on(MemoryStore::new());
    let strict = StripeWebhooks::builder(&validator, "orders", secret()).tolerance(secs(100)).build().unwrap();
    let body = event("evt_1").to_string();
    let header = sign(&secret(), now() - 200, &body);
    assert_eq!(refusal(&strict, Some(&header), &body).await, ("signature_out_of_time", 400));
    let header = sign(&secret(), now(), &body);
    assert!(receive(&strict, Some(&header), body.as_bytes()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn while_secrets_rotate_either_is_taken() {
    let validator = validator_on(MemoryStore::new());
    let next = format!("{}_next", secret());
    let webhooks = StripeWebhooks::builder(&validator, "orders", secret()).secret(next.clone()).build().unwrap();
    let body = event("evt_1").to_string();
    let (old, new) = (sign(&secret(), now(), &body), sign(&next, now(), &body));
    let (_, second) = new.split_once(',').unwrap();
    for header in [old.clone(), new.clone(), format!("{old},{second}")] {
        assert!(receive(&webhooks, Some(&header), body.as_bytes()).await.is_ok(), "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_signed_and_no_event_is_refused() {
    let webhooks = alone();
    let thin = event("evt_1").with("object", "v2.core.event").to_string();
    let no_id = event("").to_string();
    for body in ["", "null", "{}", "[]", "not json", &thin, &no_id, "{\"object\":\"event\"}"] {
        let header = sign(&secret(), now(), body);
        let error = receive(&webhooks, Some(&header), body.as_bytes()).await.unwrap_err();
        assert!(error.is_body());
        assert_eq!((error.code(), error.http_status()), ("not_an_event", 400), "{body}");
    }
    let header = sign(&secret(), now(), b"\xff\xfe");
    let error = receive(&webhooks, Some(&header), b"\xff\xfe").await.unwrap_err();
    assert_eq!(error.code(), "not_an_event");
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused_before_anything_is_made_of_it() {
    let validator = validator_on(MemoryStore::new());
    let body = event("evt_1").to_string();
    for (limit, expected) in [(body.len() - 1, Some(("body_too_large", 413))), (body.len(), None)] {
        let webhooks = StripeWebhooks::builder(&validator, "orders", secret()).max_body(limit).build().unwrap();
        let header = sign(&secret(), now(), &body);
        let answer = receive(&webhooks, Some(&header), body.as_bytes()).await;
        let refused = answer.map_err(|error| (error.code(), error.http_status())).err();
        assert_eq!(refused, expected, "{limit}");
    }
    let huge = vec![b'x'; 1024 * 1024 + 1];
    let error = receive(&alone(), None, &huge).await.unwrap_err();
    assert!(error.is_body());
    assert_eq!(error.code(), "body_too_large", "even with a signature");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_makes_an_answer_with_its_code_and_status() {
    let (webhooks, body) = (alone(), event("evt_1").to_string());
    let failure = Failure::from(receive(&webhooks, Some("t=1,v1=00"), body.as_bytes()).await.unwrap_err());
    assert_eq!((failure.code(), failure.http_status()), ("SIGNATURE_MISMATCH", 400));
    let failing = |_| async { Err("the database at 10.0.0.7 is away") };
    let error = webhooks.receive(Some(&sign(&secret(), now(), &body)), &body, failing).await.unwrap_err();
    let failure = Failure::from(&error);
    assert_eq!((failure.code(), failure.http_status()), ("HANDLER_FAILED", 500));
    assert!(!serde_json::to_string(&failure).unwrap().contains("10.0.0.7"), "what went wrong inside stays inside");
}

/// Headers that are nearly ones.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        "t=[0-9]{0,22}",
        "v[01]=[0-9a-f]{0,66}",
        "v1=[0-9a-f]{64}",
        "[a-z]{0,3}[=, ]{0,2}[ -~]{0,8}",
        Just(format!("t={}", now())),
    ];
    prop_oneof![
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.join(",").into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..300),
    ]
}

/// Bodies that are nearly ones.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let real = event("evt_1").to_string().into_bytes();
    let changed = (Just(real), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut body, at, byte)| {
        let at = at.index(body.len());
        body[at] = byte;
        body
    });
    prop_oneof![
        changed,
        proptest::collection::vec(any::<u8>(), 0..300),
        "[{}\\[\\]\":,a-z0-9]{0,80}".prop_map(String::into_bytes)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_header_of_strangers_is_believed(header in header(), body in body()) {
        let runtime = paused_runtime();
        let answer = runtime.block_on(async {
            alone().receive(Some(&header), &body, |_| ready(Ok::<(), Infallible>(()))).await
        });
        prop_assert!(answer.unwrap_err().is_signature());
    }

    #[test]
    fn no_signed_body_panics(body in body()) {
        let runtime = paused_runtime();
        let header = sign(&secret(), now(), &body);
        let answer = runtime.block_on(async {
            alone().receive(Some(&header), &body, |_| ready(Ok::<(), Infallible>(()))).await
        });
        if let Err(error) = answer {
            prop_assert_eq!(error.code(), "not_an_event");
        }
    }

    #[test]
    fn a_header_holds_for_its_own_bytes_alone(body in body(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let header = sign(&secret(), now(), &body);
        let mut tampered = (header.clone().into_bytes(), body.clone());
        // One byte of the two is another one.
        let at = at.index(tampered.0.len() + tampered.1.len());
        match tampered.1.get_mut(at) {
            Some(byte) => *byte ^= flip,
            None => tampered.0[at - body.len()] ^= flip,
        }
        let runtime = paused_runtime();
        let answer = runtime.block_on(async {
            alone().receive(Some(&tampered.0), &tampered.1, |_| ready(Ok::<(), Infallible>(()))).await
        });
        prop_assert!(answer.unwrap_err().is_signature());
    }
}
