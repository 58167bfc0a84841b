//! Payment providers: what they are asked and told, by their clients or over HTTP.

mod amounts;
mod http;
mod keys;

use super::Follower;
use super::calls::Site;
use super::origins::Origins;
use super::value::Value;
use super::words::{has_word, plain_name};
use crate::model::{EventKind, ProviderCall, ProviderKey};

use self::http::Http;

/// Words that name a provider.
const PROVIDERS: &[&str] = &[
    "stripe",
    "paypal",
    "razorpay",
    "mollie",
    "square",
    "squareup",
    "adyen",
    "braintree",
    "paystack",
    "flutterwave",
    "xendit",
    "midtrans",
    "iyzipay",
    "cashfree",
    "phonepe",
    "sslcommerz",
    "mercadopago",
    "mercado",
    "klarna",
    "paddle",
    "lemonsqueezy",
    "lemon",
    "coinbase",
    "payu",
    "paytm",
    "gocardless",
    "wompi",
    "asaas",
    "conekta",
    "openpay",
    "zarinpal",
    "payos",
    "vnpay",
    "momo",
    "chapa",
    "khalti",
    "authorizenet",
    "culqi",
];
/// What of a provider's holds money.
const MONEY: &[&str] = &[
    "paymentintents",
    "paymentintent",
    "checkoutsession",
    "paymentlink",
    "charges",
    "refunds",
    "sessions",
    "subscriptions",
    "invoices",
    "invoiceitems",
    "payouts",
    "transfers",
    "paymentlinks",
    "paymentlink",
    "orders",
    "payments",
    "transaction",
    "transactions",
    "preference",
    "preferences",
    "refund",
    "paymentsapi",
    "paymentsclient",
    "orderscontroller",
    "paymentscontroller",
    "payment",
    "order",
    "checkout",
    "checkouts",
    "refundsapi",
    "invoice",
    "charge",
    "subscription",
    "paymentrefunds",
    "paymentsapi",
];
/// Parts of a provider's that have `sessions` and hold no payment.
const OTHER_SESSIONS: &[&str] = &["billingportal", "identity", "financialconnections", "customersessions"];
const READS: &[&str] = &[
    "retrieve",
    "list",
    "search",
    "fetch",
    "get",
    "find",
    "verify",
    "getorder",
    "ordersget",
    "show",
    "all",
    "fetchpayments",
    "status",
    "listlineitems",
    "getpayment",
    "retrievepayment",
    "transactionstatus",
    "iterate",
    "page",
    "verifypayment",
    "listpayments",
];
const WRITES: &[&str] = &[
    "create",
    "confirm",
    "capture",
    "cancel",
    "refund",
    "charge",
    "sale",
    "pay",
    "update",
    "del",
    "transfer",
    "initialize",
    "initiate",
    "void",
    "submitforsettlement",
    "createorder",
    "captureorder",
    "createpayment",
    "orderscreate",
    "orderscapture",
    "sendinvoice",
    "finalizeinvoice",
    "createtransaction",
    "createpaymentlink",
    "refundpayment",
    "createrefund",
    "completepayment",
    "createcheckout",
    "createpaymentintent",
    "ordersauthorize",
    "authorizeorder",
    "captures",
    "refundcapturedpayment",
    "payments",
    "init",
];

/// A provider's call by its path.
struct Called<'p> {
    /// Names without arguments, in lower case.
    names: Vec<String>,
    path: &'p str,
}

impl Called<'_> {
    fn verb(&self) -> &str {
        self.names.last().map(String::as_str).unwrap_or_default()
    }

    fn is_money(&self) -> bool {
        let above: Vec<&String> = self.names.iter().rev().skip(1).take(2).collect();
        !above.iter().any(|name| OTHER_SESSIONS.contains(&name.as_str()))
            && (above
                .iter()
                .any(|name| MONEY.contains(&name.as_str()) || MONEY.iter().any(|money| name.ends_with(money)))
                || ["order", "payment", "charge", "refund", "transaction", "sale", "checkout", "transfer"]
                    .iter()
                    .any(|word| self.verb().contains(word))
                || (self.verb() == "initialize" || self.verb() == "execute"))
    }
}

impl Follower<'_> {
    pub(crate) fn provider_call(
        &mut self,
        path: &str,
        function: &Value,
        given: &[Value],
        site: &Site<'_>,
    ) -> Option<Value> {
        if let Some(http) = Http::of(path, given) {
            return Some(self.provider_http(&http, site));
        }
        if let Some(value) = self.request_built(path, given) {
            return Some(value);
        }
        // A client of a client's, or a class that is made, is nothing that is sent.
        let names: Vec<String> =
            path.split(['.', '#']).map(|name| plain_name(name.split('(').next().unwrap_or_default())).collect();
        let called = Called { names, path };
        let stripe = called.names.iter().any(|name| name == "paymentintents" || name == "setupintents")
            || (called.names.iter().any(|name| name == "checkout")
                && called.names.iter().any(|name| name == "sessions"));
        if !(stripe || has_word(path, PROVIDERS)) || site.constructs || function.from.has(Origins::STORED) {
            return provider_made(path, site);
        }
        if let Some(value) = self.stripe_params(&called, given) {
            return Some(value);
        }
        if called.verb() == "requestbody" {
            let object = path.rsplit_once('.').map(|(object, _)| object.to_owned()).unwrap_or_default();
            let body = given.first().cloned().unwrap_or_default();
            self.run.assigned.entry(object).or_default().push(("body".to_owned(), body));
            return Some(Value::default());
        }
        if called.verb() == "execute" {
            return Some(self.paypal_execute(given, site));
        }
        if READS.contains(&called.verb()) {
            return Some(self.asked(&called, site));
        }
        if WRITES.contains(&called.verb()) {
            let yielded = self.told(&called, given, site);
            // What is called back is given an error, and what the provider said.
            let callbacks = [Value::foreign("error"), yielded.clone()];
            self.perhaps(|follower| follower.run_given(given, &callbacks, site));
            return Some(yielded);
        }
        None
    }

    /// What Stripe's client for Rust is told later: `CreatePaymentIntent::new(amount, currency)`.
    fn stripe_params(&mut self, called: &Called<'_>, given: &[Value]) -> Option<Value> {
        let of = called.names.iter().rev().nth(1)?;
        if called.verb() != "new" || !of.starts_with("create") {
            return None;
        }
        let made = format!("{}()", called.path);
        let fields = ["amount", "currency"].iter().zip(given);
        let fields = fields.filter(|_| of == "createpaymentintent" || of == "createcharge");
        let fields: Vec<(String, Value)> = fields.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.run.assigned.insert(made.clone(), fields);
        Some(Value::foreign(&made))
    }

    /// What was given, with the fields of what was made for it.
    fn unfolded(&self, given: &[Value]) -> Vec<Value> {
        let fields = |value: &Value| self.run.assigned.get(value.path()?).cloned();
        let unfold = |value: &Value| match fields(value) {
            Some(fields) => Value::object(fields.into_iter().collect()),
            None => value.clone(),
        };
        given.iter().map(unfold).collect()
    }

    fn asked(&mut self, called: &Called<'_>, site: &Site<'_>) -> Value {
        if called.is_money() || called.verb().contains("verify") {
            self.emit(EventKind::ProviderRead { call: site.name.clone() }, site.frame, site.span);
        }
        Value { from: Origins::PROVIDER, ..Value::foreign(&format!("{}()", called.path)) }
    }

    fn told(&mut self, called: &Called<'_>, given: &[Value], site: &Site<'_>) -> Value {
        let given = &self.unfolded(given);
        let verb = called.verb();
        let money = called.is_money() && !matches!(verb, "update" | "del" | "cancel" | "void");
        let repeats = money
            && !["confirm", "capture", "submitforsettlement", "complete", "finalize"]
                .iter()
                .any(|once| verb.contains(once));
        let key = if matches!(verb, "update" | "del" | "cancel" | "void") {
            ProviderKey::NotOffered
        } else {
            keys::key_of(called.path, given, site.open)
        };
        // An amount that is changed later counts like one that is told at first.
        let amount = called.is_money().then(|| amounts::of(given, &self.run.compared)).flatten();
        let call = ProviderCall { call: site.name.clone(), money, repeats, key, amount };
        self.emit(EventKind::ProviderWrite(call), site.frame, site.span);
        Value { from: Origins::PROVIDER, ..Value::foreign(&format!("{}()", called.path)) }
    }

    /// The old client of PayPal: `client.execute(new OrdersCreateRequest())`.
    fn paypal_execute(&mut self, given: &[Value], site: &Site<'_>) -> Value {
        let request = given.first().cloned().unwrap_or_default();
        let path = request.path().unwrap_or_default().to_owned();
        let yielded = Value { from: Origins::PROVIDER, ..Value::foreign("paypal.execute()") };
        if has_word(&path, &["get", "show"]) {
            self.emit(EventKind::ProviderRead { call: site.name.clone() }, site.frame, site.span);
            return yielded;
        }
        let assigned = |field: &str| -> Vec<(String, Value)> {
            let place = if field.is_empty() { path.clone() } else { format!("{path}.{field}") };
            self.run.assigned.get(&place).cloned().unwrap_or_default()
        };
        let mut key = if path.is_empty() { ProviderKey::Unknown(site.name.clone()) } else { ProviderKey::Missing };
        for (name, value) in assigned("headers") {
            if plain_name(&name).contains("requestid") {
                key = keys::grade(&value);
            }
        }
        let body: Vec<Value> =
            assigned("").into_iter().filter(|(name, _)| name == "body").map(|(_, value)| value).collect();
        let amount = amounts::of(&body, &self.run.compared);
        let repeats = !path.contains("Capture");
        let call = ProviderCall { call: site.name.clone(), money: true, repeats, key, amount };
        self.emit(EventKind::ProviderWrite(call), site.frame, site.span);
        yielded
    }

    fn provider_http(&mut self, http: &Http, site: &Site<'_>) -> Value {
        let lower = http.url.to_lowercase();
        let yielded = Value { from: Origins::PROVIDER, ..Value::foreign("fetch(provider)") };
        if !has_word(&lower, PROVIDERS)
            && !lower.contains("/v2/checkout/orders")
            && !lower.contains("/v2/payments/captures")
        {
            return self.other_http(http, site);
        }
        if ["oauth", "/token", "access-token", "generate-access"].iter().any(|part| lower.contains(part)) {
            return Value::of(Origins::NONE);
        }
        if lower.contains("verify-webhook") {
            return Value { from: Origins::VERIFIED, ..yielded };
        }
        if http.method == "GET" || lower.contains("verify") || lower.contains("status") {
            self.emit(EventKind::ProviderRead { call: site.name.clone() }, site.frame, site.span);
            return yielded;
        }
        let captures = ["capture", "confirm"].iter().any(|once| lower.contains(once));
        let key = keys::of_headers(&lower, &http.headers, &http.body);
        let amount = amounts::of(std::slice::from_ref(&http.body), &self.run.compared);
        let call = ProviderCall {
            call: format!("{} {}", http.method, shown(&http.url)),
            money: true,
            repeats: !captures,
            key,
            amount,
        };
        self.emit(EventKind::ProviderWrite(call), site.frame, site.span);
        yielded
    }

    /// A request that is built step by step, as reqwest has it: `client.post(url).header(name, value).form(pairs)`.
    fn request_built(&mut self, path: &str, given: &[Value]) -> Option<Value> {
        let step = path.strip_prefix("fetch(provider).")?;
        let first = given.first()?;
        let event = self.run.events.iter_mut().rev().find(|event| matches!(event.kind, EventKind::ProviderWrite(_)))?;
        let EventKind::ProviderWrite(call) = &mut event.kind else { return None };
        match step.rsplit('.').next().unwrap_or_default() {
            "header" => {
                let name = plain_name(first.is_text().unwrap_or_default());
                if name.contains("idempoten") || name == "paypalrequestid" {
                    call.key = keys::grade(given.get(1)?);
                }
            }
            "json" | "form" | "body" | "write" => {
                call.amount = amounts::of(given, &self.run.compared).or(call.amount.take());
            }
            "bearer_auth" | "basic_auth" | "timeout" | "query" | "on" | "end" => {}
            _ => return None,
        }
        Some(Value { from: Origins::PROVIDER, ..Value::foreign(path) })
    }

    /// A request to something else: it may write there.
    fn other_http(&mut self, http: &Http, site: &Site<'_>) -> Value {
        let answer =
            Value { from: Origins::UNKNOWN, unfollowed: Some(site.name.as_str().into()), ..Value::foreign("fetch()") };
        if http.method == "GET" {
            // It may be a provider that is not known, and what it is asked.
            let name = format!("{}.get", site.name.trim_end_matches(".get"));
            self.emit(EventKind::Unfollowed { name, sees_request: false }, site.frame, site.span);
            return Value { from: Origins::STORED, unfollowed: None, ..answer };
        }
        self.emit(EventKind::Unfollowed { name: site.name.clone(), sees_request: false }, site.frame, site.span);
        answer
    }
}

fn provider_made(path: &str, site: &Site<'_>) -> Option<Value> {
    (site.constructs && has_word(path, PROVIDERS)).then(|| Value::foreign(&format!("{path}()")))
}

/// A URL's end, without what is filled in.
fn shown(url: &str) -> String {
    let end = url.split("://").last().unwrap_or_default();
    end.chars().take(60).collect()
}
