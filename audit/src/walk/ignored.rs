//! What the tree's own `.gitignore` files leave out. They are read as everything else is: regular files, up to a size.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::read;

/// Past this, a list of rules is no list of rules.
const MOST_BYTES: u64 = 64 << 10;

/// The rules of a folder and of those above it. The nearest rule that says something decides.
#[derive(Clone, Debug, Default)]
pub(super) struct Ignored(Option<Arc<Level>>);

#[derive(Debug)]
struct Level {
    rules: Gitignore,
    above: Ignored,
}

impl Ignored {
    /// These rules, and under them those that stand in the folder.
    pub(super) fn with_rules_of(&self, folder: &Path) -> Self {
        let file = folder.join(".gitignore");
        // A pipe of that name would wait for a writer, and a link may lead out of the tree.
        if !fs::symlink_metadata(&file).is_ok_and(|found| found.is_file() && found.len() <= MOST_BYTES) {
            return self.clone();
        }
        let Ok(text) = read::text(&file, MOST_BYTES) else { return self.clone() };
        let mut builder = GitignoreBuilder::new(folder);
        for line in text.lines() {
            // A line that is no rule hides nothing.
            let _ = builder.add_line(None, line);
        }
        match builder.build() {
            Ok(rules) if !rules.is_empty() => Self(Some(Arc::new(Level { rules, above: self.clone() }))),
            _ => self.clone(),
        }
    }

    /// Whether the rules leave a path out.
    pub(super) fn hides(&self, path: &Path, is_folder: bool) -> bool {
        let mut level = self.0.as_deref();
        while let Some(Level { rules, above }) = level {
            let found = rules.matched(path, is_folder);
            if !found.is_none() {
                return found.is_ignore();
            }
            level = above.0.as_deref();
        }
        false
    }
}
