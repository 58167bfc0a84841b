//! A stand-in for Stripe on this machine, for developing and testing a shop in any language.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use payproof::Mode;
use payproof::testing::sandbox::{Faults, Sandbox, SandboxPayment, SandboxSession};
use payproof::testing::webhook::{EventBody, now, sign};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

use crate::output::{complain, print};
use crate::status::Status;
use crate::trouble::Trouble;

/// Stripe delivers again in a sandbox, too.
const DELIVERIES: u32 = 3;

/// A shop that is developed may stand in a debugger.
const PATIENCE: Duration = Duration::from_secs(30);

/// The lines that are taken, for `--help` and for a line that is none.
const LINES: &str = "paid ID AMOUNT CURRENCY [TENANT [ORDER]], open ID AMOUNT CURRENCY [TENANT [ORDER]], refund ID AMOUNT, \
    dispute ID, cancel ID, session ID PAYMENT";

/// Serve a stand-in for Stripe on this machine, for developing a shop in any language
///
/// It answers for payment intents and what belongs to them (charges, refunds, disputes, Checkout sessions) on 127.0.0.1 alone, with a few
/// payments to begin with. Any key is accepted. It ends when it is interrupted.
///
/// Lines on standard input change payments, amounts in minor units: paid ID AMOUNT CURRENCY [TENANT [ORDER]], open ID AMOUNT
/// CURRENCY [TENANT [ORDER]], refund ID AMOUNT, dispute ID, cancel ID. session ID PAYMENT completes a Checkout
/// session with a payment. Each is told to --webhook, signed as Stripe signs.
#[derive(Debug, clap::Args)]
pub(crate) struct SandboxArgs {
    /// The port of 127.0.0.1; 0 takes one that is free
    #[arg(long, default_value_t = 12_112)]
    port: u16,
    /// What goes wrong: nothing, about a third of the answers in ways that a retry survives, or all of them
    #[arg(long, default_value = "none", value_parser = PossibleValuesParser::new(["none", "stormy", "down"]))]
    faults: String,
    /// Which answers go wrong by chance; the same seed has the same ones go wrong
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Whether payments are of live or of test mode
    #[arg(long, default_value = "test", value_parser = PossibleValuesParser::new(["live", "test"]))]
    mode: String,
    /// Where events are delivered, on this machine: http://127.0.0.1:3000/webhooks
    #[arg(long, value_name = "URL", value_parser = local)]
    webhook: Option<Url>,
    /// Which events are delivered
    #[arg(long, default_value = "thin", value_parser = PossibleValuesParser::new(["thin", "snapshot", "both"]))]
    events: String,
}

/// Reads an address on this machine: what is made up here is no other's business.
fn local(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && is_local {
        Ok(url)
    } else {
        Err("must be http:// on 127.0.0.1, [::1] or localhost".into())
    }
}

/// A payment, and what a change needs to know of it.
struct Entry {
    payment: SandboxPayment,
    /// The tenant and the order, as far as they were said.
    named: Vec<String>,
    amount: u64,
    currency: String,
    is_paid: bool,
}

struct Shop {
    sandbox: Sandbox,
    payments: BTreeMap<String, Entry>,
    mode: Mode,
    client: Client,
    webhook: Option<Url>,
    kinds: String,
    events: u64,
}

/// Put together, so that neither looks like a credential in the source. They protect nothing.
fn secret(kind: &str) -> String {
    [kind, "payproof_sandbox"].concat()
}

pub(crate) async fn run(args: SandboxArgs) -> Result<Status, Trouble> {
    let faults = match args.faults.as_str() {
        "stormy" => Faults::stormy(),
        "down" => Faults::down(),
        _ => Faults::none(),
    };
    let sandbox = Sandbox::builder().port(args.port).seed(args.seed).faults(faults).start().await.map_err(|error| {
        Trouble::because("the port cannot be opened; choose another one with --port, or 0 for one that is free", &error)
    })?;
    let mode = if args.mode == "live" { Mode::Live } else { Mode::Test };
    // A redirect could lead off this machine; Stripe takes one for a failure.
    let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(PATIENCE).build();
    let client = client.map_err(|error| Trouble::because("no client for webhooks can be made", &error))?;
    let (payments, kinds) = (BTreeMap::new(), args.events);
    let mut shop = Shop { sandbox, payments, mode, client, webhook: args.webhook, kinds, events: 0 };
    for line in ["paid pi_paid 1999 usd store_42 6735", "open pi_open 1999 usd store_42 6736"] {
        shop.change(line)?;
    }
    print(&shop.greeting())?;
    let mut lines = BufReader::new(stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match shop.change(&line) {
            Ok(changed) => shop.tell(&changed).await?,
            Err(trouble) => complain(&trouble),
        }
    }
    // Without standard input it serves on, as in a script or a container.
    std::future::pending().await
}

/// A payment that was changed, and what events say so.
struct Changed {
    payment: String,
    events: &'static [&'static str],
}

fn with_names(payment: SandboxPayment, named: &[String]) -> SandboxPayment {
    let payment = named.first().into_iter().fold(payment, |payment, tenant| payment.tenant(tenant));
    named.get(1).into_iter().fold(payment, |payment, order| payment.order(order))
}

fn no_payment(id: &str) -> Trouble {
    Trouble::new(format!("there is no payment {id}; make it with paid or open"))
}

impl Shop {
    fn greeting(&self) -> String {
        let (url, mode) = (self.sandbox.url(), self.mode.as_str());
        let (key, signing) = (secret(&format!("sk_{mode}_")), secret("whsec_"));
        let webhook = self.webhook.as_ref().map_or("nowhere; see --webhook", Url::as_str);
        format!(
            "address         {url}\n\
             secret key      {key} (any other one is accepted, too)\n\
             webhook secret  {signing}\n\
             events          {webhook}\n\
             payments        pi_paid: succeeded, 19.99 USD, order 6735 of store_42; pi_open: not paid yet, order 6736\n\
             try             curl -u {key}: '{url}/v1/payment_intents/pi_paid?expand[]=latest_charge'\n\
             \x20               curl -u {key}: {url}/v1/charges/ch_paid\n\
             \x20               STRIPE_SECRET_KEY={key} STRIPE_API_BASE={url} payproof validate pi_paid 19.99 usd \
             --tenant store_42 --order 6735 --mode {mode}\n\
             lines taken     {LINES}\n"
        )
    }

    /// Changes a payment as a line says.
    fn change(&mut self, line: &str) -> Result<Changed, Trouble> {
        let wrong = || Trouble::new(format!("no such line; give one of: {LINES}"));
        let minor =
            |text: &str| text.parse::<u64>().map_err(|_| Trouble::new("the amount must be in minor units: 1999"));
        let words: Vec<&str> = line.split_whitespace().collect();
        let (id, entry, events): (_, _, &[&str]) = match *words {
            [word @ ("paid" | "open"), id, amount, currency, ref rest @ ..] if rest.len() <= 2 => {
                let (amount, currency) = (minor(amount)?, currency.to_owned());
                let (payment, events): (_, &[&str]) = if word == "paid" {
                    (SandboxPayment::paid(id, amount, &currency), &["payment_intent.succeeded", "charge.succeeded"])
                } else {
                    (SandboxPayment::requires_payment_method(id, amount, &currency), &["payment_intent.created"])
                };
                let named: Vec<String> = rest.iter().map(|&name| name.to_owned()).collect();
                let payment = with_names(payment, &named);
                (id, Entry { payment, named, amount, currency, is_paid: word == "paid" }, events)
            }
            ["refund", id, amount] => {
                let (amount, entry) = (minor(amount)?, self.take(id)?);
                let payment = entry.payment.refund(amount, "succeeded");
                (id, Entry { payment, ..entry }, &["charge.refunded", "refund.created"])
            }
            ["dispute", id] => {
                let entry = self.take(id)?;
                (id, Entry { payment: entry.payment.disputed(), ..entry }, &["charge.dispute.created"])
            }
            ["cancel", id] => {
                let entry = self.take(id)?;
                let payment = SandboxPayment::canceled(id, entry.amount, &entry.currency);
                let payment = with_names(payment, &entry.named);
                (id, Entry { payment, is_paid: false, ..entry }, &["payment_intent.canceled"])
            }
            ["session", id, payment] => return self.complete(id, payment),
            _ => return Err(wrong()),
        };
        let payment = if self.mode == Mode::Test { entry.payment.test_mode() } else { entry.payment };
        self.sandbox.put(payment.clone());
        self.payments.insert(id.to_owned(), Entry { payment, ..entry });
        Ok(Changed { payment: id.to_owned(), events })
    }

    /// Completes a Checkout session with a payment, paid or not as that is.
    fn complete(&self, id: &str, payment: &str) -> Result<Changed, Trouble> {
        let entry = self.payments.get(payment).ok_or_else(|| no_payment(payment))?;
        let session = SandboxSession::open(id, entry.amount, &entry.currency);
        let session = if entry.is_paid { session.paid(payment) } else { session.unpaid(payment) };
        self.sandbox.put_session(if self.mode == Mode::Test { session.test_mode() } else { session });
        Ok(Changed { payment: payment.to_owned(), events: &["checkout.session.completed"] })
    }

    fn take(&mut self, id: &str) -> Result<Entry, Trouble> {
        self.payments.remove(id).ok_or_else(|| no_payment(id))
    }

    /// Delivers what was changed.
    async fn tell(&mut self, changed: &Changed) -> Result<(), Trouble> {
        print(&format!("changed: {}\n", changed.payment))?;
        let Some(webhook) = self.webhook.clone() else { return Ok(()) };
        for event_type in changed.events {
            self.events = self.events.saturating_add(1);
            let id = format!("evt_sandbox_{}", self.events);
            let Some(snapshot) = self.sandbox.event(&id, event_type, &changed.payment) else { continue };
            let thin = (self.kinds != "snapshot").then(|| snapshot.thin(&format!("{id}_thin")));
            let snapshot = (self.kinds != "thin").then_some(snapshot);
            for event in [thin, snapshot].into_iter().flatten() {
                self.deliver(&webhook, event_type, &event).await?;
            }
        }
        Ok(())
    }

    async fn deliver(&self, webhook: &Url, event_type: &str, event: &EventBody) -> Result<(), Trouble> {
        let body = event.to_string();
        for delivery in 1..=DELIVERIES {
            let request = self.client.post(webhook.clone()).header("content-type", "application/json");
            let request = request.header("stripe-signature", sign(&secret("whsec_"), now(), &body));
            let answer = match request.body(body.clone()).send().await {
                Ok(response) if response.status().is_success() => {
                    return print(&format!("delivered: {event_type}, {}\n", response.status().as_u16()));
                }
                Ok(response) => format!("{}", response.status().as_u16()),
                Err(error) => Trouble::because("no answer", &error.without_url()).to_string(),
            };
            print(&format!("not delivered: {event_type}, {delivery} of {DELIVERIES}: {answer}\n"))?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }
}
