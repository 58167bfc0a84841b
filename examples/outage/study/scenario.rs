//! What goes wrong at the provider, and when.

use std::str::FromStr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The trouble of a scenario, in seconds, where its text gives no other time.
pub(crate) const BEGIN: f64 = 5.0;
pub(crate) const END: f64 = 15.0;

/// Callers arrive from second 0 until this one. What lasts until then lasts for good.
pub(crate) const LAST_ARRIVAL: f64 = 40.0;

/// Every scenario that has a name, and its text.
pub(crate) const NAMED: [(&str, &str); 26] = [
    ("fail_1", "fail:0.01"),
    ("fail_10", "fail:0.1"),
    ("fail_30", "fail:0.3"),
    ("fail_60", "fail:0.6"),
    ("fail_75", "fail:0.75"),
    ("fail_90", "fail:0.9"),
    ("fail_95", "fail:0.95"),
    ("fail_99", "fail:0.99"),
    ("fail_100", "fail:1"),
    ("slow_2s", "slow:2"),
    ("hang", "hang:1"),
    ("hang_then_cap_1.5", "hang:1,congest:1.5:2@15-40"),
    ("hang_half", "hang:0.5"),
    ("hang_10pc", "hang:0.1"),
    ("rate_half_told", "rate:0.5:told"),
    ("rate_half_mute", "rate:0.5"),
    ("limit_random_half", "limit:0.5"),
    ("congest_half_k1", "congest:0.5:1"),
    ("congest_half_k2", "congest:0.5:2"),
    ("congest_0.9_k2", "congest:0.9:2"),
    ("metastable_1.3_k2", "fail:1@5-7,congest:1.3:2@7-40"),
    ("flap_0.5s", "flap:0.5"),
    ("flap_2s", "flap:2"),
    // Mixtures.
    ("slow_and_fail", "slow:1,fail:0.3"),
    ("hang_10pc_and_fail", "hang:0.1,fail:0.2"),
    ("hang_then_fail_then_limit", "hang:1@5-8,fail:0.5@8-12,rate:0.5:told@12-15"),
];

/// What the provider does instead of answering in its usual time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// This share of calls fails with 503.
    Fail(f64),
    /// Every answer takes so many seconds longer.
    Slow(f64),
    /// This share of calls gets no answer.
    Hang(f64),
    /// This share of calls is refused with 429 and a Retry-After of one second.
    Limit(f64),
    /// A token bucket of `room` times the callers' rate, one second deep; past it, 429, `told` with a Retry-After of one second.
    Rate { room: f64, told: bool },
    /// Answers go to `room` times the callers' rate; past that the share of calls that succeeds falls, by this power of
    /// the overload, and the rest fails with 503.
    Congest { room: f64, power: f64 },
}

/// A fault, from when to when in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) fault: Fault,
}

/// Faults over time; at a time with several, the first that strikes decides, and slowness adds up.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: Box<str>,
    pub(crate) troubles: Vec<Trouble>,
}

impl Scenario {
    /// Every named scenario.
    pub(crate) fn named() -> Vec<Self> {
        NAMED.iter().map(|(name, text)| parse(name, text).expect("the list holds no other")).collect()
    }

    /// A mixture that no one has chosen: up to three faults at times of their own, named by its text.
    pub(crate) fn mixture(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let troubles: Vec<String> = (0..rng.random_range(1..=3)).map(|_| trouble_of_any_kind(&mut rng)).collect();
        let text = troubles.join(",");
        parse(&text, &text).expect("it is written as it is read")
    }

    /// When the first fault begins.
    pub(crate) fn begin(&self) -> f64 {
        self.troubles.iter().map(|trouble| trouble.from).fold(LAST_ARRIVAL, f64::min)
    }

    /// When the last fault that ends has ended.
    pub(crate) fn end(&self) -> f64 {
        let ends = self.troubles.iter().map(|trouble| trouble.to).filter(|to| *to < LAST_ARRIVAL);
        ends.fold(self.begin(), f64::max)
    }

    /// Callers who arrive before this one, and after the beginning, are those whose answers are counted.
    pub(crate) fn counted_until(&self) -> f64 {
        self.end().max(self.begin() + END - BEGIN).min(LAST_ARRIVAL)
    }

    /// The room that a provider has for good, as a multiple of the callers' rate.
    pub(crate) fn lasting_room(&self) -> Option<f64> {
        let lasting = self.troubles.iter().filter(|trouble| trouble.to >= LAST_ARRIVAL);
        let rooms = lasting.filter_map(|trouble| match trouble.fault {
            Fault::Congest { room, .. } | Fault::Rate { room, .. } => Some(room),
            _ => None,
        });
        rooms.reduce(f64::min)
    }

    /// Whether everything is as before once the last fault has ended.
    pub(crate) fn ends(&self) -> bool {
        self.troubles.iter().all(|trouble| trouble.to < LAST_ARRIVAL)
    }

    pub(crate) fn any(&self, is: impl Fn(&Fault) -> bool) -> bool {
        self.troubles.iter().any(|trouble| is(&trouble.fault))
    }

    pub(crate) fn all(&self, is: impl Fn(&Fault) -> bool) -> bool {
        self.troubles.iter().all(|trouble| is(&trouble.fault))
    }

    /// Whether calls fail more where there are more of them, or the provider says so by a 429.
    pub(crate) fn depends_on_load(&self) -> bool {
        self.limits() || self.any(|fault| matches!(fault, Fault::Congest { .. }))
    }

    /// Whether calls are refused with 429.
    pub(crate) fn limits(&self) -> bool {
        self.any(|fault| matches!(fault, Fault::Rate { .. } | Fault::Limit(_)))
    }
}

/// A name of the list, or a text: `fail:0.3,slow:2@8-12` is 30 % failing from second 5 to 15, and 2 s of slowness from 8 to 12.
impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match NAMED.iter().find(|(name, _)| *name == text) {
            Some((name, text)) => parse(name, text),
            None => parse(text, text),
        }
    }
}

fn parse(name: &str, text: &str) -> Result<Scenario, String> {
    let mut troubles = Vec::new();
    for part in text.split(',') {
        let (what, when) = part.split_once('@').unwrap_or((part, ""));
        let (from, to) = match when.split_once('-') {
            Some((from, to)) => (number(from, LAST_ARRIVAL)?, number(to, LAST_ARRIVAL)?),
            None if when.is_empty() => (BEGIN, END),
            None => return Err(format!("`{when}`: a time is FROM-TO, in seconds")),
        };
        if from >= to {
            return Err(format!("`{when}`: a trouble ends after it has begun"));
        }
        let mut words = what.split(':');
        let (kind, first, second) = (words.next().unwrap_or_default(), words.next(), words.next());
        let first = |most| number(first.unwrap_or("1"), most);
        let fault = match kind {
            "fail" => Fault::Fail(first(1.0)?),
            "slow" => Fault::Slow(first(LAST_ARRIVAL)?),
            "hang" => Fault::Hang(first(1.0)?),
            "limit" => Fault::Limit(first(1.0)?),
            "rate" => Fault::Rate { room: first(100.0)?, told: second == Some("told") },
            "congest" => Fault::Congest { room: first(100.0)?, power: number(second.unwrap_or("2"), 10.0)? },
            "flap" => {
                troubles.extend(flapping(from, to, first(LAST_ARRIVAL)?.max(0.1)));
                continue;
            }
            _ => return Err(format!("`{part}`: a trouble is fail, slow, hang, limit, rate, congest or flap")),
        };
        troubles.push(Trouble { from, to, fault });
    }
    Ok(Scenario { name: name.into(), troubles })
}

fn trouble_of_any_kind(rng: &mut StdRng) -> String {
    let from = rng.random_range(BEGIN..END - 2.0);
    let to = rng.random_range(from + 1.0..END);
    let (share, room) = (rng.random_range(0.05..1.0), rng.random_range(0.3..1.2));
    let fault = match rng.random_range(0..8) {
        0 => format!("fail:{share:.2}"),
        1 => format!("hang:{share:.2}"),
        2 => format!("limit:{share:.2}"),
        3 => format!("slow:{:.1}", share * 4.0),
        4 => format!("flap:{:.1}", share * 3.0),
        5 => format!("rate:{room:.2}"),
        6 => format!("rate:{room:.2}:told"),
        _ => format!("congest:{room:.2}:{}", rng.random_range(1..=2)),
    };
    format!("{fault}@{from:.1}-{to:.1}")
}

/// Down for a period, up for a period, and so on.
fn flapping(from: f64, to: f64, period: f64) -> impl Iterator<Item = Trouble> {
    let starts = (0..).map(move |turn| from + f64::from(turn) * 2.0 * period).take_while(move |start| *start < to);
    starts.map(move |start| Trouble { from: start, to: (start + period).min(to), fault: Fault::Fail(1.0) })
}

fn number(text: &str, most: f64) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=most).contains(number));
    number.ok_or_else(|| format!("`{text}`: a number from 0 to {most}"))
}
