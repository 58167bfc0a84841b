//! Every fixture, and that every rule has some.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use payproof_audit::model::{Rule, Severity};

use crate::tree::{Shop, line};

fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn of_rule(rule: Rule, kind: &str) -> Vec<PathBuf> {
    folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(rule.id()).join(kind))
        .into_iter()
        .filter(|folder| !folder.join("Cargo.toml").exists() && !holds_rust(folder))
        .collect()
}

fn holds_rust(folder: &Path) -> bool {
    folder.to_str().is_some_and(|name| name.ends_with("-rust") || name.ends_with("-axum"))
}

/// `low-helper` is to be found as low.
fn expected(rule: Rule, folder: &Path) -> Severity {
    let name = folder.file_name().unwrap().to_str().unwrap();
    match name.split('-').next().unwrap() {
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        _ => rule.severity(),
    }
}

/// The rules that the follower judges; those of allows and of documents are another's.
fn judged() -> Vec<Rule> {
    Rule::ALL.iter().copied().filter(|rule| rule.id() != "allow").collect()
}

#[test]
fn every_bad_shop_is_found_as_bad_as_it_is() {
    let mut wrong = Vec::new();
    for rule in judged() {
        for folder in of_rule(rule, "bad") {
            let found = Shop::read(&folder).judged().findings;
            let own: Vec<_> = found.iter().filter(|finding| finding.rule == rule).collect();
            let worst = own.iter().map(|finding| finding.severity).max();
            if worst != Some(expected(rule, &folder)) {
                wrong.push(format!("{}: {:?}", folder.display(), found.iter().map(line).collect::<Vec<_>>()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_good_shop_is_found() {
    let mut wrong = Vec::new();
    for rule in judged() {
        for folder in of_rule(rule, "good") {
            let found = Shop::read(&folder).judged().findings;
            if found.iter().any(|finding| finding.rule == rule) {
                wrong.push(format!("{}: {:?}", folder.display(), found.iter().map(line).collect::<Vec<_>>()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_bad_and_a_good_shop() {
    let missing: BTreeSet<&str> = judged()
        .into_iter()
        .filter(|rule| of_rule(*rule, "bad").is_empty() || of_rule(*rule, "good").is_empty())
        .map(Rule::id)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_good_shops_route_is_judged() {
    for rule in judged() {
        for folder in of_rule(rule, "good") {
            assert!(!Shop::read(&folder).judged().routes.is_empty(), "{}", folder.display());
        }
    }
}
