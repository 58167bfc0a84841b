//! Webhooks against Stripe's own libraries for Python and Node: what they sign is believed, and what is signed here they
//! believe, snapshot and thin.
#![cfg(all(feature = "test-util", feature = "webhook"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a peer that does not do its part fails the test")]
#![allow(clippy::arithmetic_side_effects, reason = "the times are near now")]

use std::convert::Infallible;
use std::future::ready;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::support::{NO_PATTERNS, provider};
use payproof::store::MemoryStore;
use payproof::testing::webhook::{EventBody, now, sign};
use payproof::webhook::{Delivery, StripeWebhooks};
use payproof::{Mode, Validator};
use serde_json::{Value, json};

/// An event as Stripe writes it: in several lines, with texts of all the world.
const REFUND: &str = r#"{
  "id": "evt_3MtwBwLkdIwHu7ix0Plq1Aqu",
  "object": "event",
  "api_version": "2026-10-28.endive",
  "created": 1680800504,
  "data": {
    "object": {
      "id": "ch_3MtwBwLkdIwHu7ix0snN0B15",
      "object": "charge",
      "amount": 1999,
      "amount_refunded": 1999,
      "billing_details": { "name": "Zoë \u2615 “Café” ☕" },
      "currency": "usd",
      "payment_intent": "pi_3MtwBwLkdIwHu7ix28a3tqPa",
      "refunded": true
    },
    "previous_attributes": { "amount_refunded": 0, "refunded": false }
  },
  "livemode": true,
  "pending_webhooks": 1,
  "request": { "id": "req_1", "idempotency_key": "7d2c" },
  "type": "charge.refunded"
}"#;

/// Stripe's own library, in a process that ends with this one, when its standard input closes.
struct Official {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    _child: Child,
}

static PYTHON: LazyLock<Mutex<Official>> = LazyLock::new(|| Mutex::new(Official::start(Library::Python)));
static NODE: LazyLock<Mutex<Official>> = LazyLock::new(|| Mutex::new(Official::start(Library::Node)));

/// The language that the library is for.
#[derive(Clone, Copy, Debug)]
enum Library {
    Python,
    Node,
}

/// Where a library is, by its variable or where the set-up puts it.
fn set_up(variable: &str, folder: &str) -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools").join(folder);
    let library = std::env::var_os(variable).map_or(installed, PathBuf::from);
    assert!(library.exists(), "Stripe's library is not installed; run: scripts/setup-tests");
    library
}

impl Library {
    fn command(self) -> Command {
        let script = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/webhook/stripe").join(name);
        match self {
            Self::Python => {
                let mut command = Command::new(set_up("PAYPROOF_STRIPE_PYTHON", "stripe/bin/python"));
                command.arg(script("official.py"));
                command
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(script("official.mjs")).arg(set_up("PAYPROOF_STRIPE_NODE", "stripe-node"));
                command
            }
        }
    }

    fn ask(self, question: &Value) -> Value {
        let official = match self {
            Self::Python => &PYTHON,
            Self::Node => &NODE,
        };
        let mut official = official.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(official.to, "{question}").unwrap();
        let mut line = String::new();
        official.from.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "Stripe's library did not answer; run: scripts/setup-tests");
        serde_json::from_str(&line).unwrap()
    }

    /// The header that the library makes.
    fn sign(self, secret: &str, time: u64, body: &str) -> String {
        let answer = self.ask(&json!({ "secret": secret, "time": time, "body": body }));
        answer["header"].as_str().unwrap().to_owned()
    }
}

impl Official {
    fn start(library: Library) -> Self {
        let mut command = library.command();
        command.env("NO_PROXY", "127.0.0.1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { to, from, _child: child }
    }

    /// The header that Stripe's library makes.
    fn sign(secret: &str, time: u64, body: &str) -> String {
        Library::Python.sign(secret, time, body)
    }

    /// The id of the event that Stripe's library makes of it, if it believes it.
    fn verify(secret: &str, header: &str, body: &str) -> Option<String> {
        let answer = Library::Python.ask(&json!({ "secret": secret, "header": header, "body": body }));
        assert!(answer["event"].is_string() || answer["refused"].is_string(), "{answer}");
        answer["event"].as_str().map(str::to_owned)
    }
}

/// Put together here, so that no credential-shaped literal stands in the source.
fn secret() -> String {
    format!("{}_{}", "whsec", "4zTSJ1ecPnfkNmfUSbJKsBqjgkpJYQ0d")
}

fn webhooks() -> StripeWebhooks {
    let builder = Validator::builder(provider()).transient_patterns(NO_PATTERNS).store(MemoryStore::new());
    StripeWebhooks::builder(&builder.build().unwrap(), "orders", secret()).build().unwrap()
}

/// Delivers, and says in one word what came of it.
async fn deliver(webhooks: &StripeWebhooks, header: &str, body: &str) -> &'static str {
    let delivered = webhooks.receive(Some(header), body, |_| ready(Ok::<(), Infallible>(()))).await;
    delivered.map_or_else(|error| error.code(), Delivery::as_str)
}

#[tokio::test]
async fn what_stripe_signs_is_handled_once() {
    let (webhooks, header) = (webhooks(), Official::sign(&secret(), now(), REFUND));
    let handler = |event: payproof::webhook::Event| async move {
        assert_eq!((event.id(), event.event_type()), ("evt_3MtwBwLkdIwHu7ix0Plq1Aqu", "charge.refunded"));
        assert_eq!((event.mode(), event.account(), event.created()), (Mode::Live, None, 1_680_800_504));
        assert_eq!(event.payment().unwrap().as_str(), "pi_3MtwBwLkdIwHu7ix28a3tqPa");
        assert_eq!(event.object().value().unwrap()["billing_details"]["name"], "Zoë ☕ “Café” ☕");
        Ok::<(), Infallible>(())
    };
    let delivered = webhooks.receive(Some(&header), REFUND, handler).await;
    assert_eq!(delivered.unwrap(), Delivery::Handled);
    assert_eq!(deliver(&webhooks, &header, REFUND).await, "duplicate", "the same request again");
    let later = Official::sign(&secret(), now() + 1, REFUND);
    assert_eq!(deliver(&webhooks, &later, REFUND).await, "duplicate", "the next delivery, signed anew");
}

#[tokio::test]
async fn what_is_signed_here_is_believed_by_stripe() {
    let event = EventBody::of_payment("evt_1", "charge.dispute.created", "pi_1").account("acct_1").to_string();
    for body in [REFUND, &event] {
        let id = serde_json::from_str::<Value>(body).unwrap()["id"].as_str().unwrap().to_owned();
        let time = now();
        let header = sign(&secret(), time, body);
        assert_eq!(header, Official::sign(&secret(), time, body), "to the letter");
        assert_eq!(Official::verify(&secret(), &header, body), Some(id));
        assert_eq!(Official::verify(&secret(), &header, &format!("{body} ")), None, "it does look");
    }
}

#[tokio::test]
async fn what_stripe_signed_and_a_forger_changed_is_refused() {
    let (webhooks, header) = (webhooks(), Official::sign(&secret(), now(), REFUND));
    for (tampered, what) in [
        (REFUND.replace("1999", "1"), "an amount"),
        (REFUND.replace("pi_3Mtw", "pi_4Mtw"), "the payment"),
        (REFUND.replace("\"livemode\": true", "\"livemode\": false"), "the mode"),
        (serde_json::from_str::<Value>(REFUND).unwrap().to_string(), "its blanks, as a middleware does that parses it"),
        (format!("{REFUND}\n"), "its end"),
    ] {
        assert_ne!(tampered, REFUND, "{what}");
        assert_eq!(deliver(&webhooks, &header, &tampered).await, "signature_mismatch", "{what}");
    }
    let another = Official::sign(&format!("{}x", secret()), now(), REFUND);
    assert_eq!(deliver(&webhooks, &another, REFUND).await, "signature_mismatch", "another endpoint's secret");
    assert_eq!(deliver(&webhooks, &header, REFUND).await, "handled", "nothing of that stands in its way");
}

#[tokio::test]
async fn what_stripe_signed_at_another_time_is_refused() {
    let webhooks = webhooks();
    for time in [now() - 400, now() - 86_400, now() + 400] {
        let header = Official::sign(&secret(), time, REFUND);
        assert_eq!(deliver(&webhooks, &header, REFUND).await, "signature_out_of_time", "{time}");
    }
    let header = Official::sign(&secret(), now() - 200, REFUND);
    assert_eq!(deliver(&webhooks, &header, REFUND).await, "handled");
}

/// What is to be made of a header, by Stripe's library and here. Here is never believed what is not believed there.
#[tokio::test]
async fn both_make_the_same_of_a_header_except_where_this_one_is_stricter() {
    let time = now();
    let good = Official::sign(&secret(), time, REFUND);
    let other = Official::sign(&format!("{}x", secret()), time, REFUND);
    let old = Official::sign(&secret(), time - 400, REFUND);
    let (_, signature) = good.split_once(',').unwrap();
    let (_, wrong) = other.split_once(',').unwrap();
    let ahead = Official::sign(&secret(), time + 400, REFUND);
    for (header, there, here) in [
        (good.clone(), true, true),
        (format!("{signature},t={time}"), true, true),
        (format!("t={time},{wrong},{signature}"), true, true),
        (format!("{good},{wrong},v0=00"), true, true),
        (format!("{good},v2=new"), true, true),
        (other, false, false),
        (old, false, false),
        (format!("t={time},{}", signature.replace("v1", "v0")), false, false),
        (format!("t={time}"), false, false),
        (signature.to_owned(), false, false),
        (format!("t=now,{signature}"), false, false),
        (good.to_uppercase(), false, false),
        (String::new(), false, false),
        // Stricter: a time ahead of the clock, several times, a part that is none, and blanks.
        (ahead, true, false),
        (format!("{good},t={time}"), true, false),
        (format!("{good},"), true, false),
        (format!("t= {time},{signature}"), true, false),
    ] {
        assert_eq!(Official::verify(&secret(), &header, REFUND).is_some(), there, "there: {header}");
        assert_eq!(deliver(&webhooks(), &header, REFUND).await == "handled", here, "here: {header}");
    }
}

#[cfg(feature = "stripe")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_kinds_of_events_are_signed_read_and_followed_both_ways_by_both_libraries() {
    let sandbox = payproof::testing::sandbox::Sandbox::start().await.unwrap();
    sandbox.put(payproof::testing::sandbox::SandboxPayment::paid("pi_1", 1999, "usd").refunded(500));
    let (url, key) = (sandbox.url(), ["sk", "live", "sandbox"].join("_"));
    let (host, port) = url.trim_start_matches("http://").split_once(':').unwrap();
    let port: u16 = port.parse().unwrap();
    for (number, library) in [Library::Python, Library::Node].into_iter().enumerate() {
        let stripe = payproof::Stripe::builder(key.clone()).base_url(sandbox.url()).only_account().build().unwrap();
        let validator = Validator::builder(stripe).store(MemoryStore::new()).build().unwrap();
        let webhooks = StripeWebhooks::builder(&validator, "orders", secret()).build().unwrap();
        for (event_type, object) in [("charge.refunded", "ch_1"), ("refund.updated", "re_1")] {
            let snapshot = sandbox.event(&format!("evt_{number}"), event_type, "pi_1").unwrap();
            let thin = snapshot.thin(&format!("evt_thin_{number}")).with("context", "acct_1");
            for (event, prefix, context, payment) in
                [(&snapshot, "", Value::Null, Value::Null), (&thin, "v1.", json!("acct_1"), json!("pi_1"))]
            {
                let (body, time) = (event.to_string(), now());
                let theirs = tokio::task::block_in_place(|| library.sign(&secret(), time, &body));
                let ours = sign(&secret(), time, &body);
                assert_eq!(ours, theirs, "{library:?}: to the letter");
                let question = json!({
                    "secret": secret(), "header": ours, "body": body, "key": key, "host": host, "port": port,
                });
                let read = tokio::task::block_in_place(|| library.ask(&question));
                assert_eq!(read["type"], format!("{prefix}{event_type}"), "{library:?}: {read}");
                assert_eq!((&read["object"], &read["context"]), (&json!(object), &context), "{library:?}: {read}");
                assert_eq!(read["payment"], payment, "{library:?} fetches the object: {read}");
                let delivered = deliver(&webhooks, &theirs, &body).await;
                assert!(["handled", "duplicate"].contains(&delivered), "{library:?}: {delivered}");
            }
        }
    }
}
