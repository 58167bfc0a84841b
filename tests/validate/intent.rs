//! What a claim may be made of: every constructor accepts what it documents, and says field and rule otherwise.
#![cfg(feature = "test-util")]
#![expect(clippy::arithmetic_side_effects, clippy::panic, reason = "literals of this file, and helpers that assert")]

mod constructors;
mod money;
mod properties;
mod provider_check;

use payproof::{Currency, Field, InvalidIntent, Money, PaymentIntent};
use proptest::prelude::*;

/// The active codes of ISO 4217 that name money, written down independently of the crate, with their exponents.
const TWO_DECIMALS: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF \
    CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR \
    ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR \
    MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
    STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";

const NO_DECIMALS: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";

const THREE_DECIMALS: &str = "BHD IQD JOD KWD LYD OMR TND";

/// Every code with its exponent.
fn iso() -> Vec<(Currency, u32)> {
    [(TWO_DECIMALS, 2), (NO_DECIMALS, 0), (THREE_DECIMALS, 3)]
        .into_iter()
        .flat_map(|(codes, exponent)| codes.split_whitespace().map(move |code| (code, exponent)))
        .filter_map(|(code, exponent)| Some((Currency::parse(code).ok()?, exponent)))
        .collect()
}

#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn usd(amount: &str) -> Money {
    Money::parse(amount, Currency::USD).unwrap()
}

type Setter = fn(&str) -> Result<PaymentIntent, InvalidIntent>;

/// The claims that are free text, by the constructor that takes them.
const TEXTS: [(Field, Setter); 3] = [
    (Field::Tenant, |text| PaymentIntent::new(text, "pi_1", usd("1"))),
    (Field::Order, |text| PaymentIntent::new("store_42", "pi_1", usd("1"))?.with_order(text)),
    (Field::Customer, |text| PaymentIntent::new("store_42", "pi_1", usd("1"))?.with_customer(text)),
];

/// No file with counter-examples next to the sources.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Whether an error shows a value that is too long to be there by chance.
fn repeats(error: &InvalidIntent, value: &str) -> bool {
    value.len() >= 20 && format!("{error} {error:?}").contains(value)
}

/// Strings that come close to what is accepted, and strings that do not.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[A-Za-z0-9_-]{0,300}",
        "[ -~]{0,300}",
        "pi_[a-z0-9]{0,6}(_secret_|/|%2f|\\?|\u{0})?[a-z0-9]{0,6}",
        "\\PC{0,260}",
        "[-+]?[0-9]{0,25}(\\.[0-9]{0,25})?",
    ]
}
