//! A process that stands still for longer than its lease sends nothing more, and blames no setting for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::desk::Mood;
use crate::language::{Answer, Ask, Settings, Shared, Trouble};
use crate::my_turn;
use crate::process::{Fleet, PATIENCE, Worker};
use crate::provider::Provider;
use crate::redis_server::RedisServer;

/// Enough that some are between two attempts when the process is stopped. No provider key protects them.
const OPERATIONS: [u32; 12] = [1, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25];

/// What such a process may say: that nothing was executed, that another process is at it, or that an answer was lost.
const TRUE: [&str; 4] = ["in_progress", "indeterminate", "provider_unavailable", "rate_limited"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stood_still_past_its_lease_sends_nothing_more_and_blames_no_setting() {
    let _turn = my_turn().await;
    let redis = RedisServer::start().await;
    let provider = Provider::start(0).await;
    provider.desk().mood = Mood::TurningAway;
    let long = Duration::from_secs(20);
    let settings = Settings { total_deadline: long, ..Settings::new(Shared::One(redis.url()), provider.address()) };
    let fleet = Fleet::start(vec![settings; 2]);
    let (still, other) = (fleet.at(0), fleet.at(1));
    let running = run_all(&still);
    let begin = Instant::now();
    while provider.desk().accounts.len() < OPERATIONS.len() {
        assert!(begin.elapsed() < PATIENCE, "not everything is sent");
        sleep(Duration::from_millis(1)).await;
    }
    still.pause();
    sleep(Settings::LEASE * 3 / 2).await;
    // Whatever is sent from here on is executed.
    provider.desk().mood = Mood::Calm;
    run_all(&other).join_all().await;
    still.resume();
    for answer in running.join_all().await {
        assert!(matches!(&answer, Answer::Error(Trouble { code, .. }) if TRUE.contains(&&**code)), "{answer:?}");
    }
    let desk = provider.desk();
    let senders = desk.accounts.values().flat_map(|account| &account.sends);
    assert_eq!(senders.filter(|(_, sender)| *sender == still.name()).count(), 0, "{:?}", desk.accounts);
}

fn run_all(worker: &Arc<Worker>) -> JoinSet<Answer> {
    let mut runs = JoinSet::new();
    for operation in OPERATIONS {
        let worker = Arc::clone(worker);
        let ask = Ask::Run { run: operation.into(), operation, reconcile: false };
        runs.spawn(async move { worker.expect(ask).await });
    }
    runs
}
