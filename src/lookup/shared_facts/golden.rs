//! The bytes of facts, as files, and what their versions come to.

use super::{Known, Payload, enough};
use crate::intent::currency::Currency;
use crate::ledger::golden::is_golden;
use crate::ledger::{Converted, LedgerError, RecordKind, SharedFailure, State, Versioned as _};
use crate::payment::dispute::Dispute;
use crate::payment::facts::{Mode, NotFoundHint, PaymentStatus, ProviderPayment, Risk};
use crate::payment::method::PaymentMethod;

/// Every status, with a name of its file.
fn statuses() -> Vec<PaymentStatus> {
    let first = PaymentStatus::Paid;
    std::iter::successors(Some(first), |status| {
        // A new status does not compile until it stands here, and so has a file.
        Some(match status {
            PaymentStatus::Paid => PaymentStatus::Authorized,
            PaymentStatus::Authorized => PaymentStatus::Processing,
            PaymentStatus::Processing => PaymentStatus::ActionRequired,
            PaymentStatus::ActionRequired => PaymentStatus::Declined,
            PaymentStatus::Declined => PaymentStatus::Canceled,
            PaymentStatus::Canceled => PaymentStatus::NotFound,
            PaymentStatus::NotFound => PaymentStatus::Unknown("in_review".into()),
            PaymentStatus::Unknown(_) => return None,
        })
    })
    .collect()
}

fn settled(facts: ProviderPayment) -> Payload {
    let keys = vec!["store_id".into(), "order_id".into()];
    Payload { known: Some(Known { age_ms: 1_500, keys, facts: Box::new(facts) }), failure: None, claimed_ms: 0 }
}

/// As both versions hold it, where the first one has room for all that it says.
fn is_golden_in_both(variant: &str, state: State, payload: &Payload) {
    for version in [1, 2] {
        is_golden(RecordKind::Facts, version, variant, state, false, payload);
    }
}

#[test]
fn golden_files_hold_what_is_written_of_facts() {
    let golden =
        |variant: &str, state, payload: &Payload| is_golden(RecordKind::Facts, 2, variant, state, false, payload);
    for status in statuses() {
        let variant = format!("settled_{}", status.as_str());
        let facts = ProviderPayment::new("pi_3MtwBwLkdIwHu7ix28a3tqPa", status);
        golden(&variant, State::Settled, &settled(facts.clone()));
        is_golden(RecordKind::Facts, 1, &variant, State::Settled, false, &settled(as_in_1(facts)));
    }
    for risk in [Risk::Normal, Risk::NotAssessed, Risk::Elevated, Risk::Review, Risk::Highest, Risk::Blocked] {
        let facts = ProviderPayment::new("pi_1", PaymentStatus::Paid).with_risk(risk).with_mode(Mode::Test);
        let variant = format!("risk_{}", risk.as_str());
        golden(&variant, State::Settled, &settled(facts.clone()));
        is_golden(RecordKind::Facts, 1, &variant, State::Settled, false, &settled(as_in_1(facts)));
    }
    for dispute in [Dispute::None, Dispute::Won, Dispute::Inquiry, Dispute::Open, Dispute::Unknown, Dispute::Lost] {
        let facts = ProviderPayment::new("pi_1", PaymentStatus::Paid).with_dispute(dispute);
        golden(&format!("dispute_{dispute}"), State::Settled, &settled(facts));
    }
    let whole = ProviderPayment {
        reason: Some("requested_by_customer".into()),
        mode: Some(Mode::Live),
        amount_received: Some(1_999),
        amount_capturable: 300,
        amount_refunded: Some(0),
        captured: Some(true),
        dispute: Dispute::Open,
        fraud: Some(true),
        reversed: true,
        customer: Some("cus_1".into()),
        account: Some("acct_1".into()),
        destination: Some("acct_2".into()),
        metadata: vec![("store_id".into(), "store_42".into()), ("order_id".into(), "6735".into())],
        created: Some(1_760_000_000),
        capture_before: Some(1_760_600_000),
        as_of: Some(1_760_000_100),
        ..ProviderPayment::new("pi_1", PaymentStatus::Paid).with_amount(1_999, Currency::EUR)
    };
    for method in [PaymentMethod::Card, PaymentMethod::BankDebit, PaymentMethod::Other] {
        let facts = ProviderPayment { method, paid_at: Some(1_760_000_050), ..whole.clone() };
        golden(&format!("method_{method}"), State::Settled, &settled(facts));
    }
    golden("settled_whole", State::Settled, &settled(whole.clone()));
    let failure = |retry_after_ms| Some(SharedFailure { code: "unavailable".into(), retry_after_ms });
    let failed = |facts| Payload { failure: failure(Some(2_000)), ..settled(facts) };
    golden("failed_with_older_facts", State::Failed, &failed(whole.clone()));
    let whole = as_in_1(whole);
    is_golden(RecordKind::Facts, 1, "settled_whole", State::Settled, false, &settled(whole.clone()));
    is_golden(RecordKind::Facts, 1, "failed_with_older_facts", State::Failed, false, &failed(whole));
    let failed = Payload { failure: failure(None), ..Payload::default() };
    is_golden_in_both("failed", State::Failed, &failed);
    let claimed = Payload { claimed_ms: 700, ..Payload::default() };
    is_golden_in_both("claimed", State::Claimed, &claimed);
    let net =
        ProviderPayment { tip: Some(300), surcharge: Some(0), ..ProviderPayment::new("pi_1", PaymentStatus::Paid) };
    golden("settled_net", State::Settled, &settled(net));
    let refunds = ProviderPayment::new("pi_1", PaymentStatus::Paid).with_refunds_pending(500).with_refunds_failed(0);
    golden("settled_refunds", State::Settled, &settled(refunds));
    for hint in [NotFoundHint::OtherMode, NotFoundHint::OtherAccount] {
        let facts = ProviderPayment::not_found("pi_1").with_not_found_hint(hint);
        golden(&format!("not_found_{}", hint.as_str()), State::Settled, &settled(facts));
    }
}

/// What is left of facts in version 1, which knows nothing of fraud.
fn as_in_1(facts: ProviderPayment) -> ProviderPayment {
    ProviderPayment { fraud: None, ..facts }
}

/// What version 1 says of a payment of 20.00.
fn first(received: Option<u64>, refunded: u64) -> Converted<Payload> {
    let facts = ProviderPayment {
        amount_received: received,
        amount_refunded: Some(refunded),
        ..ProviderPayment::new("pi_1", PaymentStatus::Paid).with_amount(2_000, Currency::EUR)
    };
    Payload::read(1, &settled(facts).write(1).unwrap())
}

#[test]
fn a_refund_of_a_part_that_was_captured_says_too_little_in_version_1() {
    for (received, refunded) in [(Some(500), 1_500), (Some(500), 1), (Some(1_999), 1), (Some(0), 2_000), (None, 1)] {
        assert!(matches!(first(received, refunded), Converted::NotEnough), "{received:?}, {refunded}");
    }
    for (received, refunded) in
        [(Some(500), 0), (None, 0), (Some(2_000), 1), (Some(2_000), 2_000), (Some(2_200), 2_200)]
    {
        assert!(matches!(first(received, refunded), Converted::Whole(_)), "{received:?}, {refunded}");
    }
}

#[test]
fn what_no_policy_accepts_none_accepts_in_version_1() {
    let paid = || ProviderPayment::new("pi_1", PaymentStatus::Paid);
    for (facts, is_reversed) in [
        (paid().with_dispute(Dispute::Open), false),
        (paid().with_dispute(Dispute::Unknown), true),
        (paid().with_dispute(Dispute::Lost), true),
        (paid().with_reported_fraud(true), true),
    ] {
        let Converted::Whole(read) = Payload::read(1, &settled(facts.clone()).write(1).unwrap()) else {
            panic!("{facts:?} is read")
        };
        assert_eq!(read.known.unwrap().facts.reversed, is_reversed, "{facts:?}");
    }
}

#[test]
fn facts_of_a_version_that_says_too_little_are_a_miss() {
    assert_eq!(enough(Err(LedgerError::NotEnough { version: 1 })), Ok(Payload::default()));
    for error in [LedgerError::Newer { version: 2 }, LedgerError::Unreadable("holds no facts")] {
        assert_eq!(enough(Err(error.clone())), Err(error));
    }
}
