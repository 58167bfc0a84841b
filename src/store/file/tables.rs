//! What the file holds: records by key, their ends in order, and what the store knows of itself.

use std::time::Duration;

use ::redb::{
    Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    TableHandle, WriteTransaction,
};

use super::command::{Command, CommandEffect};
use super::fault::DatabaseFault;
use crate::store::{StoreError, Stored, Swap};

/// Key → (end, value).
const RECORDS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("records");

/// (end, key) → nothing, so that what ends first comes first; and last of all the [`State`].
const ENDS: TableDefinition<'_, (u64, &str), &[u8]> = TableDefinition::new("ends");

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The layout of these tables.
pub(super) const FORMAT: u64 = 1;

const FORMAT_KEY: &str = "format";

/// Where the state is: beside the ends of the newest records, so that a commit has no further page to write for it.
const STATE_KEY: (u64, &str) = (u64::MAX, "");

/// What a store knows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    /// The latest time that was written, in microseconds.
    clock: u64,
    /// What all records cost, by [`cost`].
    bytes: u64,
}

impl State {
    fn read(ends: &impl ReadableTable<(u64, &'static str), &'static [u8]>) -> Result<Self, DatabaseFault> {
        let Some(state) = ends.get(STATE_KEY)? else { return Ok(Self::default()) };
        let number = |at: usize| state.value().get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
        Ok(Self { clock: number(0).unwrap_or_default(), bytes: number(8).unwrap_or_default() })
    }

    fn to_bytes(self) -> Vec<u8> {
        [self.clock.to_le_bytes(), self.bytes.to_le_bytes()].concat()
    }
}

/// Records whose time is over that a commit takes away, for each change it makes: more than one, so that they never
/// pile up.
const SWEPT_PER_CHANGE: usize = 4;

/// How many are taken away at most to make room for one.
const SWEPT_FOR_ROOM: usize = 1000;

/// What a record costs beside its key, twice, and its value: its end, twice, and its share of pages.
const OVERHEAD: usize = 64;

pub(super) fn cost(key: &str, value: usize) -> u64 {
    let bytes = key.len().saturating_mul(2).saturating_add(value).saturating_add(OVERHEAD);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What a file says of itself when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Empty,
    /// A store of this format, which has seen this time.
    Store {
        format: u64,
        clock: u64,
    },
    /// A database of something else.
    Foreign,
}

pub(super) fn kind(database: &Database) -> Result<FileKind, DatabaseFault> {
    let transaction = database.begin_read()?;
    let mut names: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    names.extend(transaction.list_multimap_tables()?.map(|table| ::redb::MultimapTableHandle::name(&table).to_owned()));
    if names.is_empty() {
        return Ok(FileKind::Empty);
    }
    if !names.iter().any(|name| name == META.name()) {
        return Ok(FileKind::Foreign);
    }
    let Ok(meta) = transaction.open_table(META) else { return Ok(FileKind::Foreign) };
    let Some(format) = meta.get(FORMAT_KEY)? else { return Ok(FileKind::Foreign) };
    let format = format.value();
    // The tables of another format may be other tables.
    let clock = if format == FORMAT { State::read(&transaction.open_table(ENDS)?)?.clock } else { 0 };
    Ok(FileKind::Store { format, clock })
}

/// Creates what an empty file lacks.
pub(super) fn create(database: &Database) -> Result<(), DatabaseFault> {
    let transaction = begin(database)?;
    transaction.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(ENDS)?;
    transaction.commit()?;
    Ok(())
}

fn begin(database: &Database) -> Result<WriteTransaction, DatabaseFault> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    Ok(transaction)
}

/// Records as the last commit left them.
pub(super) struct Snapshot {
    records: ReadOnlyTable<&'static str, (u64, &'static [u8])>,
    /// Keeps the snapshot's pages.
    _transaction: ReadTransaction,
}

impl Snapshot {
    pub(super) fn of(database: &Database) -> Result<Self, DatabaseFault> {
        let transaction = database.begin_read()?;
        Ok(Self { records: transaction.open_table(RECORDS)?, _transaction: transaction })
    }

    /// The answer to a call that changes nothing; none if there is something to be written.
    pub(super) fn answer(
        &self,
        command: &Command,
        now: u64,
    ) -> Result<Option<Result<Swap, StoreError>>, DatabaseFault> {
        let live = found(&self.records, &command.key)?.and_then(|(end, bytes)| stored(end, bytes, now));
        Ok(match command.decide(live) {
            CommandEffect::None(stored) => Some(Ok(Swap::Lost(stored))),
            CommandEffect::Refused(error) => Some(Err(error)),
            CommandEffect::Put { .. } | CommandEffect::Delete | CommandEffect::Touch => None,
        })
    }
}

fn found(
    records: &impl ReadableTable<&'static str, (u64, &'static [u8])>,
    key: &str,
) -> Result<Option<(u64, Vec<u8>)>, DatabaseFault> {
    Ok(records.get(key)?.map(|record| {
        let (end, bytes) = record.value();
        (end, bytes.to_vec())
    }))
}

fn stored(end: u64, bytes: Vec<u8>, now: u64) -> Option<Stored> {
    let left = end.checked_sub(now).filter(|left| *left > 0)?;
    Some(Stored { bytes, ttl_left: Duration::from_micros(left) })
}

/// A batch that was not carried out, and has to be told so.
#[derive(Debug)]
pub(super) struct FailedBatch {
    pub(super) fault: DatabaseFault,
    pub(super) batch: Vec<Command>,
    pub(super) error: StoreError,
}

/// Carries out a batch in one transaction, and answers when it is on the disk.
///
/// A batch that turns out to change nothing costs no commit.
pub(super) fn carry_out(
    database: &Database,
    mut batch: Vec<Command>,
    now: u64,
    max_bytes: u64,
) -> Result<(), FailedBatch> {
    // No caller would learn what became of them.
    batch.retain(|command| !command.is_abandoned());
    let (transaction, answers) = match prepare(database, &batch, now, max_bytes) {
        Ok(prepared) => prepared,
        Err(fault) => return Err(FailedBatch { error: fault.before_commit(), fault, batch }),
    };
    if let Some(Err(error)) = transaction.map(WriteTransaction::commit) {
        let fault = DatabaseFault::from(error);
        return Err(FailedBatch { error: fault.in_commit(), fault, batch });
    }
    for (command, answer) in batch.into_iter().zip(answers) {
        command.answer(answer);
    }
    Ok(())
}

type Answers = Vec<Result<Swap, StoreError>>;

/// The changes of a batch, ready to be committed; no transaction if there are none.
fn prepare(
    database: &Database,
    batch: &[Command],
    now: u64,
    max_bytes: u64,
) -> Result<(Option<WriteTransaction>, Answers), DatabaseFault> {
    let transaction = begin(database)?;
    let mut answers = Vec::with_capacity(batch.len());
    let changed = {
        let mut tables = Tables::open(&transaction, now, max_bytes)?;
        for command in batch {
            answers.push(tables.apply(command)?);
        }
        tables.close()?
    };
    if changed {
        return Ok((Some(transaction), answers));
    }
    transaction.abort()?;
    Ok((None, answers))
}

/// Takes away records whose time is over, so many at most. Says how many.
pub(super) fn sweep(database: &Database, now: u64, most: usize) -> Result<usize, DatabaseFault> {
    let transaction = begin(database)?;
    let swept = {
        let mut tables = Tables::open(&transaction, now, u64::MAX)?;
        let swept = tables.sweep(most)?;
        tables.changes = 1;
        tables.close()?;
        swept
    };
    transaction.commit()?;
    Ok(swept)
}

/// The tables within a transaction.
struct Tables<'t> {
    records: Table<'t, &'static str, (u64, &'static [u8])>,
    ends: Table<'t, (u64, &'static str), &'static [u8]>,
    now: u64,
    bytes: u64,
    max_bytes: u64,
    changes: usize,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction, now: u64, max_bytes: u64) -> Result<Self, DatabaseFault> {
        let (records, ends) = (transaction.open_table(RECORDS)?, transaction.open_table(ENDS)?);
        let bytes = State::read(&ends)?.bytes;
        Ok(Self { records, ends, now, bytes, max_bytes, changes: 0 })
    }

    fn apply(&mut self, command: &Command) -> Result<Result<Swap, StoreError>, DatabaseFault> {
        let key = &*command.key;
        let record = found(&self.records, key)?;
        let mut before = record.as_ref().map(|(end, bytes)| (*end, bytes.len()));
        let live = record.and_then(|(end, bytes)| stored(end, bytes, self.now));
        let answer = match command.decide(live) {
            CommandEffect::None(stored) => return Ok(Ok(Swap::Lost(stored))),
            CommandEffect::Refused(error) => return Ok(Err(error)),
            CommandEffect::Touch => Swap::Swapped,
            CommandEffect::Delete => {
                self.take(key, before)?;
                Swap::Swapped
            }
            CommandEffect::Put { value, ttl } => {
                let needed = cost(key, value.len());
                if !self.has_room(key, needed, before) {
                    self.sweep(SWEPT_FOR_ROOM)?;
                    // It may have been among what was swept.
                    before = found(&self.records, key)?.map(|(end, bytes)| (end, bytes.len()));
                    if !self.has_room(key, needed, before) {
                        let limit = self.max_bytes;
                        let full = format!("{limit} bytes of records are held already; raise `max_bytes`");
                        return Ok(Err(StoreError::refused(full)));
                    }
                }
                self.take(key, before)?;
                let end = self.now.saturating_add(ttl);
                self.records.insert(key, (end, &*value))?;
                self.ends.insert((end, key), [].as_slice())?;
                self.bytes = self.bytes.saturating_add(needed);
                command.written(&value, ttl)
            }
        };
        self.changes = self.changes.saturating_add(1);
        Ok(Ok(answer))
    }

    /// A record that needs no more room than the one it replaces is never refused.
    fn has_room(&self, key: &str, needed: u64, before: Option<(u64, usize)>) -> bool {
        let freed = before.map_or(0, |(_, length)| cost(key, length));
        needed <= freed || self.bytes.saturating_sub(freed).saturating_add(needed) <= self.max_bytes
    }

    /// Takes a record away, with its end.
    fn take(&mut self, key: &str, record: Option<(u64, usize)>) -> Result<(), DatabaseFault> {
        if let Some((end, length)) = record {
            self.records.remove(key)?;
            self.ends.remove((end, key))?;
            self.bytes = self.bytes.saturating_sub(cost(key, length));
        }
        Ok(())
    }

    fn sweep(&mut self, most: usize) -> Result<usize, DatabaseFault> {
        for swept in 0..most {
            let (end, key) = match self.ends.first()? {
                Some((entry, _)) if entry.value().0 <= self.now => (entry.value().0, entry.value().1.to_owned()),
                _ => return Ok(swept),
            };
            let record = self.records.get(&*key)?.map(|record| (record.value().0, record.value().1.len()));
            self.take(&key, record)?;
            // That was this very entry, unless the file is not what was written.
            self.ends.remove((end, &*key))?;
        }
        Ok(most)
    }

    /// Writes down what the store knows of itself, and says whether there is anything to commit.
    fn close(mut self) -> Result<bool, DatabaseFault> {
        if self.changes == 0 {
            return Ok(false);
        }
        self.sweep(self.changes.saturating_mul(SWEPT_PER_CHANGE))?;
        let state = State { clock: self.now, bytes: self.bytes };
        self.ends.insert(STATE_KEY, state.to_bytes().as_slice())?;
        Ok(true)
    }
}
