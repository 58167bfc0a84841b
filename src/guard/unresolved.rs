//! The list of operations of which nobody knows whether they were executed: one record per provider, tenants together.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::call::deadline::Deadline;
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{
    Claimed, Entry, Held, Key, Kind, Ledger, LedgerError, Nonce, Poll, Replaced, State, millis, payload_of,
};
use crate::lookup::engine::{Engine, Unlisted};

use super::job::Place;
use super::record::{Payload, Phase};

/// At the longest names they fill three quarters of a record. More are no list but an outage, and are counted.
const MOST_LISTED: usize = 500;

/// The longest that an entry waits for its turn, when many processes write the list at one moment.
const LIMIT: Duration = Duration::from_secs(10);

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

    /// Reads a reference as it is shown; `None` when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(Fingerprint::from_bytes(bytes.try_into().ok()?)))
    }
}

impl fmt::Display for OperationReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_text())
    }
}

impl fmt::Debug for OperationReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An operation of which nobody knows whether it was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    tenant: Box<str>,
    name: Box<str>,
    reference: OperationReference,
    age: Duration,
}

impl Unresolved {
    /// Whose operation it is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// What it does.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What to give to [`resolve_reference`](crate::Guard::resolve_reference).
    #[must_use]
    pub fn reference(&self) -> OperationReference {
        self.reference
    }

    /// How long it has been on the list, by the store's clock.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }
}

/// What has to be looked into, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnresolvedList {
    operations: Vec<Unresolved>,
    not_listed: u64,
}

impl UnresolvedList {
    /// Goes through the list, the oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Unresolved> {
        self.operations.iter()
    }

    /// Operations on the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing has to be looked into.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.not_listed == 0
    }

    /// About how many more there are than the list has room for: it holds 500, and of one tenant's 250 unless
    /// [`max_unresolved_per_tenant`](crate::ValidatorBuilder::max_unresolved_per_tenant) says otherwise.
    ///
    /// They are listed as soon as there is room: when the process that found them resolves one of the others or reads the
    /// list, as for its health page; after that process has ended, when they are next run.
    #[must_use]
    pub fn not_listed(&self) -> u64 {
        self.not_listed
    }

    /// About how many there are, those without a place on the list included.
    pub(crate) fn total(&self) -> u64 {
        u64::try_from(self.operations.len()).unwrap_or(u64::MAX).saturating_add(self.not_listed)
    }

    /// How long the oldest one has been on the list. Worth an alarm.
    #[must_use]
    pub fn oldest(&self) -> Option<Duration> {
        self.operations.first().map(Unresolved::age)
    }
}

impl<'l> IntoIterator for &'l UnresolvedList {
    type Item = &'l Unresolved;
    type IntoIter = std::slice::Iter<'l, Unresolved>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What the record holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct List {
    items: Vec<Item>,
    not_listed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item {
    reference: [u8; 32],
    tenant: Box<str>,
    name: Box<str>,
    /// When the record was written.
    age_ms: u64,
}

/// The list's record.
pub(super) struct Index<'e> {
    engine: &'e Engine,
    ledger: &'e Ledger,
    key: Key,
    ttl: Duration,
}

impl<'e> Index<'e> {
    pub(super) fn new(engine: &'e Engine, ttl: Duration) -> Self {
        let digest = engine.identity.fingerprint("unresolved", &[]);
        Self { engine, ledger: &engine.effects, key: engine.effects.key(Kind::Unresolved, &digest), ttl }
    }

    /// Puts an operation on the list, unless it is there.
    pub(super) async fn add(&self, place: &Place) -> Result<(), LedgerError> {
        let reference = *place.digest.as_bytes();
        let item = || Item {
            reference,
            tenant: place.operation.tenant().into(),
            name: place.operation.name().into(),
            age_ms: 0,
        };
        let first = List { items: vec![item()], not_listed: 0 };
        let mut held = match self.ledger.claim(&self.key, self.entry(&first)?).await? {
            Claimed::Ours(_) => return Ok(()),
            Claimed::Held(held) => held,
        };
        let (mut poll, deadline) = (Poll::new(), Deadline::after(Instant::now(), LIMIT));
        loop {
            let mut list = read(&held)?;
            if list.items.iter().any(|item| item.reference == reference) {
                return Ok(());
            }
            let has_room = self.has_room(&list, place.operation.tenant());
            if has_room {
                list.items.push(item());
            } else if self.engine.backlog.holds(&place.digest) {
                return Ok(());
            } else {
                list.not_listed = list.not_listed.saturating_add(1);
            }
            held = match self.replace(&held, &list).await? {
                Replaced::Ours(_) if has_room => return Ok(()),
                Replaced::Ours(_) => {
                    let Item { tenant, name, .. } = item();
                    self.engine.backlog.push(Unlisted { digest: place.digest, tenant, name });
                    return Ok(());
                }
                Replaced::Lost(Some(held)) => held,
                Replaced::Lost(None) => match self.ledger.claim(&self.key, self.entry(&first)?).await? {
                    Claimed::Ours(_) => return Ok(()),
                    Claimed::Held(held) => held,
                },
            };
            held = self.in_turn(held, &mut poll, deadline).await?;
        }
    }

    /// Whether another operation of a tenant finds room: on the list, and in the tenant's share of it.
    fn has_room(&self, list: &List, tenant: &str) -> bool {
        let of_tenant = list.items.iter().filter(|item| *item.tenant == *tenant).count();
        list.items.len() < MOST_LISTED && of_tenant < self.engine.unresolved_per_tenant
    }

    /// Puts those on the list that found no room before, as far as there is some now.
    async fn fill(&self) -> Result<(), LedgerError> {
        let waiting = self.engine.backlog.all();
        if waiting.is_empty() {
            return Ok(());
        }
        let Some(held) = self.ledger.get(&self.key).await? else { return Ok(()) };
        let (mut list, mut listed) = (read(&held)?, Vec::new());
        for Unlisted { digest, tenant, name } in waiting {
            if !self.has_room(&list, &tenant) {
                continue;
            }
            let record = self.ledger.get(&self.ledger.key(Kind::Operation, &digest)).await?;
            let is_open = match record {
                Some(record) => Payload::read(&record)?.phase == Phase::Indeterminate,
                None => false,
            };
            let reference = *digest.as_bytes();
            if !is_open || list.items.iter().any(|item| item.reference == reference) {
                self.engine.backlog.remove(&digest);
                continue;
            }
            list.items.push(Item { reference, tenant, name, age_ms: 0 });
            list.not_listed = list.not_listed.saturating_sub(1);
            listed.push(digest);
        }
        // Where others wrote meanwhile, the next look does it.
        if !listed.is_empty() && matches!(self.replace(&held, &list).await?, Replaced::Ours(_)) {
            for digest in listed {
                self.engine.backlog.remove(&digest);
            }
        }
        Ok(())
    }

    /// Lets others go first, each for another while, and looks again.
    async fn in_turn(&self, held: Held, poll: &mut Poll, deadline: Deadline) -> Result<Held, LedgerError> {
        if !poll.wait(LIMIT, deadline).await {
            return Err(LedgerError::Contended);
        }
        Ok(self.ledger.get(&self.key).await?.unwrap_or(held))
    }

    /// Takes an operation off the list, and says what it was called. Its place goes to one that waits for it.
    pub(super) async fn remove(&self, digest: &Fingerprint) -> Result<Option<Box<str>>, LedgerError> {
        self.engine.backlog.remove(digest);
        let name = self.take_off(digest).await?;
        self.fill().await?;
        Ok(name)
    }

    /// Takes an operation off the list. One that was never listed was counted.
    async fn take_off(&self, digest: &Fingerprint) -> Result<Option<Box<str>>, LedgerError> {
        let Some(mut held) = self.ledger.get(&self.key).await? else { return Ok(None) };
        let (mut poll, deadline) = (Poll::new(), Deadline::after(Instant::now(), LIMIT));
        loop {
            let mut list = read(&held)?;
            let at = list.items.iter().position(|item| item.reference == *digest.as_bytes());
            let name = at.map(|at| list.items.remove(at).name);
            if name.is_none() && list.not_listed == 0 {
                return Ok(None);
            }
            if name.is_none() {
                list.not_listed = list.not_listed.saturating_sub(1);
            }
            held = match self.replace(&held, &list).await? {
                Replaced::Ours(_) | Replaced::Lost(None) => return Ok(name),
                Replaced::Lost(Some(held)) => held,
            };
            held = self.in_turn(held, &mut poll, deadline).await?;
        }
    }

    /// What is on the list.
    pub(super) async fn list(&self) -> Result<UnresolvedList, LedgerError> {
        self.fill().await?;
        let Some(held) = self.ledger.get(&self.key).await? else { return Ok(UnresolvedList::default()) };
        let List { items, not_listed } = read(&held)?;
        let mut operations: Vec<_> = items
            .into_iter()
            .map(|Item { reference, tenant, name, age_ms }| Unresolved {
                tenant,
                name,
                reference: OperationReference(Fingerprint::from_bytes(reference)),
                age: Duration::from_millis(age_ms),
            })
            .collect();
        operations.sort_by_key(|operation| std::cmp::Reverse(operation.age));
        Ok(UnresolvedList { operations, not_listed })
    }

    async fn replace(&self, held: &Held, list: &List) -> Result<Replaced, LedgerError> {
        let entry = self.entry(list)?;
        self.ledger.take_over(&self.key, held, entry).await
    }

    fn entry(&self, list: &List) -> Result<Entry, LedgerError> {
        let payload = payload_of(list)?;
        let (state, nonce, lease) = (State::Settled, Nonce::draw()?, Duration::ZERO);
        Ok(Entry { state, nonce, ttl: self.ttl, lease, payload })
    }
}

/// Reads the list, with ages as of now.
fn read(held: &Held) -> Result<List, LedgerError> {
    let mut list: List = held.payload("holds no list")?;
    for item in &mut list.items {
        item.age_ms = item.age_ms.saturating_add(millis(held.told_age()));
    }
    Ok(list)
}

/// Puts the operation on the list, if it is not there. That it cannot be put there changes nothing for its caller.
pub(super) async fn list(place: &Place) {
    if let Err(error) = place.index().add(place).await {
        place.engine.telemetry.store_failed(&error);
    }
}

/// Takes the operation off the list.
pub(super) async fn unlist(place: &Place) {
    if let Err(error) = place.index().remove(&place.digest).await {
        place.engine.telemetry.store_failed(&error);
    }
}
