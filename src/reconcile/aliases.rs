//! Which payments aliases stand for, remembered from run to run: each is asked about once, and not by every run that has its order.

use std::io;
use std::path::{Path, PathBuf};

use super::folder::rename;
use super::rows::{Gathered, PaymentRow};
use super::run_file::{RunWriter, row};

/// What was known before this run, and what is known after it.
pub(super) const ALIASES: &str = "aliases.known";
pub(super) const ALIASES_NEXT: &str = "aliases.next";

/// Writes down what is known of the aliases that orders name, which come in order.
#[derive(Debug)]
pub(super) struct AliasWriter {
    folder: PathBuf,
    writer: Option<RunWriter>,
}

impl AliasWriter {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), writer: None }
    }

    /// Remembers an alias for as long as an order names it. One that is no payment's so far may become one.
    pub(super) fn remember(&mut self, alias: &Gathered) -> io::Result<()> {
        let facts = alias.payment.facts.as_ref().filter(|facts| facts.id != alias.payment.id);
        let Some(own) = facts.map(|facts| facts.id.clone()).or_else(|| alias.stands_for.clone()) else { return Ok(()) };
        if alias.named_by.is_empty() {
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(RunWriter::create(&self.folder.join("aliases.partial"))?),
        };
        writer.write(alias.payment.id.as_bytes(), &row(&PaymentRow::StandsFor(own))?)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let Some(writer) = self.writer else { return Ok(()) };
        writer.finish()?;
        rename(&self.folder.join("aliases.partial"), &self.folder.join(ALIASES_NEXT))
    }
}
