//! What `build` refuses, and what is shown.

use axum::http::header::CONTENT_LENGTH;
use payproof::BuildError;
use payproof::endpoint::{IdempotencyLayer, Scope};

use crate::service::{builder, named, scope, validator};
use crate::support::{ms, secs};

fn refusal(built: Result<IdempotencyLayer, BuildError>) -> String {
    built.unwrap_err().to_string()
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_with_the_values() {
    let validator = validator();
    let new = || builder(&validator);
    for (built, says) in [
        (
            IdempotencyLayer::builder(&validator, "checkout", ms(0), scope).build(),
            "handler_timeout is 0ns, and must be at least 1 ms",
        ),
        (named(&validator, "").build(), "service is , and must be 1 to 100 printable ASCII characters"),
        (named(&validator, "a\nb").build(), "service is a\\nb, and must be 1 to 100 printable ASCII characters"),
        (named(&validator, "ö").build(), "service is \\u{f6}, and must be 1 to 100 printable ASCII characters"),
        (new().min_key_length(0).build(), "min_key_length is 0, and must be 1 to 255"),
        (new().min_key_length(256).build(), "min_key_length is 256, and must be 1 to 255"),
        (new().max_response_body(224 * 1024 + 1).build(), "max_response_body is 229377, and must be at most 224 KiB"),
        (new().retention(ms(0)).build(), "retention is 0ns, and must be more than zero and at most 100 years"),
        (
            new().kept_headers([CONTENT_LENGTH]).build(),
            "kept_headers is content-length, and must be headers of the answer, and not of the connection",
        ),
        (
            new().lease(secs(23)).build(),
            "handler_timeout and four times store_timeout (24s) must not exceed lease (23s)",
        ),
        (new().retention(secs(28)).build(), "lease (29s) must not exceed retention (28s)"),
    ] {
        assert_eq!(refusal(built), says);
    }
    let too_long = named(&validator, &"x".repeat(101)).build().unwrap_err();
    assert!(matches!(too_long, BuildError::OutOfRange { setting: "service", .. }), "{too_long:?}");
    assert!(named(&validator, &"x ".repeat(50)).build().is_ok());
    assert!(new().lease(secs(24)).retention(secs(24)).max_response_body(224 * 1024).build().is_ok());
}

#[tokio::test]
async fn a_scope_has_a_tenant_and_a_principal() {
    assert!(Scope::new("", "shopper").unwrap_err().to_string().starts_with("invalid tenant"));
    assert!(Scope::new("store", " shopper").unwrap_err().to_string().starts_with("invalid principal"));
    assert_eq!(
        format!("{:?}", Scope::new("store_42", "anna@example.org").unwrap()),
        "Scope { tenant: \"store_42\", .. }"
    );
}
