//! How much of everything a run found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::accessors::{getters, named};
use crate::intent::currency::Currency;
use crate::intent::money::{Money, Units};

use super::builder::DAY;
use super::class::{DiscrepancyClass, Unremarkable};
use super::discrepancy::{Discrepancy, MoneyParts, money_of, parts};

/// The numbers of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClassCounts {
    /// Those that no person has accepted.
    pub told: u64,
    /// Those that a person has accepted.
    pub known: u64,
    /// Of those told, the ones that may still mend themselves: see [`Discrepancy::is_recent`].
    pub recent: u64,
    /// Of those told, the ones that were not confirmed: see [`Discrepancy::is_confirmed`].
    pub unconfirmed: u64,
}

/// What a run read, told and only counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileCounts {
    pub(super) classes: BTreeMap<DiscrepancyClass, ClassCounts>,
    pub(super) kinds: BTreeMap<Unremarkable, u64>,
    pub(super) orders: u64,
    pub(super) unusable_orders: u64,
    pub(super) payments: u64,
    pub(super) changes: u64,
    pub(super) unreadable_items: u64,
    pub(super) pages: u64,
    pub(super) look_ups: u64,
}

impl ReconcileCounts {
    /// The numbers of one class.
    #[must_use]
    pub fn of(&self, class: DiscrepancyClass) -> ClassCounts {
        self.classes.get(&class).copied().unwrap_or_default()
    }

    /// How many of this kind were only counted.
    #[must_use]
    pub fn unremarkable(&self, kind: Unremarkable) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    getters! {
        /// Discrepancies of all classes that no person has accepted.
        pub fn told(&self) -> u64 => self.classes.values().fold(0, |sum, class| sum.saturating_add(class.told));

        /// Orders that were read.
        pub fn orders(&self) -> u64 => self.orders;

        /// Lines of the export that could not be used.
        pub fn unusable_orders(&self) -> u64 => self.unusable_orders;

        /// Payments that the provider listed, each once, by ids.
        pub fn payments(&self) -> u64 => self.payments;

        /// Changes that it listed.
        pub fn changes(&self) -> u64 => self.changes;

        /// Items of its lists that could not be read, and of which no id is known.
        pub fn unreadable_items(&self) -> u64 => self.unreadable_items;

        /// Pages that it was asked for.
        pub fn pages(&self) -> u64 => self.pages;

        /// Payments that were looked up by themselves.
        pub fn look_ups(&self) -> u64 => self.look_ups;
    }
}

named! {
    /// How a run ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum ReconcileStatus {
        /// Everything was seen, and there is nothing to tell that no person has accepted.
        Clean = "clean",
        /// There is something to tell, or something that no later run will find out either. The next window may begin.
        Found = "found",
        /// Something could not be found out that another run of this window may, so that there may be more to tell: the window is
        /// not over.
        Incomplete = "incomplete",
    } as_str(self: Self)
}

impl ReconcileStatus {
    /// What a command ends with: 0, 1 or 2, in the order of the variants.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Found => 1,
            Self::Incomplete => 2,
        }
    }
}

/// What stands in the folder of a run beside its discrepancies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) since: u64,
    pub(super) until: u64,
    pub(super) orders_as_of: u64,
    pub(super) counts: ReconcileCounts,
    pub(super) sums: Vec<(DiscrepancyClass, MoneyParts)>,
    pub(super) days: Vec<(u64, DiscrepancyClass, u64)>,
    /// What could not be found out, one line each.
    pub(super) missing: Vec<Box<str>>,
    /// Whether another run of the window may find some of that out.
    pub(super) is_incomplete: bool,
}

/// Counts discrepancies as they are written.
#[derive(Debug)]
pub(super) struct ReportTally<'u> {
    units: &'u Units,
    classes: BTreeMap<DiscrepancyClass, ClassCounts>,
    sums: BTreeMap<(DiscrepancyClass, Currency), u64>,
    days: BTreeMap<(u64, DiscrepancyClass), u64>,
}

impl<'u> ReportTally<'u> {
    pub(super) fn new(units: &'u Units) -> Self {
        Self { units, classes: BTreeMap::new(), sums: BTreeMap::new(), days: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, told: &Discrepancy) {
        let class = self.classes.entry(told.class).or_default();
        if told.known.is_some() {
            class.known = class.known.saturating_add(1);
            return;
        }
        class.told = class.told.saturating_add(1);
        class.recent = class.recent.saturating_add(u64::from(told.recent));
        class.unconfirmed = class.unconfirmed.saturating_add(u64::from(!told.confirmed));
        if let Some((currency, minor)) =
            told.money.and_then(|money| Some((money.currency(), money.minor_units(self.units).ok()?)))
        {
            let sum = self.sums.entry((told.class, currency)).or_default();
            *sum = sum.saturating_add(minor);
        }
        let day = self.days.entry((told.at / DAY, told.class)).or_default();
        *day = day.saturating_add(1);
    }

    /// Writes the numbers into the summary.
    pub(super) fn sum_up(self, summary: &mut Summary) {
        let Self { units, classes, sums, days } = self;
        summary.counts.classes = classes;
        summary.sums =
            sums.into_iter().map(|((class, currency), sum)| (class, parts(units.to_money(sum, currency)))).collect();
        summary.days = days.into_iter().map(|((day, class), count)| (day, class, count)).collect();
    }
}

impl Summary {
    pub(super) fn sums(&self) -> impl Iterator<Item = (DiscrepancyClass, Money)> {
        self.sums.iter().map(|(class, parts)| (*class, money_of(*parts)))
    }

    pub(super) fn days(&self) -> impl Iterator<Item = (u64, DiscrepancyClass, u64)> {
        self.days.iter().map(|(day, class, count)| (day.saturating_mul(DAY), *class, *count))
    }

    pub(super) fn status(&self) -> ReconcileStatus {
        if self.is_incomplete {
            ReconcileStatus::Incomplete
        } else if self.counts.told() > 0 || !self.missing.is_empty() {
            ReconcileStatus::Found
        } else {
            ReconcileStatus::Clean
        }
    }
}
