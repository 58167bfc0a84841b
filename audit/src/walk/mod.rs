//! The files of a tree: which there are, which may hold routes, and what is in them, within limits.
//!
//! No link is followed, and nothing outside the given paths is opened: what a file imports is looked up in the list that the
//! walk made, never in the file system.

mod base;
mod candidate;
mod ignored;
mod read;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use self::base::Base;
pub(crate) use self::candidate::ending;
pub use self::candidate::{Candidate, SCRIPTS, candidate, may_be_candidate, unknown_framework};
use self::ignored::Ignored;
pub use self::read::NotRead;
pub(crate) use self::read::text;

/// Folders that hold no source of the service: what was installed, and what was built.
const NEVER: &[&str] = &[
    "node_modules",
    ".git",
    ".hg",
    ".svn",
    ".next",
    ".nuxt",
    ".turbo",
    ".vercel",
    ".yarn",
    "bower_components",
    "coverage",
    "dist",
    "target",
    "vendor",
    "__snapshots__",
];

/// How much of a tree is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most files that are listed; by default 200,000.
    pub files: usize,
    /// The most bytes of one file; by default 1 MiB.
    pub file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 200_000, file_bytes: 1 << 20 }
    }
}

/// Why a walk could not begin.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// There is nothing to audit.
    #[error("no path was given; name the folder that holds the service")]
    NoPath,
    /// A path is not there, or may not be read.
    #[error("{path} cannot be read: {why}; name a folder or a file that can")]
    Unreadable {
        /// The path, as it was given.
        path: String,
        /// What the system says.
        why: String,
    },
}

/// The regular files below the given paths, by their names from the base, with `/` on every system.
#[derive(Debug)]
pub struct FileTree {
    base: PathBuf,
    files: BTreeMap<String, u64>,
    /// Folders that could not be listed, each with the reason.
    unlisted: BTreeMap<String, String>,
    cut: bool,
    limits: Limits,
}

impl FileTree {
    /// Lists the files below the paths. `step` is told how many there are so far.
    ///
    /// Names are told from the current folder if all paths lie in it, else from the folder that holds them all.
    ///
    /// # Errors
    /// If a path is not there or cannot be read.
    pub fn walk(paths: &[PathBuf], limits: Limits, step: &mut dyn FnMut(usize)) -> Result<Self, WalkError> {
        let base = Base::of(paths)?;
        let mut tree =
            Self { base: base.folder, files: BTreeMap::new(), unlisted: BTreeMap::new(), cut: false, limits };
        // The last is taken first, so that a folder's own rules are known before its folders are listed.
        let mut folders: Vec<(PathBuf, Ignored)> = Vec::new();
        for path in base.paths {
            if fs::metadata(&path).is_ok_and(|found| found.is_dir()) {
                fs::read_dir(&path).map_err(|error| WalkError::unreadable(&path, &error))?;
                folders.push((path, Ignored::default()));
            } else {
                tree.add(&path);
            }
        }
        while let Some((folder, above)) = folders.pop() {
            if tree.cut {
                break;
            }
            tree.list(&folder, &above, &mut folders);
            step(tree.files.len());
        }
        Ok(tree)
    }

    /// The folder from which names are told.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Whether the walk listed a file of this name.
    #[must_use]
    pub fn holds(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// How many files there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether there were more files than the limit, so that some were not looked at.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Folders that could not be listed, each with the reason.
    pub fn unlisted(&self) -> impl Iterator<Item = (&str, &str)> {
        self.unlisted.iter().map(|(name, why)| (name.as_str(), why.as_str()))
    }

    /// The text of a file.
    ///
    /// # Errors
    /// If the walk did not list it, if it is too large, is no text in UTF-8, or cannot be read.
    pub fn read(&self, name: &str) -> Result<String, NotRead> {
        let size = self.files.get(name).ok_or(NotRead::Absent)?;
        if *size > self.limits.file_bytes {
            return Err(NotRead::TooLarge(self.limits.file_bytes));
        }
        text(&self.base.join(name), self.limits.file_bytes)
    }

    fn list(&mut self, folder: &Path, above: &Ignored, folders: &mut Vec<(PathBuf, Ignored)>) {
        let ignored = above.with_rules_of(folder);
        let listed = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                self.unlisted.insert(base::name(&self.base, folder), error.kind().to_string());
                return;
            }
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            // Of the entry itself: a link is neither a folder nor a file, and a pipe is neither, too.
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                if !entry.file_name().to_str().is_some_and(|name| NEVER.contains(&name)) && !ignored.hides(&path, true)
                {
                    folders.push((path, ignored.clone()));
                }
            } else if kind.is_file() && !ignored.hides(&path, false) {
                self.add(&path);
            }
        }
    }

    fn add(&mut self, path: &Path) {
        // Without following a link.
        let Ok(found) = fs::symlink_metadata(path) else { return };
        if !found.is_file() {
            return;
        }
        if self.files.len() >= self.limits.files {
            self.cut = true;
            return;
        }
        self.files.insert(base::name(&self.base, path), found.len());
    }
}

impl WalkError {
    fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::Unreadable { path: path.display().to_string(), why: error.kind().to_string() }
    }
}
