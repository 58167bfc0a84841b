//! Money that an order or another payment must not hide.

use payproof::provider::ChangeOf;
use payproof::reconcile::{OrderRecord, OrderState, Unremarkable};
use payproof::{Currency, PaymentStatus, ProviderPayment};

use crate::shop::{DAY, HOUR, Lister, NEW_YEAR, named, order, paid, payment, reconcile, told, usd};

const AT: u64 = NEW_YEAR + HOUR;

/// What runs over so many days tell, each by its number. They see the shop's orders as that day has them.
async fn days(shop: &Lister, number: u64, orders: impl Fn(u64) -> Vec<OrderRecord>) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    for day in 0..number {
        let since = NEW_YEAR + day * DAY;
        let report = reconcile(&shop.window(since, since + DAY).build().unwrap(), orders(day)).await;
        seen.extend(named(&report).into_iter().map(|told| (day, told)));
    }
    seen
}

fn on(day: u64, told: &str) -> (u64, String) {
    (day, told.to_owned())
}

/// A part of the money for this order.
fn part(id: &str, order: &str, minor: u64, at: u64) -> ProviderPayment {
    paid(id, order, at).with_amount(minor, Currency::USD).with_amount_received(minor)
}

#[tokio::test(start_paused = true)]
async fn an_open_order_hides_no_money_as_a_deposit_for_good() {
    let open = |_| vec![order("1", "pi_1", OrderState::Open, AT)];
    for (payment, day) in [
        // A cent is missing, and none comes.
        (part("pi_1", "1", 1999, AT), 3),
        // Paid in full, and a cent given back.
        (paid("pi_1", "1", AT).with_amount_refunded(1), 0),
        // Of another currency: that is no part of the total.
        (paid("pi_1", "1", AT).with_amount(2000, Currency::EUR), 0),
        (part("pi_1", "1", 100, AT).with_amount(100, Currency::EUR), 0),
    ] {
        let shop = Lister::new();
        shop.put(payment);
        assert_eq!(days(&shop, 6, open).await, [on(day, "order_unmarked pi_1 1")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deposit_waits_for_its_balance_and_is_told_with_what_differs() {
    let shop = Lister::new();
    shop.put(part("pi_1", "1", 500, AT));
    let open = || [order("1", "pi_1", OrderState::Open, AT)];
    let report = reconcile(&shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap(), open()).await;
    assert_eq!((named(&report), report.counts().unremarkable(Unremarkable::Waiting)), (vec![], 1));
    // Told in the run in whose window the patience ends, at once: no webhook mends it.
    let since = AT + 3 * DAY - HOUR / 6;
    let builder = shop.window(since, since + HOUR / 2);
    let report = reconcile(&builder.build().unwrap(), open()).await;
    assert_eq!(named(&report), ["order_unmarked pi_1 1"]);
    assert_eq!((told(&report)[0].at(), &*told(&report)[0].findings()[0]), (AT + 3 * DAY, "amount_mismatch"));
}

#[tokio::test(start_paused = true)]
async fn a_second_payment_is_told_whichever_of_both_the_order_names() {
    for name in ["pi_old", "pi_znew", "pi_anew"] {
        let shop = Lister::new();
        shop.put(paid("pi_old", "1", AT));
        let new = if name == "pi_old" { "pi_new" } else { name };
        shop.put(paid(new, "1", AT + 3 * DAY));
        let orders = |_| vec![order("1", name, OrderState::Paid, AT).with_paid(AT)];
        let other = if name == "pi_old" { "pi_new" } else { "pi_old" };
        let mut seen = Vec::new();
        for day in 2..6 {
            let since = NEW_YEAR + day * DAY;
            let report = reconcile(&shop.window(since, since + DAY).build().unwrap(), orders(day)).await;
            seen.extend(named(&report).into_iter().map(|told| (day, told)));
        }
        assert_eq!(seen, [on(3, &format!("order_paid_twice {other} 1"))]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_order_that_is_paid_again_is_told_with_the_later_payment() {
    let shop = Lister::new();
    shop.put(paid("pi_a", "1", AT));
    shop.put(paid("pi_b", "1", AT + 3 * DAY));
    let since = NEW_YEAR + 3 * DAY;
    let cancelled = order("1", "pi_a", OrderState::Cancelled, AT).with_cancelled(AT);
    let report = reconcile(&shop.window(since, since + DAY).build().unwrap(), [cancelled]).await;
    assert_eq!(named(&report), ["cancelled_but_paid pi_b 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_the_shop_alone_knows_of_is_told_when_the_order_was_updated() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "1", AT));
    let orders = |day: u64| {
        let paid = order("1", "pi_1", OrderState::Paid, AT).with_paid(AT);
        let refunded = order("1", "pi_1", OrderState::Refunded, AT).with_paid(AT).with_updated(AT + 3 * DAY);
        vec![if day < 3 { paid } else { refunded }]
    };
    assert_eq!(days(&shop, 6, orders).await, [on(3, "cancelled_but_paid pi_1 1")]);
}

#[tokio::test(start_paused = true)]
async fn an_update_of_an_order_whose_state_has_a_time_tells_nothing_again() {
    let shop = Lister::new();
    shop.put(payment("pi_1", PaymentStatus::Canceled, AT));
    let orders = |day: u64| vec![order("1", "pi_1", OrderState::Paid, AT).with_paid(AT).with_updated(AT + day * DAY)];
    assert_eq!(days(&shop, 3, orders).await, [on(0, "ordered_not_paid pi_1 1")]);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_paid_by_other_means_and_here_too_was_paid_twice() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "1", AT));
    // A voucher paid the rest.
    shop.put(part("pi_2", "2", 500, AT));
    shop.put(paid("pi_3", "3", AT));
    let by = |number: &str, state: OrderState, means: &str| order(number, "", state, AT).with_paid_by(means);
    let orders = [
        by("1", OrderState::Paid, "PayPal"),
        by("2", OrderState::Shipped, "voucher"),
        by("3", OrderState::Open, "card"),
    ];
    let report = reconcile(&shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap(), orders).await;
    assert_eq!(named(&report), ["order_unmarked pi_3 3", "order_paid_twice pi_1 1"]);
    assert_eq!(&*told(&report)[1].findings()[0], "paid_by_other_means");
}

#[tokio::test(start_paused = true)]
async fn two_payments_of_an_order_without_a_total_are_told() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "1", AT));
    shop.put(paid("pi_2", "1", AT));
    let bare = OrderRecord::new("store_42", "1", OrderState::Paid).unwrap().with_payment("pi_1").with_created(AT);
    let report = reconcile(&shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap(), [bare]).await;
    assert_eq!(named(&report), ["order_paid_twice pi_2 1"]);
    assert_eq!(&*told(&report)[0].findings()[0], "total_unknown");
}

#[tokio::test(start_paused = true)]
async fn an_old_payment_that_is_paid_in_the_window_needs_an_order() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "1", NEW_YEAR - 20 * DAY));
    shop.change("pi_1", AT + DAY, ChangeOf::Paid);
    assert_eq!(days(&shop, 4, |_| vec![]).await, [on(1, "paid_not_ordered pi_1 1")]);
}

#[tokio::test(start_paused = true)]
async fn another_tenants_open_order_hides_no_payment() {
    let shop = Lister::new();
    shop.put(paid("pi_v", "9", AT));
    let evil = || {
        let order = OrderRecord::new("evil", "1", OrderState::Open).unwrap();
        order.with_payment("pi_v").with_money(usd("20.01")).with_created(AT)
    };
    let run = async |orders: Vec<OrderRecord>| {
        let report = reconcile(&shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap(), orders).await;
        named(&report)
    };
    assert_eq!(run(vec![evil()]).await, ["paid_not_ordered pi_v 9"]);
    assert_eq!(run(vec![evil(), order("9", "", OrderState::Open, AT)]).await, ["order_unmarked pi_v 9"]);
    assert_eq!(run(vec![evil(), order("9", "", OrderState::Paid, AT)]).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_given_back_later_does_not_undo_deposit_and_balance() {
    let shop = Lister::new();
    shop.put(part("pi_1", "1", 1000, AT).with_amount_refunded(100));
    shop.put(part("pi_2", "1", 1000, AT));
    shop.change("pi_1", AT + DAY, ChangeOf::Refunded);
    let shipped = |_| vec![order("1", "pi_1", OrderState::Shipped, AT).with_paid(AT).with_shipped(AT + HOUR)];
    assert_eq!(days(&shop, 3, shipped).await, []);
}
