//! Figures of several rounds, with how far these are apart; and calls that follow each other, or come after a pause.

use std::time::Duration;

use crate::figure;
use crate::turns::{Batches, median, timed};

/// Each round has a runtime and connections of its own: on which cores they come to lie makes more of a difference than the
/// batches of one round show.
pub(crate) const ROUNDS: usize = 5;

/// Long enough for processes to sleep, and for their cores to turn to other work or to slow down.
const PAUSE: Duration = Duration::from_millis(2);

/// How the calls of a peer follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One begins when the one before has ended.
    BackToBack,
    /// Before each is a pause in which nothing happens, and which is not measured: the call wakes all that it needs.
    AfterPauses,
}

impl Pace {
    pub(crate) const BOTH: [Self; 2] = [Self::BackToBack, Self::AfterPauses];

    /// What is added to the name of a figure.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::BackToBack => "",
            Self::AfterPauses => "_idle",
        }
    }

    /// This many batches, or fewer where pauses make them long.
    pub(crate) fn batches(self, full: usize) -> usize {
        match self {
            Self::BackToBack => full,
            Self::AfterPauses => full.div_ceil(10),
        }
    }

    /// Makes the calls, and says how long they took together.
    pub(crate) async fn time<A: Future<Output = ()>>(self, calls: impl Iterator<Item = A>) -> Duration {
        match self {
            Self::BackToBack => {
                let all = async {
                    for call in calls {
                        call.await;
                    }
                };
                timed(all).await.0
            }
            Self::AfterPauses => {
                let mut total = Duration::ZERO;
                for call in calls {
                    tokio::time::sleep(PAUSE).await;
                    total += timed(call).await.0;
                }
                total
            }
        }
    }
}

/// What rounds have found: a row for each figure, in the order in which they came.
#[derive(Default)]
pub(crate) struct Rounds(Vec<(String, Vec<Compared>)>);

/// What a round has found.
#[derive(Clone, Copy)]
struct Compared {
    ratio: f64,
    own_ns: f64,
    peer_ns: f64,
}

impl Rounds {
    /// Adds what a round has found: how long one of two takes in units of the other.
    pub(crate) fn add(&mut self, name: impl Into<String>, [own, peer]: &[Batches; 2]) {
        self.push(name.into(), Compared { ratio: own.ratio_to(peer), own_ns: own.ns(), peer_ns: peer.ns() });
    }

    /// The same as calls a second: the more, the better.
    pub(crate) fn add_throughput(&mut self, name: impl Into<String>, [own, peer]: &[Batches; 2]) {
        self.push(name.into(), Compared { ratio: 1.0 / own.ratio_to(peer), own_ns: own.ns(), peer_ns: peer.ns() });
    }

    fn push(&mut self, name: String, compared: Compared) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rounds)) => rounds.push(compared),
            None => self.0.push((name, vec![compared])),
        }
    }

    /// Prints each ratio as the median of the rounds, with their range, and how long a call of either peer took.
    pub(crate) fn print(&self) {
        for (name, rounds) in &self.0 {
            let all = |figure: fn(&Compared) -> f64| rounds.iter().map(figure).collect::<Vec<_>>();
            let ratios = all(|round| round.ratio);
            let (low, high) =
                (ratios.iter().copied().fold(f64::INFINITY, f64::min), ratios.iter().copied().fold(0.0, f64::max));
            figure::ratio(name, median(ratios));
            println!("range {name} {low:.3} to {high:.3}");
            figure::ns(&format!("{name}_own"), median(all(|round| round.own_ns)));
            figure::ns(&format!("{name}_peer"), median(all(|round| round.peer_ns)));
        }
    }
}
