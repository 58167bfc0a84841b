//! Many clicks at once, all for one order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payproof::envelope::Failure;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Stage;

/// As many as a nervous shopper and a broken button can send.
const CLICKS: u64 = 50;

/// Which keys the clicks carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Keys {
    /// All the same: the layer lets one pass.
    One,
    /// Each its own: every one gets to the handler, and validation and redemption come to one order.
    Each,
}

/// What came of a burst.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Burst {
    /// Counts the bursts.
    pub(crate) number: u64,
    pub(crate) keys: Keys,
    pub(crate) running: bool,
    pub(crate) order: String,
    pub(crate) clicks: u64,
    pub(crate) handler_runs: u64,
    pub(crate) provider_calls: u64,
    pub(crate) orders: u32,
    /// How many clicks got which answer, and whether it was a replay.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Different bodies among all answers.
    pub(crate) bodies: usize,
    pub(crate) took_ms: u128,
}

impl Stage {
    /// Pays once, and clicks many times at once. The figures are those of this one order.
    pub(crate) async fn burst(self: &Arc<Self>, keys: Keys) -> Result<Burst, Failure> {
        let _alone = self.busy.try_lock().map_err(|_| busy())?;
        let sale = self.sale();
        let claim = sale.claim.clone();
        self.put(sale.paid(), &claim.order);
        let journal = &self.service.journal;
        journal.watch(&claim.order);
        let mut burst = Burst {
            number: self.scene().burst.map_or(1, |last| last.number.saturating_add(1)),
            keys,
            running: true,
            order: claim.order.clone(),
            clicks: CLICKS,
            handler_runs: 0,
            provider_calls: 0,
            orders: 0,
            answers: BTreeMap::new(),
            bodies: 0,
            took_ms: 0,
        };
        self.lock().burst = Some(burst.clone());

        let (begin, mut clicks) = (Instant::now(), JoinSet::new());
        for number in 0..CLICKS {
            let (browser, claim) = (self.browser.clone(), claim.clone());
            let key = match keys {
                Keys::One => format!("order-{}", claim.order),
                Keys::Each => format!("order-{}-click-{number}", claim.order),
            };
            clicks.spawn(async move { browser.click(&key, &claim).await });
        }
        let mut bodies = BTreeSet::new();
        for said in clicks.join_all().await {
            let label = match said {
                Ok(said) => {
                    let replayed = if said.replayed { ", replayed" } else { "" };
                    let label = format!("{}{replayed}", said.label());
                    bodies.insert(said.body);
                    label
                }
                Err(_) => "no answer".to_owned(),
            };
            let count = burst.answers.entry(label).or_insert(0);
            *count = count.saturating_add(1);
        }
        burst.took_ms = begin.elapsed().as_millis();
        burst.bodies = bodies.len();
        burst.handler_runs = journal.unwatch(&claim.order);
        burst.provider_calls = self.sandbox.requests_for(&claim.payment);
        burst.running = false;
        burst.orders = self.service.orders.count_of(&claim.payment).await.unwrap_or_default();
        let mut scene = self.lock();
        if burst.orders > 0 {
            scene.sold = Some(sale);
        }
        scene.burst = Some(burst.clone());
        Ok(burst)
    }
}

pub(super) fn busy() -> Failure {
    Failure::new(409, "BUSY", "the last burst or refund is still running")
}
