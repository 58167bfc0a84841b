//! What a payment under way waits for at Stripe, by its next action and its method.
#![cfg(feature = "stripe")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

use payproof::testing::sandbox::SandboxPayment;
use payproof::{Verdict, WaitsFor};
use serde_json::{Value, json};

use crate::adapter::{quick, sandbox};
use crate::support::intent;

/// In the year 2096.
const END: u64 = 3_976_214_400;

fn ours(payment: SandboxPayment) -> SandboxPayment {
    payment.tenant("store_42").order("6735")
}

fn acting(kind: &str, details: Value) -> SandboxPayment {
    ours(SandboxPayment::requires_action("pi_1", 1999, "usd").next_action(kind, details))
}

/// The verdict's name, what is waited for, until when, and what has still to arrive.
async fn waiting(payment: SandboxPayment) -> (&'static str, WaitsFor, Option<u64>, Option<String>) {
    let validation = quick(&sandbox(payment).await).build().unwrap().validate(intent("pi_1")).await.unwrap();
    let waiting = match validation.verdict() {
        Verdict::Pending(pending) => pending.waiting(),
        Verdict::ActionRequired(action) => action.waiting(),
        other => panic!("{other:?}"),
    };
    let remaining = waiting.remaining().map(|money| money.to_string());
    (validation.verdict().as_str(), waiting.waits_for(), waiting.until(), remaining)
}

#[tokio::test]
async fn each_next_action_says_what_is_waited_for_and_until_when() {
    let expires_at = || json!({ "expires_at": END, "hosted_voucher_url": "https://payments.stripe.com/voucher" });
    let qr_code = || json!({ "hosted_instructions_url": "https://x", "qr_code": { "expires_at": END } });
    for (kind, details, waits_for, until) in [
        ("redirect_to_url", json!({ "url": "https://x" }), WaitsFor::Redirect, None),
        ("use_stripe_sdk", json!({ "type": "three_d_secure_redirect", "expires_at": "odd" }), WaitsFor::Redirect, None),
        ("alipay_handle_redirect", json!({}), WaitsFor::Redirect, None),
        ("blik_authorize", json!({}), WaitsFor::Redirect, None),
        ("cashapp_handle_redirect_or_display_qr_code", qr_code(), WaitsFor::QrCode, Some(END)),
        ("swish_handle_redirect_or_display_qr_code", qr_code(), WaitsFor::QrCode, Some(END)),
        ("upi_handle_redirect_or_display_qr_code", qr_code(), WaitsFor::QrCode, Some(END)),
        ("pix_display_qr_code", expires_at(), WaitsFor::QrCode, Some(END)),
        ("klarna_display_qr_code", expires_at(), WaitsFor::QrCode, Some(END)),
        ("paynow_display_qr_code", json!({}), WaitsFor::QrCode, None),
        ("promptpay_display_qr_code", json!({}), WaitsFor::QrCode, None),
        ("wechat_pay_display_qr_code", json!({}), WaitsFor::QrCode, None),
        ("boleto_display_details", expires_at(), WaitsFor::Voucher, Some(END)),
        ("konbini_display_details", expires_at(), WaitsFor::Voucher, Some(END)),
        ("multibanco_display_details", expires_at(), WaitsFor::Voucher, Some(END)),
        ("oxxo_display_details", json!({ "expires_after": END }), WaitsFor::Voucher, Some(END)),
        ("oxxo_display_details", json!({ "expires_after": null }), WaitsFor::Voucher, None),
        ("verify_with_microdeposits", json!({ "arrival_date": END }), WaitsFor::Microdeposits, Some(END)),
        ("card_await_notification", json!({ "charge_attempt_at": END }), WaitsFor::CardNotice, Some(END)),
        ("divine_the_future", json!({ "expires_at": END }), WaitsFor::Unknown, None),
    ] {
        let told = waiting(acting(kind, details)).await;
        assert_eq!(told, ("action_required", waits_for, until, None), "{kind}");
    }
}

#[tokio::test]
async fn a_transfer_of_which_a_part_has_arrived_is_pending_and_says_what_is_missing() {
    let transfer = |remaining: Value| {
        acting("display_bank_transfer_instructions", json!({ "amount_remaining": remaining, "currency": "usd" }))
    };
    let all = ("action_required", WaitsFor::BankTransfer, None, Some("19.99 USD".to_owned()));
    assert_eq!(waiting(transfer(json!(1999))).await, all);
    assert_eq!(waiting(transfer(Value::Null)).await, ("action_required", WaitsFor::BankTransfer, None, None));
    let part = ("pending", WaitsFor::PartlyFunded, None, Some("5.00 USD".to_owned()));
    assert_eq!(waiting(transfer(json!(500))).await, part);
}

#[tokio::test]
async fn without_a_next_action_the_method_or_the_status_says_it() {
    let processing = || ours(SandboxPayment::processing("pi_1", 1999, "usd"));
    let pending = |waits_for, until| ("pending", waits_for, until, None);
    for debit in ["acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit", "us_bank_account"] {
        let dated = processing().method(debit, json!({ "expected_debit_date": "2026-11-30" }));
        assert_eq!(waiting(dated).await, pending(WaitsFor::Debit, Some(1_795_996_800)), "{debit}");
        let undated = processing().method(debit, json!({}));
        assert_eq!(waiting(undated).await, pending(WaitsFor::Debit, None), "{debit}");
        let odd = processing().method(debit, json!({ "expected_debit_date": "soon" }));
        assert_eq!(waiting(odd).await, pending(WaitsFor::Debit, None), "{debit}");
    }
    assert_eq!(waiting(processing()).await, pending(WaitsFor::Processing, None));
    assert_eq!(waiting(processing().method("crypto", json!({}))).await, pending(WaitsFor::Processing, None));
    let held = ours(SandboxPayment::requires_capture("pi_1", 1999, "usd").capture_before(END));
    assert_eq!(waiting(held).await, pending(WaitsFor::Capture, Some(END)));
    for open in [
        SandboxPayment::requires_confirmation("pi_1", 1999, "usd"),
        SandboxPayment::requires_payment_method("pi_1", 1999, "usd"),
    ] {
        assert_eq!(waiting(ours(open)).await, ("action_required", WaitsFor::Shopper, None, None));
    }
}
