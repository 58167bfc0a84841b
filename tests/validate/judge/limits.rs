//! Mode, risk and age.

use std::time::Duration;

use payproof::testing::ScriptedProvider;
use payproof::{Fact, Finding, Mode, Policy, Risk, Validator, Verdict};

use super::{AUTHORIZED, CREATED, Facts, PAID, assert_only, by, claim, findings, stating, verdict};
use crate::support::secs;

#[tokio::test(start_paused = true)]
async fn a_test_validator_refuses_live_payments_and_unstated_modes() {
    for (mode, text) in
        [(Some(Mode::Live), "mode: expected test, actual live"), (None, "mode: the provider does not state it")]
    {
        let provider = ScriptedProvider::test_mode();
        provider.put(Facts { mode, ..PAID }.build());
        let validator = Validator::builder(provider.clone()).mode(Mode::Test).build().unwrap();
        let validation = validator.validate(claim()).await.unwrap();
        assert_eq!(findings(validation.verdict()).len(), 1);
        assert_eq!(findings(validation.verdict())[0].1, text);
    }
    let provider = ScriptedProvider::test_mode();
    provider.put(Facts { mode: Some(Mode::Test), ..PAID }.build());
    let validator = Validator::builder(provider).mode(Mode::Test).build().unwrap();
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
}

#[tokio::test(start_paused = true)]
async fn risk_is_accepted_up_to_the_threshold_and_no_further() {
    let levels = [Risk::Normal, Risk::NotAssessed, Risk::Elevated, Risk::Review, Risk::Highest, Risk::Blocked];
    for accepted in levels {
        for actual in levels {
            let verdict = by(Policy::default().accept_risk_up_to(accepted), &Facts { risk: actual, ..PAID }).await;
            if actual <= accepted {
                assert!(verdict.is_valid(), "{actual:?} up to {accepted:?}: {verdict:?}");
            } else {
                let text = format!("risk: accepted up to {}, actual {}", accepted.as_str(), actual.as_str());
                assert_only(&verdict, "risk", &text);
            }
        }
    }
    assert_eq!(levels.map(Risk::as_str), ["normal", "not_assessed", "elevated", "review", "highest", "blocked"]);
    assert!(levels.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_payment_older_than_accepted_is_refused_and_an_unknown_age_too() {
    let policy = |limit| Policy::default().max_age(secs(limit));
    assert!(by(policy(60), &PAID).await.is_valid(), "exactly as old as accepted");
    assert_only(&by(policy(59), &PAID).await, "too_old", "too old: accepted up to 59 s, actual 60 s");
    let unknown = by(policy(60), &Facts { created: None, ..PAID }).await;
    assert_only(&unknown, "unstated", "created: the provider does not state it");
    assert!(by(Policy::default(), &Facts { created: None, ..PAID }).await.is_valid());
    let Verdict::Invalid(findings) = by(policy(60), &Facts { created: None, ..PAID }).await else { panic!("valid") };
    assert_eq!(findings.as_ref(), [Finding::Unstated(Fact::Created)]);
}

#[tokio::test(start_paused = true)]
async fn a_payment_created_after_the_answer_that_tells_of_it_is_not_valid() {
    let text = "created later than the provider's own time of this answer";
    let (as_of, of_2096) = (CREATED + 60, 3_976_214_400);
    let created = |at| Facts { created: Some(at), ..PAID };
    for policy in [Policy::default(), Policy::default().max_age(secs(60)), Policy::default().max_age(Duration::MAX)] {
        // Two clocks may differ by five minutes.
        for at in [as_of, as_of + 1, as_of + 300] {
            assert!(by(policy.clone(), &created(at)).await.is_valid(), "{at}");
        }
        for at in [as_of + 301, of_2096, u64::MAX] {
            assert_only(&by(policy.clone(), &created(at)).await, "created_ahead", text);
        }
    }
    let held = Facts { created: Some(of_2096), ..AUTHORIZED };
    assert_only(&by(Policy::default().accept_authorized(), &held).await, "created_ahead", text);
}

#[tokio::test(start_paused = true)]
async fn without_the_answers_own_time_this_machines_counts_for_a_payment_created_ahead() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let stated = |ahead| Facts { created: Some(now + ahead), as_of: None, ..PAID };
    assert!(verdict(&claim(), &stated(60)).await.is_valid());
    // This test may be slow; it is not an hour slow.
    assert_eq!(findings(&verdict(&claim(), &stated(3600)).await)[0].0, "created_ahead");
}

#[tokio::test(start_paused = true)]
async fn a_contradiction_about_the_time_is_asked_about_again_soon() {
    let provider = stating(Facts { created: Some(CREATED + 3600), ..PAID }.build());
    let validator = Validator::builder(provider.clone()).build().unwrap();
    assert!(!validator.validate(claim()).await.unwrap().verdict().is_valid());
    provider.put(PAID.build());
    tokio::time::advance(secs(2)).await;
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_payment_so_old_that_its_use_may_be_forgotten_is_refused_under_any_policy() {
    const DAY: u64 = 24 * 60 * 60;
    let aged = |days: u64, seconds: u64| Facts { as_of: Some(CREATED + days * DAY + seconds), ..PAID };
    assert!(by(Policy::default(), &aged(399, 0)).await.is_valid());
    for policy in [Policy::default(), Policy::default().max_age(secs(1000 * DAY))] {
        let verdict = by(policy, &aged(399, 1)).await;
        assert_only(&verdict, "too_old", "too old: accepted up to 34473600 s, actual 34473601 s");
    }
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_payment_counts_until_the_verdict_and_not_until_the_answer() {
    let provider = stating(PAID.build());
    let validator = Validator::builder(provider.clone()).policy(Policy::default().max_age(secs(70))).build().unwrap();
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
    tokio::time::advance(secs(9)).await;
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
    assert_eq!(provider.calls(), 1);
    // The provider repeats its answer, with the time it has now.
    tokio::time::advance(secs(2)).await;
    provider.put(Facts { as_of: Some(CREATED + 71), ..PAID }.build());
    let late = validator.validate(claim()).await.unwrap();
    assert_only(late.verdict(), "too_old", "too old: accepted up to 70 s, actual 71 s");
    assert_eq!(provider.calls(), 2);
}
