//! What an exporter shows, and what the docs, the dashboard and the alerts say of it.

use std::collections::{BTreeMap, BTreeSet};

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

pub(crate) const DASHBOARD: &str = include_str!("../../../examples/observability/grafana.json");
pub(crate) const ALERTS: &str = include_str!("../../../examples/observability/alerts.yaml");
const CRATE_DOCS: &str = include_str!("../../../src/lib.rs");

/// Records what happens on this thread, until it is dropped.
pub(crate) struct Exporter {
    handle: PrometheusHandle,
    _here: LocalRecorderGuard<'static>,
}

impl Exporter {
    pub(crate) fn install() -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&payproof::telemetry::LATENCY_BUCKETS).unwrap();
        // A guard borrows its recorder; a test can afford to leave one behind.
        let recorder = Box::leak(Box::new(builder.build_recorder()));
        Self { handle: recorder.handle(), _here: metrics::set_default_local_recorder(recorder) }
    }

    pub(crate) fn text(&self) -> String {
        self.handle.render()
    }

    pub(crate) fn page(&self) -> Page {
        Page::read(&self.text())
    }
}

type Labels = BTreeMap<String, String>;

/// The page, read back.
#[derive(Debug, Default)]
pub(crate) struct Page {
    kinds: BTreeMap<String, String>,
    helps: BTreeSet<String>,
    series: Vec<(String, Labels, f64)>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                page.kinds.insert(name.to_owned(), kind.to_owned());
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                page.helps.insert(rest.split_once(' ').unwrap().0.to_owned());
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                // No value here holds a comma or a quote.
                let labels = labels.strip_suffix('}').unwrap().split(',').filter_map(|label| label.split_once('='));
                let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
                page.series.push((name.to_owned(), labels.collect(), value.parse().unwrap()));
            }
        }
        page
    }

    /// Counter, gauge or histogram, by name.
    pub(crate) fn kinds(&self) -> &BTreeMap<String, String> {
        &self.kinds
    }

    pub(crate) fn has_help(&self, name: &str) -> bool {
        self.helps.contains(name)
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        let fits =
            move |own: &Labels| labels.iter().all(|(name, value)| own.get(*name).is_some_and(|own| own == value));
        self.series.iter().filter(move |(own, all, _)| own == name && fits(all)).map(|(_, _, value)| *value)
    }

    /// The sum of all series of this name that have these labels; 0 of none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).sum()
    }

    /// The one series of this name that has these labels.
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found: Vec<f64> = self.matching(name, labels).collect();
        assert!(found.len() < 2, "{name} {labels:?} has {} series", found.len());
        found.first().copied()
    }

    /// The names of all labels of a metric, but for the bounds of buckets.
    pub(crate) fn labels_of(&self, name: &str) -> BTreeSet<String> {
        let own = self.series.iter().filter(|(series, ..)| {
            series.strip_prefix(name).is_some_and(|rest| ["", "_bucket", "_sum", "_count"].contains(&rest))
        });
        own.flat_map(|(_, labels, _)| labels.keys().cloned()).filter(|label| label != "le").collect()
    }
}

/// One row of the table in the crate's docs.
#[derive(Debug)]
pub(crate) struct Documented {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) labels: Vec<String>,
}

/// The table in the crate's docs.
pub(crate) fn documented() -> Vec<Documented> {
    let docs = CRATE_DOCS.lines().skip_while(|line| *line != "//! # Metrics").skip(1);
    let docs = docs.take_while(|line| !line.starts_with("//! # "));
    let rows = docs.filter(|line| line.starts_with("//! | `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_start_matches("//! ").trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, _what] = cells[..] else { panic!("{row} has not four cells") };
        Documented {
            name: name.trim_matches('`').to_owned(),
            kind: kind.split(',').next().unwrap().to_owned(),
            labels: own_labels(labels),
        }
    })
    .collect()
}

/// A label stands at the start of a cell, after a semicolon, or after another label and a comma; what follows a colon are
/// its values.
fn own_labels(cell: &str) -> Vec<String> {
    let parts = cell.split(';').map(|part| part.split_once(':').map_or(part, |(label, _)| label));
    let names =
        parts.flat_map(|part| part.split(',')).filter_map(|name| name.trim().strip_prefix('`')?.strip_suffix('`'));
    names.filter(|name| *name != "none").map(str::to_owned).collect()
}

/// Every name of ours in a text.
pub(crate) fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("payproof_")).map(str::to_owned).collect()
}

/// Every text under this key, anywhere in a document.
pub(crate) fn collect(value: &serde_json::Value, key: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                match value.as_str() {
                    Some(text) if name == key => found.push(text.to_owned()),
                    _ => collect(value, key, found),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, key, found)),
        _ => {}
    }
}
