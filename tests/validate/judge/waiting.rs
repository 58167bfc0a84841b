//! What an unfinished payment waits for, until when, and when to ask again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::{PaymentStatus, Policy, ProviderPayment, Validator, Verdict, Waiting, WaitsFor};
use tokio::time::{Instant, sleep};

use super::{AUTHORIZED, CREATED, Facts, PAID, assert_only, by, claim, findings, stating, verdict};
use crate::support::{intent, secs};

const HOUR: Duration = Duration::from_secs(3600);
const ALL: [WaitsFor; 13] = [
    WaitsFor::Shopper,
    WaitsFor::Redirect,
    WaitsFor::QrCode,
    WaitsFor::Voucher,
    WaitsFor::BankTransfer,
    WaitsFor::PartlyFunded,
    WaitsFor::Microdeposits,
    WaitsFor::CardNotice,
    WaitsFor::Debit,
    WaitsFor::Processing,
    WaitsFor::Capture,
    WaitsFor::Records,
    WaitsFor::Unknown,
];

/// A payment under way that was created so long before the answer.
fn under_way(status: PaymentStatus, age: u64) -> ProviderPayment {
    Facts { status, received: None, as_of: Some(CREATED.saturating_add(age)), ..PAID }.build()
}

#[expect(clippy::unwrap_used, clippy::panic, reason = "a verdict that is final fails the test")]
async fn waiting(facts: ProviderPayment) -> Waiting {
    let validator = Validator::builder(stating(facts)).build().unwrap();
    let validation = validator.validate(claim()).await.unwrap();
    match validation.verdict() {
        Verdict::Pending(pending) => {
            assert_eq!(pending.poll_after(), pending.waiting().poll_after());
            pending.waiting().clone()
        }
        Verdict::ActionRequired(action) => {
            assert_eq!(action.poll_after(), action.waiting().poll_after());
            action.waiting().clone()
        }
        other => panic!("{other:?}"),
    }
}

async fn poll_after(waits_for: WaitsFor, age: u64, until: Option<u64>) -> Duration {
    let facts = under_way(PaymentStatus::Processing, age).with_waits_for(waits_for);
    let until = until.map(|until| CREATED.saturating_add(until));
    let facts = until.into_iter().fold(facts, ProviderPayment::with_waits_until);
    let waiting = waiting(facts).await;
    assert_eq!((waiting.waits_for(), waiting.until()), (waits_for, until));
    waiting.poll_after()
}

#[tokio::test(start_paused = true)]
async fn the_wait_before_the_next_poll_follows_the_method_and_grows_with_the_payments_age() {
    let day = 86_400;
    for (waits_for, age, expected) in [
        (WaitsFor::Redirect, 0, secs(2)),
        (WaitsFor::Redirect, 20, secs(2)),
        (WaitsFor::QrCode, 100, secs(10)),
        (WaitsFor::QrCode, 299, Duration::from_millis(29_900)),
        (WaitsFor::QrCode, day, secs(30)),
        (WaitsFor::Shopper, day, secs(30)),
        (WaitsFor::Unknown, 0, secs(2)),
        (WaitsFor::Processing, 0, secs(5)),
        (WaitsFor::Processing, day, secs(60)),
        (WaitsFor::Voucher, 0, HOUR),
        (WaitsFor::BankTransfer, day, HOUR),
        (WaitsFor::PartlyFunded, day, HOUR),
        (WaitsFor::Microdeposits, 0, HOUR),
        (WaitsFor::CardNotice, 0, HOUR),
        (WaitsFor::Capture, 0, HOUR),
        (WaitsFor::Debit, 0, 6 * HOUR),
        (WaitsFor::Debit, 9 * day, 6 * HOUR),
        (WaitsFor::Records, day, secs(2)),
    ] {
        assert_eq!(poll_after(waits_for, age, None).await, expected, "{waits_for} at {age} s");
    }
}

#[tokio::test(start_paused = true)]
async fn no_wait_goes_past_the_end() {
    for waits_for in ALL {
        for left in [1, 3, 40, 3_599, 3_601, 30_000] {
            let wait = poll_after(waits_for, 1_000, Some(1_000 + left)).await;
            assert!(wait <= secs(left) && wait >= secs(1), "{waits_for}: {wait:?} of {left} s");
        }
    }
    // At its date a bank account is debited, and the outcome is known some days later.
    assert_eq!(poll_after(WaitsFor::Debit, 86_400, Some(86_400)).await, HOUR);
    assert_eq!(poll_after(WaitsFor::Debit, 9 * 86_400, Some(86_400)).await, HOUR);
    // What lapsed is told of soon, or else no more.
    assert_eq!(poll_after(WaitsFor::Voucher, 1_000, Some(1_000)).await, secs(60));
    assert_eq!(poll_after(WaitsFor::Voucher, 2_000, Some(1_000)).await, secs(100));
    assert_eq!(poll_after(WaitsFor::Voucher, 99_000, Some(1_000)).await, HOUR);
    assert_eq!(poll_after(WaitsFor::QrCode, 1_000, Some(999)).await, secs(30));
}

#[tokio::test(start_paused = true)]
async fn what_is_waited_for_goes_by_the_status_unless_it_is_stated() {
    for (status, expected) in [
        (PaymentStatus::Processing, WaitsFor::Processing),
        (PaymentStatus::Authorized, WaitsFor::Capture),
        (PaymentStatus::ActionRequired, WaitsFor::Unknown),
        (PaymentStatus::Unknown("odd".into()), WaitsFor::Unknown),
    ] {
        assert_eq!(waiting(under_way(status.clone(), 60)).await.waits_for(), expected, "{status:?}");
    }
    let remaining = waiting(under_way(PaymentStatus::ActionRequired, 60).with_remaining(500)).await.remaining();
    assert_eq!(remaining.unwrap().to_string(), "5.00 USD");
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_waits_for_its_capture_has_an_end() {
    let waiting = waiting(AUTHORIZED.build()).await;
    assert_eq!((waiting.waits_for(), waiting.until()), (WaitsFor::Capture, AUTHORIZED.capture_before));
    assert_eq!(waiting.poll_after(), HOUR);
}

#[tokio::test(start_paused = true)]
async fn a_hold_for_less_than_was_asked_never_becomes_more() {
    let part = Facts { capturable: 1998, ..AUTHORIZED };
    let told = "amount that can be captured: expected 19.99 USD, actual 19.98 USD";
    assert_only(&verdict(&claim(), &part).await, "amount_capturable_mismatch", told);
    assert_only(&by(Policy::default().accept_authorized(), &part).await, "amount_capturable_mismatch", told);
    // What is captured of it is another matter, and where nothing is held that may be unstated.
    for facts in [Facts { received: Some(1), ..part.clone() }, Facts { capturable: 0, ..part }] {
        assert_eq!(findings(&verdict(&claim(), &facts).await), []);
    }
}

/// A provider of payments that were created when it was made and stay unfinished, with a count of its calls.
#[expect(clippy::unwrap_used, reason = "the settings fit")]
fn unfinished() -> (Arc<AtomicU64>, Validator) {
    let (calls, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let count = Arc::clone(&calls);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, _| {
        count.fetch_add(1, Ordering::Relaxed);
        let is_qr_code = payment.as_str().starts_with("pi_qr");
        let (status, waits_for) = if is_qr_code {
            (PaymentStatus::ActionRequired, WaitsFor::QrCode)
        } else {
            (PaymentStatus::Processing, WaitsFor::Debit)
        };
        let facts = ProviderPayment::new(payment.as_str(), status).with_waits_for(waits_for);
        let facts = facts.with_created(CREATED).with_as_of(CREATED.saturating_add(start.elapsed().as_secs()));
        let facts = facts.with_mode(payproof::Mode::Live).with_amount(1999, payproof::Currency::USD);
        let facts = facts.with_metadata("store_id", "store_42").with_metadata("order_id", "6735");
        async move { Ok(facts) }
    });
    (calls, Validator::builder(provider).build().unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_polls_as_told_costs_few_calls() {
    let (calls, validator) = unfinished();
    let ids = (0..100).map(|number| format!("pi_qr{number}")).chain((0..900).map(|number| format!("pi_debit{number}")));
    let over = Instant::now() + HOUR;
    let polls: Vec<_> = ids
        .map(|id| {
            let validator = validator.clone();
            tokio::spawn(async move {
                let mut polls = 0_u64;
                while Instant::now() < over {
                    polls += 1;
                    let wait = match validator.validate(intent(&id)).await.unwrap().into_verdict() {
                        Verdict::Pending(pending) => pending.poll_after(),
                        Verdict::ActionRequired(action) => action.poll_after(),
                        other => panic!("{other:?}"),
                    };
                    sleep(wait).await;
                }
                polls
            })
        })
        .collect();
    let mut told = 0;
    for poll in polls {
        told += poll.await.unwrap();
    }
    let calls = calls.load(Ordering::Relaxed);
    assert_eq!(calls, told, "every poll is worth a call");
    assert!((900 + 100 * 120..900 + 100 * 160).contains(&calls), "{calls}, and 1,800,000 every two seconds");
}
