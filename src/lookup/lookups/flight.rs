//! One flight: the provider's answer, or what another process brought, and what is kept of it.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::call::error::CallError;
use crate::call::retry::LookUpAnswer;
use crate::ledger::Lease;
use crate::lookup::error::ValidateError;
use crate::lookup::facts_cache::Keep;
use crate::lookup::facts_flight::{Brought, FactsLeader, LookedUp, Source};
use crate::lookup::shared_facts::{FactsRecord, Found, JoinedElsewhere, SharedFacts};
use crate::moment::Moment;
use crate::payment::facts::ProviderPayment;
use crate::payment::order::FunctionPanicked;
use crate::payment::shelf_life::ShelfLife;
use crate::payment::verdict::Degradation;
use crate::provider::attempt_log::Attempts;
use crate::store::line::ALIVE_FOR;

use super::Lookups;

/// Asks the provider, in a task of its own, which one caller's patience does not cut while another waits.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` has room for each argument twice, and the task, made for each miss, should be small"
)]
pub(super) fn fly(lookups: Arc<Lookups>, leader: FactsLeader) -> impl Future<Output = ()> + Send {
    async move {
        let deadline = Deadline::after(leader.flight().begun(), lookups.account.limits.total_deadline);
        let outcome = match &lookups.shared {
            None => {
                let answer = lookups.ask_provider(&leader, leader.flight().begun(), deadline).await;
                answer.map(|answer| Box::new(lookups.looked_up(answer, &[]))).map_err(ValidateError::from)
            }
            // Boxed, so that a flight without a store stays small.
            Some(shared) => Box::pin(lookups.ask_all_processes(shared, &leader, deadline)).await,
        };
        let flight = Arc::clone(leader.flight());
        leader.complete(outcome.map(Brought::Facts), |outcome, is_current| {
            let Ok(Brought::Facts(looked_up)) = outcome else { return };
            let LookedUp { facts, stamp, keep, .. } = &**looked_up;
            // It settles nothing, but what was known before it began is not to be believed over its answer either.
            if !(is_current && lookups.cache.keep(flight.key(), facts, *stamp, *keep)) {
                lookups.cache.forget(flight.key(), Some(flight.begun()));
            }
        });
    }
}

impl Lookups {
    pub(super) fn ask_provider<'a>(
        &'a self,
        leader: &'a FactsLeader,
        begin: Instant,
        deadline: Deadline,
    ) -> impl Future<Output = Result<LookUpAnswer, CallError>> + Send + 'a {
        let (retrier, telemetry, flight) = (&self.account.retrier, &self.account.telemetry, leader.flight());
        let started = |at: Option<Instant>| flight.notes().attempt_started(at.map(Moment::at));
        retrier.look_up((flight.key(), flight.audience()), begin, deadline, telemetry, started)
    }

    /// Looks into the store first, and tells it what the provider said.
    async fn ask_all_processes(
        &self,
        shared: &Arc<SharedFacts>,
        leader: &FactsLeader,
        deadline: Deadline,
    ) -> Result<Box<LookedUp>, ValidateError> {
        match shared.join(&self.rules, &self.cache, leader.flight(), deadline).await? {
            JoinedElsewhere::Found(found) => Ok(Box::new(self.looked_up_in_store(*found, shared.memory_for))),
            JoinedElsewhere::Failed(error) => Err(error),
            JoinedElsewhere::Alone(error) => {
                self.account.telemetry.store_failed(&error);
                let asked_at = Instant::now();
                let asked = Box::pin(self.ask_provider(leader, leader.flight().begun(), deadline)).await?;
                let mut looked_up = self.looked_up(asked, &[]);
                // Others may forget the payment meanwhile, and this process would not hear of it.
                let (life, asked_for) = (looked_up.keep.uncovered, asked_at.elapsed());
                let left = |time: Duration| in_memory(life, Duration::ZERO, time.saturating_sub(asked_for));
                let (uncovered, beside_line) = (left(shared.memory_for), left(ALIVE_FOR));
                looked_up.keep = Keep { uncovered, beside_line, ..Keep::default() };
                looked_up.degraded = Some(Degradation::StoreDown);
                Ok(Box::new(looked_up))
            }
            // Boxed, so that a replay stays small.
            JoinedElsewhere::Leads(lease) => Box::pin(self.lead_everywhere(shared, lease, leader, deadline)).await,
        }
    }

    async fn lead_everywhere(
        &self,
        shared: &SharedFacts,
        mut lease: Box<Lease<FactsRecord>>,
        leader: &FactsLeader,
        deadline: Deadline,
    ) -> Result<Box<LookedUp>, ValidateError> {
        if lease.took_over() {
            self.account.telemetry.taken_over(leader.flight().key());
        }
        let answer = lease.during(self.ask_provider(leader, Instant::now(), deadline)).await;
        let mut looked_up = match answer {
            Ok(answer) => self.looked_up(answer, lease.keys()),
            // Without a caller left the flight is over at once. Its lease, dropped, ends beside it: other processes take over.
            Err(error) if error.is_interrupted() => return Err(error.into()),
            Err(error) => {
                if let Err(trouble) = lease.fail(&error).await {
                    self.account.telemetry.store_failed(&trouble);
                }
                return Err(error.into());
            }
        };
        let (claimed_at, sent_at) = (lease.asked_at(), Instant::now());
        let age = looked_up.stamp.at.age();
        let recorded = lease.settle(&self.rules, &looked_up.facts, looked_up.stamp.at).await;
        // The settling says that no caller had forgotten the payment before; without it, only the claim does.
        looked_up.confirmed_at = Some(if matches!(recorded, Ok(true)) { sent_at } else { claimed_at });
        match recorded {
            // Where there is a line, it announces this very record, so that the next call reads it there.
            Ok(true) => looked_up.keep = in_memory(looked_up.keep.uncovered, age, shared.memory_for).into(),
            lost => {
                match lost {
                    Err(trouble) => self.account.telemetry.store_failed(&trouble),
                    Ok(_) => self.account.telemetry.lease_lost(leader.flight().key()),
                }
                (looked_up.keep, looked_up.degraded) = (Keep::default(), Some(Degradation::NotRecorded));
            }
        }
        Ok(Box::new(looked_up))
    }

    /// Makes an answer of the provider ready to be judged and kept.
    pub(super) fn looked_up(&self, answer: LookUpAnswer, others_keys: &[Box<str>]) -> LookedUp {
        let LookUpAnswer { mut facts, at, attempts, .. } = answer;
        self.prepare(&mut facts, others_keys);
        let keep = Some(self.rules.shelf_life(&facts)).into();
        LookedUp {
            facts,
            alias: None,
            stamp: self.cache.stamp(Moment::at(at)),
            attempts,
            source: Source::Asked,
            degraded: None,
            keep,
            confirmed_at: None,
        }
    }

    /// Makes facts that the provider stated just now ready to be judged.
    pub(crate) fn prepare(&self, facts: &mut ProviderPayment, others_keys: &[Box<str>]) {
        for FunctionPanicked(name) in self.rules.prune(facts, others_keys) {
            self.account.telemetry.order_function_panicked(&name);
        }
        if let Some(right) = facts.missing_right.take() {
            self.account.telemetry.right_missing(right);
        }
        facts.as_of = facts.as_of.or_else(|| Some(SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs()));
    }

    /// Makes facts of the store ready to be judged and kept.
    pub(super) fn looked_up_in_store(&self, found: Found, memory_for: Duration) -> LookedUp {
        let Found { facts, at, ttl_left, waited, asked_at, ticket } = found;
        let source = if waited { Source::Elsewhere } else { Source::Stored };
        let (life, age) = (Some(self.rules.shelf_life(&facts)), at.age_at(asked_at));
        let keep = Keep {
            uncovered: in_memory(life, age, memory_for.min(ttl_left)),
            covered: in_memory(life, age, ttl_left).zip(ticket),
            beside_line: None,
        };
        LookedUp {
            facts: *facts,
            alias: None,
            stamp: self.cache.stamp(at),
            attempts: Attempts::NONE,
            source,
            degraded: None,
            keep,
            confirmed_at: Some(asked_at),
        }
    }
}

/// How long facts that others may forget are served from memory: only what lasts, and only for a short time from now.
fn in_memory(life: Option<ShelfLife>, age: Duration, memory_for: Duration) -> Option<ShelfLife> {
    let ShelfLife { fresh_for, .. } = life.filter(|life| life.lasting && !memory_for.is_zero())?;
    Some(ShelfLife { fresh_for: fresh_for.min(age.saturating_add(memory_for)), lasting: false })
}
