//! Servers that end without warning: what they had acknowledged is there afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use payproof::store::{Claim, PostgresStore, Store};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::servers::until;
use crate::{HOUR, with_table};

/// What a server acknowledged: of each caller, how many claims in order.
struct Load {
    callers: JoinSet<usize>,
    acknowledged: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

const CALLERS: usize = 8;

fn key(caller: usize, number: usize) -> String {
    format!("load:{caller}:{number}")
}

impl Load {
    /// Has callers claim one key after the other, until one is not acknowledged or they are told to stop.
    fn begin(store: &PostgresStore) -> Self {
        let (acknowledged, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let (store, acknowledged, is_over) = (store.clone(), Arc::clone(&acknowledged), Arc::clone(&is_over));
            callers.spawn(async move {
                let mut number = 0;
                while !is_over.load(Ordering::SeqCst)
                    && store.claim(&key(caller, number), key(caller, number).as_bytes(), HOUR).await
                        == Ok(Claim::Claimed)
                {
                    number += 1;
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
                number
            });
        }
        Self { callers, acknowledged, is_over }
    }

    async fn reaches(&self, count: usize) {
        let wanted = self.acknowledged.load(Ordering::SeqCst) + count;
        until("claims are acknowledged", || self.acknowledged.load(Ordering::SeqCst) >= wanted).await;
    }

    /// How many claims were acknowledged, and how many of them the table has.
    async fn end(mut self, survivor: &PostgresServer) -> (usize, usize) {
        self.is_over.store(true, Ordering::SeqCst);
        while let Some(caller) = self.callers.join_next().await {
            caller.unwrap();
        }
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        // One claim of each caller may have been made and not acknowledged; those come last, so that the rest is counted.
        let kept = survivor.sql("SELECT count(*) FROM payproof_records WHERE key LIKE 'load:%' AND key = value").await;
        (acknowledged, kept[0].parse().unwrap())
    }
}

#[tokio::test]
async fn a_killed_server_has_lost_no_claim_that_it_had_acknowledged() {
    let mut server = PostgresConfig::new().syncs().start().await;
    let store = with_table(&server).await;
    let mut acknowledged = 0;
    for _ in 0..3 {
        let load = Load::begin(&store);
        load.reaches(200).await;
        server.kill();
        server.restart().await;
        let (all, kept) = load.end(&server).await;
        assert!((all..=all + CALLERS).contains(&kept), "{all} acknowledged, {kept} kept");
        acknowledged += all;
        server.sql("DELETE FROM payproof_records").await;
    }
    assert!(acknowledged >= 600);
}

#[tokio::test]
async fn a_synchronous_standby_that_is_promoted_has_lost_nothing() {
    let mut server = PostgresServer::start().await;
    let store = with_table(&server).await;
    let standby = server.standby("second", server.port()).await;
    server.set("synchronous_standby_names", "second").await;
    let follows = async || server.sql("SELECT sync_state FROM pg_stat_replication").await == ["sync"];
    while !follows().await {
        sleep(Duration::from_millis(50)).await;
    }
    let load = Load::begin(&store);
    load.reaches(300).await;
    server.kill();
    standby.promote().await;
    let (all, kept) = load.end(&standby).await;
    assert!(all >= 300 && (all..=all + CALLERS).contains(&kept), "{all} acknowledged, {kept} kept");
}
