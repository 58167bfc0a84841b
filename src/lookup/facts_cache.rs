//! Recent facts in memory, bounded, and the quick answer to a claim that was proven before.
//!
//! A slot holds the digest of the last claims that the judge found valid *inline*, so that a repeated validation of a paid
//! intent follows no pointer, runs no judge and allocates nothing. That is sound because the judge is pure and its rules
//! never change: the same claims on the same facts are valid until the facts' own time runs out.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use crate::call::deadline::is_recent;
use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentId;
use crate::moment::{Moment, NanoClock};
use crate::payment::facts::ProviderPayment;
use crate::payment::method::PaymentMethod;
use crate::payment::shelf_life::ShelfLife;
use crate::payment::verdict::Capture;
use crate::spread::CORES;

#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "Redis alone has a line"))]
mod coverage;
mod listening;
mod table;
mod until;

use coverage::{Coverage, Covering};
use table::{Slot, SlotRecord, Table, head};
use until::Until;

pub(crate) use coverage::ReadTicket;

/// So many shards for each core at least, so that two calls seldom meet.
const SHARDS_PER_CORE: usize = 4;

/// A shard smaller than this would evict long before the whole is full.
const MIN_SHARD_CAPACITY: usize = 256;

/// The most payments of a shard. Hits wait while its table grows, which takes up to two milliseconds at this size. It is three
/// quarters of 2^13, so that a full table seldom has to be made anew, see [`Table::make_room`].
const MAX_SHARD_CAPACITY: usize = 6_144;

/// More shards than this, at 128 bytes each, would cost more than they are worth: 100 million payments.
const MAX_SHARDS: usize = 16_384;

/// Facts up to this size are serialized on the stack, so that they cost one allocation of the right size.
const TYPICAL_FACTS: usize = 512;

/// The facts in memory, by payment.
#[derive(Debug)]
pub(crate) struct FactsCache {
    shards: Box<[Shard]>,
    shard_capacity: usize,
    clock: NanoClock,
    answers: AtomicU32,
    coverage: Coverage,
}

// Two shards on one cache line would slow each other down.
#[derive(Debug)]
#[repr(align(128))]
struct Shard(Mutex<Table>);

/// When the provider answered, and which of its answers it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) at: Moment,
    answer: u32,
}

/// For how long facts may be served from memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keep {
    /// Where no line says what changes about them.
    pub(crate) uncovered: Option<ShelfLife>,
    /// Where a line does, of facts that were read in the store with this ticket.
    pub(crate) covered: Option<(ShelfLife, ReadTicket)>,
    /// Beside a line that does not cover them: until a second after they were asked for at most, so that whatever was forgotten
    /// a second ago is older than that.
    pub(crate) beside_line: Option<ShelfLife>,
}

/// By what facts may be in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// There is no session.
    Uncovered,
    /// They end before a session has to cover them.
    BesideLine,
    Covered,
}

impl From<Option<ShelfLife>> for Keep {
    fn from(uncovered: Option<ShelfLife>) -> Self {
        Self { uncovered, ..Self::default() }
    }
}

/// Facts and when the provider stated them. They are decoded when they are read, which is under no lock.
#[derive(Debug)]
pub(crate) struct Kept {
    record: Box<[u8]>,
    lasting: bool,
    pub(crate) stamp: Stamp,
    pub(crate) age: Duration,
    pub(crate) fresh: bool,
}

/// Claims that were found valid, and how old the facts are.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) age: Duration,
    pub(crate) capture: Capture,
    pub(crate) method: PaymentMethod,
}

impl FactsCache {
    /// Keeps at most `capacity` payments; none if that is zero.
    pub(crate) fn new(capacity: usize) -> Self {
        let wanted = CORES.saturating_mul(SHARDS_PER_CORE).max(capacity.div_ceil(MAX_SHARD_CAPACITY));
        let shards = wanted.min(capacity / MIN_SHARD_CAPACITY).clamp(1, MAX_SHARDS);
        Self {
            shards: (0..shards).map(|_| Shard(Mutex::default())).collect(),
            shard_capacity: capacity.checked_div(shards).unwrap_or(capacity),
            clock: NanoClock::start(),
            answers: AtomicU32::new(0),
            coverage: Coverage::new(capacity),
        }
    }

    /// Stamps an answer that the provider gave at this moment.
    pub(crate) fn stamp(&self, at: Moment) -> Stamp {
        Stamp { at, answer: self.answers.fetch_add(1, Ordering::Relaxed) }
    }

    /// Whether exactly these claims were found valid on facts that are still fresh, and recent enough.
    pub(crate) fn proven(
        &self,
        payment: &PaymentId,
        claims: &Fingerprint,
        now: Instant,
        max_age: Duration,
    ) -> Option<Proven> {
        let nanos = self.clock.at(now);
        let mut table = self.table(payment.position())?;
        // Claims include the payment's id, so equal claims mean the same payment.
        let slot = table.slots.find(payment.position(), |slot| slot.proven == *claims)?;
        let age = slot.age(nanos);
        if !self.is_fresh(slot, table.session, nanos) || !is_recent(age, max_age) {
            return None;
        }
        let (capture, method) = (slot.until.capture(), slot.until.method());
        table.valid_hits = table.valid_hits.wrapping_add(1);
        drop(table);
        Some(Proven { age, capture, method })
    }

    /// The number of the answer that is in memory about a payment: another one later means that there are other facts.
    pub(crate) fn number(&self, payment: &PaymentId) -> Option<u32> {
        self.table(payment.position())?.slots.find(payment.position(), |slot| slot.is_about(payment))?.answer()
    }

    /// The facts of a payment that are in memory, however old.
    pub(crate) fn get(&self, payment: &PaymentId, now: Instant) -> Option<Kept> {
        let nanos = self.clock.at(now);
        let (record, age, fresh) = {
            let table = self.table(payment.position())?;
            let slot = table.slots.find(payment.position(), |slot| slot.is_about(payment))?;
            (slot.record.clone(), slot.age(nanos), self.is_fresh(slot, table.session, nanos))
        };
        let (answer, lasting, _) = head(&record)?;
        Some(Kept { record, lasting, stamp: Stamp { at: Moment::before(now, age), answer }, age, fresh })
    }

    /// Takes facts into memory, in place of older ones, and says whether it did. At the capacity an expired or old payment makes
    /// way. While a line is alive, what it does not cover is kept for its time at most, within which others forget.
    pub(crate) fn keep(&self, payment: &PaymentId, facts: &ProviderPayment, stamp: Stamp, keep: Keep) -> bool {
        if self.shard_capacity == 0 || keep.uncovered.is_none() && keep.covered.is_none() {
            return false;
        }
        if keep.covered.is_some() {
            // The slots of a former session take a while to drop: before `admit` takes the lock that announcements wait for.
            drop(self.table(payment.position()));
        }
        let now = || self.clock.at(Instant::now());
        let insert = |life, standing| self.insert(payment, facts, stamp, life, standing);
        match self.coverage.admit(keep.covered.map(|(_, ticket)| ticket), now) {
            Covering::Uncovered => keep.uncovered.is_some_and(|life| insert(life, Standing::Uncovered)),
            Covering::Refused => keep.beside_line.is_some_and(|life| insert(life, Standing::BesideLine)),
            Covering::Covered(mut heard, ticket) => {
                let Some((life, _)) = keep.covered else { return false };
                let is_kept = insert(life, Standing::Covered);
                for position in self.coverage.place(&mut heard, ticket, payment.position()) {
                    self.uncover(position);
                }
                is_kept
            }
        }
    }

    fn insert(
        &self,
        payment: &PaymentId,
        facts: &ProviderPayment,
        stamp: Stamp,
        life: ShelfLife,
        standing: Standing,
    ) -> bool {
        let record: SlotRecord<&ProviderPayment> = (stamp.answer, life.lasting, facts);
        let mut buffer = [0; TYPICAL_FACTS];
        let record = match postcard::to_slice(&record, &mut buffer) {
            Ok(bytes) => Box::from(&*bytes),
            Err(_) => match postcard::to_allocvec(&record) {
                Ok(bytes) => bytes.into(),
                Err(_) => return false,
            },
        };
        let answered_at = self.clock.of(stamp.at);
        let until =
            Until::new(answered_at, life.fresh_for, Capture::of(facts), facts.method, standing == Standing::Covered);
        let slot = Slot { proven: Fingerprint::NONE, answered_at, until, record };
        let Some(mut table) = self.table(payment.position()) else { return false };
        let table = &mut *table;
        // A session may have begun since it was looked at.
        if coverage::is_session(table.session) && standing == Standing::Uncovered {
            #[cfg(test)]
            if !promise::is_without(promise::Protection::NothingUncovered) {
                return false;
            }
            #[cfg(not(test))]
            return false;
        }
        if let Some(older) = table.slots.find_mut(payment.position(), |slot| slot.is_about(payment)) {
            *older = slot;
            return true;
        }
        if table.slots.len() >= self.shard_capacity {
            table.evict(payment.position(), answered_at);
            table.make_room();
        }
        table.slots.insert_unique(payment.position(), slot, Slot::position);
        true
    }

    /// Whether the facts of a slot, filled in this session or between two, may be served.
    fn is_fresh(&self, slot: &Slot, session: u64, now: u64) -> bool {
        slot.until.is_after(now) && (!slot.until.is_covered() || self.coverage.is_alive(session, now))
    }

    /// Notes that these claims were found valid on the facts of this answer.
    pub(crate) fn prove(&self, payment: &PaymentId, claims: Fingerprint, stamp: Stamp) {
        let Some(mut table) = self.table(payment.position()) else { return };
        if let Some(slot) = table.slots.find_mut(payment.position(), |slot| slot.is_about(payment)) {
            // Other facts may have come in between, and say otherwise.
            if slot.answer() == Some(stamp.answer) {
                slot.proven = claims;
            }
        }
    }

    /// Drops the facts of a payment: those that the provider stated by this moment, or all.
    pub(crate) fn forget(&self, payment: &PaymentId, stated_by: Option<Instant>) {
        let newest = stated_by.map_or(u64::MAX, |moment| self.clock.at(moment));
        let Some(mut table) = self.table(payment.position()) else { return };
        let is_meant = |slot: &Slot| slot.answered_at <= newest && slot.is_about(payment);
        if let Ok(entry) = table.slots.find_entry(payment.position(), is_meant) {
            entry.remove();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().slots.len()).sum()
    }

    pub(crate) fn valid_hits(&self) -> u64 {
        self.shards.iter().fold(0, |sum, shard| shard.lock().valid_hits.wrapping_add(sum))
    }

    /// The shard of a position. What another session left in it is dropped.
    fn table(&self, position: u64) -> Option<MutexGuard<'_, Table>> {
        if self.shard_capacity == 0 {
            return None;
        }
        // The table itself uses the lowest and the highest bits. Those in between, as a fraction, tell the shard.
        let fraction = (position >> 16) & u64::from(u32::MAX);
        let shard = fraction.wrapping_mul(self.shards.len() as u64) >> u32::BITS;
        let shard = self.shards.get(usize::try_from(shard).ok()?)?;
        let table = shard.lock();
        if table.session == self.coverage.session() { Some(table) } else { Some(self.begun(shard, table)) }
    }

    /// A shard in which the session of now has begun. Apart from the way of hits, which would be longer for it.
    #[cold]
    #[inline(never)]
    fn begun<'s>(&'s self, shard: &'s Shard, mut table: MutexGuard<'s, Table>) -> MutexGuard<'s, Table> {
        loop {
            let session = self.coverage.session();
            if table.session == session {
                return table;
            }
            let former = table.begin(session);
            drop(table);
            drop(former);
            table = shard.lock();
        }
    }
}

impl Kept {
    /// The number of the answer that brought them.
    pub(crate) fn number(&self) -> u32 {
        self.stamp.answer
    }

    /// Whether they are kept no longer: what lasts is kept for `retention`, all else while it is fresh.
    pub(crate) fn is_over(&self, retention: Duration) -> bool {
        if self.lasting { self.age >= retention } else { !self.fresh }
    }

    /// The facts, with texts of their own, or with texts borrowed from this.
    pub(crate) fn facts<'k, T: Deserialize<'k>>(&'k self) -> Option<ProviderPayment<T>> {
        postcard::from_bytes::<SlotRecord<_>>(&self.record).ok().map(|(.., facts)| facts)
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // No foreign code runs under this lock, so a poisoned one is whole all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod coverage_tests;
#[cfg(test)]
mod promise;
#[cfg(test)]
mod tests;
