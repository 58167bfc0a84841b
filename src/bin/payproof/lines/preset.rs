//! Exports that many shops have, and how each is read.

use clap::ValueEnum;

use super::line::LineValues;
use super::rows::{CATEGORY, Rows};

/// An export that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Stripe's dashboard, Payments, Export; tick the column PaymentIntent ID
    StripePayments,
    /// Stripe's report "Balance change from activity", itemized, with customer_facing_amount and customer_facing_currency
    StripeBalance,
    /// Shopify's admin, Orders, Export
    Shopify,
}

type Pairs = &'static [(&'static str, &'static str)];

const STRIPE_PAYMENTS: Pairs = &[
    ("payment", "PaymentIntent ID"),
    ("amount", "Amount"),
    ("currency", "Currency"),
    ("tenant", "store_id (metadata)"),
    ("order", "order_id (metadata)"),
    ("state", "Status"),
    ("created", "Created date (UTC)"),
];

/// `gross` and `currency` are what Stripe settles, which is another amount than the shopper paid.
const STRIPE_BALANCE: Pairs = &[
    ("payment", "payment_intent_id"),
    ("amount", "customer_facing_amount"),
    ("currency", "customer_facing_currency"),
    ("tenant", "payment_metadata[store_id]"),
    ("order", "payment_metadata[order_id]"),
    ("created", "created_utc"),
    (CATEGORY, CATEGORY),
];

const SHOPIFY: Pairs = &[
    ("order", "Name"),
    ("payment", "Payment Reference"),
    ("amount", "Total"),
    ("currency", "Currency"),
    ("state", "Financial Status"),
    ("created", "Created at"),
    ("paid", "Paid at"),
    ("shipped", "Fulfilled at"),
    ("cancelled", "Cancelled at"),
    ("paid_by", "Payment Method"),
];

/// What exports call the states of an order. An order that is refunded in part is a paid one.
const STATES: Pairs = &[
    ("paid", "paid"),
    ("partially_refunded", "paid"),
    ("refunded", "refunded"),
    ("pending", "open"),
    ("authorized", "open"),
    ("partially_paid", "open"),
    ("unpaid", "open"),
    ("expired", "open"),
    ("voided", "open"),
    ("failed", "open"),
];

impl Preset {
    fn columns(self) -> Pairs {
        match self {
            Self::StripePayments => STRIPE_PAYMENTS,
            Self::StripeBalance => STRIPE_BALANCE,
            Self::Shopify => SHOPIFY,
        }
    }

    /// The column that holds this field, if one does.
    pub(super) fn column(self, field: &str) -> Option<&'static str> {
        self.columns().iter().find_map(|(name, column)| (*name == field).then_some(*column))
    }

    /// Fields that are read besides those that a command wants.
    pub(super) fn besides(self) -> &'static [&'static str] {
        if self == Self::StripeBalance { &[CATEGORY] } else { &[] }
    }

    /// What to do where the column of this field is missing.
    pub(super) fn advice(self, field: &str) -> &'static str {
        match (self, field) {
            (Self::StripePayments, "payment") => {
                "tick it among the columns in the export dialog of Stripe's dashboard; the column `id` is the charge, not \
                 the payment"
            }
            (Self::StripePayments, _) => "tick it among the columns in the export dialog of Stripe's dashboard",
            (Self::StripeBalance, "amount" | "currency") => {
                "choose it among the columns of the report; `gross` and `currency` are what Stripe settles, which may be in \
                 another currency than the shopper paid"
            }
            (Self::StripeBalance, _) => "choose it among the columns of the itemized report, and download that again",
            (Self::Shopify, _) => "export orders (not products or customers) as CSV from Shopify's admin",
        }
    }

    /// Says the values of a line in the command's words: states, and that times are in UTC where the column says so.
    pub(super) fn translate(self, values: &mut LineValues) {
        if let Some(state) = values.get("state") {
            let ours = STATES.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(state));
            if let Some((_, ours)) = ours {
                values.set("state", ours);
            }
        }
        let is_utc = matches!(self, Self::StripePayments | Self::StripeBalance);
        if let Some(created) = values.get("created").filter(|created| is_utc && lacks_offset(created)) {
            let created = format!("{created}Z");
            values.set("created", &created);
        }
    }

    pub(super) fn rows(self) -> Rows {
        match self {
            Self::StripePayments => Rows::Single,
            Self::StripeBalance => Rows::summed(),
            Self::Shopify => Rows::followed(),
        }
    }
}

/// Whether nothing stands behind the time of day, as in `2026-07-01 05:00:12`.
fn lacks_offset(time: &str) -> bool {
    let behind_date = time.get(10..).unwrap_or_default();
    behind_date.ends_with(|c: char| c.is_ascii_digit()) && !behind_date.contains(['+', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_utc_where_its_column_says_so_and_it_names_no_offset() {
        for (time, lacks) in [
            ("2026-07-01 05:00:12", true),
            ("2026-07-01 05:00", true),
            ("2026-07-01T05:00:12Z", false),
            ("2026-07-01 05:00:12 +0200", false),
            ("2026-07-01T05:00:12-05:00", false),
            ("2026-07-01", false),
        ] {
            assert_eq!(lacks_offset(time), lacks, "{time}");
        }
    }
}
