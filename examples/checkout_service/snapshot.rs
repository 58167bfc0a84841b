//! All that the page shows, read at one moment from those who know it.

use std::collections::BTreeMap;

use payproof::health::Health;
use payproof::telemetry::BreakerState;
use serde::Serialize;

use crate::history::{Counts, History};
use crate::journal::{Entry, Recent};
use crate::service::Service;
use crate::stage::{Scene, Stage};

/// A screenful of validations.
const ENTRIES: usize = 40;

#[derive(Debug, Serialize)]
pub(crate) struct Snapshot {
    /// Time since the start.
    seconds_up: u64,
    store: &'static str,
    funnel: Funnel,
    /// Requests with an idempotency key, by how the layer answered.
    requests: BTreeMap<&'static str, u64>,
    deliveries: BTreeMap<&'static str, u64>,
    totals: Counts,
    /// The last minute; the last second is under way.
    seconds: Vec<Counts>,
    provider: Provider,
    scene: Scene,
    entries: Vec<Entry>,
}

/// From many clicks to few orders, each number counted where it happens.
#[derive(Debug, Serialize)]
struct Funnel {
    clicks: u64,
    handler_runs: u64,
    /// As the provider counted them.
    provider_calls: u64,
    /// As the database counts them; none if it does not answer.
    orders: Option<u32>,
}

/// The provider as the validator sees it.
#[derive(Debug, Serialize)]
struct Provider {
    health: &'static str,
    breaker: Option<&'static str>,
    budget: Option<f64>,
    /// As `GET /health` says it.
    ready: Health,
    in_flight: usize,
    retries: u64,
    recent: Recent,
}

impl Snapshot {
    pub(crate) async fn take(service: &Service, stage: &Stage, history: &mut History) -> Self {
        let (stats, recent) = (service.validator.stats(), service.journal.recent());
        history.look(&stats);
        Self {
            seconds_up: stats.uptime.as_secs(),
            store: service.store,
            funnel: Funnel {
                clicks: service.journal.clicks(),
                handler_runs: service.journal.all_handler_runs(),
                provider_calls: stage.provider_calls(),
                orders: service.orders.count().await.ok(),
            },
            totals: Counts::from(&stats),
            seconds: history.seconds().copied().collect(),
            provider: Provider {
                health: health(stats.breaker, recent),
                breaker: stats.breaker.map(breaker),
                budget: stats.credit,
                ready: service.validator.health().await,
                in_flight: stats.in_flight,
                retries: stats.retries,
                recent,
            },
            scene: stage.scene(),
            entries: service.journal.last(ENTRIES),
            requests: stats.requests,
            deliveries: stats.deliveries,
        }
    }
}

/// One word for people. The breaker knows best; while it is closed, the last seconds tell.
fn health(breaker: Option<BreakerState>, recent: Recent) -> &'static str {
    match breaker {
        Some(BreakerState::Open) => "not_asked",
        Some(BreakerState::HalfOpen) => "probed",
        _ if recent.calls == 0 => "quiet",
        _ if recent.failed.saturating_mul(5) >= recent.calls => "struggling",
        _ if recent.median_ms.is_some_and(|median| median >= 1000) => "slow",
        _ => "answering",
    }
}

fn breaker(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
        _ => "closed",
    }
}
