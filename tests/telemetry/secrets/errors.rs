//! What errors and refusals show.

use payproof::provider::{ProviderError, RateLimit};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{PaymentStatus, ProviderPayment, Validator, Verdict, WhenProviderIsDown};

use super::{NEEDLES, Planted, assert_chain, assert_clean, assert_debug, assert_display, claim, planted};
use crate::support::{self, intent, paused_runtime, secs};

/// Every way an adapter may fail while it quotes every credential.
pub(super) fn failures() -> Vec<ProviderError> {
    let Planted { api_key, client_secret, bearer, url, .. } = planted();
    let text = format!("bad key {api_key} for '{client_secret}' (Authorization: {bearer}) at {url}");
    vec![
        ProviderError::refused(&text).with_status(401).with_code(&text).with_request_id(&text),
        ProviderError::refused(&text).with_status(400).permanent_by_code(&text),
        ProviderError::refused(&text).with_status(429).with_rate_limit(RateLimit::Payment),
        ProviderError::refused(&text).with_status(503).permanent_by_header(),
        ProviderError::not_sent(&text),
        ProviderError::outcome_unknown(&text),
        ProviderError::unreadable(&text).with_status(200),
        ProviderError::message(&text),
        ProviderError::from(&*text),
        ProviderError::from(text),
    ]
}

#[test]
fn provider_errors_take_credentials_out() {
    for error in failures() {
        assert_chain("provider error", &error);
        assert_clean("code", error.code().unwrap_or_default());
        assert_clean("request id", error.provider_request_id().unwrap_or_default());
        assert_debug("step", &Step::from(error.clone()));
        assert!(error.to_string().contains("[redacted]"), "{error}");
        assert!(error.to_string().contains("bad key"), "what helps is shown: {error}");
    }
}

#[test]
fn a_credential_is_recognized_in_the_forms_it_comes_in() {
    let Planted { api_key, client_secret, bearer, url, .. } = planted();
    let [key, _, _, password, ..] = NEEDLES;
    let forms = [
        format!("{{\"key\":\"{api_key}\"}}"),
        format!("key={api_key}&x=1"),
        format!("Invalid API Key provided: {api_key}"),
        format!("x-api-key:{api_key}"),
        format!("({api_key})"),
        format!("{}_test_{key}", "rk"),
        format!("{}_{key}", "whsec"),
        api_key.to_uppercase().replace(&key.to_uppercase(), key),
        format!("client_secret={client_secret}"),
        format!("\"{client_secret}\""),
        bearer.to_lowercase().replace(&NEEDLES[2].to_lowercase(), NEEDLES[2]),
        bearer.replace(' ', "\n"),
        bearer.replace(' ', "\t "),
        format!("error sending request for url ({url})"),
        format!("redis://:{password}@127.0.0.1:6379"),
        format!("proxy {url} refused"),
    ];
    for form in forms {
        assert_chain("message", &ProviderError::message(&form));
    }
}

#[test]
fn a_credential_is_recognized_in_unusual_forms_too() {
    let Planted { api_key, client_secret, .. } = planted();
    let [key, secret, token, password, ..] = NEEDLES;
    let forms = [
        ("after a percent escape", format!("https://host/?key%3D{api_key}")),
        ("after an underscore", format!("stripe_{api_key}")),
        ("as basic credentials", format!("Authorization: Basic {token}==")),
        ("a password with an at sign", format!("https://svc:p@{password}@host/")),
        ("a client secret of several parts", client_secret.replace(secret, &format!("fid_{secret}"))),
        ("a client secret with an escape in it", client_secret.replace(secret, &format!("fid%2F{secret}"))),
        ("a key cut by a control character", api_key.replace(key, &format!("a\u{0}{key}"))),
    ];
    let shown: Vec<_> = forms
        .iter()
        .map(|(name, form)| (name, ProviderError::message(form).to_string()))
        .filter(|(_, shown)| NEEDLES.iter().any(|needle| shown.contains(needle)))
        .collect();
    assert!(shown.is_empty(), "{shown:#?}");
}

#[test]
fn a_credential_at_the_border_of_a_long_message_is_not_shown_in_part() {
    let Planted { api_key, client_secret, bearer, url, .. } = planted();
    // White space is squeezed and control characters are dropped: what is cut off late is shown early.
    for padding in (1150..1210).chain(16_340..16_400) {
        for credential in [&api_key, &client_secret, &bearer, &url] {
            for pad in [" ", "\u{0}"] {
                let text = format!("{}{credential}", pad.repeat(padding));
                let shown = ProviderError::message(&text).with_code(&text).with_request_id(&text);
                let shown = format!("{shown} {shown:?}");
                for needle in NEEDLES {
                    assert!(!shown.contains(&needle[..8]), "after {padding} of {pad:?}: {shown}");
                }
            }
        }
    }
}

#[test]
fn a_reason_or_a_status_that_quotes_a_credential_is_not_shown() {
    let Planted { api_key, client_secret, .. } = planted();
    let runtime = paused_runtime();
    for facts in [
        ProviderPayment::new("pi_1", PaymentStatus::Declined).with_reason(format!("declined: {client_secret}")),
        ProviderPayment::new("pi_1", PaymentStatus::Canceled).with_reason(format!("canceled by {api_key}")),
    ] {
        let provider = ScriptedProvider::new();
        provider.put(facts);
        let validator = Validator::builder(provider).build().unwrap();
        let validation = runtime.block_on(validator.validate(intent("pi_1"))).unwrap();
        assert_debug("validation", &validation);
        let Verdict::Invalid(findings) = validation.verdict() else { panic!("{validation:?}") };
        assert_display("findings", findings);
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_every_kind_show_no_secret_down_to_their_last_source() {
    for failure in failures() {
        let provider = support::failing(failure);
        let stale = WhenProviderIsDown::ServeStale { up_to: secs(3600) };
        let validator = Validator::builder(provider).max_keys(3).when_provider_is_down(stale).build().unwrap();
        let mut errors = Vec::new();
        errors.extend(validator.validate(claim("pi_1")).await.err());
        errors.extend(validator.validate(claim("pi_2")).deadline(secs(0)).await.err());
        // Reused, and at capacity.
        errors.extend(validator.validate(claim("pi_1").with_order("other").unwrap()).await.err());
        errors.extend(validator.validate(claim("pi_3")).await.err());
        errors.extend(validator.validate(claim("pi_4")).await.err());
        assert_eq!(errors.len(), 5);
        for error in errors {
            assert_chain("error", &error);
            assert_debug("attempts", &error.attempts());
            for attempt in error.attempts() {
                assert_clean("request id", attempt.request_id().unwrap_or_default());
            }
        }
        assert_debug("stats", &validator.stats());
    }
}
