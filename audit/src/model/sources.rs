//! The tree as those see it who may not read files.

use std::sync::Arc;

use super::FileFacts;

/// The audited tree. Paths are relative to it, with `/`, and have no `.` or `..`.
pub trait Sources: Sync {
    /// Tells the paths of all files.
    fn each_name(&self, tell: &mut dyn FnMut(&str));
    /// Whether there is such a file.
    fn exists(&self, path: &str) -> bool;
    /// What the file holds, if it is one of a known language and can be read.
    fn facts(&self, path: &str) -> Option<Arc<FileFacts>>;
    /// What the file holds will hardly be asked for again.
    fn let_go(&self, _path: &str) {}
    /// The file's text: of `tsconfig.json`, `package.json` and the like, and of a source that something is found in.
    fn text(&self, path: &str) -> Option<Arc<str>>;
}
