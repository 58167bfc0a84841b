//! A provider that fails after the fact, in every process at once: each operation has to be looked into, and is listed.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::desk::Mood;
use crate::language::{Answer, Ask, Settings, Shared};
use crate::process::Fleet;
use crate::provider::Provider;
use crate::redis_server::RedisServer;
use crate::{my_turn, seed};

const PROCESSES: usize = 4;

/// In each process, all at once.
const OPERATIONS: u32 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_indeterminate_at_one_moment_in_many_processes_is_all_on_the_list() {
    let _turn = my_turn().await;
    let redis = RedisServer::start().await;
    let provider = Provider::start(seed()).await;
    provider.desk().mood = Mood::Failing;
    let settings = Settings::new(Shared::One(redis.url()), provider.address());
    let fleet = Arc::new(Fleet::start(vec![settings; PROCESSES]));
    let mut runs = JoinSet::new();
    let mut expected = BTreeSet::new();
    for number in 0..OPERATIONS * u32::try_from(PROCESSES).unwrap() {
        // No provider key protects the odd ones.
        let operation = 2 * number + 1;
        let worker = fleet.at(usize::try_from(number).unwrap() % PROCESSES);
        runs.spawn(async move {
            let answer = worker.expect(Ask::Run { run: number.into(), operation, reconcile: false }).await;
            (operation, answer)
        });
    }
    for (operation, answer) in runs.join_all().await {
        match answer {
            Answer::Error(trouble) if trouble.code == "indeterminate" => {
                let reference = fleet.at(0).expect(Ask::Reference { operation }).await;
                let Answer::References(reference) = reference else { panic!("{reference:?}") };
                expected.extend(reference);
            }
            Answer::Error(trouble) if trouble.code == "refused" => {}
            other => panic!("operation {operation}: {other:?}"),
        }
    }
    let listed = fleet.at(0).expect(Ask::Indeterminate).await;
    let Answer::References(listed) = listed else { panic!("{listed:?}") };
    let missing = expected.difference(&listed.into_iter().collect()).count();
    assert_eq!(missing, 0, "of {} operations", expected.len());
}
