//! Thin events through the Stripe adapter, against the sandbox.
#![cfg(feature = "stripe")]

use std::collections::BTreeSet;

use payproof::store::MemoryStore;
use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment, SandboxSession};
use payproof::testing::webhook::EventBody;
use payproof::webhook::EventObject;
use payproof::{Currency, Money, PaymentId, PaymentIntent, Stripe, StripeBuilder, Validator};

use crate::thin::Shown;
use crate::{Runs, webhooks_of};

/// Every type that leads to a payment, and the object that it is about, as the page shows them.
const PAGE: &str = include_str!("../../docs/webhooks.md");
const TYPES: &str = include_str!("../../src/webhook/types.rs");
const PATHS: &str = include_str!("../../src/provider/stripe/related.rs");

fn key() -> String {
    ["sk", "live", "sandbox"].join("_")
}

fn shop() -> SandboxPayment {
    SandboxPayment::paid("pi_1", 1999, "usd")
        .tenant("store_42")
        .early_fraud_warning()
        .invoice("in_1")
        .review_closed("approved")
}

fn validator(sandbox: &Sandbox, stripe: impl FnOnce(StripeBuilder) -> StripeBuilder) -> Validator {
    let stripe = stripe(Stripe::builder(key()).base_url(sandbox.url())).build().unwrap();
    Validator::builder(stripe).store(MemoryStore::new()).build().unwrap()
}

async fn is_paid(validator: &Validator) -> bool {
    let money = Money::parse("19.99", Currency::USD).unwrap();
    let intent = PaymentIntent::new("store_42", "pi_1", money).unwrap();
    validator.validate(intent).await.unwrap().verdict().is_valid()
}

/// The types of the table in the code, with their objects, and whether they come again where those may not be read.
fn types() -> Vec<(String, String, bool)> {
    let table = TYPES.split("const TYPES").nth(1).unwrap().split("];").next().unwrap();
    let rows = table.lines().filter_map(|line| line.trim().strip_prefix("(\""));
    rows.map(|row| {
        let (event_type, rest) = row.split_once("\", ").unwrap();
        let object = match rest.split(',').next().unwrap() {
            "PAYMENT" => "payment_intent",
            "SESSION" => "checkout.session",
            "INVOICE_PAYMENT" => "invoice_payment",
            literal => literal.trim_matches('"'),
        };
        (event_type.to_owned(), object.to_owned(), row.contains("ComesAgain"))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_that_leads_to_a_payment_has_it_forgotten_thin_and_as_a_snapshot() {
    let sandbox = Sandbox::start().await.unwrap();
    let validator = validator(&sandbox, StripeBuilder::only_account);
    let (webhooks, shown) = (webhooks_of(&validator), Shown::default());
    sandbox.put_session(SandboxSession::open("cs_1", 1999, "usd").paid("pi_1"));
    let types = types();
    assert_eq!(types.len(), 35);
    for (number, (event_type, object, _)) in types.iter().enumerate() {
        // What the sandbox has no event for is made by hand.
        sandbox.put(shop().refunded(100).disputed());
        let by_hand = || {
            let fields = serde_json::json!({ "id": "pi_1", "object": object, "payment_intent": "pi_1" });
            EventBody::new("evt", event_type, fields)
        };
        let snapshot =
            sandbox.event("evt", event_type, "pi_1").unwrap_or_else(by_hand).with("id", format!("evt_{number}"));
        let thin = snapshot.thin(&format!("evt_thin_{number}")).with("snapshot_event", serde_json::Value::Null);
        for event in [&snapshot, &thin] {
            sandbox.put(shop());
            assert!(is_paid(&validator).await, "{event_type}");
            sandbox.put(shop().refunded(1999).disputed());
            assert_eq!(shown.deliver(&webhooks, event).await, "handled", "{event:?}");
            assert!(!is_paid(&validator).await, "{event:?}");
            assert_eq!(shown.event().payment().map(PaymentId::as_str), Some("pi_1"), "{event:?}");
            let is_told = shown.event().object().value().is_some();
            assert_eq!(is_told, event == &snapshot || object != "payment_intent", "{event:?}");
            validator.forget(&PaymentId::parse("pi_1").unwrap()).await.unwrap();
        }
    }
}

#[test]
fn the_page_shows_the_tables_of_types_and_of_paths() {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| event |")).skip(2);
    let (mut shown, mut asked) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.take_while(|line| line.starts_with('|')) {
        let [_, types, object, path, _, then, _] = row.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let object = object.trim_matches('`').to_owned();
        for event_type in types.split(", ") {
            shown.insert((event_type.trim_matches('`').to_owned(), object.clone(), then == "comes again"));
        }
        let path =
            path.split('`').nth(1).map(|path| path.trim_start_matches("/v1/").trim_end_matches("/{id}").to_owned());
        asked.extend(path.map(|path| (object, path, row.contains("with `charge` expanded"))));
    }
    let known: BTreeSet<_> = types().into_iter().collect();
    assert_eq!(shown, known, "left: docs/webhooks.md; right: src/webhook/types.rs");
    let table = PATHS.split("const OBJECTS").nth(1).unwrap().split("];").next().unwrap();
    let rows = table.lines().filter_map(|line| line.trim().strip_prefix("(\""));
    let paths: BTreeSet<_> = rows
        .map(|row| {
            let (kind, rest) = row.split_once("\", \"").unwrap();
            let (path, query) = rest.split_once("\", ").unwrap();
            (kind.to_owned(), path.to_owned(), query.starts_with("WITH_CHARGE"))
        })
        .collect();
    assert_eq!(asked, paths, "left: docs/webhooks.md; right: src/provider/stripe/related.rs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_asked_for_once_with_its_charge_and_in_its_context() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put(shop().refunded(100));
    for (own, context, sent) in [
        (Some("acct_1"), None, None),
        (Some("acct_1"), Some("acct_1"), None),
        (Some("acct_1"), Some("acct_platform/acct_1"), None),
        (Some("acct_1"), Some("acct_2"), Some("acct_2")),
        (Some("acct_1"), Some("org_1"), None),
        (None, Some("acct_org/acct_3"), Some("acct_org/acct_3")),
    ] {
        let validator = validator(&sandbox, |stripe| match own {
            Some(own) => stripe.account(own),
            None => stripe.only_account(),
        });
        let event = EventBody::thin_about("evt_1", "v1.refund.updated", "refund", "re_1");
        let event = context.into_iter().fold(event, |event, context| event.with("context", context));
        let before = sandbox.requests_for("re_1");
        let answer = Runs::default().deliver(&webhooks_of(&validator), &event).await;
        assert!(["handled", "ignored"].contains(&answer), "{answer}");
        assert_eq!(sandbox.requests_for("re_1"), before + 1);
        let request = sandbox.last_request().unwrap();
        assert_eq!((request.path(), request.query()), ("/v1/refunds/re_1", Some("expand%5B%5D=charge")));
        assert_eq!(request.header("stripe-context"), sent, "{context:?}");
        let account = own.filter(|_| sent.is_none());
        assert_eq!(request.header("stripe-account"), account, "never beside a context");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripes_answers_about_an_object_are_told_apart() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.put(shop());
    let validator = validator(&sandbox, StripeBuilder::only_account);
    let (webhooks, shown) = (webhooks_of(&validator), Shown::default());
    let event = |id: &str, charge: &str| EventBody::thin_about(id, "v1.charge.updated", "charge", charge);
    assert_eq!(shown.deliver(&webhooks, &event("evt_1", "ch_none")).await, "handled");
    assert_eq!(shown.event().object(), EventObject::Gone);
    let forbidden =
        r#"{"error":{"type":"invalid_request_error","message":"The provided key does not have the right"}}"#;
    let missing_right = || Fault::Status(403, forbidden.to_owned());
    sandbox.script("ch_1", [missing_right()]);
    assert_eq!(shown.deliver(&webhooks, &event("evt_2", "ch_1")).await, "handled");
    assert_eq!(shown.event().object(), EventObject::Unreadable);
    let unserved = r#"{"error":{"type":"invalid_request_error","message":"Unrecognized request URL"}}"#;
    for (number, fault) in [
        Fault::Unavailable,
        Fault::LockTimeout,
        Fault::Reset,
        Fault::WrongJson,
        Fault::NotJson,
        Fault::TruncatedBody,
        Fault::WrongPayment,
        // Nothing is served there: a wrong base URL is no object that is gone.
        Fault::Status(404, unserved.to_owned()),
        Fault::Status(401, "{}".to_owned()),
        Fault::Redirect("http://127.0.0.1:1/".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        sandbox.script("ch_1", [fault.clone()]);
        let event = event(&format!("evt_fault_{number}"), "ch_1");
        assert_eq!(shown.deliver(&webhooks, &event).await, "not_looked_up", "{fault:?}");
        assert_eq!(shown.deliver(&webhooks, &event).await, "handled", "{fault:?}");
        assert!(matches!(shown.event().object(), EventObject::AsOfNow(_)), "{fault:?}");
    }
}
