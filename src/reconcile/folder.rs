//! The folder that a run works in: its own, and locked for as long as the run or its report is held.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::rngs::StdRng;

use super::error::ReconcileError;

/// What the lock is on.
const LOCK: &str = "lock";

/// What the names of temporary folders begin with.
const TEMPORARY: &str = "payproof-reconcile-";

/// A locked folder. A temporary one goes with it.
#[derive(Debug)]
pub(super) struct WorkFolder {
    path: PathBuf,
    is_temporary: bool,
    /// The lock ends when this is closed.
    _lock: File,
}

impl WorkFolder {
    /// Opens a folder, and makes it where there is none; without a path a temporary one.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, ReconcileError> {
        let Some(path) = path else { return Self::temporary() };
        make(path, false)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), is_temporary: false, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ReconcileError::FolderInUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Makes a folder of a name that no other run has, and removes those that processes left which ended without removing them. It
    /// has its name once it is locked, so that no other run takes it for one of those.
    fn temporary() -> Result<Self, ReconcileError> {
        let folder = std::env::temp_dir();
        remove_left(&folder);
        let number: u128 = rand::make_rng::<StdRng>().random();
        let (new, path) =
            (folder.join(format!("payproof-new-{number:032x}")), folder.join(format!("{TEMPORARY}{number:032x}")));
        make(&new, true)?;
        let lock = File::create_new(new.join(LOCK))?;
        lock.lock()?;
        fs::rename(&new, &path)?;
        Ok(Self { path, is_temporary: true, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if self.is_temporary {
            // What cannot be removed is the operating system's to clear away.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes temporary folders that no run holds. Another user's cannot be opened.
fn remove_left(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_temporary = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        if !is_temporary || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if File::options().write(true).open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            // What cannot be removed is the operating system's to clear away.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Makes a folder that its owner alone may read. One that is there has to be such.
fn make(path: &Path, is_new: bool) -> Result<(), ReconcileError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !is_new => {}
        made => return Ok(made?),
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path)?.permissions()) & 0o077 != 0 {
        return Err(ReconcileError::FolderNotPrivate(path.to_owned()));
    }
    Ok(())
}

/// Writes a small file as a whole: it is there with all of its content, or as it was before.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    io::Write::write_all(&mut file, content)?;
    file.sync_all()?;
    rename(&partial, path)
}

/// Renames a file, or removes it, in a way that outlasts a crash.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder_of(to)
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// What was made or renamed in a folder is there after a crash, too.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    // A folder can be opened and synchronized like a file on Unix alone.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
