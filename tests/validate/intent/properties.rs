//! Whatever the text is.

use payproof::{Currency, Field, IdempotencyKey, Money, PaymentId, Units};
use proptest::prelude::*;

use super::{TEXTS, cases, hostile, iso, repeats, usd};

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn any_text_as_payment_id_round_trips_or_names_the_field(text in hostile()) {
        match PaymentId::parse(&text) {
            Ok(id) => {
                prop_assert_eq!(id.as_str(), &text);
                prop_assert_eq!(id.to_string(), &*text);
                prop_assert!((1..=255).contains(&text.len()) && !text.contains("_secret_"));
                prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.~:@+=/".contains(c)));
                prop_assert!(text.split('/').all(|part| !matches!(part, "" | "." | "..")) && !text.contains(".."));
            }
            Err(error) => {
                prop_assert_eq!(error.field(), Field::PaymentId);
                prop_assert!(!repeats(&error, &text));
            }
        }
    }

    #[test]
    fn any_text_as_tenant_order_or_customer_round_trips_or_names_the_field(text in hostile()) {
        for (field, claim) in TEXTS {
            match claim(&text) {
                Ok(intent) => {
                    let kept = match field {
                        Field::Tenant => Some(intent.tenant()),
                        Field::Order => intent.order(),
                        _ => intent.customer(),
                    };
                    prop_assert_eq!(kept, Some(&*text));
                    prop_assert!((1..=255).contains(&text.len()) && !text.chars().any(char::is_control));
                }
                Err(error) => {
                    prop_assert_eq!(error.field(), field);
                    prop_assert!(!repeats(&error, &text));
                }
            }
        }
    }

    #[test]
    fn any_text_as_key_is_taken_or_names_the_field_and_is_never_shown(text in hostile()) {
        let printable = (1..=255).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        match IdempotencyKey::parse(&text) {
            Ok(key) => {
                prop_assert!(printable);
                prop_assert_eq!(format!("{:?}", key), "IdempotencyKey(…)");
            }
            Err(error) => {
                prop_assert!(!printable);
                prop_assert_eq!(error.field(), Field::Key);
            }
        }
    }

    #[test]
    fn any_text_as_currency_round_trips_or_names_the_field(text in prop_oneof![any::<String>(), "[a-zA-Z]{2,4}"]) {
        match Currency::parse(&text) {
            Ok(currency) => prop_assert_eq!(currency.as_str(), text.to_ascii_uppercase()),
            Err(error) => prop_assert_eq!(error.field(), Field::Currency),
        }
        if let Some(reported) = Currency::reported(&text) {
            prop_assert_eq!(reported.as_str(), text.to_ascii_uppercase());
        }
    }

    #[test]
    fn any_text_as_amount_is_that_number_or_names_the_field(text in hostile()) {
        match Money::parse(&text, Currency::USD) {
            Ok(money) => {
                let shown = money.to_string();
                let bare = shown.strip_suffix(" USD").unwrap();
                prop_assert_eq!(Money::parse(bare, Currency::USD), Ok(money));
                // The same digits, apart from zeros that say nothing; two decimals at least.
                let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
                let whole = whole.trim_start_matches('0');
                let whole = if whole.is_empty() { "0" } else { whole };
                let fraction = fraction.trim_end_matches('0');
                prop_assert_eq!(bare, format!("{whole}.{fraction:0<2}"));
            }
            Err(error) => {
                prop_assert_eq!(error.field(), Field::Amount);
                prop_assert!(!repeats(&error, &text));
            }
        }
    }

    #[test]
    fn minor_units_survive_the_way_to_money_and_back(minor in prop_oneof![any::<u64>(), 0_u64..100_000]) {
        let units = Units::iso_4217();
        for (currency, exponent) in iso() {
            let money = units.to_money(minor, currency);
            prop_assert_eq!(money.minor_units(&units), Ok(minor), "{}", money);
            let power = 10_u64.pow(exponent);
            prop_assert_eq!(money.is_zero(), minor == 0);
            if minor > 0 {
                let decimals = usize::try_from(exponent).unwrap();
                let (whole, rest) = (minor / power, minor % power);
                let text = if exponent == 0 { whole.to_string() } else { format!("{whole}.{rest:0decimals$}") };
                prop_assert_eq!(Money::parse(&text, currency), Ok(money), "{}", text);
            }
        }
    }

    #[test]
    fn equality_sees_the_number_and_not_its_zeros(
        whole in 0_u64..1_000_000, cents in 1_u64..100, zeros in 0_usize..16, other in 1_u64..100,
    ) {
        let plain = usd(&format!("{whole}.{cents:02}"));
        prop_assert_eq!(usd(&format!("000{whole}.{cents:02}{}", "0".repeat(zeros))), plain);
        prop_assert_eq!(usd(&format!("{whole}.{other:02}")) == plain, other == cents);
        prop_assert_ne!(Money::parse(&format!("{whole}.{cents:02}"), Currency::EUR).unwrap(), plain);
    }
}
