//! How long to wait between attempts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::accessors::setters;
use crate::settings::build_error::BuildError;

/// Nominal waits before the first, second and third retry: a blip, a restart, a failover.
const DEFAULT_WAITS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(5)];

/// How often a failed call is tried again, and how long it waits in between.
///
/// | setting | default |
/// |---|---|
/// | retries after the first attempt | 3 |
/// | nominal waits | 100 ms, 500 ms, 5 s |
/// | jitter | full: anything from zero to the nominal wait |
///
/// Only transient failures are tried again, and only while the deadline and the budget allow it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Retry {
    retries: u32,
    schedule: Schedule,
    jitter: Jitter,
}

impl Default for Retry {
    fn default() -> Self {
        Self { retries: Self::RETRIES, schedule: Schedule::waits(DEFAULT_WAITS), jitter: Jitter::Full }
    }
}

impl Retry {
    /// The default of [`times`](Self::times): 3, one for each nominal wait.
    pub const RETRIES: u32 = 3;

    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// One attempt, and no retry.
    pub fn none() -> Self {
        Self::default().times(0)
    }

    setters! {
        /// How many retries follow the first attempt.
        pub fn times(mut self, retries: u32) => self.retries = retries;

        /// The nominal waits.
        pub fn schedule(mut self, schedule: Schedule) => self.schedule = schedule;

        /// How waits are spread.
        pub fn jitter(mut self, jitter: Jitter) => self.jitter = jitter;
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        match &self.schedule.0 {
            Source::Waits(waits) if waits.is_empty() && self.retries > 0 => Err(BuildError::OutOfRange {
                setting: "retry.schedule",
                value: "empty".into(),
                rule: "at least one wait, or no retries",
            }),
            Source::Exponential { factor, .. } if !(factor.is_finite() && *factor >= 1.0) => {
                let rule = "a finite number, at least 1";
                Err(BuildError::OutOfRange { setting: "retry.schedule.factor", value: factor.to_string(), rule })
            }
            Source::Exponential { first, cap, .. } if first > cap => Err(BuildError::Contradiction {
                shorter: "retry.schedule.first",
                shorter_value: *first,
                longer: "retry.schedule.cap",
                longer_value: *cap,
            }),
            _ => Ok(()),
        }
    }

    /// The waits of one call.
    pub(crate) fn waits(&self) -> Waits<'_> {
        let own = match &self.schedule.0 {
            Source::PerCall(make) => Some(make()),
            _ => None,
        };
        Waits { retry: self, made: 0, own }
    }
}

/// How a nominal wait becomes an actual one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// Anything from zero to the nominal wait. Spreads a fleet best.
    #[default]
    Full,
    /// Anything from half the nominal wait to all of it.
    Equal,
    /// Exactly the nominal wait, for tests. A fleet then retries in step.
    None,
}

impl Jitter {
    fn spread(self, nominal: Duration, rng: &mut impl Rng) -> Duration {
        match self {
            Self::Full => rng.random_range(Duration::ZERO..=nominal),
            Self::Equal => rng.random_range(half(nominal)..=nominal),
            Self::None => nominal,
        }
    }
}

type NextWait = Box<dyn FnMut() -> Option<Duration> + Send>;

/// Nominal waits between attempts.
#[derive(Clone)]
pub struct Schedule(Source);

#[derive(Clone)]
enum Source {
    Waits(Arc<[Duration]>),
    Exponential {
        first: Duration,
        factor: f64,
        cap: Duration,
    },
    Function(Arc<dyn Fn(u32) -> Option<Duration> + Send + Sync>),
    /// With its own state and its own jitter.
    PerCall(Arc<dyn Fn() -> NextWait + Send + Sync>),
}

impl Schedule {
    /// These waits, one after the other; the last one repeats.
    #[must_use]
    pub fn waits(waits: impl IntoIterator<Item = Duration>) -> Self {
        Self(Source::Waits(waits.into_iter().collect()))
    }

    /// Starts at `first` and multiplies by `factor` each time, up to `cap`.
    #[must_use]
    pub fn exponential(first: Duration, factor: f64, cap: Duration) -> Self {
        Self(Source::Exponential { first, factor, cap })
    }

    /// Asks a function for the wait before retry 1, 2, 3 and so on; `None` ends the call.
    #[must_use]
    pub fn from_fn(wait: impl Fn(u32) -> Option<Duration> + Send + Sync + 'static) -> Self {
        Self(Source::Function(Arc::new(wait)))
    }

    /// Makes a schedule with state of its own for each call; `None` ends the call.
    ///
    /// Its waits are taken as they are: no jitter is added.
    ///
    /// ```
    /// use std::time::Duration;
    /// use payproof::Schedule;
    ///
    /// let doubling = Schedule::per_call(|| {
    ///     let mut wait = Duration::from_millis(50);
    ///     move || {
    ///         wait = wait.checked_mul(2)?;
    ///         Some(wait)
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn per_call<F>(make: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: FnMut() -> Option<Duration> + Send + 'static,
    {
        Self(Source::PerCall(Arc::new(move || Box::new(make()))))
    }

    /// Takes a `backoff` schedule, made afresh for each call by the closure.
    ///
    /// Its waits are taken as they are, since such a schedule has its own jitter. It measures time on the system's clock
    /// and not on tokio's, so a paused clock does not reach it; the validator's total deadline holds all the same.
    ///
    /// ```
    /// use payproof::{Retry, Schedule};
    ///
    /// let retry = Retry::new().schedule(Schedule::backoff(backoff::ExponentialBackoff::default));
    /// ```
    #[cfg(feature = "backoff")]
    #[cfg_attr(docsrs, doc(cfg(feature = "backoff")))]
    #[must_use]
    pub fn backoff<B>(make: impl Fn() -> B + Send + Sync + 'static) -> Self
    where
        B: ::backoff::backoff::Backoff + Send + 'static,
    {
        Self::per_call(move || {
            let mut schedule = make();
            move || schedule.next_backoff()
        })
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Waits(waits) => f.debug_tuple("Waits").field(waits).finish(),
            Source::Exponential { first, factor, cap } => {
                f.debug_struct("Exponential").field("first", first).field("factor", factor).field("cap", cap).finish()
            }
            Source::Function(_) => f.write_str("Function"),
            Source::PerCall(_) => f.write_str("PerCall"),
        }
    }
}

/// The waits of one call, in order.
pub(crate) struct Waits<'r> {
    retry: &'r Retry,
    made: u32,
    own: Option<NextWait>,
}

impl Waits<'_> {
    /// What becomes of a nominal wait.
    pub(crate) fn jittered(&self, nominal: Duration, rng: &mut impl Rng) -> Duration {
        match self.own {
            Some(_) => nominal,
            None => self.retry.jitter.spread(nominal, rng),
        }
    }

    /// Retries that are left; a schedule of the user's own may end earlier.
    pub(crate) fn left(&self) -> u32 {
        self.retry.retries.saturating_sub(self.made)
    }

    /// The least and the most that the next wait can be.
    pub(crate) fn bounds(mut self) -> Option<(Duration, Duration)> {
        let nominal = self.nominal()?;
        let least = match self.retry.jitter {
            _ if self.own.is_some() => nominal,
            Jitter::Full => Duration::ZERO,
            Jitter::Equal => half(nominal),
            Jitter::None => nominal,
        };
        Some((least, nominal))
    }

    /// The next nominal wait; `None` when there are no retries left. May call the user's own schedule.
    pub(crate) fn nominal(&mut self) -> Option<Duration> {
        if self.made >= self.retry.retries {
            return None;
        }
        self.made = self.made.saturating_add(1);
        if let Some(own) = &mut self.own {
            return own();
        }
        Some(match &self.retry.schedule.0 {
            Source::Waits(waits) => {
                let at = usize::try_from(self.made.saturating_sub(1)).unwrap_or(usize::MAX);
                waits.get(at).or_else(|| waits.last()).copied()?
            }
            Source::Exponential { first, .. } if first.is_zero() => Duration::ZERO,
            Source::Exponential { first, factor, cap } => {
                // A power beyond what a float holds is infinite, and a product beyond a duration is refused: both mean
                // the cap. The jitter is drawn from the capped wait, so it is neither lost at the cap nor added past it.
                let power = factor.powi(i32::try_from(self.made.saturating_sub(1)).unwrap_or(i32::MAX));
                Duration::try_from_secs_f64(first.as_secs_f64() * power).map_or(*cap, |nominal| nominal.min(*cap))
            }
            Source::Function(wait) => wait(self.made)?,
            Source::PerCall(_) => return None,
        })
    }
}

fn half(wait: Duration) -> Duration {
    wait.checked_div(2).unwrap_or(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn drawn(retry: &Retry, seed: u64) -> Vec<Duration> {
        let (mut rng, mut waits) = (StdRng::seed_from_u64(seed), retry.waits());
        let next = || waits.nominal().map(|nominal| waits.jittered(nominal, &mut rng));
        std::iter::from_fn(next).take(5000).collect()
    }

    #[test]
    fn the_default_is_three_waits_below_their_nominal_values() {
        for seed in 0..200 {
            let waits = drawn(&Retry::new(), seed);
            assert_eq!(waits.len(), 3);
            assert!(waits.iter().zip(DEFAULT_WAITS).all(|(wait, nominal)| *wait <= nominal), "{waits:?}");
        }
    }

    #[test]
    fn the_first_retry_is_jittered_from_zero() {
        let first: Vec<_> = (0..200).map(|seed| drawn(&Retry::new(), seed)[0]).collect();
        assert!(first.iter().any(|wait| *wait < Duration::from_millis(10)));
        assert!(first.iter().any(|wait| *wait > Duration::from_millis(90)));
    }

    #[test]
    fn at_the_cap_jitter_stays_and_the_cap_holds() {
        let cap = Duration::from_secs(10);
        let schedule = Schedule::exponential(Duration::from_secs(1), 10.0, cap);
        let waits = drawn(&Retry::new().times(5000).schedule(schedule), 1);
        assert_eq!(waits.len(), 5000);
        assert!(waits.iter().all(|wait| *wait <= cap));
        let late = &waits[4000..];
        assert!(late.iter().min().unwrap() < &Duration::from_secs(1));
        assert!(late.iter().max().unwrap() > &Duration::from_secs(9));
    }

    #[test]
    fn the_last_wait_repeats_and_no_jitter_is_exact() {
        let schedule = Schedule::waits([Duration::from_secs(1), Duration::from_secs(2)]);
        let waits = drawn(&Retry::new().times(4).schedule(schedule).jitter(Jitter::None), 1);
        assert_eq!(waits, [1, 2, 2, 2].map(Duration::from_secs));
    }

    #[test]
    fn contradictions_are_refused() {
        let check = |schedule| Retry::new().schedule(schedule).check();
        let second = Duration::from_secs(1);
        assert!(check(Schedule::waits([])).is_err());
        assert!(check(Schedule::exponential(second, f64::NAN, second)).is_err());
        assert!(check(Schedule::exponential(second, 0.5, second)).is_err());
        assert!(check(Schedule::exponential(second * 2, 2.0, second)).is_err());
        assert!(check(Schedule::exponential(second, 2.0, second)).is_ok());
    }
}
