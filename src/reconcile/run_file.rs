//! A file of sorted records: each is the lengths of its key and value, and these.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::folder::sync_folder_of;

/// Lengths of key and value, each in four bytes.
pub(super) const FRAME: usize = 8;

/// More than any record has; what claims to be longer is damaged.
pub(super) const MAX_PART: usize = 16 << 20;

/// What files are written through.
const BUFFER: usize = 256 << 10;

/// Writes records, which come in order, to a file.
#[derive(Debug)]
pub(super) struct RunWriter(BufWriter<File>, PathBuf);

impl RunWriter {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::with_capacity(BUFFER, File::create(path)?), path.to_owned()))
    }

    pub(super) fn write(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        for part in [key, value] {
            self.0.write_all(&u32::try_from(part.len()).map_err(too_long)?.to_le_bytes())?;
        }
        self.0.write_all(key)?;
        self.0.write_all(value)
    }

    /// All of it is on the disk when this returns, and its name in the folder.
    pub(super) fn finish(self) -> io::Result<()> {
        self.0.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        sync_folder_of(&self.1)
    }
}

/// How long key and value are; `None` where that cannot be.
pub(super) fn lengths(frame: &[u8]) -> Option<(usize, usize)> {
    let (key, value) = frame.split_at_checked(FRAME / 2)?;
    let length = |bytes: &[u8]| usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok();
    let fits = |length: &usize| *length <= MAX_PART;
    length(key).filter(fits).zip(length(value).filter(fits))
}

pub(super) fn too_long(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("a record is too long to be sorted: {why}"))
}

/// A record's value.
pub(super) fn row(row: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    postcard::to_allocvec(row).map_err(io::Error::other)
}

/// Reads what a record holds.
pub(super) fn decode<'b, T: serde::Deserialize<'b>>(bytes: &'b [u8]) -> io::Result<T> {
    let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, format!("a record cannot be read: {error}"));
    postcard::from_bytes(bytes).map_err(damaged)
}
