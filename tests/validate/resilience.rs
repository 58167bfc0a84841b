//! What keeps an outage from becoming a storm: budget, breaker, limits, and older facts.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

mod breaker;
mod budget;
mod hedges;
mod left;
mod limits;
mod line;
mod outage;

use payproof::testing::ScriptedProvider;
use payproof::{ValidateError, Validation, Validator};
use tokio::task::JoinHandle;

use crate::support::{intent, paid};

type Answer = Result<Validation, ValidateError>;

/// Starts a call in a task of its own.
fn start(validator: &Validator, payment: &str) -> JoinHandle<Answer> {
    tokio::spawn(validator.validate(intent(payment)).into_future())
}

/// Starts one call for each number.
fn start_many(validator: &Validator, numbers: std::ops::Range<usize>) -> Vec<JoinHandle<Answer>> {
    numbers.map(|number| start(validator, &format!("pi_{number}"))).collect()
}

async fn code_of(call: JoinHandle<Answer>) -> &'static str {
    match call.await.unwrap() {
        Ok(validation) => validation.verdict().as_str(),
        Err(error) => error.code(),
    }
}

/// How many of the calls ended like this.
async fn count(calls: Vec<JoinHandle<Answer>>, code: &str) -> usize {
    let mut codes = Vec::new();
    for call in calls {
        codes.push(code_of(call).await);
    }
    codes.into_iter().filter(|ended| *ended == code).count()
}

/// A provider of these payments that is healthy.
fn stocked(payments: usize) -> ScriptedProvider {
    let provider = ScriptedProvider::new();
    for number in 0..payments {
        provider.put(paid(&format!("pi_{number}")));
    }
    provider
}
