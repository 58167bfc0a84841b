//! What one run leaves to the next: aliases, payments that went on meanwhile, and what could not be found out.

use futures_util::stream;
use payproof::provider::ChangeOf;
use payproof::reconcile::{AskRedemptions, OrderState, UnusableOrder};
use payproof::store::RestartLoss;
use payproof::{PaymentIntent, PaymentStatus, Validator, Verdict};

use crate::scratch::Folder;
use crate::shop::{DAY, HOUR, Lister, MINUTE, NEW_YEAR, named, order, paid, payment, reconcile};

const AT: u64 = NEW_YEAR + HOUR;

/// A payment without metadata, which an order names by its session.
fn session_of(shop: &Lister, at: u64) {
    shop.put(payment("pi_1", PaymentStatus::Paid, at).with_amount_received(2000));
    shop.set(|world| drop(world.aliases.insert("cs_1".to_owned(), "pi_1".to_owned())));
}

fn sessions_asked(shop: &Lister) -> usize {
    shop.world.lock().unwrap().look_ups.iter().filter(|id| *id == "cs_1").count()
}

#[tokio::test(start_paused = true)]
async fn an_order_that_names_a_session_is_found_whenever_it_or_its_payment_changed() {
    let until = NEW_YEAR + DAY;
    for (paid_at, marked) in [
        // Around the window's end, and days before a part is given back.
        (until - MINUTE, order("1", "cs_1", OrderState::Paid, until - MINUTE).with_paid(until + MINUTE)),
        (NEW_YEAR - 5 * DAY, order("1", "cs_1", OrderState::Paid, NEW_YEAR - 5 * DAY)),
    ] {
        let shop = Lister::new();
        session_of(&shop, paid_at);
        let refunded = shop.world.lock().unwrap().payments["pi_1"].clone().with_amount_refunded(500);
        shop.put(refunded);
        shop.change("pi_1", until - MINUTE, ChangeOf::Refunded);
        let report = reconcile(&shop.window(NEW_YEAR, until).build().unwrap(), [marked]).await;
        assert_eq!(named(&report), [""; 0]);
    }
    let shop = Lister::new();
    session_of(&shop, AT);
    let open = order("1", "cs_1", OrderState::Open, AT);
    let report = reconcile(&shop.window(NEW_YEAR, until).build().unwrap(), [open]).await;
    assert_eq!(named(&report), ["order_unmarked pi_1 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_asked_about_once_and_remembered() {
    let shop = Lister::new();
    let folder = Folder::new("reconcile-sessions");
    session_of(&shop, AT);
    let marked = || order("1", "cs_1", OrderState::Paid, AT).with_paid(AT);
    for day in 0..8 {
        let since = NEW_YEAR + day * DAY;
        if day == 5 {
            let refunded = shop.world.lock().unwrap().payments["pi_1"].clone().with_amount_refunded(500);
            shop.put(refunded);
            shop.change("pi_1", since + HOUR, ChangeOf::Refunded);
        }
        let reconciler = shop.window(since, since + DAY).work(folder.path().join("work")).build().unwrap();
        assert_eq!(named(&reconcile(&reconciler, [marked()]).await), [""; 0], "day {day}");
    }
    assert_eq!(sessions_asked(&shop), 1);
    // What was remembered says of two orders that they name one payment.
    let since = NEW_YEAR + 8 * DAY;
    let second = order("2", "pi_1", OrderState::Paid, since + HOUR);
    let reconciler = shop.window(since, since + DAY).work(folder.path().join("work")).build().unwrap();
    assert_eq!(named(&reconcile(&reconciler, [marked(), second]).await), ["payment_used_twice pi_1 2"]);
    assert_eq!(sessions_asked(&shop), 1);
}

#[tokio::test(start_paused = true)]
async fn a_debit_that_is_paid_while_a_run_goes_on_is_told_by_the_next_one_alone() {
    for tells_changes in [true, false] {
        let shop = Lister::new();
        let folder = Folder::new("reconcile-meanwhile");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let at = now - 4 * DAY;
        let run = async |since: u64, until: u64, as_of: u64| {
            let builder = shop.window(since, until).orders_as_of(as_of).work(folder.path().join("work"));
            named(&reconcile(&builder.build().unwrap(), [order("1", "pi_d", OrderState::Open, at)]).await)
        };
        shop.put(payment("pi_d", PaymentStatus::Processing, at).with_metadata("order_id", "1"));
        assert_eq!(run(now - 2 * DAY, now - DAY, now - DAY).await, [""; 0]);
        // Paid after the changes were listed, and after the orders were exported. What says so is of that time.
        shop.put(paid("pi_d", "1", at).with_as_of(now + 1000));
        if tells_changes {
            shop.change("pi_d", now + 900, ChangeOf::Paid);
        }
        assert_eq!(run(now - DAY, now - HOUR / 2, now).await, [""; 0]);
        // By the next run the webhook is lost.
        assert_eq!(run(now - HOUR / 2, now + DAY, now + 2 * DAY).await, ["order_unmarked pi_d 1"]);
        assert_eq!(run(now + DAY, now + 2 * DAY, now + 9 * DAY).await, [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_debit_whose_order_stands_on_an_unusable_line_is_carried_on() {
    let shop = Lister::new();
    let folder = Folder::new("reconcile-unusable");
    let day = |number: u64| NEW_YEAR + number * DAY;
    let names = |named: bool| {
        let line = UnusableOrder::new("amount must have a point");
        if named { line.with_payment("pi_d") } else { line.with_order("store_42", "1") }
    };
    for is_named in [true, false] {
        let work = folder.path().join(format!("work-{is_named}"));
        shop.put(payment("pi_d", PaymentStatus::Processing, day(0)).with_metadata("order_id", "1"));
        let first = shop.window(day(0), day(1)).work(&work).build().unwrap();
        drop(first.run(stream::iter([Err(names(is_named))])).await.unwrap());
        // It leaves the list.
        shop.put(paid("pi_d", "1", day(0)));
        let later = shop.window(day(20), day(21)).work(&work).build().unwrap();
        assert_eq!(named(&reconcile(&later, []).await), ["paid_not_ordered pi_d 1"], "{is_named}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_payment_of_ever_so_many_orders_is_told_once() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "none", AT));
    let number = |number: u32| format!("{number:0>250}");
    let orders = (0..80_000).map(|of| order(&number(of), "pi_1", OrderState::Paid, AT));
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap();
    let report = reconcile(&reconciler, orders).await;
    let differs = format!("differs pi_1 {}", number(0));
    assert_eq!(named(&report), [differs, format!("payment_used_twice pi_1 {}", number(79_999))]);
}

#[tokio::test(start_paused = true)]
async fn what_was_redeemed_needs_no_paid_order_once_it_is_refunded() {
    let shop = Lister::new();
    let validator =
        Validator::builder(shop.clone()).only_instance().restart_loses_at_most(RestartLoss::All).build().unwrap();
    for (id, of, at) in [("pi_1", "1", AT), ("pi_old", "2", NEW_YEAR - 60 * DAY)] {
        shop.put(paid(id, of, at));
        let intent = PaymentIntent::new("store_42", id, crate::shop::usd("20.00")).unwrap().with_order(of).unwrap();
        let Verdict::Valid(proof) = validator.validate(intent).await.unwrap().into_verdict() else {
            panic!("{id} is valid");
        };
        let _ = validator.redeem(proof).await.unwrap();
        shop.put(paid(id, of, at).with_amount_refunded(500));
        shop.change(id, AT + HOUR, ChangeOf::Refunded);
    }
    let refunded = order("1", "pi_1", OrderState::Refunded, AT);
    let builder = validator.reconciler().since(NEW_YEAR).until(NEW_YEAR + DAY).orders_as_of(NEW_YEAR + DAY + HOUR);
    let reconciler = builder.pace(1000).redemptions(AskRedemptions::All).build().unwrap();
    assert_eq!(named(&reconcile(&reconciler, [refunded]).await), [""; 0]);
}
