//! How Stripe writes amounts.

use crate::intent::money::{Units, units};

/// Where Stripe's integers are not hundredths (<https://docs.stripe.com/currencies>).
///
/// ISK and UGX have no decimals and are sent as hundredths all the same, always whole; the dinars and the rial are sent
/// as thousandths and end in a zero; MGA has no decimals here and two in ISO 4217. HUF and TWD are hundredths in charges.
pub(super) const UNITS: Units = Units::new(units! {
    0, 1 => BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF;
    2, 100 => ISK UGX;
    3, 10 => BHD JOD KWD OMR TND;
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::currency::Currency;
    use crate::intent::money::Money;

    fn minor(amount: &str, currency: Currency) -> Option<u64> {
        Money::parse(amount, currency).unwrap().minor_units(&UNITS).ok()
    }

    #[test]
    fn amounts_are_hundredths_unless_listed() {
        assert_eq!(minor("19.99", Currency::USD), Some(1999));
        assert_eq!(minor("19.99", Currency::HUF), Some(1999));
        assert_eq!(minor("19.99", Currency::TWD), Some(1999));
        assert_eq!(minor("19.999", Currency::EUR), None);
    }

    #[test]
    fn currencies_without_decimals_are_sent_whole() {
        for code in "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split(' ') {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(minor("500", currency), Some(500), "{code}");
            assert_eq!(minor("500.5", currency), None, "{code}");
        }
    }

    #[test]
    fn krona_and_ugandan_shilling_are_sent_as_whole_hundreds() {
        for currency in [Currency::ISK, Currency::UGX] {
            assert_eq!(minor("5", currency), Some(500));
            assert_eq!(minor("5.5", currency), None);
            assert_eq!(UNITS.to_money(500, currency), Money::parse("5", currency).unwrap());
        }
    }

    #[test]
    fn thousandths_end_in_a_zero() {
        for code in "BHD JOD KWD OMR TND".split(' ') {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(minor("5.12", currency), Some(5120), "{code}");
            assert_eq!(minor("5.124", currency), None, "{code}");
        }
    }
}
