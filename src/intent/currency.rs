//! Currency codes.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::accessors::display_as_str;
use crate::intent::invalid_intent::{Field, InvalidIntent};

/// The longest code a provider may report: ISO 4217 has three letters, stablecoins four or five.
const MAX_REPORTED: usize = 8;

/// A currency, by its ISO 4217 code.
///
/// Compares without regard to case, since it is stored in upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; MAX_REPORTED]);

macro_rules! iso_4217 {
    ($($code:ident)*) => {
        /// The active ISO 4217 codes that name money.
        impl Currency {
            $(
                #[doc = concat!("ISO 4217 `", stringify!($code), "`.")]
                pub const $code: Self = Self::padded(stringify!($code));
            )*
        }

        /// In alphabetical order, which `parse` relies on.
        const KNOWN: &[Currency] = &[$(Currency::$code),*];
    };
}

// ISO 4217 list one, without funds codes, precious metals and testing codes.
iso_4217! {
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP
    GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD
    KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN
    NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP
    SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
    VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
}

/// Withdrawn from ISO 4217 since 2010, last BGN: Bulgaria took the euro on 2026-01-01. Older payments stand in no list that a shop
/// still compares.
const WITHDRAWN: &[&str] =
    &["ANG", "BGN", "BYR", "CUC", "EEK", "HRK", "LTL", "LVL", "MRO", "SLL", "STD", "VEF", "ZMK", "ZWL"];

impl Currency {
    /// Belarus's rubles until 2016, which had no decimals. Nothing new can be claimed in them.
    pub(crate) const BYR: Self = Self::padded("BYR");

    /// Parses an ISO 4217 code in any case.
    ///
    /// # Errors
    /// Names the field `currency` when the code is not an active ISO 4217 code. Of one that was withdrawn it says so: nothing
    /// new can be paid in it.
    pub fn parse(code: &str) -> Result<Self, InvalidIntent> {
        let currency = Self::reported(code);
        currency.filter(|currency| currency.is_active()).ok_or_else(|| {
            InvalidIntent::new(
                Field::Currency,
                match currency {
                    Some(currency) if currency.is_withdrawn() => {
                        "must be an active ISO 4217 code; this one was withdrawn"
                    }
                    _ => "must be an active ISO 4217 code",
                },
            )
        })
    }

    /// Parses an ISO 4217 code in any case, also one that was withdrawn since 2010, such as `HRK`: for payments and orders of
    /// the past, which stay in the currency that they were made in.
    ///
    /// # Errors
    /// Names the field `currency` when the code is neither.
    pub fn parse_past(code: &str) -> Result<Self, InvalidIntent> {
        Self::reported(code)
            .filter(|currency| currency.is_active() || currency.is_withdrawn())
            .ok_or_else(|| InvalidIntent::new(Field::Currency, "must be an ISO 4217 code"))
    }

    fn is_active(self) -> bool {
        KNOWN.binary_search(&self).is_ok()
    }

    fn is_withdrawn(self) -> bool {
        WITHDRAWN.contains(&self.as_str())
    }

    /// Takes a code as a provider reports it, which may be one ISO does not list.
    ///
    /// Returns `None` unless it is 3 to 8 ASCII letters or digits.
    #[must_use]
    pub fn reported(code: &str) -> Option<Self> {
        let fits = (3..=MAX_REPORTED).contains(&code.len());
        (fits && code.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| Self::padded(code))
    }

    #[allow(clippy::indexing_slicing, reason = "the loop's condition bounds the index by both lengths")]
    const fn padded(code: &str) -> Self {
        let (code, mut padded, mut at) = (code.as_bytes(), [0; MAX_REPORTED], 0_usize);
        while at < code.len() && at < MAX_REPORTED {
            padded[at] = code[at].to_ascii_uppercase();
            at = at.saturating_add(1);
        }
        Self(padded)
    }

    /// The code in upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

display_as_str!(Currency);

/// As text, the shortest and the most legible form.
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = <&str>::deserialize(deserializer)?;
        Self::reported(code).ok_or_else(|| D::Error::custom("not a currency code"))
    }
}

impl FromStr for Currency {
    type Err = InvalidIntent;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        Self::parse(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_the_search_relies_on() {
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn what_was_withdrawn_is_known_of_the_past_and_nothing_new_is_claimed_in_it() {
        for code in WITHDRAWN {
            assert_eq!(Currency::parse_past(&code.to_lowercase()).unwrap().as_str(), *code);
            let rule = Currency::parse(code).unwrap_err().to_string();
            assert!(rule.contains("withdrawn"), "{rule}");
        }
        assert_eq!(Currency::parse_past("eur").unwrap(), Currency::EUR);
        for unknown in ["usdc", "abc", "dollars", ""] {
            assert!(Currency::parse_past(unknown).is_err(), "{unknown}");
            assert!(!Currency::parse(unknown).unwrap_err().to_string().contains("withdrawn"), "{unknown}");
        }
    }

    #[test]
    fn a_provider_may_report_a_code_iso_does_not_list() {
        assert_eq!(Currency::reported("usdc").unwrap().as_str(), "USDC");
        assert_eq!(Currency::reported("no"), None);
    }
}
