//! What was asked, captured, held and given back, crossed with each other and with every policy on amounts.

use payproof::{Amounts, Currency, Fact, Finding, PaymentIntent, PaymentStatus, Policy, Verdict};

use super::{AUTHORIZED, Facts, PAID, assert_only, by, findings, judged, money};
use crate::support::{intent, paid};

/// A claim of this much, in cents.
#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn claim_of(cents: u64) -> PaymentIntent {
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    PaymentIntent::new("store_42", "pi_1", money(&amount, Currency::USD)).unwrap().with_order("6735").unwrap()
}

async fn of(cents: u64, policy: &Policy, facts: &Facts) -> Verdict {
    judged(&claim_of(cents), facts, |builder| builder.policy(policy.clone())).await.into_verdict()
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    findings(verdict).into_iter().map(|(code, _)| code).collect()
}

#[tokio::test(start_paused = true)]
async fn every_extent_of_capture_is_crossed_with_every_extent_of_refund() {
    const HELD: u64 = 2000;
    for captured in [1, 500, 1500, 1999, HELD, 2001, 2200] {
        for back in [0, 1, 499, 500, 501, 1499, 1500, 1999, 2000, 2200, u64::MAX] {
            for claimed in [1, 500, 1500, 1999, HELD, 2001, 2200] {
                for amounts in [Amounts::Exact, Amounts::Received] {
                    for accepted in [false, true] {
                        let policy = Policy::default().compare_amounts(amounts);
                        let policy = if accepted { policy.accept_partly_refunded() } else { policy };
                        let asked = Some((HELD, Currency::USD));
                        let facts = Facts { amount: asked, received: Some(captured), refunded: back, ..PAID };
                        let verdict = of(claimed, &policy, &facts).await;
                        let case = format!("{captured} of {HELD}, {back} back, {claimed} claimed, {policy:?}");
                        // Said without looking at the judge: nothing that is given back lowers what is compared.
                        let mut expected = Vec::new();
                        if amounts == Amounts::Exact && claimed != HELD {
                            expected.push("amount_mismatch");
                        }
                        if back > 0 && back >= captured {
                            expected.push("refunded");
                        } else if back > 0 && !accepted {
                            expected.push("partly_refunded");
                        }
                        if claimed != captured {
                            expected.push("amount_received_mismatch");
                        }
                        assert_eq!(codes(&verdict), expected, "{case}");
                        assert_eq!(verdict.is_valid(), expected.is_empty(), "{case}");
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_finding_about_refunds_names_what_was_captured_given_back_and_kept() {
    let facts = Facts { received: Some(500), refunded: 100, ..PAID };
    let Verdict::Invalid(found) = by(Policy::default(), &facts).await else { panic!("valid") };
    let usd = |amount| money(amount, Currency::USD);
    let Some(Finding::PartlyRefunded(refund)) = found.iter().next() else { panic!("{found}") };
    assert_eq!((refund.refunded, refund.captured, refund.kept), (usd("1"), Some(usd("5")), usd("4")));
    assert_eq!(found.to_string().split("; ").next(), Some("refunded in part: 1.00 USD of 5.00 USD"));
    let facts = Facts { refunded: 501, ..facts };
    let Verdict::Invalid(found) = by(Policy::default(), &facts).await else { panic!("valid") };
    let Some(Finding::Refunded(refund)) = found.iter().next() else { panic!("{found}") };
    assert!(refund.kept.is_zero(), "what was given back beyond that is not kept");
    assert!(found.to_string().starts_with("refunded in full: 5.01 USD of 5.00 USD"), "{found}");
}

#[tokio::test(start_paused = true)]
async fn what_was_received_counts_where_the_policy_says_so() {
    let policy = Policy::default().compare_amounts(Amounts::Received);
    // Asked for, received, can still be captured, claimed.
    for (asked, received, capturable, claimed, expected) in [
        (2000, 500, 0, 500, "valid"),
        (2000, 2200, 0, 2200, "valid"),
        (2000, 2000, 0, 2000, "valid"),
        (2000, 500, 0, 2000, "invalid"),
        (2000, 2200, 0, 2000, "invalid"),
        (2000, 500, 1500, 2000, "pending"),
        (2000, 500, 1500, 499, "invalid"),
        (1, 1, 0, 100_000, "invalid"),
    ] {
        let (amount, received) = (Some((asked, Currency::USD)), Some(received));
        let facts = Facts { amount, received, capturable, ..PAID };
        let verdict = of(claimed, &policy, &facts).await;
        assert_eq!(verdict.as_str(), expected, "{facts:?}: {verdict:?}");
    }
    let foreign = Facts { amount: Some((1999, Currency::EUR)), capturable: 1, ..PAID };
    assert_only(&by(policy, &foreign).await, "currency_mismatch", "currency: expected USD, actual EUR");
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_one_cent_never_proves_a_thousand() {
    let policy = Policy::default().compare_amounts(Amounts::Received).accept_authorized();
    let held = |held| Facts { amount: Some((held, Currency::USD)), capturable: held, ..AUTHORIZED };
    assert_only(
        &of(100_000, &policy, &held(1)).await,
        "amount_capturable_mismatch",
        "amount that can be captured: expected 1000.00 USD, actual 0.01 USD",
    );
    assert!(of(2000, &policy, &held(2000)).await.is_valid());
    // A part of it can be captured, and is then what is claimed.
    assert_eq!(of(500, &policy, &held(2000)).await.as_str(), "pending");
    // Of what was captured in part it is not known yet what it comes to.
    let part = Facts { received: Some(500), capturable: 1500, ..held(2000) };
    assert_eq!(of(1500, &policy, &part).await.as_str(), "pending");
    let foreign = Facts { amount: Some((2000, Currency::EUR)), ..held(2000) };
    assert_eq!(codes(&of(2000, &policy, &foreign).await), ["currency_mismatch"]);
    // Not accepted, it is as pending as any other.
    let policy = Policy::default().compare_amounts(Amounts::Received);
    assert_eq!(of(2000, &policy, &held(2000)).await.as_str(), "pending");
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_which_something_was_given_back_is_refunded() {
    let policy = Policy::default().accept_authorized().accept_partly_refunded();
    let facts = Facts { refunded: 1, ..AUTHORIZED };
    assert_only(&by(policy, &facts).await, "refunded", "refunded in full: 0.01 USD of 0.00 USD");
}

#[tokio::test(start_paused = true)]
async fn tips_and_surcharges_are_taken_off_by_the_policy_that_names_them() {
    let asked = |tip, surcharge| Facts {
        amount: Some((2000, Currency::USD)),
        received: Some(2000),
        tip: Some(tip),
        surcharge: Some(surcharge),
        ..PAID
    };
    let valid = async |amounts, facts: &Facts| {
        let policy = Policy::default().compare_amounts(amounts);
        let mut valid = Vec::new();
        for claimed in [2000, 1950, 1700, 1650] {
            if of(claimed, &policy, facts).await.is_valid() {
                valid.push(claimed);
            }
        }
        valid
    };
    let (both, tip, none) = (asked(300, 50), asked(300, 0), asked(0, 0));
    for (amounts, of_both, of_tip) in [
        (Amounts::Exact, 2000, 2000),
        (Amounts::Received, 2000, 2000),
        (Amounts::NetOfTip, 1700, 1700),
        (Amounts::NetOfSurcharge, 1950, 2000),
        (Amounts::NetOfTipAndSurcharge, 1650, 1700),
    ] {
        assert_eq!(valid(amounts, &both).await, [of_both], "{amounts:?}");
        assert_eq!(valid(amounts, &tip).await, [of_tip], "{amounts:?}");
        assert_eq!(valid(amounts, &none).await, [2000], "{amounts:?}");
    }
    let net = Policy::default().compare_amounts(Amounts::NetOfTipAndSurcharge);
    assert_only(
        &of(2000, &net, &both).await,
        "net_amount_mismatch",
        "amount: expected 20.00 USD, actual 20.00 USD less a tip of 3.00 USD less a surcharge of 0.50 USD",
    );
    // Less came in than was asked for: the price and the tip are not both paid.
    let short = Facts { received: Some(1700), ..tip };
    assert_only(
        &of(1700, &net, &short).await,
        "amount_received_mismatch",
        "amount received: expected 20.00 USD, actual 17.00 USD",
    );
    let more = Facts { capturable: 300, ..short };
    assert_eq!(of(1700, &net, &more).await.as_str(), "pending");
}

#[tokio::test(start_paused = true)]
async fn a_tip_that_is_not_stated_is_not_taken_for_none() {
    for (amounts, tip, surcharge, fact) in [
        (Amounts::NetOfTip, None, Some(0), Fact::Tip),
        (Amounts::NetOfSurcharge, Some(0), None, Fact::Surcharge),
        (Amounts::NetOfTipAndSurcharge, None, None, Fact::Tip),
        (Amounts::NetOfTipAndSurcharge, Some(0), None, Fact::Surcharge),
    ] {
        let facts = Facts { tip, surcharge, ..PAID };
        let Verdict::Invalid(found) = by(Policy::default().compare_amounts(amounts), &facts).await else {
            panic!("{amounts:?}")
        };
        assert_eq!(found.as_ref(), [Finding::Unstated(fact)], "{amounts:?}");
    }
    // It is asked about again soon: a later answer may state it.
    let provider = super::stating(Facts { tip: None, ..PAID }.build());
    let policy = Policy::default().compare_amounts(Amounts::NetOfTip);
    let validator = payproof::Validator::builder(provider.clone()).policy(policy).build().unwrap();
    assert!(!validator.validate(intent("pi_1")).await.unwrap().verdict().is_valid());
    provider.put(paid("pi_1").with_tip(0));
    tokio::time::advance(crate::support::secs(2)).await;
    assert!(validator.validate(intent("pi_1")).await.unwrap().verdict().is_valid());
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_was_canceled_after_captures_is_never_told_as_unpaid() {
    let canceled = Facts { status: PaymentStatus::Canceled, received: Some(500), ..PAID };
    let found = findings(&by(Policy::default(), &canceled).await);
    let text = "canceled, but 5.00 USD of what was captured was not given back";
    assert_eq!(found, [("canceled", "canceled".to_owned()), ("kept_though_canceled", text.to_owned())]);
    let given_back = Facts { refunded: 500, ..canceled };
    assert_eq!(codes(&by(Policy::default(), &given_back).await), ["refunded", "canceled"]);
}
