//! A folder of this run, which goes with it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, fs, io};

#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> io::Result<Self> {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        let path = env::temp_dir().join(format!("payproof-checkout-service-{}-{now}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the temporary folder's to clear.
        let _ = fs::remove_dir_all(&self.0);
    }
}
