//! Bank debits that succeeded and can still come back.
#![expect(clippy::arithmetic_side_effects, reason = "times are sums of literals")]

use payproof::{
    Currency, Fact, Finding, PaymentMethod, PaymentStatus, Policy, ProviderPayment, Validator, Verdict, WaitsFor,
};

use super::{CREATED, Facts, PAID, by, claim, stating};
use crate::support::secs;

const DAY: u64 = 24 * 60 * 60;

/// The paid payment, by a debit that the shopper gave a day after the payment was created, asked for so long after that.
fn debit(asked_after: u64) -> ProviderPayment {
    let facts = Facts { as_of: Some(CREATED + DAY + asked_after), ..PAID };
    facts.build().with_method(PaymentMethod::BankDebit).with_paid_at(CREATED + DAY)
}

#[expect(clippy::unwrap_used, reason = "a provider that answers always gives a verdict")]
async fn judged(policy: Policy, facts: ProviderPayment) -> Verdict {
    let validator = Validator::builder(stating(facts)).policy(policy).build().unwrap();
    validator.validate(claim()).await.unwrap().into_verdict()
}

fn holding(days: u64) -> Policy {
    Policy::default().hold_debits(secs(days * DAY))
}

#[tokio::test(start_paused = true)]
async fn a_debit_is_valid_at_once_unless_it_is_held_and_the_proof_says_how_it_was_paid() {
    for method in [PaymentMethod::Unstated, PaymentMethod::Card, PaymentMethod::BankDebit, PaymentMethod::Other] {
        let validator = Validator::builder(stating(PAID.build().with_method(method))).build().unwrap();
        // The second time it is said from memory, without facts.
        for _ in 0..2 {
            let verdict = validator.validate(claim()).await.unwrap().into_verdict();
            let Verdict::Valid(proof) = verdict else { panic!("{verdict:?}") };
            assert_eq!(proof.method(), method);
        }
        assert_eq!(validator.stats().attempts, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_debit_is_pending_until_the_hold_is_over_since_the_shopper_paid() {
    for asked_after in [0, 1, 13 * DAY, 14 * DAY - 1] {
        let verdict = judged(holding(14), debit(asked_after)).await;
        let Verdict::Pending(pending) = &verdict else { panic!("{asked_after}: {verdict:?}") };
        assert_eq!(*pending.status(), PaymentStatus::Paid);
        assert_eq!(pending.waiting().waits_for(), WaitsFor::HeldDebit);
        assert_eq!(pending.waiting().until(), Some(CREATED + 15 * DAY));
        let left = secs(14 * DAY - asked_after);
        assert_eq!(pending.poll_after(), left.min(secs(6 * 60 * 60)), "{asked_after}");
    }
    for asked_after in [14 * DAY, 15 * DAY] {
        assert!(judged(holding(14), debit(asked_after)).await.is_valid(), "{asked_after}");
    }
    // Without the time when the shopper paid, that of the payment counts.
    let facts = Facts { as_of: Some(CREATED + 14 * DAY), ..PAID }.build().with_method(PaymentMethod::BankDebit);
    assert!(judged(holding(14), facts.clone()).await.is_valid());
    assert_eq!(judged(holding(15), facts).await.as_str(), "pending");
}

#[tokio::test(start_paused = true)]
async fn only_debits_are_held_and_what_is_wrong_is_not_held_but_told() {
    for method in [PaymentMethod::Card, PaymentMethod::Other] {
        assert!(judged(holding(14), PAID.build().with_method(method)).await.is_valid(), "{method}");
    }
    let refunded = debit(0).with_amount_refunded(1999);
    assert_eq!(judged(holding(14), refunded).await.as_str(), "invalid");
    let other = Facts { amount: Some((2000, Currency::USD)), ..PAID }.build().with_method(PaymentMethod::BankDebit);
    assert_eq!(judged(holding(14), other).await.as_str(), "invalid");
}

#[tokio::test(start_paused = true)]
async fn a_method_that_is_not_stated_is_not_taken_for_none_that_comes_back() {
    let Verdict::Invalid(found) = by(holding(14), &PAID).await else { panic!("valid") };
    assert_eq!(found.as_ref(), [Finding::Unstated(Fact::Method)]);
    let undated = Facts { created: None, ..PAID }.build().with_method(PaymentMethod::BankDebit);
    let Verdict::Invalid(found) = judged(holding(14), undated).await else { panic!("valid") };
    assert_eq!(found.as_ref(), [Finding::Unstated(Fact::Created)]);
    // It is asked about again soon.
    let provider = stating(PAID.build());
    let validator = Validator::builder(provider.clone()).policy(holding(14)).build().unwrap();
    assert!(!validator.validate(claim()).await.unwrap().verdict().is_valid());
    provider.put(PAID.build().with_method(PaymentMethod::Card));
    tokio::time::advance(secs(2)).await;
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_debit_is_valid_by_an_answer_from_after_its_hold() {
    let provider = stating(debit(14 * DAY - 60));
    let validator = Validator::builder(provider.clone()).policy(holding(14)).build().unwrap();
    let ask = async || validator.validate(claim()).await.unwrap().into_verdict();
    assert!(matches!(ask().await, Verdict::Pending(pending) if pending.poll_after() == secs(60)));
    tokio::time::advance(secs(59)).await;
    assert!(matches!(ask().await, Verdict::Pending(pending) if pending.poll_after() == secs(1)));
    tokio::time::advance(secs(1)).await;
    assert_eq!(provider.calls(), 1);
    // Before that it might have come back unseen.
    provider.put(debit(14 * DAY));
    assert!(ask().await.is_valid());
    assert_eq!(provider.calls(), 2);
}
