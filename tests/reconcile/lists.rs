//! What the provider's lists leave out or say in their own way, and what is told for it.

use std::time::Duration;

use payproof::PaymentStatus;
use payproof::provider::ChangeOf;
use payproof::reconcile::{OrderState, Reconciliation};

use crate::shop::{DAY, HOUR, Lister, NEW_YEAR, named, order, paid, payment, reconcile};

const AT: u64 = NEW_YEAR + 2 * HOUR;

/// What is missing of the night that ends on this day of the year.
async fn night(shop: &Lister, day: u64) -> Vec<String> {
    let until = NEW_YEAR + day * DAY;
    let report = reconcile(&shop.window(until - DAY, until).build().unwrap(), []).await;
    missing(&report)
}

pub(crate) fn missing(report: &Reconciliation) -> Vec<String> {
    report.missing().iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_be_read_counts_in_the_night_that_it_may_be_of_and_in_no_other() {
    let shop = Lister::new();
    let at = NEW_YEAR + 2 * DAY + HOUR;
    shop.set(|world| world.nameless.push(at..at + 1));
    for day in 1..=14 {
        let expected: &[&str] = if day == 3 { &["2 items of the provider's lists cannot be read"] } else { &[] };
        assert_eq!(night(&shop, day).await, expected, "day {day}");
    }
    // Between neighbors of two nights.
    let midnight = NEW_YEAR + 20 * DAY;
    shop.set(|world| {
        world.nameless.clear();
        world.nameless.push(midnight - HOUR..midnight + HOUR);
    });
    for (day, is_told) in [(20, true), (21, true), (22, false)] {
        assert_eq!(!night(&shop, day).await.is_empty(), is_told, "day {day}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_goes_round_ends_and_what_it_had_is_reconciled() {
    for round in [1, 2, 7] {
        let shop = Lister::new();
        for number in 0..30 {
            shop.put(paid(&format!("pi_{number}"), &number.to_string(), AT + number));
        }
        shop.set(|world| (world.page, world.goes_round_after) = (2, Some(round)));
        let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap();
        let report = tokio::time::timeout(Duration::from_secs(3600), reconcile(&reconciler, [])).await.unwrap();
        assert_eq!(missing(&report), ["payments: the list goes round: a page leads to one that was read before"]);
        assert!(report.counts().pages() <= 4 * round as u64 + 2, "{} pages", report.counts().pages());
        assert_eq!(named(&report).len(), 2 * round, "each is told once");
    }
}

#[tokio::test(start_paused = true)]
async fn what_happened_to_a_payment_is_known_of_its_session() {
    let old = |id: &str| payment(id, PaymentStatus::Paid, AT - 100 * DAY).with_amount_received(2000);
    let shop = Lister::new();
    shop.put(old("pi_1").with_amount_refunded(2000));
    shop.put(old("pi_2").with_amount_refunded(2000));
    for number in ["1", "2"] {
        shop.set(|world| drop(world.aliases.insert(format!("cs_{number}"), format!("pi_{number}"))));
        shop.change(&format!("pi_{number}"), AT, ChangeOf::Refunded);
    }
    let shipped = |number: &str, at: u64| {
        order(number, &format!("cs_{number}"), OrderState::Shipped, AT - 100 * DAY).with_shipped(at)
    };
    let report = reconcile(
        &shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap(),
        // One was shipped after its money was given back.
        [shipped("1", AT + HOUR), shipped("2", AT - HOUR)],
    )
    .await;
    assert_eq!(named(&report), ["refunded_but_shipped pi_1 1"]);
}
