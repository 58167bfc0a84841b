//! Runs that are killed at any moment, with orders from a pipe, and go on without them.
//!
//! What has to die runs in a child: this test binary again, told by a variable to do a child's part.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use futures_util::stream;
use payproof::reconcile::{ReconcileError, Reconciler};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::faults::{Planted, plant};
use crate::scratch::Folder;
use crate::shop::{DAY, HOUR, NEW_YEAR, written};

/// Where the child works; without it its test does nothing.
const FOLDER: &str = "PAYPROOF_RECONCILE_CHILD";

const PAYMENTS: usize = 2000;

/// What a child ends with that has no orders.
const NO_ORDERS: i32 = 3;

fn reconciler(planted: &Planted, work: &Path) -> Reconciler {
    let builder = planted.shop.window(NEW_YEAR, NEW_YEAR + DAY).orders_as_of(NEW_YEAR + DAY + HOUR);
    builder.sort_memory(8192).work(work).build().unwrap()
}

/// The child's part: resumes, or where there is nothing to resume, takes orders from its standard input.
#[test]
fn a_child_resumes_or_reads_its_pipe() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let planted = plant(PAYMENTS, 9);
    planted.shop.set(|world| (world.takes, world.page) = (Duration::from_millis(1), 20));
    let reconciler = reconciler(&planted, &folder.join("work"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let report = runtime.block_on(async {
        match reconciler.resume().await {
            Err(ReconcileError::OrdersMissing) => {
                let mut orders = io::stdin().lock().lines().map(|line| {
                    let number: usize = line.unwrap().parse().unwrap();
                    Ok(planted.orders[number].clone())
                });
                // A parent that gives none wants to know.
                let Some(first) = orders.next() else { std::process::exit(NO_ORDERS) };
                reconciler.run(stream::iter(std::iter::once(first).chain(orders).collect::<Vec<_>>())).await
            }
            resumed => resumed,
        }
    });
    fs::write(folder.join("report"), written(&report.unwrap())).unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A child over a folder, with or without orders.
fn child(folder: &Path, orders: Option<usize>) -> Killed {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["resumed::a_child_resumes_or_reads_its_pipe", "--exact", "--nocapture"]);
    command.env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = Killed(command.spawn().unwrap());
    let mut pipe = child.0.stdin.take().unwrap();
    for number in 0..orders.unwrap_or(0) {
        // It may be over before it has read them.
        if writeln!(pipe, "{number}").is_err() {
            break;
        }
    }
    child
}

#[test]
#[allow(clippy::disallowed_methods, reason = "no runtime is blocked: the parent waits before it kills its child")]
fn a_run_that_is_killed_at_any_moment_comes_to_the_same_report() {
    let orders = plant(PAYMENTS, 9).orders.len();
    let expected = {
        let folder = Folder::new("reconcile-not-killed");
        assert!(child(folder.path(), Some(orders)).0.wait().unwrap().success());
        fs::read_to_string(folder.path().join("report")).unwrap()
    };
    assert!(expected.lines().count() > 90, "{expected}");
    let mut rng = StdRng::seed_from_u64(1);
    let (mut kills, mut resumed) = (0, 0);
    for round in 0..3 {
        let folder = Folder::new(&format!("reconcile-killed-{round}"));
        let report = folder.path().join("report");
        let mut patience = 30;
        let mut has_orders = false;
        while !report.exists() {
            let mut child = child(folder.path(), Some(orders).filter(|_| !has_orders));
            thread::sleep(Duration::from_millis(rng.random_range(0..patience)));
            let ended = child.0.try_wait().unwrap();
            assert!(ended.is_none_or(|status| status.success() || status.code() == Some(NO_ORDERS)), "{ended:?}");
            kills += usize::from(ended.is_none());
            drop(child);
            resumed += usize::from(has_orders);
            has_orders = folder.path().join("work/plan.json").exists();
            // A slow machine does not come as far each time.
            patience += patience / 8;
        }
        assert_eq!(fs::read_to_string(&report).unwrap(), expected, "round {round}");
    }
    assert!(kills > 10 && resumed > 5, "{kills} kills, {resumed} resumed without orders");
}
