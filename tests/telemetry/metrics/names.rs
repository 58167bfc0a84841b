//! The docs list what the page shows.

use std::collections::BTreeSet;

use super::everything;
use super::page::{Exporter, documented};

#[tokio::test(start_paused = true)]
async fn the_docs_list_what_the_page_shows_and_nothing_else() {
    let exporter = Exporter::install();
    everything().await;
    let page = exporter.page();
    let documented = documented();
    assert!(documented.len() >= 20, "the table was not found: {documented:?}");
    let shown: BTreeSet<String> = page.kinds().keys().cloned().collect();
    let listed: BTreeSet<String> = documented.iter().map(|metric| metric.name.clone()).collect();
    let not_listed: Vec<_> = shown.difference(&listed).collect();
    assert!(not_listed.is_empty(), "recorded, and not in the docs: {not_listed:?}");
    let not_shown: Vec<_> = listed.difference(&shown).map(String::as_str).collect();
    assert!(not_shown.is_empty(), "in the docs, and not recorded: {not_shown:?}");
}

#[tokio::test(start_paused = true)]
async fn kinds_helps_and_labels_are_those_of_the_docs() {
    let exporter = Exporter::install();
    everything().await;
    let page = exporter.page();
    for metric in documented() {
        assert_eq!(page.kinds()[&metric.name], metric.kind, "{}", metric.name);
        assert!(page.has_help(&metric.name), "{} is not described", metric.name);
        let mut expected: BTreeSet<String> = metric.labels.iter().cloned().collect();
        // A store and a cache may serve several validators.
        let is_shared =
            metric.name == "payproof_store_call_duration_seconds" || metric.name.starts_with("payproof_cache_");
        if !is_shared {
            expected.extend(["provider", "account", "mode"].map(str::to_owned));
        }
        assert_eq!(page.labels_of(&metric.name), expected, "{}", metric.name);
    }
}

#[tokio::test(start_paused = true)]
async fn no_label_is_an_id_or_a_secret() {
    let exporter = Exporter::install();
    everything().await;
    let text = exporter.text();
    for secret in ["pi_1", "pi_2", "store_42", "6735", "capture"] {
        assert!(!text.contains(secret), "{secret} is on the page");
    }
}
