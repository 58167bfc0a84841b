//! What the parts that receive requests have recorded. Everything else is tested from outside.

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

#[cfg(feature = "tower")]
#[test]
fn requests_are_counted_by_outcome_and_those_bypassed_apart() {
    let mut lines = recorded(|telemetry| {
        telemetry.request("replayed");
        telemetry.request("replayed");
        telemetry.request_bypassed();
    });
    lines.sort();
    let whose = r#"provider="scripted",account="eu",mode="live""#;
    let expected = [
        format!("payproof_requests_bypassed_total{{{whose}}} 1"),
        format!(r#"payproof_requests_total{{{whose},outcome="replayed"}} 2"#),
    ];
    assert_eq!(lines, expected);
}

#[cfg(feature = "tower")]
#[test]
fn disabled_checks_are_a_gauge() {
    let is_shown = |telemetry: &Telemetry| telemetry.publish(&telemetry.stats(0), 0);
    let gauge = |lines: Vec<String>| lines.into_iter().find(|line| line.starts_with("payproof_idempotency_checks"));
    assert!(gauge(recorded(is_shown)).unwrap().ends_with(" 0"));
    let disabled = recorded(|telemetry| {
        telemetry.checks_disabled();
        is_shown(telemetry);
    });
    assert!(gauge(disabled).unwrap().ends_with(" 1"));
}

#[cfg(feature = "webhook")]
#[test]
fn deliveries_are_counted_by_outcome() {
    let lines = recorded(|telemetry| telemetry.delivery("handled"));
    let whose = r#"provider="scripted",account="eu",mode="live""#;
    assert_eq!(lines, [format!(r#"payproof_webhook_deliveries_total{{{whose},outcome="handled"}} 1"#)]);
}
