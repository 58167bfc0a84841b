//! What cannot be found out: it is asked again, or told and followed, and makes nothing else look wrong.

use std::time::Duration;

use payproof::reconcile::{OrderState, ReconcileStatus};
use payproof::{AliasState, PaymentStatus};

use crate::scratch::Folder;
use crate::shop::{DAY, HOUR, Lister, NEW_YEAR, named, order, paid, payment, reconcile, told, written};

const AT: u64 = NEW_YEAR + HOUR;

#[tokio::test(start_paused = true)]
async fn a_resumed_run_makes_the_look_ups_again_that_failed_and_no_others() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-failed-again"));
    shop.put(payment("pi_a", PaymentStatus::Canceled, AT - 40 * DAY));
    shop.put(paid("pi_lost", "lost", AT));
    let marked = |number: &str, id: &str| order(number, id, OrderState::Paid, AT);
    let orders = || [marked("1", "pi_a"), marked("2", "pi_b"), marked("3", "pi_c")];
    let builder = || shop.window(NEW_YEAR, NEW_YEAR + DAY);
    let whole = written(&reconcile(&builder().build().unwrap(), orders()).await);
    // One that finds a payment, and one that confirms a discrepancy.
    shop.set(|world| world.failing.extend(["pi_b", "pi_lost"].map(str::to_owned)));
    let reconciler = builder().work(folder.path().join("work")).build().unwrap();
    let report = reconcile(&reconciler, orders()).await;
    assert_eq!((report.status(), report.missing().len()), (ReconcileStatus::Incomplete, 2), "{:?}", report.missing());
    assert!(named(&report).contains(&"unknown pi_b 2".to_owned()), "{:?}", named(&report));
    drop(report);
    shop.set(|world| world.failing.clear());
    shop.world.lock().unwrap().look_ups.clear();
    let healed = reconciler.resume().await.unwrap();
    assert_eq!(written(&healed), whole);
    assert_eq!(shop.world.lock().unwrap().look_ups, ["pi_b", "pi_lost"]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_refused_is_told_once_and_followed_until_it_is_answered() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-refused"));
    shop.set(|world| world.broken.push("pi_1".to_owned()));
    let night = async |number: u64| {
        let since = NEW_YEAR + number * DAY;
        let reconciler = shop.window(since, since + DAY).work(folder.path().join("work")).build().unwrap();
        let report = reconcile(&reconciler, [order("1", "pi_1", OrderState::Paid, AT)]).await;
        (named(&report), report.status())
    };
    assert_eq!(night(0).await, (vec!["unknown pi_1 1".to_owned()], ReconcileStatus::Found));
    assert_eq!(night(1).await, (vec![], ReconcileStatus::Clean));
    shop.set(|world| world.broken.clear());
    shop.put(payment("pi_1", PaymentStatus::Canceled, AT - 40 * DAY));
    assert_eq!(night(2).await, (vec!["ordered_not_paid pi_1 1".to_owned()], ReconcileStatus::Found));
    assert_eq!(night(3).await, (vec![], ReconcileStatus::Clean));
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_may_be_a_refused_sessions_is_not_said_to_have_no_order() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-session-refused"));
    shop.put(payment("pi_1", PaymentStatus::Paid, AT).with_amount_received(2000));
    shop.put(payment("pi_2", PaymentStatus::Paid, AT).with_amount_received(2000));
    shop.set(|world| {
        world.aliases.insert("cs_1".to_owned(), "pi_1".to_owned());
        world.broken.push("cs_1".to_owned());
    });
    let night = async |number: u64| {
        let since = NEW_YEAR + number * DAY;
        let reconciler = shop.window(since, since + DAY).work(folder.path().join("work")).build().unwrap();
        named(&reconcile(&reconciler, [order("1", "cs_1", OrderState::Paid, AT)]).await)
    };
    assert_eq!(night(0).await, ["unknown cs_1 1", "unknown pi_1 -", "unknown pi_2 -"]);
    assert_eq!(night(1).await, [""; 0]);
    shop.set(|world| world.broken.clear());
    // One of them is the session's, and the other has no order.
    assert_eq!(night(2).await, ["paid_not_ordered pi_2 -"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_without_a_payment_is_asked_about_once() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-session-expired"));
    shop.set(|world| {
        world.without_payment.insert("cs_over".to_owned(), AliasState::Expired);
        world.without_payment.insert("cs_open".to_owned(), AliasState::Open);
    });
    for number in 0..4 {
        let since = NEW_YEAR + number * DAY;
        let reconciler = shop.window(since, since + DAY).work(folder.path().join("work")).build().unwrap();
        let open = |number: &str, id: &str| order(number, id, OrderState::Open, AT);
        let report = reconcile(&reconciler, [open("1", "cs_over"), open("2", "cs_open")]).await;
        assert_eq!(named(&report), [""; 0]);
    }
    let asked = |id: &str| shop.world.lock().unwrap().look_ups.iter().filter(|asked| *asked == id).count();
    assert_eq!((asked("cs_over"), asked("cs_open")), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn an_order_with_more_payments_than_can_be_one_orders_is_told_as_that() {
    for (count, expected) in [(1000, "order_paid_twice"), (1001, "unknown"), (70_000, "unknown")] {
        let shop = Lister::new();
        for number in 0..count {
            shop.put(paid(&format!("pi_{number}"), "undefined", AT + number % HOUR));
        }
        shop.set(|world| world.page = 10_000);
        let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).confirm(0).build().unwrap();
        let report = reconcile(&reconciler, [order("undefined", "", OrderState::Paid, AT)]).await;
        let told = told(&report);
        assert_eq!((told.len(), told[0].class().code()), (1, expected), "{count}");
        if expected == "unknown" {
            assert_eq!((&*told[0].findings()[0], told[0].order()), ("too_many_payments", Some("undefined")));
            assert_eq!(told[0].at(), AT + (count - 1).min(HOUR - 1), "when the last of them came");
        }
    }
}

#[test]
fn what_waits_for_longer_than_payments_are_listed_is_refused() {
    let shop = Lister::new();
    let days = |days: u64| Duration::from_secs(days * DAY);
    let builder = || shop.window(NEW_YEAR, NEW_YEAR + DAY);
    assert!(builder().pending_after(days(14)).build().is_ok());
    for builder in [builder().pending_after(days(15)), builder().look_back(days(2))] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.starts_with("pending_after") && error.contains("look_back"), "{error}");
    }
}
