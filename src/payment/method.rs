//! How a payment was made, as far as that decides anything.

use serde::{Deserialize, Serialize};

use crate::accessors::{display_as_str, named};

named! {
    /// How a payment was made.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[non_exhaustive]
    pub enum PaymentMethod {
        /// The provider does not say.
        #[default]
        Unstated = "unstated",
        /// A card, online or in person.
        Card = "card",
        /// A debit of a bank account, by ACH, SEPA, Bacs, BECS, ACSS or in New Zealand. It succeeds and can still come back for
        /// weeks, since the account may lack the money and its holder may object.
        BankDebit = "bank_debit",
        /// Any other: a wallet, a transfer, a voucher.
        Other = "other",
    } as_str(self: Self)
}

display_as_str!(PaymentMethod);
