//! What is measured of a run, and of the same run under many seeds.

use super::model::{BINS_PER_SECOND, Counted};
use super::run::DEADLINE;
use super::scenario::{LAST_ARRIVAL, Scenario};

/// Stands for what does not happen, in seconds: a caller is told something by then.
pub(crate) const NEVER: f64 = DEADLINE.as_secs_f64();

/// What one caller heard, and when, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) arrival: f64,
    pub(crate) end: f64,
    pub(crate) is_valid: bool,
}

/// Everything that a run leaves behind.
pub(crate) struct Seen {
    /// By caller, in the order of their arrival.
    pub(crate) heard: Vec<Heard>,
    pub(crate) counted: Counted,
}

/// A figure; the trouble is from the scenario's begin to its end, and its callers are those who arrive in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    /// The share of the trouble's callers who hear by their deadline that their payment is valid.
    Valid,
    /// The same within 3 s.
    Prompt,
    /// Calls that the provider gets in the trouble, for each of its callers.
    Calls,
    /// How long after the end until 95 % of those who arrive hear within 1 s that they are valid, in seconds.
    Recovery,
    /// The 99th percentile of the waits of those who arrive 1 s to 20 s after the end, over that before the trouble.
    After,
    /// The most calls in a quarter of a second from the end on, over what is normal.
    Burst,
    /// How long after the end until 99 % of those who wait at the end have heard that they are valid, in seconds.
    Waiters,
    /// The longest that one of the trouble's callers waits for its answer, in seconds.
    Longest,
    /// The longest that a caller waits until the provider is first asked for it, in seconds.
    First,
}

impl Figure {
    pub(crate) const ALL: [Self; 9] = [
        Self::Valid,
        Self::Prompt,
        Self::Calls,
        Self::Recovery,
        Self::After,
        Self::Burst,
        Self::Waiters,
        Self::Longest,
        Self::First,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Prompt => "valid_within_3s",
            Self::Calls => "calls_per_caller",
            Self::Recovery => "recovery_s",
            Self::After => "p99_after_x_normal",
            Self::Burst => "burst_x_normal",
            Self::Waiters => "waiters_s",
            Self::Longest => "longest_wait_s",
            Self::First => "longest_before_first_call_s",
        }
    }

    /// Whether more of it is better.
    const fn is_share(self) -> bool {
        matches!(self, Self::Valid | Self::Prompt)
    }
}

/// The figures of one run, in the order of [`Figure::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures([f64; Figure::ALL.len()]);

impl Figures {
    pub(crate) fn of(seen: &Seen, scenario: &Scenario, rate: f64) -> Self {
        let (begin, end, until) = (scenario.begin(), scenario.end(), scenario.counted_until());
        let arrived = |from: f64, to: f64| seen.heard.iter().filter(move |caller| (from..to).contains(&caller.arrival));
        let callers = arrived(begin, until).count() as f64;
        let share =
            |limit: f64| arrived(begin, until).filter(|caller| caller.heard_within(limit)).count() as f64 / callers;
        let bin = |second: f64| (second * BINS_PER_SECOND) as usize;
        let bins = &seen.counted.bins;
        let calls: u32 = bins.iter().skip(bin(begin)).take(bin(until - begin)).sum();
        let burst = bins.iter().skip(bin(end)).max().copied().unwrap_or_default();
        let waits = |from: f64, to: f64| arrived(from, to).map(Heard::wait).collect();
        let normal = percentile(waits(0.0, begin - 1.0), 0.99);
        let waiters = arrived(begin, end).filter(|caller| caller.end > end);
        let waiters = waiters.map(|caller| if caller.is_valid { caller.end - end } else { NEVER });
        let first = seen.heard.iter().zip(&seen.counted.first).map(|(caller, first)| first - caller.arrival);
        Self(Figure::ALL.map(|figure| match figure {
            Figure::Valid => share(f64::INFINITY),
            Figure::Prompt => share(3.0),
            Figure::Calls => f64::from(calls) / callers,
            Figure::Recovery => recovery(&seen.heard, end),
            Figure::After => percentile(waits(end + 1.0, end + 20.0), 0.99) / normal,
            Figure::Burst => f64::from(burst) * BINS_PER_SECOND / rate,
            Figure::Waiters => percentile(waiters.clone().collect(), 0.99),
            Figure::Longest => arrived(begin, until).map(|caller| caller.end - caller.arrival).fold(0.0, f64::max),
            // Who was never asked for does not count: `max` passes over `NaN`.
            Figure::First => first.clone().fold(0.0, f64::max),
        }))
    }

    pub(crate) fn get(&self, figure: Figure) -> f64 {
        self.0[figure as usize]
    }
}

impl Heard {
    fn heard_within(&self, limit: f64) -> bool {
        self.is_valid && self.end - self.arrival <= limit
    }

    /// How long it took; who is told anything else than that it is valid counts as waiting until the deadline.
    fn wait(&self) -> f64 {
        if self.is_valid { self.end - self.arrival } else { NEVER }
    }
}

/// How long after the end the last quarter of a second ends in which fewer than 95 % of those who arrive are answered within 1 s.
/// Where that is the last one that is looked at, it is not over, and [`NEVER`] stands for it.
fn recovery(heard: &[Heard], end: f64) -> f64 {
    let bins = ((LAST_ARRIVAL - 1.0 - end) * BINS_PER_SECOND) as usize;
    let mut counts = vec![(0.0, 0.0); bins];
    for caller in heard.iter().filter(|caller| caller.arrival >= end) {
        if let Some((all, answered)) = counts.get_mut(((caller.arrival - end) * BINS_PER_SECOND) as usize) {
            *all += 1.0;
            *answered += f64::from(u8::from(caller.heard_within(1.0)));
        }
    }
    match counts.iter().rposition(|(all, answered)| *answered < 0.95 * all) {
        None => 0.0,
        Some(last) if last + 1 == bins => NEVER,
        Some(bin) => (bin + 1) as f64 / BINS_PER_SECOND,
    }
}

/// The value that this share of all does not exceed; 0 of none.
fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The figures of one peer over all seeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    mean: Figures,
    worst: Figures,
}

impl Measured {
    pub(crate) fn of(runs: &[Figures]) -> Self {
        let of = |figure| runs.iter().map(move |run| run.get(figure));
        let mean = Figure::ALL.map(|figure| of(figure).sum::<f64>() / runs.len() as f64);
        let worst = Figure::ALL.map(|figure| {
            if figure.is_share() { of(figure).fold(1.0, f64::min) } else { of(figure).fold(0.0, f64::max) }
        });
        Self { mean: Figures(mean), worst: Figures(worst) }
    }

    pub(crate) fn mean(&self, figure: Figure) -> f64 {
        self.mean.get(figure)
    }

    pub(crate) fn worst(&self, figure: Figure) -> f64 {
        self.worst.get(figure)
    }
}
