//! Sorts more than memory holds: runs of records, each sorted in memory and written to a file.
//!
//! A record is a key and a value, both bytes. Records of one key come in the order of their values, so that what comes out
//! depends on what went in alone, and in no way on the order in which it came.

use std::io;
use std::path::{Path, PathBuf};

use super::merge::Merge;
use super::run_file::{FRAME, MAX_PART, RunWriter, lengths, too_long};

/// What a run holds in memory unless another limit is set.
pub(super) const RUN_BYTES: usize = 64 << 20;

/// The first bytes of a key as a number, and where its record begins in memory.
type Place = (u64, u32);

/// Takes records in, and writes them to runs.
#[derive(Debug)]
pub(super) struct Sorter {
    folder: PathBuf,
    name: &'static str,
    limit: usize,
    records: Vec<u8>,
    places: Vec<Place>,
    runs: Vec<Box<str>>,
}

impl Sorter {
    /// Sorts into files of this name, by so many bytes at a time, after runs that were written before.
    pub(super) fn new(folder: &Path, name: &'static str, limit: usize, runs: Vec<Box<str>>) -> Self {
        let limit = limit.min(MAX_PART.saturating_mul(64));
        Self { folder: folder.to_owned(), name, limit, records: Vec::new(), places: Vec::new(), runs }
    }

    /// The folder of its runs.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a run is due.
    pub(super) fn is_full(&self) -> bool {
        let places = self.places.len().saturating_mul(size_of::<Place>());
        self.records.len().saturating_add(places) >= self.limit
    }

    /// Takes a record into memory.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let at = u32::try_from(self.records.len()).map_err(too_long)?;
        for part in [key, value] {
            let len = u32::try_from(part.len()).map_err(too_long)?;
            if part.len() > MAX_PART {
                return Err(too_long("over the limit"));
            }
            self.records.extend_from_slice(&len.to_le_bytes());
        }
        self.records.extend_from_slice(key);
        self.records.extend_from_slice(value);
        self.places.push((prefix(key), at));
        Ok(())
    }

    /// Takes a record in, and writes a run where one is due.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.push(key, value)?;
        if self.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is in memory to a run, which is on the disk when this returns. The run's name, if there was anything.
    pub(super) fn flush(&mut self) -> io::Result<Option<Box<str>>> {
        if self.places.is_empty() {
            return Ok(None);
        }
        let Self { records, places, .. } = self;
        places.sort_unstable_by(|(prefix, at), (other_prefix, other_at)| {
            prefix.cmp(other_prefix).then_with(|| record(records, *at).cmp(&record(records, *other_at)))
        });
        let name: Box<str> = format!("{}-{:05}.run", self.name, self.runs.len()).into();
        let mut run = RunWriter::create(&self.folder.join(&*name))?;
        for (_, at) in &self.places {
            let (key, value) = record(&self.records, *at);
            run.write(key, value)?;
        }
        run.finish()?;
        self.records.clear();
        self.places.clear();
        self.runs.push(name.clone());
        Ok(Some(name))
    }

    /// Writes what is left. The names of all runs.
    pub(super) fn finish(mut self) -> io::Result<Vec<Box<str>>> {
        self.flush()?;
        Ok(self.runs)
    }

    /// Everything that was taken in, sorted.
    pub(super) fn sorted(self) -> io::Result<Merge> {
        let (folder, name) = (self.folder.clone(), self.name);
        let runs = self.finish()?;
        Merge::open(&folder, name, &runs)
    }
}

/// The first eight bytes of a key, which decide most comparisons.
fn prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    for (place, byte) in first.iter_mut().zip(key) {
        *place = *byte;
    }
    u64::from_be_bytes(first)
}

/// The record that begins there.
fn record(records: &[u8], at: u32) -> (&[u8], &[u8]) {
    let read = || {
        let (frame, rest) = records.get(usize::try_from(at).ok()?..)?.split_at_checked(FRAME)?;
        let (key, value) = lengths(frame)?;
        let (key, rest) = rest.split_at_checked(key)?;
        Some((key, rest.get(..value)?))
    };
    read().unwrap_or_default()
}
