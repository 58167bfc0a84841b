//! The sandbox seen by Stripe's own libraries for Node and Python: what they retrieve from it, and list, is what was put in.
#![cfg(feature = "test-util")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a peer that does not do its part fails the test"
)]

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use serde_json::{Value, json};

const SET_UP: &str = "Stripe's own libraries are not installed; run: scripts/setup-tests";

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Stripe's own library, in the language that it is for.
#[derive(Clone, Copy, Debug)]
enum Library {
    Node,
    Python,
}

impl Library {
    fn command(self) -> Command {
        let (program, script) = match self {
            Self::Node => (PathBuf::from("node"), "tests/stripe/clients/retrieve.mjs"),
            Self::Python => {
                let set_up = here("target/test-tools/stripe/bin/python");
                let python = std::env::var_os("PAYPROOF_STRIPE_PYTHON").map_or(set_up, PathBuf::from);
                assert!(python.exists(), "{SET_UP}");
                (python, "tests/stripe/clients/retrieve.py")
            }
        };
        let mut command = Command::new(program);
        command.arg(here(script)).env("NO_PROXY", "127.0.0.1").stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    /// What the library makes of each payment.
    async fn retrieve(self, sandbox: &Sandbox, key: &str, calls: &[Value]) -> Vec<Value> {
        let folder = here("target/test-tools/stripe-node");
        let library = std::env::var_os("PAYPROOF_STRIPE_NODE").map_or(folder, PathBuf::from);
        assert!(library.join("installed").exists(), "{SET_UP}");
        let url = sandbox.url();
        let (host, port) = url.trim_start_matches("http://").split_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        let asked = json!({ "library": library, "host": host, "port": port, "key": key, "calls": calls }).to_string();
        // The sandbox answers on this runtime, so the library is waited for beside it.
        let run = tokio::task::spawn_blocking(move || {
            let mut command = self.command();
            let program = command.get_program().to_owned();
            let missing = || format!("{} is missing; run: scripts/setup-tests", OsStr::display(&program));
            let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", missing()));
            child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        });
        let run = run.await.unwrap();
        assert!(run.status.success(), "{self:?} failed, as it says above");
        serde_json::from_slice(&run.stdout).unwrap()
    }
}

/// Put together here, so that no credential-shaped literal stands in the source.
fn key() -> String {
    ["sk", "live", "sandbox"].join("_")
}

async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start().await.unwrap();
    let paid = |id: &str| SandboxPayment::paid(id, 1999, "usd").tenant("store_42").order("6735").created(1_700_000_000);
    sandbox.put(paid("pi_paid").customer("cus_1"));
    sandbox.put(SandboxPayment::declined("pi_declined", 1999, "usd"));
    sandbox.put(paid("pi_refunded").refunded(500));
    sandbox.put(paid("pi_disputed").disputed().risk_level("elevated"));
    sandbox
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripes_own_libraries_see_refunds_disputes_and_risk() {
    let sandbox = sandbox().await;
    let charge = |payment: &str| json!({ "payment": payment, "expand": ["latest_charge"] });
    let calls = [
        charge("pi_paid"),
        charge("pi_declined"),
        json!({ "payment": "pi_refunded", "expand": ["customer", "latest_charge.refunds"] }),
        json!({ "payment": "pi_disputed", "expand": ["latest_charge.dispute"] }),
        charge("pi_disputed"),
        json!({ "payment": "pi_paid" }),
        charge("pi_by_no_customer"),
    ];
    for library in [Library::Node, Library::Python] {
        let answers = library.retrieve(&sandbox, &key(), &calls).await;
        let [paid, declined, refunded, disputed, by_id, plain, unknown] = &*answers else { panic!("{answers:?}") };
        for (answer, expected) in [
            (
                paid,
                vec![
                    ("/id", json!("pi_paid")),
                    ("/status", json!("succeeded")),
                    ("/amount_received", json!(1999)),
                    ("/metadata", json!({ "store_id": "store_42", "order_id": "6735" })),
                    ("/created", json!(1_700_000_000)),
                    ("/customer", json!("cus_1")),
                    ("/latest_charge/object", json!("charge")),
                    ("/latest_charge/amount_refunded", json!(0)),
                    ("/latest_charge/disputed", json!(false)),
                    ("/latest_charge/outcome/risk_level", json!("normal")),
                ],
            ),
            (
                declined,
                vec![
                    ("/status", json!("requires_payment_method")),
                    ("/last_payment_error/code", json!("card_declined")),
                    ("/latest_charge/status", json!("failed")),
                    ("/latest_charge/failure_code", json!("card_declined")),
                    ("/latest_charge/outcome/type", json!("issuer_declined")),
                ],
            ),
            (
                refunded,
                vec![
                    ("/latest_charge/amount_refunded", json!(500)),
                    ("/latest_charge/refunded", json!(false)),
                    ("/latest_charge/refunds/object", json!("list")),
                    ("/latest_charge/refunds/data/0/object", json!("refund")),
                    ("/latest_charge/refunds/data/0/amount", json!(500)),
                    ("/latest_charge/refunds/data/0/status", json!("succeeded")),
                ],
            ),
            (
                disputed,
                vec![
                    ("/latest_charge/disputed", json!(true)),
                    ("/latest_charge/dispute/object", json!("dispute")),
                    ("/latest_charge/dispute/status", json!("needs_response")),
                    ("/latest_charge/outcome/risk_level", json!("elevated")),
                ],
            ),
            (by_id, vec![("/latest_charge/dispute", json!("du_disputed"))]),
            (plain, vec![("/status", json!("succeeded")), ("/latest_charge", json!("ch_paid"))]),
            (unknown, vec![("/error/status", json!(404)), ("/error/code", json!("resource_missing"))]),
        ] {
            for (pointer, value) in expected {
                assert_eq!(answer.pointer(pointer), Some(&value), "{library:?}: {pointer} of {answer}");
            }
        }
        let asked = sandbox.last_request().unwrap();
        assert!(asked.header("user-agent").is_some_and(|agent| agent.starts_with("Stripe/")), "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripes_own_libraries_walk_the_lists_from_page_to_page() {
    // 2026-01-01, and a minute between payments.
    let (new_year, minute) = (1_767_225_600, 60);
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.set_clock(Some(new_year + 86_400));
    sandbox.generate("pi_", 25, move |number, id| {
        let created = new_year + number * minute;
        let paid = SandboxPayment::paid(id, 1999, "usd").created(created).refund(1, "succeeded").refund(2, "pending");
        paid.disputed().disputed_at(created + 1).final_at(created + 2)
    });
    // All but the first payment and the last.
    let window = json!({ "gte": new_year + minute, "lt": new_year + 24 * minute });
    let (params, types) = (json!({ "created": window, "limit": 10 }), ["payment_intent.succeeded", "charge.failed"]);
    let calls = [
        json!({ "list": "payment_intents", "params": { "created": window, "limit": 10, "expand": ["data.latest_charge"] } }),
        json!({ "list": "refunds", "params": params }),
        json!({ "list": "disputes", "params": params }),
        json!({ "list": "events", "params": { "created": window, "limit": 10, "types": types } }),
    ];
    for library in [Library::Node, Library::Python] {
        let before = sandbox.requests();
        let answers = library.retrieve(&sandbox, &key(), &calls).await;
        let [payments, refunds, disputes, events] = &*answers else { panic!("{answers:?}") };
        assert_eq!(sandbox.requests() - before, 3 + 5 + 3 + 3, "{library:?}");
        let all = |entries: &Value, pointer: &str| -> Vec<Value> {
            entries.as_array().unwrap().iter().map(|entry| entry.pointer(pointer).unwrap().clone()).collect()
        };
        let newest_first: Vec<Value> = (1..24).rev().map(|number| json!(format!("pi_{number}"))).collect();
        assert_eq!(all(payments, "/id"), newest_first, "{library:?}");
        assert_eq!(all(payments, "/latest_charge/object"), vec![json!("charge"); 23], "{library:?}");
        let twice: Vec<Value> = newest_first.iter().flat_map(|id| [id.clone(), id.clone()]).collect();
        assert_eq!(all(refunds, "/payment_intent"), twice, "{library:?}");
        assert_eq!(all(disputes, "/payment_intent"), newest_first, "{library:?}");
        assert_eq!(all(disputes, "/created")[22], json!(new_year + minute + 1), "{library:?}");
        assert_eq!(all(events, "/data/object/id"), newest_first, "{library:?}");
        assert_eq!(all(events, "/type"), vec![json!("payment_intent.succeeded"); 23], "{library:?}");
    }
}
