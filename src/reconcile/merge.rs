//! Reads runs as one: whichever run has the least record is next.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::run_file::{FRAME, RunWriter, lengths};

/// As many runs are read at once. More are merged into fewer before, so that neither buffers nor open files grow with the input.
const FAN_IN: usize = 128;

/// What each run is read through.
const BUFFER: usize = 64 << 10;

/// Runs, read as one.
#[derive(Debug)]
pub(super) struct Merge(BinaryHeap<Head>);

impl Merge {
    /// Opens runs of a folder. Where there are too many, they are merged into files of this name before.
    pub(super) fn open(folder: &Path, name: &str, runs: &[Box<str>]) -> io::Result<Self> {
        let mut runs = runs.to_vec();
        let mut merged = 0_u32;
        while runs.len() > FAN_IN {
            let rest = runs.split_off(FAN_IN);
            let larger: Box<str> = format!("{name}-merged-{merged:05}.run").into();
            merged = merged.saturating_add(1);
            let mut merge = Self::of(folder, &runs)?;
            let mut writer = RunWriter::create(&folder.join(&*larger))?;
            while let Some((key, value)) = merge.head() {
                writer.write(key, value)?;
                merge.advance()?;
            }
            writer.finish()?;
            runs = rest;
            runs.push(larger);
        }
        Self::of(folder, &runs)
    }

    fn of(folder: &Path, runs: &[Box<str>]) -> io::Result<Self> {
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (run, name) in runs.iter().enumerate() {
            let file = File::open(folder.join(&**name)).map_err(|error| named(name, &error))?;
            let reader = BufReader::with_capacity(BUFFER, file);
            let mut head = Head { key: Vec::new(), value: Vec::new(), run, name: name.clone(), reader };
            if head.refill()? {
                heads.push(head);
            }
        }
        Ok(Self(heads))
    }

    /// The record that is next, if there is one.
    pub(super) fn head(&self) -> Option<(&[u8], &[u8])> {
        self.0.peek().map(|head| (&*head.key, &*head.value))
    }

    /// Goes on to the record after it.
    pub(super) fn advance(&mut self) -> io::Result<()> {
        if let Some(mut head) = self.0.peek_mut()
            && !head.refill()?
        {
            PeekMut::pop(head);
        }
        Ok(())
    }
}

fn named(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

/// The next record of one run.
#[derive(Debug)]
struct Head {
    key: Vec<u8>,
    value: Vec<u8>,
    run: usize,
    name: Box<str>,
    reader: BufReader<File>,
}

impl Head {
    /// Reads the next record into its place. False at the end of the run; a run that ends within a record is damaged.
    fn refill(&mut self) -> io::Result<bool> {
        self.read().map_err(|error| named(&self.name, &error))
    }

    fn read(&mut self) -> io::Result<bool> {
        let mut frame = [0; FRAME];
        let (first, rest) = frame.split_at_mut(1);
        if self.reader.read(first)? == 0 {
            return Ok(false);
        }
        self.reader.read_exact(rest)?;
        let (key, value) = lengths(&frame).ok_or(io::ErrorKind::InvalidData)?;
        self.key.resize(key, 0);
        self.value.resize(value, 0);
        self.reader.read_exact(&mut self.key)?;
        self.reader.read_exact(&mut self.value)?;
        Ok(true)
    }

    fn record(&self) -> (&[u8], &[u8], usize) {
        (&self.key, &self.value, self.run)
    }
}

/// The least record is the greatest, since a heap gives the greatest first.
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.record().cmp(&self.record())
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

/// All records of one key at a time. What it holds is used again for the next key.
#[derive(Debug)]
pub(super) struct KeyGroups {
    merge: Merge,
    key: Vec<u8>,
    values: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyGroups {
    pub(super) fn of(merge: Merge) -> Self {
        Self { merge, key: Vec::new(), values: Vec::new(), ends: Vec::new() }
    }

    /// Goes on to the next key. False when there is none.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        let Self { merge, key, values, ends } = self;
        values.clear();
        ends.clear();
        let Some((first, _)) = merge.head() else { return Ok(false) };
        key.clear();
        key.extend_from_slice(first);
        while let Some((_, value)) = merge.head().filter(|(next, _)| *next == &**key) {
            values.extend_from_slice(value);
            ends.push(values.len());
            merge.advance()?;
        }
        Ok(true)
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The values of this key, in their order.
    pub(super) fn values(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| self.values.get(begin..*end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;
    use rand::{RngExt, SeedableRng};

    use super::super::sort::Sorter;
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("payproof-sort-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    type Record = (Vec<u8>, Vec<u8>);

    /// Sorts by runs of so many bytes, and reads everything back, and says how many runs there were.
    fn sorted(folder: &Path, records: &[Record], limit: usize) -> (Vec<Record>, usize) {
        let mut sorter = Sorter::new(folder, "test", limit, Vec::new());
        for (key, value) in records {
            sorter.add(key, value).unwrap();
        }
        let runs = sorter.finish().unwrap();
        let mut merge = Merge::open(folder, "test", &runs).unwrap();
        let mut read = Vec::new();
        while let Some((key, value)) = merge.head() {
            read.push((key.to_vec(), value.to_vec()));
            merge.advance().unwrap();
        }
        (read, runs.len())
    }

    #[test]
    fn records_come_out_as_a_sort_in_memory_has_them_whatever_the_runs() {
        let folder = folder("equal");
        let mut rng = StdRng::seed_from_u64(17);
        let mut bytes = |most: usize| {
            let length = rng.random_range(0..=most);
            (0..length).map(|_| rng.random_range(0..=3)).collect::<Vec<u8>>()
        };
        let mut records: Vec<_> = (0..3000).map(|_| (bytes(12), bytes(3))).collect();
        let mut expected = records.clone();
        expected.sort_unstable();
        let (in_one, runs) = sorted(&folder, &records, usize::MAX);
        assert!(in_one == expected && runs == 1);
        records.shuffle(&mut StdRng::seed_from_u64(18));
        let (in_many, runs) = sorted(&folder, &records, 400);
        assert!(in_many == expected && runs > FAN_IN, "{runs} runs");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_records_of_a_key_come_together() {
        let folder = folder("groups");
        let mut sorter = Sorter::new(&folder, "test", 1, Vec::new());
        for (key, value) in [("b", "2"), ("a", "1"), ("b", ""), ("b", "1")] {
            sorter.add(key.as_bytes(), value.as_bytes()).unwrap();
        }
        let mut groups = KeyGroups::of(sorter.sorted().unwrap());
        let mut read = Vec::new();
        while groups.advance().unwrap() {
            read.push((groups.key().to_vec(), groups.values().map(<[u8]>::to_vec).collect::<Vec<_>>()));
        }
        let bytes = |text: &str| text.as_bytes().to_vec();
        let expected = [(bytes("a"), vec![bytes("1")]), (bytes("b"), vec![bytes(""), bytes("1"), bytes("2")])];
        assert_eq!(read, expected);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_run_that_ends_within_a_record_is_an_error_that_names_it() {
        let folder = folder("torn");
        let mut sorter = Sorter::new(&folder, "test", usize::MAX, Vec::new());
        sorter.add(b"key", b"value").unwrap();
        let runs = sorter.finish().unwrap();
        let path = folder.join(&*runs[0]);
        let whole = fs::read(&path).unwrap();
        for (bytes, kind) in [
            (&whole[..whole.len() - 1], io::ErrorKind::UnexpectedEof),
            (&whole[..3], io::ErrorKind::UnexpectedEof),
            (&[0xFF; 16][..], io::ErrorKind::InvalidData),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = Merge::open(&folder, "test", &runs).unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains("test-00000.run"), "{error}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
