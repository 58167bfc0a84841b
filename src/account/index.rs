//! The lists of what is indeterminate, in the store: one of operations, one of requests, each for a provider's account with its
//! tenants together, in pages of 500.
//!
//! What is listed and the list cannot be changed at one moment. So who lists something reads its record again afterwards, who
//! writes its last word late takes it off, and who reads the list checks some of it. When all pages are full, or a tenant's
//! share of them, further ones are counted on the first page and wait in their process until there is room.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Change, Contents, Held, Key, LedgerError, RecordKind, State};

use super::backlog::{Backlog, Unlisted};
use super::decisions::{Decided, DecidedOn, Deciding};
use super::index_page::{Item, Page, read, room};
use super::{Account, MOST_PAGES, PAGE};

/// How many of those on the list are checked each time that it is read, and how many that waited get a place: as many as one
/// can wait for.
const MOST_CHECKED: usize = 20;

/// Last words come within minutes of their claims; midnight may lie between.
#[cfg(feature = "tower")]
const DAYS_OF_LATE_WORDS: u32 = 2;

/// A process that has some waiting puts them on a list that has room sooner than this.
const COUNT_IS_LEFT_OVER: Duration = Duration::from_secs(5 * 60);

/// What a list is of.
pub(crate) struct Listing {
    /// The kind of the records that are listed.
    pub(crate) kind: RecordKind,
    /// What decisions about them are about.
    pub(crate) on: DecidedOn,
    /// Tells the list's own records from those of the other list.
    pub(crate) purpose: &'static str,
    /// Whether a record says that what it is about may have been executed.
    pub(crate) is_marked: fn(&Held) -> Result<bool, LedgerError>,
    /// Those of this process that wait for room.
    pub(crate) backlog: fn(&Account) -> &Backlog,
}

/// One that is on a list.
#[derive(Clone, Debug)]
pub(crate) struct OnList {
    pub(crate) digest: Fingerprint,
    pub(crate) tenant: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) age: Duration,
    /// How long the provider's key still protects another run, where it does.
    pub(crate) key_left: Option<Duration>,
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
        let (pages, digest, key_left) = (self.pages().await?, unlisted.digest, unlisted.key_left);
        if let Some(at) = pages.iter().position(|page| page.holds(&digest)) {
            return self
                .update(at, |page| (page.get_mut(&digest).is_some_and(|item| item.renew_key(key_left)), ()))
                .await;
        }
        self.put_or_count(&pages, unlisted).await?;
        // Its process, or a person, may have said meanwhile what became of it, and found nothing on the list.
        if self.is_over(self.record(&digest).await?.as_ref())? {
            self.remove(&digest).await?;
        }
        Ok(())
    }

    /// Puts one on the list, or lets it wait for room.
    async fn put_or_count(&self, pages: &[Page], unlisted: Unlisted) -> Result<(), LedgerError> {
        // Of several calls of one operation, one counts it.
        if !self.put(pages, &unlisted).await? && self.backlog().push(unlisted) {
            self.count(|not_listed| not_listed.saturating_add(1)).await?;
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

    /// Puts those on the list that found no room before, as far as there is some now, a few at a time.
    async fn fill(&self) -> Result<(), LedgerError> {
        let waiting = self.backlog().all();
        if waiting.is_empty() {
            return Ok(());
        }
        let mut pages = self.pages().await?;
        let (mut full, mut tries) = (self.full_tenants(&pages), 0..MOST_CHECKED);
        for unlisted in waiting {
            if room(&pages) == 0 {
                break;
            }
            if full.contains(&unlisted.tenant) {
                continue;
            }
            if tries.next().is_none() {
                break;
            }
            let is_listed = pages.iter().any(|page| page.holds(&unlisted.digest));
            let is_over = is_listed || self.is_over(self.record(&unlisted.digest).await?.as_ref())?;
            if !is_over && !self.put(&pages, &unlisted).await? {
                continue;
            }
            // Who took it out of the backlog meanwhile, took it out of the count.
            if self.backlog().remove(&unlisted.digest) {
                self.count(|not_listed| not_listed.saturating_sub(1)).await?;
            }
            pages = self.pages().await?;
            full = self.full_tenants(&pages);
        }
        Ok(())
    }

    /// Those that hold their whole share of the list.
    fn full_tenants(&self, pages: &[Page]) -> HashSet<Box<str>> {
        let mut counts = HashMap::<&str, usize>::new();
        for item in pages.iter().flat_map(|page| &page.items) {
            let count = counts.entry(&item.tenant).or_default();
            *count = count.saturating_add(1);
        }
        let share = self.account.limits.indeterminate_per_tenant;
        counts.into_iter().filter(|(_, count)| *count >= share).map(|(tenant, _)| tenant.into()).collect()
    }

    /// Takes one off the list, or out of what waits and its count, and says what it was called. Its place goes to one that
    /// waits.
    pub(crate) async fn remove(&self, digest: &Fingerprint) -> Result<Option<Box<str>>, LedgerError> {
        let was_counted = self.backlog().remove(digest);
        let pages = self.pages().await?;
        let mut taken = None;
        for (at, _) in pages.iter().enumerate().filter(|(_, page)| page.holds(digest)) {
            let taken_off = self.update(at, |page| {
                let item = page.take_off(digest);
                (item.is_some(), item)
            });
            taken = taken_off.await?.or(taken);
        }
        if was_counted {
            self.count(|not_listed| not_listed.saturating_sub(1)).await?;
        }
        let name = taken.as_ref().map(|item| item.name.clone());
        self.put_back(taken.into_iter().collect()).await?;
        self.fill().await?;
        Ok(name)
    }

    /// Puts those back that became indeterminate again before they were taken off: who said so found them listed. Whether
    /// there were any.
    async fn put_back(&self, taken: Vec<Item>) -> Result<bool, LedgerError> {
        let digests: Vec<_> = taken.iter().map(Item::digest).collect();
        let mut is_any = false;
        for (item, found) in taken.into_iter().zip(self.records(&digests).await) {
            if self.is_marked(found?.as_ref())? {
                let (digest, Item { tenant, name, key_left_ms, .. }) = (item.digest(), item);
                let key_left = key_left_ms.map(Duration::from_millis);
                self.put_or_count(&self.pages().await?, Unlisted { digest, tenant, name, key_left }).await?;
                is_any = true;
            }
        }
        Ok(is_any)
    }

    /// Records what a person says became of one, with what the list knows of it, and writes it. Its record goes where what came
    /// of it is an error.
    ///
    /// # Errors
    /// As for [`Account::decide`].
    pub(crate) async fn decide<E>(
        &self,
        digest: &Fingerprint,
        who: &str,
        decided: Decided,
        write: impl Future<Output = Result<Result<(), E>, LedgerError>> + Send,
    ) -> Result<Result<(), E>, LedgerError> {
        let (subject, about) = (digest.to_text(), self.describe(digest).await);
        let deciding = Deciding { who, on: self.listing.on, subject: &subject, about: &about, decided };
        self.account.decide(deciding, write, Result::is_err).await
    }

    /// Whether a person declared of late that it was not executed.
    #[cfg(feature = "tower")]
    pub(crate) async fn was_declared_not_executed(&self, digest: &Fingerprint) -> Result<bool, LedgerError> {
        let (subject, decisions) = (digest.to_text(), self.account.decisions(DAYS_OF_LATE_WORDS).await?);
        let said = (self.listing.on, &*subject, Decided::NotExecuted);
        Ok(decisions.iter().any(|one| (one.on(), one.subject(), one.decided()) == said))
    }

    /// Tenant and name of one that is listed; empty where it is not, or the list cannot be read: no decision waits for a text.
    async fn describe(&self, digest: &Fingerprint) -> String {
        let pages = self.pages().await.unwrap_or_else(|error| {
            self.account.telemetry.store_failed(&error);
            Vec::new()
        });
        let item = pages.iter().flat_map(|page| &page.items).find(|item| item.reference == *digest.as_bytes());
        item.map(|Item { tenant, name, .. }| format!("tenant {tenant}, {name}")).unwrap_or_default()
    }

    /// What is on the list, the oldest first, and about how many are not.
    pub(crate) async fn list(&self) -> Result<(Vec<OnList>, u64), LedgerError> {
        self.fill().await?;
        let mut pages = self.pages().await?;
        // What cannot be checked now, is checked another time.
        let over = self.over(&pages).await.unwrap_or_else(|error| {
            self.account.telemetry.store_failed(&error);
            Vec::new()
        });
        let mut taken = Vec::new();
        for (at, page) in pages.iter_mut().enumerate() {
            if over.iter().any(|digest| page.holds(digest)) {
                let cleared = self.update(at, |page| {
                    let taken: Vec<_> = over.iter().filter_map(|digest| page.take_off(digest)).collect();
                    (!taken.is_empty(), (page.clone(), taken))
                });
                let (left, off) = cleared.await?;
                *page = left;
                taken.extend(off);
            }
        }
        if !taken.is_empty() && self.put_back(taken).await? {
            pages = self.pages().await?;
        }
        let not_listed = self.counted(&pages).await?;
        let listed = |Item { reference, tenant, name, age_ms, key_left_ms }| OnList {
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

    /// How many have no place. What a process left counted that is gone is forgotten, once there has long been room for all.
    async fn counted(&self, pages: &[Page]) -> Result<u64, LedgerError> {
        let Some(&Page { not_listed, unchanged, .. }) = pages.first() else { return Ok(0) };
        let has_room = u64::try_from(room(pages)).is_ok_and(|room| room >= not_listed);
        let is_left_over = |unchanged| unchanged >= COUNT_IS_LEFT_OVER && self.backlog().is_empty();
        if not_listed == 0 || !has_room || !is_left_over(unchanged) || !self.full_tenants(pages).is_empty() {
            return Ok(not_listed);
        }
        let forgotten = self.update(0, |page| {
            let is_left_over = page.not_listed > 0 && is_left_over(page.unchanged);
            page.not_listed = if is_left_over { 0 } else { page.not_listed };
            (is_left_over, page.not_listed)
        });
        forgotten.await
    }

    /// Which of those on the list their records no longer bear out: of so many in a row, from anywhere in the list.
    async fn over(&self, pages: &[Page]) -> Result<Vec<Fingerprint>, LedgerError> {
        let all: Vec<_> = pages.iter().flat_map(|page| &page.items).collect();
        let first = rand::make_rng::<StdRng>().random_range(0..=all.len().saturating_sub(MOST_CHECKED));
        let digests: Vec<_> = all.into_iter().skip(first).take(MOST_CHECKED).map(Item::digest).collect();
        let mut over = Vec::new();
        for (digest, found) in digests.iter().zip(self.records(&digests).await) {
            if self.is_over(found?.as_ref())? {
                over.push(*digest);
            }
        }
        Ok(over)
    }

    /// Whether a record bears out no place on the list. One that is sent again or asked about stays until that has come to its
    /// end.
    fn is_over(&self, found: Option<&Held>) -> Result<bool, LedgerError> {
        let is_under_way = found.is_some_and(|found| found.record.state == State::Claimed);
        Ok(!is_under_way && !self.is_marked(found)?)
    }

    fn is_marked(&self, found: Option<&Held>) -> Result<bool, LedgerError> {
        found.map_or(Ok(false), self.listing.is_marked)
    }

    async fn records(&self, digests: &[Fingerprint]) -> Vec<Result<Option<Held>, LedgerError>> {
        let ledger = &self.account.ledger;
        let keys: Vec<_> = digests.iter().map(|digest| ledger.key(self.listing.kind, digest)).collect();
        ledger.get_many(&keys).await
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
