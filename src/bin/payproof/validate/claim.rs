//! What one line claims, and whether it can be claimed.

use payproof::{Currency, IdempotencyKey, InvalidIntent, Money, PaymentId, PaymentIntent};

use crate::lines::{LineError, LineValues, Wanted};

/// The fields of a claim. The tenant may be said for all.
pub(crate) const CLAIM: Wanted = Wanted {
    fields: &["payment", "amount", "currency", "tenant", "order", "customer", "key"],
    required: &["payment", "amount", "currency"],
};

/// What lines claim that do not say it themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) tenant: Option<String>,
}

/// Parses every field, unless the line is known to be wrong. The payment's id comes back by itself too, for the report of a
/// line whose other fields are wrong.
pub(crate) fn check(
    values: &LineValues,
    wrong: Option<LineError>,
    defaults: &Defaults,
) -> (Option<PaymentId>, Result<PaymentIntent, LineError>) {
    let payment =
        values.needed("payment").and_then(|id| PaymentId::parse(id).map_err(|invalid| LineError::from(&invalid)));
    match (payment, wrong) {
        (payment, Some(wrong)) => (payment.ok(), Err(wrong)),
        (Ok(payment), None) => {
            let intent = intent(&payment, values, defaults);
            (Some(payment), intent)
        }
        (Err(refusal), None) => (None, Err(refusal)),
    }
}

fn intent(payment: &PaymentId, values: &LineValues, defaults: &Defaults) -> Result<PaymentIntent, LineError> {
    let (amount, currency) = (values.needed("amount")?, values.needed("currency")?);
    let tenant = values.tenant(defaults.tenant.as_deref())?;
    let build = || {
        // What was paid in a currency that is gone by now is a payment all the same.
        let money = Money::parse(amount, Currency::parse_past(currency)?)?;
        let intent = PaymentIntent::new(tenant, payment.as_str(), money)?;
        let intent = values.get("order").into_iter().try_fold(intent, PaymentIntent::with_order)?;
        let intent = values.get("customer").into_iter().try_fold(intent, PaymentIntent::with_customer)?;
        let key = values.get("key").map(IdempotencyKey::parse).transpose()?;
        Ok(key.into_iter().fold(intent, PaymentIntent::with_key))
    };
    build().map_err(|invalid: InvalidIntent| LineError::from(&invalid))
}
