//! tower's retries, its budget and its limit of concurrency.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Sleep;
use tower::retry::Policy;
use tower::retry::backoff::{Backoff, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget, TpsBudget};
use tower::util::BoxCloneSyncService;
use tower::util::rng::Rng;
use tower::{ServiceBuilder, service_fn};

use super::Dice;
use crate::study::model::{Answer, Model};

const RETRIES: u32 = 3;
const PLACES: usize = 64;

/// A failed attempt, of whatever kind.
#[derive(Debug)]
pub(crate) struct Refused;

impl Rng for Dice {
    fn next_u64(&mut self) -> u64 {
        self.roll(rand::Rng::next_u64)
    }
}

#[derive(Clone)]
struct Retries {
    left: u32,
    backoff: ExponentialBackoff<Dice>,
    budget: Option<Arc<TpsBudget>>,
}

/// As tower's documentation has it.
impl Policy<usize, (), Refused> for Retries {
    type Future = Sleep;

    fn retry(&mut self, _caller: &mut usize, result: &mut Result<(), Refused>) -> Option<Sleep> {
        if result.is_ok() {
            self.budget.iter().for_each(|budget| budget.deposit());
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let may_retry = self.budget.as_ref().is_none_or(|budget| budget.withdraw());
        may_retry.then(|| self.backoff.next_backoff())
    }

    fn clone_request(&mut self, caller: &usize) -> Option<usize> {
        Some(*caller)
    }
}

pub(super) fn service(
    model: Arc<Model>,
    dice: Dice,
    has_places: bool,
    has_budget: bool,
) -> BoxCloneSyncService<usize, (), Refused> {
    let (least, most) = (Duration::from_millis(100), Duration::from_secs(10));
    let mut backoffs = ExponentialBackoffMaker::new(least, most, 0.99, dice).expect("the bounds fit");
    let budget = has_budget.then(|| Arc::new(TpsBudget::default()));
    let retries = Retries { left: RETRIES, backoff: backoffs.make_backoff(), budget };
    let attempt = service_fn(move |caller| {
        let model = Arc::clone(&model);
        async move {
            let answer = model.call_within_timeout(caller).await;
            if answer == Answer::Paid { Ok(()) } else { Err(Refused) }
        }
    });
    let service = ServiceBuilder::new().retry(retries).service(attempt);
    if has_places {
        BoxCloneSyncService::new(ServiceBuilder::new().concurrency_limit(PLACES).service(service))
    } else {
        BoxCloneSyncService::new(service)
    }
}
