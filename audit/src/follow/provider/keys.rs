//! Idempotency keys that providers are given.

use super::super::origins::Origins;
use super::super::value::{Shape, Value};
use super::super::words::{has_word, plain_name};
use crate::model::ProviderKey;

/// Providers that have no such option for payments.
const WITHOUT: &[&str] = &[
    "razorpay",
    "braintree",
    "paystack",
    "flutterwave",
    "midtrans",
    "iyzipay",
    "cashfree",
    "phonepe",
    "sslcommerz",
    "coinbase",
    "payu",
    "paytm",
    "paddle",
    "lemonsqueezy",
    "lemon",
    "wompi",
    "asaas",
    "zarinpal",
    "payos",
    "vnpay",
    "momo",
    "chapa",
    "khalti",
    "authorizenet",
    "klarna",
    "culqi",
    "conekta",
    "openpay",
];
const DEEPEST: u32 = 4;

/// The key in a client's call.
pub(super) fn key_of(path: &str, given: &[Value], open: bool) -> ProviderKey {
    if let Some(key) = given.iter().find_map(|value| search(value, DEEPEST)) {
        return grade(&key);
    }
    // Stripe's client for Rust is given it beforehand: `client.with_strategy(RequestStrategy::Idempotent(key))`.
    if let Some(client) = given.iter().find(|value| value.path().is_some_and(|path| path.ends_with("with_strategy()")))
    {
        return grade(client);
    }
    if has_word(path, WITHOUT) {
        return ProviderKey::NotOffered;
    }
    // Options whose fields are not known may hold it.
    let hidden = given.iter().skip(1).find_map(hidden).or_else(|| given.iter().find_map(spread));
    match hidden {
        Some(name) => ProviderKey::Unknown(name),
        None if open => ProviderKey::Unknown("arguments".to_owned()),
        None => ProviderKey::Missing,
    }
}

/// The key in the headers of a request, or in its body.
pub(super) fn of_headers(url: &str, headers: &Value, body: &Value) -> ProviderKey {
    if let Some(key) = search(headers, DEEPEST).or_else(|| search(body, 2)) {
        return grade(&key);
    }
    if has_word(url, WITHOUT) {
        return ProviderKey::NotOffered;
    }
    match hidden(headers).or_else(|| spread(headers)) {
        Some(name) => ProviderKey::Unknown(name),
        None => ProviderKey::Missing,
    }
}

/// What a key derives from.
pub(super) fn grade(key: &Value) -> ProviderKey {
    let from = key.whole().from;
    if from.has(Origins::KEY) {
        return ProviderKey::Given;
    }
    if from.has(Origins::CLOCK.and(Origins::RANDOM)) {
        return ProviderKey::Volatile;
    }
    if matches!(key.shape, Shape::Nothing) {
        return ProviderKey::Missing;
    }
    ProviderKey::Given
}

fn search(value: &Value, levels: u32) -> Option<Value> {
    let levels = levels.checked_sub(1)?;
    match &value.shape {
        Shape::Object(object) => object.fields.borrow().iter().find_map(|(name, value)| {
            let plain = plain_name(name);
            if plain.contains("idempoten") || plain == "paypalrequestid" || plain == "requestid" {
                return Some(value.clone());
            }
            if plain == "metadata" { None } else { search(value, levels) }
        }),
        _ => None,
    }
}

/// Options that are not known: what they come from.
fn hidden(value: &Value) -> Option<String> {
    match &value.shape {
        Shape::Unknown | Shape::Foreign(_) if value.text.is_none() => {
            if value.from.has(Origins::UNKNOWN) || value.from == Origins::NONE {
                Some(value.unfollowed.as_deref().unwrap_or_else(|| value.last_name()).to_owned())
            } else {
                None
            }
        }
        _ => None,
    }
}

/// Fields that were spread in and are not known.
fn spread(value: &Value) -> Option<String> {
    let Shape::Object(object) = &value.shape else { return None };
    let rest = object.rest.borrow();
    let rest = rest.as_ref()?;
    (rest.from.has(Origins::UNKNOWN) || rest.from == Origins::NONE)
        .then(|| rest.unfollowed.as_deref().unwrap_or_else(|| rest.last_name()).to_owned())
}
