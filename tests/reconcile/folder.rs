//! The work folder: whose it is, what it refuses, and what is left in it.
#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use payproof::reconcile::{OrderRecord, OrderState, ReconcileError, ReconcileStatus, ReconcilerBuilder};
use tokio::time::timeout;

use crate::scratch::Folder;
use crate::shop::{DAY, HOUR, Lister, NEW_YEAR, lines, named, order, paid, reconcile, written};

const AT: u64 = NEW_YEAR + HOUR;

fn shop() -> Lister {
    let shop = Lister::new();
    for number in 0..5 {
        shop.put(paid(&format!("pi_{number}"), &number.to_string(), AT));
    }
    shop.set(|world| world.page = 2);
    shop
}

fn orders() -> Vec<OrderRecord> {
    vec![order("1", "pi_1", OrderState::Paid, AT), order("2", "pi_2", OrderState::Open, AT)]
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A run that is dropped after its orders are read, while it waits for the provider.
async fn broken_off(shop: &Lister, builder: ReconcilerBuilder) {
    shop.set(|world| world.takes = Duration::from_secs(3600));
    let reconciler = builder.build().unwrap();
    assert!(timeout(Duration::from_secs(60), reconciler.run(lines(orders()))).await.is_err());
    shop.set(|world| world.takes = Duration::ZERO);
}

fn differs(error: &ReconcileError) -> &'static str {
    let ReconcileError::PlanDiffers { field, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains(field), "{error}");
    field
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_run_of_another_plan_is_refused_and_what_differs_is_named() {
    let (shop, folder) = (shop(), Folder::new("reconcile-plan"));
    let work = folder.path().join("work");
    let window = |since: u64, until: u64| shop.window(since, until).work(&work);
    let day = || window(NEW_YEAR, NEW_YEAR + DAY);
    broken_off(&shop, day()).await;
    for (builder, field) in [
        (window(NEW_YEAR + 1, NEW_YEAR + DAY), "since"),
        (day().until(NEW_YEAR + DAY + 1), "until"),
        (day().orders_as_of(NEW_YEAR + DAY), "orders_as_of"),
        (day().pending_after(Duration::from_secs(1)), "digest of settings"),
    ] {
        let reconciler = builder.build().unwrap();
        assert_eq!(differs(&reconciler.run(lines(orders())).await.unwrap_err()), field);
        assert_eq!(differs(&reconciler.resume().await.unwrap_err()), field);
    }
    let reconciler = day().build().unwrap();
    assert_eq!(differs(&reconciler.run(lines([])).await.unwrap_err()), "digest of orders");
    let mut others = orders();
    others.pop();
    assert_eq!(differs(&reconciler.run(lines(others)).await.unwrap_err()), "digest of orders");
    // Nothing of that has harmed it, the pace is no part of the plan, and orders may come in another order.
    let again = orders().into_iter().rev();
    let report = reconcile(&day().pace(7).build().unwrap(), again).await;
    assert_eq!(report.status(), ReconcileStatus::Found);
    drop(report);
    // It is over: the next one may have any plan.
    let report = reconcile(&window(NEW_YEAR + DAY, NEW_YEAR + 2 * DAY).build().unwrap(), []).await;
    assert_eq!(named(&report), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_finished_run_gives_its_report_again_and_an_incomplete_one_asks_for_the_rest() {
    let (shop, folder) = (shop(), Folder::new("reconcile-again"));
    let builder = || shop.window(NEW_YEAR, NEW_YEAR + DAY);
    let whole = written(&reconcile(&builder().build().unwrap(), orders()).await);
    let reconciler = builder().work(folder.path().join("work")).build().unwrap();
    assert_eq!(reconciler.resume().await.unwrap_err().code(), "orders_missing");
    shop.set(|world| world.pages_before_failure = Some(world.pages + 2));
    let report = reconcile(&reconciler, orders()).await;
    assert_eq!(report.status(), ReconcileStatus::Incomplete);
    assert!(report.missing().iter().any(|missing| missing.starts_with("payments: ")), "{:?}", report.missing());
    drop(report);
    shop.set(|world| world.pages_before_failure = None);
    let pages = shop.world.lock().unwrap().pages;
    let healed = reconciler.resume().await.unwrap();
    assert_eq!(written(&healed), whole);
    assert_eq!(shop.world.lock().unwrap().pages - pages, 2, "the last page, and that of changes");
    drop(healed);
    // The window is the folder's, where none is set.
    let unset = shop.validator().reconciler().work(folder.path().join("work")).build().unwrap();
    assert_eq!(written(&unset.resume().await.unwrap()), whole);
    let asked = shop.world.lock().unwrap().look_ups.len();
    assert_eq!(written(&reconciler.resume().await.unwrap()), whole);
    assert_eq!(shop.world.lock().unwrap().look_ups.len(), asked, "nothing is asked again");
}

#[tokio::test(start_paused = true)]
async fn the_folder_is_its_owners_alone_and_one_runs_at_a_time() {
    let (shop, folder) = (shop(), Folder::new("reconcile-lock"));
    let (work, open) = (folder.path().join("work"), folder.path().join("open"));
    let builder = || shop.window(NEW_YEAR, NEW_YEAR + DAY);
    let reconciler = builder().work(&work).build().unwrap();
    let report = reconcile(&reconciler, orders()).await;
    assert_eq!(mode(&work), 0o700);
    let error = reconciler.run(lines(orders())).await.unwrap_err();
    assert!(error.code() == "folder_in_use" && error.is_retryable(), "{error}");
    drop(report);
    let _again = reconcile(&reconciler, orders()).await;
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o750)).unwrap();
    let error = builder().work(&open).build().unwrap().run(lines(orders())).await.unwrap_err();
    assert!(error.code() == "folder_not_private" && error.to_string().contains("chmod 700"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_temporary_folder_is_gone_with_its_report_and_a_finished_one_holds_little() {
    let (shop, folder) = (shop(), Folder::new("reconcile-left"));
    let report = reconcile(&shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap(), orders()).await;
    let shown = format!("{report:?}");
    let path = PathBuf::from(shown.split('"').find(|part| part.contains("payproof-reconcile-")).unwrap());
    assert!(path.is_dir() && mode(&path) == 0o700);
    let discrepancies = report.discrepancies();
    drop(report);
    assert_eq!(discrepancies.map(Result::unwrap).count(), 4, "it can be read to its end");
    assert!(!path.exists());

    let work = folder.path().join("work");
    drop(reconcile(&shop.window(NEW_YEAR, NEW_YEAR + DAY).work(&work).build().unwrap(), orders()).await);
    let names = fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(
        names,
        [
            "aliases.next",
            "carried.next",
            "lock",
            "log.jsonl",
            "plan.json",
            "report.run",
            "summary.json",
            "told.next",
            "unusable.next"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_an_error_that_names_it() {
    let (shop, folder) = (shop(), Folder::new("reconcile-damaged"));
    let work = folder.path().join("work");
    let builder = || shop.window(NEW_YEAR, NEW_YEAR + DAY).work(&work);
    broken_off(&shop, builder()).await;
    let orders = work.join("orders/by-order.run");
    let whole = fs::read(&orders).unwrap();
    fs::write(&orders, &whole[..whole.len() - 3]).unwrap();
    let error = builder().build().unwrap().resume().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.code() == "folder_failed" && cause.contains("by-order.run"), "{error}: {cause}");
    fs::write(work.join("plan.json"), b"{").unwrap();
    let error = builder().build().unwrap().resume().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.code() == "folder_failed" && cause.contains("plan.json"), "{error}: {cause}");
}

#[tokio::test(start_paused = true)]
async fn a_temporary_folder_that_a_dead_process_left_is_removed_by_the_next_run() {
    let shop = Lister::new();
    let name = |start: &str, number: u32| {
        let process = u128::from(std::process::id()) << 64;
        std::env::temp_dir().join(format!("{start}{:032x}", process + u128::from(number)))
    };
    let folder = |number: u32| {
        let made = name("payproof-test-", number);
        fs::create_dir(&made).unwrap();
        fs::write(made.join("payments-00000.run"), "orders and payments").unwrap();
        (File::create(made.join("lock")).unwrap(), made)
    };
    let ((_, unlocked), (lock, locked)) = (folder(0), folder(1));
    lock.try_lock().unwrap();
    // Other runs look for such folders meanwhile.
    let (left, held) = (name("payproof-reconcile-", 0), name("payproof-reconcile-", 1));
    fs::rename(unlocked, &left).unwrap();
    fs::rename(locked, &held).unwrap();
    drop(reconcile(&shop.window(NEW_YEAR, NEW_YEAR + DAY).build().unwrap(), []).await);
    assert!(!left.exists() && held.join("payments-00000.run").exists());
    fs::remove_dir_all(held).unwrap();
}
