//! Many payments: read, validated so many at once, and written in the order they came in.
//!
//! A thread reads, tasks validate, this task puts the results in order, and tokio's standard output writes them on a thread.
//! Every way between them is short, so that a slow stage holds up the others, and memory does not grow with the input.

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::io::{AsyncWriteExt, Stdout, stdout};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, spawn, spawn_blocking};
use tokio::time::{Instant, timeout};

use crate::lines::{InputLines, Line, Lines, LinesArgs};
use crate::output::{LineComplaints, is_read, note};
use crate::status::Status;
use crate::trouble::Trouble;

use super::claim::{self, CLAIM, Defaults};
use super::format::Format;
use super::outage::Outage;
use super::progress::InputProgress;
use super::row::{LinePlace, Row};
use super::seen::SeenPayments;
use super::tally::Tally;
use super::{Many, Plan};

/// Lines that are read at a time, so that reader and tasks wake one another less often.
const LINES_AT_A_TIME: usize = 64;

/// What is written at a time, while results come quickly.
const CHUNK: usize = 32 * 1024;

/// The longest that a result waits for others to be written with.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Results that wait for a slower one before them, for each that may be under way: one slow answer does not stop the others.
const FINISHED_PER_PLACE: usize = 3;

/// A line, and the one before it that names the same payment.
type PlacedLine = (Line, Option<u64>);

/// What every line is done with.
struct Work {
    plan: Plan,
    defaults: Defaults,
    outage: Outage,
}

impl Work {
    async fn check(&self, (Line { number, values, wrong }, also_on_line): PlacedLine) -> Row {
        let checked = claim::check(&values, wrong, &self.defaults);
        Row::of(LinePlace { line: Some(number), also_on_line }, checked, async |intent| {
            self.outage.ask(&self.plan, intent).await
        })
        .await
    }
}

/// Validates everything that standard input lists. `patience` is for outages of the provider.
pub(crate) async fn run(
    plan: Plan,
    reading: LinesArgs,
    many: Many,
    defaults: Defaults,
    patience: Duration,
    format: Format,
) -> Result<Status, Trouble> {
    let begun = Instant::now();
    let (lines, arriving) = channel(1);
    let progress = InputProgress::new();
    let counted = progress.clone();
    let reader = spawn_blocking(move || read(counted, &reading, &lines));
    let places = usize::from(many.concurrency);
    let (handing_on, rows) = channel(places.saturating_mul(FINISHED_PER_PLACE));
    let work = Arc::new(Work { plan, defaults, outage: Outage::new(patience) });
    spawn(dispatch(arriving, handing_on, work, Arc::new(Semaphore::new(places))));
    let mut results = Results::new(format, many.quiet, progress);
    if !results.gather(rows).await? {
        // The reader of the results has seen enough; but what was not validated stays unknown.
        return Ok(Status::CouldNotTell);
    }
    let read = reader.await.map_err(|_| Trouble::new("reading standard input stopped; please report it"))?;
    results.finish(read, begun.elapsed(), many.quiet).await
}

fn read(progress: InputProgress, reading: &LinesArgs, lines: &Sender<Vec<PlacedLine>>) -> Result<Lines, Trouble> {
    let mut input = InputLines::open("standard input", progress.counting(io::stdin().lock()), &CLAIM, reading)?;
    let (mut batch, mut seen) = (Vec::new(), SeenPayments::new());
    loop {
        let line = input.next()?;
        let is_over = line.is_none();
        batch.extend(line.map(|line| {
            let first = line.values.get("payment").and_then(|payment| seen.first_line(payment, line.number));
            (line, first)
        }));
        let is_due = is_over || batch.len() >= LINES_AT_A_TIME || input.is_drained();
        if is_due && !batch.is_empty() && lines.blocking_send(std::mem::take(&mut batch)).is_err() {
            return Ok(input.lines());
        }
        if is_over {
            return Ok(input.lines());
        }
    }
}

async fn dispatch(
    mut arriving: Receiver<Vec<PlacedLine>>,
    rows: Sender<JoinHandle<Row>>,
    work: Arc<Work>,
    places: Arc<Semaphore>,
) {
    while let Some(lines) = arriving.recv().await {
        for line in lines {
            // It is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let work = Arc::clone(&work);
            let row = spawn(async move {
                let row = work.check(line).await;
                drop(place);
                row
            });
            if rows.send(row).await.is_err() {
                return;
            }
        }
    }
}

/// The results so far, on their way out.
struct Results {
    format: Format,
    out: Stdout,
    gathered: Vec<u8>,
    tally: Tally,
    complaints: LineComplaints,
    bar: Option<ProgressBar>,
    progress: InputProgress,
}

impl Results {
    fn new(format: Format, quiet: bool, progress: InputProgress) -> Self {
        // On one terminal, results and a bar would write over one another.
        let has_bar = !quiet && io::stderr().is_terminal() && !io::stdout().is_terminal();
        let (out, gathered, tally) = (stdout(), Vec::with_capacity(CHUNK), Tally::default());
        let complaints = LineComplaints::default();
        Self { format, out, gathered, tally, complaints, bar: has_bar.then(bar), progress }
    }

    /// Puts the results in order. False when the results are not read any more.
    async fn gather(&mut self, mut rows: Receiver<JoinHandle<Row>>) -> Result<bool, Trouble> {
        let mut written_at = Instant::now();
        loop {
            let mut next = pin!(async {
                let row = rows.recv().await?;
                Some(row.await)
            });
            let row = match timeout(LONGEST_WAIT, &mut next).await {
                Ok(row) => row,
                Err(_elapsed) if !self.write().await? => return Ok(false),
                Err(_elapsed) => next.await,
            };
            let Some(row) = row else { return Ok(true) };
            self.take(&row.map_err(|_| Trouble::new("a validation stopped; please report it"))?)?;
            if self.gathered.len() >= CHUNK || written_at.elapsed() >= LONGEST_WAIT {
                written_at = Instant::now();
                if !self.write().await? {
                    return Ok(false);
                }
            }
        }
    }

    fn take(&mut self, row: &Row) -> Result<(), Trouble> {
        if self.tally.rows() == 0 {
            self.format.head(&mut self.gathered);
        }
        self.tally.count(row);
        if let Some(bar) = &self.bar {
            bar.inc(1);
            bar.set_message(self.progress.shown());
        }
        self.complain(row);
        self.format.write(row, false, &mut self.gathered)
    }

    /// Where the results go elsewhere, people hear of what is wrong all the same.
    fn complain(&mut self, row: &Row) {
        if self.complaints.are_over() {
            return;
        }
        let Some(complaint) = row.complaint().filter(|_| !io::stdout().is_terminal()) else { return };
        let mut say = || self.complaints.say(&complaint, "further errors are told in the results only");
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// Hands on what was gathered. False when the results are not read any more.
    async fn write(&mut self) -> Result<bool, Trouble> {
        let written = self.out.write_all(&self.gathered).await;
        self.gathered.clear();
        is_read(written)
    }

    /// Waits until everything is written, the rest included. False when the results are not read any more.
    async fn end(&mut self) -> Result<bool, Trouble> {
        Ok(self.write().await? && is_read(self.out.flush().await)?)
    }

    async fn finish(mut self, read: Result<Lines, Trouble>, took: Duration, quiet: bool) -> Result<Status, Trouble> {
        let is_read = self.end().await?;
        let Self { tally, bar, .. } = self;
        drop(bar);
        let lines = match read {
            Ok(lines) if tally.rows() == 0 && lines.are_accounted_for(0) => {
                return Err(Trouble::new("standard input lists no payments; give it one per line"));
            }
            lines => lines,
        };
        if !quiet && tally.rows() > 0 && is_read {
            note(&tally.after(took, lines.as_ref().ok()));
        }
        if !lines?.are_accounted_for(tally.rows()) {
            return Err(Trouble::new("not every line of standard input is accounted for; please report it"));
        }
        Ok(if is_read { tally.status() } else { Status::CouldNotTell })
    }
}

/// Cleared when it is dropped.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg}{pos} lines, {per_sec}, {elapsed}");
    let bar = ProgressBar::new_spinner();
    // The template is one of ours; where it could not be read, the default one would do.
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(LONGEST_WAIT);
    bar
}
