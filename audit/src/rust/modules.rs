//! Which file a path of modules leads to.

use std::collections::BTreeMap;

/// Where a file stands in its crate.
#[derive(Debug, Clone)]
pub(super) struct Modules {
    /// The folder of the crate's sources, with a `/` at its end, or nothing.
    root: String,
    /// The modules from the root to the file.
    own: Vec<String>,
    /// Every module file that a path from here may name, by its path.
    known: BTreeMap<Vec<String>, String>,
    /// What `use` and `mod` bind: the name, and the path from the crate's root.
    pub(super) names: BTreeMap<String, Vec<String>>,
    /// What is known by its crate's name, too: `decode` is `jsonwebtoken::decode`, `Refund::create` is `stripe::Refund::create`.
    pub(super) crates: BTreeMap<String, Vec<String>>,
}

/// The file of a path, and what is left of the path inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InFile {
    pub(super) file: String,
    pub(super) rest: Vec<String>,
}

/// Names of files that are a crate's root.
const ROOTS: &[&str] = &["main", "lib"];

impl Modules {
    pub(super) fn of(path: &str, exists: &dyn Fn(&str) -> bool) -> Self {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = file.strip_suffix(".rs").unwrap_or(file);
        let root = crate_root(folder, stem, exists);
        let below = folder.strip_prefix(root.trim_end_matches('/')).unwrap_or_default().trim_matches('/');
        let mut own: Vec<String> = below.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if stem != "mod" && !(ROOTS.contains(&stem) && own.is_empty()) {
            own.push(stem.to_owned());
        }
        Self { root, own, known: BTreeMap::new(), names: BTreeMap::new(), crates: BTreeMap::new() }
    }

    /// The path from the crate's root that a written one means: `crate::a`, `super::b`, `self::c`, or a name that is bound here.
    pub(super) fn absolute(&self, written: &[String]) -> Option<Vec<String>> {
        let (first, rest) = written.split_first()?;
        let mut path = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.own.clone(),
            "super" => self.own.split_last()?.1.to_vec(),
            name => self.names.get(name)?.clone(),
        };
        for part in rest {
            if part == "super" {
                path.pop();
            } else {
                path.push(part.clone());
            }
        }
        Some(path)
    }

    /// The path of a module that is declared here.
    pub(super) fn declared(&self, name: &str) -> Vec<String> {
        let mut path = self.own.clone();
        path.push(name.to_owned());
        path
    }

    /// The file that a path leads to: the longest part of it that is a file.
    pub(super) fn file(&mut self, path: &[String], exists: &dyn Fn(&str) -> bool) -> Option<InFile> {
        for length in (0..=path.len()).rev() {
            let (modules, rest) = path.split_at_checked(length)?;
            let found = match self.known.get(modules) {
                Some(file) => Some(file.clone()),
                None => self.candidates(modules).into_iter().find(|file| exists(file)),
            };
            if let Some(file) = found {
                self.known.insert(modules.to_vec(), file.clone());
                return Some(InFile { file, rest: rest.to_vec() });
            }
        }
        None
    }

    fn candidates(&self, modules: &[String]) -> Vec<String> {
        let root = &self.root;
        if modules.is_empty() {
            return ROOTS.iter().map(|name| format!("{root}{name}.rs")).collect();
        }
        let joined = modules.join("/");
        vec![format!("{root}{joined}.rs"), format!("{root}{joined}/mod.rs")]
    }
}

/// The folder in which `main.rs` or `lib.rs` stands, from the file's own folder upwards.
fn crate_root(folder: &str, stem: &str, exists: &dyn Fn(&str) -> bool) -> String {
    let with = |folder: &str| if folder.is_empty() { String::new() } else { format!("{folder}/") };
    if ROOTS.contains(&stem) {
        return with(folder);
    }
    let mut at = folder;
    loop {
        let prefix = with(at);
        if ROOTS.iter().any(|name| exists(&format!("{prefix}{name}.rs"))) {
            return prefix;
        }
        match at.rsplit_once('/') {
            Some((above, _)) => at = above,
            None if !at.is_empty() => at = "",
            None => return with(folder),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn paths_lead_to_files() {
        let files = ["shop/src/main.rs", "shop/src/orders.rs", "shop/src/api/mod.rs", "shop/src/api/carts.rs"];
        let exists = |file: &str| files.contains(&file);
        let mut modules = Modules::of("shop/src/api/carts.rs", &exists);
        for (written, file, rest) in [
            ("crate::orders::create", "shop/src/orders.rs", "create"),
            ("super::merge", "shop/src/api/mod.rs", "merge"),
            ("super::super::orders::Order::new", "shop/src/orders.rs", "Order::new"),
            ("self::add", "shop/src/api/carts.rs", "add"),
            ("crate::run", "shop/src/main.rs", "run"),
        ] {
            let absolute = modules.absolute(&path(written)).unwrap();
            let found = modules.file(&absolute, &exists).unwrap();
            assert_eq!(found, InFile { file: file.to_owned(), rest: path(rest) }, "{written}");
        }
        assert_eq!(modules.absolute(&path("axum::Json")), None);
    }
}
