//! A value that takes a while to find: a connection, the primary, the map of a Cluster.
//!
//! However many callers ask, one attempt runs at a time. It is a task that belongs to the value and ends with it, so a
//! caller who leaves takes nothing along. After an attempt no caller makes another for a short while, which keeps a fleet off
//! a server that is starting.

use std::future::Future;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::StoreError;
use crate::lock::Lock;

/// How long no caller tries again after an attempt; up to half as much is added, so that a fleet spreads.
const PAUSE: Duration = Duration::from_millis(100);

/// The end of an attempt, once it is there, and when the next one may begin.
type Ending<T> = Option<(Result<T, StoreError>, Instant)>;

/// A value, and at most one attempt at a newer one.
pub(super) struct Renewed<T>(Lock<State<T>>);

struct State<T> {
    value: Option<T>,
    failure: Option<StoreError>,
    /// No attempt begins before then.
    rest_until: Option<Instant>,
    attempt: Option<(watch::Receiver<Ending<T>>, AbortHandle)>,
}

impl<T: Clone + Send + Sync + 'static> Renewed<T> {
    pub(super) fn new() -> Self {
        Self(Lock::new(State { value: None, failure: None, rest_until: None, attempt: None }))
    }

    /// The value, if it is still usable; else that of an attempt, which is made unless one is under way.
    ///
    /// It takes as long as an attempt at most.
    pub(super) async fn get<F>(&self, usable: impl Fn(&T) -> bool, attempt: impl FnOnce() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let mut ending = {
            let mut state = self.0.lock();
            state.collect();
            state.value.take_if(|value| !usable(value));
            if let Some(value) = &state.value {
                return Ok(value.clone());
            }
            if let (Some(failure), true) = (&state.failure, state.rests()) {
                return Err(failure.clone());
            }
            state.begin(attempt)
        };
        let ended = ending.wait_for(Option::is_some).await;
        match ended.ok().and_then(|ended| (*ended).clone()) {
            Some((result, _)) => result,
            None => Err(StoreError::not_sent("the attempt to reach the store ended with its runtime")),
        }
    }

    /// The latest value, however old.
    #[cfg(feature = "redis")]
    pub(super) fn latest(&self) -> Option<T> {
        let mut state = self.0.lock();
        state.collect();
        state.value.clone()
    }

    /// Starts an attempt at a newer value in the background, unless one is under way or has just been made.
    #[cfg(feature = "redis")]
    pub(super) fn renew<F>(&self, attempt: impl FnOnce() -> F)
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let mut state = self.0.lock();
        state.collect();
        if !state.rests() {
            state.begin(attempt);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> State<T> {
    fn rests(&self) -> bool {
        self.rest_until.is_some_and(|end| Instant::now() < end)
    }

    /// Takes over what an attempt has ended with.
    fn collect(&mut self) {
        let Some((ending, task)) = &self.attempt else { return };
        let ended = ending.borrow().clone();
        match ended {
            None if !task.is_finished() => return,
            // Its runtime ended under it.
            None => {}
            Some((result, rest_until)) => {
                self.rest_until = Some(rest_until);
                match result {
                    Ok(value) => (self.value, self.failure) = (Some(value), None),
                    Err(error) => self.failure = Some(error),
                }
            }
        }
        self.attempt = None;
    }

    /// The attempt that is under way, begun if there is none.
    fn begin<F>(&mut self, attempt: impl FnOnce() -> F) -> watch::Receiver<Ending<T>>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        if let Some((ending, _)) = &self.attempt {
            return ending.clone();
        }
        let (sender, ending) = watch::channel(None);
        let work = attempt();
        let task = tokio::spawn(async move {
            let result = work.await;
            sender.send_replace(Some((result, rest_until())));
        });
        self.attempt = Some((ending.clone(), task.abort_handle()));
        ending
    }
}

impl<T> Drop for Renewed<T> {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.0.lock().attempt {
            task.abort();
        }
    }
}

fn rest_until() -> Instant {
    let mut rng: StdRng = rand::make_rng();
    let pause = PAUSE.saturating_add(PAUSE.mul_f64(rng.random_range(0.0..0.5)));
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now)
}
