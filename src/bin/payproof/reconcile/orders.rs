//! The shop's orders, as a line states one.

use payproof::reconcile::{OrderRecord, OrderState};
use payproof::{Currency, Money, Units};

use crate::lines::{Line, LineError, LineValues, Wanted};

use super::times::Times;

/// The fields of an order. The tenant may be said for all.
pub(crate) const ORDER: Wanted = Wanted {
    fields: &[
        "order",
        "tenant",
        "payment",
        "amount",
        "currency",
        "state",
        "created",
        "paid",
        "shipped",
        "cancelled",
        "updated",
        "paid_by",
    ],
    required: &["order"],
};

/// What turns lines into orders.
pub(crate) struct OrderReader {
    pub(crate) times: Times,
    /// Of lines that name none.
    pub(crate) tenant: Option<String>,
}

impl OrderReader {
    /// Whose order it is.
    ///
    /// # Errors
    /// Names the field where neither the line nor the command says it.
    pub(crate) fn tenant<'l>(&'l self, values: &'l LineValues) -> Result<&'l str, LineError> {
        values.tenant(self.tenant.as_deref())
    }

    /// The order of a line.
    ///
    /// # Errors
    /// Names the field and the rule, and no value.
    pub(crate) fn order(&self, line: &Line) -> Result<OrderRecord, LineError> {
        let values = line.usable()?;
        let tenant = self.tenant(values)?;
        let time = |field| values.get(field).map(|text| self.times.moment(text)).transpose();
        let time = |field| time(field).map_err(|rule| LineError::field(field, rule));
        let (created, paid, shipped, cancelled, updated) =
            (time("created")?, time("paid")?, time("shipped")?, time("cancelled")?, time("updated")?);
        let state = match values.get("state") {
            Some(name) => state(name)?,
            None if cancelled.is_some() => OrderState::Cancelled,
            None if shipped.is_some() => OrderState::Shipped,
            None if paid.is_some() => OrderState::Paid,
            None => OrderState::Open,
        };
        let money = money(values)?;
        let order = OrderRecord::new(tenant, values.needed("order")?, state);
        let order = order.map_err(|invalid| LineError::from(&invalid))?;
        let order = values.get("payment").into_iter().fold(order, OrderRecord::with_payment);
        let order = values.get("paid_by").into_iter().fold(order, OrderRecord::with_paid_by);
        let order = money.into_iter().fold(order, OrderRecord::with_money);
        let order = created.into_iter().fold(order, OrderRecord::with_created);
        let order = paid.into_iter().fold(order, OrderRecord::with_paid);
        let order = shipped.into_iter().fold(order, OrderRecord::with_shipped);
        let order = cancelled.into_iter().fold(order, OrderRecord::with_cancelled);
        Ok(updated.into_iter().fold(order, OrderRecord::with_updated))
    }
}

fn state(name: &str) -> Result<OrderState, LineError> {
    let known = OrderState::parse(&name.to_ascii_lowercase());
    known.ok_or_else(|| LineError::field("state", "must be open, paid, shipped, cancelled or refunded"))
}

/// The order's total. One of zero is none to a claim, and is one to an order: it needs no payment.
fn money(values: &LineValues) -> Result<Option<Money>, LineError> {
    let Some(amount) = values.get("amount") else { return Ok(None) };
    let parsed = || {
        let currency = Currency::parse_past(values.needed("currency")?).map_err(|invalid| LineError::from(&invalid))?;
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
        if [whole, fraction].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit == b'0')) {
            return Ok(Units::iso_4217().to_money(0, currency));
        }
        Money::parse(amount, currency).map_err(|invalid| LineError::from(&invalid))
    };
    parsed().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::LineFields;

    fn read(fields: &[(&str, &str)]) -> Result<OrderRecord, LineError> {
        let mut values = LineValues::new(&LineFields::new(ORDER.fields.iter().map(|field| (*field, *field))));
        for (field, value) in fields {
            values.set(field, value);
        }
        let reader = OrderReader { times: Times::new(None), tenant: Some("store_42".to_owned()) };
        reader.order(&Line { number: 2, values, wrong: None })
    }

    #[test]
    fn a_line_without_a_state_has_that_of_its_latest_time() {
        let paid = ("paid", "2026-07-01T05:00:12Z");
        let (shipped, cancelled) = (("shipped", "2026-07-02T05:00:12Z"), ("cancelled", "2026-07-03T05:00:12Z"));
        for (fields, state) in [
            (&[("order", "1")][..], OrderState::Open),
            (&[("order", "1"), paid], OrderState::Paid),
            (&[("order", "1"), paid, shipped], OrderState::Shipped),
            (&[("order", "1"), paid, shipped, cancelled], OrderState::Cancelled),
            (&[("order", "1"), paid, ("state", "Refunded")], OrderState::Refunded),
        ] {
            assert_eq!(read(fields).unwrap().state(), state, "{fields:?}");
        }
    }

    #[test]
    fn a_total_of_zero_is_a_total() {
        for (amount, shown) in [("0", "0"), ("0.00", "0"), ("19.99", "19.99")] {
            let order = read(&[("order", "1"), ("amount", amount), ("currency", "usd")]).unwrap();
            assert!(order.money().unwrap().to_string().starts_with(shown), "{:?}", order.money());
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_repeats_no_value() {
        for (field, value) in [
            ("state", "sk_live_secret"),
            ("amount", "sk_live_secret"),
            ("amount", "-5"),
            ("amount", "0."),
            ("amount", ".0"),
            ("amount", "..0"),
            ("amount", "0.0.0"),
            ("currency", "sk_live_secret"),
            ("created", "sk_live_secret"),
            ("shipped", "2026-07-01"),
        ] {
            let mut fields = vec![("order", "1"), ("amount", "5"), ("currency", "usd")];
            fields.push((field, value));
            let refusal = read(&fields).unwrap_err();
            assert_eq!(refusal.field, Some(field), "{refusal:?}");
            assert!(!refusal.rule.contains("sk_live_secret"), "{refusal:?}");
        }
        let refusal = read(&[("order", "1"), ("amount", "5")]).unwrap_err();
        assert_eq!((refusal.field, &*refusal.rule), (Some("currency"), "is missing"));
    }
}
