//! The shoppers: how a service asks, and what it does with the answer.

use std::time::Duration;

use indicatif::ProgressBar;
use payproof::{PaymentIntent, Provenance, ValidateError, Validation, Validator, Verdict};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};

use crate::scenario::{Checkout, Kind, Truth};

/// Shoppers at the counter at one moment: more than the 64 provider calls a validator makes at once by default, so that
/// some wait in its queue.
const AT_ONCE: usize = 128;

/// A shopper who was told to ask again later does so for at most this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Coming back sooner than this would be a busy loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// What one click got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) kind: Kind,
    pub(crate) said: Said,
    /// Whether there is a verdict, and it is not the true one. An error is neither right nor wrong.
    pub(crate) wrong: bool,
    pub(crate) took: Duration,
    /// How often the shopper came back after an error.
    pub(crate) came_back: u64,
}

/// A verdict, or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Valid(Provenance),
    Pending(Provenance),
    ActionRequired(Provenance),
    Invalid(Provenance),
    CouldNotTell,
}

/// Lets every shopper check out, a bounded number of them at once.
pub(crate) async fn check_out(
    validator: &Validator,
    checkouts: Vec<Checkout>,
    bar: &ProgressBar,
) -> Result<Vec<Answer>, JoinError> {
    let (mut answers, mut counter) = (Vec::new(), JoinSet::new());
    for checkout in checkouts {
        if counter.len() >= AT_ONCE
            && let Some(served) = counter.join_next().await
        {
            answers.extend(served?);
            bar.inc(1);
        }
        counter.spawn(serve(validator.clone(), checkout));
    }
    while let Some(served) = counter.join_next().await {
        answers.extend(served?);
        bar.inc(1);
    }
    Ok(answers)
}

/// One shopper: clicks at the same moment, each a request of its own, and more once the page has answered.
async fn serve(validator: Validator, checkout: Checkout) -> Vec<Answer> {
    let mut clicks = JoinSet::new();
    for _ in 0..checkout.clicks_at_once {
        clicks.spawn(click(validator.clone(), checkout.kind, checkout.intent.clone()));
    }
    let mut answers = clicks.join_all().await;
    for _ in 0..checkout.clicks_later {
        answers.push(click(validator.clone(), checkout.kind, checkout.intent.clone()).await);
    }
    answers
}

async fn click(validator: Validator, kind: Kind, intent: PaymentIntent) -> Answer {
    let begin = Instant::now();
    let (answer, came_back) = ask_patiently(&validator, &intent, begin).await;
    let took = begin.elapsed();
    let (said, wrong) = match &answer {
        Ok(validation) => (said(validation), !is_right(validation.verdict(), kind.truth())),
        Err(_) => (Said::CouldNotTell, false),
    };
    Answer { kind, said, wrong, took, came_back }
}

/// Asks, and comes back when the error names a wait: that is what a 503 with Retry-After makes a browser do.
///
/// An error is never taken for an answer. A shopper whose patience ends has not paid as far as the shop knows, and has
/// not been refused either.
async fn ask_patiently(
    validator: &Validator,
    intent: &PaymentIntent,
    begin: Instant,
) -> (Result<Validation, ValidateError>, u64) {
    let mut came_back = 0_u64;
    loop {
        let answer = validator.validate(intent).await;
        let Some(wait) = answer.as_ref().err().and_then(ValidateError::retry_after) else {
            return (answer, came_back);
        };
        let wait = wait.max(SHORTEST_WAIT);
        if begin.elapsed().saturating_add(wait) > PATIENCE {
            return (answer, came_back);
        }
        came_back = came_back.saturating_add(1);
        sleep(wait).await;
    }
}

fn said(validation: &Validation) -> Said {
    let provenance = validation.provenance();
    match validation.verdict() {
        Verdict::Valid(_) => Said::Valid(provenance),
        Verdict::Pending(_) => Said::Pending(provenance),
        Verdict::ActionRequired(_) => Said::ActionRequired(provenance),
        Verdict::Invalid(_) => Said::Invalid(provenance),
    }
}

/// Right is the right verdict, and for a forgery the right reason too.
fn is_right(verdict: &Verdict, truth: Truth) -> bool {
    match (verdict, truth) {
        (Verdict::Valid(_), Truth::Paid)
        | (Verdict::Pending(_), Truth::NotYet)
        | (Verdict::ActionRequired(_), Truth::ShopperMustAct) => true,
        (Verdict::Invalid(findings), Truth::Forged(code)) => findings.has(code),
        _ => false,
    }
}
