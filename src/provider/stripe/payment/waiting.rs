//! What an unfinished payment waits for, by its next action and its method.
//!
//! | `next_action.type` | waits for | until |
//! |---|---|---|
//! | `redirect_to_url`, `use_stripe_sdk`, `alipay_handle_redirect`, `blik_authorize` | redirect | |
//! | `cashapp_`, `swish_`, `upi_handle_redirect_or_display_qr_code` | QR code | `qr_code.expires_at` |
//! | `pix_`, `klarna_display_qr_code` | QR code | `expires_at` |
//! | `paynow_`, `promptpay_`, `wechat_pay_display_qr_code` | QR code | |
//! | `boleto_`, `konbini_`, `multibanco_display_details` | voucher | `expires_at` |
//! | `oxxo_display_details` | voucher | `expires_after` |
//! | `display_bank_transfer_instructions` | bank transfer; partly funded once a part has arrived | |
//! | `verify_with_microdeposits` | micro-deposits | `arrival_date` |
//! | `card_await_notification` | card notice | `charge_attempt_at` |
//! | anything else | unknown | |
//!
//! Without a next action: a debit until its date where the method is one, else what the status says.

use crate::http::object::Object;
use crate::moment::midnight;
use crate::payment::facts::{PaymentStatus, ProviderPayment};
use crate::payment::method::PaymentMethod;
use crate::payment::waits_for::WaitsFor;
use crate::provider::stripe::wire::{ActionDetails, Charge, Intent, MethodDetails, NextAction};

/// Adds what a payment waits for that is under way.
pub(super) fn add(facts: &mut ProviderPayment, intent: &Intent<'_>, charge: Option<&Charge<'_>>) {
    let waits_for = match (&facts.status, &intent.next_action) {
        (PaymentStatus::ActionRequired | PaymentStatus::Processing, Some(action)) => next_action(facts, intent, action),
        _ if facts.not_ready => return,
        (PaymentStatus::ActionRequired, None) => WaitsFor::Shopper,
        (PaymentStatus::Processing, None) => method(facts, charge),
        _ => return,
    };
    facts.waits_for = Some(waits_for);
}

fn next_action(facts: &mut ProviderPayment, intent: &Intent<'_>, action: &NextAction<'_>) -> WaitsFor {
    let details = |details: &Option<Object<ActionDetails>>, end: fn(&ActionDetails) -> Option<u64>| {
        details.as_ref().and_then(|details| end(details))
    };
    let qr_code = |details: &ActionDetails| details.qr_code.as_ref().and_then(|code| code.expires_at);
    let expires_at = |details: &ActionDetails| details.expires_at;
    let (waits_for, until) = match &*action.kind {
        "redirect_to_url" | "use_stripe_sdk" | "alipay_handle_redirect" | "blik_authorize" => {
            (WaitsFor::Redirect, None)
        }
        "cashapp_handle_redirect_or_display_qr_code" => (WaitsFor::QrCode, details(&action.cashapp, qr_code)),
        "swish_handle_redirect_or_display_qr_code" => (WaitsFor::QrCode, details(&action.swish, qr_code)),
        "upi_handle_redirect_or_display_qr_code" => (WaitsFor::QrCode, details(&action.upi, qr_code)),
        "pix_display_qr_code" => (WaitsFor::QrCode, details(&action.pix, expires_at)),
        "klarna_display_qr_code" => (WaitsFor::QrCode, details(&action.klarna, expires_at)),
        "paynow_display_qr_code" | "promptpay_display_qr_code" | "wechat_pay_display_qr_code" => {
            (WaitsFor::QrCode, None)
        }
        "boleto_display_details" => (WaitsFor::Voucher, details(&action.boleto, expires_at)),
        "konbini_display_details" => (WaitsFor::Voucher, details(&action.konbini, expires_at)),
        "multibanco_display_details" => (WaitsFor::Voucher, details(&action.multibanco, expires_at)),
        "oxxo_display_details" => (WaitsFor::Voucher, details(&action.oxxo, |details| details.expires_after)),
        "display_bank_transfer_instructions" => return bank_transfer(facts, intent, action),
        "verify_with_microdeposits" => {
            (WaitsFor::Microdeposits, details(&action.microdeposits, |details| details.arrival_date))
        }
        "card_await_notification" => {
            (WaitsFor::CardNotice, details(&action.card_notice, |details| details.charge_attempt_at))
        }
        _ => (WaitsFor::Unknown, None),
    };
    facts.waits_until = until;
    waits_for
}

/// Once a part has arrived, the shopper is not asked to act as if nothing had.
fn bank_transfer(facts: &mut ProviderPayment, intent: &Intent<'_>, action: &NextAction<'_>) -> WaitsFor {
    facts.remaining = action.bank_transfer.as_ref().and_then(|details| details.amount_remaining);
    let is_partly_funded = facts.remaining.zip(intent.amount).is_some_and(|(left, amount)| 0 < left && left < amount);
    if !is_partly_funded {
        return WaitsFor::BankTransfer;
    }
    facts.status = PaymentStatus::Processing;
    facts.reason = Some(WaitsFor::PartlyFunded.as_str().into());
    WaitsFor::PartlyFunded
}

fn method(facts: &mut ProviderPayment, charge: Option<&Charge<'_>>) -> WaitsFor {
    let Some(Object(method)) = charge.and_then(|charge| charge.payment_method_details.as_ref()) else {
        return WaitsFor::Processing;
    };
    if super::method::of(method) != PaymentMethod::BankDebit {
        return WaitsFor::Processing;
    }
    facts.waits_until = debit_date(method).and_then(beginning_of);
    WaitsFor::Debit
}

fn debit_date<'m>(method: &'m MethodDetails<'_>) -> Option<&'m str> {
    let debits = [
        &method.acss_debit,
        &method.au_becs_debit,
        &method.bacs_debit,
        &method.nz_bank_account,
        &method.sepa_debit,
        &method.us_bank_account,
    ];
    debits.into_iter().flatten().find_map(|debit| debit.expected_debit_date.as_deref())
}

/// The beginning of a day, `YYYY-MM-DD` in UTC, in seconds since 1970.
fn beginning_of(date: &str) -> Option<u64> {
    let mut parts = date.splitn(3, '-').map(|part| part.parse().ok());
    midnight(parts.next()??, parts.next()??, parts.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_since_1970() {
        for (date, days) in [
            ("1970-01-01", 0),
            ("1970-03-01", 59),
            ("2000-02-29", 11_016),
            ("2000-03-01", 11_017),
            ("2026-11-27", 20_784),
            ("2100-03-01", 47_541),
        ] {
            assert_eq!(beginning_of(date), Some(days * 86_400), "{date}");
        }
        for odd in [
            "",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-00-01",
            "2026-01-32",
            "2026-02-29",
            "1969-12-31",
            "tomorrow",
            "2026-1-x",
        ] {
            assert_eq!(beginning_of(odd), None, "{odd}");
        }
    }
}
