//! Which file an import means: relative paths, `paths` of a `tsconfig.json`, and packages of the same tree.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value as Json;

use crate::model::Sources;

const ENDINGS: &[&str] = &[".ts", ".tsx", ".js", ".jsx", ".mts", ".cts", ".mjs", ".cjs"];
/// Where packages of one tree lie.
const PACKAGES: &[&str] = &["packages", "libs", "apps", "modules", "services", "shared", ""];
/// Files that extend each other are followed this far.
const DEEPEST_CONFIG: u32 = 5;

/// What an import means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// A file of the tree.
    File(String),
    /// Something outside of it.
    Package,
}

/// Folders of the tree that hold a `package.json`, by their last names.
#[derive(Debug, Default)]
pub(crate) struct Packages(HashMap<String, HashSet<String>>);

impl Packages {
    pub(crate) fn of(sources: &dyn Sources) -> Self {
        let mut found = Self::default();
        sources.each_name(&mut |path| {
            if let Some(root) = path.strip_suffix("/package.json") {
                let last = root.rsplit('/').next().unwrap_or_default();
                found.0.entry(last.to_owned()).or_default().insert(root.to_owned());
            }
        });
        found
    }
}

/// Finds files, and remembers what it found.
pub(crate) struct Resolver<'s> {
    sources: &'s dyn Sources,
    packages: &'s Packages,
    configs: HashMap<String, Option<Rc<Config>>>,
    /// By the folder that something is imported in, and by what is written there.
    known: HashMap<String, HashMap<String, Resolved>>,
}

/// What a `tsconfig.json` says of imports.
#[derive(Debug, Clone, Default)]
struct Config {
    base: Option<String>,
    /// What stands before and after the star, and the places of the tree it means.
    paths: Vec<(String, String, Vec<String>)>,
}

impl<'s> Resolver<'s> {
    pub(crate) fn new(sources: &'s dyn Sources, packages: &'s Packages) -> Self {
        Self { sources, packages, configs: HashMap::new(), known: HashMap::new() }
    }

    pub(crate) fn resolve(&mut self, file: &str, from: &str) -> Resolved {
        let folder = folder_of(file);
        if let Some(known) = self.known.get(folder).and_then(|known| known.get(from)) {
            return known.clone();
        }
        let found = self.find(folder, from).map_or(Resolved::Package, Resolved::File);
        self.known.entry(folder.to_owned()).or_default().insert(from.to_owned(), found.clone());
        found
    }

    fn find(&mut self, folder: &str, from: &str) -> Option<String> {
        let sources = self.sources;
        if let Some(exact) = from.strip_prefix('/') {
            return file_at(sources, &joined("", exact)?);
        }
        if from.starts_with('.') {
            return file_at(sources, &joined(folder, from)?);
        }
        for above in ancestors(folder) {
            let Some(config) = self.config(above) else { continue };
            if let Some(found) = by_config(sources, &config, from) {
                return Some(found);
            }
        }
        by_habit(sources, folder, from).or_else(|| by_package(sources, self.packages, folder, from))
    }

    fn config(&mut self, folder: &str) -> Option<Rc<Config>> {
        if let Some(known) = self.configs.get(folder) {
            return known.clone();
        }
        let sources = self.sources;
        let config = ["tsconfig.json", "jsconfig.json", "tsconfig.base.json"]
            .iter()
            .find_map(|name| read_config(sources, &joined(folder, name)?, DEEPEST_CONFIG))
            .map(Rc::new);
        self.configs.insert(folder.to_owned(), config.clone());
        config
    }
}

fn read_config(sources: &dyn Sources, path: &str, levels: u32) -> Option<Config> {
    let levels = levels.checked_sub(1)?;
    let json: Json = serde_json::from_str(&plain_json(&sources.text(path)?)).ok()?;
    let folder = folder_of(path);
    let mut config = match json.get("extends").and_then(Json::as_str).filter(|from| from.starts_with('.')) {
        Some(from) => joined(folder, from)
            .and_then(|path| {
                read_config(sources, &path, levels).or_else(|| read_config(sources, &format!("{path}.json"), levels))
            })
            .unwrap_or_default(),
        None => Config::default(),
    };
    let options = json.get("compilerOptions");
    if let Some(base) = options.and_then(|options| options.get("baseUrl")).and_then(Json::as_str) {
        config.base = joined(folder, base);
    }
    if let Some(paths) = options.and_then(|options| options.get("paths")).and_then(Json::as_object) {
        let base = config.base.clone().unwrap_or_else(|| folder.to_owned());
        for (pattern, places) in paths {
            let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
            let places = places.as_array().map(Vec::as_slice).unwrap_or_default();
            let places = places.iter().filter_map(Json::as_str).filter_map(|place| joined(&base, place)).collect();
            config.paths.push((before.to_owned(), after.to_owned(), places));
        }
        // The longest prefix is the most exact.
        config.paths.sort_by_key(|(before, ..)| std::cmp::Reverse(before.len()));
    }
    Some(config)
}

fn by_config(sources: &dyn Sources, config: &Config, from: &str) -> Option<String> {
    for (before, after, places) in &config.paths {
        let Some(middle) = from.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str())) else {
            continue;
        };
        let has_star = places.iter().any(|place| place.contains('*'));
        if !has_star && !middle.is_empty() {
            continue;
        }
        let found = places.iter().find_map(|place| file_at(sources, &joined("", &place.replace('*', middle))?));
        if found.is_some() {
            return found;
        }
    }
    let base = config.base.as_ref()?;
    file_at(sources, &joined(base, from)?)
}

/// `@/lib/db` without a configuration in sight.
fn by_habit(sources: &dyn Sources, folder: &str, from: &str) -> Option<String> {
    let habits = ["@/", "~/", "@@/", "~~/", "#app/", "src/", "$"];
    let inner = habits.iter().find_map(|habit| from.strip_prefix(habit))?;
    ancestors(folder)
        .flat_map(|above| ["src", "app", ""].map(|place| joined(above, place)))
        .flatten()
        .find_map(|root| file_at(sources, &joined(&root, inner)?))
}

/// A package that lies in the same tree: its name is in its `package.json`.
fn by_package(sources: &dyn Sources, packages: &Packages, folder: &str, from: &str) -> Option<String> {
    let mut parts = from.splitn(3, '/');
    let first = parts.next()?;
    let (package, short, inner) = if first.starts_with('@') {
        let second = parts.next()?;
        (format!("{first}/{second}"), second, parts.next())
    } else {
        (first.to_owned(), first, from.split_once('/').map(|(_, inner)| inner))
    };
    let roots = packages.0.get(short)?;
    for above in ancestors(folder) {
        for place in PACKAGES {
            let root = joined(above, place).and_then(|place| joined(&place, short))?;
            if !roots.contains(&root) {
                continue;
            }
            let Some(text) = sources.text(&format!("{root}/package.json")) else { continue };
            let Ok(json) = serde_json::from_str::<Json>(&text) else { continue };
            if json.get("name").and_then(Json::as_str) == Some(package.as_str()) {
                return package_file(sources, &root, &json, inner);
            }
        }
    }
    None
}

fn package_file(sources: &dyn Sources, root: &str, json: &Json, inner: Option<&str>) -> Option<String> {
    if let Some(inner) = inner {
        let exported = json.get("exports").and_then(|exports| exports.get(format!("./{inner}"))).and_then(entry);
        return exported
            .and_then(|place| file_at(sources, &joined(root, place)?))
            .or_else(|| file_at(sources, &joined(root, inner)?))
            .or_else(|| file_at(sources, &joined(&format!("{root}/src"), inner)?));
    }
    // Sources first: what `main` names is often built.
    ["src/index", "index", "src/main", "src"]
        .iter()
        .find_map(|place| file_at(sources, &joined(root, place)?))
        .or_else(|| file_at(sources, &joined(root, json.get("main").and_then(Json::as_str)?)?))
        .or_else(|| {
            let place = json.get("exports").and_then(|exports| exports.get(".").or(Some(exports))).and_then(entry)?;
            file_at(sources, &joined(root, place)?)
        })
}

fn entry(exported: &Json) -> Option<&str> {
    match exported {
        Json::String(place) => Some(place),
        Json::Object(kinds) => {
            ["import", "default", "require", "types"].iter().find_map(|kind| entry(kinds.get(*kind)?))
        }
        _ => None,
    }
}

/// The file that a path without an ending, or with another one, means.
fn file_at(sources: &dyn Sources, path: &str) -> Option<String> {
    if ENDINGS.iter().chain([&".rs"]).any(|ending| path.ends_with(ending)) {
        if sources.exists(path) {
            return Some(path.to_owned());
        }
        // `./db.js` means `db.ts` where sources are TypeScript.
        let stem = path.rsplit_once('.').map(|(stem, _)| stem).unwrap_or_default();
        let source = [".ts", ".tsx", ".mts"].iter().map(|ending| format!("{stem}{ending}"));
        if let Some(found) = source.into_iter().find(|path| sources.exists(path)) {
            return Some(found);
        }
    }
    let plain = ENDINGS.iter().map(|ending| format!("{path}{ending}"));
    let index = ENDINGS
        .iter()
        .map(|ending| if path.is_empty() { format!("index{ending}") } else { format!("{path}/index{ending}") });
    plain.chain(index).find(|path| sources.exists(path))
}

/// The folder of a file; empty at the root.
pub(crate) fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map(|(folder, _)| folder).unwrap_or_default()
}

/// The folder and all above it, up to the root.
fn ancestors(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| (!folder.is_empty()).then(|| folder_of(folder)))
}

/// A path without `.` and `..`; `None` if it leaves the tree.
pub(crate) fn joined(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// JSON without comments and without commas before an end.
fn plain_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut signs = text.chars().peekable();
    let mut in_text = false;
    while let Some(sign) = signs.next() {
        match (in_text, sign, signs.peek()) {
            (true, '\\', Some(_)) => {
                plain.push(sign);
                plain.extend(signs.next());
            }
            (_, '"', _) => {
                in_text = !in_text;
                plain.push(sign);
            }
            (false, '/', Some('/')) => {
                while signs.peek().is_some_and(|sign| *sign != '\n') {
                    signs.next();
                }
            }
            (false, '/', Some('*')) => {
                let mut last = ' ';
                signs.next();
                for sign in signs.by_ref() {
                    if last == '*' && sign == '/' {
                        break;
                    }
                    last = sign;
                }
            }
            (false, '}' | ']', _) => {
                let end = plain.trim_end();
                if end.ends_with(',') {
                    plain.truncate(end.len().saturating_sub(1));
                }
                plain.push(sign);
            }
            _ => plain.push(sign),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_last_commas_are_no_hindrance() {
        let plain = plain_json("{ // one\n \"a/*\": [\"./src/*\",], /* two */ \"b\": \"//\", }");
        let json: Json = serde_json::from_str(&plain).unwrap();
        assert_eq!(json["a/*"][0], "./src/*");
        assert_eq!(json["b"], "//");
    }

    #[test]
    fn a_path_that_leaves_the_tree_is_none() {
        assert_eq!(joined("app/api", "../../lib/./db"), Some("lib/db".to_owned()));
        assert_eq!(joined("app", "../../etc"), None);
    }
}
