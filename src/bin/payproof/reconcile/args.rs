//! What the reconciler is told: its window, how far it looks, and where it works.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use payproof::reconcile::{AskRedemptions, ReconcilerBuilder};

use crate::settings;
use crate::trouble::Trouble;

use super::times::{self, Times};

/// Which time is reconciled.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The window")]
pub(crate) struct WindowArgs {
    /// Its first second: a time such as 2026-07-01T00:00:00Z, a date, or how long before its end: 3d
    #[arg(long, value_name = "TIME", required_unless_present = "resume")]
    since: Option<String>,
    /// Its end, which is no part of it, so that runs whose windows meet tell nothing twice [default: 30m ago, and --too-recent before the export]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// When the export of the orders began; needed for standard input [default: when the file was last written]
    #[arg(long, value_name = "TIME")]
    orders_as_of: Option<String>,
    /// The time zone of times that name no offset, such as Europe/Berlin
    #[arg(long, value_name = "NAME", value_parser = times::zone)]
    tz: Option<TimeZone>,
}

impl WindowArgs {
    pub(crate) fn times(&self) -> Times {
        Times::new(self.tz.clone())
    }

    /// Sets what is said; what is not keeps the reconciler's default. `written` is when the file of the orders was.
    pub(crate) fn set(
        &self,
        reconciler: ReconcilerBuilder,
        times: &Times,
        written: Option<u64>,
    ) -> Result<ReconcilerBuilder, Trouble> {
        let bound = |name: &str, text: &Option<String>| {
            let read = text.as_deref().map(|text| times.bound(text)).transpose();
            read.map_err(|rule| Trouble::new(format!("`{name}` {rule}")))
        };
        let as_of = bound("--orders-as-of", &self.orders_as_of)?.or(written);
        if as_of.is_some_and(|as_of| as_of > times.now()) {
            let text =
                "the orders' export lies in the future; say with --orders-as-of when it began, and look at the clock";
            return Err(Trouble::new(text));
        }
        let reconciler = match self.since.as_deref().and_then(times::span) {
            Some(length) => reconciler.length(length),
            None => bound("--since", &self.since)?.into_iter().fold(reconciler, ReconcilerBuilder::since),
        };
        let reconciler = bound("--until", &self.until)?.into_iter().fold(reconciler, ReconcilerBuilder::until);
        Ok(as_of.into_iter().fold(reconciler, ReconcilerBuilder::orders_as_of))
    }

    pub(crate) fn says_when_exported(&self) -> bool {
        self.orders_as_of.is_some()
    }
}

/// How far a run looks, and how much it asks.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The run")]
pub(crate) struct RunArgs {
    /// How long before the window payments are listed from, by their creation [default: 14d]
    #[arg(long, value_name = "TIME", value_parser = settings::duration)]
    look_back: Option<Duration>,
    /// How long a payment may be under way before it is told [default: 3d]
    #[arg(long, value_name = "TIME", value_parser = settings::duration)]
    pending_after: Option<Duration>,
    /// What changed so short before the orders were exported is only counted, since the shop may be about to hear of it [default: 30m]
    #[arg(long, value_name = "TIME", value_parser = settings::duration)]
    too_recent: Option<Duration>,
    /// The most look-ups that confirm what was found [default: 10000]
    #[arg(long, value_name = "COUNT")]
    confirm: Option<usize>,
    /// The most calls to the provider in a second [default: 5]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pace: Option<u32>,
    /// Which payments the store is asked about, whether they were redeemed [default: candidates]
    #[arg(long, value_enum, value_name = "WHICH")]
    redemptions: Option<Redemptions>,
    /// The folder that the run works in and goes on from; payments that are not final are carried in it from run to run
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Go on with the run that --work holds, without reading the orders again
    #[arg(long, requires = "work")]
    resume: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Redemptions {
    /// None
    No,
    /// Those that would be told to be without a paid order
    Candidates,
    /// Every payment with which money was moved
    All,
}

impl RunArgs {
    /// Sets what is said; what is not keeps the reconciler's default.
    pub(crate) fn set(&self, reconciler: ReconcilerBuilder) -> ReconcilerBuilder {
        let reconciler = self.look_back.into_iter().fold(reconciler, ReconcilerBuilder::look_back);
        let reconciler = self.pending_after.into_iter().fold(reconciler, ReconcilerBuilder::pending_after);
        let reconciler = self.too_recent.into_iter().fold(reconciler, ReconcilerBuilder::too_recent);
        let reconciler = self.confirm.into_iter().fold(reconciler, ReconcilerBuilder::confirm);
        let reconciler = self.pace.into_iter().fold(reconciler, ReconcilerBuilder::pace);
        let redemptions = self.redemptions.map(|which| match which {
            Redemptions::No => AskRedemptions::No,
            Redemptions::Candidates => AskRedemptions::Candidates,
            Redemptions::All => AskRedemptions::All,
        });
        let reconciler = redemptions.into_iter().fold(reconciler, ReconcilerBuilder::redemptions);
        self.work.iter().fold(reconciler, ReconcilerBuilder::work)
    }
}
