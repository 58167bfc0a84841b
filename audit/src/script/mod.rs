//! Reads TypeScript and JavaScript.

use crate::model::FileFacts;

/// Reads a file.
#[must_use]
pub fn read(path: &str, text: &str) -> FileFacts {
    let _ = text;
    FileFacts { path: path.to_owned(), ..FileFacts::default() }
}
