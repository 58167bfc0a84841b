//! The audit is a crate of its own: who does not ask for it pays nothing for it, and it needs nothing of payproof.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::layering::{EMPTY_NAMES, files_below, tokens};

/// Crates that only the audit pulls in.
const OF_THE_AUDIT: &[&str] =
    &["ignore", "payproof-audit", "saphyr-parser", "tree-sitter", "tree-sitter-rust", "tree-sitter-typescript"];

/// Every crate that a user's build with these arguments could pull in, on any platform.
fn crates(arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["tree", "--offline", "--edges", "normal", "--target", "all", "--prefix", "none", "--format", "{p}"]);
    let output = command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<String> = text
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
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["metadata", "--offline", "--no-deps", "--format-version", "1"]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
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

#[test]
fn the_audit_is_written_as_the_rest_is() {
    for file in files_below("audit/src").unwrap() {
        let path = file.path.display();
        assert!(file.text.starts_with("//! "), "audit/src/{path} does not say what it is for");
        let named = file.modules().iter().all(|name| !EMPTY_NAMES.contains(&name.as_str()));
        assert!(named, "audit/src/{path} is named after nothing; name it after what it holds");
        assert!(!tokens(&file.text).contains(&"unsafe"), "audit/src/{path} holds `unsafe`");
    }
}
