//! What only the environment can bring about. Everything else is tested from outside.

use ::metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::Telemetry;

/// The lines of the page after this, but for comments.
fn recorded(act: impl FnOnce(&Telemetry)) -> Vec<String> {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || act(&Telemetry::new("scripted", "eu", "live")));
    let page = recorder.handle().render();
    page.lines().filter(|line| line.starts_with("payproof")).map(str::to_owned).collect()
}

#[test]
fn disabled_checks_are_a_gauge() {
    let is_shown = |telemetry: &Telemetry| telemetry.meter.publish(&telemetry.stats(0), 0);
    let gauge = |lines: Vec<String>| lines.into_iter().find(|line| line.starts_with("payproof_idempotency_checks"));
    assert!(gauge(recorded(is_shown)).unwrap().ends_with(" 0"));
    let disabled = recorded(|telemetry| {
        telemetry.checks_disabled();
        is_shown(telemetry);
    });
    assert!(gauge(disabled).unwrap().ends_with(" 1"));
}
