//! Whether an invalid payment can still become valid: shops cancel orders when it cannot.

use payproof::{Currency, Dispute, Mode, PaymentStatus, Policy, Risk, Verdict};

use super::{AUTHORIZED, Facts, PAID, by, claim};
use crate::support::secs;

#[expect(clippy::panic, reason = "a payment that is not invalid fails the test")]
async fn is_final(policy: Policy, facts: &Facts) -> bool {
    match by(policy, facts).await {
        Verdict::Invalid(findings) => findings.is_final(),
        verdict => panic!("{verdict:?}: {facts:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_still_be_paid_or_mended_is_not_final() {
    let unpaid = Facts { status: PaymentStatus::ActionRequired, received: Some(0), ..PAID };
    for facts in [
        // Another card may pay; the amount of what is not paid yet may be changed.
        Facts { status: PaymentStatus::Declined, received: Some(0), reason: Some("card_declined"), ..PAID },
        Facts { amount: Some((2000, Currency::USD)), ..unpaid.clone() },
        Facts { amount: Some((1999, Currency::EUR)), ..unpaid.clone() },
        Facts { amount: Some((2000, Currency::USD)), status: PaymentStatus::Processing, ..unpaid.clone() },
        Facts { amount: None, ..unpaid },
        // Made just now, it may not be found yet.
        Facts { status: PaymentStatus::NotFound, ..PAID },
        // Metadata can be corrected.
        Facts { store: Some("store_9"), ..PAID },
        Facts { store: None, ..PAID },
        Facts { order: Some("7"), ..PAID },
        Facts { order: None, ..PAID },
        Facts { customer: None, ..PAID },
        Facts { customer: Some("cus_7"), ..PAID },
        // A dispute can be won, a review approved, and an answer that leaves something out followed by a better one.
        Facts { dispute: Dispute::Open, ..PAID },
        Facts { dispute: Dispute::Unknown, ..PAID },
        Facts { risk: Risk::Review, ..PAID },
        Facts { received: None, ..PAID },
        Facts { mode: None, ..PAID },
        // A capture may follow, and a refund of which it is not stated that it succeeded may fail.
        Facts { captured: Some(false), ..PAID },
        Facts { refunded: 1, ..PAID },
        Facts { refunded: 1999, ..PAID },
        Facts { created: Some(u64::MAX), ..PAID },
    ] {
        assert!(!is_final(Policy::default(), &facts).await, "{facts:?}");
    }
    // The capture may have been made in time, and not be told yet.
    let lapsed = Facts { capture_before: Some(0), ..AUTHORIZED };
    assert!(!is_final(Policy::default().accept_authorized(), &lapsed).await);
}

#[tokio::test(start_paused = true)]
async fn what_no_one_can_mend_is_final() {
    for facts in [
        Facts { status: PaymentStatus::Canceled, received: Some(0), ..PAID },
        Facts { amount: Some((2000, Currency::USD)), ..PAID },
        Facts { amount: Some((1999, Currency::EUR)), ..PAID },
        Facts { received: Some(1998), ..PAID },
        Facts { mode: Some(Mode::Test), ..PAID },
        Facts { mode: Some(Mode::Test), status: PaymentStatus::ActionRequired, received: Some(0), ..PAID },
        // One thing that is final is enough, whatever can be mended beside it.
        Facts { received: Some(1998), dispute: Dispute::Open, order: None, ..PAID },
        Facts { dispute: Dispute::Lost, ..PAID },
    ] {
        assert!(is_final(Policy::default(), &facts).await, "{facts:?}");
    }
    assert!(is_final(Policy::default().max_age(secs(59)), &PAID).await);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_was_not_final_is_valid_once_another_card_paid() {
    let declined = Facts { status: PaymentStatus::Declined, received: Some(0), ..PAID };
    let provider = super::stating(declined.build());
    let validator = payproof::Validator::builder(provider.clone()).build().unwrap();
    let validation = validator.validate(claim()).await.unwrap();
    assert!(matches!(validation.verdict(), Verdict::Invalid(findings) if !findings.is_final()));
    provider.put(PAID.build());
    tokio::time::advance(secs(2)).await;
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_final_once_it_is_stated_that_none_is_pending_or_failed_and_all_was_captured() {
    for (asked, pending, failed, expected) in
        [(1999, 0, 0, true), (1999, 1, 0, false), (1999, 0, 1, false), (2500, 0, 0, false)]
    {
        let facts = Facts { refunded: 500, amount: Some((asked, Currency::USD)), ..PAID }.build();
        let facts = facts.with_refunds_pending(pending).with_refunds_failed(failed);
        let amounts = Policy::default().compare_amounts(payproof::Amounts::Received);
        let validator = payproof::Validator::builder(super::stating(facts)).policy(amounts).build().unwrap();
        let verdict = validator.validate(claim()).await.unwrap().into_verdict();
        let Verdict::Invalid(findings) = verdict else { panic!("a part was refunded") };
        assert_eq!(findings.is_final(), expected, "{asked}, {pending}, {failed}: {findings}");
    }
}
