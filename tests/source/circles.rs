//! The files of one folder do not import one another in a circle: each can be read after those it stands on.
//!
//! `mod.rs` is the folder itself and stands outside: what it re-exports counts as an import of the file that defines it.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "an index that is off fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::layering::{Source, files_below, tokens, without_tests};

/// A module by its path from the crate's root; the command is a crate of its own.
type Module = Vec<String>;

/// Which child of a folder imports which others, for each folder.
type Arrows = BTreeMap<Module, BTreeMap<String, BTreeSet<String>>>;

#[test]
fn files_of_one_folder_import_each_other_one_way() {
    // Which room of `src` may use which is for LAYERS. The audit has no such list.
    for (folder, outermost) in [("src", 1), ("audit/src", 0)] {
        let found = circles(&arrows(&files_below(folder).unwrap(), outermost));
        assert_eq!(found, [], "in {folder}: move what both need below them");
    }
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let source = |path: &str, text: &str| Source { path: Path::new(path).to_owned(), text: text.to_owned() };
    for (one, other) in [
        ("use super::b::B;", "use super::a::A;"),
        ("use crate::room::b::B;", "use crate::room::{a::A, c};"),
        ("use super::{B, Other};", "fn f() -> super::a::A { todo!() }"),
        ("use crate::room::B;", "use super::super::room::a::A;"),
    ] {
        let files = [
            source("room/mod.rs", "mod a; mod b; mod c; pub(crate) use b::B; use self::{a::A};"),
            source("room/a.rs", one),
            source("room/b.rs", other),
            source("room/c.rs", "#[cfg(test)] mod tests { use super::super::a::A; }"),
        ];
        let found = circles(&arrows(&files, 1));
        assert_eq!(found, [("room".to_owned(), vec!["a".to_owned(), "b".to_owned()])], "{one} {other}");
        let one_way = [&files[0], &files[1], &files[3]].map(|file| source(file.path.to_str().unwrap(), &file.text));
        assert_eq!(circles(&arrows(&one_way, 1)), []);
    }
}

/// The children of each folder that reach one another.
fn circles(arrows: &Arrows) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (folder, children) in arrows {
        let reached = |from: &str| {
            let mut seen = BTreeSet::new();
            let mut next = vec![from];
            while let Some(child) = next.pop() {
                for target in children.get(child).into_iter().flatten() {
                    if seen.insert(target.as_str()) {
                        next.push(target);
                    }
                }
            }
            seen
        };
        let mut told = BTreeSet::new();
        for child in children.keys() {
            let circle: Vec<String> = reached(child)
                .into_iter()
                .filter(|other| reached(other).contains(child.as_str()))
                .map(str::to_owned)
                .collect();
            if !circle.is_empty() && told.insert(circle.clone()) {
                found.push((folder.join("/"), circle));
            }
        }
    }
    found
}

/// `outermost`: the depth of the first folder that is looked at.
fn arrows(files: &[Source], outermost: usize) -> Arrows {
    let modules: BTreeSet<Module> = files.iter().map(module).collect();
    let exports: BTreeMap<Module, BTreeMap<String, String>> = files
        .iter()
        .filter(|file| file.path.ends_with("mod.rs"))
        .map(|file| (module(file), re_exports(file, &modules)))
        .collect();
    let mut arrows = Arrows::new();
    for file in files.iter().filter(|file| !is_test(file)) {
        let own = module(file);
        for target in paths(&without_tests(&tokens(&file.text)), &own) {
            // The command has no list of layers, either.
            let first = if own.first().is_some_and(|name| name == "bin") { 2 } else { outermost };
            for depth in first..own.len() {
                let (folder, child) = (&own[..depth], &own[depth]);
                if !target.starts_with(folder) {
                    break;
                }
                let Some(name) = target.get(depth) else { break };
                let is_child = modules.contains(&target[..=depth]);
                let re_exported = exports.get(folder).and_then(|names| names.get(name));
                let to = if is_child { Some(name) } else { re_exported };
                let Some(to) = to else { break };
                if to != child {
                    let children = arrows.entry(folder.to_vec()).or_default();
                    children.entry(child.clone()).or_default().insert(to.clone());
                    break;
                }
            }
        }
    }
    arrows
}

fn is_test(file: &Source) -> bool {
    module(file).iter().any(|name| name == "tests")
}

/// `bin/payproof/main.rs` is `[bin, payproof]`, which `crate` means in there.
fn module(file: &Source) -> Module {
    let path = file.path.with_extension("");
    let names = path.iter().map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| !matches!(name.as_str(), "mod" | "lib" | "main")).collect()
}

/// The names that a folder's `mod.rs` takes out of its files, and which file that is.
fn re_exports(file: &Source, modules: &BTreeSet<Module>) -> BTreeMap<String, String> {
    let own = module(file);
    let tokens = tokens(&file.text);
    let mut names = BTreeMap::new();
    for at in (0..tokens.len()).filter(|at| tokens[*at] == "use") {
        let mut rest = &tokens[at + 1..];
        if let ["self", "::", after @ ..] = rest {
            rest = after;
        }
        let mut found = Vec::new();
        group(rest, &mut own.clone(), &mut found);
        for path in found {
            let [child, .., name] = &path[own.len()..] else { continue };
            if modules.contains(&path[..=own.len()]) {
                names.insert(name.clone(), child.clone());
            }
        }
    }
    names
}

/// The paths into this crate that these tokens of a module name, groups taken apart.
fn paths(tokens: &[&str], own: &[String]) -> Vec<Module> {
    let root = if own.first().is_some_and(|name| name == "bin") { 2 } else { 0 };
    let mut found = Vec::new();
    let mut rest = tokens;
    while let [token, after @ ..] = rest {
        let starts = match *token {
            "crate" => Some(own[..root.min(own.len())].to_vec()),
            "super" => own.split_last().map(|(_, parent)| parent.to_vec()),
            _ => None,
        };
        rest = after;
        let (Some(mut start), ["::", path @ ..]) = (starts, after) else { continue };
        let mut path = path;
        while let ["super", "::", further @ ..] = path {
            start.pop();
            path = further;
        }
        rest = group(path, &mut start, &mut found);
    }
    found
}

/// Reads a path or a group of paths that begin with `start`; returns what follows.
fn group<'t, 'a>(mut rest: &'t [&'a str], start: &mut Module, found: &mut Vec<Module>) -> &'t [&'a str] {
    if let ["{", inner @ ..] = rest {
        rest = inner;
        loop {
            rest = match rest {
                [] => return rest,
                ["}", after @ ..] => return after,
                [",", after @ ..] => after,
                _ => {
                    let before = rest.len();
                    let after = group(rest, &mut start.clone(), found);
                    if after.len() == before { &after[1..] } else { after }
                }
            };
        }
    }
    match rest {
        [name, "::", after @ ..] => {
            start.push((*name).to_owned());
            group(after, start, found)
        }
        [name, after @ ..] if name.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            start.push((*name).to_owned());
            found.push(start.clone());
            after
        }
        _ => {
            found.push(start.clone());
            rest
        }
    }
}
