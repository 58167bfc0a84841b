//! What is asked beside the list, what is confirmed by it, and what a person has accepted.

use std::time::Duration;

use futures_util::stream;
use payproof::provider::ChangeOf;
use payproof::reconcile::{
    AskRedemptions, Discrepancy, DiscrepancyClass, KnownDiscrepancy, OrderRecord, OrderState, ReconcileStatus,
    Reconciliation, UnusableOrder,
};
use payproof::store::{MemoryStore, RestartLoss};
use payproof::testing::{FlakyStore, StoreVerb};
use payproof::{PaymentIntent, PaymentStatus, Validator, Verdict};
use tokio::time::{Instant, timeout};

use crate::scratch::Folder;
use crate::shop::{DAY, HOUR, Lister, NEW_YEAR, lines, named, order, paid, payment, reconcile, told, usd, written};

const AT: u64 = NEW_YEAR + HOUR;

async fn day(shop: &Lister, orders: impl IntoIterator<Item = OrderRecord>) -> Reconciliation {
    reconcile(&shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap(), orders).await
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_says_afresh_wins_over_its_list() {
    let shop = Lister::new();
    for id in ["pi_refunded", "pi_kept"] {
        shop.put(paid(id, "none", AT));
    }
    shop.set(|world| {
        let listed = world.payments["pi_refunded"].clone();
        world.payments.insert("pi_refunded".to_owned(), listed.clone().with_amount_refunded(2000));
        world.listed.insert("pi_refunded".to_owned(), listed);
    });
    let report = day(&shop, []).await;
    assert_eq!(named(&report), ["paid_not_ordered pi_kept none"]);
    assert!(told(&report)[0].is_confirmed());
    // Without look-ups the list is all there is, and it is said so.
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).confirm(0).build().unwrap();
    let report = reconcile(&reconciler, []).await;
    assert!(told(&report).len() == 2 && told(&report).iter().all(|told| !told.is_confirmed()));
    let counts = report.counts().of(DiscrepancyClass::PaidNotOrdered);
    assert_eq!((counts.told, counts.unconfirmed), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_fails_leaves_a_discrepancy_unconfirmed_or_the_order_unknown() {
    let shop = Lister::new();
    shop.put(paid("pi_listed", "1", AT));
    shop.set(|world| world.broken.extend(["pi_listed".to_owned(), "pi_named".to_owned()]));
    let report = day(&shop, [order("2", "pi_named", OrderState::Paid, AT)]).await;
    assert_eq!(named(&report), ["paid_not_ordered pi_listed 1", "unknown pi_named 2"]);
    assert_eq!(told(&report).iter().map(Discrepancy::is_confirmed).collect::<Vec<_>>(), [false, false]);
    assert_eq!((&*told(&report)[1].findings()[0], report.status()), ("provider_refused", ReconcileStatus::Found));
}

#[tokio::test(start_paused = true)]
async fn what_is_accepted_is_told_as_known_until_that_ends() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "1", AT));
    shop.put(paid("pi_2", "2", AT));
    let exported = NEW_YEAR + DAY + HOUR;
    let known = |until: u64| {
        let of_payment = KnownDiscrepancy::new(DiscrepancyClass::PaidNotOrdered, "a gift").with_payment("pi_1");
        let of_order = KnownDiscrepancy::new(DiscrepancyClass::PaidNotOrdered, "by hand").with_order("2").until(until);
        let other = KnownDiscrepancy::new(DiscrepancyClass::Differs, "another class").with_payment("pi_1");
        let of_another =
            KnownDiscrepancy::new(DiscrepancyClass::PaidNotOrdered, "another's").with_order("2").with_tenant("store_7");
        let all = KnownDiscrepancy::new(DiscrepancyClass::PaidNotOrdered, "names nothing");
        [other, of_another, all, of_payment, of_order.with_tenant("store_42")]
    };
    for (until, reasons, status) in [
        (exported + 1, [Some("a gift"), Some("by hand")], ReconcileStatus::Clean),
        (exported, [Some("a gift"), None], ReconcileStatus::Found),
    ] {
        let builder = shop.window(NEW_YEAR, NEW_YEAR + DAY).orders_as_of(exported).known(known(until));
        let report = reconcile(&builder.build().unwrap(), []).await;
        let told = told(&report);
        assert_eq!(told.iter().map(|told| told.known()).collect::<Vec<_>>(), reasons);
        assert_eq!(report.status(), status);
        let counts = report.counts().of(DiscrepancyClass::PaidNotOrdered);
        assert_eq!(counts.known + counts.told, 2);
        // What is known is no part of the sums.
        let sums: Vec<_> = report.sums().map(|(_, money)| money).collect();
        assert_eq!(sums, if counts.told == 0 { vec![] } else { vec![usd("20.00")] });
    }
}

#[tokio::test(start_paused = true)]
async fn a_redemption_for_an_order_that_is_not_paid_is_told_and_the_store_is_only_read() {
    let shop = Lister::new();
    let unbound = |id: &str| payment(id, PaymentStatus::Paid, AT).with_amount_received(2000);
    for id in ["pi_lost", "pi_used", "pi_elsewhere"] {
        shop.put(unbound(id));
    }
    let store = FlakyStore::new(MemoryStore::new());
    let builder = Validator::builder(shop.clone()).store(store.clone()).only_instance();
    let validator = builder.restart_loses_at_most(RestartLoss::All).build().unwrap();
    for (id, order) in [("pi_lost", "lost"), ("pi_used", "used"), ("pi_elsewhere", "elsewhere")] {
        let intent = PaymentIntent::new("store_42", id, usd("20.00")).unwrap();
        let Verdict::Valid(proof) = validator.validate(intent).await.unwrap().into_verdict() else { panic!("{id}") };
        let _ = validator.redeem(proof).order(order).await.unwrap();
    }
    // One is redeemed for the order that names it, and one for another order than that.
    let orders =
        || [order("used", "pi_used", OrderState::Paid, AT), order("other", "pi_elsewhere", OrderState::Paid, AT)];
    let writes = || [StoreVerb::Claim, StoreVerb::Replace, StoreVerb::Remove].map(|verb| store.calls(verb));
    let before = writes();
    for (asked, expected) in [
        (AskRedemptions::No, vec!["paid_not_ordered pi_lost -"]),
        (AskRedemptions::Candidates, vec!["redeemed_without_order pi_lost lost"]),
        (
            AskRedemptions::All,
            vec!["redeemed_without_order pi_elsewhere elsewhere", "redeemed_without_order pi_lost lost"],
        ),
    ] {
        let builder = validator.reconciler().since(NEW_YEAR).until(NEW_YEAR + DAY).orders_as_of(NEW_YEAR + DAY + HOUR);
        let report = reconcile(&builder.redemptions(asked).build().unwrap(), orders()).await;
        assert_eq!(named(&report), expected, "{}", asked.as_str());
    }
    assert_eq!(writes(), before, "reconciling writes nothing into the store");
}

#[tokio::test(start_paused = true)]
async fn an_order_may_name_its_payment_by_its_session() {
    let shop = Lister::new();
    shop.put(payment("pi_1", PaymentStatus::Paid, AT).with_amount_received(2000));
    shop.put(paid("pi_2", "2", AT));
    shop.set(|world| {
        world.aliases.insert("cs_1".to_owned(), "pi_1".to_owned());
        world.aliases.insert("cs_2".to_owned(), "pi_2".to_owned());
    });
    let orders = ["1", "2"].map(|number| order(number, &format!("cs_{number}"), OrderState::Paid, AT));
    assert_eq!(named(&day(&shop, orders).await), [""; 0]);
    let dearer = order("1", "cs_1", OrderState::Paid, AT).with_money(usd("21.00"));
    assert_eq!(named(&day(&shop, [dearer]).await), ["paid_not_ordered pi_2 2", "differs pi_1 1"]);
}

#[tokio::test(start_paused = true)]
async fn equal_orders_of_two_tenants_are_two_orders() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "1", AT));
    let of_other = OrderRecord::new("store_7", "1", OrderState::Paid).unwrap().with_created(AT).with_paid_by("cash");
    assert_eq!(named(&day(&shop, [of_other]).await), ["paid_not_ordered pi_1 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_cannot_be_used_is_told_and_its_payment_is_not_said_to_have_no_order() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "1", AT));
    shop.put(paid("pi_2", "2", AT));
    let lines = vec![
        Err(UnusableOrder::new("amount must have a point").with_payment("pi_1")),
        Err(UnusableOrder::new("state is missing").with_order("store_42", "2")),
        Err(UnusableOrder::new("a quote is not closed")),
    ];
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap();
    let report = reconciler.run(stream::iter(lines)).await.unwrap();
    assert_eq!(named(&report), ["unknown - -", "unknown - 2", "unknown pi_1 -"]);
    assert_eq!((report.counts().unusable_orders(), report.is_complete()), (3, false));
}

#[tokio::test(start_paused = true)]
async fn nothing_personal_is_told_or_written_down() {
    let shop = Lister::new();
    let folder = Folder::new("reconcile-personal");
    shop.put(paid("pi_1", "1", AT));
    shop.put(payment("pi_2", PaymentStatus::Processing, AT));
    shop.set(|world| world.pages_before_failure = Some(1));
    let work = folder.path().join("work");
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).work(&work).build().unwrap();
    let report = reconcile(&reconciler, []).await;
    assert!(!report.is_complete(), "so that all files are there");
    let mut files = 0;
    for entry in std::fs::read_dir(&work).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("Ada") && !text.contains("cus_of_ada"), "{}", path.display());
            files += usize::from(text.contains("pi_1"));
        }
    }
    assert!(files >= 2, "the payments are written down");
    let shown = format!("{} {report:?}", written(&report));
    assert!(shown.contains("pi_1") && !shown.contains("Ada") && !shown.contains("cus_of_ada"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_comes_twice_counts_once_and_an_unreadable_one_is_looked_up() {
    let shop = Lister::new();
    shop.put(paid("pi_1", "1", AT));
    shop.put(paid("pi_2", "2", AT));
    // Behind the first page it comes again.
    shop.set(|world| {
        world.twice = true;
        world.unreadable.push("pi_2".to_owned());
    });
    let report = day(&shop, [order("2", "pi_2", OrderState::Paid, AT)]).await;
    assert_eq!(named(&report), ["paid_not_ordered pi_1 1"]);
    assert_eq!((report.counts().payments(), report.is_complete()), (1, true));
}

#[tokio::test(start_paused = true)]
async fn the_pace_is_held_and_calls_do_not_overlap() {
    let shop = Lister::new();
    for number in 0..50 {
        shop.put(paid(&format!("pi_{number}"), &number.to_string(), AT));
    }
    shop.set(|world| world.page = 1);
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).pace(5).confirm(10).build().unwrap();
    let begin = Instant::now();
    let report = reconcile(&reconciler, []).await;
    let calls = report.counts().pages() + report.counts().look_ups();
    assert_eq!(calls, 61, "50 payments, a page without changes, and 10 look-ups");
    assert!(begin.elapsed().as_millis() >= 200 * u128::from(calls - 1), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_discrepancy_is_not_told_again_by_the_next_run() {
    let shop = Lister::new();
    let folder = Folder::new("reconcile-once");
    shop.put(payment("pi_unpaid", PaymentStatus::ActionRequired, AT));
    shop.put(paid("pi_alone", "alone", AT));
    let orders = || [order("1", "pi_unpaid", OrderState::Paid, AT)];
    let mut seen = Vec::new();
    for number in 0..5 {
        let since = NEW_YEAR + number * DAY;
        let reconciler = shop.window(since, since + DAY).work(folder.path().join("work")).build().unwrap();
        seen.extend(named(&reconcile(&reconciler, orders()).await));
    }
    assert_eq!(seen, ["paid_not_ordered pi_alone alone", "ordered_not_paid pi_unpaid 1"]);
}

#[tokio::test(start_paused = true)]
async fn what_no_webhook_mends_is_told_however_recent_it_is() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-however-recent"));
    let until = NEW_YEAR + DAY;
    shop.put(payment("pi_canceled", PaymentStatus::Canceled, until - HOUR / 6));
    let orders = [
        order("1", "pi_canceled", OrderState::Paid, until - HOUR / 6),
        order("2", "", OrderState::Paid, until - HOUR / 6),
    ];
    let builder = shop.window(NEW_YEAR, until).orders_as_of(until).work(folder.path().join("work"));
    let report = reconcile(&builder.build().unwrap(), orders).await;
    assert_eq!(named(&report), ["ordered_not_paid - 2", "ordered_not_paid pi_canceled 1"]);
    assert!(told(&report).iter().all(|told| !told.is_recent()));
}

#[tokio::test(start_paused = true)]
async fn changes_that_the_provider_has_forgotten_make_the_report_incomplete() {
    let shop = Lister::new();
    let folder = Folder::new("reconcile-forgotten");
    shop.change("pi_old", AT, ChangeOf::Refunded);
    for (forgotten, is_complete) in [(NEW_YEAR, true), (NEW_YEAR + 1, false)] {
        shop.set(|world| world.changes_since = Some(forgotten));
        let report = day(&shop, []).await;
        assert_eq!((report.is_complete(), report.missing().len()), (is_complete, usize::from(!is_complete)));
    }
    // A run that broke off after its lists says so, too.
    shop.set(|world| world.broken_down = true);
    let reconciler = shop.window(NEW_YEAR, NEW_YEAR + DAY).work(folder.path().join("work")).build().unwrap();
    assert!(timeout(Duration::from_secs(60), reconciler.run(lines([]))).await.is_err());
    shop.set(|world| world.broken_down = false);
    assert!(!reconciler.resume().await.unwrap().is_complete());
}
