//! What only the environment can bring about. Everything else is tested from outside.

use ::metrics::with_local_recorder;
use metrics_exporter_prometheus::PrometheusBuilder;

use tracing::Span;

use super::{Stopwatch, Telemetry, store_call};
use crate::payment::verdict::Provenance;

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

#[cfg(feature = "reconcile")]
#[test]
fn pages_that_came_are_counted() {
    let lines = recorded(|telemetry| {
        telemetry.list_page(&Span::none(), Ok(3));
        telemetry.list_page(&Span::none(), Err("unavailable"));
    });
    let [line] = &*lines else { panic!("{lines:?}") };
    assert!(line.starts_with("payproof_list_pages_total{") && line.ends_with("} 1"), "{line}");
}

#[test]
fn what_was_recorded_once_is_recorded_again_without_an_allocation() {
    let telemetry = Telemetry::new("scripted", "eu", "live");
    let record = || {
        telemetry.validation_took(Stopwatch::start(), Some(Provenance::Fresh));
        telemetry.error(&Span::none(), "unavailable");
        telemetry.request(&Span::none(), "replayed");
        store_call("get", "ok", Stopwatch::start());
    };
    assert!(allocation_counter::measure(record).count_total > 0, "the counting works");
    assert_eq!(allocation_counter::measure(record).count_total, 0);
}

#[test]
fn a_recorder_that_is_installed_late_gets_what_follows() {
    let telemetry = Telemetry::new("scripted", "eu", "live");
    telemetry.error(&Span::none(), "unavailable");
    for _ in 0..2 {
        let recorder = PrometheusBuilder::new().build_recorder();
        with_local_recorder(&recorder, || {
            telemetry.error(&Span::none(), "unavailable");
            store_call("get", "late", Stopwatch::start());
        });
        let page = recorder.handle().render();
        let is_shown = |start: &str, end: &str| page.lines().any(|line| line.starts_with(start) && line.ends_with(end));
        assert!(is_shown("payproof_validation_errors_total{", "} 1"), "{page}");
        assert!(is_shown("payproof_store_call_duration_seconds_count{", "} 1"), "{page}");
    }
}
