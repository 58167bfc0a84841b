//! Amounts as exports write them, made plain: digits with at most one point.

use std::borrow::Cow;

use clap::ValueEnum;
use payproof::{Currency, Units};

/// The sign before the decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DecimalSign {
    /// 1.560,00 and 1 560,00 and 1560,00
    #[value(name = ",", alias = "comma")]
    Comma,
    /// 1,560.00 and 1'560.00 and 1560.00
    #[value(name = ".", alias = "point")]
    Point,
}

/// What groups thousands, besides the sign that does not stand before the decimals: spaces, also those at which no line is
/// broken, and apostrophes.
const GROUPING: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\'', '\u{2019}'];

const NEITHER: &str = "must be a decimal with a point, and the comma may stand before its decimals or group its thousands; \
                       say --decimal , (comma) or --decimal . (point), whichever sign stands before the decimals in this file";

const GROUPED: &str = "has its thousands grouped; say --decimal , (comma) or --decimal . (point), whichever sign stands \
                       before the decimals in this file";

const AMBIGUOUS: &str = "has three digits behind its point, which may be decimals or thousands; say --decimal , (comma) or \
                         --decimal . (point), whichever sign stands before the decimals in this file";

impl DecimalSign {
    fn signs(self) -> (char, char) {
        match self {
            Self::Comma => (',', '.'),
            Self::Point => ('.', ','),
        }
    }

    /// The rule that an amount broke.
    fn rule(self) -> &'static str {
        match self {
            Self::Comma => {
                "must be a decimal such as 1560,00 or 1.560,00: --decimal , says that a comma stands before the decimals, \
                 and what groups thousands leaves three digits behind it"
            }
            Self::Point => {
                "must be a decimal such as 1560.00 or 1,560.00: --decimal . says that a point stands before the decimals, \
                 and what groups thousands leaves three digits behind it"
            }
        }
    }
}

/// The amount without grouping and with a point, or the rule that it breaks. What is no amount at all is handed on where no
/// sign is told, since the command says what is wrong with it.
pub(super) fn plain<'a>(
    amount: &'a str,
    currency: Option<&str>,
    sign: Option<DecimalSign>,
) -> Result<Cow<'a, str>, &'static str> {
    let (minus, digits) = match amount.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", amount),
    };
    let Some(sign) = sign else {
        return match amount.contains(',') {
            true => Err(NEITHER),
            false if is_grouped(amount) => Err(GROUPED),
            false if may_be_thousands(digits) && !has_three_decimals(currency) => Err(AMBIGUOUS),
            false => Ok(amount.into()),
        };
    };
    let (point, other) = sign.signs();
    let (whole, fraction) = match digits.split_once(point) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let whole = joined(whole, other).ok_or(sign.rule())?;
    match fraction {
        None => Ok(format!("{minus}{whole}").into()),
        Some(fraction) if is_digits(fraction) => Ok(format!("{minus}{whole}.{fraction}").into()),
        Some(_) => Err(sign.rule()),
    }
}

/// Whether digits stand on both sides of a sign that groups, as the second of several points does.
fn is_grouped(amount: &str) -> bool {
    let is_parted = amount.contains(GROUPING) || amount.matches('.').count() > 1;
    is_parted && amount.split(GROUPING).flat_map(|part| part.split('.')).all(is_digits)
}

/// Whether these are thousands where a point groups them, and a number with three decimals where it does not.
fn may_be_thousands(digits: &str) -> bool {
    digits.split_once('.').is_some_and(|(_, fraction)| !fraction.contains('.')) && joined(digits, '.').is_some()
}

/// Whether amounts in this currency are written with three decimals.
fn has_three_decimals(currency: Option<&str>) -> bool {
    let currency = currency.and_then(|code| Currency::parse_past(code).ok());
    currency.is_some_and(|currency| Units::iso_4217().to_money(1, currency).amount() == "0.001")
}

/// The digits of groups of three behind one of one to three, all parted by the same sign; or of one without any.
fn joined(whole: &str, other: char) -> Option<String> {
    let Some(sign) = whole.chars().find(|c| *c == other || GROUPING.contains(c)) else {
        return is_digits(whole).then(|| whole.to_owned());
    };
    let mut groups = whole.split(sign);
    // What begins with a zero has no thousands.
    let first = groups.next().filter(|first| is_digits(first) && first.len() <= 3 && !first.starts_with('0'))?;
    groups.try_fold(first.to_owned(), |digits, group| (is_digits(group) && group.len() == 3).then_some(digits + group))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_that_is_told_stands_before_the_decimals_and_others_group_thousands() {
        use DecimalSign::{Comma, Point};

        for (sign, amount, expected) in [
            (Comma, "1560,00", "1560.00"),
            (Comma, "1.560,00", "1560.00"),
            (Comma, "1.560", "1560"),
            (Comma, "12 345 678,9", "12345678.9"),
            (Comma, "1\u{a0}560,00", "1560.00"),
            (Comma, "1\u{202f}560,00", "1560.00"),
            (Comma, "0,5", "0.5"),
            (Comma, "-1.560,5", "-1560.5"),
            (Point, "1,560", "1560"),
            (Point, "1,560.00", "1560.00"),
            (Point, "1'560.00", "1560.00"),
            (Point, "1\u{2019}560.00", "1560.00"),
            (Point, "19.99", "19.99"),
            (Point, "1560", "1560"),
        ] {
            assert_eq!(plain(amount, Some("usd"), Some(sign)).as_deref(), Ok(expected), "{amount}");
        }
        for (sign, amount) in [
            (Comma, "19.99"),
            (Comma, "1.56"),
            (Comma, "1.5600,00"),
            (Comma, "1560.000,00"),
            (Comma, "1.560 000,00"),
            (Comma, "1,560,000"),
            (Comma, "1,560.00"),
            (Comma, ".560"),
            (Comma, "1560,"),
            (Comma, ",5"),
            (Comma, ""),
            (Comma, "€ 5"),
            (Point, "1,56"),
            (Point, "0,560"),
            (Point, "1.560.000"),
            (Point, "1,,560"),
            (Point, "1'56"),
            (Point, "1e3"),
        ] {
            assert_eq!(plain(amount, Some("usd"), Some(sign)), Err(sign.rule()), "{amount}");
        }
    }

    #[test]
    fn without_the_sign_a_refusal_names_both_as_words() {
        for amount in [
            "1,560",
            "1.560,00",
            "1,560.00",
            "19,99",
            "1 560",
            "1'560.00",
            "1\u{a0}560",
            "1.560.000",
            "1.560",
            "-156.000",
        ] {
            let rule = plain(amount, Some("usd"), None).unwrap_err();
            assert!(rule.contains("(comma)") && rule.contains("(point)"), "{amount}: {rule}");
        }
        for amount in ["19.99", "1560", "-1", "", "nineteen", "1. 5 ", "0.560", "1560.000", "1.5600", ".560"] {
            assert_eq!(plain(amount, Some("usd"), None).as_deref(), Ok(amount));
        }
    }
    #[test]
    fn three_digits_behind_a_point_are_decimals_where_the_currency_has_three() {
        for currency in ["KWD", "bhd"] {
            assert_eq!(plain("1.560", Some(currency), None).as_deref(), Ok("1.560"));
        }
        for currency in [Some("usd"), Some("JPY"), Some("nope"), None] {
            assert_eq!(plain("1.560", currency, None), Err(AMBIGUOUS), "{currency:?}");
        }
    }
}
