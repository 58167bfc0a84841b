//! What a run found, read from its folder: never all of it in memory.

use std::io;
use std::sync::Arc;

use crate::accessors::getters;
use crate::intent::money::Money;

use super::class::DiscrepancyClass;
use super::discrepancy::{Discrepancy, MoneyParts, money_of, parts};
use super::folder::WorkFolder;
use super::merge::Merge;
use super::run_file::{decode, row};
use super::summary::{ReconcileCounts, ReconcileStatus, Summary};

/// The file of the report's discrepancies.
pub(super) const REPORT: &str = "report.run";

/// What a run found.
///
/// It holds the run's folder: until it is dropped no other run begins there, and a temporary folder is removed with it.
#[derive(Debug)]
pub struct Reconciliation {
    pub(super) folder: Arc<WorkFolder>,
    pub(super) summary: Summary,
}

impl Reconciliation {
    getters! {
        /// How much of everything was read, told and only counted.
        pub fn counts(&self) -> &ReconcileCounts => &self.summary.counts;

        /// Whether nothing is [missing](Self::missing).
        pub fn is_complete(&self) -> bool => self.summary.missing.is_empty();

        /// How the run ended.
        pub fn status(&self) -> ReconcileStatus => self.summary.status();

        /// What could not be found out, one line each. What cannot be found out of one payment or order is told as
        /// [unknown](DiscrepancyClass::Unknown); it is one of these, too, where another run of the window may find it out.
        pub fn missing(&self) -> &[Box<str>] => &self.summary.missing;

        /// The window's first second, and its end, which is no part of it, in seconds since 1970.
        pub fn window(&self) -> (u64, u64) => (self.summary.since, self.summary.until);

        /// When the export of the orders began, in seconds since 1970.
        pub fn orders_as_of(&self) -> u64 => self.summary.orders_as_of;
    }

    /// What the discrepancies told come to, by class and currency, in their order. A sum ends at what the provider's integers
    /// hold.
    pub fn sums(&self) -> impl Iterator<Item = (DiscrepancyClass, Money)> + '_ {
        self.summary.sums()
    }

    /// How many discrepancies were told of each day of the calendar, in UTC, and class: the day's first second, since 1970, the
    /// class and the number. Days and classes of which none was told are left out.
    pub fn days(&self) -> impl Iterator<Item = (u64, DiscrepancyClass, u64)> + '_ {
        self.summary.days()
    }

    /// Goes through the discrepancies, those that a person has accepted among them, by class, time, payment and order.
    ///
    /// # Errors
    /// An item is an error when the file cannot be read; it is the last one.
    #[must_use]
    pub fn discrepancies(&self) -> Discrepancies {
        let state =
            Merge::open(self.folder.path(), REPORT, &[REPORT.into()]).map_or_else(Reading::Failed, Reading::From);
        Discrepancies { _folder: Arc::clone(&self.folder), state }
    }
}

/// The discrepancies of a report, one after the other. Made by [`Reconciliation::discrepancies`].
#[derive(Debug)]
pub struct Discrepancies {
    /// So that the file is there for as long as it is read.
    _folder: Arc<WorkFolder>,
    state: Reading,
}

#[derive(Debug)]
enum Reading {
    From(Merge),
    Failed(io::Error),
    Over,
}

impl Iterator for Discrepancies {
    type Item = io::Result<Discrepancy>;

    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(&mut self.state, Reading::Over) {
            Reading::Over => None,
            Reading::Failed(error) => Some(Err(error)),
            Reading::From(mut merge) => {
                let (_, value) = merge.head()?;
                let read = Discrepancy::read(value).and_then(|told| merge.advance().map(|()| told));
                if read.is_ok() {
                    self.state = Reading::From(merge);
                }
                Some(read)
            }
        }
    }
}

/// The fields of a discrepancy, as files hold them.
type Fields<T> = (DiscrepancyClass, u64, Option<T>, Option<(T, T)>, Option<MoneyParts>, Vec<T>, bool, bool, Option<T>);

impl Discrepancy {
    /// Where it stands in a report.
    pub(super) fn place(&self) -> Vec<u8> {
        let mut place = vec![self.class as u8];
        place.extend_from_slice(&self.at.to_be_bytes());
        let owner = self.owner.as_ref();
        let texts = [self.payment.as_deref(), owner.map(|(tenant, _)| &**tenant), owner.map(|(_, order)| &**order)];
        for text in texts {
            place.extend_from_slice(text.unwrap_or_default().as_bytes());
            place.push(0);
        }
        place
    }

    pub(super) fn write(&self) -> io::Result<Vec<u8>> {
        let owner = self.owner.as_ref().map(|(tenant, order)| (&**tenant, &**order));
        let findings = self.findings.iter().map(|code| &**code).collect();
        let fields: Fields<&str> = (
            self.class,
            self.at,
            self.payment.as_deref(),
            owner,
            self.money.map(parts),
            findings,
            self.confirmed,
            self.recent,
            self.known.as_deref(),
        );
        row(&fields)
    }

    pub(super) fn read(bytes: &[u8]) -> io::Result<Self> {
        let fields: Fields<Box<str>> = decode(bytes)?;
        let (class, at, payment, owner, money, findings, confirmed, recent, known) = fields;
        Ok(Self { class, at, payment, owner, money: money.map(money_of), findings, confirmed, recent, known })
    }
}
