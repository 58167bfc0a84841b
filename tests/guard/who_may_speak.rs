//! What becomes of an operation whose sender learns late what came of it: by what it knows, what another process made of its
//! claim meanwhile, and what a person says.

use std::time::Duration;

use payproof::guard::{EffectCall, Guard, OperationStatus, Reconciled, Resolution, ResolveError};
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
use tokio::time::sleep;

use crate::subscribers::Log;
use crate::support::{ms, secs};
use crate::{Act, Desk, keyed, plain, unkeyed};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Knows {
    Done,
    Refused,
    NotExecuted,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    /// It said that it is unknown what came of it.
    Marked,
    /// It asks the provider's side, which cannot tell.
    Reconciles,
    /// It sends it again, under the provider's key.
    Resends,
}

/// When a person says that it was not executed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Person {
    Before,
    After,
    Never,
}

use Knows::{Done, NotExecuted, Refused};
use Other::{Marked, Reconciles, Resends};
use Person::{After, Before, Never};

/// What stands once the sender has spoken, while the other process is still at it, and what stands in the end. A result is 1
/// where it is the sender's, and 2 where it was sent again.
///
/// A result is written over everything of its round that is not final. Less than that is written over a mark of the own claim
/// and over a reconciliation, and not over a resend. Nothing is written once a person has said that the round is over.
const TABLE: [(Knows, Other, Person, &str, &str); 27] = [
    (Done, Marked, Never, "done", "done 1"),
    (Done, Reconciles, Never, "done", "done 1"),
    (Done, Resends, Never, "done", "done 1"),
    (Refused, Marked, Never, "refused", "refused"),
    (Refused, Reconciles, Never, "refused", "refused"),
    (Refused, Resends, Never, "in progress", "done 2"),
    (NotExecuted, Marked, Never, "absent", "absent"),
    // The run that asked learns that it may send it.
    (NotExecuted, Reconciles, Never, "absent", "done 2"),
    (NotExecuted, Resends, Never, "in progress", "done 2"),
    // The person is told that it was executed.
    (Done, Marked, After, "done", "done 1"),
    (Done, Reconciles, After, "done", "done 1"),
    (Done, Resends, After, "done", "done 1"),
    // The person opens it again.
    (Refused, Marked, After, "refused", "absent"),
    (Refused, Reconciles, After, "refused", "done 2"),
    (Refused, Resends, After, "in progress", "done 2"),
    // The person is told that there is nothing to say.
    (NotExecuted, Marked, After, "absent", "absent"),
    (NotExecuted, Reconciles, After, "absent", "done 2"),
    (NotExecuted, Resends, After, "in progress", "done 2"),
    // What the other process does then, it does in the next round.
    (Done, Marked, Before, "absent", "absent"),
    (Done, Reconciles, Before, "in progress", "indeterminate"),
    (Done, Resends, Before, "in progress", "done 2"),
    (Refused, Marked, Before, "absent", "absent"),
    (Refused, Reconciles, Before, "in progress", "indeterminate"),
    (Refused, Resends, Before, "in progress", "done 2"),
    (NotExecuted, Marked, Before, "absent", "absent"),
    (NotExecuted, Reconciles, Before, "in progress", "indeterminate"),
    (NotExecuted, Resends, Before, "in progress", "done 2"),
];

impl Knows {
    fn answer(self) -> Result<u32, ProviderError> {
        match self {
            Self::Done => Ok(1),
            Self::Refused => Err(ProviderError::refused("declined").with_status(402)),
            Self::NotExecuted => Err(ProviderError::refused("too many").with_status(429).with_retry_after(secs(600))),
        }
    }
}

/// A call that takes the provider's key, and answers after this long.
fn call(
    after: Duration,
    answer: Result<u32, ProviderError>,
) -> impl Fn(EffectCall) -> std::pin::Pin<Box<dyn Future<Output = Result<u32, ProviderError>> + Send>> + Send + Sync {
    move |call| {
        let (answer, _key) = (answer.clone(), call.provider_key().to_owned());
        Box::pin(async move {
            sleep(after).await;
            answer
        })
    }
}

fn renewing(store: impl payproof::store::Store) -> Guard {
    plain().store(store).renewed_lease(secs(14)).build().unwrap().guard()
}

/// How many operations are on the list, whether or not their records bear that out.
pub(crate) async fn on_the_list(store: &MemoryStore) -> usize {
    let flaky = FlakyStore::new(store.clone());
    flaky.script(StoreVerb::Get, [StoreFault::None, StoreFault::NotSent, StoreFault::NotSent]);
    renewing(flaky).indeterminate().await.unwrap().len()
}

async fn cell(knows: Knows, other: Other, person: Person, told: bool) -> (&'static str, String) {
    let (log, _installed) = Log::install();
    let operation = if other == Resends { keyed() } else { unkeyed() };
    let inner = MemoryStore::new();
    let store = FlakyStore::new(inner.clone());
    let (first, second) = (renewing(store.clone()), renewing(inner.clone()));
    // Its store is away from it from the first second on, and its lease over after 14 s. It tries again after 11, 13, 17, 25 s.
    let sending = tokio::spawn(first.run(&operation, call(secs(10), knows.answer())));
    sleep(secs(1)).await;
    store.always(Some(StoreFault::NotSent));
    sleep(secs(17)).await;
    if other != Resends {
        assert!(second.run(&operation, Desk::default().keyless()).await.unwrap_err().is_indeterminate());
    }
    let not_executed = async || second.resolve(&operation, Resolution::not_executed(), "ops").await;
    if person == Before {
        not_executed().await.unwrap();
        if other == Reconciles {
            let lost = Desk::with([Act::LostAnswer]).keyless();
            assert!(second.run(&operation, lost).await.unwrap_err().is_indeterminate());
        }
    }
    let run = match other {
        Marked => None,
        Resends => Some(second.run(&operation, call(secs(20), Ok(2)))),
        Reconciles => Some(second.run(&operation, call(ms(1), Ok(2))).reconcile(|_| async {
            sleep(secs(20)).await;
            Ok(Reconciled::StillUnknown)
        })),
    };
    let run = run.map(tokio::spawn);
    sleep(ms(100)).await;
    store.always(None);
    sleep(secs(10)).await;
    let then = shown(&second.status(&operation).await.unwrap());
    if person == After {
        let answer = not_executed().await;
        assert_eq!(answer.is_ok(), then == "refused", "{answer:?}");
        let is_told =
            matches!(answer, Ok(()) | Err(ResolveError::InProgress { .. } | ResolveError::NothingToResolve { .. }));
        assert!(is_told, "{answer:?}");
    }
    sleep(secs(200)).await;
    let _ = sending.await.unwrap();
    if let Some(run) = run {
        let run = run.await.unwrap();
        if (knows, other, person) == (Done, Reconciles, Never) {
            assert_eq!(*run.unwrap().value(), 1, "a reconciliation that loses takes the result");
        }
    }
    let mut end = shown(&second.status(&operation).await.unwrap()).to_owned();
    if end == "done" {
        let done = second.run(&operation, Desk::default().keyless()).await.unwrap();
        end = format!("done {}", done.value());
    }
    assert_eq!(on_the_list(&inner).await, usize::from(end == "indeterminate"), "on the list");
    let lines = log.lines("payproof.contradicted").len().max(log.lines("declared=\"not_executed\"").len());
    assert_eq!(lines, usize::from(told), "contradictions told");
    (then, end)
}

fn shown(status: &OperationStatus) -> &'static str {
    match status {
        OperationStatus::Absent => "absent",
        OperationStatus::InProgress { .. } => "in progress",
        OperationStatus::Done => "done",
        OperationStatus::Refused => "refused",
        _ => "indeterminate",
    }
}

#[tokio::test(start_paused = true)]
async fn who_may_still_speak_goes_by_what_is_said() {
    for (knows, other, person, then, end) in TABLE {
        let told = (knows, person) == (Done, Before);
        let came = cell(knows, other, person, told).await;
        assert_eq!((came.0, &*came.1), (then, end), "{knows:?} {other:?} {person:?}");
    }
}
