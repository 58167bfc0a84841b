//! What must never be shown: credentials, client secrets, customers and idempotency keys, in any Debug, Display, error
//! chain, span or event.
#![cfg(feature = "test-util")]

mod errors;

use std::error::Error;
use std::fmt::{Debug, Display};

use errors::failures;
use payproof::provider::{Answer, ProviderIdentity, provider_fn};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{
    Currency, Dispute, IdempotencyKey, Money, PaymentId, PaymentIntent, PaymentStatus, Policy, ProviderPayment, Retry,
    Schedule, TenantProof, ValidateError, Validator, Verdict,
};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;

use crate::subscribers::{self, Log};
use crate::support::{intent, paid, secs, settle};

/// Secrets, put together here so that no credential-shaped literal stands in the source.
struct Planted {
    api_key: String,
    client_secret: String,
    bearer: String,
    url: String,
    customer: String,
    key: String,
}

/// The parts of each secret that give it away.
const NEEDLES: [&str; 6] = [
    "51HxPlantedAbCd",
    "YrKJPlantedUKri",
    "eyJhPlantedbGci",
    "pw0rdPlantedXyz",
    "cus_PlantedCustomer",
    "k3yPlantedOrder",
];

fn planted() -> Planted {
    let [api_key, client_secret, bearer, password, customer, key] = NEEDLES;
    Planted {
        api_key: format!("{}_{}_{api_key}", "sk", "live"),
        client_secret: format!("pi_3Mtw_{}_{client_secret}", "secret"),
        bearer: format!("{} {bearer}.payload.signature", "Bearer"),
        url: format!("{}://svc:{password}@api.example.com/v1", "https"),
        customer: customer.to_owned(),
        key: format!("cart 7 of {key}"),
    }
}

/// Fails if a planted secret is in the text, as it is or as a list of bytes.
#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for needle in NEEDLES {
        assert!(!text.contains(needle), "{what} shows {needle}: {text}");
        let bytes = format!("{:?}", needle.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        assert!(!text.contains(bytes), "{what} shows {needle} as bytes");
        let pretty = bytes.replace(", ", ",\n");
        let squeezed = text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        assert!(!squeezed.contains(&pretty), "{what} shows {needle} as bytes, pretty-printed");
    }
}

#[track_caller]
fn assert_debug(what: &str, value: &dyn Debug) {
    assert_clean(what, &format!("{value:?}"));
    assert_clean(what, &format!("{value:#?}"));
}

#[track_caller]
fn assert_display(what: &str, value: &dyn Display) {
    assert_clean(what, &format!("{value} {value:#}"));
}

/// Checks an error and every source below it.
#[track_caller]
fn assert_chain(what: &str, error: &(dyn Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert_debug(what, &error);
        assert_display(what, &error);
        next = error.source();
    }
}

#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn claim(id: &str) -> PaymentIntent {
    let Planted { customer, key, .. } = planted();
    intent(id).with_customer(customer).unwrap().with_key(IdempotencyKey::parse(format!("{key} {id}")).unwrap())
}

fn owned(id: &str) -> ProviderPayment {
    paid(id).with_customer(planted().customer)
}

#[test]
fn claims_show_neither_customer_nor_key() {
    let claim = claim("pi_1");
    assert_debug("intent", &claim);
    assert_debug("key", &IdempotencyKey::parse(planted().key).unwrap());
    assert_debug("payment id", claim.payment());
    assert!(format!("{claim:?}").contains("pi_1"), "what helps is shown");
    let facts = owned("pi_1").with_metadata("note", planted().api_key).with_metadata("secret", planted().client_secret);
    assert_debug("facts", &facts);
    assert_debug("step", &Step::from(facts));
}

#[test]
fn a_refused_claim_is_not_repeated() {
    let Planted { api_key, client_secret, bearer, customer, key, .. } = planted();
    let money = || Money::parse("1", Currency::USD);
    for value in [&api_key, &client_secret, &bearer, &customer, &key] {
        let bad = format!("{value}\n");
        let long = value.repeat(40);
        let mut errors = vec![
            PaymentId::parse(&bad).unwrap_err(),
            PaymentId::parse(&long).unwrap_err(),
            Money::parse(value, Currency::USD).unwrap_err(),
            Currency::parse(value).unwrap_err(),
            value.parse::<Currency>().unwrap_err(),
            IdempotencyKey::parse(&bad).unwrap_err(),
            IdempotencyKey::parse(&long).unwrap_err(),
            PaymentIntent::new(&bad, "pi_1", money().unwrap()).unwrap_err(),
            PaymentIntent::new("store_42", &bad, money().unwrap()).unwrap_err(),
            intent("pi_1").with_order(&bad).unwrap_err(),
            intent("pi_1").with_order(&long).unwrap_err(),
            intent("pi_1").with_customer(&bad).unwrap_err(),
            intent("pi_1").with_customer(&long).unwrap_err(),
        ];
        errors.extend(PaymentId::parse(&client_secret).err());
        for error in errors {
            assert_chain("invalid intent", &error);
            assert_chain("validate error", &ValidateError::from(error));
        }
    }
}

#[test]
fn an_answer_shows_nothing_of_its_body() {
    let Planted { client_secret, bearer, .. } = planted();
    let body = format!("{{\"id\":\"pi_1\",\"client_secret\":\"{client_secret}\"}}");
    let headers = [("set-cookie", &*bearer)];
    let answer = Answer { status: 200, headers: &headers, body: body.as_bytes() };
    assert_debug("answer", &answer);
    let validator = Validator::builder(ScriptedProvider::new()).build().unwrap();
    let explained = validator.explain(503, &headers, body.as_bytes());
    assert_debug("explanation", &explained);
    assert_display("explanation", &explained);
    assert_chain("explained error", explained.error());
}

#[tokio::test(start_paused = true)]
async fn verdicts_of_every_kind_show_no_customer() {
    let provider = ScriptedProvider::new();
    let with = |id: &str, status| {
        let facts = ProviderPayment::new(id, status).with_amount(1999, Currency::USD).with_customer("cus_other");
        facts.with_metadata("store_id", "store_42").with_metadata("order_id", "6735").with_mode(payproof::Mode::Live)
    };
    provider.put(owned("pi_1"));
    provider.put(with("pi_2", PaymentStatus::Processing));
    provider.put(paid("pi_3").with_customer(planted().customer + "x"));
    provider.put(
        owned("pi_4").with_amount_refunded(1999).with_dispute(Dispute::Open).with_metadata("x", planted().api_key),
    );
    let validator = Validator::builder(provider).build().unwrap();
    for id in ["pi_1", "pi_1", "pi_2", "pi_3", "pi_4", "pi_404"] {
        let call = validator.validate(claim(id));
        assert_debug("validate", &call);
        let validation = call.await.unwrap();
        assert_debug("validation", &validation);
        assert_debug("attempts", &validation.attempts());
        match validation.verdict() {
            Verdict::Valid(proof) => assert_debug("proof", proof),
            Verdict::Pending(pending) => assert_debug("pending", pending),
            Verdict::ActionRequired(action) => assert_debug("action", action),
            Verdict::Invalid(findings) => {
                assert_debug("findings", findings);
                assert_display("findings", findings);
                for finding in findings {
                    assert_display("finding", finding);
                }
            }
        }
        assert_debug("verdict", validation.verdict());
    }
}

#[tokio::test(start_paused = true)]
async fn a_validator_and_its_builder_show_no_secret() {
    let Planted { api_key, .. } = planted();
    let builder = Validator::builder(provider_fn(ProviderIdentity::new("acme"), move |payment, call| {
        // A closure that holds a credential must not show it.
        let (_held, _number) = (api_key.clone(), call.attempt());
        assert_debug("call", &call);
        async move { Ok(owned(payment.as_str())) }
    }))
    .policy(Policy::default())
    .tenant_proof(TenantProof::metadata("store_id"))
    .retry(Retry::new().schedule(Schedule::from_fn(|_| None)));
    assert_debug("builder", &builder);
    let validator = builder.build().unwrap();
    for id in ["pi_1", "pi_2"] {
        validator.validate(claim(id)).await.unwrap();
    }
    assert_debug("validator", &validator);
    assert_debug("stats", &validator.stats());
}

#[tokio::test(start_paused = true)]
async fn a_validator_is_shown_in_a_few_lines_however_much_it_holds() {
    let provider = ScriptedProvider::new();
    let validator = Validator::builder(provider.clone()).build().unwrap();
    for at in 0..100 {
        let id = format!("pi_{at}");
        provider.put(owned(&id));
        validator.validate(claim(&id)).await.unwrap();
    }
    let shown = format!("{validator:?}");
    assert!(shown.len() < 10_000, "{} characters", shown.len());
}

#[tokio::test(start_paused = true)]
async fn logs_at_the_finest_level_show_no_secret() {
    subscribers::there_are_two();
    let log = Log::default();
    let writer = log.clone();
    let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_span_events(FmtSpan::FULL);
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));

    let provider = ScriptedProvider::new();
    provider.put(owned("pi_1").with_request_id("req_1").with_metadata("token", planted().bearer));
    let validator = Validator::builder(provider.clone()).build().unwrap();
    for _ in 0..2 {
        validator.validate(claim("pi_1")).await.unwrap();
    }
    validator.validate(intent("pi_1").with_order("0rder-of-no-payment").unwrap()).await.unwrap();
    let _ = validator.validate(claim("pi_1").with_order("reused").unwrap()).await.unwrap_err();
    for (at, failure) in failures().into_iter().enumerate() {
        let id = format!("pi_{at}0");
        provider.script(id.clone(), std::iter::repeat_n(failure, 4));
        let call = || validator.validate(claim(&id));
        let (_leader, _follower) = tokio::join!(call(), call());
    }
    provider.script("pi_2", [Step::Never]);
    let _ = validator.validate(claim("pi_2")).deadline(secs(1)).await.unwrap_err();
    validator.forget(claim("pi_1").payment()).await.unwrap();
    drop(validator);
    settle().await;

    let text = log.text();
    assert_clean("log", &text);
    for name in ["payproof.validate", "payproof.flight", "payment=\"pi_1\"", "[redacted]", "key_reused"] {
        assert!(text.contains(name), "{name} was not logged, so nothing was tested: {text}");
    }
    let ids = ["store_42", "0rder-of-no-payment"];
    assert!(!ids.iter().any(|id| text.contains(id)), "the payment's id is the only id in a log: {text}");
}

#[cfg(feature = "stripe")]
mod stripe {
    use payproof::{Stripe, Validator};

    use super::{NEEDLES, assert_debug, assert_display, planted};

    #[test]
    fn the_adapter_shows_no_key_and_no_url_with_credentials() {
        let super::Planted { api_key, url, .. } = planted();
        assert_debug("adapter", &Stripe::new(api_key.clone()).unwrap());
        let builder = Stripe::builder(api_key.clone());
        assert_debug("builder", &builder);
        let based = Stripe::builder(api_key.clone()).base_url(url);
        assert_debug("builder with a URL", &based);
        match based.build() {
            Ok(adapter) => assert_debug("adapter with a URL", &adapter),
            Err(error) => {
                assert_debug("build error", &error);
                assert_display("build error", &error);
            }
        }
        let validator = Validator::builder(Stripe::new(api_key).unwrap());
        assert_debug("validator builder", &validator);
        assert_debug("validator", &validator.build().unwrap());
    }

    #[test]
    fn a_refused_key_is_not_repeated() {
        let [key, ..] = NEEDLES;
        for bad in [format!("{}_{key}", "pk"), format!("{key}\n"), format!(" {key}"), format!("{key}\u{e9}")] {
            if let Err(error) = Stripe::new(bad) {
                assert_debug("build error", &error);
                assert_display("build error", &error);
            }
        }
    }
}
