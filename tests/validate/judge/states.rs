//! Payments that are not finished, only authorized, partly captured, refunded or disputed.

use payproof::testing::ScriptedProvider;
use payproof::{
    Capture, Currency, Dispute, Field, Finding, Mode, PaymentIntent, PaymentStatus, Policy, ProviderPayment, Risk,
    Validator, Verdict,
};

use super::{
    ANOTHER, AUTHORIZED, CREATED, Facts, PAID, assert_only, bare_claim, by, claim, findings, money, stating, verdict,
};
use crate::support::{intent, ms, paid, secs};

#[tokio::test(start_paused = true)]
async fn nothing_is_valid_by_default() {
    let unfinished = [
        (PaymentStatus::Processing, secs(6)),
        (PaymentStatus::Authorized, secs(3600)),
        (PaymentStatus::Unknown("succeeded".into()), secs(6)),
        (PaymentStatus::Unknown("paid".into()), secs(6)),
        (PaymentStatus::Unknown("".into()), secs(6)),
    ];
    for (status, wait) in unfinished {
        let verdict = verdict(&claim(), &Facts { status: status.clone(), ..PAID }).await;
        let Verdict::Pending(pending) = &verdict else { panic!("{status:?}: {verdict:?}") };
        assert_eq!(*pending.status(), status);
        assert_eq!(pending.poll_after(), wait);
    }
    let verdict_of = async |facts: &Facts| verdict(&claim(), facts).await;
    let waits =
        verdict_of(&Facts { status: PaymentStatus::ActionRequired, reason: Some("requires_action"), ..PAID }).await;
    let Verdict::ActionRequired(action) = &waits else { panic!("{waits:?}") };
    assert_eq!(action.reason(), Some("requires_action"));
    for facts in [Facts { amount: None, ..PAID }, Facts { amount: None, received: None, ..PAID }] {
        let verdict = verdict_of(&facts).await;
        let Verdict::Invalid(findings) = &verdict else { panic!("{verdict:?}") };
        assert!(findings.iter().any(|finding| *finding == Finding::Unproven(Field::Amount)), "{findings}");
    }
    let nothing = ScriptedProvider::new();
    nothing.put(ProviderPayment::new("pi_1", PaymentStatus::Paid));
    let validator = Validator::builder(nothing).single_tenant().build().unwrap();
    let bare = validator.validate(bare_claim()).await.unwrap();
    assert!(matches!(bare.verdict(), Verdict::Invalid(_)), "{bare:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_payment_that_is_not_ours_is_invalid_at_once() {
    for status in [PaymentStatus::Processing, PaymentStatus::ActionRequired, PaymentStatus::Unknown("x".into())] {
        let verdict = verdict(&claim(), &Facts { status, store: Some("store_9"), ..PAID }).await;
        assert_only(&verdict, "tenant_mismatch", ANOTHER);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_payment_is_no_answer() {
    let provider = ScriptedProvider::new();
    provider.script("pi_1", [paid("pi_2"), paid("pi_2"), paid("pi_2"), paid("pi_2")]);
    let validator = Validator::builder(provider).build().unwrap();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(error.code(), "unreadable_answer");
}

#[tokio::test(start_paused = true)]
async fn the_wait_before_the_next_poll_shrinks_with_the_age_of_the_facts() {
    let provider = stating(Facts { status: PaymentStatus::Processing, ..PAID }.build());
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let poll_after = async || match validator.validate(claim()).await.unwrap().into_verdict() {
        Verdict::Pending(pending) => pending.poll_after(),
        other => panic!("{other:?}"),
    };
    assert_eq!(poll_after().await, secs(6));
    tokio::time::advance(ms(1500)).await;
    assert_eq!(poll_after().await, ms(4500));
    assert_eq!(provider.calls(), 1);
    tokio::time::advance(ms(500)).await;
    assert_eq!(poll_after().await, secs(6), "asked sooner, it is asked again after two seconds");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn authorized_is_not_paid_unless_the_policy_says_so() {
    let verdict = verdict(&claim(), &AUTHORIZED).await;
    let Verdict::Pending(pending) = &verdict else { panic!("{verdict:?}") };
    assert_eq!(*pending.status(), PaymentStatus::Authorized);
    let verdict = by(Policy::default().accept_authorized(), &AUTHORIZED).await;
    let Verdict::Valid(proof) = &verdict else { panic!("{verdict:?}") };
    assert_eq!(proof.capture(), Capture::Authorized);
    assert_eq!(by(Policy::captured_only(), &AUTHORIZED).await.as_str(), "pending");
}

#[tokio::test(start_paused = true)]
async fn an_accepted_authorization_still_has_to_match() {
    let policy = || Policy::default().accept_authorized();
    let cases = [
        (Facts { amount: Some((2000, Currency::USD)), capturable: 2000, ..AUTHORIZED }, "amount_mismatch"),
        (Facts { amount: Some((1999, Currency::EUR)), ..AUTHORIZED }, "currency_mismatch"),
        (Facts { store: None, ..AUTHORIZED }, "unproven"),
        (Facts { order: Some("7"), ..AUTHORIZED }, "order_mismatch"),
        (Facts { mode: Some(Mode::Test), ..AUTHORIZED }, "mode_mismatch"),
        (Facts { dispute: Dispute::Open, ..AUTHORIZED }, "disputed"),
        (Facts { fraud: true, ..AUTHORIZED }, "reported_fraud"),
        (Facts { risk: Risk::Highest, ..AUTHORIZED }, "risk"),
        (Facts { capture_before: Some(CREATED + 60), ..AUTHORIZED }, "not_captured"),
        (Facts { capture_before: Some(CREATED), ..AUTHORIZED }, "not_captured"),
        (Facts { capture_before: Some(0), ..AUTHORIZED }, "not_captured"),
        (Facts { received: Some(1000), capturable: 0, ..AUTHORIZED }, "not_captured"),
        (Facts { capturable: 1998, ..AUTHORIZED }, "amount_capturable_mismatch"),
    ];
    for (facts, code) in cases {
        let verdict = by(policy(), &facts).await;
        let codes: Vec<_> = findings(&verdict).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [code], "{facts:?}");
    }
    let pending = [
        Facts { capturable: 0, ..AUTHORIZED },
        Facts { received: Some(1000), capturable: 999, ..AUTHORIZED },
        Facts { received: Some(1), capturable: 1999, ..AUTHORIZED },
    ];
    for facts in pending {
        assert_eq!(by(policy(), &facts).await.as_str(), "pending", "{facts:?}");
    }
    assert!(by(policy(), &Facts { capture_before: None, ..AUTHORIZED }).await.is_valid());
    assert!(by(policy(), &Facts { capture_before: Some(CREATED + 61), ..AUTHORIZED }).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_the_network_reversed_is_not_valid() {
    let verdict = by(Policy::default().accept_authorized(), &Facts { reversed: true, ..AUTHORIZED }).await;
    assert_only(&verdict, "declined", "declined: reversed_after_approval");
}

#[tokio::test(start_paused = true)]
async fn an_authorization_without_a_stated_amount_received_is_not_valid() {
    let verdict = by(Policy::default().accept_authorized(), &Facts { received: None, ..AUTHORIZED }).await;
    assert!(!verdict.is_valid(), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn a_partly_captured_payment_is_pending_only_while_more_can_be_captured() {
    let more = Facts { received: Some(1000), capturable: 999, ..PAID };
    let verdict_on_more = verdict(&claim(), &more).await;
    let Verdict::Pending(pending) = &verdict_on_more else { panic!("{verdict_on_more:?}") };
    assert_eq!(*pending.status(), PaymentStatus::Paid);
    let over = verdict(&claim(), &Facts { capturable: 0, ..more.clone() }).await;
    assert_only(&over, "amount_received_mismatch", "amount received: expected 19.99 USD, actual 10.00 USD");
    let uncaptured = Facts { captured: Some(false), capturable: 1999, received: Some(1999), ..PAID };
    assert_eq!(verdict(&claim(), &uncaptured).await.as_str(), "pending");
    let not_ours = verdict(&claim(), &Facts { store: Some("store_9"), ..more }).await;
    assert_only(&not_ours, "tenant_mismatch", ANOTHER);
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_the_part_that_was_captured_is_not_valid_either() {
    let intent =
        PaymentIntent::new("store_42", "pi_1", money("10", Currency::USD)).unwrap().with_order("6735").unwrap();
    let verdict = verdict(&intent, &Facts { received: Some(1000), ..PAID }).await;
    assert_only(&verdict, "amount_mismatch", "amount: expected 10.00 USD, actual 19.99 USD");
}

#[tokio::test(start_paused = true)]
async fn refunds_and_disputes_are_accepted_only_by_policy_and_never_in_full() {
    let part = Facts { refunded: 500, ..PAID };
    let full = Facts { refunded: 1999, ..PAID };
    let disputed = Facts { dispute: Dispute::Open, ..PAID };
    assert!(by(Policy::default().accept_partly_refunded(), &part).await.is_valid());
    assert_only(
        &by(Policy::default().accept_partly_refunded(), &full).await,
        "refunded",
        "refunded in full: 19.99 USD of 19.99 USD",
    );
    assert!(by(Policy::default().accept_disputed(), &disputed).await.is_valid());
    assert!(!by(Policy::default().accept_disputed(), &part).await.is_valid());
    assert!(!by(Policy::default().accept_partly_refunded(), &disputed).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_dispute_counts_by_how_it_stands() {
    let policies = [
        Policy::default(),
        Policy::default().accept_inquiries(),
        Policy::default().accept_disputed().accept_inquiries(),
    ];
    let cases = [
        (Dispute::None, [true, true, true]),
        (Dispute::Won, [true, true, true]),
        (Dispute::Inquiry, [false, true, true]),
        (Dispute::Open, [false, false, true]),
        (Dispute::Unknown, [false, false, false]),
        (Dispute::Lost, [false, false, false]),
    ];
    for (dispute, valid) in cases {
        for (policy, valid) in policies.iter().zip(valid) {
            let verdict = by(policy.clone(), &Facts { dispute, ..PAID }).await;
            assert_eq!(verdict.is_valid(), valid, "{dispute} {policy:?}");
            if let Verdict::Invalid(findings) = &verdict {
                assert_eq!(findings.iter().collect::<Vec<_>>(), [&Finding::Disputed(dispute)]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_of_fraud_is_accepted_by_its_own_policy_only() {
    let reported = Facts { fraud: true, ..PAID };
    let lax = Policy::default().accept_disputed().accept_risk_up_to(Risk::Blocked).accept_partly_refunded();
    assert_only(&by(lax, &reported).await, "reported_fraud", "reported as fraud");
    assert!(by(Policy::default().accept_reported_fraud(), &reported).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_refunds_are_unknown_is_not_valid() {
    let facts =
        ProviderPayment::new("pi_1", PaymentStatus::Paid).with_mode(Mode::Live).with_amount(1999, Currency::USD);
    let facts =
        facts.with_amount_received(1999).with_metadata("store_id", "store_42").with_metadata("order_id", "6735");
    let provider = ScriptedProvider::new();
    provider.put(facts);
    let validator = Validator::builder(provider).build().unwrap();
    let verdict = validator.validate(intent("pi_1")).await.unwrap().into_verdict();
    let Verdict::Invalid(findings) = verdict else { panic!("{verdict:?}") };
    assert_eq!(findings.to_string(), "amount_refunded: the provider does not state it");
}
