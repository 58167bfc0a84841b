//! Stripe's objects that lead to a payment intent: charges, refunds, disputes and the like.

use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::Value;

use crate::http::transport;
use crate::intent::payment_intent::PaymentId;
use crate::provider::{ProviderError, RelatedAnswer, RelatedObject};

use super::refusal::Unsuccessful;
use super::{Stripe, reply};

/// Each object, where it is asked for below `/v1/`, and the query. Where an object names its charge and no intent, the charge
/// comes expanded, so that one request is enough.
const OBJECTS: [(&str, &str, Option<&str>); 7] = [
    ("charge", "charges", None),
    ("refund", "refunds", WITH_CHARGE),
    ("dispute", "disputes", WITH_CHARGE),
    ("review", "reviews", WITH_CHARGE),
    ("checkout.session", "checkout/sessions", None),
    ("radar.early_fraud_warning", "radar/early_fraud_warnings", WITH_CHARGE),
    ("invoice_payment", "invoice_payments", None),
];

const WITH_CHARGE: Option<&str> = Some("expand%5B%5D=charge");

impl Stripe {
    /// Asks for an object once, and says which payment it belongs to.
    pub(super) async fn ask_for_related(&self, object: &RelatedObject) -> Result<RelatedAnswer, ProviderError> {
        let Some((_, path, query)) = OBJECTS.iter().find(|(kind, ..)| *kind == object.kind()) else {
            return Ok(RelatedAnswer::Unsupported);
        };
        let mut address = self.address_in(path, object.id());
        address.set_query(*query);
        let reply = transport::get(&self.client, address, &self.headers_in(object.context())).await;
        let reply = reply.map_err(|error| ProviderError::from(&error))?;
        match reply::body(&reply, None) {
            Ok(body) => read(object, body).map_err(|error| reply::unreadable(error, &reply)),
            Err(Unsuccessful::Missing(error, _) | Unsuccessful::Refused(error)) if is_gone(&error) => {
                Ok(RelatedAnswer::Gone)
            }
            Err(Unsuccessful::Missing(error, _) | Unsuccessful::Refused(error)) => Err(error),
        }
    }

    /// The headers, for the account that an event is of. Beside `Stripe-Account` a `Stripe-Context` is refused, so either is
    /// sent: the adapter's own account stays as it is reached.
    fn headers_in(&self, context: Option<&str>) -> HeaderMap {
        let mut headers = self.headers.clone();
        let last = context.and_then(|context| context.rsplit('/').next());
        let context = context.filter(|_| last != self.account.as_deref());
        if let Some(Ok(context)) = context.map(HeaderValue::from_str) {
            headers.remove("stripe-account");
            headers.insert("stripe-context", context);
        }
        headers
    }
}

/// Whether the answer says that there is no such object, and not that nothing is served there.
fn is_gone(error: &ProviderError) -> bool {
    error.status() == Some(404) && error.code() == Some("resource_missing") && !error.may_pass()
}

fn read(asked: &RelatedObject, body: &[u8]) -> Result<RelatedAnswer, ProviderError> {
    let unreadable = || ProviderError::unreadable("the answer is not the object that was asked for");
    let object: Value = serde_json::from_slice(body).map_err(|_| unreadable())?;
    let is = |field: &str, value: &str| object.get(field).and_then(Value::as_str) == Some(value);
    if !is("object", asked.kind()) || !is("id", asked.id()) {
        return Err(unreadable());
    }
    let payment = intent_of(&object)?;
    Ok(RelatedAnswer::Found { payment, object })
}

/// The payment intent that an object names: by itself, on the payment of an invoice, or by its charge.
fn intent_of(object: &Value) -> Result<Option<PaymentId>, ProviderError> {
    let stated = |pointer| object.pointer(pointer).filter(|stated| !stated.is_null());
    let named = ["/payment_intent", "/payment/payment_intent", "/charge/payment_intent"].into_iter().find_map(stated);
    let Some(named) = named else {
        return match stated("/charge") {
            Some(Value::String(_)) => Err(ProviderError::refused("the key may not read the charge").with_status(403)),
            _ => Ok(None),
        };
    };
    let id = named.as_str().or_else(|| named.get("id")?.as_str());
    let id = id.and_then(|id| PaymentId::parse(id).ok());
    id.map(Some).ok_or_else(|| ProviderError::unreadable("the object's payment intent has no id"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_leads_to_its_intent_by_itself_by_its_charge_or_on_an_invoice() {
        for (object, expected) in [
            (json!({"payment_intent": "pi_1", "charge": "ch_1"}), Ok(Some("pi_1"))),
            (json!({"payment_intent": {"id": "pi_1"}}), Ok(Some("pi_1"))),
            (json!({"payment_intent": null, "charge": {"payment_intent": "pi_2"}}), Ok(Some("pi_2"))),
            (json!({"payment_intent": null, "charge": {"payment_intent": null}}), Ok(None)),
            (json!({"payment": {"type": "payment_intent", "payment_intent": "pi_3"}}), Ok(Some("pi_3"))),
            (json!({"payment": {"type": "charge", "charge": "ch_1"}}), Ok(None)),
            (json!({"payment_intent": null}), Ok(None)),
            // Expanded was asked for: an id says that the key may not read it.
            (json!({"payment_intent": null, "charge": "ch_1"}), Err(Some(403))),
            (json!({"payment_intent": 7}), Err(None)),
            (json!({"payment_intent": "../x"}), Err(None)),
        ] {
            let found = intent_of(&object).map_err(|error| error.status());
            assert_eq!(
                found.as_ref().map(|id| id.as_ref().map(PaymentId::as_str)),
                expected.as_ref().copied(),
                "{object}"
            );
        }
    }

    #[test]
    fn either_the_account_or_the_context_is_sent() {
        let stripe = |account: Option<&str>, own: Option<&str>| {
            let builder = Stripe::builder("sk_live_x").base_url("http://localhost:1");
            let builder = account.into_iter().fold(builder, super::super::StripeBuilder::account);
            own.into_iter().fold(builder, super::super::StripeBuilder::own_account).build().unwrap()
        };
        let sent = |stripe: Stripe, context| {
            let headers = stripe.headers_in(context);
            ["stripe-account", "stripe-context"]
                .map(|name| headers.get(name).map(|value| value.to_str().unwrap().to_owned()))
        };
        let text = |text: &str| Some(text.to_owned());
        for (account, own, context, expected) in [
            (None, None, None, [None, None]),
            (None, None, Some("acct_1"), [None, text("acct_1")]),
            (None, Some("acct_1"), Some("acct_1"), [None, None]),
            (None, Some("acct_1"), Some("acct_p/acct_2"), [None, text("acct_p/acct_2")]),
            (Some("acct_1"), None, None, [text("acct_1"), None]),
            (Some("acct_1"), None, Some("acct_p/acct_1"), [text("acct_1"), None]),
            (Some("acct_1"), None, Some("acct_2"), [None, text("acct_2")]),
        ] {
            assert_eq!(sent(stripe(account, own), context), expected, "{account:?} {own:?} {context:?}");
        }
    }
}
