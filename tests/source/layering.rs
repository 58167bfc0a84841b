//! Imports inside the crate go one way.
//!
//! The order is [`LAYERS`], and this is the only place where it is written down.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::root;

/// The modules of the crate, from the top down.
///
/// A module may use itself and the modules of every line below its own. Modules on one line may not use one another.
/// A new module goes below everything that uses it and above everything it uses. `lib.rs` stands above the list.
pub(crate) const LAYERS: &[&[&str]] = &[
    &["testing"],
    &["health"],
    &["cache", "endpoint", "reconcile", "webhook"],
    &["envelope"],
    &["guard", "redeem"],
    &["validator"],
    &["lookup"],
    &["account"],
    &["flight", "ledger"],
    &["call", "store"],
    &["telemetry"],
    &["provider"],
    &["http"],
    &["settings"],
    &["payment"],
    &["intent"],
    &["moment"],
    &["error_info", "redaction"],
    &["accessors", "lock", "spread"],
];

#[test]
fn imports_go_one_way() {
    let files = sources().unwrap();
    let modules = files.iter().filter(|file| !file.is_root());
    let breaches: Vec<String> = modules.flat_map(|file| breaches(&file.path, &file.text)).collect();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn the_single_flight_knows_nothing_of_payments() {
    let files = sources().unwrap();
    let flight: Vec<&Source> = files.iter().filter(|file| file.path.starts_with("flight")).collect();
    assert!(!flight.is_empty(), "src/flight is gone");
    for file in flight {
        let used = without_tests(&tokens(&file.text));
        let used = imports(&used, file.modules().len());
        let foreign: Vec<_> = used.into_iter().filter(|room| !["call", "flight"].contains(room)).collect();
        assert!(foreign.is_empty(), "src/{} uses {foreign:?}", file.path.display());
    }
}

#[test]
fn the_order_names_each_module_once() {
    let mut names: Vec<&str> = LAYERS.concat();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "LAYERS names a module twice");
}

#[test]
fn an_import_from_above_is_found_however_it_is_written() {
    for source in [
        "use crate::validator::Validator;",
        "use crate::{redaction::parse, validator::{Validator, Validate}};",
        "pub(crate) use crate::validator;",
        "fn f() -> crate::validator::Validator { todo!() }",
        "use super::validator::Validator;",
        "mod inner { use super::super::validator::Validator; }",
        "#[cfg(test)] mod tests {} use crate::validator::Validator;",
        "#[cfg(any(test, feature = \"test-util\"))] use crate::validator::Validator;",
        "const S: &str = \"// \\\" /*\"; const C: char = '\"'; use crate::validator::Validator;",
        "const S: &str = r#\"a \" // b\"#; fn f<'a>(a: &'a str) { crate::validator::f(a) }",
    ] {
        assert_eq!(breaches(Path::new("moment.rs"), source).len(), 1, "{source}");
    }
    assert_eq!(breaches(Path::new("call/budget.rs"), "use super::super::validator::Validator;").len(), 1);
}

#[test]
fn an_import_from_the_same_line_is_found() {
    assert_eq!(breaches(Path::new("call.rs"), "use crate::store::Store;").len(), 1);
    assert_eq!(breaches(Path::new("endpoint/run.rs"), "use crate::webhook::Webhook;").len(), 1);
}

#[test]
fn imports_from_below_from_oneself_and_in_tests_are_allowed() {
    for (path, source) in [
        ("validator.rs", "use crate::{lookup::validation::Validation, call::{Retry, budget::Budget}};"),
        ("call/mod.rs", "use crate::call::budget::Budget; use self::budget::Budget;"),
        ("call/budget.rs", "use super::decision::Decision; use crate::call::Retry;"),
        ("moment.rs", "mod inner { use super::Moment; }"),
        (
            "moment.rs",
            "//! [`crate::validator`] /* crate::validator /* */ crate::payment::judge */\n/// [`crate::payment::judge`]",
        ),
        ("moment.rs", "const S: &str = \"crate::validator::x\"; pub(crate) struct Moment;"),
        ("moment.rs", "#[cfg(test)]\nmod tests { use super::*; use crate::validator::Validator; }"),
        ("moment.rs", "#[cfg(all(test, feature = \"stripe\"))] use crate::validator::Validator;"),
        ("moment/tests.rs", "use crate::validator::Validator;"),
        ("moment/tests/far.rs", "use crate::validator::Validator;"),
    ] {
        assert_eq!(breaches(Path::new(path), source), [""; 0], "{path}: {source}");
    }
}

#[test]
fn an_unknown_module_is_told_where_to_go() {
    let from_it = breaches(Path::new("novel.rs"), "use crate::moment::Moment;");
    let to_it = breaches(Path::new("moment.rs"), "use crate::novel::Novel;");
    for said in [from_it, to_it] {
        assert_eq!(said.len(), 1);
        assert!(
            said.concat().contains("`novel` has no layer: add it to LAYERS in tests/source/layering.rs"),
            "{said:?}"
        );
    }
}

#[test]
fn a_detour_through_lib_rs_is_found() {
    let said = breaches(Path::new("moment.rs"), "use crate::Validator;").concat();
    assert!(said.contains("goes through lib.rs"), "{said}");
}

pub(crate) struct Source {
    /// Relative to `src/`, or to the folder that was asked for.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Crate roots see everything: that is what they are for.
    fn is_root(&self) -> bool {
        matches!(self.modules().first().map(String::as_str), None | Some("main" | "bin"))
    }

    pub(crate) fn modules(&self) -> Vec<String> {
        module_path(&self.path)
    }
}

/// Every Rust file below `src/`.
pub(crate) fn sources() -> io::Result<Vec<Source>> {
    files_below("src")
}

/// Every Rust file below one of the crate's folders.
pub(crate) fn files_below(folder: &str) -> io::Result<Vec<Source>> {
    let root = root().join(folder);
    let mut files = Vec::new();
    read_folder(&root, &root, &mut files)?;
    Ok(files)
}

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_folder(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            let path = path.strip_prefix(root).map_err(io::Error::other)?.to_owned();
            files.push(Source { path, text });
        }
    }
    Ok(())
}

/// `retry/budget.rs` is `[retry, budget]`, `retry/mod.rs` is `[retry]`, `lib.rs` is empty.
fn module_path(path: &Path) -> Vec<String> {
    let names = path.with_extension("");
    let names = names.iter().map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| !matches!(name.as_str(), "mod" | "lib")).collect()
}

/// What one file, given relative to `src/`, imports and must not.
fn breaches(path: &Path, source: &str) -> Vec<String> {
    let modules = module_path(path);
    let Some(own) = modules.first() else { return Vec::new() };
    if modules.iter().any(|name| name == "tests") {
        return Vec::new();
    }
    let Some(own_layer) = layer(own) else { return vec![unknown(path, own)] };
    let kept = without_tests(&tokens(source));
    let complaint = |target: &str| match layer(target) {
        _ if target == own => None,
        None if target.starts_with(char::is_uppercase) => Some(format!(
            "src/{}: `crate::{target}` goes through lib.rs; import it from the module that defines it",
            path.display()
        )),
        None => Some(unknown(path, target)),
        Some(target_layer) if target_layer > own_layer => None,
        Some(_) => Some(format!(
            "src/{}: `{own}` must not use `{target}`, which is not below it in LAYERS in tests/source/layering.rs",
            path.display()
        )),
    };
    imports(&kept, modules.len()).into_iter().filter_map(complaint).collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|line| line.contains(&module))
}

fn unknown(path: &Path, module: &str) -> String {
    format!(
        "src/{}: `{module}` has no layer: add it to LAYERS in tests/source/layering.rs, \
         below everything that uses it and above everything it uses",
        path.display()
    )
}

/// The top-level modules that these tokens name, by `crate::` or by enough `super::` in a file so many modules deep.
fn imports<'a>(tokens: &[&'a str], depth: usize) -> Vec<&'a str> {
    let mut found = Vec::new();
    // One entry per open brace: does it open an inline module?
    let mut braces = Vec::new();
    let mut rest = tokens;
    loop {
        rest = match rest {
            [] => return found,
            ["crate", "::", path @ ..] => {
                found.extend(heads(path));
                path
            }
            ["super", "::", ..] => {
                let mut path = rest;
                let mut left = braces.iter().filter(|inline| **inline).count().saturating_add(depth);
                while let ["super", "::", further @ ..] = path {
                    path = further;
                    left = left.saturating_sub(1);
                }
                if left == 0 {
                    found.extend(heads(path));
                }
                path
            }
            ["mod", _, "{", body @ ..] => {
                braces.push(true);
                body
            }
            ["{", body @ ..] => {
                braces.push(false);
                body
            }
            ["}", after @ ..] => {
                braces.pop();
                after
            }
            [_, after @ ..] => after,
        };
    }
}

/// The first names of a path or of a group of paths: `a` of `a::b`, `a` and `c` of `{a::{b}, c}`.
fn heads<'a>(path: &[&'a str]) -> Vec<&'a str> {
    let Some(mut rest) = path.strip_prefix(&["{"]) else { return path.first().copied().into_iter().collect() };
    let mut heads = Vec::new();
    let mut at_head = true;
    loop {
        rest = match rest {
            [] | ["}", ..] => return heads,
            ["{", group @ ..] => after_group(group),
            [",", after @ ..] => {
                at_head = true;
                after
            }
            [name, after @ ..] => {
                if at_head {
                    heads.push(*name);
                }
                at_head = false;
                after
            }
        };
    }
}

/// The tokens less every item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
pub(crate) fn without_tests<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut rest = tokens;
    loop {
        rest = match rest {
            [] => return kept,
            ["#", "[", "cfg", "(", "test", ")", "]", item @ ..] => after_item(item),
            ["#", "[", "cfg", "(", "all", "(", "test", ",", condition @ ..] => {
                // Out of `all(`, of `cfg(` and of `[`.
                after_item(after_group(after_group(after_group(condition))))
            }
            [token, after @ ..] => {
                kept.push(*token);
                after
            }
        };
    }
}

/// What follows an item: its block, or its `;`, or the end of what it stands in.
fn after_item<'t, 'a>(mut rest: &'t [&'a str]) -> &'t [&'a str] {
    loop {
        rest = match rest {
            [] | ["}" | ")" | "]", ..] => return rest,
            [";", after @ ..] => return after,
            ["{", block @ ..] => return after_group(block),
            ["(" | "[", group @ ..] => after_group(group),
            [_, after @ ..] => after,
        };
    }
}

/// What follows the bracket that closes a group whose opening one has been read.
fn after_group<'t, 'a>(mut rest: &'t [&'a str]) -> &'t [&'a str] {
    loop {
        rest = match rest {
            [] => return rest,
            ["}" | ")" | "]", after @ ..] => return after,
            ["{" | "(" | "[", group @ ..] => after_group(group),
            [_, after @ ..] => after,
        };
    }
}

/// Words, `::` and single marks; no comments, no strings, no characters.
pub(crate) fn tokens(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.split_once('\n').unwrap_or_default().1;
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = after_comment(comment);
        } else if let Some(after) = after_string(rest).or_else(|| after_character(rest)) {
            rest = after;
        } else {
            let end = match first {
                ':' if rest.starts_with("::") => 2,
                _ if is_word(first) => rest.find(|next| !is_word(next)).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            let (token, after) = rest.split_at(end);
            if !first.is_whitespace() {
                found.push(token);
            }
            rest = after;
        }
    }
    found
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// What follows a block comment, which may hold others.
fn after_comment(mut rest: &str) -> &str {
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("*/") {
            return after;
        }
        rest = rest.strip_prefix("/*").map_or_else(|| after_first(rest), after_comment);
    }
    rest
}

/// What follows the string, raw or not, that this begins with.
fn after_string(rest: &str) -> Option<&str> {
    let opened = rest.trim_start_matches(['b', 'c']);
    if let Some(raw) = opened.strip_prefix('r') {
        let body = raw.trim_start_matches('#').strip_prefix('"')?;
        let hashes: String = raw.chars().take_while(|mark| *mark == '#').collect();
        return Some(body.split_once(&format!("\"{hashes}")).unwrap_or_default().1);
    }
    let mut body = opened.strip_prefix('"')?.chars();
    while let Some(character) = body.next() {
        match character {
            '"' => break,
            '\\' => drop(body.next()),
            _ => {}
        }
    }
    Some(body.as_str())
}

/// What follows the character that this begins with; a lifetime is none.
fn after_character(rest: &str) -> Option<&str> {
    let body = rest.strip_prefix('\'')?;
    match body.strip_prefix('\\') {
        Some(escaped) => Some(after_first(escaped).split_once('\'').unwrap_or_default().1),
        None => after_first(body).strip_prefix('\''),
    }
}

fn after_first(text: &str) -> &str {
    let mut characters = text.chars();
    characters.next();
    characters.as_str()
}
