//! Every fixture in Rust, as `tests/shops` has those in TypeScript: `tests/fixtures/RULE/{bad,good}/NAME-axum`.

use std::fs;
use std::path::{Path, PathBuf};

use payproof_audit::model::Rule;
use serde_json::Value;

use crate::tree::run_from;

/// The rules that routes are judged by; those of allows have tests of their own.
fn judged() -> impl Iterator<Item = Rule> {
    Rule::ALL.iter().copied().filter(|rule| rule.id() != "allow")
}

fn shops(rule: Rule, kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(rule.id()).join(kind);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut shops: Vec<PathBuf> = entries.filter(|path| path.to_str().unwrap().ends_with("-axum")).collect();
    shops.sort();
    shops
}

fn report(shop: &Path) -> Value {
    let json = run_from(shop, &[".", "--format", "json"]).json();
    assert_ne!(json["counts"]["judged"], 0, "{}", shop.display());
    json
}

/// The severities of what a rule finds in a shop.
fn found(rule: Rule, shop: &Path) -> Vec<String> {
    let json = report(shop);
    let own = json["findings"].as_array().unwrap().iter().filter(|finding| finding["rule"] == rule.id());
    own.map(|finding| finding["severity"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_rule_has_a_bad_and_a_good_axum_shop() {
    let missing: Vec<&str> = judged()
        .filter(|rule| ["bad", "good"].iter().any(|kind| shops(*rule, kind).is_empty()))
        .map(Rule::id)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_bad_axum_shop_is_found_as_bad_as_the_rule_is() {
    for rule in judged() {
        for shop in shops(rule, "bad") {
            assert!(found(rule, &shop).contains(&rule.severity().to_string()), "{}", shop.display());
        }
    }
}

#[test]
fn no_good_axum_shop_is_found() {
    for rule in judged() {
        for shop in shops(rule, "good") {
            assert!(found(rule, &shop).is_empty(), "{}", shop.display());
        }
    }
}
