//! What takes turns in this bench: calls by one task, or by many at once.

use std::sync::atomic::{AtomicU64, Ordering};

use payproof::{PaymentIntent, Provenance, Validator};
use tokio::runtime::Runtime;

use crate::rounds::Pace;
use crate::turns::Peer;

/// The calls that a crowd makes: a few for each task.
pub(crate) const fn calls_of(tasks: usize) -> u64 {
    20 * tasks as u64
}

pub(crate) async fn replay(own: Validator, intent: PaymentIntent) {
    let validation = own.validate(intent).await.expect("the store answers");
    assert!(validation.verdict().is_valid() && validation.provenance() == Provenance::Replayed);
}

/// Counts on through all peers, so that no two misses are of one payment.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Calls inside a spawned task, as a server's handlers are.
pub(crate) fn acting<A: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    pace: Pace,
    act: impl Fn(u64) -> A + Clone + Send + Sync + 'static,
) -> Peer<'_> {
    Box::new(move |count| {
        let act = act.clone();
        let calls = (0..count).map(move |_| act(NEXT.fetch_add(1, Ordering::Relaxed)));
        runtime.block_on(runtime.spawn(pace.time(calls))).expect("nothing panics")
    })
}

/// So many tasks at once, each a few calls one after the other; after pauses, each one call after each pause.
pub(crate) fn crowd<A: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    pace: Pace,
    tasks: usize,
    act: impl Fn(usize) -> A + Clone + Send + Sync + 'static,
) -> Peer<'_> {
    Box::new(move |calls| {
        let each = calls / tasks as u64;
        let (crowds, each) = match pace {
            Pace::BackToBack => (1, each),
            Pace::AfterPauses => (each, 1),
        };
        let act = &act;
        let crowds = (0..crowds).map(|_| async move {
            let spawn = |task| {
                let act = act.clone();
                tokio::spawn(async move {
                    for _ in 0..each {
                        act(task).await;
                    }
                })
            };
            let tasks: Vec<_> = (0..tasks).map(spawn).collect();
            for task in tasks {
                task.await.expect("nothing panics");
            }
        });
        runtime.block_on(pace.time(crowds))
    })
}
