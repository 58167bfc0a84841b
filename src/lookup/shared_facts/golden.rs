//! The bytes of facts, as files, and what their versions come to.

use super::{Known, Payload, enough};
use crate::intent::currency::Currency;
use crate::ledger::golden::is_golden;
use crate::ledger::{LedgerError, RecordKind, SharedFailure, State};
use crate::payment::facts::{Mode, PaymentStatus, ProviderPayment, Risk};

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
    Payload { known: Some(Known { age_ms: 1_500, keys, facts }), failure: None, claimed_ms: 0 }
}

#[test]
fn golden_files_hold_what_is_written_of_facts() {
    for status in statuses() {
        let variant = format!("settled_{}", status.as_str());
        let payload = settled(ProviderPayment::new("pi_3MtwBwLkdIwHu7ix28a3tqPa", status));
        is_golden(RecordKind::Facts, 1, &variant, State::Settled, false, &payload);
    }
    for risk in [Risk::Normal, Risk::NotAssessed, Risk::Elevated, Risk::Review, Risk::Highest, Risk::Blocked] {
        let facts = ProviderPayment::new("pi_1", PaymentStatus::Paid).with_risk(risk).with_mode(Mode::Test);
        is_golden(RecordKind::Facts, 1, &format!("risk_{}", risk.as_str()), State::Settled, false, &settled(facts));
    }
    let whole = ProviderPayment {
        reason: Some("requested_by_customer".into()),
        mode: Some(Mode::Live),
        amount_received: Some(1_999),
        amount_capturable: 300,
        amount_refunded: Some(0),
        captured: Some(true),
        disputed: true,
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
    is_golden(RecordKind::Facts, 1, "settled_whole", State::Settled, false, &settled(whole.clone()));
    let failure = |retry_after_ms| Some(SharedFailure { code: "unavailable".into(), retry_after_ms });
    let failed = Payload { failure: failure(Some(2_000)), ..settled(whole) };
    is_golden(RecordKind::Facts, 1, "failed_with_older_facts", State::Failed, false, &failed);
    let failed = Payload { failure: failure(None), ..Payload::default() };
    is_golden(RecordKind::Facts, 1, "failed", State::Failed, false, &failed);
    let claimed = Payload { claimed_ms: 700, ..Payload::default() };
    is_golden(RecordKind::Facts, 1, "claimed", State::Claimed, false, &claimed);
}

#[test]
fn facts_of_a_version_that_says_too_little_are_a_miss() {
    assert_eq!(enough(Err(LedgerError::NotEnough { version: 1 })), Ok(Payload::default()));
    for error in [LedgerError::Newer { version: 2 }, LedgerError::Unreadable("holds no facts")] {
        assert_eq!(enough(Err(error.clone())), Err(error));
    }
}
