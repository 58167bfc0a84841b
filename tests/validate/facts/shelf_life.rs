//! Facts that may change, and facts that are final.

use std::time::Duration;

use payproof::testing::ScriptedProvider;
use payproof::{Capture, Currency, Dispute, Mode, PaymentStatus, Policy, Provenance, ProviderPayment, Risk, Verdict};
use tokio::time::advance;

use super::{FRESH_FOR, MIDNIGHT, TICK, VOLATILE, ask, authorized, build, canceled, processing, validator};
use crate::support::{intent, is_valid, paid, provider, secs};

#[tokio::test(start_paused = true)]
async fn what_may_change_at_any_moment_is_served_for_at_most_two_seconds() {
    let status = |status| ProviderPayment::new("pi_1", status).with_mode(Mode::Live).with_amount(1999, Currency::USD);
    let owned = |facts: ProviderPayment| facts.with_metadata("store_id", "store_42").with_metadata("order_id", "6735");
    let volatile = [
        ("declined", owned(status(PaymentStatus::Declined))),
        ("not found", ProviderPayment::not_found("pi_1")),
        ("processing", processing("pi_1")),
        ("unknown", owned(status(PaymentStatus::Unknown("odd".into())))),
        ("action required", owned(status(PaymentStatus::ActionRequired))),
        ("authorized", authorized("pi_1", 3600)),
        ("refunded in part", paid("pi_1").with_amount_refunded(1)),
        ("disputed", paid("pi_1").with_dispute(Dispute::Open)),
        ("inquired about", paid("pi_1").with_dispute(Dispute::Inquiry)),
        ("disputed, and not told how that stands", paid("pi_1").with_dispute(Dispute::Unknown)),
        ("reported as fraud", paid("pi_1").with_reported_fraud(true)),
        ("reversed", paid("pi_1").with_reversed(true)),
        ("under review", paid("pi_1").with_risk(Risk::Review)),
        ("too risky", paid("pi_1").with_risk(Risk::Highest)),
        ("partly captured", paid("pi_1").with_amount_received(1).with_amount_capturable(1998)),
        ("not captured", paid("pi_1").with_captured(false)),
        ("amount received unstated", owned(status(PaymentStatus::Paid))),
        (
            "mode unstated",
            ProviderPayment::new("pi_1", PaymentStatus::Paid)
                .with_amount(1999, Currency::USD)
                .with_amount_received(1999),
        ),
        (
            "amount unstated",
            ProviderPayment::new("pi_1", PaymentStatus::Paid).with_mode(Mode::Live).with_amount_received(1999),
        ),
    ];
    for (name, facts) in volatile {
        let provider = provider();
        provider.put(facts);
        let validator = validator(&provider);
        assert!(!is_valid(&ask(&validator, &intent("pi_1")).await), "{name}");
        advance(VOLATILE - TICK).await;
        let served = ask(&validator, &intent("pi_1")).await;
        assert_eq!((served.provenance(), provider.calls()), (Provenance::Replayed, 1), "{name}");
        provider.put(paid("pi_1"));
        advance(TICK).await;
        assert!(is_valid(&ask(&validator, &intent("pi_1")).await), "{name}");
        assert_eq!(provider.calls(), 2, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_final_is_served_for_fresh_for() {
    let terminal = [
        ("canceled", canceled("pi_1")),
        ("refunded", paid("pi_1").with_amount_refunded(1999)),
        ("a lost dispute", paid("pi_1").with_dispute(Dispute::Lost)),
        ("another amount", paid("pi_1").with_amount(2000, Currency::USD).with_amount_received(2000)),
        ("another currency", paid("pi_1").with_amount(1999, Currency::EUR)),
        ("test mode", paid("pi_1").with_mode(Mode::Test)),
        ("short, with nothing left to capture", paid("pi_1").with_amount_received(1000)),
    ];
    for (name, facts) in terminal {
        let provider = provider();
        provider.put(facts);
        let validator = validator(&provider);
        for (step, calls) in [(Duration::ZERO, 1), (FRESH_FOR - TICK, 1), (TICK, 2)] {
            advance(step).await;
            assert_eq!(ask(&validator, &intent("pi_1")).await.verdict().as_str(), "invalid", "{name}");
            assert_eq!(provider.calls(), calls, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_won_dispute_lasts_and_an_accepted_open_one_is_asked_about_again() {
    for (dispute, served_for) in [(Dispute::Won, FRESH_FOR), (Dispute::Inquiry, VOLATILE), (Dispute::Open, VOLATILE)] {
        let provider = ScriptedProvider::new();
        provider.put(paid("pi_1").with_dispute(dispute));
        let validator = build(&provider, |b| b.policy(Policy::default().accept_disputed())).unwrap();
        for (step, calls) in [(Duration::ZERO, 1), (served_for - TICK, 1), (TICK, 2)] {
            advance(step).await;
            assert!(is_valid(&ask(&validator, &intent("pi_1")).await), "{dispute}");
            assert_eq!(provider.calls(), calls, "{dispute}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_authorization_is_believed_for_at_most_a_minute_and_never_past_its_end() {
    for (left, served_for) in [(3600, 60), (61, 60), (60, 60), (59, 59), (7, 7), (1, 1)] {
        let provider = ScriptedProvider::new();
        provider.put(authorized("pi_1", left));
        let validator = build(&provider, |b| b.policy(Policy::default().accept_authorized())).unwrap();
        assert!(is_valid(&ask(&validator, &intent("pi_1")).await));
        advance(secs(served_for) - TICK).await;
        let served = ask(&validator, &intent("pi_1")).await;
        let Verdict::Valid(proof) = served.verdict() else { panic!("{served:?}") };
        assert_eq!((served.provenance(), proof.capture()), (Provenance::Replayed, Capture::Authorized));
        advance(TICK).await;
        provider.put(authorized("pi_1", 0));
        let over = ask(&validator, &intent("pi_1")).await;
        assert_eq!((over.verdict().as_str(), provider.calls()), ("invalid", 2), "{left}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_authorization_that_is_not_valid_yet_is_asked_about_again_after_two_seconds() {
    let unfinished = [
        ("capturable in part", authorized("pi_1", 3600).with_amount_capturable(1000)),
        ("captured in part", authorized("pi_1", 3600).with_amount_received(1000).with_amount_capturable(999)),
        ("disputed", authorized("pi_1", 3600).with_dispute(Dispute::Open)),
        ("under review", authorized("pi_1", 3600).with_risk(Risk::Review)),
    ];
    for (name, facts) in unfinished {
        let provider = provider();
        provider.put(facts);
        let validator = build(&provider, |b| b.policy(Policy::default().accept_authorized())).unwrap();
        assert!(!is_valid(&ask(&validator, &intent("pi_1")).await), "{name}");
        provider.put(paid("pi_1"));
        advance(VOLATILE).await;
        assert!(is_valid(&ask(&validator, &intent("pi_1")).await), "{name} is still served after 2 s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_grows_too_old_in_memory_is_not_served() {
    let provider = ScriptedProvider::new();
    let at = |as_of: u64| paid("pi_1").with_created(MIDNIGHT).with_as_of(MIDNIGHT + as_of);
    provider.put(at(50));
    let validator = build(&provider, |b| b.policy(Policy::default().max_age(secs(60)))).unwrap();
    assert!(is_valid(&ask(&validator, &intent("pi_1")).await));
    advance(secs(10) - TICK).await;
    assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Replayed);
    provider.put(at(61));
    advance(TICK).await;
    let Verdict::Invalid(findings) = ask(&validator, &intent("pi_1")).await.into_verdict() else { panic!("valid") };
    assert!(findings.has("too_old"));
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_payment_exactly_as_old_as_accepted_is_too_old_a_moment_later() {
    let provider = ScriptedProvider::new();
    provider.put(paid("pi_1").with_created(MIDNIGHT).with_as_of(MIDNIGHT + 60));
    let validator = build(&provider, |b| b.policy(Policy::default().max_age(secs(60)))).unwrap();
    assert!(is_valid(&ask(&validator, &intent("pi_1")).await));
    provider.put(paid("pi_1").with_created(MIDNIGHT).with_as_of(MIDNIGHT + 61));
    for step in [secs(1), secs(60), secs(600)] {
        advance(step).await;
        let later = ask(&validator, &intent("pi_1")).await;
        assert!(!is_valid(&later), "{:?} later: {later:?}", later.age());
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_that_is_added_later_is_seen_within_two_seconds() {
    let provider = ScriptedProvider::new();
    let bare = ProviderPayment::new("pi_1", PaymentStatus::Paid).with_mode(Mode::Live).with_amount(1999, Currency::USD);
    let bare = bare.with_amount_received(1999).with_amount_refunded(0).with_metadata("store_id", "store_42");
    provider.put(bare.clone());
    let validator = validator(&provider);
    let Verdict::Invalid(findings) = ask(&validator, &intent("pi_1")).await.into_verdict() else { panic!("valid") };
    assert!(findings.has("unproven"));
    provider.put(bare.with_metadata("order_id", "6735"));
    advance(VOLATILE).await;
    assert!(is_valid(&ask(&validator, &intent("pi_1")).await));
    assert_eq!(provider.calls(), 2);
}
