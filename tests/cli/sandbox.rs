//! The sandbox as a program: what it prints works, and what is changed in it is told.

use payproof::testing::webhook::sign;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout};

use crate::program::Program;

/// A sandbox that runs, and what it says.
struct Running {
    child: Child,
    said: BufReader<ChildStdout>,
    url: String,
    key: String,
    signing_secret: String,
}

impl Running {
    async fn start(arguments: &[&str]) -> Self {
        let mut child = Program::new(&[&["sandbox", "--port", "0"], arguments].concat()).spawn();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut named = Vec::new();
        for _ in 0..3 {
            let mut line = String::new();
            said.read_line(&mut line).await.unwrap();
            named.push(line["address         ".len()..].split_whitespace().next().unwrap().to_owned());
        }
        let [url, key, signing_secret] = <[String; 3]>::try_from(named).unwrap();
        Self { child, said, url, key, signing_secret }
    }

    /// Standard output, up to a line that begins so.
    async fn until(&mut self, begins: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.said.read_line(&mut line).await.unwrap(), 0, "it ended before it said {begins}");
            if line.starts_with(begins) {
                return line;
            }
        }
    }

    async fn write(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn get(&self, path: &str) -> Value {
        let request = client().get(format!("{}{path}", self.url)).basic_auth(&self.key, None::<&str>);
        request.send().await.unwrap().json().await.unwrap()
    }
}

fn client() -> reqwest::Client {
    // reqwest is built without a crypto provider, and asks for one even where no TLS is spoken. Only the first call counts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Takes one delivery, and answers with this status. The signature and the body.
async fn delivery(endpoint: &TcpListener, status: &str) -> (String, String) {
    let (mut stream, _) = endpoint.accept().await.unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await.unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:"))).unwrap();
        line.split_once(':').unwrap().1.trim().to_owned()
    };
    let mut body = vec![0; field("content-length").parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    (field("stripe-signature"), String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn what_it_prints_works_and_a_refund_is_told_and_seen() {
    let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook = format!("http://{}/webhooks", endpoint.local_addr().unwrap());
    for (kinds, prefix) in [("thin", "v1."), ("snapshot", "")] {
        let mut sandbox = Running::start(&["--webhook", &webhook, "--events", kinds]).await;
        let paid = sandbox.get("/v1/payment_intents/pi_paid?expand[]=latest_charge").await;
        assert_eq!((&paid["status"], &paid["livemode"]), (&"succeeded".into(), &false.into()), "{paid}");
        assert_eq!(paid["latest_charge"]["amount_refunded"], 0, "{paid}");
        let ask = "validate pi_paid 19.99 usd --tenant store_42 --order 6735 --mode test";
        let ask: Vec<&str> = ask.split(' ').collect();
        let validate =
            || Program::new(&ask).env("STRIPE_SECRET_KEY", &sandbox.key).env("STRIPE_API_BASE", &sandbox.url);
        let run = validate().run().await;
        assert_eq!(run.code(), 0, "{run:?}");

        sandbox.write("refund pi_paid 1999").await;
        // What is answered with an error comes again.
        for (status, event_type) in [("500", "charge.refunded"), ("200", "charge.refunded"), ("200", "refund.created")]
        {
            let (signature, body) = delivery(&endpoint, status).await;
            let event: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(event["type"], format!("{prefix}{event_type}"), "{event}");
            let time = signature.split(',').next().unwrap().trim_start_matches("t=").parse().unwrap();
            assert_eq!(signature, sign(&sandbox.signing_secret, time, &body));
            if kinds == "thin" {
                let object = sandbox.get(event["related_object"]["url"].as_str().unwrap()).await;
                assert_eq!(object["payment_intent"], "pi_paid", "{object}");
            }
        }
        assert_eq!(sandbox.until("delivered: charge.refunded").await, "delivered: charge.refunded, 200\n");
        assert_eq!(sandbox.get("/v1/charges/ch_paid").await["amount_refunded"], 1999);
        let validate = Program::new(&ask).env("STRIPE_SECRET_KEY", &sandbox.key).env("STRIPE_API_BASE", &sandbox.url);
        assert_eq!(validate.run().await.code(), 1);
    }
}

#[tokio::test]
async fn a_session_is_told_and_a_redirect_is_a_failure_that_is_not_followed() {
    let [endpoint, elsewhere] =
        [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let webhook = format!("http://{}/webhooks", endpoint.local_addr().unwrap());
    let mut sandbox = Running::start(&["--webhook", &webhook]).await;
    sandbox.write("session cs_1 pi_paid").await;
    let redirect = format!("307 x\r\nLocation: http://{}/", elsewhere.local_addr().unwrap());
    for status in [&*redirect, "200"] {
        let (_, body) = delivery(&endpoint, status).await;
        let event: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(event["type"], "v1.checkout.session.completed", "{event}");
        let object = sandbox.get(event["related_object"]["url"].as_str().unwrap()).await;
        assert_eq!((&object["id"], &object["payment_intent"]), (&"cs_1".into(), &"pi_paid".into()), "{object}");
    }
    let told = sandbox.until("not delivered: ").await;
    assert_eq!(told, "not delivered: checkout.session.completed, 1 of 3: 307\n");
    sandbox.until("delivered: ").await;
}

#[tokio::test]
async fn payments_are_made_disputed_and_canceled_by_lines_and_a_wrong_line_says_what_is_taken() {
    let mut sandbox = Running::start(&["--mode", "live"]).await;
    for (line, path, field, value) in [
        ("paid pi_1 500 eur store_1 77", "/v1/payment_intents/pi_1", "/metadata/order_id", Value::from("77")),
        ("dispute pi_1", "/v1/charges/ch_1", "/disputed", Value::from(true)),
        ("open pi_2 500 eur", "/v1/payment_intents/pi_2", "/status", Value::from("requires_payment_method")),
        ("cancel pi_2", "/v1/payment_intents/pi_2", "/status", Value::from("canceled")),
        ("dispute pi_1", "/v1/payment_intents/pi_1", "/livemode", Value::from(true)),
        ("session cs_2 pi_2", "/v1/checkout/sessions/cs_2", "/payment_status", Value::from("unpaid")),
        ("session cs_1 pi_1", "/v1/checkout/sessions/cs_1", "/payment_intent", Value::from("pi_1")),
        ("session cs_1 pi_1", "/v1/checkout/sessions/cs_1", "/payment_status", Value::from("paid")),
    ] {
        sandbox.write(line).await;
        sandbox.until("changed: ").await;
        let object = sandbox.get(path).await;
        assert_eq!(object.pointer(field), Some(&value), "{line}: {object}");
    }
    let mut complaints = BufReader::new(sandbox.child.stderr.take().unwrap());
    for (line, said) in [
        ("refund pi_none 5", "there is no payment pi_none"),
        ("refund pi_1 five", "minor units"),
        ("session cs_3 pi_none", "there is no payment pi_none"),
        ("pay pi_1", "no such line; give one of: paid ID AMOUNT CURRENCY"),
    ] {
        sandbox.write(line).await;
        let mut complaint = String::new();
        complaints.read_line(&mut complaint).await.unwrap();
        assert!(complaint.starts_with("error: ") && complaint.contains(said), "{complaint}");
    }
}

#[tokio::test]
async fn answers_fail_as_told_and_events_go_nowhere_else() {
    let sandbox = Running::start(&["--faults", "down"]).await;
    let request = client().get(format!("{}/v1/payment_intents/pi_paid", sandbox.url)).bearer_auth(&sandbox.key);
    // A server that is down may also hang up.
    assert!(request.send().await.is_ok_and(|answer| answer.status().is_server_error() || answer.status() == 429));
    for url in ["https://127.0.0.1/hooks", "http://example.com/hooks", "http://127.0.0.1.example.com/", "hooks"] {
        let run = Program::new(&["sandbox", "--webhook", url]).run().await;
        assert_eq!(run.code(), 2);
        assert!(run.error().contains("`--webhook <URL>`"), "{}", run.stderr);
    }
    let help = Program::new(&["sandbox", "--help"]).run().await.stdout;
    for word in ["--port", "--faults", "--seed", "--mode", "--webhook", "--events", "refund ID AMOUNT", "127.0.0.1"] {
        assert!(help.contains(word), "{word} is missing: {help}");
    }
}

#[tokio::test]
async fn a_canceled_payment_is_its_tenants_still() {
    let mut sandbox = Running::start(&[]).await;
    sandbox.write("cancel pi_open").await;
    sandbox.until("changed: pi_open").await;
    let canceled = sandbox.get("/v1/payment_intents/pi_open").await;
    let metadata = &canceled["metadata"];
    assert_eq!([&canceled["status"], &metadata["store_id"], &metadata["order_id"]], ["canceled", "store_42", "6736"]);
}
