//! What decides is what there is, and not how it comes.

use payproof::reconcile::{OrderRecord, Reconciliation};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::faults::{Planted, plant};
use crate::shop::{DAY, HOUR, NEW_YEAR, reconcile, told, written};

const PAYMENTS: usize = 3000;

async fn run(planted: &Planted, orders: Vec<OrderRecord>, (since, until): (u64, u64), memory: usize) -> Reconciliation {
    let builder = planted.shop.window(since, until).orders_as_of(NEW_YEAR + DAY + HOUR).sort_memory(memory);
    reconcile(&builder.build().unwrap(), orders).await
}

#[tokio::test(start_paused = true)]
async fn the_report_is_the_same_however_orders_and_pages_come_and_however_much_is_sorted_at_once() {
    let planted = plant(PAYMENTS, 5);
    let day = (NEW_YEAR, NEW_YEAR + DAY);
    let expected = written(&run(&planted, planted.orders.clone(), day, 64 << 20).await);
    assert!(expected.lines().count() > 100, "{expected}");
    let mut orders = planted.orders.clone();
    for seed in 0..3 {
        orders.shuffle(&mut StdRng::seed_from_u64(seed));
        planted.shop.set(|world| (world.shuffled, world.page) = (!world.shuffled, 37 + world.page));
        let report = run(&planted, orders.clone(), day, 4096 << seed).await;
        let (shuffled, pages) = (written(&report), report.counts().pages());
        // How many pages it took is told, too.
        let like_before = |text: &str| {
            text.lines().map(|line| line.split(" ReconcileCounts").next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(like_before(&shuffled), like_before(&expected), "{seed}, {pages} pages");
    }
}

#[tokio::test(start_paused = true)]
async fn what_several_windows_tell_is_what_one_window_tells() {
    let planted = plant(PAYMENTS, 6);
    let whole = told(&run(&planted, planted.orders.clone(), (NEW_YEAR, NEW_YEAR + DAY), 64 << 20).await);
    let mut parts = Vec::new();
    let borders = [0, 1, 5, 6, 13, 24].map(|hour| NEW_YEAR + hour * HOUR);
    for window in borders.windows(2) {
        parts.extend(told(&run(&planted, planted.orders.clone(), (window[0], window[1]), 64 << 20).await));
    }
    let sorted = |mut all: Vec<_>| {
        all.sort_by_key(|told| serde_json::to_string(told).unwrap());
        all
    };
    assert_eq!(sorted(parts), sorted(whole));
}
