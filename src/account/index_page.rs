//! A page of a list of what is indeterminate, as its record holds it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Converted, Held, LedgerError, Versioned, millis};

use super::PAGE;
use super::backlog::Unlisted;

/// Two times that a provider's key is kept are the same, but for clocks and what is lost on the way.
const SAME_KEY: Duration = Duration::from_secs(60);

/// A page as its record holds it. The first one counts those without a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) not_listed: u64,
    /// For how long it has stood, where it was read.
    #[serde(skip)]
    pub(super) unchanged: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) reference: [u8; 32],
    pub(super) tenant: Box<str>,
    pub(super) name: Box<str>,
    /// When the record was written.
    pub(super) age_ms: u64,
    /// From then on.
    pub(super) key_left_ms: Option<u64>,
}

/// As version 1 has it: it does not say how long the provider's key is kept.
#[derive(Serialize, Deserialize)]
struct FirstItem {
    reference: [u8; 32],
    tenant: Box<str>,
    name: Box<str>,
    age_ms: u64,
}

impl Versioned<'_> for Page {
    fn write(&self, version: u8) -> Option<Vec<u8>> {
        if version > 1 {
            return postcard::to_allocvec(self).ok();
        }
        let first = |Item { reference, tenant, name, age_ms, .. }| FirstItem { reference, tenant, name, age_ms };
        let items: Vec<_> = self.items.iter().cloned().map(first).collect();
        postcard::to_allocvec(&(items, self.not_listed)).ok()
    }

    fn read(version: u8, bytes: &[u8]) -> Converted<Self> {
        if version > 1 {
            return Converted::of(bytes);
        }
        let (items, not_listed) = match Converted::<(Vec<FirstItem>, u64)>::of(bytes) {
            Converted::Whole(first) => first,
            Converted::NotEnough => return Converted::NotEnough,
            Converted::Damaged => return Converted::Damaged,
        };
        let item =
            |FirstItem { reference, tenant, name, age_ms }| Item { reference, tenant, name, age_ms, key_left_ms: None };
        Converted::Whole(Self { items: items.into_iter().map(item).collect(), not_listed, ..Self::default() })
    }
}

impl Page {
    pub(super) fn holds(&self, digest: &Fingerprint) -> bool {
        self.items.iter().any(|item| item.reference == *digest.as_bytes())
    }

    pub(super) fn of_tenant(&self, tenant: &str) -> usize {
        self.items.iter().filter(|item| *item.tenant == *tenant).count()
    }

    pub(super) fn get_mut(&mut self, digest: &Fingerprint) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.reference == *digest.as_bytes())
    }

    pub(super) fn push(&mut self, unlisted: &Unlisted) {
        let Unlisted { digest, tenant, name, key_left } = unlisted.clone();
        let key_left_ms = key_left.map(millis);
        self.items.push(Item { reference: *digest.as_bytes(), tenant, name, age_ms: 0, key_left_ms });
    }

    pub(super) fn take_off(&mut self, digest: &Fingerprint) -> Option<Item> {
        let at = self.items.iter().position(|item| item.reference == *digest.as_bytes());
        at.map(|at| self.items.remove(at))
    }
}

impl Item {
    pub(super) fn digest(&self) -> Fingerprint {
        Fingerprint::from_bytes(self.reference)
    }

    /// Takes over how long the provider's key protects another run: the one of the last sending counts.
    pub(super) fn renew_key(&mut self, key_left: Option<Duration>) -> bool {
        let (before, now) = (self.key_left_ms.unwrap_or_default(), key_left.map(millis).unwrap_or_default());
        let is_other = before.abs_diff(now) > millis(SAME_KEY);
        if is_other {
            self.key_left_ms = key_left.map(millis);
        }
        is_other
    }
}

/// How many more the pages hold.
pub(super) fn room(pages: &[Page]) -> usize {
    pages.iter().map(|page| PAGE.saturating_sub(page.items.len())).sum()
}

/// Reads a page, with ages as of now.
pub(super) fn read(held: &Held) -> Result<Page, LedgerError> {
    let mut page: Page = held.payload("holds no list")?;
    page.unchanged = held.told_age();
    let passed = millis(page.unchanged);
    for item in &mut page.items {
        item.age_ms = item.age_ms.saturating_add(passed);
        item.key_left_ms = item.key_left_ms.map(|left| left.saturating_sub(passed));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::is_golden;
    use crate::ledger::{RecordKind, State};

    #[test]
    fn golden_files_hold_what_is_written_of_the_lists() {
        let item = |byte, key_left_ms| Item {
            reference: [byte; 32],
            tenant: "store_42".into(),
            name: "refund".into(),
            age_ms: 61_000,
            key_left_ms,
        };
        let first = Page { items: vec![item(0x44, None), item(0x55, None)], not_listed: 3, ..Page::default() };
        is_golden(RecordKind::Indeterminate, 1, "listed", State::Settled, false, &first);
        is_golden(RecordKind::Indeterminate, 1, "empty", State::Settled, false, &Page::default());
        let second =
            Page { items: vec![item(0x44, Some(3_600_000)), item(0x55, None)], not_listed: 3, ..Page::default() };
        is_golden(RecordKind::Indeterminate, 2, "listed", State::Settled, false, &second);
        is_golden(RecordKind::Indeterminate, 2, "empty", State::Settled, false, &Page::default());
    }

    #[test]
    fn a_full_page_of_the_longest_names_fits_a_record() {
        let (tenant, name) = ("x".repeat(255), "x".repeat(100));
        let item = |_| Item {
            reference: [0xff; 32],
            tenant: tenant.as_str().into(),
            name: name.as_str().into(),
            age_ms: u64::MAX,
            key_left_ms: Some(u64::MAX),
        };
        let page = Page { items: (0..PAGE).map(item).collect(), not_listed: u64::MAX, ..Page::default() };
        assert!(page.write(2).unwrap().len() < 256 * 1024);
    }
}
