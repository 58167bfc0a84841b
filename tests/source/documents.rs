//! The pages of `docs/` say what is so: tables are printed from code, each name exists, and each that exists is on its page.
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "files of this repository")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::codes::{Told, conditions_told};
use crate::generated::{compare, table};
use crate::markdown::{anchors, links, quoted, section};
use crate::names::texts_of;
use crate::root;

const BREAKS: &str = "docs/when-it-breaks.md";
const DEPLOYING: &str = "docs/deploying.md";
const SECURITY: &str = "docs/security.md";
const RECONCILING: &str = "docs/reconciling.md";
const CRATE_DOCS: &str = include_str!("../../src/lib.rs");
const ALERTS: &str = include_str!("../../examples/observability/alerts.yaml");
const ALERTS_OF_REPORTS: &str = include_str!("../../examples/observability/reconcile.yaml");

/// Every block that some page has, each of which a test prints.
const BLOCKS: [&str; 6] = ["calls", "error codes", "exit statuses", "kinds of record", "stores", "variables"];

/// For people who look something up at night.
const MOST_LINES: usize = 250;

#[test]
fn the_pages_for_operators_are_short_and_their_blocks_are_printed_by_tests() {
    let mut blocks = BTreeSet::new();
    for (page, text) in pages() {
        if [BREAKS, DEPLOYING, SECURITY, "docs/costs.md"].contains(&&*page) {
            assert!(text.lines().count() <= MOST_LINES, "{page} has more than {MOST_LINES} lines");
        }
        for block in text.split("<!-- generated: ").skip(1) {
            let name = block.split(" -->").next().unwrap_or_default();
            assert!(BLOCKS.contains(&name), "no test prints the block `{name}` of {page}");
            blocks.insert(name.to_owned());
        }
    }
    assert_eq!(blocks.iter().map(String::as_str).collect::<Vec<_>>(), BLOCKS, "left: pages; right: tests");
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut seen = 0;
    for (page, text) in pages() {
        for target in links(&text) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path =
                if file.is_empty() { root().join(&page) } else { root().join(&page).parent().unwrap().join(file) };
            assert!(path.exists(), "{page} links to {target}, and {} does not exist", path.display());
            assert!(
                anchor.is_empty() || anchors(&fs::read_to_string(&path).unwrap()).contains(anchor),
                "{page} links to {target}, and nothing there is called #{anchor}"
            );
            seen += 1;
        }
    }
    assert!(seen >= 20, "{seen} links were found");
}

#[test]
fn every_code_alert_and_finding_has_a_row_and_every_row_is_of_what_exists() {
    let (alerts, findings) = (alerts(), findings());
    let codes: BTreeSet<String> = conditions_told().into_keys().collect();
    let metrics = names_in_tables("`payproof_");
    let events = names_in_tables("`payproof.");
    assert!(alerts.len() >= 8 && findings.len() >= 60 && metrics.len() >= 30 && events.len() >= 25);
    let rows = rows();
    let seen: BTreeSet<String> = rows.values().flat_map(|seen| quoted(seen)).collect();
    let mut breaches = Vec::new();
    for (kind, names) in [("error code", &codes), ("alert rule", &alerts), ("finding", &findings)] {
        let missing = names.iter().filter(|name| !seen.contains(*name));
        breaches.extend(missing.map(|name| {
            format!("the {kind} `{name}` has no row in {BREAKS}: name it in the first cell of the row of its symptom")
        }));
    }
    for name in &seen {
        let bare = name.split(['{', '=']).next().unwrap_or_default();
        let is_known = [&codes, &alerts, &findings, &metrics, &events].iter().any(|names| names.contains(bare));
        let is_shown = is_known || bare.starts_with("exit ") || OTHER_SIGNS.contains(&bare);
        if !is_shown {
            breaches.push(format!("`{name}` is seen in a row of {BREAKS}, and nothing of that name exists"));
        }
    }
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// What is seen beside codes, alerts, findings, metrics and events.
const OTHER_SIGNS: [&str; 3] = ["BuildError", "Idempotent-Replayed", "error:"];

#[test]
fn every_alert_leads_to_the_row_that_names_it() {
    let rows = rows();
    for rule in ALERTS.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap_or_default();
        let runbook = rule.lines().find_map(|line| line.trim().strip_prefix("runbook: "));
        let anchor = runbook.and_then(|link| link.strip_prefix("docs/when-it-breaks.md#"));
        let seen = anchor.and_then(|anchor| rows.get(anchor)).map(|seen| quoted(seen));
        assert!(
            seen.is_some_and(|seen| seen.contains(name)),
            "{name} needs the annotation `runbook: {BREAKS}#…`, with the row that names it"
        );
    }
}

#[test]
fn error_codes_are_those_of_the_code() {
    let rows = rows();
    let of = |code: &str| {
        let found = rows.iter().filter(|(_, seen)| quoted(seen).contains(code));
        found.map(|(anchor, _)| format!("[{}](#{anchor})", anchor.replace('-', " "))).collect::<Vec<_>>().join(", ")
    };
    let told = conditions_told()
        .into_iter()
        .map(|(code, Told { status, again, when })| [format!("`{code}`"), status, again, when, of(&code)]);
    compare(BREAKS, "error codes", &table(["code", "status", "same call again", "when", "row"], told));
}

#[test]
fn exit_statuses_are_those_that_the_commands_state() {
    let mut told = Vec::new();
    for (path, text) in texts_of("src/bin/payproof").unwrap().into_iter().chain(texts_of("examples").unwrap()) {
        let name = Path::new(&path).with_extension("");
        let name = name.to_str().unwrap_or_default().trim_end_matches("/mod").trim_end_matches("/main");
        let name = name.replace("src/bin/payproof/", "payproof ").replace("src/bin/payproof", "any other command");
        let name = name.replace("examples/", "example ");
        if let Some(said) = exit_status(&text) {
            told.push([format!("`{name}`"), said]);
        }
    }
    assert!(told.len() >= 10, "{told:?}");
    told.sort_by_key(|[name, _]| (name.contains("example"), name.contains("other"), name.clone()));
    compare(BREAKS, "exit statuses", &table(["program", "exit status"], told));
}

/// The sentence about it, from the docs of a command.
fn exit_status(text: &str) -> Option<String> {
    let docs = text.lines().filter_map(|line| line.strip_prefix("/// ").or_else(|| line.strip_prefix("//! ")));
    let docs = docs.collect::<Vec<_>>().join(" ");
    let (said, _) = docs.split_once("Exit status: ")?.1.split_once('.')?;
    Some(said.to_owned())
}

#[test]
fn variables_are_those_that_are_read_in_their_order() {
    let docs = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (choice, command_line) = (docs("src/store/from_env.rs"), docs("src/bin/payproof/settings.rs"));
    let rows = choice.lines().filter_map(|line| line.strip_prefix("/// | `")?.strip_suffix(" |")?.split_once(" | "));
    let of_stores = rows.map(|(names, what)| [format!("`{names}"), what.to_owned(), "services, `payproof`".to_owned()]);
    let table_of = command_line.split_once("const VARIABLES: ").unwrap().1.split_once("\n];").unwrap().0;
    let of_commands =
        table_of.lines().filter_map(|line| line.trim().strip_prefix('(')?.strip_suffix("),")?.split_once(", \""));
    let of_commands = of_commands.map(|(names, what)| {
        let names = if names == "SECRET_KEY" { "STRIPE_SECRET_KEY" } else { names };
        let names = if names == "RECORD_KEY" { "PAYPROOF_RECORD_KEY" } else { names.trim_matches('"') };
        [format!("`{}`", names.replace(", ", "`, `")), what.trim_matches('"').to_owned(), "`payproof`".to_owned()]
    });
    let rows: Vec<[String; 3]> = of_stores.chain(of_commands).collect();
    assert!(rows.len() >= 13, "{rows:?}");
    compare(DEPLOYING, "variables", &table(["variable", "what it says", "read by"], rows));
}

#[test]
fn every_variable_that_is_read_is_named_where_the_others_are_and_no_other() {
    let read = read_variables();
    assert!(read.len() >= 20, "{read:?}");
    let page = fs::read_to_string(root().join(DEPLOYING)).unwrap();
    let named: BTreeSet<String> =
        quoted(section(&page, "## Variables").unwrap()).into_iter().filter(|word| is_variable(word)).collect();
    let missing: Vec<_> = read.difference(&named).collect();
    assert!(missing.is_empty(), "{DEPLOYING}, \"Variables\", leaves out what is read: {missing:?}");
    for (page, text) in pages() {
        let unknown: Vec<_> =
            quoted(&text).into_iter().filter(|word| is_variable(word) && !read.contains(word)).collect();
        assert!(unknown.is_empty(), "{page} names variables that nothing reads: {unknown:?}");
    }
}

#[test]
fn every_metric_and_event_that_a_page_names_exists() {
    let (mut metrics, events) = (names_in_tables("`payproof_"), names_in_tables("`payproof."));
    metrics.extend(metrics_of_reports());
    for (page, text) in pages() {
        for word in quoted(&text) {
            let bare = word.split(['{', ' ', '=']).next().unwrap_or_default();
            let is_known = metrics.contains(bare) || events.contains(bare);
            let is_name = bare.starts_with("payproof_") || bare.starts_with("payproof.") && !bare.ends_with(".redb");
            assert!(is_known || !is_name, "{page} names `{bare}`, and the crate's docs have no such metric or event");
        }
    }
}

#[test]
fn every_class_of_a_report_has_a_row_and_every_row_is_of_a_class() {
    let classes = fs::read_to_string(root().join("src/reconcile/class.rs")).unwrap();
    let coded = |name: &str| -> BTreeSet<String> {
        let (_, list) = classes.split_once(&format!("pub enum {name} {{")).unwrap();
        let (list, _) = list.split_once("} code(").unwrap();
        list.lines().filter_map(|line| line.split_once(" = \"")?.1.strip_suffix("\",")).map(str::to_owned).collect()
    };
    let page = fs::read_to_string(root().join(RECONCILING)).unwrap();
    let rows = section(&page, "## What each class means").unwrap();
    let told: BTreeSet<String> = rows
        .lines()
        .filter_map(|line| line.strip_prefix("| <a id=\"")?.split_once('"'))
        .map(|(id, rest)| {
            assert!(rest.starts_with(&format!("></a>`{id}` | ")), "the anchor of {id} is another's");
            id.to_owned()
        })
        .collect();
    let classes = coded("DiscrepancyClass");
    assert!(classes.len() >= 12, "{classes:?}");
    assert_eq!(told, classes, "left: rows of {RECONCILING}; right: classes");
    for kind in coded("Unremarkable") {
        assert!(rows.contains(&kind.replace('_', " ")), "{RECONCILING} does not say what `{kind}` is");
    }
}

#[test]
fn every_metric_of_a_report_is_on_its_page_and_its_alerts_lead_there() {
    let page = fs::read_to_string(root().join(RECONCILING)).unwrap();
    let metrics = metrics_of_reports();
    assert_eq!(metrics.len(), 3, "{metrics:?}");
    for metric in &metrics {
        assert!(quoted(&page).contains(metric), "{RECONCILING} does not name `{metric}`");
        assert!(ALERTS_OF_REPORTS.contains(metric.as_str()), "no alert looks at `{metric}`");
    }
    let names = ALERTS_OF_REPORTS.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let unknown: Vec<_> = names.filter(|name| name.starts_with("payproof_") && !metrics.contains(*name)).collect();
    assert!(unknown.is_empty(), "the alerts look at what no report has: {unknown:?}");
    for rule in ALERTS_OF_REPORTS.split("- alert: ").skip(1) {
        let runbook = rule.lines().find_map(|line| line.trim().strip_prefix("runbook: docs/reconciling.md#"));
        assert!(runbook.is_some_and(|anchor| anchors(&page).contains(anchor)), "this alert leads nowhere: {rule}");
    }
}

#[test]
fn every_kind_of_record_is_on_the_page_of_what_is_stored() {
    let source = fs::read_to_string(root().join("src/ledger/kind.rs")).unwrap();
    let (_, kinds) = source.split_once("pub enum RecordKind {").unwrap();
    let (kinds, rest) = kinds.split_once("\n}").unwrap();
    let mut rows = Vec::new();
    for kind in kinds.split("    /// ").skip(1) {
        let (what, name) = kind.split_once('\n').unwrap();
        let name = name.trim().trim_end_matches(',');
        if name.starts_with("#[cfg(test)]") {
            continue;
        }
        let (_, named) = rest.split_once(&format!("Self::{name} => (\"")).unwrap();
        let named = named.split('"').next().unwrap_or_default();
        rows.push([format!("`{named}`"), what.trim_end_matches('.').to_owned()]);
    }
    assert!(rows.len() >= 12, "{rows:?}");
    compare(SECURITY, "kinds of record", &table(["kind, in its key", "what the record is about"], rows));
}

#[test]
fn every_column_that_a_preset_reads_is_on_the_page_of_exports() {
    let source = fs::read_to_string(root().join("src/bin/payproof/lines/preset.rs")).unwrap();
    let page = quoted(&fs::read_to_string(root().join("docs/exports.md")).unwrap());
    let tables = source.split(": Pairs = &[").skip(1).map(|table| table.split("];").next().unwrap());
    // The last table is that of states.
    let columns: Vec<&str> = tables.take(3).flat_map(|table| table.split('"').skip(3).step_by(4)).collect();
    assert!(columns.len() >= 20 && columns.contains(&"PaymentIntent ID"), "{columns:?}");
    for column in columns {
        assert!(page.iter().any(|name| name == column), "docs/exports.md does not name the column `{column}`");
    }
}

#[test]
fn every_test_that_a_page_names_exists() {
    let tests: Vec<(String, String)> = texts_of("tests").unwrap().into_iter().chain(texts_of("src").unwrap()).collect();
    let mut seen = 0;
    for name in quoted(&fs::read_to_string(root().join(SECURITY)).unwrap()) {
        let is_name = name.matches('_').count() >= 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_name {
            let is_there = tests.iter().any(|(_, text)| text.contains(&format!("fn {name}(")));
            assert!(is_there, "{SECURITY} names the test `{name}`, which does not exist");
            seen += 1;
        }
    }
    assert!(seen >= 12, "{seen} tests are named");
}

/// Every page that a reader is sent to, by its path from the root.
fn pages() -> Vec<(String, String)> {
    let mut pages = texts_of("docs").unwrap();
    pages.retain(|(path, _)| path.ends_with(".md"));
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        pages.push((page.to_owned(), fs::read_to_string(root().join(page)).unwrap()));
    }
    pages
}

/// What is seen, the first cell of each row of the symptoms, by the row's anchor.
fn rows() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join(BREAKS)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| <a id=\"")?.split_once("\"></a>"));
    rows.map(|(anchor, rest)| (anchor.to_owned(), rest.split(" | ").next().unwrap_or_default().to_owned())).collect()
}

fn alerts() -> BTreeSet<String> {
    ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).map(str::to_owned).collect()
}

/// The codes of what a verdict, health and a look at the store find: each text within what says them.
fn findings() -> BTreeSet<String> {
    let mut found: BTreeSet<String> = BTreeSet::new();
    let verdict = fs::read_to_string(root().join("src/payment/verdict/finding.rs")).unwrap();
    let (_, verdict) = verdict.split_once("pub enum Finding {").unwrap();
    let (verdict, _) = verdict.split_once("\n    } ").unwrap();
    let named = verdict.lines().filter_map(|line| line.split_once(" = \"")?.1.strip_suffix("\","));
    found.extend(named.map(str::to_owned));
    for (path, function) in [("src/health/reason.rs", "fn code("), ("src/store/inspection.rs", "fn code_and_severity(")]
    {
        let source = fs::read_to_string(root().join(path)).unwrap();
        let (_, body) = source.split_once(function).unwrap();
        let (body, _) = body.split_once("\n    }\n").unwrap();
        found.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    found
}

/// What `payproof reconcile --metrics` writes.
fn metrics_of_reports() -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("src/bin/payproof/reconcile/metrics.rs")).unwrap();
    source.split('"').filter(|text| text.starts_with("payproof_")).map(str::to_owned).collect()
}

/// The names in the first cells of the tables in the crate's docs.
fn names_in_tables(opening: &str) -> BTreeSet<String> {
    let rows = CRATE_DOCS.lines().filter_map(|line| line.strip_prefix("//! | ")).filter(|row| row.starts_with(opening));
    rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect()
}

/// What the sources read, outside of tests.
fn read_variables() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in texts_of("src").unwrap() {
        if path == "src/ledger/golden.rs" {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let words = line.split('"').skip(1).step_by(2).flat_map(|text| text.split(", "));
            found.extend(words.filter(|word| is_variable(word)).map(str::to_owned));
        }
    }
    found
}

/// Whether it looks like a variable of the environment that is this crate's to read.
fn is_variable(word: &str) -> bool {
    const BEGINNINGS: [&str; 13] = [
        "PAYPROOF_",
        "STRIPE_",
        "UPSTASH_",
        "KV_",
        "REDIS_",
        "USE_",
        "DISABLE_",
        "APP_",
        "NODE_",
        "NO_COLOR",
        "SSL_",
        "HTTP",
        "ALL_",
    ];
    !word.ends_with('_')
        && word.contains('_')
        && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        && BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
}
