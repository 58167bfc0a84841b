//! What happens every day in a shop and is no discrepancy, and the payments that change days after they were made.

use payproof::provider::ChangeOf;
use payproof::reconcile::{DiscrepancyClass, OrderState, ReconcileStatus, Unremarkable};
use payproof::{PaymentMethod, PaymentStatus, WaitsFor};

use crate::scratch::Folder;
use crate::shop::{DAY, HOUR, Lister, MINUTE, NEW_YEAR, named, order, paid, payment, reconcile, told, usd};

/// One run over a day, which tells nothing.
async fn tells_nothing(
    shop: &Lister,
    orders: Vec<payproof::reconcile::OrderRecord>,
) -> payproof::reconcile::Reconciliation {
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap();
    let report = reconcile(&reconciler, orders).await;
    assert_eq!((named(&report), report.status()), (vec![], ReconcileStatus::Clean), "{:?}", report.missing());
    report
}

#[tokio::test(start_paused = true)]
async fn an_old_payment_that_is_refunded_today_needs_no_order_in_the_export() {
    let shop = Lister::new();
    let old = NEW_YEAR - 60 * DAY;
    shop.put(paid("pi_old", "1", old).with_amount_refunded(500));
    shop.change("pi_old", NEW_YEAR + HOUR, ChangeOf::Refunded);
    let report = tells_nothing(&shop, vec![]).await;
    assert_eq!(report.counts().unremarkable(Unremarkable::Outside), 1);
}

#[tokio::test(start_paused = true)]
async fn orders_paid_by_other_means_and_free_ones_need_no_payment() {
    let shop = Lister::new();
    let bare = |number: &str| {
        payproof::reconcile::OrderRecord::new("store_42", number, OrderState::Paid)
            .unwrap()
            .with_created(NEW_YEAR + HOUR)
    };
    let free = payproof::Units::iso_4217().to_money(0, payproof::Currency::USD);
    let orders = vec![
        bare("cash").with_money(usd("20.00")).with_paid_by("cash"),
        bare("paypal").with_money(usd("20.00")).with_paid_by("PayPal").with_payment("8XY12345"),
        bare("free").with_money(free),
    ];
    let report = tells_nothing(&shop, orders).await;
    assert_eq!((report.counts().unremarkable(Unremarkable::Outside), report.counts().look_ups()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_return_after_shipping_and_a_dispute_after_it_are_no_discrepancies() {
    let shop = Lister::new();
    let at = NEW_YEAR + HOUR;
    shop.put(paid("pi_returned", "1", at).with_amount_refunded(2000));
    shop.change("pi_returned", at + 3 * HOUR, ChangeOf::Refunded);
    shop.put(paid("pi_disputed", "2", at).with_dispute(payproof::Dispute::Open));
    shop.change("pi_disputed", at + 3 * HOUR, ChangeOf::Disputed);
    let shipped =
        |number: &str, id: &str| order(number, id, OrderState::Shipped, at).with_paid(at).with_shipped(at + HOUR);
    let report = tells_nothing(&shop, vec![shipped("1", "pi_returned"), shipped("2", "pi_disputed")]).await;
    assert_eq!(report.counts().unremarkable(Unremarkable::Matched), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deposit_and_the_balance_pay_one_order() {
    let shop = Lister::new();
    let at = NEW_YEAR + HOUR;
    let part = |id: &str, minor: u64| {
        paid(id, "1", at).with_amount(minor, payproof::Currency::USD).with_amount_received(minor)
    };
    shop.put(part("pi_deposit", 500));
    // While the order is open, the deposit alone is no reason to tell of it.
    tells_nothing(&shop, vec![order("1", "pi_deposit", OrderState::Open, at)]).await;
    shop.put(part("pi_balance", 1500));
    tells_nothing(&shop, vec![order("1", "pi_deposit", OrderState::Paid, at).with_paid(at)]).await;
    // A cent more than the total is told.
    shop.put(part("pi_balance", 1501));
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap();
    let report = reconcile(&reconciler, [order("1", "pi_deposit", OrderState::Paid, at).with_paid(at)]).await;
    assert_eq!(named(&report), ["order_paid_twice pi_balance 1"]);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_names_a_charge_is_unknown_and_not_unpaid() {
    let shop = Lister::new();
    let at = NEW_YEAR + HOUR;
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap();
    let report = reconcile(&reconciler, [order("1", "ch_1", OrderState::Paid, at)]).await;
    assert_eq!((named(&report), report.status()), (vec!["unknown - 1".to_owned()], ReconcileStatus::Found));
    // Where the payment itself names the order, there is nothing to tell.
    shop.put(paid("pi_1", "1", at));
    tells_nothing(&shop, vec![order("1", "ch_1", OrderState::Paid, at)]).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_paid_while_the_orders_were_exported_is_left_to_the_next_run() {
    let shop = Lister::new();
    let folder = Folder::new("reconcile-too-recent");
    let (until, exported) = (NEW_YEAR + DAY, NEW_YEAR + DAY + 10 * MINUTE);
    shop.put(paid("pi_now", "1", until - 5 * MINUTE));
    let run = |since: u64, until: u64, as_of: u64| {
        let builder = shop.window(since, until).orders_as_of(as_of).work(folder.path().join("work"));
        builder.build().unwrap()
    };
    let report = reconcile(&run(NEW_YEAR, until, exported), []).await;
    assert_eq!((named(&report), report.counts().unremarkable(Unremarkable::TooRecent)), (vec![], 1));
    drop(report);
    let report = reconcile(&run(until, until + DAY, until + DAY + HOUR), []).await;
    assert_eq!(named(&report), ["paid_not_ordered pi_now 1"]);
    assert!(told(&report)[0].is_recent(), "a webhook may still come");
}

/// What became of the debit, as 14 daily runs tell it. Each sees the provider as it is when it runs.
async fn fourteen_days(tells_changes: bool) -> Vec<(u64, String)> {
    let shop = Lister::new();
    let folder = Folder::new(if tells_changes { "reconcile-debit-told" } else { "reconcile-debit" });
    let day = |number: u64| NEW_YEAR + number * DAY;
    let created = day(2) + 10 * HOUR;
    let debit = payment("pi_debit", PaymentStatus::Processing, created).with_method(PaymentMethod::BankDebit);
    let mut seen = Vec::new();
    for number in 1..=14 {
        // At half past midnight the day before is reconciled.
        if number >= 3 {
            shop.put(debit.clone().with_waits_for(WaitsFor::Debit));
        }
        if number >= 7 {
            shop.put(paid("pi_debit", "1", created).with_method(PaymentMethod::BankDebit).with_paid_at(created));
            if tells_changes && number == 7 {
                shop.change("pi_debit", day(6) + 9 * HOUR, ChangeOf::Paid);
            }
        }
        let reconciler = shop.window(day(number - 1), day(number)).work(folder.path().join("work")).build().unwrap();
        let report = reconcile(&reconciler, []).await;
        assert!(report.is_complete());
        seen.extend(named(&report).into_iter().map(|told| (number - 1, told)));
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_debit_that_is_paid_days_later_is_told_exactly_once() {
    for tells_changes in [true, false] {
        assert_eq!(
            fourteen_days(tells_changes).await,
            [(6, "paid_not_ordered pi_debit 1".to_owned())],
            "{tells_changes}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_under_way_for_too_long_is_told_once() {
    let shop = Lister::new();
    let folder = Folder::new("reconcile-pending");
    let day = |number: u64| NEW_YEAR + number * DAY;
    shop.put(payment("pi_slow", PaymentStatus::Processing, day(0) + HOUR));
    let mut seen = Vec::new();
    for number in 1..=20 {
        let reconciler = shop.window(day(number - 1), day(number)).work(folder.path().join("work")).build().unwrap();
        let report = reconcile(&reconciler, []).await;
        seen.extend(told(&report).into_iter().map(|told| (number - 1, told.class())));
    }
    assert_eq!(seen, [(3, DiscrepancyClass::Pending)]);
    // Since it left the list it was looked up by itself, once a run.
    assert_eq!(shop.world.lock().unwrap().look_ups.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn an_hourly_run_tells_of_a_payment_made_long_after_the_page_was_loaded() {
    let shop = Lister::new();
    let loaded = NEW_YEAR + 45 * MINUTE;
    shop.put(paid("pi_late", "1", loaded).with_paid_at(loaded + 31 * MINUTE));
    let mut seen = Vec::new();
    for hour in 1..=4 {
        let until = NEW_YEAR + hour * HOUR;
        let reconciler = shop.window(until - HOUR, until).build().unwrap();
        seen.extend(named(&reconcile(&reconciler, []).await).into_iter().map(|told| (hour, told)));
    }
    assert_eq!(seen, [(2, "paid_not_ordered pi_late 1".to_owned())]);
}
