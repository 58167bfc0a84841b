//! Amounts on the way from Stripe's JSON to the verdict: partial captures of either record, refunds, tips and surcharges.
#![cfg(feature = "stripe")]
#![expect(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use payproof::{Amounts, Currency, Finding, Money, PaymentIntent, Policy, Stripe, Validation, Validator, Verdict};

/// Put together here, so that no credential-shaped literal stands in the source.
fn validator(sandbox: &Sandbox, policy: Policy) -> Validator {
    let key = format!("{}_live_{}", "sk", "sandbox4242");
    let stripe = Stripe::builder(key).base_url(sandbox.url()).build().unwrap();
    Validator::builder(stripe).policy(policy).build().unwrap()
}

/// What a payment comes to for a claim of this much, in cents.
async fn judged(sandbox: &Sandbox, payment: SandboxPayment, policy: &Policy, claimed: u64) -> Validation {
    sandbox.put(payment.tenant("store_42").order("6735"));
    let money = Money::parse(&format!("{}.{:02}", claimed / 100, claimed % 100), Currency::USD).unwrap();
    let intent = PaymentIntent::new("store_42", "pi_1", money).unwrap().with_order("6735").unwrap();
    validator(sandbox, policy.clone()).validate(intent).await.unwrap()
}

fn codes(validation: &Validation) -> Vec<&'static str> {
    match validation.verdict() {
        Verdict::Invalid(findings) => findings.iter().map(Finding::code).collect(),
        verdict => vec![verdict.as_str()],
    }
}

/// Of 20.00 held: what was captured, what was given back of it, and what is found of that.
const REFUNDS: [(u64, u64, Option<&str>); 12] = [
    (500, 0, None),
    (500, 100, Some("refunded in part: 1.00 USD of 5.00 USD")),
    (500, 500, Some("refunded in full: 5.00 USD of 5.00 USD")),
    (800, 0, None),
    (800, 799, Some("refunded in part: 7.99 USD of 8.00 USD")),
    (800, 800, Some("refunded in full: 8.00 USD of 8.00 USD")),
    (2000, 0, None),
    (2000, 1, Some("refunded in part: 0.01 USD of 20.00 USD")),
    (2000, 2000, Some("refunded in full: 20.00 USD of 20.00 USD")),
    (2200, 0, None),
    (2200, 2000, Some("refunded in part: 20.00 USD of 22.00 USD")),
    (2200, 2200, Some("refunded in full: 22.00 USD of 22.00 USD")),
];

#[tokio::test]
async fn a_partial_capture_is_no_refund_however_stripe_recorded_it() {
    let sandbox = Sandbox::start().await.unwrap();
    for (captured, back, found) in REFUNDS {
        for rest_is_refund in [false, true] {
            let payment = SandboxPayment::paid("pi_1", 2000, "usd").amount_received(captured).refunded(back);
            let payment = payment.overcapture_up_to(2400);
            let payment = if rest_is_refund { payment.rest_is_refund() } else { payment };
            let case = format!("{captured} captured, {back} back, {rest_is_refund}");
            let received = Policy::default().compare_amounts(Amounts::Received);
            let validation = judged(&sandbox, payment.clone(), &received, captured).await;
            match (validation.verdict(), found) {
                (Verdict::Valid(_), None) => {}
                (Verdict::Invalid(findings), Some(text)) => assert_eq!(findings.to_string(), text, "{case}"),
                other => panic!("{case}: {other:?}"),
            }
            // By default the amount that was asked for has to be the claim, too.
            let exact = judged(&sandbox, payment.clone(), &Policy::default(), captured).await;
            let valid = captured == 2000 && back == 0;
            assert_eq!(exact.verdict().is_valid(), valid, "{case}");
            // Accepted in part, a refund lowers nothing.
            let accepted = received.accept_partly_refunded();
            let whole = judged(&sandbox, payment.clone(), &accepted, captured).await;
            assert_eq!(whole.verdict().is_valid(), back < captured, "{case}: {whole:?}");
            if back > 0 && back < captured {
                let kept = judged(&sandbox, payment, &accepted, captured - back).await;
                assert_eq!(codes(&kept), ["amount_received_mismatch"], "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_part_as_large_as_the_rest_counts_by_the_larger_reading() {
    // 15 of 20 captured: as Stripe recorded it before basil, 5 refunded may be the rest or a refund.
    let sandbox = Sandbox::start().await.unwrap();
    let payment = SandboxPayment::paid("pi_1", 2000, "usd").amount_received(1500).rest_is_refund();
    let received = Policy::default().compare_amounts(Amounts::Received);
    assert_eq!(codes(&judged(&sandbox, payment.clone(), &received, 1500).await), ["partly_refunded"]);
    let refunded = payment.refunded(1500);
    assert_eq!(codes(&judged(&sandbox, refunded, &received.accept_partly_refunded(), 1500).await), ["refunded"]);
}

#[tokio::test]
async fn a_tip_is_part_of_the_amount_and_of_no_claim_that_names_the_price() {
    let sandbox = Sandbox::start().await.unwrap();
    let payment = SandboxPayment::paid("pi_1", 2000, "usd").tip(300);
    let exact = Policy::default();
    let net = exact.clone().compare_amounts(Amounts::NetOfTip);
    let both = exact.clone().compare_amounts(Amounts::NetOfTipAndSurcharge);
    assert_eq!(
        codes(&judged(&sandbox, payment.clone(), &exact, 1700).await),
        ["amount_mismatch", "amount_received_mismatch"]
    );
    assert_eq!(codes(&judged(&sandbox, payment.clone(), &net, 1700).await), ["valid"]);
    assert_eq!(codes(&judged(&sandbox, payment.clone(), &net, 2000).await), ["net_amount_mismatch"]);
    assert_eq!(codes(&judged(&sandbox, payment.clone().surcharge(50), &both, 1650).await), ["valid"]);
    assert_eq!(codes(&judged(&sandbox, payment.clone().surcharge(50), &net, 1700).await), ["valid"]);
    let none = SandboxPayment::paid("pi_1", 2000, "usd");
    assert_eq!(codes(&judged(&sandbox, none, &both, 2000).await), ["valid"]);
    // More tip than money: that is no answer.
    sandbox.put(payment.tip(2000).tenant("store_42").order("6735"));
    let money = Money::parse("20", Currency::USD).unwrap();
    let intent = PaymentIntent::new("store_42", "pi_1", money).unwrap().with_order("6735").unwrap();
    let error = validator(&sandbox, exact).validate(intent).await.unwrap_err();
    assert_eq!(error.code(), "unreadable_answer");
}

#[tokio::test]
async fn what_is_held_proves_its_own_amount_and_no_larger_one() {
    let sandbox = Sandbox::start().await.unwrap();
    let received = Policy::default().compare_amounts(Amounts::Received).accept_authorized();
    let held = |amount| SandboxPayment::requires_capture("pi_1", amount, "usd");
    assert_eq!(codes(&judged(&sandbox, held(2000), &received, 2000).await), ["valid"]);
    assert_eq!(codes(&judged(&sandbox, held(1), &received, 100_000).await), ["amount_capturable_mismatch"]);
    assert_eq!(codes(&judged(&sandbox, held(2000).amount_received(500), &received, 2000).await), ["pending"]);
}
