//! Which failures are tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use payproof::provider::{Answer, Call, Provider, ProviderError, ProviderIdentity, provider_fn};
use payproof::provider::{AttemptOutcome, Rule};
use payproof::{BuildError, PaymentId, ProviderPayment, Validator, ValidatorBuilder};

use super::{refused_after, rule_of};
use crate::support::{busy, failing, intent, is_valid, paid, plain, provider, secs};

/// How often the provider is asked about `pi_1` when it keeps failing like this.
async fn calls_on(error: ProviderError) -> u64 {
    let provider = failing(error);
    let validator = plain(&provider).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap_err();
    provider.calls()
}

#[tokio::test(start_paused = true)]
async fn refusals_are_not_tried_again() {
    for status in [301, 302, 400, 401, 402, 403, 404, 405, 409, 410, 415, 422, 501, 505] {
        let error = ProviderError::refused("connection refused: timeout 503").with_status(status);
        assert_eq!(calls_on(error).await, 1, "{status}");
    }
    assert_eq!(calls_on(ProviderError::refused("rate limit exceeded")).await, 1, "refused without a status");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_configuration_error_and_keeps_its_status() {
    for status in [400, 401, 403, 404, 422] {
        let (error, elapsed, _) =
            refused_after(ProviderError::refused("no").with_status(status).with_request_id("req_9"), |builder| builder)
                .await;
        assert!(error.is_configuration(), "{status}");
        assert_eq!((error.code(), error.http_status()), ("provider_refused", 502));
        let log = &error.attempts()[0];
        assert_eq!((log.status(), log.request_id()), (Some(status), Some("req_9")));
        assert_eq!(log.outcome(), &AttemptOutcome::Permanent(Rule::Status(status)));
        assert_eq!(elapsed, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn passing_statuses_are_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524] {
        assert_eq!(calls_on(ProviderError::refused("gone fishing").with_status(status)).await, 4, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_error_with_a_well_formed_body_is_tried_again() {
    assert_eq!(calls_on(ProviderError::refused(r#"{"error":{"type":"api_error"}}"#).with_status(500)).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_status_with_an_html_body_is_still_a_status() {
    let page = "<html><h1>503 Service Temporarily Unavailable</h1></html>";
    assert_eq!(calls_on(ProviderError::refused(page).with_status(401)).await, 1);
    assert_eq!(calls_on(ProviderError::refused("<html>not found</html>").with_status(503)).await, 4);
}

#[tokio::test(start_paused = true)]
async fn silence_is_tried_again() {
    assert_eq!(calls_on(ProviderError::not_sent("no such host")).await, 4);
    assert_eq!(calls_on(ProviderError::outcome_unknown("closed before the end of the body")).await, 4);
}

#[tokio::test(start_paused = true)]
async fn ids_and_amounts_that_hold_a_status_are_not_tried_again() {
    for message in [
        "No such payment_intent: pi_3503zz",
        "No such payment_intent: 'pi_3502'",
        "amount 50200 is above the maximum",
        "order 50400 is closed",
        "order 503 not found",
        "card number 4242 502",
        "No such payment_intent: 'pi_timeout'",
        "declined by the card network",
        "invalid peer certificate: UnknownIssuer",
        // No word beside these numbers says that they are statuses of HTTP: a provider's own error numbers look alike.
        "upstream said 502",
        "error: 504 from gateway",
        "card declined",
        "",
    ] {
        assert_eq!(calls_on(ProviderError::message(message)).await, 1, "{message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_that_no_rule_knows_is_neither_a_refusal_nor_a_wrong_setting() {
    for message in ["the moon is full", "upstream said 502", "card declined", ""] {
        let (error, elapsed, calls) = refused_after(ProviderError::message(message), |builder| builder).await;
        assert_eq!((calls, elapsed), (1, Duration::ZERO), "{message:?}");
        assert_eq!((error.code(), error.http_status()), ("unknown", 502), "{message:?}");
        assert!(error.is_unavailable() && !error.is_configuration(), "{message:?}");
        let outcome = error.attempts()[0].outcome();
        assert_eq!(outcome, &AttemptOutcome::Permanent(Rule::Unknown));
        assert_eq!(outcome.rule().map(Rule::as_str), Some("unknown"));
        assert!(error.to_string().contains("no rule knows"), "{error}");
    }
    // What is known stays what it is.
    for error in [ProviderError::refused("no"), ProviderError::message("no").with_status(400)] {
        let (error, ..) = refused_after(error, |builder| builder).await;
        assert_eq!(error.code(), "provider_refused");
    }
    let coded = ProviderError::message("no").permanent_by_code("final");
    assert_eq!(refused_after(coded, |builder| builder).await.0.code(), "provider_refused");
}

/// A provider that reads every answer as a bare message.
#[derive(Debug)]
struct Wordy(ProviderIdentity);

impl Provider for Wordy {
    fn identity(&self) -> &ProviderIdentity {
        &self.0
    }

    async fn look_up(&self, _: &PaymentId, _: &Call) -> Result<ProviderPayment, ProviderError> {
        Err(ProviderError::message("the moon is full"))
    }

    fn read_refusal(&self, answer: &Answer<'_>) -> ProviderError {
        ProviderError::message(String::from_utf8_lossy(answer.body))
    }
}

#[test]
fn explain_says_that_no_rule_knows_a_text() {
    let validator = Validator::builder(Wordy(ProviderIdentity::new("acme"))).build().unwrap();
    let explained = validator.explain(200, &[], b"the moon is full");
    assert_eq!(explained.to_string(), "unknown to every rule: not retried");
    assert_eq!((explained.is_transient(), explained.rule()), (false, &Rule::Unknown));
    assert!(validator.explain(200, &[], b"write EPIPE").is_transient());
}

#[tokio::test(start_paused = true)]
async fn words_for_passing_trouble_are_tried_again() {
    for message in [
        "connection refused",
        "rate limit exceeded",
        "Too many requests",
        "request timed out",
        "network error",
        "service temporarily unavailable",
        "HTTP 503",
        "status: 504",
        "status code 502",
        "503 Service Unavailable",
        "502",
        "rate_limit",
        "429 Too Many Requests",
        "write EPIPE",
        "getaddrinfo EAI_AGAIN api.example.com",
        "SocketError: other side closed (UND_ERR_SOCKET)",
        "4 DEADLINE_EXCEEDED",
        "context deadline exceeded",
        "unexpected EOF",
        "dial tcp: i/o timeout",
        "Network is unreachable (os error 101)",
        "curl: (52) Empty reply from server",
        "Connection reset by peer (os error 104)",
        "dns error: failed to lookup address information",
    ] {
        let (error, _, calls) = refused_after(ProviderError::message(message), |builder| builder).await;
        assert_eq!(calls, 4, "{message:?}");
        assert!(matches!(error.attempts()[0].outcome(), AttemptOutcome::Transient(Rule::Pattern(_))), "{message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn words_at_the_end_of_a_long_message_count_too() {
    // What is shown is cut; what is classified must not be, or a long URL hides the reason behind it.
    let message =
        format!("error sending request for url (https://api.example.com/{}): connection refused", "x".repeat(400));
    assert_eq!(calls_on(ProviderError::message(message)).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_provider_of_plain_strings_is_classified_by_its_words() {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let acme = provider_fn(ProviderIdentity::new("acme"), move |payment, call| {
        let before = counter.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_eq!(call.attempt(), before + 1);
            assert_eq!(call.time_left(), secs(30));
            if before < 2 { Err(ProviderError::from("connection refused")) } else { Ok(paid(payment.as_str())) }
        }
    });
    let validator = Validator::builder(acme).build().unwrap();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn patterns_can_be_added() {
    let added = |builder: ValidatorBuilder| builder.transient_pattern(r"\bshard \d+ is moving\b");
    let (error, _, calls) = refused_after(ProviderError::message("SHARD 7 is moving"), added).await;
    assert_eq!(calls, 4);
    let expected = AttemptOutcome::Transient(Rule::Pattern(r"\bshard \d+ is moving\b".into()));
    assert_eq!(error.attempts()[0].outcome(), &expected);
    assert_eq!(refused_after(ProviderError::message("connection refused"), added).await.2, 4, "built-in ones stay");
    assert_eq!(refused_after(ProviderError::message("shard x is moving"), added).await.2, 1);
}

#[tokio::test(start_paused = true)]
async fn patterns_can_be_replaced() {
    let replaced = |builder: ValidatorBuilder| builder.transient_patterns(["moving"]);
    assert_eq!(refused_after(ProviderError::message("moving"), replaced).await.2, 4);
    assert_eq!(refused_after(ProviderError::message("connection refused"), replaced).await.2, 1);
    let none = |builder: ValidatorBuilder| builder.transient_patterns::<String>([]);
    assert_eq!(refused_after(ProviderError::message("connection refused"), none).await.2, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_never_overrules_what_is_known() {
    let all = |builder: ValidatorBuilder| builder.transient_pattern(".");
    assert_eq!(refused_after(ProviderError::message("anything").with_status(404), all).await.2, 1);
    assert_eq!(refused_after(ProviderError::refused("anything"), all).await.2, 1);
    assert_eq!(refused_after(ProviderError::message("anything"), all).await.2, 4);
}

#[test]
fn an_invalid_pattern_is_refused_and_quoted() {
    for pattern in ["(unclosed", "[z-a]", "*", "", r"(a{1000}){1000}"] {
        let build = |builder: ValidatorBuilder| builder.build().unwrap_err();
        for error in [
            build(plain(&provider()).transient_pattern(pattern)),
            build(plain(&provider()).transient_patterns(["fine", pattern])),
        ] {
            assert!(matches!(&error, BuildError::InvalidPattern { pattern: quoted, .. } if quoted == pattern));
            assert!(error.to_string().contains(&format!("`{pattern}`")), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_header_outranks_the_code_and_the_code_the_status() {
    let refused = |status| ProviderError::refused("x").with_status(status);
    let cases = [
        (refused(503).permanent_by_header(), 1, "permanent by provider header"),
        (refused(404).transient_by_header(), 4, "transient by provider header"),
        (refused(503).permanent_by_code("expired"), 1, "permanent by provider code expired"),
        (refused(409).transient_by_code("lock_timeout"), 4, "transient by provider code lock_timeout"),
        (refused(503).transient_by_code("busy").permanent_by_header(), 1, "permanent by provider header"),
        (refused(503).permanent_by_header().transient_by_code("busy"), 1, "permanent by provider header"),
        (refused(503).with_code("card_declined"), 4, "transient by status 503"),
        (ProviderError::not_sent("x").permanent_by_header(), 1, "permanent by provider header"),
    ];
    for (error, expected, rule) in cases {
        let (shown, _, calls) = refused_after(error.clone(), |builder| builder).await;
        assert_eq!(calls, expected, "{error:?}");
        assert_eq!(rule_of(shown.attempts()[0].outcome()), rule);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_answer_is_tried_once_more() {
    let (error, _, calls) =
        refused_after(ProviderError::unreadable("half a body").with_status(200), |builder| builder).await;
    assert_eq!(calls, 2);
    assert!(error.is_unavailable());
    assert_eq!((error.code(), error.http_status()), ("unreadable_answer", 502));

    let provider = provider();
    let unreadable = || ProviderError::unreadable("half a body").with_status(200);
    provider.script("pi_1", [unreadable(), busy(), unreadable()]);
    let validator = plain(&provider).build().unwrap();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((provider.calls(), error.code()), (3, "unreadable_answer"), "once per call, not once in a row");
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_payment_is_no_answer() {
    let provider = provider();
    provider.script("pi_1", [paid("pi_2"), paid("pi_2")]);
    let validator = plain(&provider).build().unwrap();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((provider.calls(), error.code()), (2, "unreadable_answer"));
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}
