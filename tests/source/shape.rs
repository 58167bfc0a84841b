//! The sources keep the shape that makes them easy to find and to read.

use std::path::Path;

use crate::layering::{files_below, sources, tokens};

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "util", "utils"];

/// A file is meant to stay below 400 lines; the slack lets a fix go in before the split.
const MOST_LINES: usize = 450;

/// The sources of the crate, and of the audit, which is a crate of its own.
const WRITTEN_ALIKE: [&str; 2] = ["src", "audit/src"];

#[test]
fn lib_rs_holds_no_function() {
    let files = sources().unwrap();
    let lib = files.iter().find(|file| file.path == Path::new("lib.rs")).unwrap();
    assert!(!tokens(&lib.text).contains(&"fn"), "src/lib.rs is docs and re-exports; move the function to its subject");
}

#[test]
fn every_file_is_named_after_its_subject() {
    for folder in WRITTEN_ALIKE {
        for file in files_below(folder).unwrap() {
            let named = file.modules().iter().all(|name| !EMPTY_NAMES.contains(&name.as_str()));
            assert!(named, "{folder}/{} is named after nothing; name it after what it holds", file.path.display());
        }
    }
}

#[test]
fn each_file_of_the_audit_says_what_it_is_for() {
    for file in files_below("audit/src").unwrap() {
        assert!(file.text.starts_with("//! "), "audit/src/{} does not say what it is for", file.path.display());
    }
}

#[test]
fn no_file_is_unsafe() {
    for folder in WRITTEN_ALIKE {
        for file in files_below(folder).unwrap() {
            assert!(!tokens(&file.text).contains(&"unsafe"), "{folder}/{} holds `unsafe`", file.path.display());
        }
    }
}

#[test]
fn every_file_is_short_enough_to_read() {
    for (folder, at_least) in [("src", 50), ("tests", 50), ("audit/src", 40), ("audit/tests", 5)] {
        let files = files_below(folder).unwrap();
        assert!(files.len() > at_least, "{folder} holds {} files", files.len());
        for file in files {
            let lines = file.text.lines().count();
            assert!(lines <= MOST_LINES, "{folder}/{} has {lines} lines: split it by its jobs", file.path.display());
        }
    }
}
