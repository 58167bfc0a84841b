//! What one run leaves to the next: sorted files of the work folder, each there as a whole.

use std::io;
use std::path::{Path, PathBuf};

use super::folder::{remove, rename};
use super::merge::Merge;
use super::run_file::RunWriter;

/// Payments that the next run looks at again.
pub(super) const CARRIED: LeftFile = LeftFile { known: "carried.known", next: "carried.next" };

/// Which payments aliases stand for.
pub(super) const ALIASES: LeftFile = LeftFile { known: "aliases.known", next: "aliases.next" };

/// Discrepancies that were told, and stand.
pub(super) const TOLD: LeftFile = LeftFile { known: "told.known", next: "told.next" };

/// Orders whose lines cannot be used.
pub(super) const UNUSABLE: LeftFile = LeftFile { known: "unusable.known", next: "unusable.next" };

/// Every such file.
pub(super) const ALL_LEFT: [LeftFile; 4] = [CARRIED, ALIASES, TOLD, UNUSABLE];

/// A file that a run reads as the run before left it, and writes for the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeftFile {
    known: &'static str,
    next: &'static str,
}

impl LeftFile {
    /// The name of what the run before left, if it left anything.
    pub(super) fn known(self, folder: &Path) -> Option<Box<str>> {
        folder.join(self.known).exists().then(|| self.known.into())
    }

    /// Begins what this run leaves, whose records have to come in order.
    pub(super) fn write_next(self, folder: &Path) -> io::Result<NextFile> {
        NextFile::create(folder.join(self.next))
    }

    /// Makes what the last run left what this one reads. Beside it what that one read itself stays, unless it found out all of its
    /// window, which this one has to look at again.
    pub(super) fn take_over(self, folder: &Path, was_whole: bool) -> io::Result<()> {
        let (known, next) = (folder.join(self.known), folder.join(self.next));
        if !next.exists() {
            return Ok(());
        }
        if was_whole || !known.exists() {
            return rename(&next, &known);
        }
        let both = [self.known.into(), self.next.into()];
        let mut merge = Merge::open(folder, "left", &both)?;
        let mut both = NextFile::create(known)?;
        while let Some((key, value)) = merge.head() {
            both.write(key, value)?;
            merge.advance()?;
        }
        drop(merge);
        both.finish()?;
        remove(&next)
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct NextFile {
    writer: RunWriter,
    partial: PathBuf,
    path: PathBuf,
}

impl NextFile {
    fn create(path: PathBuf) -> io::Result<Self> {
        let partial = path.with_extension("partial");
        Ok(Self { writer: RunWriter::create(&partial)?, partial, path })
    }

    pub(super) fn write(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.writer.write(key, value)
    }

    /// It is there, as a whole, when this returns.
    pub(super) fn finish(self) -> io::Result<()> {
        self.writer.finish()?;
        rename(&self.partial, &self.path)
    }
}
