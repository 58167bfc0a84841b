//! How a payment was made, by the type of its method.
//!
//! | `payment_method_details.type` | method |
//! |---|---|
//! | `card`, `card_present`, `interac_present` | card |
//! | `ach_debit`, `acss_debit`, `au_becs_debit`, `bacs_debit`, `nz_bank_account`, `sepa_debit`, `us_bank_account` | bank debit |
//! | any other | other |
//! | none | unstated |

use crate::payment::method::PaymentMethod;
use crate::provider::stripe::wire::MethodDetails;

/// Types that debit a bank account, and take days.
const DEBITS: [&str; 7] =
    ["ach_debit", "acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit", "us_bank_account"];

pub(super) fn of(details: &MethodDetails<'_>) -> PaymentMethod {
    match details.kind.as_deref() {
        None => PaymentMethod::Unstated,
        Some("card" | "card_present" | "interac_present") => PaymentMethod::Card,
        Some(kind) if DEBITS.contains(&kind) => PaymentMethod::BankDebit,
        Some(_) => PaymentMethod::Other,
    }
}
