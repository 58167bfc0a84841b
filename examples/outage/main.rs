//! What callers get while the provider is slow, failing, limiting, hanging or overloaded: payproof beside what a user would
//! pick instead. Everything runs on paused clocks, so that minutes of trouble pass in moments. Nothing to set up:
//!
//! ```sh
//! cargo run --release --example outage                                   # every scenario, 200 callers a second, 3 seeds
//! cargo run --release --example outage -- --scenario hang --scenario fail_60 --rate 50,200,1000 --processes 1,20
//! cargo run --release --example outage -- --scenario 'fail:0.3,slow:2@8-12' --seeds 100
//! cargo run --release --example outage -- --csv outage.csv --svg outage.svg
//! cargo run --release --example outage -- --check                        # what payproof has to reach, and whether it does
//! cargo run --release --example outage -- --mixtures 20 --check          # the same for mixtures that no one has chosen
//! cargo run --release --example outage -- --list                         # the scenarios
//! ```
//!
//! Callers arrive evenly for 40 s; the trouble is from second 5 to 15, unless its text says otherwise. The columns:
//!
//! | column | what it says |
//! |---|---|
//! | valid, 3 s | share of the trouble's callers who hear by their deadline (150 s), and within 3 s, that they are valid |
//! | calls | provider calls in the trouble for each of its callers |
//! | recovery | how long after the end until 95 % of those who arrive are answered within 1 s; never: not while callers arrived |
//! | after | 99th percentile of the waits of those who arrive 1 s after the end, over that before the trouble |
//! | burst | most calls in a quarter of a second after the end, over what is normal |
//! | waiters | how long after the end until 99 % of those who still wait then are answered; never: they are not |
//! | longest | the longest that one of the trouble's callers waits for any answer |
//! | first | the longest that a caller waits until the provider is first asked for it |
//!
//! A trouble's text is `fail:SHARE`, `slow:SECONDS`, `hang:SHARE`, `limit:SHARE` (429 at random), `rate:ROOM` or
//! `rate:ROOM:told` (a token bucket; 429, told with a Retry-After), `congest:ROOM:POWER` or `flap:SECONDS`, then `@FROM-TO`;
//! commas join several. A room is a multiple of the callers' rate.
//!
//! Exit status: 0, or with `--check` 1 when a goal is missed; 2 when the run itself failed.

mod csv;
mod picture;
mod study;
mod table;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use study::goals::goals;
use study::peers::Peer;
use study::scenario::{NAMED, Scenario};
use study::{Case, Study};

/// Callers of payproof and of its peers, while the provider is in trouble.
#[derive(Debug, Parser)]
struct Args {
    /// A scenario by name or text; may be given several times. All that have a name, unless given.
    #[arg(long = "scenario", value_name = "NAME|TEXT")]
    scenarios: Vec<Scenario>,
    /// Adds so many mixtures that no one has chosen, from seeds 1 to N; without `--scenario`, they are all that is run.
    #[arg(long, value_name = "N", default_value_t = 0)]
    mixtures: u64,
    /// Callers a second.
    #[arg(long = "rate", value_name = "N,…", value_delimiter = ',', default_value = "200",
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rates: Vec<u32>,
    /// How many processes share the callers.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1",
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    processes: Vec<u16>,
    /// Who asks. All, unless given.
    #[arg(long = "peer", value_name = "NAME,…", value_delimiter = ',', value_enum)]
    peers: Vec<Peer>,
    /// How many seeds; figures are means over them.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Says of each goal what was measured, and fails where one is missed.
    #[arg(long)]
    check: bool,
    /// Writes the figures, as means and worst of all seeds.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Writes a picture, for pages.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Names the scenarios, and ends.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader has seen enough, as in `outage | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether every goal was met, where goals are asked for.
fn run(args: Args) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    if args.list {
        for (name, text) in NAMED {
            writeln!(out, "{name:26} {text}")?;
        }
        return Ok(true);
    }
    let mut scenarios = args.scenarios;
    scenarios.extend((1..=args.mixtures).map(Scenario::mixture));
    if scenarios.is_empty() {
        scenarios = Scenario::named();
    }
    let study = Study {
        scenarios,
        rates: args.rates,
        processes: args.processes.into_iter().map(usize::from).collect(),
        peers: if args.peers.is_empty() { Peer::value_variants().to_vec() } else { args.peers },
        seeds: args.seeds,
    };
    let mut told = Ok(());
    let cases = study.run(|case| {
        if told.is_ok() {
            told = tell(&mut out, case, args.check);
        }
    });
    told?;
    if let Some(file) = args.csv {
        fs::write(file, csv::of(&cases))?;
    }
    if let Some(file) = args.svg {
        fs::write(file, picture::of(&cases))?;
    }
    if !args.check {
        return Ok(true);
    }
    writeln!(out, "{}", table::summary(&cases))?;
    let goals: Vec<_> = cases.iter().flat_map(goals).collect();
    let missed = goals.iter().filter(|goal| !goal.is_met()).count();
    writeln!(out, "{} goals, {missed} missed", goals.len())?;
    Ok(missed == 0)
}

fn tell(out: &mut impl Write, case: &Case, check: bool) -> io::Result<()> {
    writeln!(out, "{}", table::of(case))?;
    if check {
        goals(case).iter().try_for_each(|goal| writeln!(out, "{}", table::line(case, goal)))?;
    }
    writeln!(out)
}
