//! Night after night over one work folder: each thing is told once, and nothing is lost between two runs.

use std::path::Path;

use futures_util::stream;
use payproof::reconcile::{OrderRecord, OrderState, ReconcileStatus, Unremarkable, UnusableOrder};
use payproof::{Currency, PaymentMethod, PaymentStatus, ProviderPayment};

use crate::scratch::Folder;
use crate::shop::{DAY, HOUR, Line, Lister, MINUTE, NEW_YEAR, lines, named, order, paid, payment, reconcile, told};

const AT: u64 = NEW_YEAR + HOUR;

fn day(number: u64) -> u64 {
    NEW_YEAR + number * DAY
}

/// What the run over a day tells, and how it ended.
async fn night(shop: &Lister, work: &Path, number: u64, orders: Vec<Line>) -> (Vec<String>, ReconcileStatus) {
    let reconciler = shop.window(day(number), day(number + 1)).work(work).build().unwrap();
    let report = reconciler.run(stream::iter(orders)).await.unwrap();
    (named(&report), report.status())
}

fn ok(orders: impl IntoIterator<Item = OrderRecord>) -> Vec<Line> {
    orders.into_iter().map(Ok).collect()
}

fn nothing() -> (Vec<String>, ReconcileStatus) {
    (vec![], ReconcileStatus::Clean)
}

fn found(told: &[&str]) -> (Vec<String>, ReconcileStatus) {
    (told.iter().map(|told| (*told).to_owned()).collect(), ReconcileStatus::Found)
}

#[tokio::test(start_paused = true)]
async fn an_unusable_line_is_told_once_and_what_it_hid_once_it_is_mended() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-line-mended"));
    let work = folder.path().join("work");
    shop.put(paid("pi_2", "2", AT));
    shop.put(payment("pi_3", PaymentStatus::Paid, AT).with_amount_received(2000));
    let broken = || -> Vec<Line> {
        let unusable = || UnusableOrder::new("amount must have a point");
        vec![
            Err(unusable().with_order("store_42", "1")),
            Err(unusable().with_order("store_42", "2")),
            Err(unusable().with_payment("pi_3")),
        ]
    };
    let lines_told = ["unknown - 1", "unknown - 2", "unknown pi_3 -"];
    assert_eq!(night(&shop, &work, 0, broken()).await, found(&lines_told));
    assert_eq!(night(&shop, &work, 1, broken()).await, nothing());
    // The orders are as they were. That nothing was paid for one, and the others are open, could not be seen before.
    let mended = || {
        let open = |number: &str, payment: &str| order(number, payment, OrderState::Open, AT);
        ok([order("1", "", OrderState::Paid, AT), open("2", "pi_2"), open("3", "pi_3")])
    };
    let hidden = ["order_unmarked pi_2 2", "order_unmarked pi_3 3", "ordered_not_paid - 1"];
    assert_eq!(night(&shop, &work, 2, mended()).await, found(&hidden));
    assert_eq!(night(&shop, &work, 3, mended()).await, nothing());
    // A line that breaks again is news.
    assert_eq!(night(&shop, &work, 4, broken()).await, found(&lines_told));
}

#[tokio::test(start_paused = true)]
async fn a_line_that_names_nothing_keeps_its_window_from_being_over() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-nameless"));
    let work = folder.path().join("work");
    let nameless = || vec![Err(UnusableOrder::new("a quote is not closed"))];
    let incomplete = (vec!["unknown - -".to_owned()], ReconcileStatus::Incomplete);
    assert_eq!(night(&shop, &work, 0, nameless()).await, incomplete);
    let reconciler = shop.window(day(0), day(2)).work(&work).build().unwrap();
    let mended = reconcile(&reconciler, [order("1", "", OrderState::Paid, AT)]).await;
    assert_eq!(named(&mended), ["ordered_not_paid - 1"]);
}

#[tokio::test(start_paused = true)]
async fn the_window_of_an_incomplete_run_is_not_passed_over() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-passed-over"));
    let work = folder.path().join("work");
    shop.put(paid("pi_1", "1", AT));
    // A debit that is not listed, and that was paid in the night of the outage, with no word of it.
    shop.put(payment("pi_d", PaymentStatus::Processing, AT));
    assert_eq!(night(&shop, &work, 0, vec![]).await, found(&["paid_not_ordered pi_1 1"]));
    shop.put(paid("pi_d", "2", AT));
    shop.set(|world| world.pages_before_failure = Some(0));
    let (_, status) = night(&shop, &work, 20, vec![]).await;
    assert_eq!(status, ReconcileStatus::Incomplete);
    shop.set(|world| world.pages_before_failure = None);
    let next = shop.window(day(21), day(22)).work(&work).build().unwrap();
    let refused = next.run(lines([])).await.unwrap_err();
    assert!(refused.code() == "plan_differs" && refused.to_string().contains("since"), "{refused}");
    let both = shop.window(day(20), day(22)).work(&work).build().unwrap();
    assert_eq!(named(&reconcile(&both, []).await), ["paid_not_ordered pi_d 2"]);
    assert_eq!(night(&shop, &work, 22, vec![]).await, nothing());
}

#[tokio::test(start_paused = true)]
async fn a_debit_that_fails_after_its_order_was_told_is_told_again() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-debit-failed"));
    let work = folder.path().join("work");
    let debit = |status| payment("pi_d", status, AT).with_method(PaymentMethod::BankDebit);
    let marked = || ok([order("1", "pi_d", OrderState::Paid, AT)]);
    shop.put(debit(PaymentStatus::Processing));
    assert_eq!(night(&shop, &work, 0, marked()).await, found(&["ordered_not_paid pi_d 1"]));
    assert_eq!(night(&shop, &work, 1, marked()).await, nothing());
    shop.put(debit(PaymentStatus::Declined));
    assert_eq!(night(&shop, &work, 2, marked()).await, found(&["ordered_not_paid pi_d 1"]));
    assert_eq!(night(&shop, &work, 3, marked()).await, nothing());
}

#[tokio::test(start_paused = true)]
async fn a_discrepancy_that_stands_is_not_told_again_when_its_order_changes() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-standing"));
    let work = folder.path().join("work");
    shop.put(payment("pi_1", PaymentStatus::Canceled, AT));
    let marked = || order("1", "pi_1", OrderState::Paid, AT).with_paid(AT);
    let shipped = |at: u64| order("1", "pi_1", OrderState::Shipped, AT).with_paid(AT).with_shipped(at);
    let told = ["ordered_not_paid pi_1 1"];
    assert_eq!(night(&shop, &work, 0, ok([marked()])).await, found(&told));
    // The same window again tells the same again.
    assert_eq!(night(&shop, &work, 0, ok([marked()])).await, found(&told));
    assert_eq!(night(&shop, &work, 1, ok([marked()])).await, nothing());
    let reconciler = shop.window(day(2), day(3)).work(&work).build().unwrap();
    let report = reconcile(&reconciler, [shipped(day(2) + HOUR)]).await;
    assert_eq!((named(&report), report.counts().unremarkable(Unremarkable::ToldBefore)), (vec![], 1));
    drop(report);
    // Mended, and wrong again.
    let open = order("1", "pi_1", OrderState::Open, AT);
    assert_eq!(night(&shop, &work, 3, ok([open])).await, nothing());
    assert_eq!(night(&shop, &work, 4, ok([shipped(day(4) + HOUR)])).await, found(&told));
}

#[tokio::test(start_paused = true)]
async fn what_a_run_does_not_ask_of_is_not_told_again() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-unasked"));
    let work = folder.path().join("work");
    // No run lists it, and only one in whose window the order changed looks it up.
    let marked = || order("1", "pi_none", OrderState::Paid, AT).with_paid(AT);
    assert_eq!(night(&shop, &work, 0, ok([marked()])).await, found(&["ordered_not_paid pi_none 1"]));
    assert_eq!(night(&shop, &work, 1, ok([marked()])).await, nothing());
    let shipped = || ok([order("1", "pi_none", OrderState::Shipped, AT).with_paid(AT).with_shipped(day(2) + HOUR)]);
    assert_eq!(night(&shop, &work, 2, shipped()).await, nothing());
    // The payment that it names now is another.
    let renamed = order("1", "pi_other", OrderState::Shipped, AT).with_shipped(day(3) + HOUR);
    assert_eq!(night(&shop, &work, 3, ok([renamed])).await, found(&["ordered_not_paid pi_other 1"]));
}

#[tokio::test(start_paused = true)]
async fn what_a_person_had_accepted_is_told_once_that_is_over() {
    use payproof::reconcile::{DiscrepancyClass, KnownDiscrepancy};
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-known-once"));
    let work = folder.path().join("work");
    shop.put(payment("pi_1", PaymentStatus::Canceled, AT));
    let accepted =
        KnownDiscrepancy::new(DiscrepancyClass::OrderedNotPaid, "a friend").with_payment("pi_1").until(day(2));
    let run = async |number: u64, marked: OrderRecord| {
        let builder = shop.window(day(number), day(number + 1)).work(&work).known([accepted.clone()]);
        let report = reconcile(&builder.build().unwrap(), [marked]).await;
        told(&report).iter().map(|told| told.known().is_some()).collect::<Vec<_>>()
    };
    let marked = || order("1", "pi_1", OrderState::Paid, AT).with_paid(AT);
    assert_eq!(run(0, marked()).await, [true]);
    assert_eq!(run(2, marked().with_shipped(day(2) + HOUR)).await, [false]);
}

#[tokio::test(start_paused = true)]
async fn a_deposit_by_debit_that_is_paid_without_a_word_is_told_once_no_balance_came() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-deposit-debit"));
    let work = folder.path().join("work");
    let deposit = |facts: ProviderPayment| facts.with_amount(500, Currency::USD).with_method(PaymentMethod::BankDebit);
    let mut seen = Vec::new();
    for number in 0..14 {
        let facts = payment("pi_d", PaymentStatus::Processing, AT).with_metadata("order_id", "1");
        let facts = if number < 6 { facts } else { paid("pi_d", "1", AT).with_amount_received(500) };
        shop.put(deposit(facts));
        let (told, _) = night(&shop, &work, number, ok([order("1", "pi_d", OrderState::Open, AT)])).await;
        seen.extend(told.into_iter().map(|told| (number, told)));
    }
    // Seen as paid on the sixth day at the earliest; its three days are over on the ninth, or on the tenth.
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!((9..=10).contains(&seen[0].0) && seen[0].1 == "order_unmarked pi_d 1", "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_past_the_export_needs_a_work_folder() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-too-late"));
    shop.put(paid("pi_1", "1", day(1) - 10 * MINUTE));
    let window = || shop.window(day(0), day(1)).orders_as_of(day(1) + 10 * MINUTE);
    let refused = window().build().unwrap().run(lines([])).await.unwrap_err();
    assert!(refused.code() == "window_too_late" && refused.to_string().contains("work folder"), "{refused}");
    let report = reconcile(&window().until(day(1) - 20 * MINUTE).build().unwrap(), []).await;
    assert_eq!(report.status(), ReconcileStatus::Clean);
    let report = reconcile(&window().work(folder.path().join("work")).build().unwrap(), []).await;
    assert_eq!(report.counts().unremarkable(Unremarkable::TooRecent), 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_given_up_is_replaced_by_one_that_covers_it_with_later_orders() {
    let (shop, folder) = (Lister::new(), Folder::new("reconcile-replaced"));
    let work = folder.path().join("work");
    shop.put(paid("pi_1", "1", AT));
    shop.set(|world| world.takes = std::time::Duration::from_secs(3600));
    let reconciler = shop.window(day(0), day(1)).work(&work).build().unwrap();
    let limit = std::time::Duration::from_secs(60);
    assert!(tokio::time::timeout(limit, reconciler.run(lines([]))).await.is_err());
    shop.set(|world| world.takes = std::time::Duration::ZERO);
    let refused = shop.window(day(1), day(2)).work(&work).build().unwrap().run(lines([])).await.unwrap_err();
    assert_eq!(refused.code(), "plan_differs");
    let covering = shop.window(day(0), day(2)).work(&work).build().unwrap();
    assert_eq!(named(&reconcile(&covering, []).await), ["paid_not_ordered pi_1 1"]);
}
