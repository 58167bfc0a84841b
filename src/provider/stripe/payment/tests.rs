//! What each part of a payment intent is read as.

use serde_json::{Value, json};

use super::*;
use crate::payment::facts::Risk;
use crate::payment::waits_for::WaitsFor;
use crate::provider::Kind;

/// A paid intent with its charge, as Stripe writes it, less fields that are not read.
fn paid() -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": "succeeded", "livemode": true, "created": 1_700_000_000,
        "amount": 1099, "amount_capturable": 0, "amount_received": 1099, "currency": "usd", "customer": null,
        "metadata": { "order_id": "o-1", "note": "caf\u{e9} \"x\"" }, "last_payment_error": null, "shipping": null,
        "latest_charge": {
            "id": "ch_1", "object": "charge", "status": "succeeded", "paid": true, "captured": true, "amount": 1099,
            "amount_captured": 1099, "amount_refunded": 0, "refunded": false, "disputed": false,
            "outcome": { "network_status": "approved_by_network", "risk_level": "normal", "type": "authorized" },
            "payment_method_details": { "type": "card", "card": { "brand": "visa", "capture_before": 1_700_600_000 } },
        },
    })
}

/// The paid intent with other values at these JSON pointers; a null takes the field's value away, not the field.
fn with<const N: usize>(changes: [(&str, Value); N]) -> Value {
    let mut intent = paid();
    for (pointer, value) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        intent.pointer_mut(parent).unwrap()[field] = value;
    }
    intent
}

fn without(pointer: &str) -> Value {
    let mut intent = paid();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    intent.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
    intent
}

fn read(intent: &Value) -> Result<ProviderPayment, ProviderError> {
    super::read(intent.to_string().as_bytes(), None)
}

fn facts(intent: &Value) -> ProviderPayment {
    read(intent).unwrap_or_else(|error| panic!("{error}: {intent}"))
}

fn unreadable(intent: &Value) -> String {
    let error = read(intent).unwrap_err();
    assert_eq!(error.kind(), Kind::Unreadable, "{error}");
    error.to_string()
}

#[test]
fn a_paid_intent_is_read_in_full() {
    let read = facts(&paid());
    assert_eq!((&*read.id, read.status()), ("pi_1", &PaymentStatus::Paid));
    assert_eq!((read.amount, read.amount_received, read.amount_capturable), (Some(1099), Some(1099), 0));
    assert_eq!(read.currency.unwrap().as_str(), "USD");
    assert_eq!(
        (read.amount_refunded, read.captured, read.dispute, read.reversed),
        (Some(0), Some(true), Dispute::None, false)
    );
    assert_eq!((read.mode, read.risk, read.created), (Some(Mode::Live), Risk::Normal, Some(1_700_000_000)));
    assert_eq!(read.metadata("order_id"), Some("o-1"));
    assert_eq!(read.metadata("note"), Some("caf\u{e9} \"x\""));
    assert_eq!(read.capture_before, Some(1_700_600_000));
    assert_eq!((read.customer, read.account, read.destination, read.reason), (None, None, None, None));
}

#[test]
fn every_status_is_mapped_and_no_other_is_paid() {
    let of = |status: &str, error: Value, canceled: Value| {
        let intent =
            with([("/status", status.into()), ("/last_payment_error", error), ("/cancellation_reason", canceled)]);
        let read = facts(&intent);
        (read.status.as_str().to_owned(), read.reason.map(String::from).unwrap_or_default())
    };
    let null = || Value::Null;
    let is = |status: &str, reason: &str| (status.to_owned(), reason.to_owned());
    assert_eq!(of("processing", null(), null()), is("processing", ""));
    assert_eq!(of("requires_capture", null(), null()), is("authorized", ""));
    assert_eq!(of("requires_action", null(), null()), is("action_required", "requires_action"));
    assert_eq!(of("requires_confirmation", null(), null()), is("action_required", "requires_confirmation"));
    assert_eq!(of("requires_payment_method", null(), null()), is("action_required", "requires_payment_method"));
    let declined = json!({ "type": "card_error", "code": "card_declined", "decline_code": "generic_decline" });
    assert_eq!(of("requires_payment_method", declined, null()), is("declined", "generic_decline"));
    let declined = json!({ "type": "card_error", "code": "expired_card" });
    assert_eq!(of("requires_payment_method", declined, null()), is("declined", "expired_card"));
    assert_eq!(of("requires_payment_method", json!({}), null()), is("declined", ""));
    assert_eq!(of("canceled", null(), "abandoned".into()), is("canceled", "abandoned"));
    for unknown in ["succeeded_maybe", "SUCCEEDED", "", "paid"] {
        assert_eq!(facts(&with([("/status", unknown.into())])).status, PaymentStatus::Unknown(unknown.into()));
    }
}

#[test]
fn amounts_are_whole_numbers_or_the_answer_is_unreadable() {
    for amount in [json!(-1), json!(10.5), json!(1099.0), json!("1099"), json!(true), json!([]), json!(1e30)] {
        for field in ["/amount", "/amount_received", "/amount_capturable", "/latest_charge/amount_refunded"] {
            unreadable(&with([(field, amount.clone())]));
        }
    }
    assert!(super::read(paid().to_string().replace("1099", "18446744073709551616").as_bytes(), None).is_err());
    unreadable(&with([("/currency", "$".into())]));
}

#[test]
fn what_is_no_payment_intent_is_unreadable() {
    for field in ["/id", "/object", "/status"] {
        unreadable(&without(field));
        unreadable(&with([(field, json!(7))]));
    }
    assert!(unreadable(&with([("/object", "charge".into())])).contains("`charge`"));
    for body in [&b""[..], b"{", b"[]", b"null", b"<html>", b"\xff", b"{} {}"] {
        assert_eq!(super::read(body, None).unwrap_err().kind(), Kind::Unreadable);
    }
    let twice = paid().to_string().replacen('{', r#"{"status":"succeeded","#, 1);
    assert_eq!(super::read(twice.as_bytes(), None).unwrap_err().kind(), Kind::Unreadable);
}

#[test]
fn another_id_is_handed_on_for_the_engine_to_refuse() {
    assert_eq!(&*facts(&with([("/id", "pi_2".into())])).id, "pi_2");
}

#[test]
fn a_missing_fact_stays_unknown() {
    assert_eq!(facts(&without("/livemode")).mode, None);
    assert_eq!(facts(&without("/amount")).amount, None);
    assert_eq!(facts(&without("/currency")).currency, None);
    assert_eq!(facts(&without("/created")).created, None);
    assert_eq!(facts(&without("/metadata")).metadata.len(), 0);
    assert_eq!(facts(&with([("/livemode", json!(false))])).mode, Some(Mode::Test));
}

#[test]
fn the_captured_amount_stands_in_for_a_missing_received_one() {
    let intent = with([("/amount_received", Value::Null), ("/latest_charge/amount_captured", json!(700))]);
    assert_eq!(facts(&intent).amount_received, Some(700));
    let intent = with([("/amount_received", Value::Null), ("/latest_charge/amount_captured", Value::Null)]);
    assert_eq!(facts(&intent).amount_received, None);
}

#[test]
fn paid_or_authorized_without_its_charge_is_unreadable() {
    for status in ["succeeded", "requires_capture"] {
        let said = unreadable(&with([("/status", status.into()), ("/latest_charge", "ch_1".into())]));
        assert!(said.contains("not expanded"), "{said}");
    }
    // A server that does not know the field will never fill it in.
    assert!(unreadable(&without("/latest_charge")).contains("not expanded"));
    unreadable(&with([("/latest_charge", json!(7))]));
    assert!(unreadable(&without("/latest_charge/amount_refunded")).contains("refunded"));
    assert!(unreadable(&with([("/latest_charge/status", "failed".into())])).contains("contradict"));
    assert!(unreadable(&with([("/latest_charge/paid", json!(false))])).contains("contradict"));
    for status in ["processing", "canceled", "requires_payment_method"] {
        facts(&with([("/status", status.into()), ("/latest_charge", "ch_1".into())]));
    }
}

#[test]
fn a_charge_that_is_null_has_still_to_be_written_down() {
    for status in ["succeeded", "requires_capture"] {
        let read = facts(&with([("/status", status.into()), ("/latest_charge", Value::Null)]));
        assert_eq!((read.status(), read.not_ready), (&PaymentStatus::Processing, true), "{status}");
        assert_eq!(read.reason.as_deref(), Some("latest_charge_missing"), "{status}");
        assert_eq!(read.waits_for, Some(WaitsFor::Records), "{status}");
    }
    for status in ["processing", "canceled", "requires_payment_method", "requires_action"] {
        assert!(!facts(&with([("/status", status.into()), ("/latest_charge", Value::Null)])).not_ready, "{status}");
    }
}

#[test]
fn the_list_that_came_before_the_latest_charge_counts_for_nothing() {
    let mut intent = without("/latest_charge");
    intent["charges"] = json!({ "data": [{ "id": "ch_2", "status": "succeeded", "amount_refunded": 5 }] });
    assert!(unreadable(&intent).contains("not expanded"));
}

#[test]
fn tip_and_surcharge_are_nothing_unless_they_are_stated_and_less_than_the_amount() {
    let added = |details: Value| {
        let read = facts(&with([("/amount_details", details)]));
        (read.tip, read.surcharge)
    };
    for nothing in [Value::Null, json!({}), json!({ "tip": null }), json!({ "tip": {}, "surcharge": {} })] {
        assert_eq!(added(nothing), (Some(0), Some(0)));
    }
    assert_eq!(facts(&paid()).tip, Some(0));
    assert_eq!(added(json!({ "tip": { "amount": 99 }, "surcharge": { "amount": 1 } })), (Some(99), Some(1)));
    assert_eq!(added(json!({ "tip": { "amount": 1098 } })), (Some(1098), Some(0)));
    for (tip, surcharge) in [(1099, 0), (1100, 0), (0, 1099), (600, 499), (u64::MAX, u64::MAX)] {
        let details = json!({ "tip": { "amount": tip }, "surcharge": { "amount": surcharge } });
        assert!(unreadable(&with([("/amount_details", details)])).contains("tip"), "{tip}, {surcharge}");
    }
    unreadable(&with([("/amount_details", json!({ "tip": { "amount": -1 } }))]));
    // A payment of nothing has no tip, and is readable.
    facts(&with([
        ("/amount", json!(0)),
        ("/amount_received", json!(0)),
        ("/latest_charge/amount", json!(0)),
        ("/latest_charge/amount_captured", json!(0)),
    ]));
}

#[test]
fn more_may_be_captured_than_was_asked_whichever_amount_follows() {
    let captured = |asked: u64, charged: u64, most: u64| {
        let most = json!({ "maximum_amount_capturable": most, "status": "available" });
        let charge = "/latest_charge/payment_method_details/card/overcapture";
        let received = [("/amount_received", json!(1200)), ("/latest_charge/amount_captured", json!(1200))];
        let [received, captured] = received;
        with([("/amount", json!(asked)), ("/latest_charge/amount", json!(charged)), (charge, most), received, captured])
    };
    for (asked, charged) in [(1099, 1099), (1200, 1200), (1099, 1200), (1200, 1099)] {
        let read = facts(&captured(asked, charged, 1300));
        assert_eq!((read.amount, read.amount_received), (Some(asked), Some(1200)), "{asked}, {charged}");
    }
    // No more could be captured than the amount, so the two contradict each other.
    assert!(unreadable(&captured(1200, 1099, 1199)).contains("`amount`"));
    assert!(unreadable(&captured(1201, 1099, 1300)).contains("`amount`"));
}

#[test]
fn refunds_disputes_and_reversals_are_read() {
    assert_eq!(facts(&with([("/latest_charge/amount_refunded", json!(5))])).amount_refunded, Some(5));
    let refunded = with([("/latest_charge/refunded", json!(true)), ("/latest_charge/amount_refunded", json!(5))]);
    assert_eq!(facts(&refunded).amount_refunded, Some(1099));
    let part = [("/amount_received", json!(500)), ("/latest_charge/amount_captured", json!(500))];
    let [received, captured] = part;
    let back = |refunded: bool, stated: u64| {
        let stated = ("/latest_charge/amount_refunded", json!(stated));
        let refunded = ("/latest_charge/refunded", json!(refunded));
        facts(&with([received.clone(), captured.clone(), refunded, stated])).amount_refunded
    };
    // The rest that was never captured, and then all that was.
    assert_eq!((back(false, 0), back(false, 599), back(false, 699)), (Some(0), Some(0), Some(100)));
    assert_eq!((back(true, 500), back(true, 1099), back(true, 0)), (Some(500), Some(500), Some(500)));
    // How it stands is asked for separately.
    assert_eq!(facts(&with([("/latest_charge/disputed", json!(true))])).dispute, Dispute::Unknown);
    let reversed = with([("/latest_charge/outcome/network_status", "reversed_after_approval".into())]);
    assert!(facts(&reversed).reversed);
}

#[test]
fn risk_is_the_worse_of_level_and_outcome() {
    let risk = |level: Value, kind: &str| {
        facts(&with([("/latest_charge/outcome/risk_level", level), ("/latest_charge/outcome/type", kind.into())])).risk
    };
    assert_eq!(risk("normal".into(), "authorized"), Risk::Normal);
    assert_eq!(risk("elevated".into(), "authorized"), Risk::Elevated);
    assert_eq!(risk("highest".into(), "authorized"), Risk::Highest);
    assert_eq!(risk("not_assessed".into(), "authorized"), Risk::NotAssessed);
    assert_eq!(risk("unknown".into(), "authorized"), Risk::NotAssessed);
    assert_eq!(risk(Value::Null, "authorized"), Risk::NotAssessed);
    assert_eq!(risk("astronomic".into(), "authorized"), Risk::Review);
    assert_eq!(risk("normal".into(), "manual_review"), Risk::Review);
    assert_eq!(risk("highest".into(), "manual_review"), Risk::Highest);
    assert_eq!(risk("normal".into(), "unheard_of"), Risk::Review);
    for kind in ["blocked", "issuer_declined", "invalid"] {
        assert_eq!(risk("normal".into(), kind), Risk::Blocked);
    }
    assert_eq!(facts(&with([("/latest_charge/outcome", Value::Null)])).risk, Risk::NotAssessed);
}

#[test]
fn an_earlier_attempts_charge_says_nothing_about_the_present_one() {
    let blocked = ("/latest_charge/outcome/type", json!("issuer_declined"));
    let failed = ("/latest_charge/status", json!("failed"));
    for status in ["requires_action", "requires_confirmation", "processing"] {
        let intent = with([("/status", status.into()), blocked.clone(), failed.clone()]);
        assert_eq!(facts(&intent).risk, Risk::NotAssessed, "{status}");
    }
}

#[test]
fn parties_are_read_expanded_or_not() {
    let read = facts(&with([("/customer", "cus_1".into()), ("/transfer_data", json!({ "destination": "acct_2" }))]));
    let parties = |read: &ProviderPayment| [&read.customer, &read.destination].map(|id| id.clone().unwrap());
    assert_eq!(parties(&read).map(String::from), ["cus_1", "acct_2"]);
    let expanded = facts(&with([
        ("/customer", json!({ "id": "cus_1", "deleted": true })),
        ("/transfer_data", json!({ "destination": { "id": "acct_2" } })),
    ]));
    assert_eq!(parties(&expanded), parties(&read));
    assert_eq!(facts(&with([("/customer_account", "acct_3".into())])).customer.as_deref(), Some("acct_3"));
    unreadable(&with([("/customer", json!(7))]));
}

#[test]
fn the_account_is_the_one_that_was_asked_and_not_whom_it_is_on_behalf_of() {
    let intent = with([("/on_behalf_of", "acct_1".into())]);
    assert_eq!(facts(&intent).account, None);
    let asked = super::read(intent.to_string().as_bytes(), Some("acct_9")).unwrap();
    assert_eq!(asked.account.as_deref(), Some("acct_9"));
}

#[test]
fn a_charge_of_another_payment_is_unreadable() {
    facts(&with([("/latest_charge/payment_intent", "pi_1".into())]));
    let said = unreadable(&with([("/latest_charge/payment_intent", "pi_2".into())]));
    assert!(said.contains("another payment"), "{said}");
}

#[test]
fn a_charge_that_says_otherwise_than_its_payment_is_unreadable() {
    let charge = |field: &str, value: Value| with([(&*format!("/latest_charge/{field}"), value)]);
    for (field, same, other) in [
        ("object", json!("charge"), json!("refund")),
        ("livemode", json!(true), json!(false)),
        ("currency", json!("USD"), json!("eur")),
        ("amount", json!(1099), json!(1098)),
        ("amount_captured", json!(1099), json!(1100)),
    ] {
        facts(&charge(field, same));
        facts(&charge(field, Value::Null));
        for status in ["succeeded", "requires_capture"] {
            let mut intent = charge(field, other.clone());
            intent["status"] = status.into();
            let said = unreadable(&intent);
            assert!(said.contains("contradict") && said.contains(&format!("`{field}`")), "{said}");
        }
        // What the payment does not state cannot be contradicted, and is unknown.
        if let Some(of_intent) = ["livemode", "currency", "amount"].iter().find(|known| **known == field) {
            let mut intent = charge(field, other);
            intent.as_object_mut().unwrap().remove(*of_intent).unwrap();
            facts(&intent);
        }
    }
}

/// Where the objects of a body stand.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => return,
    };
    if value.is_object() {
        found.push(at.to_owned());
    }
    for (name, child) in children {
        objects(child, &format!("{at}/{name}"), found);
    }
}

#[test]
fn a_list_is_never_taken_for_an_object() {
    let details = |name: &str| (name.to_owned(), json!({ "expires_at": 1, "qr_code": { "expires_at": 1 } }));
    let actions = [
        "cashapp_handle_redirect_or_display_qr_code",
        "swish_handle_redirect_or_display_qr_code",
        "upi_handle_redirect_or_display_qr_code",
        "pix_display_qr_code",
        "klarna_display_qr_code",
        "boleto_display_details",
        "konbini_display_details",
        "multibanco_display_details",
        "oxxo_display_details",
        "display_bank_transfer_instructions",
        "verify_with_microdeposits",
        "card_await_notification",
    ];
    let mut next_action: Value = actions.map(details).into_iter().collect::<serde_json::Map<_, _>>().into();
    next_action["type"] = "redirect_to_url".into();
    let debit = || json!({ "expected_debit_date": "2026-11-30" });
    let method = "/latest_charge/payment_method_details";
    let debits = ["acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit", "us_bank_account"];
    let mut whole = with([
        ("/next_action", next_action),
        ("/review", json!({ "id": "prv_1", "open": false, "closed_reason": "approved" })),
        ("/latest_charge/fraud_details", json!({ "user_report": "safe" })),
        ("/customer", json!({ "id": "cus_1" })),
        ("/customer_account", json!({ "id": "acct_3" })),
        ("/transfer_data", json!({ "destination": { "id": "acct_2" } })),
        ("/last_payment_error", json!({ "decline_code": "a", "code": "b", "type": "c" })),
        ("/latest_charge/payment_intent", json!({ "id": "pi_1" })),
        ("/latest_charge/payment_method_details/card_present", json!({ "capture_before": 1, "overcapture": {} })),
        ("/amount_details", json!({ "tip": { "amount": 1 }, "surcharge": { "amount": 1 } })),
    ]);
    for name in debits {
        whole.pointer_mut(method).unwrap()[name] = debit();
    }
    facts(&whole);
    let mut places = Vec::new();
    objects(&whole, "", &mut places);
    assert_eq!(places.len(), 17 + 3 + 2 * actions.len() + debits.len(), "{places:?}");
    for place in places {
        let object = whole.pointer(&place).unwrap();
        let values: Vec<Value> = object.as_object().unwrap().values().cloned().collect();
        for list in [json!([]), json!([object]), values.into()] {
            let mut odd = whole.clone();
            *odd.pointer_mut(&place).unwrap() = list;
            unreadable(&odd);
        }
    }
}

#[test]
fn metadata_that_leaves_room_for_guesses_is_unreadable() {
    let twice = paid().to_string().replace(r#""order_id":"o-1""#, r#""order_id":"o-1","order_id":"o-2""#);
    assert_eq!(super::read(twice.as_bytes(), None).unwrap_err().kind(), Kind::Unreadable);
    unreadable(&with([("/metadata", json!({ "order_id": 6735 }))]));
    unreadable(&with([(
        "/metadata",
        (0..51).map(|at| (at.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into(),
    )]));
}
