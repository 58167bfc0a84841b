//! Many operations at once, whatever fails.

use std::time::Duration;

use payproof::guard::{Effect, IndeterminateOperation, Operation, Resolution};
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use payproof::{Provenance, Validator};
use tokio::time::{Instant, advance, sleep};

use crate::support::{busy, forgetful, ms, paused_runtime, secs, settle};
use crate::{Act, DAY, Desk, all_equal, keys, plain};

/// Processes come and go, the store fails at random, the provider too: whatever comes of it, nothing happens twice.
#[test]
fn nothing_happens_twice_whatever_fails() {
    for seed in 0..60 {
        let inner = MemoryStore::new();
        let desks: Vec<_> = (0..6).map(|_| Desk::default()).collect();
        let mut clock = Duration::ZERO;
        for process in 0..5_u64 {
            let runtime = paused_runtime();
            runtime.block_on(async {
                advance(clock).await;
                let begin = Instant::now();
                let store = FlakyStore::new(inner.clone());
                let faults = [
                    (StoreFault::LostReply, 0.05),
                    (StoreFault::LostRequest, 0.05),
                    (StoreFault::NotSent, 0.05),
                    (StoreFault::NeverReplies, 0.03),
                    (StoreFault::Late(secs(3)), 0.03),
                ];
                store.by_chance(seed * 10 + process, faults);
                let guards: Vec<_> = (0..2)
                    .map(|number| {
                        let builder = plain().total_deadline(secs(20)).attempt_timeout(secs(3));
                        let builder = builder.store(store.clone()).seed(seed * 100 + number);
                        if seed % 2 == 0 { builder.build() } else { builder.renewed_lease(secs(6)).build() }
                    })
                    .map(|validator| validator.unwrap().guard())
                    .collect();
                for (number, desk) in desks.iter().enumerate() {
                    let acts = [
                        Act::LostAnswer,
                        Act::Fail(busy()),
                        Act::Slow(secs(2)),
                        Act::Fail(ProviderError::not_sent("x")),
                        Act::Never,
                        Act::Fail(ProviderError::refused("slow down").with_status(429)),
                    ];
                    let first = usize::try_from(seed + process).unwrap() + number;
                    desk.script((0..2).map(|at| acts[(first + at * 2) % acts.len()].clone()));
                    let effect = if number % 2 == 0 { Effect::write() } else { Effect::keyed_write(DAY) };
                    let operation = Operation::new("t", "o", format!("{number}"), effect).unwrap();
                    for guard in &guards {
                        if number % 2 == 0 {
                            tokio::spawn(guard.run(&operation, desk.keyless()));
                        } else {
                            tokio::spawn(guard.run(&operation, desk.keyed()));
                        }
                    }
                }
                // Some processes crash soon, some late, some come to an end.
                sleep(ms(700) * u32::try_from((seed * 7 + process * 13) % 90).unwrap()).await;
                clock += begin.elapsed();
            });
            drop(runtime);
        }
        paused_runtime().block_on(in_the_end_the_list_is_what_is_indeterminate(&inner, &desks, clock, seed));
        for (number, desk) in desks.iter().enumerate() {
            assert!(desk.executed() <= 1, "operation {number} happened {} times, seed {seed}", desk.executed());
            if number % 2 == 1 {
                all_equal(&keys(desk));
            }
        }
    }
}

/// Every operation is run once more, by a process whose store is well. Then the list holds what stays unknown, and no more.
async fn in_the_end_the_list_is_what_is_indeterminate(inner: &MemoryStore, desks: &[Desk], clock: Duration, seed: u64) {
    // Leases are over, and no late word comes any more.
    advance(clock + secs(600)).await;
    let guard = plain().store(inner.clone()).build().unwrap().guard();
    let mut indeterminate = Vec::new();
    for (number, desk) in desks.iter().enumerate() {
        let effect = if number % 2 == 0 { Effect::write() } else { Effect::keyed_write(DAY) };
        let operation = Operation::new("t", "o", format!("{number}"), effect).unwrap();
        desk.0.lock().unwrap().script.clear();
        let ran = if number % 2 == 0 {
            guard.run(&operation, desk.keyless()).await
        } else {
            guard.run(&operation, desk.keyed()).await
        };
        if ran.is_err_and(|error| error.is_indeterminate()) {
            indeterminate.push(guard.reference(&operation));
        }
    }
    let list = guard.indeterminate().await.unwrap();
    let mut listed: Vec<_> = list.iter().map(IndeterminateOperation::reference).collect();
    listed.sort_by_key(ToString::to_string);
    indeterminate.sort_by_key(ToString::to_string);
    assert_eq!((listed, list.not_listed()), (indeterminate, 0), "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_ask_the_store_as_often_as_one() {
    let (desk, store) = (Desk::with([Act::Slow(secs(10))]), FlakyStore::new(MemoryStore::new()));
    let builder = Validator::builder(ScriptedProvider::new()).store(store.clone());
    let validator = forgetful(builder).build().unwrap();
    let guard = validator.guard();
    let refund = Operation::new("store_42", "refund", "k", Effect::write()).unwrap();
    let run = || {
        let desk = desk.clone();
        tokio::spawn(guard.run(&refund, move |_| desk.request(None)).into_future())
    };
    let first = run();
    settle().await;
    let waiters: Vec<_> = (0..1000).map(|_| run()).collect();
    settle().await;
    let asked = store.calls(StoreVerb::Claim);
    assert_eq!(asked, 1001, "each asks once whether it is the first");
    assert_eq!(*first.await.unwrap().unwrap().value(), 1);
    for waiter in waiters {
        let done = waiter.await.unwrap().unwrap();
        assert_eq!((*done.value(), done.provenance()), (1, Provenance::Coalesced));
    }
    // One who waits alone looks 10 times in the first second, and at most 4 times a second from then on.
    let looks = store.calls(StoreVerb::Claim) - asked;
    assert!((15..=60).contains(&looks), "{looks} looks in 10 s");
    assert_eq!((desk.executed(), store.calls(StoreVerb::Replace)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_on_the_list_is_listed_as_soon_as_there_is_some_and_other_tenants_have_theirs() {
    let guard = plain().store(MemoryStore::new()).max_indeterminate_per_tenant(3).build().unwrap().guard();
    let of = |tenant: &str, key: usize| Operation::new(tenant, "refund", key.to_string(), Effect::write()).unwrap();
    let fail = async |operation: &Operation| {
        let error = guard.run(operation, Desk::with([Act::Fail(busy())]).keyless()).await.unwrap_err();
        assert!(error.is_indeterminate(), "{error:?}");
    };
    let listed = async || {
        let list = guard.indeterminate().await.unwrap();
        let mut all: Vec<_> = list.iter().map(|one| (one.tenant().to_owned(), one.reference())).collect();
        all.sort_by_key(|(tenant, reference)| (tenant.clone(), reference.to_string()));
        (all, list.not_listed())
    };
    let expected = |operations: &[Operation]| {
        let mut all: Vec<_> = operations.iter().map(|one| (one.tenant().to_owned(), guard.reference(one))).collect();
        all.sort_by_key(|(tenant, reference)| (tenant.clone(), reference.to_string()));
        all
    };
    for key in 0..5 {
        fail(&of("greedy", key)).await;
    }
    // Run again, it is not counted again.
    guard.run(&of("greedy", 4), Desk::default().keyless()).await.unwrap_err();
    fail(&of("store_42", 0)).await;
    let [greedy, other] = [(0..3).map(|key| of("greedy", key)).collect::<Vec<_>>(), vec![of("store_42", 0)]];
    assert_eq!(listed().await, (expected(&[greedy, other.clone()].concat()), 2));
    guard.resolve(&of("greedy", 0), Resolution::not_executed(), "me").await.unwrap();
    let now: Vec<_> = (1..4).map(|key| of("greedy", key)).collect();
    assert_eq!(listed().await, (expected(&[now, other.clone()].concat()), 1));
    // One that is resolved while it waits is not listed afterwards.
    guard.resolve(&of("greedy", 4), Resolution::not_executed(), "me").await.unwrap();
    guard.resolve(&of("greedy", 1), Resolution::not_executed(), "me").await.unwrap();
    let now: Vec<_> = (2..4).map(|key| of("greedy", key)).collect();
    assert_eq!(listed().await, (expected(&[now, other].concat()), 0));
}
