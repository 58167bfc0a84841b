//! What each constructor accepts and refuses.

use payproof::provider::ProviderIdentity;
use payproof::testing::ScriptedProvider;
use payproof::{
    Currency, Field, IdempotencyKey, InvalidIntent, Mode, Money, PaymentId, PaymentIntent, PaymentStatus,
    ProviderPayment, Unit, Units, ValidateError, Validator,
};

use super::{NO_DECIMALS, TEXTS, THREE_DECIMALS, TWO_DECIMALS, iso, usd};

/// Says what a refusal names; an acceptance names nothing.
fn field_of<T>(parsed: Result<T, InvalidIntent>) -> Option<Field> {
    parsed.err().map(|error| error.field())
}

/// Fails unless the field was named with a rule, and the value was not repeated.
#[track_caller]
fn assert_refused<T>(parsed: Result<T, InvalidIntent>, field: Field, value: &str) {
    let Err(error) = parsed else { panic!("{value:?} was accepted as {field}") };
    assert_eq!(error.field(), field, "{value:?}");
    assert!(!error.rule().is_empty(), "{value:?}");
    assert_eq!(error.to_string(), format!("invalid {field}: {}", error.rule()));
    // A short value is likely to be part of some word of the rule.
    if value.len() > 8 {
        assert!(!format!("{error} {error:?}").contains(value), "{error:?} repeats the value");
    }
}

#[test]
fn a_payment_id_is_not_empty_and_has_at_most_255_characters() {
    assert_refused(PaymentId::parse(""), Field::PaymentId, "");
    assert_refused(PaymentId::parse("p".repeat(256)), Field::PaymentId, &"p".repeat(256));
    assert_refused(PaymentId::parse("p".repeat(1_000_000)), Field::PaymentId, &"p".repeat(256));
    let longest = "p".repeat(255);
    assert_eq!(PaymentId::parse(&longest).unwrap().as_str(), longest);
    assert_eq!(PaymentId::parse("p").unwrap().to_string(), "p");
}

#[test]
fn a_client_secret_is_refused_as_one_and_not_repeated() {
    let tail = format!("{}{}", "YrKJUKribcBj", "cG8HVhfZ");
    for secret in [format!("pi_3Mtw_secret_{tail}"), format!("seti_1_secret_{tail}"), format!("_secret_{tail}")] {
        let error = PaymentId::parse(&secret).unwrap_err();
        assert!(error.rule().contains("client secret"), "{error}");
        let error = PaymentIntent::new("store_42", &secret, usd("1")).unwrap_err();
        assert_eq!(error.field(), Field::PaymentId);
        assert!(!format!("{error} {error:?}").contains(&tail), "{error:?}");
        let error = ValidateError::from(error);
        assert!(!format!("{error} {error:?}").contains(&tail), "{error:?}");
        assert_eq!(error.code(), "invalid_intent");
        assert_eq!(error.http_status(), 400);
    }
}

#[test]
fn a_payment_id_cannot_change_the_path_of_a_url() {
    let hostile = [
        "../refunds",
        "pi_1/../../customers/1",
        "/",
        "%2f",
        "pi_1%2fcancel",
        "pi_1?expand[]=x",
        "?",
        "#",
        "pi_1#x",
        "pi_1&x=1",
        "//",
        "/pi_1",
        "pi_1/",
        "a//b",
        ".",
        "./a",
        "a/./b",
        "a/.",
        "..",
        "a..b",
        "a/..",
        "a/../b",
        "pi_1\0",
        "\0",
        "pi_1\n",
        "pi_1\r\nHost: x",
        " pi_1",
        "pi_1 ",
        "pi 1",
        "pí_1",
        "pi_١",
        "ｐi_1",
        "pi_1\u{200b}",
        "\u{202e}pi_1",
        "pi\\1",
        "pi_1;x",
        "pi_1'--",
        "{pi}",
    ];
    for id in hostile {
        assert_refused(PaymentId::parse(id), Field::PaymentId, id);
        assert_refused(PaymentIntent::new("store_42", id, usd("1")), Field::PaymentId, id);
    }
}

#[test]
fn an_id_that_is_not_plain_is_one_only_where_the_provider_says_so() {
    for id in ["projects/a/payments/7", "pi_1/cancel", "GPA.3345-1", "urn:x:1", "pi@1", "a+b=", "~a", "a.b/c.d"] {
        let parsed = PaymentId::parse(id).unwrap();
        assert_eq!((parsed.as_str(), parsed.is_plain()), (id, false));
    }
    assert!(PaymentId::parse("A-b_C9").unwrap().is_plain());
}

#[test]
fn a_prefix_makes_no_payment_id_and_none_is_needed() {
    for id in ["pi_3MtwBw", "ch_1", "7", "A-b_C", "py-1"] {
        assert_eq!(PaymentId::parse(id).unwrap().as_str(), id);
    }
}

#[test]
fn an_amount_is_a_plain_positive_decimal() {
    let wrong = [
        "",
        "0",
        "0.0",
        "0.00",
        "00",
        "-1",
        "-0",
        "-0.01",
        "+1",
        "-",
        "NaN",
        "nan",
        "inf",
        "-inf",
        "Infinity",
        "1e3",
        "1E3",
        "0x10",
        "1,000",
        "1_000",
        "1.",
        ".1",
        ".",
        "..",
        "1.1.1",
        " 1",
        "1 ",
        "1\0",
        "1\n",
        "١",
        "１",
        "½",
        "$1",
        "1 USD",
        "18446744073709551616",
        "99999999999999999999999",
        "1.0000000000000000001",
        "0.0000000000000000001",
        "184467440737095516.16",
    ];
    for amount in wrong {
        assert_refused(Money::parse(amount, Currency::USD), Field::Amount, amount);
    }
    for (amount, shown) in [
        ("19.99", "19.99 USD"),
        ("1", "1.00 USD"),
        ("0.01", "0.01 USD"),
        ("007.10", "7.10 USD"),
        ("10.000", "10.00 USD"),
        ("18446744073709551615", "18446744073709551615.00 USD"),
        ("0.000000000000000001", "0.000000000000000001 USD"),
    ] {
        assert_eq!(usd(amount).to_string(), shown);
    }
}

#[test]
fn an_amount_of_a_million_digits_is_refused_and_not_repeated() {
    assert_refused(Money::parse(&"9".repeat(1_000_000), Currency::USD), Field::Amount, &"9".repeat(100));
    assert_refused(
        Money::parse(&format!("0.{}1", "0".repeat(1_000_000)), Currency::USD),
        Field::Amount,
        &"0".repeat(50),
    );
    assert_eq!(Money::parse(&format!("{}1", "0".repeat(1_000_000)), Currency::USD).unwrap(), usd("1"));
}

#[test]
fn a_zero_that_a_units_table_reports_cannot_be_claimed() {
    let nothing = Units::iso_4217().to_money(0, Currency::USD);
    assert!(nothing.is_zero());
    assert_refused(PaymentIntent::new("store_42", "pi_1", nothing), Field::Amount, "0.00 USD");
}

#[test]
fn a_currency_is_an_active_iso_code_in_any_case() {
    for code in
        ["", "US", "USDX", "USDC", "XXX", "XTS", "XAU", "DEM", "ÄÖÜ", "U$D", "US\0", " USD", "usd ", "１２３", "€"]
    {
        assert_refused(Currency::parse(code), Field::Currency, code);
        assert_eq!(field_of(code.parse::<Currency>()), Some(Field::Currency), "{code:?}");
    }
    for code in ["usd", "USD", "uSd"] {
        assert_eq!(Currency::parse(code).unwrap(), Currency::USD);
    }
    let codes: Vec<_> = [TWO_DECIMALS, NO_DECIMALS, THREE_DECIMALS].iter().flat_map(|c| c.split_whitespace()).collect();
    let unknown: Vec<_> = codes.iter().filter(|code| Currency::parse(code).is_err()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(iso().len(), codes.len());
}

#[test]
fn tenant_order_and_customer_are_short_visible_text() {
    let long = "x".repeat(256);
    let wrong = [
        "",
        " ",
        "\t",
        "\0",
        "a\0b",
        "a\nb",
        "a\rb",
        "a\tb",
        "a\u{7f}b",
        "a\u{85}b",
        " 6735",
        "6735 ",
        "6735\n",
        "\u{a0}6735",
        &long,
    ];
    for (field, claim) in TEXTS {
        for text in wrong {
            assert_refused(claim(text), field, text);
        }
        for text in ["6735", "Zürich 7", "a b", "a/b?c%2f#d", "заказ-7", &"x".repeat(255)] {
            assert!(claim(text).is_ok(), "{field} {text:?}");
        }
    }
}

#[test]
fn what_was_claimed_can_be_read_back() {
    let intent = PaymentIntent::new("store_42", "pi_1", usd("19.99")).unwrap();
    assert_eq!((intent.order(), intent.customer()), (None, None));
    let whole = intent.clone().with_order("6735").unwrap().with_customer("cus_9").unwrap();
    assert_eq!(whole.tenant(), "store_42");
    assert_eq!(whole.payment().as_str(), "pi_1");
    assert_eq!(whole.money(), usd("19.99"));
    assert_eq!(whole.order(), Some("6735"));
    assert_eq!(whole.customer(), Some("cus_9"));
    assert_eq!(intent.order(), None, "a clone is not changed through the other");
    let again = whole.with_order("6736").unwrap();
    assert_eq!(again.order(), Some("6736"));
}

#[test]
fn a_refused_claim_leaves_the_earlier_intent_alone() {
    let intent = PaymentIntent::new("store_42", "pi_1", usd("1")).unwrap();
    assert_eq!(field_of(intent.clone().with_order("")), Some(Field::Order));
    assert_eq!(field_of(intent.clone().with_customer("a\nb")), Some(Field::Customer));
    assert_eq!((intent.order(), intent.customer()), (None, None));
}

#[test]
fn a_key_is_1_to_255_printable_ascii_characters() {
    let long = "k".repeat(256);
    for key in ["", "ä", "a\nb", "a\0b", "\u{1f}", "\u{7f}", "\u{80}", "k\u{200b}", "🔑", &long] {
        assert_refused(IdempotencyKey::parse(key), Field::Key, key);
    }
    for key in ["k", "~", "order 6735/attempt~1", &"k".repeat(255)] {
        assert!(IdempotencyKey::parse(key).is_ok(), "{key:?}");
    }
}

/// A provider that would prove the claim, if it were asked.
fn provider(id: &str, units: Units, minor: u64, currency: Currency) -> ScriptedProvider {
    let provider = ScriptedProvider::with_identity(ProviderIdentity::new("scripted").with_units(units));
    provider.put(
        ProviderPayment::new(id, PaymentStatus::Paid)
            .with_mode(Mode::Live)
            .with_amount(minor, currency)
            .with_amount_received(minor)
            .with_amount_refunded(0)
            .with_metadata("store_id", "store_42"),
    );
    provider
}

#[tokio::test(start_paused = true)]
async fn an_amount_that_does_not_fit_the_units_is_refused_before_anything_is_asked() {
    let cases = [
        ("19.999", Currency::USD, "at most 2 decimals in USD"),
        ("1.5", Currency::JPY, "at most 0 decimals in JPY"),
        ("1.2345", Currency::KWD, "at most 3 decimals in KWD"),
        ("0.000000000000000001", Currency::USD, "at most 2 decimals in USD"),
        ("18446744073709551615", Currency::USD, "fit into 64 bits"),
        ("184467440737095516.2", Currency::USD, "fit into 64 bits"),
        ("18446744073709551.7", Currency::KWD, "fit into 64 bits"),
    ];
    for (amount, currency, rule) in cases {
        let provider = provider("pi_1", Units::iso_4217(), 1999, currency);
        let validator = Validator::builder(provider.clone()).build().unwrap();
        let intent = PaymentIntent::new("store_42", "pi_1", Money::parse(amount, currency).unwrap()).unwrap();
        for _ in 0..2 {
            let error = validator.validate(&intent).await.unwrap_err();
            assert!(error.is_invalid_intent(), "{amount} {currency}: {error}");
            let invalid = error.invalid_intent().unwrap();
            assert_eq!(invalid.field(), Field::Amount);
            assert!(invalid.rule().contains(rule), "{amount} {currency}: {invalid}");
            assert!(!format!("{error} {error:?} {invalid}").contains(amount), "{error:?}");
            assert!(error.attempts().is_empty());
        }
        assert_eq!(provider.calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_units_belong_to_the_provider_and_not_to_the_currency() {
    const TABLE: &[Unit] = &[
        Unit { currency: Currency::ISK, exponent: 2, step: 100 },
        Unit { currency: Currency::KWD, exponent: 3, step: 10 },
    ];
    let isk = |amount| Money::parse(amount, Currency::ISK).unwrap();
    let provider = provider("pi_1", Units::new(TABLE), 500, Currency::ISK);
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let paid = validator.validate(PaymentIntent::new("store_42", "pi_1", isk("5")).unwrap()).await.unwrap();
    assert!(paid.verdict().is_valid(), "{paid:?}");
    let off = validator.validate(PaymentIntent::new("store_42", "pi_2", isk("5.5")).unwrap()).await.unwrap_err();
    assert!(off.invalid_intent().unwrap().rule().contains("multiple of 100"), "{off:?}");
    let dinar = Money::parse("1.234", Currency::KWD).unwrap();
    let off = validator.validate(PaymentIntent::new("store_42", "pi_3", dinar).unwrap()).await.unwrap_err();
    assert!(off.invalid_intent().unwrap().rule().contains("multiple of 10"), "{off:?}");
    assert_eq!(provider.calls(), 1);
}

#[test]
fn the_extremes_of_64_bits_survive_the_way_to_money_and_back() {
    let units = Units::iso_4217();
    for (currency, _) in iso() {
        for minor in [0, 1, 9, 10, 99, 100, 999, 1000, u64::MAX, u64::MAX - 1, u64::MAX - 5, u64::MAX / 10 * 10] {
            assert_eq!(units.to_money(minor, currency).minor_units(&units), Ok(minor), "{minor} {currency}");
        }
    }
}

#[test]
fn a_credential_in_the_place_of_the_id_is_refused_and_not_repeated() {
    for kind in ["sk", "rk", "pk", "whsec"] {
        let credential = format!("{kind}_live_{}", "abcdefgh");
        let error = PaymentId::parse(&credential).unwrap_err();
        assert_eq!(error.field(), Field::PaymentId);
        assert!(!error.to_string().contains("abcdefgh"), "{error}");
    }
}
