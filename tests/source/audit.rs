//! The audit is a crate of its own: who does not ask for it pays nothing for it, and it needs nothing of payproof.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::package::cargo;

/// Crates that only the audit pulls in.
const OF_THE_AUDIT: &[&str] =
    &["ignore", "payproof-audit", "saphyr-parser", "tree-sitter", "tree-sitter-rust", "tree-sitter-typescript"];

/// Every crate that a user's build with these arguments could pull in, on any platform.
fn crates(arguments: &[&str]) -> Vec<String> {
    let tree = ["tree", "--offline", "--edges", "normal", "--target", "all", "--prefix", "none", "--format", "{p}"];
    let mut names: Vec<String> = cargo(&[&tree, arguments].concat())
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_command_line_without_the_audit_has_none_of_its_crates() {
    let without = crates(&["--package", "payproof", "--features", "cli"]);
    let with = crates(&["--package", "payproof", "--features", "audit"]);
    for name in OF_THE_AUDIT {
        assert!(with.iter().any(|known| known == name), "{name} is named and not used");
        assert!(!without.iter().any(|known| known == name), "{name}");
    }
    let docs = crates(&["--package", "payproof", "--features", "axum,backoff,cache-lz4,cli,metrics"]);
    assert!(!docs.iter().any(|name| name == "payproof-audit"), "docs.rs would build the audit");
}

#[test]
fn the_audit_needs_neither_payproof_nor_a_runtime() {
    let crates = crates(&["--package", "payproof-audit"]);
    for name in ["payproof", "tokio", "reqwest", "rustls", "futures-util"] {
        assert!(!crates.iter().any(|known| known == name), "{name}");
    }
    assert!(crates.iter().any(|name| name == "tree-sitter"), "{crates:?}");
}

#[test]
fn docs_rs_builds_every_feature_but_the_audit() {
    let metadata = cargo(&["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let payproof = packages.iter().find(|package| package["name"] == "payproof").unwrap();
    let (features, docs) = (&payproof["features"], &payproof["metadata"]["docs"]["rs"]["features"]);
    let names = |list: &Value| list.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let (mut next, mut built): (Vec<String>, BTreeSet<String>) = (names(docs), BTreeSet::new());
    while let Some(name) = next.pop() {
        if features[&name].is_array() && built.insert(name.clone()) {
            next.extend::<Vec<String>>(names(&features[&name]));
        }
    }
    let all = features.as_object().unwrap().keys().filter(|name| *name != "default");
    let left: Vec<&String> = all.filter(|name| !built.contains(*name)).collect();
    assert_eq!(left, ["audit"]);
}
