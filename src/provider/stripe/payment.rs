//! Reads a payment intent as facts.
//!
//! | Stripe's status | facts |
//! |---|---|
//! | `succeeded` | paid |
//! | `processing` | processing |
//! | `requires_capture` | authorized |
//! | `requires_action`, `requires_confirmation` | action required, with the status as the reason |
//! | `requires_payment_method` | declined if `last_payment_error` is set, else action required |
//! | `canceled` | canceled, with `cancellation_reason` |
//! | anything else | unknown |
//!
//! Refunds, disputes, reports of fraud and risk stand on the charge. A paid or authorized payment whose charge is null is
//! therefore not ready: it was paid a moment ago, and the charge follows. One whose charge was not expanded is an unreadable
//! answer, and not a payment without refunds. So is one whose charge says otherwise than the payment.

use serde::Deserialize;

use crate::http::object::Object;
use crate::intent::currency::Currency;
use crate::payment::dispute::Dispute;
use crate::payment::facts::{Mode, PaymentStatus, ProviderPayment};
use crate::provider::ProviderError;

use super::wire::{Charge, Expandable, Intent, LatestCharge, Metadata, Named};

mod amounts;
mod danger;
mod method;
mod waiting;

pub(super) use danger::REVIEWS;

/// Where payment intents stand below `/v1/`.
pub(super) const LIST: &str = "payment_intents";

/// Reads the body of a success. `account` is the account that was asked, if it is known.
pub(super) fn read(body: &[u8], account: Option<&str>) -> Result<ProviderPayment, ProviderError> {
    let Object(intent) = parsed(body, "a payment intent")?;
    of_intent(&intent, account)
}

/// Reads an object, of which an error says what it should be.
pub(super) fn parsed<'b, T: Deserialize<'b>>(body: &'b [u8], what: &str) -> Result<T, ProviderError> {
    // Checking the encoding of the whole body at once takes a sixth off the parser's time.
    let body = std::str::from_utf8(body).map_err(|_| ProviderError::unreadable("the answer is not text"))?;
    // The parser's own words quote values, which may be a person's.
    serde_json::from_str(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ProviderError::unreadable(format!("the answer is not {what}, at line {line} column {column}"))
    })
}

/// The facts that a payment intent states.
pub(super) fn of_intent(intent: &Intent<'_>, account: Option<&str>) -> Result<ProviderPayment, ProviderError> {
    if &*intent.object != "payment_intent" {
        return Err(ProviderError::unreadable(format!("the answer is a `{}`, not a payment intent", &*intent.object)));
    }
    let (status, reason) = status_of(intent);
    let charge = charge_of(intent, &status)?;
    let mut facts = ProviderPayment::new(&*intent.id, status);
    if let Some(reason) = reason {
        facts = facts.with_reason(reason);
    }
    if facts.status.rests_on_money() && charge.is_none() {
        facts = facts.not_ready("latest_charge_missing");
    }
    waiting::add(&mut facts, intent, charge);
    facts.mode = intent.livemode.map(|live| if live { Mode::Live } else { Mode::Test });
    facts.created = intent.created;
    facts.currency = intent.currency.as_deref().map(currency).transpose()?;
    amounts::add(&mut facts, intent, charge)?;
    let customer = intent.customer.as_ref().or(intent.customer_account.as_ref());
    facts.customer = customer.map(boxed_id);
    let destination = intent.transfer_data.as_ref().and_then(|transfer| transfer.destination.as_ref());
    facts.destination = destination.map(boxed_id);
    // Not `on_behalf_of`: that names whose statement it stands on, while the money may stay with the platform.
    facts.account = account.map(Into::into);
    facts.metadata = intent.metadata.as_ref().map(Metadata::boxed).unwrap_or_default();
    let reference = intent.payment_details.as_ref().and_then(|details| details.order_reference.as_deref());
    facts.order_reference = reference.filter(|reference| !reference.is_empty()).map(Into::into);
    if let Some(charge) = charge {
        add_charge(&mut facts, charge);
        danger::add(&mut facts, charge, intent.review.as_ref());
    }
    Ok(facts)
}

/// A currency by its code.
pub(super) fn currency(code: &str) -> Result<Currency, ProviderError> {
    Currency::reported(code).ok_or_else(|| ProviderError::unreadable("the answer's currency is not a currency code"))
}

fn boxed_id(named: &Expandable<'_, Named<'_>>) -> Box<str> {
    named.id().into()
}

fn status_of<'i>(intent: &'i Intent<'_>) -> (PaymentStatus, Option<&'i str>) {
    match &*intent.status {
        "succeeded" => (PaymentStatus::Paid, None),
        "processing" => (PaymentStatus::Processing, None),
        "requires_capture" => (PaymentStatus::Authorized, None),
        waiting @ ("requires_action" | "requires_confirmation") => (PaymentStatus::ActionRequired, Some(waiting)),
        waiting @ "requires_payment_method" => match &intent.last_payment_error {
            Some(error) => {
                let reason = error.decline_code.as_ref().or(error.code.as_ref()).or(error.kind.as_ref());
                (PaymentStatus::Declined, reason.map(|reason| &**reason))
            }
            None => (PaymentStatus::ActionRequired, Some(waiting)),
        },
        "canceled" => (PaymentStatus::Canceled, intent.cancellation_reason.as_deref()),
        raw => (PaymentStatus::Unknown(raw.into()), None),
    }
}

/// The charge that this status rests on, where it came expanded.
fn charge_of<'i, 'a>(intent: &'i Intent<'a>, status: &PaymentStatus) -> Result<Option<&'i Charge<'a>>, ProviderError> {
    let charge = match &intent.latest_charge {
        LatestCharge::Expanded(charge) => Some(&**charge),
        LatestCharge::Id | LatestCharge::Null | LatestCharge::LeftOut => None,
    };
    match (status, charge) {
        (PaymentStatus::Paid | PaymentStatus::Authorized, Some(charge)) => {
            // Stripe always states these. One that does not fit its payment is a server's mix-up.
            if let Some(field) = contradiction(intent, charge) {
                let message = format!("the payment and its charge contradict each other, by the charge's `{field}`");
                return Err(ProviderError::unreadable(message));
            }
            if charge.payment_intent.as_ref().is_some_and(|of| of.id() != &*intent.id) {
                return Err(ProviderError::unreadable("the charge is of another payment"));
            }
            if charge.amount_refunded.is_none() {
                return Err(ProviderError::unreadable("the charge does not say what was refunded"));
            }
            Ok(Some(charge))
        }
        (PaymentStatus::Paid | PaymentStatus::Authorized, None)
            if matches!(intent.latest_charge, LatestCharge::Null) =>
        {
            Ok(None)
        }
        (PaymentStatus::Paid | PaymentStatus::Authorized, None) => Err(ProviderError::unreadable(
            "the charge was not expanded, so refunds and disputes are unknown; \
             a restricted key needs read access to charges, too",
        )
        .permanent_by_code("charge_not_expanded")),
        // What stands here is an earlier attempt, of which the present one knows nothing yet.
        (PaymentStatus::ActionRequired, _) => Ok(None),
        (PaymentStatus::Processing | PaymentStatus::Unknown(_), charge) => {
            Ok(charge.filter(|charge| charge.status.as_deref() != Some("failed")))
        }
        (_, charge) => Ok(charge),
    }
}

/// The field of a charge which cannot be true of a charge of this payment. What either leaves out contradicts nothing.
fn contradiction(intent: &Intent<'_>, charge: &Charge<'_>) -> Option<&'static str> {
    fn differ<T: Copy + PartialEq>(one: Option<T>, other: Option<T>) -> bool {
        one.zip(other).is_some_and(|(one, other)| one != other)
    }
    let other_currency = |code: &str| intent.currency.as_deref().is_some_and(|ours| !ours.eq_ignore_ascii_case(code));
    let wrong = [
        ("object", charge.object.as_deref().is_some_and(|object| object != "charge")),
        ("status", charge.status.as_deref().is_some_and(|status| status != "succeeded")),
        ("paid", charge.paid == Some(false)),
        ("livemode", differ(intent.livemode, charge.livemode)),
        ("currency", charge.currency.as_deref().is_some_and(other_currency)),
        ("amount", !amounts::agree(intent, charge)),
        // A part that was captured is what was received; both are counted before refunds.
        ("amount_captured", differ(intent.amount_received, charge.amount_captured)),
    ];
    wrong.into_iter().find_map(|(field, wrong)| wrong.then_some(field))
}

fn add_charge(facts: &mut ProviderPayment, charge: &Charge<'_>) {
    // Servers that know no disputes leave the field out; Stripe always has it.
    facts.dispute = if charge.disputed == Some(true) { Dispute::Unknown } else { Dispute::None };
    if let Some(details) = &charge.payment_method_details {
        let card = details.card.as_ref().or(details.card_present.as_ref());
        facts.capture_before = card.and_then(|card| card.capture_before);
        facts.method = method::of(details);
    }
    facts.paid_at = charge.created;
}

#[cfg(test)]
mod tests;
