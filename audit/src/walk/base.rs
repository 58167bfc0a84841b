//! From where the names of files are told, so that a report reads the same on every machine.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::WalkError;

/// The paths to audit, and the folder from which names are told.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) folder: PathBuf,
    pub(super) paths: Vec<PathBuf>,
}

impl Base {
    /// The current folder if all paths lie in it, else the folder that holds them all.
    pub(super) fn of(paths: &[PathBuf]) -> Result<Self, WalkError> {
        let resolve = |path: &PathBuf| fs::canonicalize(path).map_err(|error| WalkError::unreadable(path, &error));
        let paths = paths.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
        let current = env::current_dir().and_then(fs::canonicalize).ok();
        let folder = match current.filter(|current| paths.iter().all(|path| path.starts_with(current))) {
            Some(current) => current,
            None => shared(&paths).ok_or(WalkError::NoPath)?,
        };
        if paths.is_empty() {
            return Err(WalkError::NoPath);
        }
        Ok(Self { folder, paths })
    }
}

/// The folder that holds all of them.
fn shared(paths: &[PathBuf]) -> Option<PathBuf> {
    let first = paths.first()?;
    let start = if first.is_dir() { first.as_path() } else { first.parent()? };
    start.ancestors().find(|folder| paths.iter().all(|path| path.starts_with(folder))).map(Path::to_owned)
}

/// The name of a path below the base, with `/` between its parts.
pub(super) fn name(base: &Path, path: &Path) -> String {
    let below = path.strip_prefix(base).unwrap_or(path);
    let parts = below.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}
