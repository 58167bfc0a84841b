//! Amounts: what is one, and how a provider's integers are made of it.

use payproof::{Currency, Money, Unit, Units};

#[test]
fn trailing_zeros_do_not_matter() {
    let ten = Money::parse("10", Currency::USD).unwrap();
    for text in ["10.0", "10.000", "010", "10.000000000000000000000000"] {
        assert_eq!(Money::parse(text, Currency::USD).unwrap(), ten, "{text}");
    }
    assert_eq!(ten.to_string(), "10.00 USD");
    assert_eq!(Money::parse("0.05", Currency::USD).unwrap().to_string(), "0.05 USD");
}

#[test]
fn conversion_is_exact_or_refused() {
    let units = Units::iso_4217();
    let minor = |text: &str, currency| Money::parse(text, currency).unwrap().minor_units(&units);
    assert_eq!(minor("19.99", Currency::USD), Ok(1999));
    assert_eq!(minor("500", Currency::JPY), Ok(500));
    assert_eq!(minor("1.234", Currency::KWD), Ok(1234));
    assert!(minor("500.5", Currency::JPY).unwrap_err().rule().contains("at most 0 decimals"));
    assert!(minor("19.999", Currency::USD).is_err());
    assert!(minor("18446744073709551615", Currency::USD).unwrap_err().rule().contains("64 bits"));
    assert_eq!(units.to_money(1999, Currency::USD).to_string(), "19.99 USD");
    assert_eq!(units.to_money(0, Currency::USD).to_string(), "0.00 USD");
}

#[test]
fn a_step_refuses_what_the_provider_cannot_charge() {
    let units = Units::new(const { &[Unit { currency: Currency::HUF, exponent: 2, step: 100 }] });
    let forint = |text: &str| Money::parse(text, Currency::HUF).unwrap().minor_units(&units);
    assert_eq!(forint("5"), Ok(500));
    assert!(forint("5.5").unwrap_err().rule().contains("multiple of 100"));
}

#[test]
fn all_decimals_of_the_currency_are_shown_and_further_ones_where_there_are() {
    for (amount, currency, shown) in [
        ("19.9", Currency::USD, "19.90"),
        ("19.99", Currency::USD, "19.99"),
        ("20", Currency::EUR, "20.00"),
        ("0.5", Currency::EUR, "0.50"),
        ("19.999", Currency::EUR, "19.999"),
        ("500", Currency::JPY, "500"),
        ("500.5", Currency::JPY, "500.5"),
        ("5", Currency::ISK, "5"),
        ("5.12", Currency::KWD, "5.120"),
        ("1", Currency::reported("usdc").unwrap(), "1.00"),
    ] {
        let money = Money::parse(amount, currency).unwrap();
        assert_eq!(money.amount(), shown);
        assert_eq!(money.to_string(), format!("{shown} {currency}"));
        assert_eq!(Money::parse(&money.amount(), money.currency()).unwrap(), money, "what is shown is read");
    }
}

#[test]
fn minor_units_are_the_providers_own() {
    let hundredths = Units::new(const { &[Unit { currency: Currency::ISK, exponent: 2, step: 100 }] });
    let krona = Money::parse("5", Currency::ISK).unwrap();
    assert_eq!((krona.minor_units(&Units::iso_4217()), krona.minor_units(&hundredths)), (Ok(5), Ok(500)));
}
