//! Every event has a message and a target of its own subject, and the docs list it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The targets that the crate's docs list.
const TARGETS: [(&str, &str); 8] = [
    ("CACHE", "payproof::cache"),
    ("ENDPOINT", "payproof::endpoint"),
    ("GUARD", "payproof::guard"),
    ("PROVIDER", "payproof::provider"),
    ("REDEEM", "payproof::redeem"),
    ("STORE", "payproof::store"),
    ("VALIDATION", "payproof::validation"),
    ("WEBHOOK", "payproof::webhook"),
];

fn telemetry() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// Each call of a macro that emits an event: what stands between its brackets.
fn emitted(text: &str) -> Vec<&str> {
    let starts = text.match_indices("name: \"payproof.").map(|(at, _)| &text[at..]);
    starts.map(|rest| rest.split_once(");").map_or(rest, |(call, _)| call)).collect()
}

fn docs() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap()
}

#[test]
fn every_event_has_a_message_for_people_and_a_public_target() {
    let mut seen = 0;
    for text in telemetry() {
        for call in emitted(&text) {
            let message = call.rsplit('"').nth(1).unwrap_or_default();
            let is_last = call.trim_end().trim_end_matches(',').ends_with(&format!("\"{message}\""));
            assert!(is_last && message.split(' ').count() >= 4, "no message for people: {call}");
            let target =
                call.split_once("target: ").map(|(_, rest)| rest.split([',', '\n']).next().unwrap_or_default());
            let is_public = target.is_some_and(|target| TARGETS.iter().any(|(name, _)| target.ends_with(name)));
            assert!(is_public, "no public target: {call}");
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen} events were found");
}

#[test]
fn the_docs_list_every_event_and_target_and_no_other() {
    let texts = telemetry();
    let name_of = |call: &str| call.split('"').nth(1).map(str::to_owned);
    let emitted: BTreeSet<String> = texts.iter().flat_map(|text| emitted(text)).filter_map(name_of).collect();
    let docs = docs();
    let rows = docs.lines().filter_map(|line| line.strip_prefix("//! | `payproof.")?.split_once("` | "));
    let listed: BTreeSet<String> =
        rows.filter(|(_, rest)| rest.starts_with("event")).map(|(name, _)| format!("payproof.{name}")).collect();
    assert_eq!(emitted, listed, "left: emitted; right: in the docs");
    for (_, target) in
        TARGETS.iter().filter(|(name, _)| texts.iter().any(|text| text.contains(&format!("const {name}: &str"))))
    {
        assert!(docs.contains(&format!("`{target}`")), "the docs leave out {target}");
        assert!(texts.iter().any(|text| text.contains(&format!("\"{target}\""))), "nothing has {target}");
    }
}
