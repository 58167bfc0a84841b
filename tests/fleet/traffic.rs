//! Callers by the dozen who run the same few hundred operations in every process, and what each of them was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::language::{Answer, Ask, Trouble, is_keyed, is_reconciled};
use crate::process::{Fleet, Gone};
use crate::provider::Provider;

/// Of an operation that did not begin, or of which its owner said that it was not executed.
const NO_RECORD: &str = "there is no record of the operation";

/// Callers in each process at one moment.
const CALLERS: u64 = 8;

/// How many settle what is open, at one moment.
const SETTLERS: usize = 48;

/// Longer than a lease, a validation and a late write together. Nothing may stay open for so long once all is well.
const OPEN_FOR: Duration = Duration::from_secs(25);

/// No error of these kinds may come of anything that happens here.
const NEVER: &[&str] = &[
    "key_reused",
    "misconfigured",
    "nothing_to_resolve",
    "provider_refused",
    "record_newer",
    "record_unreadable",
    "result_not_kept",
    "result_unreadable",
    "store_unreadable",
];

/// After these errors an operation may have been executed, or still be. After every other one it was not.
const MAY_BE_DONE: &[&str] = &["indeterminate", "indeterminate_retryable", "in_progress"];

/// How an operation ended, as every caller is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Done(String),
    Declined,
}

/// What the callers were told.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) runs: u64,
    /// Runs whose worker died.
    pub(crate) lost: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) longest: Duration,
    pub(crate) ends: BTreeMap<u32, BTreeSet<End>>,
    /// Operations whose result a worker read in the store, and that worker.
    pub(crate) replays: BTreeSet<(u32, u32)>,
    /// Runs that ended in an error which says that they executed nothing.
    pub(crate) harmless: Vec<(u64, u32, String)>,
    /// What must not be, and about which operation.
    pub(crate) breaches: Vec<(u32, String)>,
    pub(crate) log: BTreeMap<u32, Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) seed: u64,
    pub(crate) operations: u32,
    pub(crate) fleet: Fleet,
    pub(crate) provider: Provider,
    pub(crate) begin: Instant,
    book: Mutex<Book>,
}

impl Traffic {
    pub(crate) fn new(seed: u64, operations: u32, fleet: Fleet, provider: Provider) -> Arc<Self> {
        Arc::new(Self { seed, operations, fleet, provider, begin: Instant::now(), book: Mutex::default() })
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// Lets callers come for so long, and waits for the answer of each.
    pub(crate) async fn flow(self: &Arc<Self>, span: Duration) {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS * u64::try_from(self.fleet.len()).unwrap() {
            let rng = StdRng::seed_from_u64(self.seed ^ (caller << 32));
            callers.spawn(Arc::clone(self).call(usize::try_from(caller).unwrap() % self.fleet.len(), span, rng));
        }
        while let Some(over) = callers.join_next().await {
            over.unwrap();
        }
    }

    async fn call(self: Arc<Self>, place: usize, span: Duration, mut rng: StdRng) {
        while self.begin.elapsed() < span {
            let operation = self.choose(&mut rng, span);
            let _ = self.run(place, operation, is_reconciled(operation)).await;
            sleep(Duration::from_millis(rng.random_range(10..120))).await;
        }
    }

    /// Most callers want what others want now; some want what was done long ago.
    fn choose(&self, rng: &mut StdRng, span: Duration) -> u32 {
        let share = self.begin.elapsed().as_secs_f64() / span.as_secs_f64();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small number")]
        let now = (f64::from(self.operations) * share) as u32;
        let from = if rng.random_bool(0.15) { 0 } else { now.saturating_sub(8) };
        rng.random_range(from..now + 8).min(self.operations - 1)
    }

    /// Runs an operation at one place, and notes what came of it.
    pub(crate) async fn run(
        &self,
        place: usize,
        operation: u32,
        reconcile: bool,
    ) -> Result<Result<End, Trouble>, Gone> {
        let worker = self.fleet.at(place);
        let asked = Instant::now();
        let run = {
            let mut book = self.book();
            book.runs += 1;
            book.runs
        };
        let answer = worker.ask(Ask::Run { run, operation, reconcile }).await;
        let mut book = self.book();
        let took = asked.elapsed();
        let at = self.begin.elapsed().as_millis();
        let note = format!("{at} ms: run {run}, worker {}, after {} ms: {answer:?}", worker.name(), took.as_millis());
        book.log.entry(operation).or_default().push(note);
        book.longest = book.longest.max(took);
        let ended = match answer {
            Err(Gone) => {
                book.lost += 1;
                return Err(Gone);
            }
            Ok(Answer::Done { value, provenance, .. }) => {
                if provenance == "replayed" {
                    book.replays.insert((operation, worker.name()));
                }
                Ok(End::Done(value))
            }
            Ok(Answer::Error(trouble)) if trouble.code == "refused" => Ok(End::Declined),
            Ok(Answer::Error(trouble)) => Err(trouble),
            Ok(other) => panic!("{other:?} is no answer to a run"),
        };
        match &ended {
            Ok(end) => {
                book.ends.entry(operation).or_default().insert(end.clone());
            }
            Err(trouble) => {
                *book.errors.entry(trouble.code.clone()).or_default() += 1;
                if !MAY_BE_DONE.contains(&&*trouble.code) {
                    book.harmless.push((run, operation, trouble.code.clone()));
                }
                if NEVER.contains(&&*trouble.code) || is_stuck_for_good(operation, trouble) {
                    book.breaches.push((operation, format!("{trouble:?}")));
                }
            }
        }
        Ok(ended)
    }

    /// Runs every operation until it has an end, or is indeterminate; these are returned.
    pub(crate) async fn settle(self: &Arc<Self>) -> Vec<u32> {
        let mut open = Vec::new();
        let mut settlers = JoinSet::new();
        for operation in 0..self.operations {
            if settlers.len() >= SETTLERS {
                open.extend(settlers.join_next().await.unwrap().unwrap());
            }
            let traffic = Arc::clone(self);
            settlers.spawn(async move {
                traffic.end(operation, is_reconciled(operation)).await.is_none().then_some(operation)
            });
        }
        open.extend(settlers.join_all().await.into_iter().flatten());
        open.sort_unstable();
        open
    }

    /// Runs an operation until it has an end. None when it is indeterminate until a person has looked.
    pub(crate) async fn end(&self, operation: u32, reconcile: bool) -> Option<End> {
        let begin = Instant::now();
        let mut place = usize::try_from(operation).unwrap() % self.fleet.len();
        loop {
            match self.run(place, operation, reconcile).await {
                Ok(Ok(end)) => return Some(end),
                Ok(Err(trouble)) if trouble.code == "indeterminate" && !trouble.may_run_again && !reconcile => {
                    return None;
                }
                _ => {}
            }
            if begin.elapsed() > OPEN_FOR {
                self.book().breaches.push((operation, format!("has no end after {OPEN_FOR:?}")));
                return None;
            }
            place = (place + 1) % self.fleet.len();
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends what is indeterminate, in each of the three ways there are.
    pub(crate) async fn resolve(self: &Arc<Self>, open: &[u32]) {
        for (at, operation) in open.iter().copied().enumerate() {
            if at % 3 != 0 {
                self.resolve_by_hand(operation, at % 3 == 1).await;
            }
            self.end(operation, true).await;
        }
    }

    /// Looks at the provider, and says what it says. The owner's late word may come first: then there is nothing to
    /// resolve. Either the provider has executed it, or, as the provider says as well, it has not, and there is no record of
    /// it; what every caller is told is compared with that afterwards.
    async fn resolve_by_hand(&self, operation: u32, by_reference: bool) {
        let worker = self.fleet.at(usize::try_from(operation).unwrap() % self.fleet.len());
        let executed = loop {
            match self.provider.desk().inquire(operation, "by hand").as_str() {
                "?" => {}
                "" => break None,
                value => break Some(value.to_owned()),
            }
            sleep(Duration::from_millis(50)).await;
        };
        let was_executed = executed.is_some();
        let ask = if by_reference {
            let Answer::References(reference) = worker.expect(Ask::Reference { operation }).await else { panic!() };
            Ask::ResolveReference { reference: reference[0].clone(), executed }
        } else {
            Ask::Resolve { operation, executed }
        };
        let answer = worker.insist(ask, &["store_unavailable"]).await;
        let is_resolved = match &answer {
            Ok(Answer::Fine) => true,
            Ok(Answer::Error(trouble)) => {
                trouble.code == "nothing_to_resolve" && (was_executed || trouble.text.ends_with(NO_RECORD))
            }
            _ => false,
        };
        if !is_resolved {
            self.book().breaches.push((operation, format!("was not resolved: {answer:?}")));
        }
    }

    /// What is on the list of indeterminate operations.
    pub(crate) async fn indeterminate(&self) -> BTreeSet<String> {
        match self.fleet.at(0).insist(Ask::Indeterminate, &["store_unavailable"]).await {
            Ok(Answer::References(references)) => references.into_iter().collect(),
            other => panic!("{other:?} is no list"),
        }
    }

    pub(crate) async fn reference(&self, operation: u32) -> String {
        match self.fleet.at(0).expect(Ask::Reference { operation }).await {
            Answer::References(references) => references[0].clone(),
            other => panic!("{other:?} is no reference"),
        }
    }
}

/// What the provider's key protects can always be run again.
fn is_stuck_for_good(operation: u32, trouble: &Trouble) -> bool {
    is_keyed(operation) && trouble.code == "indeterminate" && !trouble.may_run_again
}
