//! What is read from a validator for a scrape, beside what is recorded as it happens.

use std::future::Future;

use tokio::time::Instant;

use crate::call::deadline::after;
use crate::validator::Validator;

use super::{PATIENCE, indeterminate};

impl Validator {
    /// Sets the gauges, and adds the hits that were counted beside the facts since the last time.
    ///
    /// Call it before each scrape, or every 15 s for an exporter that pushes. Everything else is recorded as it happens.
    /// The lists of indeterminate operations and requests are read from the store, within 0.8 s; when it does
    /// not answer in time, their three gauges stay as they were, and all the others are set.
    ///
    /// It records with the recorder that is installed by then, and tells it what the names mean.
    ///
    /// ```
    /// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    /// use payproof::telemetry::LATENCY_BUCKETS;
    ///
    /// # use payproof::Validator;
    /// # use payproof::testing::ScriptedProvider;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let validator = Validator::builder(ScriptedProvider::new()).build()?;
    /// // Once, at start:
    /// let ours = Matcher::Prefix("payproof_".to_owned());
    /// let prometheus = PrometheusBuilder::new().set_buckets_for_metric(ours, &LATENCY_BUCKETS)?.install_recorder()?;
    ///
    /// // In the handler of `GET /metrics`:
    /// validator.publish_metrics().await;
    /// let page = prometheus.render();
    /// assert!(page.contains("payproof_retry_credit"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// It may be dropped at any point. What is read from the store comes last.
    ///
    /// # Panics
    /// In a tokio runtime without time enabled, which offers no way to ask beforehand.
    #[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
    pub fn publish_metrics(&self) -> impl Future<Output = ()> + Send + use<> {
        let validator = self.clone();
        async move {
            let meter = &validator.0.account.telemetry.meter;
            let stats = validator.stats();
            meter.publish(&stats, validator.0.cache.valid_hits());
            if let Some(line) = validator.0.shared.as_ref().and_then(|shared| shared.line.as_ref()) {
                // One that no call has used yet is missed otherwise.
                line.keep_up();
                meter.publish_line(stats.facts_are_covered);
            }
            if let Some(found) = indeterminate(&validator, after(Instant::now(), PATIENCE)).await {
                let (operations, requests) = (found.operations.total(), found.requests.total());
                meter.publish_indeterminate(operations, requests, found.oldest().unwrap_or_default());
            }
        }
    }
}
