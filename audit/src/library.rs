//! The audited tree as the rules see it: a file is read when it is asked for, once.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::model::{Comment, FileFacts, Names, Sources};
use crate::openapi::{self, Described, NotDescribed};
use crate::walk::{Candidate, FileTree, NotRead, SCRIPTS, candidate, ending, may_be_candidate, unknown_framework};
use crate::{rust, script};

/// Readers recurse as deep as sources may be nested.
const STACK: usize = 64 << 20;

/// Past this, the disk decides.
const MOST_READERS: usize = 8;

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
    /// Schemas and settings of packages, which every route asks for anew.
    texts: Mutex<HashMap<String, Option<Arc<str>>>>,
    skipped: Mutex<BTreeMap<String, Skip>>,
    read: Mutex<HashSet<String>>,
}

/// What a candidate turned out to hold.
enum Held {
    Script(FileFacts),
    Rust(rust::ReadFile),
    Described(Described),
}

impl<'t> Library<'t> {
    pub(crate) fn new(tree: &'t FileTree) -> Self {
        Self {
            tree,
            facts: Mutex::default(),
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
            let known: BTreeSet<&str> = held.iter().map(|(name, _)| name.as_str()).collect();
            let rest: Vec<&str> =
                files.into_iter().filter(|name| ending(name) == "rs" && !known.contains(name)).collect();
            let read = |name: &str, text: &str| if text.contains("impl ") { self.rust(name, text) } else { None };
            held.extend(self.read_all(&rest, &read, progress)?);
        }
        held.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(self.shelve(held))
    }

    fn read_all(
        &self,
        files: &[&str],
        read: &(dyn Fn(&str, &str) -> Option<Held> + Sync),
        progress: &(dyn Fn(Progress) + Sync),
    ) -> std::io::Result<Vec<(String, Held)>> {
        let (next, held) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || {
            while let Some(name) = files.get(next.fetch_add(1, Relaxed)) {
                if let Some(found) = self.text_of(name).and_then(|text| read(name, &text)) {
                    lock(&held).push(((*name).to_owned(), found));
                }
                let done = self.count();
                if done.is_multiple_of(STEP) {
                    progress(Progress { done, of: Some(files.len().max(done)) });
                }
            }
        };
        let readers = thread::available_parallelism().map_or(1, usize::from).min(MOST_READERS).min(files.len());
        thread::scope(|scope| {
            let spawn = |_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).map(drop);
            (0..readers).try_for_each(spawn)
        })?;
        Ok(held.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn shelve(&self, held: Vec<(String, Held)>) -> Shelf {
        let (mut found, mut rust_files) = (Shelf::default(), Vec::new());
        for (name, held) in held {
            match held {
                Held::Script(facts) => {
                    self.keep(&name, Some(facts));
                    found.candidates.push(name);
                }
                Held::Rust(file) => rust_files.push(file),
                Held::Described(described) => {
                    found.described.insert(name, described);
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
        let facts = lock(&self.facts);
        let held = facts.values().flatten().filter(|facts| !facts.comments.is_empty());
        held.map(|facts| (facts.path.clone(), facts.comments.clone())).collect()
    }

    /// What a file that may declare routes holds.
    fn held(&self, name: &str, text: &str, names: &Names) -> Option<Held> {
        match candidate(name, text) {
            Some(Candidate::Script) => self.guarded(name, || script::read(name, text)).map(Held::Script),
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
        self.guarded(name, || rust::read(name, text, &|file| self.tree.holds(file))).map(Held::Rust)
    }

    /// Keeps the facts of a file, and says what of it was not read.
    fn keep(&self, name: &str, facts: Option<FileFacts>) -> Option<Arc<FileFacts>> {
        if let Some((line, column)) = facts.as_ref().and_then(|facts| facts.not_read) {
            self.skip(name, Skip::Partly(line, column));
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
    fn exists(&self, path: &str) -> bool {
        self.tree.holds(path)
    }

    fn facts(&self, path: &str) -> Option<Arc<FileFacts>> {
        if let Some(known) = lock(&self.facts).get(path) {
            return known.clone();
        }
        let ending = ending(path);
        let is_script = SCRIPTS.contains(&ending) && !path.ends_with(".d.ts");
        if !self.tree.holds(path) || !(is_script || ending == "rs") {
            return None;
        }
        let text = self.text_of(path);
        let facts = text.and_then(|text| {
            self.guarded(path, || {
                if is_script {
                    script::read(path, &text)
                } else {
                    rust::read(path, &text, &|file| self.tree.holds(file)).into_facts()
                }
            })
        });
        self.keep(path, facts)
    }

    fn text(&self, path: &str) -> Option<Arc<str>> {
        if !self.tree.holds(path) {
            return None;
        }
        if let Some(known) = lock(&self.texts).get(path) {
            return known.clone();
        }
        let text: Option<Arc<str>> = self.text_of(path).map(Arc::from);
        lock(&self.texts).insert(path.to_owned(), text.clone());
        text
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
