//! Recall and false findings on two generated shops of 200 routes, of which 40 are wrong.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::generate::{shop_axum, shop_ts};
use crate::tree::Tree;

/// The routes that have a high finding, and how many findings there are in all.
fn high(shop: fn(&Path) -> io::Result<()>) -> (BTreeSet<usize>, usize) {
    let tree = Tree::new(&[]);
    shop(tree.path()).unwrap();
    let json = tree.run(&[".", "--format", "json"]).json();
    assert_eq!(json["counts"]["judged"], 200);
    let findings = json["findings"].as_array().unwrap();
    let number = |route: &str| route.rsplit('/').next().unwrap().parse().unwrap();
    let high = findings.iter().filter(|finding| finding["severity"] == "high");
    (high.map(|finding| number(finding["route"].as_str().unwrap())).collect(), findings.len())
}

#[test]
fn every_wrong_route_is_found_and_no_other() {
    let wrong: BTreeSet<usize> = (0..200).step_by(5).collect();
    assert_eq!(high(shop_ts), (wrong.clone(), 40));
    assert_eq!(high(shop_axum), (wrong, 40));
}
