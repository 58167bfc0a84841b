//! Ids of Stripe's other objects, which are taken for a payment's: what each is of, and what to pass instead.

/// An id's beginning, whose it is, and where that leads to the payment intent.
///
/// A claim on a payment is never made by another object's id: what it says of money is not what its payment says.
const OTHERS: [(&str, &str, &str); 26] = [
    ("plink_", "a payment link", "the Checkout session that it made"),
    ("ch_", "a charge", "its `payment_intent`"),
    ("py_", "a charge", "its `payment_intent`"),
    ("re_", "a refund", "its `payment_intent`"),
    ("pyr_", "a refund", "its `payment_intent`"),
    ("dp_", "a dispute", "its `payment_intent`"),
    ("du_", "a dispute", "its `payment_intent`"),
    ("prv_", "a review", "its `payment_intent`"),
    ("issfr_", "an early fraud warning", "its `payment_intent`"),
    ("seti_", "a setup intent, which moves no money", "the payment intent that is made with its payment method"),
    ("in_", "an invoice", "the `payment_intent` of an entry of its `payments`"),
    ("inpay_", "an invoice payment", "its `payment.payment_intent`"),
    ("sub_", "a subscription", "the payment intent of an invoice of it"),
    ("cus_", "a customer", "the payment intent that the customer paid"),
    ("evt_", "an event", "the `id` or the `payment_intent` of its `data.object`"),
    ("pm_", "a payment method", "the payment intent that it pays"),
    ("src_", "a source", "the payment intent that it pays"),
    ("card_", "a card", "the payment intent that it pays"),
    ("ba_", "a bank account", "the payment intent that it pays"),
    ("tok_", "a token", "the payment intent that it pays"),
    ("txn_", "a balance transaction", "the `payment_intent` of its `source`"),
    ("tr_", "a transfer", "the `payment_intent` of its `source_transaction`"),
    ("po_", "a payout", "the payment intent of one payment"),
    ("acct_", "an account", "the payment intent"),
    ("price_", "a price", "the payment intent"),
    ("prod_", "a product", "the payment intent"),
];

/// What is wrong with an id that is another object's, as a rule.
pub(super) fn rule_for(id: &str) -> Option<String> {
    let (_, object, instead) = OTHERS.iter().find(|(prefix, ..)| id.starts_with(prefix))?;
    Some(format!("is the id of {object}; pass {instead} instead, an id that begins with `pi_` or `cs_`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_objects_id_is_told_by_its_beginning_and_a_payments_is_none() {
        for (prefix, object, instead) in OTHERS {
            let rule = rule_for(&format!("{prefix}1NirD82eZvKYlo2C")).unwrap();
            assert!(rule.contains(&format!("of {object};")) && rule.contains(instead), "{rule}");
        }
        for id in ["pi_1", "cs_1", "1", "cs", "chi_1", "CH_1", "pi_ch_1", "order-7"] {
            assert_eq!(rule_for(id), None, "{id}");
        }
    }
}
