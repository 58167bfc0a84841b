//! Orders on their way from a file or a pipe into a run.
//!
//! A thread reads, and the run sorts what it hands over onto the disk. What cannot be read to its end begins no run: the stream
//! of orders ends only after the last line, so that half an export is never taken for a whole one.

use std::fs::File;
use std::future::pending;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::pin::pin;
use std::time::UNIX_EPOCH;

use futures_util::future::{Either, select};
use futures_util::stream::{self, Stream, StreamExt as _};
use payproof::reconcile::{OrderRecord, Reconciler, Reconciliation, UnusableOrder};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinError, spawn_blocking};

use crate::lines::{InputLines, Line, Lines, LinesArgs};
use crate::output::LineComplaints;
use crate::trouble::Trouble;

use super::orders::{ORDER, OrderReader};

/// Orders that are handed over at a time.
const BATCH: usize = 256;

type Order = Result<OrderRecord, UnusableOrder>;

/// What the thread hands over.
enum Handed {
    Orders(Vec<Order>),
    /// There are no more, and each line is accounted for.
    End,
}

/// Where orders are read from.
#[derive(Clone, Debug)]
pub(crate) enum OrdersFile {
    Stdin,
    At(PathBuf),
}

impl OrdersFile {
    /// `-` is standard input.
    pub(crate) fn named(name: &str) -> Self {
        if name == "-" { Self::Stdin } else { Self::At(name.into()) }
    }

    /// As messages call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::At(path) => path.display().to_string(),
        }
    }

    /// When the file was last written, in seconds since 1970: the best guess at when its export began. Of standard input nothing
    /// is known.
    pub(crate) fn written(&self) -> Result<Option<u64>, Trouble> {
        let Self::At(path) = self else { return Ok(None) };
        let written = path.metadata().and_then(|metadata| metadata.modified());
        let written = written.map_err(|error| self.unopened(&error))?;
        Ok(written.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs()))
    }

    fn open(&self) -> Result<Box<dyn Read>, Trouble> {
        match self {
            Self::Stdin if io::stdin().is_terminal() => Err(Trouble::new(
                "standard input is a terminal; pipe the orders into it, or name their file with --orders",
            )),
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::At(path) => Ok(Box::new(File::open(path).map_err(|error| self.unopened(&error))?)),
        }
    }

    fn unopened(&self, error: &io::Error) -> Trouble {
        Trouble::because(&format!("{} cannot be opened; look at --orders", self.name()), error)
    }
}

/// Runs over the orders of a file. How many lines there were comes with the report.
pub(crate) async fn run(
    reconciler: &Reconciler,
    file: OrdersFile,
    lines: LinesArgs,
    reader: OrderReader,
) -> Result<(Reconciliation, Lines), Trouble> {
    let (handing_over, orders) = channel(2);
    let reading = spawn_blocking(move || read(&file, &lines, &reader, &handing_over));
    match select(pin!(reconciler.run(arriving(orders))), reading).await {
        Either::Left((run, reading)) => Ok((run?, joined(reading.await)?)),
        Either::Right((read, run)) => {
            let lines = joined(read)?;
            Ok((run.await?, lines))
        }
    }
}

fn joined(read: Result<Result<Lines, Trouble>, JoinError>) -> Result<Lines, Trouble> {
    read.map_err(|_| Trouble::new("reading the orders stopped; please report it"))?
}

/// The orders that come from the thread. Where it fails there is no end.
fn arriving(orders: Receiver<Handed>) -> impl Stream<Item = Order> + Send {
    let batches = stream::unfold(orders, async |mut orders| match orders.recv().await {
        Some(Handed::Orders(batch)) => Some((stream::iter(batch), orders)),
        Some(Handed::End) => None,
        None => pending().await,
    });
    batches.flatten()
}

fn read(file: &OrdersFile, lines: &LinesArgs, reader: &OrderReader, orders: &Sender<Handed>) -> Result<Lines, Trouble> {
    let name = file.name();
    let mut input = InputLines::open(&name, file.open()?, &ORDER, lines)?;
    let (mut batch, mut results, mut complaints) = (Vec::new(), 0_u64, LineComplaints::default());
    while let Some(line) = input.next()? {
        results = results.saturating_add(1);
        batch.push(reader.order(&line).map_err(|error| {
            let rule = format!("line {}: {error}", line.number);
            complaints.say(&format_args!("{name}, {rule}"), "further unusable lines are told in the report only");
            unusable(&line, &rule, reader)
        }));
        if batch.len() >= BATCH && orders.blocking_send(Handed::Orders(std::mem::take(&mut batch))).is_err() {
            return Ok(input.lines());
        }
    }
    let counted = input.lines();
    if counted.header == 0 && results == 0 {
        let text = "lists no orders, and has no header row; look at the command that exports them";
        return Err(Trouble::new(format!("{name} {text}")));
    }
    if !counted.are_accounted_for(results) {
        return Err(Trouble::new(format!("not every line of {name} is accounted for; please report it")));
    }
    // The run may have ended without them, and says why.
    let _ = orders.blocking_send(Handed::Orders(batch)).and_then(|()| orders.blocking_send(Handed::End));
    Ok(counted)
}

/// A line that cannot be used, as the run knows it: with what could be read of it.
fn unusable(line: &Line, rule: &str, reader: &OrderReader) -> UnusableOrder {
    let order = UnusableOrder::new(rule);
    let order = line.values.get("payment").into_iter().fold(order, UnusableOrder::with_payment);
    match (reader.tenant(&line.values), line.values.get("order")) {
        (Ok(tenant), Some(number)) => order.with_order(tenant, number),
        _ => order,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use payproof::reconcile::OrderState;

    use super::*;

    #[test]
    fn orders_end_only_where_the_thread_says_so() {
        let order = || OrderRecord::new("store_42", "1", OrderState::Paid).map_err(|_| UnusableOrder::new("none"));
        for (is_over, end) in [(true, Some(true)), (false, None)] {
            let (handing_over, orders) = channel(4);
            handing_over.try_send(Handed::Orders(vec![order(), order()])).ok().unwrap();
            if is_over {
                handing_over.try_send(Handed::End).ok().unwrap();
            }
            // As when the thread ends, whether all is read or not.
            drop(handing_over);
            let mut orders = pin!(arriving(orders));
            assert!(orders.next().now_or_never().unwrap().is_some());
            assert!(orders.next().now_or_never().unwrap().is_some());
            assert_eq!(orders.next().now_or_never().map(|next| next.is_none()), end, "{is_over}");
        }
    }
}
