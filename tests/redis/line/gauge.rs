//! Whether there is a line, as the page of metrics says.

use metrics::set_default_local_recorder;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use payproof::Validator;
use payproof::store::RedisStore;
use tokio::time::{Instant, sleep};

use super::{PATIENCE, impatient, validator};
use crate::patient;
use crate::redis_server::RedisServer;
use crate::support::{ms, provider};

async fn gauge(page: &PrometheusHandle, validator: &Validator) -> Option<f64> {
    validator.publish_metrics().await;
    let text = page.render();
    let line = text.lines().find(|line| line.starts_with("payproof_invalidation_line{"))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

async fn gauge_becomes(value: f64, page: &PrometheusHandle, validator: &Validator) {
    let begun = Instant::now();
    while gauge(page, validator).await.is_none_or(|shown| shown.total_cmp(&value).is_ne()) {
        assert!(begun.elapsed() < PATIENCE, "it does not become {value}");
        sleep(ms(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_whether_the_server_tells_of_changes_where_it_is_to() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let (page, _here) = (recorder.handle(), set_default_local_recorder(&recorder));
    let (mut server, provider) = (RedisServer::start().await, provider());
    let without = patient(RedisStore::builder(server.url()).no_invalidation_line());
    assert_eq!(gauge(&page, &validator(&provider, without)).await, None);
    // No call uses the store: who looks at the page has the line begin.
    let one = validator(&provider, impatient(&server));
    gauge_becomes(1.0, &page, &one).await;
    server.kill();
    gauge_becomes(0.0, &page, &one).await;
    server.restart().await;
    gauge_becomes(1.0, &page, &one).await;
}
