//! The same rows as text, sorted by this machine's `sort` with as much memory.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::Command;
use std::time::Duration;

use payproof::Currency;
use tokio::time::Instant;

use crate::rows::{ONE_IN, created, id};

/// What a provider's page holds.
const PAGE: u64 = 100;

/// Rows a second.
pub(crate) fn rate(rows: u64, took: Duration) -> f64 {
    let rows = u32::try_from(rows).map_or(f64::INFINITY, f64::from);
    rows / took.as_secs_f64()
}

/// Pages of payments, and one without a change.
pub(crate) fn pages_a_payment(payments: u64) -> f64 {
    rate(payments.div_ceil(PAGE).saturating_add(1), Duration::from_secs(1)) / rate(payments, Duration::from_secs(1))
}

/// Writes the rows of payments and orders to files, and sorts each by its payment. How many rows, and how long the sorting took.
pub(crate) fn plainly(payments: u64, memory: usize) -> Result<(u64, Duration), Box<dyn Error + Send + Sync>> {
    let folder = std::env::temp_dir().join(format!("payproof-sort-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let (mut rows, mut took) = (0_u64, Duration::ZERO);
    for file in ["payments", "orders"] {
        let path = folder.join(file);
        let mut text = BufWriter::new(File::create(&path)?);
        for number in (0..payments).filter(|number| file == "payments" || !number.is_multiple_of(ONE_IN)) {
            writeln!(text, "{},store_42,{number},{},{},paid", id(number), created(number), Currency::USD)?;
            rows = rows.saturating_add(1);
        }
        text.flush()?;
        let begin = Instant::now();
        let ended = Command::new("sort")
            .env("LC_ALL", "C")
            .args(["--parallel=1", &format!("--buffer-size={memory}M"), "--temporary-directory"])
            .arg(&folder)
            .arg("--output")
            .arg(folder.join("sorted"))
            .arg(&path)
            .status()?;
        took = took.saturating_add(begin.elapsed());
        if !ended.success() {
            return Err("`sort` failed".into());
        }
    }
    fs::remove_dir_all(&folder)?;
    Ok((rows, took))
}
