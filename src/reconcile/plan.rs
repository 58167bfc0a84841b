//! What a run is to do, and how far it has come: two files of its folder, by which it goes on where it broke off.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};

use serde::{Deserialize, Serialize};

use super::error::ReconcileError;
use super::folder::{WorkFolder, write_whole};

const PLAN: &str = "plan.json";
const LOG: &str = "log.jsonl";

/// Of the files. Another one is of another release.
const VERSION: u8 = 2;

/// What a run is to do. Written once its orders are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunPlan {
    version: u8,
    /// A digest of provider, account and mode.
    pub(super) identity: String,
    pub(super) since: u64,
    pub(super) until: u64,
    pub(super) orders_as_of: u64,
    /// When the run began, up to when changes are listed.
    pub(super) began: u64,
    /// A digest of what decides beside the window.
    pub(super) settings: String,
    /// A digest of the orders, in whichever order they came.
    pub(super) orders: String,
    pub(super) orders_read: u64,
    pub(super) orders_unusable: u64,
    /// Of those, the lines that name neither an order nor a payment.
    pub(super) orders_nameless: u64,
    /// The runs of orders by the payment that they name.
    pub(super) orders_by_payment: Vec<Box<str>>,
}

impl RunPlan {
    pub(super) fn new(identity: String, settings: String) -> Self {
        Self {
            version: VERSION,
            identity,
            since: 0,
            until: 0,
            orders_as_of: 0,
            began: 0,
            settings,
            orders: String::new(),
            orders_read: 0,
            orders_unusable: 0,
            orders_nameless: 0,
            orders_by_payment: Vec::new(),
        }
    }

    /// The plan of a folder, if it has one. One that cannot be read is of another release.
    pub(super) fn read(folder: &WorkFolder) -> io::Result<Option<Self>> {
        match fs::read(folder.file(PLAN)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => serde_json::from_slice(&read?).map(Some).map_err(|error| {
                let text = format!("{PLAN}: {error}; it is damaged, or of another release");
                io::Error::new(io::ErrorKind::InvalidData, text)
            }),
        }
    }

    pub(super) fn write(&self, folder: &WorkFolder) -> io::Result<()> {
        write_whole(&folder.file(PLAN), &serde_json::to_vec(self)?)
    }

    pub(super) fn remove(folder: &WorkFolder) -> io::Result<()> {
        super::folder::remove(&folder.file(PLAN))
    }

    /// Whether another plan looks at all that this one does.
    pub(super) fn is_covered_by(&self, other: &Self) -> bool {
        self.identity == other.identity && other.since <= self.since && self.until <= other.until
    }

    /// Refuses to go on with another plan, and names what differs first. Orders are compared where they were given.
    pub(super) fn refuse_other(&self, other: &Self, has_orders: bool) -> Result<(), ReconcileError> {
        let number = |number: u64| number.to_string();
        let fields = [
            ("version", number(self.version.into()), number(other.version.into())),
            ("provider, account or mode", self.identity.clone(), other.identity.clone()),
            ("since", number(self.since), number(other.since)),
            ("until", number(self.until), number(other.until)),
            ("orders_as_of", number(self.orders_as_of), number(other.orders_as_of)),
            ("digest of settings", self.settings.clone(), other.settings.clone()),
            ("digest of orders", self.orders.clone(), if has_orders { &other.orders } else { &self.orders }.clone()),
        ];
        match fields.into_iter().find(|(_, planned, given)| planned != given) {
            None => Ok(()),
            Some((field, planned, given)) => Err(ReconcileError::PlanDiffers { field, planned, given }),
        }
    }
}

/// What a run does one after the other, and may break off in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunPhase {
    Payments,
    Changes,
    LookUps,
    Confirmation,
    Finished,
}

impl RunPhase {
    /// What its files begin with.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Changes => "changes",
            Self::LookUps => "look-ups",
            Self::Confirmation => "confirmation",
            Self::Finished => "finished",
        }
    }
}

/// A line of the log: what was done of a phase since the line before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct LogStep {
    pub(super) phase: RunPhase,
    /// The run that it wrote, which was on the disk before this line was.
    pub(super) run: Option<Box<str>>,
    /// Where the phase goes on.
    pub(super) cursor: Option<Box<str>>,
    pub(super) is_done: bool,
    /// Whether all that the phase did before is void.
    pub(super) is_anew: bool,
    /// Whether the provider has forgotten a part of what is needed.
    pub(super) is_cut: bool,
    pub(super) calls: u64,
    pub(super) items: u64,
    pub(super) unreadable: u64,
}

impl LogStep {
    pub(super) fn of(phase: RunPhase) -> Self {
        let (run, cursor) = (None, None);
        let (is_done, is_anew, is_cut) = (false, false, false);
        Self { phase, run, cursor, is_done, is_anew, is_cut, calls: 0, items: 0, unreadable: 0 }
    }
}

/// How far a phase has come.
#[derive(Clone, Debug, Default)]
pub(super) struct PhaseProgress {
    pub(super) runs: Vec<Box<str>>,
    pub(super) cursor: Option<Box<str>>,
    pub(super) is_done: bool,
    pub(super) is_cut: bool,
    pub(super) calls: u64,
    pub(super) items: u64,
    pub(super) unreadable: u64,
}

/// The log of a run.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    steps: Vec<LogStep>,
}

impl Log {
    /// Opens the log of a folder. A last line that was not written to its end is none.
    pub(super) fn open(folder: &WorkFolder) -> io::Result<Self> {
        let path = folder.file(LOG);
        let file = File::options().create(true).append(true).read(true).open(&path)?;
        let (mut steps, mut whole) = (Vec::new(), 0_u64);
        let mut lines = BufReader::new(File::open(&path)?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
            let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{LOG}: {error}"));
            steps.push(serde_json::from_slice(&line).map_err(damaged)?);
            whole = whole.saturating_add(line.len().try_into().unwrap_or(u64::MAX));
            line.clear();
        }
        file.set_len(whole)?;
        Ok(Self { file, steps })
    }

    /// Begins a log.
    pub(super) fn begin(folder: &WorkFolder) -> io::Result<Self> {
        super::folder::remove(&folder.file(LOG))?;
        Self::open(folder)
    }

    /// Writes a line, which is on the disk when this returns.
    pub(super) fn add(&mut self, step: LogStep) -> io::Result<()> {
        let mut line = serde_json::to_vec(&step)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.steps.push(step);
        Ok(())
    }

    /// How far a phase has come.
    pub(super) fn progress(&self, phase: RunPhase) -> PhaseProgress {
        let mut progress = PhaseProgress::default();
        for step in self.steps.iter().filter(|step| step.phase == phase) {
            if step.is_anew {
                progress = PhaseProgress::default();
            }
            progress.runs.extend(step.run.clone());
            progress.cursor = step.cursor.clone().or(progress.cursor);
            progress.is_done = step.is_done;
            progress.is_cut |= step.is_cut;
            progress.calls = progress.calls.saturating_add(step.calls);
            progress.items = progress.items.saturating_add(step.items);
            progress.unreadable = progress.unreadable.saturating_add(step.unreadable);
        }
        progress
    }

    /// Whether a phase has begun.
    pub(super) fn has(&self, phase: RunPhase) -> bool {
        self.steps.iter().any(|step| step.phase == phase)
    }
}
