//! `payproof reconcile`, end to end: a shop's orders against the sandbox's lists.

mod classes;
#[cfg(unix)]
mod job;
mod outputs;
mod refusals;
mod resumed;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use serde_json::Value;

use crate::program::{Program, Run};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

const HEADER: &str = "order,payment,amount,currency,state,created,paid,shipped,cancelled";

/// The first second, in UTC, of so many days ago: Stripe keeps events for thirty days.
fn midnight(days_ago: u64) -> u64 {
    (now() / DAY - days_ago) * DAY
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A paid payment of 19.99 USD of `store_42`, made at this time, which names this order.
fn paid(id: &str, order: &str, at: u64) -> SandboxPayment {
    SandboxPayment::paid(id, 1999, "usd").tenant("store_42").order(order).created(at)
}

/// A file of orders, each a line without its header.
fn orders_in(folder: &Path, lines: &[String]) -> String {
    let path = folder.join("orders.csv");
    let text = lines.iter().fold(format!("{HEADER}\n"), |mut text, line| {
        let _ = writeln!(text, "{line}");
        text
    });
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Reconciles the ten days until yesterday, as quickly as the sandbox answers.
fn program(sandbox: &Sandbox, arguments: &[&str]) -> Program {
    let (since, until) = (midnight(11).to_string(), midnight(1).to_string());
    let window = ["reconcile", "--since", &since, "--until", &until, "--pace", "1000", "--tenant", "store_42"];
    Program::at(sandbox, &[&window[..], arguments].concat())
}

/// Class, payment and order of each discrepancy.
fn told(run: &Run) -> Vec<[String; 3]> {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or("-").to_owned();
    run.rows().iter().map(|row| ["class", "payment", "order"].map(|field| text(row, field))).collect()
}
