//! What was asked, captured and given back, of what a payment intent and its charge state.
//!
//! Before 2025-03-31.basil Stripe recorded the rest of a partial capture as a refund. Whether the version of who captures or
//! of who reads decides that is undocumented, so both records are told apart here, whatever the pin.

use crate::http::object::Object;
use crate::payment::facts::ProviderPayment;
use crate::provider::ProviderError;

use super::super::wire::{AmountPart, Charge, Intent, Refunds};

/// Fills in every amount. Without a charge nothing is known of refunds.
pub(super) fn add(
    facts: &mut ProviderPayment,
    intent: &Intent<'_>,
    charge: Option<&Charge<'_>>,
) -> Result<(), ProviderError> {
    facts.amount = intent.amount;
    facts.amount_received = intent.amount_received.or(charge.and_then(|charge| charge.amount_captured));
    facts.amount_capturable = intent.amount_capturable.unwrap_or(0);
    let details = intent.amount_details.as_ref();
    let minor = |part: Option<&AmountPart>| part.and_then(|part| part.amount).unwrap_or(0);
    let tip = minor(details.and_then(|details| details.tip.as_deref()));
    let surcharge = minor(details.and_then(|details| details.surcharge.as_deref()));
    let added = tip.saturating_add(surcharge);
    if added > 0 && intent.amount.is_some_and(|amount| added >= amount) {
        return Err(ProviderError::unreadable(
            "the tip and the surcharge are not less than the amount that they are part of",
        ));
    }
    (facts.tip, facts.surcharge) = (Some(tip), Some(surcharge));
    if let Some(charge) = charge {
        facts.captured = charge.captured;
        let listed = charge.refunds.as_ref().map(|refunds| RefundSums::of(refunds));
        let refunded = listed.as_ref().map_or(0, |sums| sums.succeeded.saturating_add(sums.pending));
        facts.refunds_pending = listed.as_ref().map(|sums| sums.pending);
        facts.refunds_failed = listed.as_ref().map(|sums| sums.failed);
        facts.amount_refunded = charge.amount_refunded.map(|stated| {
            let asked = charge.amount.or(intent.amount);
            let captured = charge.amount_captured.or(intent.amount_received);
            let back = given_back(asked, captured, stated).max(given_back(asked, captured, refunded));
            // Stated only when everything went back, whatever the amounts beside it say.
            let everything = captured.or(asked).unwrap_or(1);
            if charge.refunded == Some(true) { back.max(everything) } else { back }
        });
    }
    Ok(())
}

/// What the refunds of a charge come to, by how they stand. The shopper has, or will have, what succeeded and what is pending.
struct RefundSums {
    succeeded: u64,
    /// And what waits for the shopper, or for what a new word may mean.
    pending: u64,
    /// What is back at the merchant.
    failed: u64,
}

impl RefundSums {
    fn of(refunds: &Refunds<'_>) -> Self {
        let mut sums = Self { succeeded: 0, pending: 0, failed: 0 };
        for Object(refund) in &refunds.data {
            let sum = match refund.status.as_deref() {
                Some("succeeded") => &mut sums.succeeded,
                Some("failed" | "canceled") => &mut sums.failed,
                _ => &mut sums.pending,
            };
            *sum = sum.saturating_add(refund.amount);
        }
        sums
    }
}

/// What of the captured amount was given back: what is stated, less the rest that was never captured where it is counted in.
///
/// More than was captured, and no less than the rest, can only be so with the rest. Else the larger of the two readings counts:
/// as it is stated.
fn given_back(asked: Option<u64>, captured: Option<u64>, stated: u64) -> u64 {
    match captured {
        Some(captured) if stated > captured => {
            let rest = asked.map_or(0, |asked| asked.saturating_sub(captured));
            stated.checked_sub(rest).unwrap_or(stated)
        }
        _ => stated,
    }
}

/// Whether the amounts of a payment and its charge can both be true. Of an overcapture it is not known whether the amount of
/// either follows what was captured.
pub(super) fn agree(intent: &Intent<'_>, charge: &Charge<'_>) -> bool {
    let (Some(asked), Some(charged)) = (intent.amount, charge.amount) else { return true };
    let most = charge.payment_method_details.as_ref().and_then(|details| {
        details.card.as_ref().or(details.card_present.as_ref())?.overcapture.as_ref()?.maximum_amount_capturable
    });
    let captured = intent.amount_received.or(charge.amount_captured);
    asked == charged || captured == Some(asked.max(charged)) && captured <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_partial_capture_is_not_given_back() {
        // What was held, captured, and stated as refunded, and what of it was given back.
        for (asked, captured, stated, back) in [
            (2000, 2000, 0, 0),
            (2000, 2000, 1, 1),
            (2000, 2000, 2000, 2000),
            // Five captured: recorded as of basil, and before.
            (2000, 500, 0, 0),
            (2000, 500, 1500, 0),
            // One, and all five, given back, as of basil and before.
            (2000, 500, 100, 100),
            (2000, 500, 1600, 100),
            (2000, 500, 500, 500),
            (2000, 500, 2000, 500),
            // Less than the rest cannot hold it.
            (2000, 500, 501, 501),
            (2000, 500, 1499, 1499),
            // Fifteen captured: what is stated may be the rest or a refund, and the larger reading counts.
            (2000, 1500, 400, 400),
            (2000, 1500, 500, 500),
            (2000, 1500, 1500, 1500),
            (2000, 1500, 1600, 1100),
            (2000, 1500, 2000, 1500),
            // A hold that was canceled, as of basil and before.
            (2000, 0, 0, 0),
            (2000, 0, 2000, 0),
            // More was captured than asked.
            (2000, 2200, 2000, 2000),
            (2000, 2200, 2200, 2200),
            (2000, 2200, 2300, 2300),
            (u64::MAX, 0, u64::MAX, 0),
            (0, 0, u64::MAX, u64::MAX),
        ] {
            assert_eq!(given_back(Some(asked), Some(captured), stated), back, "{asked}, {captured}, {stated}");
        }
        assert_eq!(given_back(None, Some(5), 6), 6);
        assert_eq!(given_back(Some(20), None, 15), 15);
    }
}
