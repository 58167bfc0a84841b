//! The dashboard and the alerts.

use std::collections::BTreeSet;

use super::everything;
use super::page;
use super::page::{Exporter, documented, names_in};
use crate::folder::Folder;
use crate::promtool::promtool;

#[test]
fn the_dashboard_and_the_alerts_use_only_names_that_exist() {
    let exporter_suffixes = ["_bucket", "_sum", "_count"];
    let mut known = BTreeSet::new();
    for metric in documented() {
        if metric.kind == "histogram" {
            known.extend(exporter_suffixes.map(|suffix| format!("{}{suffix}", metric.name)));
        } else {
            known.insert(metric.name);
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(page::DASHBOARD).unwrap();
    let mut expressions = Vec::new();
    page::collect(&dashboard, "expr", &mut expressions);
    assert!(expressions.len() >= 16, "{}", expressions.len());
    for text in expressions.iter().map(String::as_str).chain([page::ALERTS]) {
        let used = names_in(text);
        assert!(!used.is_empty(), "{text}");
        let unknown: Vec<_> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {text}");
    }
}

#[test]
fn prometheus_takes_the_alerts_and_they_say_what_they_should() {
    promtool(&["check", "rules", "examples/observability/alerts.yaml"]);
    promtool(&["test", "rules", "tests/telemetry/metrics/alerts_test.yaml"]);
}

#[test]
fn prometheus_takes_every_expression_of_the_dashboard() {
    let dashboard: serde_json::Value = serde_json::from_str(page::DASHBOARD).unwrap();
    let mut expressions = Vec::new();
    page::collect(&dashboard, "expr", &mut expressions);
    let rules: Vec<_> = expressions
        .iter()
        .enumerate()
        // What Grafana puts in the place of its variables.
        .map(|(at, text)| (at, text.replace("$__rate_interval", "1m0s").replace("$provider", ".*")))
        .map(|(at, text)| serde_json::json!({ "record": format!("panel:{at}"), "expr": text }))
        .collect();
    let rules = serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] });
    let folder = Folder::new("metrics-panels");
    let file = folder.path().join("panels.yaml");
    // JSON is YAML.
    std::fs::write(&file, rules.to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let used = names_in(page::DASHBOARD);
    for metric in documented() {
        assert!(used.iter().any(|name| name.starts_with(&metric.name)), "{} is on no panel", metric.name);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_the_alerts_are_bounds_of_the_buckets() {
    assert!(payproof::telemetry::LATENCY_BUCKETS.is_sorted());
    assert!(payproof::telemetry::LATENCY_BUCKETS.contains(&0.05), "store p95 over 50 ms");
    let exporter = Exporter::install();
    everything().await;
    assert!(exporter.text().contains("payproof_store_call_duration_seconds_bucket"), "no summary");
}
