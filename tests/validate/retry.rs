//! What is tried again, how often, and after how long.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

mod explain;
mod failures;
mod further;
mod gate;
mod not_ready;
mod retry_after;
mod schedules;
mod time;
mod told;
mod wait_header;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::provider::AttemptOutcome;
use payproof::provider::{ProviderError, ProviderIdentity, RateLimit, provider_fn};
use payproof::{Jitter, Retry, Schedule, ValidateError, Validator, ValidatorBuilder};
use tokio::time::Instant;

use crate::support::{failing, intent, ms, paid, plain};

/// The most a timer comes late on a paused clock: it counts whole milliseconds.
const TICK: Duration = ms(1);

/// The error and the time it took, for a provider that keeps failing like this.
async fn refused_after(
    error: ProviderError,
    set: impl Fn(ValidatorBuilder) -> ValidatorBuilder,
) -> (ValidateError, Duration, u64) {
    let provider = failing(error);
    let validator = set(plain(&provider)).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    (error, start.elapsed(), provider.calls())
}

fn exact(times: u32, schedule: Schedule) -> Retry {
    Retry::new().times(times).schedule(schedule).jitter(Jitter::None)
}

fn rule_of(outcome: &AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Transient(rule) => format!("transient by {rule}"),
        AttemptOutcome::Permanent(rule) => format!("permanent by {rule}"),
        other => format!("{other:?}"),
    }
}

/// A limit of the account's, as its adapter says.
fn limited(wait: Option<Duration>) -> ProviderError {
    let error = ProviderError::refused("slow down").with_status(429).with_rate_limit(RateLimit::Account);
    wait.map_or(error.clone(), |wait| error.with_retry_after(wait))
}

/// A provider of these paid payments that notes when it is asked.
fn noting(
    steps: impl Fn(&str, u32) -> Option<ProviderError> + Send + Sync + 'static,
) -> (Arc<Mutex<Vec<Instant>>>, ValidatorBuilder) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, call| {
        notes.lock().unwrap().push(Instant::now());
        let answer = match steps(payment.as_str(), call.attempt()) {
            Some(error) => Err(error),
            None => Ok(paid(payment.as_str())),
        };
        async move { answer }
    });
    (asked, Validator::builder(provider))
}
