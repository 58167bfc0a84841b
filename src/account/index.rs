//! The lists of what is indeterminate, in the store: one of operations, one of requests, each for a provider's account with its
//! tenants together, in pages of 500.
//!
//! What is listed and the list cannot be changed at one moment. So who lists something reads its record again afterwards, who
//! writes its last word late takes it off, and who reads the list checks some of it. When all pages are full, or a tenant's
//! share of them, further ones are counted on the first page and wait in their process until there is room.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Change, Contents, Converted, Held, Key, LedgerError, RecordKind, State, Versioned, millis};

use super::backlog::{Backlog, Unlisted};
use super::{Account, MOST_PAGES, PAGE};

/// How many of those on the list are checked each time that it is read: as many as one can wait for.
const MOST_CHECKED: usize = 20;

/// What a list is of.
pub(crate) struct Listing {
    /// The kind of the records that are listed.
    pub(crate) kind: RecordKind,
    /// Tells the list's own records from those of the other list.
    pub(crate) purpose: &'static str,
    /// Whether a record says that what it is about may have been executed.
    pub(crate) is_marked: fn(&Held) -> Result<bool, LedgerError>,
    /// Those of this process that wait for room.
    pub(crate) backlog: fn(&Account) -> &Backlog,
}

/// One that is on a list.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) digest: Fingerprint,
    pub(crate) tenant: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) age: Duration,
    /// How long the provider's key still protects another run, where it does.
    pub(crate) key_left: Option<Duration>,
}

/// A page as its record holds it. The first one counts those without a place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Page {
    items: Vec<Item>,
    not_listed: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    reference: [u8; 32],
    tenant: Box<str>,
    name: Box<str>,
    /// When the record was written.
    age_ms: u64,
    /// From then on.
    key_left_ms: Option<u64>,
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
        Converted::Whole(Self { items: items.into_iter().map(item).collect(), not_listed })
    }
}

impl Page {
    fn holds(&self, digest: &Fingerprint) -> bool {
        self.items.iter().any(|item| item.reference == *digest.as_bytes())
    }

    fn of_tenant(&self, tenant: &str) -> usize {
        self.items.iter().filter(|item| *item.tenant == *tenant).count()
    }

    fn push(&mut self, unlisted: &Unlisted) {
        let Unlisted { digest, tenant, name, key_left } = unlisted.clone();
        let key_left_ms = key_left.map(millis);
        self.items.push(Item { reference: *digest.as_bytes(), tenant, name, age_ms: 0, key_left_ms });
    }

    /// Takes one off the page, and says what it was called.
    fn take_off(&mut self, digest: &Fingerprint) -> Option<Box<str>> {
        let at = self.items.iter().position(|item| item.reference == *digest.as_bytes());
        at.map(|at| self.items.remove(at).name)
    }
}

/// One of the lists.
pub(crate) struct Index<'e> {
    account: &'e Account,
    listing: &'static Listing,
    ttl: Duration,
}

impl<'e> Index<'e> {
    /// The list, kept for as long at least as what is put on it now.
    pub(crate) fn new(account: &'e Account, listing: &'static Listing, ttl: Duration) -> Self {
        Self { account, listing, ttl }
    }

    fn page_key(&self, page: usize) -> Key {
        let (identity, number) = (&self.account.identity, page.to_string());
        // The first page stands where the list stood when it had one.
        let further = [number.as_str()];
        let parts: &[&str] = if page == 0 { &[] } else { &further };
        self.account.ledger.key(RecordKind::Indeterminate, &identity.fingerprint(self.listing.purpose, parts))
    }

    fn backlog(&self) -> &Backlog {
        (self.listing.backlog)(self.account)
    }

    /// Puts one on the list, unless it is there.
    pub(crate) async fn add(&self, unlisted: Unlisted) -> Result<(), LedgerError> {
        let (pages, digest) = (self.pages().await?, unlisted.digest);
        if pages.iter().any(|page| page.holds(&digest)) {
            return Ok(());
        }
        if !self.put(&pages, &unlisted).await? && !self.backlog().holds(&digest) {
            self.count(|not_listed| not_listed.saturating_add(1)).await?;
            self.backlog().push(unlisted);
        }
        // Its process, or a person, may have said meanwhile what became of it, and found nothing on the list.
        if !self.is_marked(self.record(&digest).await?.as_ref())? {
            self.remove(&digest, true).await?;
        }
        Ok(())
    }

    /// Puts one on the first page that has room, within its tenant's share of all pages. False where there is none.
    async fn put(&self, pages: &[Page], unlisted: &Unlisted) -> Result<bool, LedgerError> {
        let share = self.account.limits.indeterminate_per_tenant;
        let of_tenant: usize = pages.iter().map(|page| page.of_tenant(&unlisted.tenant)).sum();
        for (at, page) in pages.iter().enumerate().filter(|(_, page)| page.items.len() < PAGE) {
            let elsewhere = of_tenant.saturating_sub(page.of_tenant(&unlisted.tenant));
            let put = self.update(at, |page| {
                let is_there = page.holds(&unlisted.digest);
                let has_share = elsewhere.saturating_add(page.of_tenant(&unlisted.tenant)) < share;
                let has_room = page.items.len() < PAGE && has_share;
                if !is_there && has_room {
                    page.push(unlisted);
                }
                (!is_there && has_room, is_there || has_room)
            });
            if put.await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn count(&self, change: impl Fn(u64) -> u64) -> Result<(), LedgerError> {
        let counted = self.update(0, |page| {
            let before = page.not_listed;
            page.not_listed = change(before);
            (page.not_listed != before, ())
        });
        counted.await
    }

    /// Puts those on the list that found no room before, as far as there is some now.
    async fn fill(&self) -> Result<(), LedgerError> {
        let waiting = self.backlog().all();
        if waiting.is_empty() {
            return Ok(());
        }
        let mut pages = self.pages().await?;
        for unlisted in waiting {
            let of_tenant: usize = pages.iter().map(|page| page.of_tenant(&unlisted.tenant)).sum();
            let has_room = pages.iter().any(|page| page.items.len() < PAGE);
            if !has_room || of_tenant >= self.account.limits.indeterminate_per_tenant {
                continue;
            }
            let is_listed = pages.iter().any(|page| page.holds(&unlisted.digest));
            let is_over = is_listed || !self.is_marked(self.record(&unlisted.digest).await?.as_ref())?;
            if !is_over && !self.put(&pages, &unlisted).await? {
                continue;
            }
            // Who took it out of the backlog meanwhile, took it out of the count.
            if self.backlog().remove(&unlisted.digest) {
                self.count(|not_listed| not_listed.saturating_sub(1)).await?;
            }
            pages = self.pages().await?;
        }
        Ok(())
    }

    /// Takes one off the list, or out of the count, and says what it was called. Its place goes to one that waits.
    pub(crate) async fn remove(
        &self,
        digest: &Fingerprint,
        may_be_counted: bool,
    ) -> Result<Option<Box<str>>, LedgerError> {
        let may_be_counted = self.backlog().remove(digest) || may_be_counted;
        let pages = self.pages().await?;
        let mut name = None;
        for (at, _) in pages.iter().enumerate().filter(|(_, page)| page.holds(digest)) {
            let taken_off = self.update(at, |page| {
                let name = page.take_off(digest);
                (name.is_some(), name)
            });
            name = taken_off.await?.or(name);
        }
        if name.is_none() && may_be_counted && pages.first().is_some_and(|page| page.not_listed > 0) {
            self.count(|not_listed| not_listed.saturating_sub(1)).await?;
        }
        self.fill().await?;
        Ok(name)
    }

    /// Tenant and name of one that is listed; empty where it is not, or the list cannot be read: no decision waits for a text.
    pub(crate) async fn describe(&self, digest: &Fingerprint) -> String {
        let pages = self.pages().await.unwrap_or_else(|error| {
            self.account.telemetry.store_failed(&error);
            Vec::new()
        });
        let item = pages.iter().flat_map(|page| &page.items).find(|item| item.reference == *digest.as_bytes());
        item.map(|Item { tenant, name, .. }| format!("tenant {tenant}, {name}")).unwrap_or_default()
    }

    /// What is on the list, the oldest first, and about how many are not.
    pub(crate) async fn list(&self) -> Result<(Vec<Listed>, u64), LedgerError> {
        self.fill().await?;
        let mut pages = self.pages().await?;
        // What cannot be checked now, is checked another time.
        let over = self.over(&pages).await.unwrap_or_else(|error| {
            self.account.telemetry.store_failed(&error);
            Vec::new()
        });
        for (at, page) in pages.iter_mut().enumerate() {
            if over.iter().any(|digest| page.holds(digest)) {
                let cleared = self.update(at, |page| {
                    let is_changed = over.iter().filter_map(|digest| page.take_off(digest)).count() > 0;
                    (is_changed, page.clone())
                });
                *page = cleared.await?;
            }
        }
        let not_listed = pages.first().map(|page| page.not_listed).unwrap_or_default();
        let listed = |Item { reference, tenant, name, age_ms, key_left_ms }| Listed {
            digest: Fingerprint::from_bytes(reference),
            tenant,
            name,
            age: Duration::from_millis(age_ms),
            key_left: key_left_ms.map(Duration::from_millis).filter(|left| !left.is_zero()),
        };
        let mut all: Vec<_> = pages.into_iter().flat_map(|page| page.items).map(listed).collect();
        all.sort_by_key(|listed| std::cmp::Reverse(listed.age));
        Ok((all, not_listed))
    }

    /// Which of those on the list their records no longer bear out: of so many in a row, from anywhere in the list.
    async fn over(&self, pages: &[Page]) -> Result<Vec<Fingerprint>, LedgerError> {
        let all: Vec<_> = pages.iter().flat_map(|page| &page.items).collect();
        let first = rand::make_rng::<StdRng>().random_range(0..=all.len().saturating_sub(MOST_CHECKED));
        let checked = all.into_iter().skip(first).take(MOST_CHECKED);
        let digests: Vec<_> = checked.map(|item| Fingerprint::from_bytes(item.reference)).collect();
        let keys: Vec<_> = digests.iter().map(|digest| self.account.ledger.key(self.listing.kind, digest)).collect();
        let mut over = Vec::new();
        for (digest, found) in digests.into_iter().zip(self.account.ledger.get_many(&keys).await) {
            let found = found?;
            // One that is sent again or asked about stays until that has come to its end.
            let is_under_way = found.as_ref().is_some_and(|found| found.record.state == State::Claimed);
            if !is_under_way && !self.is_marked(found.as_ref())? {
                over.push(digest);
            }
        }
        Ok(over)
    }

    fn is_marked(&self, found: Option<&Held>) -> Result<bool, LedgerError> {
        found.map_or(Ok(false), self.listing.is_marked)
    }

    async fn record(&self, digest: &Fingerprint) -> Result<Option<Held>, LedgerError> {
        self.account.ledger.get(&self.account.ledger.key(self.listing.kind, digest)).await
    }

    async fn pages(&self) -> Result<Vec<Page>, LedgerError> {
        let keys: Vec<_> = (0..MOST_PAGES).map(|page| self.page_key(page)).collect();
        let found = self.account.ledger.get_many(&keys).await;
        found.into_iter().map(|found| Ok(found?.as_ref().map(read).transpose()?.unwrap_or_default())).collect()
    }

    /// Changes a page, if `change` says that it did, and hands on what it says beside.
    async fn update<T>(&self, page: usize, change: impl Fn(&mut Page) -> (bool, T)) -> Result<T, LedgerError> {
        let key = self.page_key(page);
        let change = |found: Option<&Held>| {
            let mut page = found.map(read).transpose()?.unwrap_or_default();
            let (is_changed, said) = change(&mut page);
            if !is_changed {
                return Ok((Change::Keep, said));
            }
            // What others listed for longer stays for as long.
            let ttl = self.ttl.max(found.map(Held::ttl_left).unwrap_or_default());
            let (payload, lease) = (key.payload_of(&page)?, Duration::ZERO);
            Ok((Change::Write(Contents { state: State::Settled, ttl, lease, payload }), said))
        };
        self.account.ledger.update(&key, change).await
    }
}

/// Reads a page, with ages as of now.
fn read(held: &Held) -> Result<Page, LedgerError> {
    let mut page: Page = held.payload("holds no list")?;
    let passed = millis(held.told_age());
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

    #[test]
    fn golden_files_hold_what_is_written_of_the_lists() {
        let item = |byte, key_left_ms| Item {
            reference: [byte; 32],
            tenant: "store_42".into(),
            name: "refund".into(),
            age_ms: 61_000,
            key_left_ms,
        };
        let first = Page { items: vec![item(0x44, None), item(0x55, None)], not_listed: 3 };
        is_golden(RecordKind::Indeterminate, 1, "listed", State::Settled, false, &first);
        is_golden(RecordKind::Indeterminate, 1, "empty", State::Settled, false, &Page::default());
        let second = Page { items: vec![item(0x44, Some(3_600_000)), item(0x55, None)], not_listed: 3 };
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
        let page = Page { items: (0..PAGE).map(item).collect(), not_listed: u64::MAX };
        assert!(page.write(2).unwrap().len() < 256 * 1024);
    }
}
