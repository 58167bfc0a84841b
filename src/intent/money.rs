//! Exact amounts of money, and a provider's minor units.

use std::borrow::Cow;
use std::fmt;

use crate::accessors::getters;
use crate::intent::currency::Currency;
use crate::intent::invalid_intent::{Field, InvalidIntent};

/// Digits after the point that can be held; no currency has more than four.
const MAX_SCALE: u8 = 18;

/// An exact, non-negative decimal amount in a currency's major unit.
///
/// `10`, `10.0` and `10.000` are equal. There is no float anywhere, and no tolerance. Shown are all decimals that ISO 4217 has
/// for the currency, and further ones where there are: `19.90 USD`, `500 JPY`.
///
/// ```
/// use payproof::{Currency, Money, Units};
///
/// let price = Money::parse("19.9", Currency::EUR)?;
/// assert_eq!((price.amount().as_str(), price.currency()), ("19.90", Currency::EUR));
/// assert_eq!(price.minor_units(&Units::iso_4217())?, 1990);
/// # Ok::<(), payproof::InvalidIntent>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    /// Without trailing zeros after the point, so that equality is field by field.
    digits: u64,
    scale: u8,
    currency: Currency,
}

impl Money {
    /// Parses a decimal in major units: `19.99` is nineteen dollars and ninety-nine cents.
    ///
    /// Accepted are ASCII digits with at most one point between digits: no sign, exponent, space or grouping. How many
    /// decimals a currency has is the provider's to say, so that is checked when the intent is validated.
    ///
    /// # Errors
    /// Names the field `amount` when the text is not such a decimal, is zero, or is larger than 64 bits hold.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, InvalidIntent> {
        let wrong = |rule: &'static str| InvalidIntent::new(Field::Amount, rule);
        if amount.starts_with('-') {
            return Err(wrong("must be more than zero"));
        }
        let (whole, fraction) = match amount.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(wrong("must have a digit after the decimal point")),
            None => (amount, ""),
        };
        if whole.is_empty() {
            return Err(wrong("must start with a digit"));
        }
        if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("must be a decimal such as 19.99, of digits and at most one point"));
        }
        let fraction = fraction.trim_end_matches('0');
        let scale = u8::try_from(fraction.len())
            .ok()
            .filter(|scale| *scale <= MAX_SCALE)
            .ok_or_else(|| wrong("must have at most 18 decimals"))?;
        let digits = whole
            .bytes()
            .chain(fraction.bytes())
            .try_fold(0_u64, |sum, byte| sum.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0'))))
            .ok_or_else(|| wrong("must fit into 64 bits"))?;
        if digits == 0 {
            return Err(wrong("must be more than zero"));
        }
        Ok(Self { digits, scale, currency })
    }

    pub(crate) fn normalized(mut digits: u64, mut scale: u8, currency: Currency) -> Self {
        while scale > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            scale = scale.saturating_sub(1);
        }
        Self { digits, scale, currency }
    }

    getters! {
        /// The decimal without its currency, with all decimals that the currency has: `19.90`.
        pub fn amount(&self) -> String => {
            let decimals = usize::from(self.scale.max(unit_in(ISO_4217, self.currency).exponent));
            let zeros = decimals.saturating_sub(usize::from(self.scale));
            let digits = format!("{:0>width$}{:0<zeros$}", self.digits, "", width = usize::from(self.scale).saturating_add(1));
            match digits.split_at_checked(digits.len().saturating_sub(decimals)) {
                Some((whole, fraction)) if !fraction.is_empty() => format!("{whole}.{fraction}"),
                _ => digits,
            }
        };

        /// The currency.
        pub fn currency(&self) -> Currency => self.currency;

        /// Whether the amount is zero, as a provider may report and no caller may claim.
        pub fn is_zero(&self) -> bool => self.digits == 0;

        /// The digits, and how many of them stand after the point; the last of those is not zero.
        pub(crate) fn decimal(&self) -> (u64, u8) => (self.digits, self.scale);
    }

    /// The provider's integer, by its table of units: 1990 for 19.90 EUR.
    ///
    /// # Errors
    /// Names the field `amount` when the currency has fewer decimals, when the amount is not a multiple of the step, or
    /// when the integer overflows 64 bits.
    pub fn minor_units(&self, units: &Units) -> Result<u64, InvalidIntent> {
        let unit = units.of(self.currency);
        let wrong = |rule: String| InvalidIntent::new(Field::Amount, rule);
        let missing = unit.exponent.checked_sub(self.scale).ok_or_else(|| {
            let (code, digits) = (self.currency, unit.exponent);
            wrong(format!("must have at most {digits} decimals in {code} at this provider"))
        })?;
        let minor = 10_u64
            .checked_pow(u32::from(missing))
            .and_then(|power| self.digits.checked_mul(power))
            .ok_or_else(|| wrong("must fit into 64 bits in minor units".to_owned()))?;
        if !minor.is_multiple_of(u64::from(unit.step.max(1))) {
            let (code, step) = (self.currency, unit.step);
            return Err(wrong(format!("must be a multiple of {step} minor units in {code}")));
        }
        Ok(minor)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How one currency is written in a provider's integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The currency.
    pub currency: Currency,
    /// Decimals that the integer carries: 2 means cents.
    pub exponent: u8,
    /// The integer must be a multiple of this: 100 where a two-decimal integer stays whole.
    pub step: u32,
}

/// A provider's units table: how its integers relate to major units.
///
/// Currencies that are not listed have two decimals and step one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units(Cow<'static, [Unit]>);

impl Units {
    /// Makes a table of the currencies that differ from two decimals, step one.
    #[must_use]
    pub const fn new(exceptions: &'static [Unit]) -> Self {
        Self(Cow::Borrowed(exceptions))
    }

    /// The exponents of ISO 4217, for providers without a table of their own.
    #[must_use]
    pub const fn iso_4217() -> Self {
        Self::new(ISO_4217)
    }

    fn of(&self, currency: Currency) -> Unit {
        unit_in(&self.0, currency)
    }

    /// Converts the provider's integer back.
    #[must_use]
    pub fn to_money(&self, minor: u64, currency: Currency) -> Money {
        Money::normalized(minor, self.of(currency).exponent.min(MAX_SCALE), currency)
    }
}

/// How a currency is written by a table.
fn unit_in(exceptions: &[Unit], currency: Currency) -> Unit {
    let listed = exceptions.iter().find(|unit| unit.currency == currency);
    listed.copied().unwrap_or(Unit { currency, exponent: 2, step: 1 })
}

/// Currencies in groups of the same exponent and step, each in the order of its codes.
macro_rules! units {
    ($($exponent:literal, $step:literal => $($code:ident)+;)+) => {
        &[$($(
            $crate::intent::money::Unit {
                currency: $crate::intent::currency::Currency::$code,
                exponent: $exponent,
                step: $step,
            },
        )+)+]
    };
}
#[cfg(feature = "stripe")]
pub(crate) use units;

/// The currencies whose ISO 4217 exponent is not two.
const ISO_4217: &[Unit] = units! {
    0, 1 => BIF BYR CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF;
    3, 1 => BHD IQD JOD KWD LYD OMR TND;
};
