//! The list of indeterminate operations, of which it is unknown whether they were executed: one record per provider, tenants together.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::accessors::getters;
use crate::account::{Account, Unlisted};
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Change, Contents, Held, Key, LedgerError, RecordKind, State, Versioned, millis};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::job::OperationRecord;
use super::record::{Payload, Phase};

/// At the longest names they fill three quarters of a record. More are no list but an outage, and are counted.
const MOST_LISTED: usize = 500;

/// How many of those on the list are checked each time that it is read: as many as one can wait for.
const MOST_CHECKED: usize = 20;

/// Names an operation without saying what it is: 43 characters of `A-Z a-z 0-9 - _`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OperationReference(Fingerprint);

impl OperationReference {
    pub(crate) fn new(digest: Fingerprint) -> Self {
        Self(digest)
    }

    pub(crate) fn digest(self) -> Fingerprint {
        self.0
    }
}

/// Reads a reference as it is shown.
impl FromStr for OperationReference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidReference(()))?;
        let digest = bytes.try_into().map_err(|_| InvalidReference(()))?;
        Ok(Self(Fingerprint::from_bytes(digest)))
    }
}

/// A text that is no [`OperationReference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operation reference is 43 characters of base64url")]
pub struct InvalidReference(());

impl fmt::Display for OperationReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_text())
    }
}

/// As it is shown.
impl Serialize for OperationReference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OperationReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Debug for OperationReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An operation of which it is unknown whether it was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndeterminateOperation {
    tenant: Box<str>,
    name: Box<str>,
    reference: OperationReference,
    age: Duration,
}

impl IndeterminateOperation {
    getters! {
        /// Whose operation it is.
        pub fn tenant(&self) -> &str => &self.tenant;

        /// What it does.
        pub fn name(&self) -> &str => &self.name;

        /// What to give to [`resolve_reference`](crate::guard::Guard::resolve_reference).
        pub fn reference(&self) -> OperationReference => self.reference;

        /// How long it has been on the list, by the store's clock.
        pub fn age(&self) -> Duration => self.age;
    }
}

/// What has to be looked into, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndeterminateList {
    operations: Vec<IndeterminateOperation>,
    not_listed: u64,
}

impl IndeterminateList {
    /// Goes through the list, the oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, IndeterminateOperation> {
        self.operations.iter()
    }

    getters! {
        /// Operations on the list.
        pub fn len(&self) -> usize => self.operations.len();

        /// Whether nothing has to be looked into.
        pub fn is_empty(&self) -> bool => self.operations.is_empty() && self.not_listed == 0;

        /// About how many more there are than the list has room for: it holds 500, and of one tenant's 250 unless
        /// [`max_indeterminate_per_tenant`](crate::ValidatorBuilder::max_indeterminate_per_tenant) says otherwise.
        ///
        /// They are listed as soon as there is room: when the process that found them resolves one of the others or
        /// reads the list, as for its health page; after that process has ended, when they are next run.
        pub fn not_listed(&self) -> u64 => self.not_listed;

        /// How long the oldest one has been on the list. Worth an alarm.
        pub fn oldest(&self) -> Option<Duration> => self.operations.first().map(IndeterminateOperation::age);

        /// About how many there are, those without a place on the list included.
        pub(crate) fn total(&self) -> u64 =>
            u64::try_from(self.operations.len()).unwrap_or(u64::MAX).saturating_add(self.not_listed);
    }
}

impl<'l> IntoIterator for &'l IndeterminateList {
    type Item = &'l IndeterminateOperation;
    type IntoIter = std::slice::Iter<'l, IndeterminateOperation>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What the record holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct List {
    items: Vec<Item>,
    not_listed: u64,
}

impl Versioned<'_> for List {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    reference: [u8; 32],
    tenant: Box<str>,
    name: Box<str>,
    /// When the record was written.
    age_ms: u64,
}

impl List {
    fn holds(&self, digest: &Fingerprint) -> bool {
        self.items.iter().any(|item| item.reference == *digest.as_bytes())
    }

    fn push(&mut self, operation: &Unlisted) {
        let Unlisted { digest, tenant, name } = operation.clone();
        self.items.push(Item { reference: *digest.as_bytes(), tenant, name, age_ms: 0 });
    }

    /// Takes an operation off, and says what it was called.
    fn take_off(&mut self, digest: &Fingerprint) -> Option<Box<str>> {
        let at = self.items.iter().position(|item| item.reference == *digest.as_bytes());
        at.map(|at| self.items.remove(at).name)
    }
}

/// The list's record.
///
/// An operation's record and the list cannot be changed at one moment. So who lists an operation reads its record again
/// afterwards, who writes its last word late takes it off, and who reads the list checks some of it.
pub(super) struct Index<'e> {
    account: &'e Account,
    key: Key,
    ttl: Duration,
}

impl<'e> Index<'e> {
    pub(super) fn new(account: &'e Account, ttl: Duration) -> Self {
        let digest = account.identity.fingerprint("indeterminate", &[]);
        Self { account, key: account.ledger.key(RecordKind::Indeterminate, &digest), ttl }
    }

    /// The list on which an operation belongs.
    pub(super) fn of(place: &'e OperationRecord) -> Self {
        Self::new(&place.account, place.settings.write_retention)
    }

    /// Puts an operation on the list, unless it is there.
    pub(super) async fn add(&self, place: &OperationRecord) -> Result<(), LedgerError> {
        let backlog = &self.account.backlog;
        let (tenant, name) = (place.operation.tenant().into(), place.operation.name().into());
        let operation = Unlisted { digest: place.digest, tenant, name };
        let is_listed = |list: &mut List| {
            let is_new = !list.holds(&place.digest);
            if is_new && self.has_room(list, &operation.tenant) {
                list.push(&operation);
            } else if is_new && backlog.holds(&place.digest) {
                return (false, false);
            } else if is_new {
                list.not_listed = list.not_listed.saturating_add(1);
                return (true, false);
            }
            (is_new, true)
        };
        if !self.update(is_listed).await? {
            backlog.push(operation);
        }
        // Its process, or a person, may have said meanwhile what became of it, and found nothing on the list.
        if !is_marked(self.record(&place.digest).await?.as_ref())? {
            self.remove(&place.digest, true).await?;
        }
        Ok(())
    }

    /// Whether another operation of a tenant finds room: on the list, and in the tenant's share of it.
    fn has_room(&self, list: &List, tenant: &str) -> bool {
        let of_tenant = list.items.iter().filter(|item| *item.tenant == *tenant).count();
        list.items.len() < MOST_LISTED && of_tenant < self.account.limits.indeterminate_per_tenant
    }

    /// Puts those on the list that found no room before, as far as there is some now.
    async fn fill(&self) -> Result<(), LedgerError> {
        let (backlog, mut open) = (&self.account.backlog, Vec::new());
        let waiting = backlog.all();
        if waiting.is_empty() {
            return Ok(());
        }
        let mut list = self.read().await?;
        for operation in waiting {
            if !self.has_room(&list, &operation.tenant) {
                continue;
            }
            if list.holds(&operation.digest) || !is_marked(self.record(&operation.digest).await?.as_ref())? {
                backlog.remove(&operation.digest);
                continue;
            }
            list.push(&operation);
            open.push(operation);
        }
        let listed = self.update(|list| {
            let mut listed = Vec::new();
            for operation in &open {
                if !list.holds(&operation.digest) && self.has_room(list, &operation.tenant) {
                    list.push(operation);
                    list.not_listed = list.not_listed.saturating_sub(1);
                    listed.push(operation.digest);
                }
            }
            (!listed.is_empty(), listed)
        });
        for digest in listed.await? {
            backlog.remove(&digest);
        }
        Ok(())
    }

    /// Takes an operation off the list, or out of the count, and says what it was called. Its place goes to one that waits.
    pub(super) async fn remove(
        &self,
        digest: &Fingerprint,
        may_be_counted: bool,
    ) -> Result<Option<Box<str>>, LedgerError> {
        let may_be_counted = self.account.backlog.remove(digest) || may_be_counted;
        let taken_off = self.update(|list| {
            let name = list.take_off(digest);
            let is_counted = name.is_none() && may_be_counted && list.not_listed > 0;
            list.not_listed = list.not_listed.saturating_sub(u64::from(is_counted));
            (name.is_some() || is_counted, name)
        });
        let name = taken_off.await?;
        self.fill().await?;
        Ok(name)
    }

    /// What is on the list.
    pub(super) async fn list(&self) -> Result<IndeterminateList, LedgerError> {
        self.fill().await?;
        let mut list = self.read().await?;
        // What cannot be checked now, is checked another time.
        let over = self.over(&list).await.unwrap_or_else(|error| {
            self.account.telemetry.store_failed(&error);
            Vec::new()
        });
        if !over.is_empty() {
            list = self
                .update(|list| {
                    let is_changed = over.iter().filter_map(|digest| list.take_off(digest)).count() > 0;
                    (is_changed, list.clone())
                })
                .await?;
        }
        let operation = |Item { reference, tenant, name, age_ms }| IndeterminateOperation {
            tenant,
            name,
            reference: OperationReference(Fingerprint::from_bytes(reference)),
            age: Duration::from_millis(age_ms),
        };
        let mut operations: Vec<_> = list.items.into_iter().map(operation).collect();
        operations.sort_by_key(|operation| std::cmp::Reverse(operation.age));
        Ok(IndeterminateList { operations, not_listed: list.not_listed })
    }

    /// Which of those on the list their records no longer bear out: of so many in a row, from anywhere in the list.
    async fn over(&self, list: &List) -> Result<Vec<Fingerprint>, LedgerError> {
        let unchecked = list.items.len().saturating_sub(MOST_CHECKED);
        let first = rand::make_rng::<StdRng>().random_range(0..=unchecked);
        let checked = list.items.iter().skip(first).take(MOST_CHECKED);
        let digests: Vec<_> = checked.map(|item| Fingerprint::from_bytes(item.reference)).collect();
        let keys: Vec<_> =
            digests.iter().map(|digest| self.account.ledger.key(RecordKind::Operation, digest)).collect();
        let mut over = Vec::new();
        for (digest, found) in digests.into_iter().zip(self.account.ledger.get_many(&keys).await) {
            let found = found?;
            // One that is sent again or asked about stays until that has come to its end.
            let is_under_way = found.as_ref().is_some_and(|found| found.record.state == State::Claimed);
            if !is_under_way && !is_marked(found.as_ref())? {
                over.push(digest);
            }
        }
        Ok(over)
    }

    async fn record(&self, digest: &Fingerprint) -> Result<Option<Held>, LedgerError> {
        self.account.ledger.get(&self.account.ledger.key(RecordKind::Operation, digest)).await
    }

    async fn read(&self) -> Result<List, LedgerError> {
        let found = self.account.ledger.get(&self.key).await?;
        Ok(found.as_ref().map(read).transpose()?.unwrap_or_default())
    }

    /// Changes the list, if `change` says that it did, and hands on what it says beside.
    async fn update<T>(&self, change: impl Fn(&mut List) -> (bool, T)) -> Result<T, LedgerError> {
        let change = |found: Option<&Held>| {
            let mut list = found.map(read).transpose()?.unwrap_or_default();
            let (is_changed, said) = change(&mut list);
            if !is_changed {
                return Ok((Change::Keep, said));
            }
            let (payload, lease) = (self.key.payload_of(&list)?, Duration::ZERO);
            Ok((Change::Write(Contents { state: State::Settled, ttl: self.ttl, lease, payload }), said))
        };
        self.account.ledger.update(&self.key, change).await
    }
}

/// Whether a record says of its operation that it may have been executed.
fn is_marked(found: Option<&Held>) -> Result<bool, LedgerError> {
    let Some(found) = found else { return Ok(false) };
    Ok(matches!(Payload::read(found)?.phase, Phase::Indeterminate | Phase::Reconciling))
}

/// Reads the list, with ages as of now.
fn read(held: &Held) -> Result<List, LedgerError> {
    let mut list: List = held.payload("holds no list")?;
    for item in &mut list.items {
        item.age_ms = item.age_ms.saturating_add(millis(held.told_age()));
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::golden::{is_golden, is_golden_json};

    #[test]
    fn golden_files_hold_what_is_written_of_the_list_and_its_references() {
        let item =
            |byte| Item { reference: [byte; 32], tenant: "store_42".into(), name: "refund".into(), age_ms: 61_000 };
        let list = List { items: vec![item(0x44), item(0x55)], not_listed: 3 };
        is_golden(RecordKind::Indeterminate, 1, "listed", State::Settled, false, &list);
        is_golden(RecordKind::Indeterminate, 1, "empty", State::Settled, false, &List::default());
        is_golden_json("operation_reference", &OperationReference::new(Fingerprint::from_bytes([0x44; 32])));
    }
}
