//! The Stripe adapter against localstripe, a stateful Stripe-compatible server from `PyPI`, by other authors.
//!
//! localstripe leaves `amount_received`, `amount_capturable` and `amount_captured` out. One server runs as it is, and shows
//! that a missing amount is never valid; the other states them, see `localstripe/serve.py`.
#![cfg(feature = "stripe")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a server that does not do its part fails the test")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use payproof::provider::{Call, ListOf, ListQuery, Listed, ListedItem, Provider, provider_fn};
use payproof::{
    Capture, Currency, Finding, Mode, Money, PaymentId, PaymentIntent, PaymentStatus, Policy, Stripe, Validation,
    Validator, Verdict,
};
use serde_json::Value;

/// Shared by the tests of this file. It ends with this process, when its standard input closes.
struct Server {
    url: String,
    _child: Child,
}

static AS_IT_IS: LazyLock<Server> = LazyLock::new(|| Server::start(&[]));
static WITH_AMOUNTS: LazyLock<Server> = LazyLock::new(|| Server::start(&["amounts"]));

fn python() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let set_up = here.join("target/test-tools/localstripe/bin/python");
    let python = std::env::var_os("PAYPROOF_LOCALSTRIPE_PYTHON").map_or(set_up, PathBuf::from);
    assert!(python.exists(), "localstripe is not installed; run: scripts/setup-tests");
    python
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stripe/localstripe/serve.py");
        let mut command = Command::new(python());
        command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "localstripe did not start; run: scripts/setup-tests");
        Self { url: format!("http://127.0.0.1:{}", port.trim()), _child: child }
    }

    /// Sends a form, as Stripe's clients do.
    async fn post(&self, path: &str, form: &str) -> (u16, Value) {
        // reqwest is built without a crypto provider, and asks for one even where no TLS is spoken.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .post(format!("{}{path}", self.url))
            .bearer_auth(secret_key())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form.to_owned());
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Creates a payment of 19.99 for order 6735 of store 42.
    async fn create(&self, form: &str) -> String {
        let common = "amount=1999&metadata[store_id]=store_42&metadata[order_id]=6735";
        let currency = if form.contains("currency=") { "" } else { "&currency=usd" };
        let (status, intent) = self.post("/v1/payment_intents", &format!("{common}{currency}&{form}")).await;
        assert_eq!(status, 200, "{intent}");
        text(&intent, "id")
    }

    async fn act(&self, payment: &str, action: &str, form: &str) -> (u16, Value) {
        self.post(&format!("/v1/payment_intents/{payment}/{action}"), form).await
    }

    fn validator(&self) -> Validator {
        self.validator_with(Policy::default())
    }

    fn validator_with(&self, policy: Policy) -> Validator {
        let stripe = Stripe::builder(secret_key()).base_url(&self.url).build().unwrap();
        Validator::builder(stripe).mode(Mode::Test).policy(policy).build().unwrap()
    }
}

/// Put together here, so that no credential-shaped literal stands in the source.
fn secret_key() -> String {
    format!("{}_test_{}", "sk", "12345")
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}

fn claim(payment: &str, amount: &str, currency: Currency) -> PaymentIntent {
    let money = Money::parse(amount, currency).unwrap();
    PaymentIntent::new("store_42", payment, money).unwrap().with_order("6735").unwrap()
}

async fn validate(validator: &Validator, payment: &str) -> Validation {
    validator.validate(claim(payment, "19.99", Currency::USD)).await.unwrap()
}

fn findings(validation: &Validation) -> Vec<&'static str> {
    match validation.verdict() {
        Verdict::Invalid(findings) => findings.iter().map(Finding::code).collect(),
        verdict => panic!("expected an invalid payment: {verdict:?}"),
    }
}

#[tokio::test]
async fn a_paid_payment_is_valid_and_forged_claims_about_it_are_not() {
    let server = &*WITH_AMOUNTS;
    let payment = server.create("payment_method=pm_card_visa&confirm=true").await;
    let validator = server.validator();
    let validation = validate(&validator, &payment).await;
    assert!(validation.verdict().is_valid(), "{validation:?}");

    let forged = validator.validate(claim(&payment, "1999", Currency::USD)).await.unwrap();
    assert_eq!(findings(&forged), ["amount_mismatch", "amount_received_mismatch"]);
    let euros = validator.validate(claim(&payment, "19.99", Currency::EUR)).await.unwrap();
    assert_eq!(findings(&euros), ["currency_mismatch"]);
    let money = Money::parse("19.99", Currency::USD).unwrap();
    let elsewhere = PaymentIntent::new("store_43", &payment, money).unwrap().with_order("6736").unwrap();
    assert_eq!(findings(&validator.validate(elsewhere).await.unwrap()), ["tenant_mismatch"]);
    assert_eq!(validator.stats().attempts, 1, "forgeries cost no provider call");
}

#[tokio::test]
async fn a_server_that_states_no_amount_received_never_makes_a_payment_valid() {
    let server = &*AS_IT_IS;
    let payment = server.create("payment_method=pm_card_visa&confirm=true").await;
    assert_eq!(findings(&validate(&server.validator(), &payment).await), ["unstated"]);
}

#[tokio::test]
async fn a_test_payment_is_invalid_for_a_live_validator() {
    let server = &*WITH_AMOUNTS;
    let payment = server.create("payment_method=pm_card_visa&confirm=true").await;
    let live_key = secret_key().replace("_test_", "_live_");
    let stripe = Stripe::builder(live_key).base_url(&server.url).build().unwrap();
    let validator = Validator::builder(stripe).build().unwrap();
    assert_eq!(findings(&validate(&validator, &payment).await), ["mode_mismatch"]);
}

#[tokio::test]
async fn a_declined_payment_says_why() {
    let server = &*WITH_AMOUNTS;
    let payment = server.create("payment_method=pm_card_chargeCustomerFail").await;
    let (status, _) = server.act(&payment, "confirm", "").await;
    assert_eq!(status, 402);
    match validate(&server.validator(), &payment).await.verdict() {
        Verdict::Invalid(findings) => assert_eq!(findings.to_string(), "declined: card_declined"),
        verdict => panic!("{verdict:?}"),
    }
}

#[tokio::test]
async fn three_d_secure_is_action_required_until_the_shopper_passes() {
    let server = &*WITH_AMOUNTS;
    let card = "type=card&card[number]=4000002500003155&card[exp_month]=12&card[exp_year]=2030&card[cvc]=123";
    let (_, method) = server.post("/v1/payment_methods", card).await;
    let form = format!("payment_method={}&confirm=true", text(&method, "id"));
    let common = "amount=1999&currency=usd&metadata[store_id]=store_42&metadata[order_id]=6735";
    let (_, created) = server.post("/v1/payment_intents", &format!("{common}&{form}")).await;
    let (payment, client_secret) = (text(&created, "id"), text(&created, "client_secret"));
    let validator = server.validator();
    match validate(&validator, &payment).await.verdict() {
        Verdict::ActionRequired(action) => assert_eq!(action.reason(), Some("requires_action")),
        verdict => panic!("{verdict:?}"),
    }
    server.act(&payment, "_authenticate", &format!("client_secret={client_secret}&success=true")).await;
    // Within two seconds the older answer may still be served; this call asks.
    let asked = validator.validate(claim(&payment, "19.99", Currency::USD)).max_age(Duration::ZERO).await.unwrap();
    assert!(asked.verdict().is_valid(), "{asked:?}");
}

#[tokio::test]
async fn an_unconfirmed_payment_is_action_required() {
    let server = &*WITH_AMOUNTS;
    for form in ["payment_method=pm_card_visa", "capture_method=automatic"] {
        let payment = server.create(form).await;
        let validation = validate(&server.validator(), &payment).await;
        assert!(matches!(validation.verdict(), Verdict::ActionRequired(_)), "{form}: {validation:?}");
    }
}

#[tokio::test]
async fn an_authorization_is_pending_unless_accepted_and_valid_once_captured() {
    let server = &*WITH_AMOUNTS;
    let payment = server.create("payment_method=pm_card_visa&capture_method=manual&confirm=true").await;
    let validator = server.validator();
    assert!(matches!(validate(&validator, &payment).await.verdict(), Verdict::Pending(_)));
    match validate(&server.validator_with(Policy::default().accept_authorized()), &payment).await.verdict() {
        Verdict::Valid(proof) => assert_eq!(proof.capture(), Capture::Authorized),
        verdict => panic!("{verdict:?}"),
    }
    server.act(&payment, "capture", "").await;
    match validate(&server.validator(), &payment).await.verdict() {
        Verdict::Valid(proof) => assert_eq!(proof.capture(), Capture::Captured),
        verdict => panic!("{verdict:?}"),
    }
}

#[tokio::test]
async fn a_partly_captured_payment_is_not_paid_in_full() {
    let server = &*WITH_AMOUNTS;
    let payment = server.create("payment_method=pm_card_visa&capture_method=manual&confirm=true").await;
    server.act(&payment, "capture", "amount_to_capture=1500").await;
    let found = findings(&validate(&server.validator(), &payment).await);
    assert!(found.contains(&"amount_received_mismatch"), "{found:?}");
}

#[tokio::test]
async fn refunds_are_seen_in_part_and_in_full() {
    let server = &*WITH_AMOUNTS;
    let payment = server.create("payment_method=pm_card_visa&confirm=true").await;
    let validator = server.validator();
    let first = validate(&validator, &payment).await;
    assert!(first.verdict().is_valid());
    server.post("/v1/refunds", &format!("payment_intent={payment}&amount=500")).await;
    let id = PaymentId::parse(&payment).unwrap();
    validator.forget(&id).await.unwrap();
    assert_eq!(findings(&validate(&validator, &payment).await), ["partly_refunded"]);
    server.post("/v1/refunds", &format!("payment_intent={payment}&amount=1499")).await;
    validator.forget(&id).await.unwrap();
    assert_eq!(findings(&validate(&validator, &payment).await), ["refunded"]);
}

#[tokio::test]
async fn a_canceled_payment_is_invalid() {
    let server = &*WITH_AMOUNTS;
    let payment = server.create("payment_method=pm_card_visa").await;
    server.act(&payment, "cancel", "").await;
    assert_eq!(findings(&validate(&server.validator(), &payment).await), ["canceled"]);
}

#[tokio::test]
async fn a_bank_debit_is_pending_while_it_is_processed_and_then_declined() {
    let server = &*WITH_AMOUNTS;
    let iban = "type=sepa_debit&sepa_debit[iban]=DE62370400440532013001";
    let (_, method) = server.post("/v1/payment_methods", iban).await;
    let validator = server.validator();
    let form = format!("currency=eur&payment_method={}&confirm=true", text(&method, "id"));
    let payment = server.create(&form).await;
    let ask = || validator.validate(claim(&payment, "19.99", Currency::EUR)).max_age(Duration::ZERO);
    match ask().await.unwrap().verdict() {
        Verdict::Pending(pending) => assert_eq!(*pending.status(), PaymentStatus::Processing),
        verdict => panic!("{verdict:?}"),
    }
    // The server decides by its own clock, half a second later; ten seconds are a bound, not a wait.
    for _ in 0..100 {
        let validation = ask().await.unwrap();
        if !matches!(validation.verdict(), Verdict::Pending(_)) {
            assert_eq!(findings(&validation), ["declined"]);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("still processing after ten seconds");
}

#[tokio::test]
async fn a_missing_payment_is_invalid_and_a_refused_key_is_an_error() {
    let server = &*WITH_AMOUNTS;
    assert_eq!(findings(&validate(&server.validator(), "pi_doesnotexist").await), ["not_found"]);
    let stripe = Stripe::builder("refused").base_url(&server.url).build().unwrap();
    let validator = Validator::builder(stripe).build().unwrap();
    let error = validator.validate(claim("pi_doesnotexist", "19.99", Currency::USD)).await.unwrap_err();
    assert!(error.is_configuration(), "{error:?}");
    assert_eq!(error.attempts().len(), 1, "a refused key is not tried again");
}

#[tokio::test]
async fn payments_are_listed_page_by_page_each_as_it_is_looked_up() {
    let server = Server::start(&["amounts", "lists"]);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(server.create("payment_method=pm_card_visa&confirm=true").await);
    }
    server.act(&made[1], "cancel", "").await;
    let stripe = Arc::new(Stripe::builder(secret_key()).base_url(&server.url).build().unwrap());
    // Pages are asked for within a call, which a validator makes.
    let pages = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&pages);
    let walk = provider_fn(stripe.identity().clone(), move |payment: PaymentId, call: Call| {
        let (stripe, pages) = (Arc::clone(&stripe), Arc::clone(&pages));
        async move {
            let mut query = ListQuery::new(ListOf::Payments, 1, u64::MAX).unwrap().with_limit(2);
            loop {
                let Listed { items, next, .. } = stripe.list(&query, &call).await?;
                let mut page = Vec::new();
                for item in items {
                    let ListedItem::Payment(listed) = item else { panic!("{item:?}") };
                    let looked_up = stripe.look_up(&PaymentId::parse(listed.id()).unwrap(), &call).await?;
                    page.push((listed.with_as_of(0), looked_up.with_as_of(0)));
                }
                pages.lock().unwrap().push(page);
                let Some(next) = next else { break stripe.look_up(&payment, &call).await };
                query = query.with_cursor(next);
            }
        }
    });
    let validator = Validator::builder(walk).mode(Mode::Test).build().unwrap();
    assert!(validate(&validator, &made[0]).await.verdict().is_valid());
    let pages = seen.lock().unwrap();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let mut ids = Vec::new();
    for (listed, looked_up) in pages.iter().flatten() {
        // As they are stored: when each was read is none of that.
        assert_eq!(serde_json::to_value(listed).unwrap(), serde_json::to_value(looked_up).unwrap());
        ids.push(listed.id());
    }
    // In no order that Stripe would have.
    ids.sort_unstable();
    made.sort_unstable();
    assert_eq!(ids, made);
}
