//! The audited tree as the rules see it: a file is read when it is asked for, once.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use crate::model::{Comment, FileFacts, Names, Sources};
use crate::openapi::{self, Described, NotDescribed};
use crate::threads::{self, lock};
use crate::walk::{Candidate, FileTree, NotRead, SCRIPTS, candidate, ending, may_be_candidate, unknown_framework};
use crate::{rust, script};

/// Readers recurse as deep as sources may be nested.
const STACK: usize = 64 << 20;

/// The progress is told after so many files.
const STEP: usize = 64;

/// Why a file, or a part of it, was not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Skip {
    /// The whole of it.
    NotRead(NotRead),
    /// What begins at this line and column.
    Partly(u32, u32),
    /// It declares routes in a way that is not known.
    Framework(&'static str),
    /// Its version of OpenAPI is not known.
    Version,
    /// A reader failed on it.
    Failed,
}

/// How far reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files that were listed or read.
    pub done: usize,
    /// Files that will be read; nothing while they are listed.
    pub of: Option<usize>,
}

/// What the candidates hold.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// Files that may declare routes, sorted.
    pub(crate) candidates: Vec<String>,
    pub(crate) described: BTreeMap<String, Described>,
}

/// The files of the tree, read as they are asked for.
#[derive(Debug)]
pub(crate) struct Library<'t> {
    tree: &'t FileTree,
    facts: Mutex<HashMap<String, Option<Arc<FileFacts>>>>,
    /// Comments that may allow findings, of the files that were read.
    comments: Mutex<BTreeMap<String, Vec<Comment>>>,
    /// Settings of packages, which every follower asks for anew, and schemas.
    texts: Mutex<HashMap<String, Option<Arc<str>>>>,
    skipped: Mutex<BTreeMap<String, Skip>>,
    read: Mutex<HashSet<String>>,
}

/// What a candidate turned out to hold.
enum Held {
    /// It is read when its routes are looked for.
    Script,
    Rust(Box<rust::ReadFile>),
    Described(Described),
}

impl<'t> Library<'t> {
    pub(crate) fn new(tree: &'t FileTree) -> Self {
        Self {
            tree,
            facts: Mutex::default(),
            comments: Mutex::default(),
            texts: Mutex::default(),
            skipped: Mutex::default(),
            read: Mutex::default(),
        }
    }

    /// Reads every file that may hold routes, on all processors.
    pub(crate) fn candidates(&self, names: &Names, progress: &(dyn Fn(Progress) + Sync)) -> std::io::Result<Shelf> {
        let files: Vec<&str> = self.tree.names().filter(|name| may_be_candidate(name)).collect();
        let mut held = self.read_all(&files, &|name, text| self.held(name, text, names), progress)?;
        if held.iter().any(|(_, held)| matches!(held, Held::Rust(_))) {
            // Methods of a type may stand in any file of its crate.
            let known: BTreeSet<&str> = held.iter().map(|(name, _)| *name).collect();
            let rest: Vec<&str> =
                files.iter().copied().filter(|name| ending(name) == "rs" && !known.contains(name)).collect();
            let read = |name: &str, text: &str| if text.contains("impl ") { self.rust(name, text) } else { None };
            held.extend(self.read_all(&rest, &read, progress)?);
        }
        held.sort_by_key(|(name, _)| *name);
        Ok(self.shelve(held))
    }

    fn read_all<'f>(
        &self,
        files: &[&'f str],
        read: &(dyn Fn(&str, &str) -> Option<Held> + Sync),
        progress: &(dyn Fn(Progress) + Sync),
    ) -> std::io::Result<Vec<(&'f str, Held)>> {
        let work = |name: &&'f str| {
            let held = self.text_of(name).and_then(|text| read(name, &text));
            let done = self.count();
            if done.is_multiple_of(STEP) {
                progress(Progress { done, of: Some(files.len().max(done)) });
            }
            held.map(|held| (*name, held))
        };
        Ok(threads::each(files, STACK, &work)?.into_iter().flatten().collect())
    }

    fn shelve(&self, held: Vec<(&str, Held)>) -> Shelf {
        let (mut found, mut rust_files) = (Shelf::default(), Vec::new());
        for (name, held) in held {
            match held {
                Held::Script => found.candidates.push(name.to_owned()),
                Held::Rust(file) => rust_files.push(*file),
                Held::Described(described) => {
                    found.described.insert(name.to_owned(), described);
                }
            }
        }
        for facts in rust::compose(rust_files) {
            if !facts.routes.is_empty() {
                found.candidates.push(facts.path.clone());
            }
            self.keep(&facts.path.clone(), Some(facts));
        }
        found.candidates.sort();
        found
    }

    /// How many files were read.
    pub(crate) fn count(&self) -> usize {
        lock(&self.read).len()
    }

    /// Files that were not read, or not to their end.
    pub(crate) fn skipped(&self) -> BTreeMap<String, Skip> {
        lock(&self.skipped).clone()
    }

    /// Comments that may allow findings, of the files that were read.
    pub(crate) fn comments(&self) -> BTreeMap<String, Vec<Comment>> {
        std::mem::take(&mut lock(&self.comments))
    }

    /// What a file that may declare routes holds.
    fn held(&self, name: &str, text: &str, names: &Names) -> Option<Held> {
        match candidate(name, text) {
            Some(Candidate::Script) => Some(Held::Script),
            Some(Candidate::Rust) => self.rust(name, text),
            Some(Candidate::OpenApi) => match self.guarded(name, || openapi::read(name, text, names))? {
                Ok(described) => Some(Held::Described(described)),
                Err(why) => {
                    match why {
                        NotDescribed::Other => {}
                        NotDescribed::Version => self.skip(name, Skip::Version),
                        NotDescribed::Broken(line, column) => self.skip(name, Skip::Partly(line, column)),
                    }
                    None
                }
            },
            None => {
                if let Some(framework) = unknown_framework(name, text) {
                    self.skip(name, Skip::Framework(framework));
                }
                None
            }
        }
    }

    fn rust(&self, name: &str, text: &str) -> Option<Held> {
        self.guarded(name, || rust::read(name, text, &|file| self.tree.holds(file)))
            .map(|file| Held::Rust(Box::new(file)))
    }

    /// Keeps the facts of a file, and says what of it was not read.
    fn keep(&self, name: &str, facts: Option<FileFacts>) -> Option<Arc<FileFacts>> {
        if let Some((line, column)) = facts.as_ref().and_then(|facts| facts.not_read) {
            self.skip(name, Skip::Partly(line, column));
        }
        if let Some(facts) = facts.as_ref().filter(|facts| !facts.comments.is_empty()) {
            lock(&self.comments).insert(name.to_owned(), facts.comments.clone());
        }
        let facts = facts.map(Arc::new);
        lock(&self.facts).insert(name.to_owned(), facts.clone());
        facts
    }

    fn text_of(&self, name: &str) -> Option<String> {
        let text = self.tree.read(name).map_err(|why| self.skip(name, Skip::NotRead(why))).ok()?;
        lock(&self.read).insert(name.to_owned());
        Some(text)
    }

    fn skip(&self, name: &str, why: Skip) {
        lock(&self.skipped).insert(name.to_owned(), why);
    }

    /// A reader that fails on one file does not end the audit.
    fn guarded<T>(&self, name: &str, read: impl FnOnce() -> T) -> Option<T> {
        let failed = |_: Box<dyn Any + Send>| self.skip(name, Skip::Failed);
        catch_unwind(AssertUnwindSafe(read)).map_err(failed).ok()
    }
}

impl Sources for Library<'_> {
    fn each_name(&self, tell: &mut dyn FnMut(&str)) {
        self.tree.names().for_each(tell);
    }

    fn exists(&self, path: &str) -> bool {
        self.tree.holds(path)
    }

    fn facts(&self, path: &str) -> Option<Arc<FileFacts>> {
        if let Some(known) = lock(&self.facts).get(path) {
            return known.clone();
        }
        if !self.tree.holds(path) || !is_source(path) || path.ends_with(".d.ts") {
            return None;
        }
        let text = self.text_of(path);
        let facts = text.and_then(|text| {
            self.guarded(path, || {
                if ending(path) == "rs" {
                    rust::read(path, &text, &|file| self.tree.holds(file)).into_facts()
                } else {
                    script::read(path, &text)
                }
            })
        });
        self.keep(path, facts)
    }

    fn let_go(&self, path: &str) {
        lock(&self.facts).remove(path);
    }

    fn text(&self, path: &str) -> Option<Arc<str>> {
        if !self.tree.holds(path) {
            return None;
        }
        if is_source(path) {
            return self.text_of(path).map(Arc::from);
        }
        if let Some(known) = lock(&self.texts).get(path) {
            return known.clone();
        }
        let text: Option<Arc<str>> = self.text_of(path).map(Arc::from);
        lock(&self.texts).insert(path.to_owned(), text.clone());
        text
    }
}

/// Whether a file is in a language that is read.
fn is_source(path: &str) -> bool {
    let ending = ending(path);
    ending == "rs" || SCRIPTS.contains(&ending)
}
