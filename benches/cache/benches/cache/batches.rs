//! Redemptions beside a cache that reads large batches from the same server.
//!
//! Redemptions alone and redemptions beside batches take turns, so that what the machine does meets both alike.

use std::convert::Infallible;
use std::time::Duration;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use payproof::cache::{Loads, Space};
use payproof::redeem::Occasion;
use payproof::store::{RedisStore, RestartLoss};
use payproof::{Validator, Verdict};
use tokio::runtime::Builder;
use tokio::time::Instant;

use crate::checkout::{self, Prompt};
use crate::figure::{self, Scale};
use crate::hung::percentile;
use crate::redis_server::RedisServer;

/// Each value is as large as a space keeps, and none stays in memory.
const PAGES: Space<u32, String> = Space::global("page", Duration::from_secs(3600)).memory(0);

const PAGE: usize = 64 * 1024 - 100;

/// In one batch.
const MANY: u32 = 100;

const REDEMPTIONS: usize = 1_000;

/// In one turn.
const TURN: usize = 50;

pub(crate) fn run(scale: Scale) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("room for a runtime");
    runtime.block_on(async {
        let server = RedisServer::start().await;
        let store = RedisStore::new(server.url()).expect("the URL is one");
        let validator = Validator::builder(Prompt::new()).store(store).restart_loses_at_most(RestartLoss::All);
        let validator = validator.build().expect("the settings fit");
        let cache = validator.cache().share_store(64 << 20).build().expect("the settings fit");
        let pages = cache.space(PAGES).expect("the settings fit");
        let load = pages.loads(async |_: u32| Ok::<_, Infallible>("x".repeat(PAGE)));
        for page in 0..MANY {
            load.get(&page).await.expect("it loads");
        }
        let keys: Vec<u32> = (0..MANY).collect();
        let (mut alone, mut beside, batches) = (Vec::new(), Vec::new(), Arc::new(AtomicU64::new(0)));
        let mut ids = checkout::payment_ids();
        for _ in 0..scale.of(REDEMPTIONS).div_ceil(TURN) {
            alone.extend(redeem(&validator, &mut ids).await);
            let reading = tokio::spawn(read_on(load.clone(), keys.clone(), Arc::clone(&batches)));
            beside.extend(redeem(&validator, &mut ids).await);
            reading.abort();
        }
        figure::count("batches_beside_redeems", batches.load(Ordering::Relaxed));
        let (alone, beside) = (percentile(alone, 99), percentile(beside, 99));
        figure::ratio("redeem_p99_beside_batches", beside.as_secs_f64() / alone.as_secs_f64());
        figure::ms("redeem_p99_alone", alone.as_secs_f64() * 1e3);
        figure::ms("redeem_p99_beside", beside.as_secs_f64() * 1e3);
    });
}

/// Reads batches, one after the other, until it is aborted.
async fn read_on(pages: Loads<u32, String>, keys: Vec<u32>, batches: Arc<AtomicU64>) {
    loop {
        let found = pages.get_many(&keys).await;
        assert!(found.iter().all(|page| page.as_ref().is_ok_and(|page| page.len() == PAGE)));
        batches.fetch_add(1, Ordering::Relaxed);
    }
}

/// How long each redemption of a turn took, one after the other.
async fn redeem(validator: &Validator, ids: &mut impl Iterator<Item = String>) -> Vec<Duration> {
    let mut times = Vec::with_capacity(TURN);
    for id in ids.take(TURN) {
        let validation = validator.validate(checkout::intent(&id)).await.expect("the provider answers");
        let Verdict::Valid(proof) = validation.into_verdict() else { panic!("it is paid") };
        let begun = Instant::now();
        let redeemed = validator.redeem(proof).await.expect("the store answers");
        times.push(begun.elapsed());
        assert_eq!(redeemed.occasion(), Occasion::First);
    }
    times
}
