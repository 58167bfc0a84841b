//! What a crowd costs a Redis, and whether a caller in it is refused.

use std::time::Duration;

use payproof::guard::{Effect, Operation};
use payproof::store::{RedisStore, RestartLoss};
use payproof::{Validator, Verdict};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::checkout::{self, Prompt};
use crate::figure::Scale;
use crate::redis_server::RedisServer;

const WAITERS: usize = 1_000;
const BURST: usize = 3_000;

/// The guarded call that the waiters wait for.
const CALL: Duration = Duration::from_secs(10);

pub(crate) fn run(scale: Scale) {
    let workers = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("room for a runtime");
    workers.block_on(async {
        let server = RedisServer::start().await;
        waiters(&server, scale.of(WAITERS)).await;
        burst(&server, scale.of(BURST)).await;
    });
}

fn validator(server: &RedisServer) -> Validator {
    let store = RedisStore::new(server.url()).expect("the URL is one");
    // Whatever the server keeps: what it keeps is not what is measured.
    let builder = Validator::builder(Prompt::new()).store(store).restart_loses_at_most(RestartLoss::All);
    builder.build().expect("settings fit")
}

/// Commands that the server has processed, those within its scripts included.
fn commands(server: &RedisServer) -> u64 {
    let stats = server.command(&["INFO", "stats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).expect("a server counts");
    line.trim().parse().expect("it is a number")
}

/// So many duplicates of one guarded call, while it is under way.
async fn waiters(server: &RedisServer, waiters: usize) {
    let validator = validator(server);
    let refund = Operation::new(checkout::TENANT, "refund", "order 6735", Effect::write()).expect("plain texts");
    let ask = || {
        let (guard, refund) = (validator.guard(), refund.clone());
        async move {
            let call = |_| async {
                sleep(CALL).await;
                Ok(())
            };
            let () = guard.run(&refund, call).await.expect("the store works").into_value();
        }
    };
    let mut calls = JoinSet::new();
    calls.spawn(ask());
    sleep(Duration::from_millis(300)).await;
    let begun = commands(server);
    for _ in 0..waiters {
        calls.spawn(ask());
    }
    sleep(Duration::from_secs(1)).await;
    let first_second = commands(server).saturating_sub(begun);
    sleep(Duration::from_secs(5)).await;
    let a_second = commands(server).saturating_sub(begun).saturating_sub(first_second) / 5;
    calls.join_all().await;
    println!("count redis_commands_of_{waiters}_waiters_first_second {first_second}");
    println!("count redis_commands_of_{waiters}_waiters_each_second_after {a_second}");
}

/// So many payments validated and redeemed at once, with default limits.
async fn burst(server: &RedisServer, payments: usize) {
    let validator = validator(server);
    let mut calls = JoinSet::new();
    for id in checkout::payment_ids().take(payments) {
        let validator = validator.clone();
        calls.spawn(async move {
            let validation = validator.validate(checkout::intent(&id)).await.ok()?;
            let degraded = validation.degraded().is_some();
            let Verdict::Valid(proof) = validation.into_verdict() else { return None };
            validator.redeem(proof).await.ok().filter(|_| !degraded)
        });
    }
    let refused = calls.join_all().await.iter().filter(|redeemed| redeemed.is_none()).count();
    println!("count redis_burst_of_{payments}_refused {refused}");
}
