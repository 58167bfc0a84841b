//! Which facts in memory are covered: a line to the store announces whatever changes about them, so that they may be served for
//! as long as they are fresh, and the store is not asked.
//!
//! | what happens | then |
//! |---|---|
//! | a session of the line begins or ends | each shard that has another session's number is emptied when it is next touched |
//! | no beat is answered in time | nothing covered is served; who wants to keep facts ends the session |
//! | a change is announced | its digest stands in the ring, and its slot is gone |
//! | facts were read before that, and are to be kept after | the ring has their digest since: they are not kept |
//! | facts were read before the session | they are not kept: another read has them covered |
//! | the provider was asked without the store | they are kept uncovered until a second after that |
//!
//! Announcing and keeping share a lock, under which a shard's is taken: whatever is announced is in the ring before facts are
//! kept, or takes them away after.

use std::collections::{HashMap, VecDeque};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::intent::payment_intent::position_of;
use crate::lock::Lock;

/// So many announced changes are remembered, for reads that are under way meanwhile: of half a second at 16,000 a second.
pub(super) const RING: usize = 8_192;

/// The places of covered slots are remembered for so many times as many payments as are in memory, since those of evicted
/// slots are found out late. In a full memory of the default's size they take 173 bytes for each payment: as entries
/// come and go, the hash table has up to twice the buckets that it needs.
const PLACES_PER_SLOT: usize = 2;

/// The session of a line, and what was heard in it.
#[derive(Debug)]
pub(super) struct Coverage {
    /// Odd in a session, even between two.
    session: AtomicU64,
    /// Until when the session is alive, by the cache's clock. Zero between two.
    alive_until: AtomicU64,
    heard: Lock<Heard>,
    most_places: usize,
}

/// What was announced in this session, and where what may be announced stands.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The digests of the keys that changed last.
    ring: VecDeque<u64>,
    /// How many changes were announced, those that have left the ring included.
    count: u64,
    /// By the digest of its key: the position of a covered slot, and its place in the order.
    places: HashMap<u64, (u64, u64)>,
    /// The digests in the order in which their slots were covered. Those that were covered anew stand here twice.
    order: VecDeque<(u64, u64)>,
    next: u64,
}

/// Taken before the store is asked, so that what was announced since keeps what it answers out of memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadTicket {
    session: u64,
    count: u64,
    /// Of the record's key.
    digest: u64,
    pub(crate) taken_at: Instant,
}

/// Whether facts may be kept now.
pub(super) enum Covering<'c> {
    /// There is no session. They may be kept for as long as the store need not be asked.
    Uncovered,
    /// They may be kept for as long as they are fresh. Nothing is announced while this is held.
    Covered(MutexGuard<'c, Heard>, ReadTicket),
    /// There is a session, and it does not cover them. They may be kept until a second after they were asked for.
    Refused,
}

impl Coverage {
    /// For at most so many payments.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            session: AtomicU64::new(0),
            alive_until: AtomicU64::new(0),
            heard: Lock::default(),
            most_places: capacity.saturating_mul(PLACES_PER_SLOT),
        }
    }

    /// The number of the session, or of the time between two.
    pub(super) fn session(&self) -> u64 {
        self.session.load(Ordering::Acquire)
    }

    /// Whether a slot may be served that was covered in a session. The number is looked at last: a later session's end must not
    /// be taken for this one's.
    pub(super) fn is_alive(&self, session: u64, now: u64) -> bool {
        now < self.alive_until.load(Ordering::Acquire) && self.session() == session
    }

    pub(super) fn open(&self) -> u64 {
        let mut heard = self.heard.lock();
        // The next odd number: a session that was not ended ends here.
        self.begin(&mut heard, self.session().saturating_add(1) | 1)
    }

    pub(super) fn alive(&self, session: u64, until: u64) -> bool {
        let _heard = self.heard.lock();
        let is_same = self.session() == session;
        if is_same {
            self.alive_until.store(until, Ordering::Release);
        }
        is_same
    }

    pub(super) fn end(&self, session: u64) {
        let mut heard = self.heard.lock();
        self.end_under(&mut heard, session);
    }

    fn end_under(&self, heard: &mut Heard, session: u64) {
        if self.session() == session && is_session(session) {
            self.begin(heard, session.saturating_add(1));
        }
    }

    fn begin(&self, heard: &mut Heard, session: u64) -> u64 {
        *heard = Heard { next: heard.next, ..Heard::default() };
        self.alive_until.store(0, Ordering::Release);
        self.session.store(session, Ordering::Release);
        session
    }

    /// A ticket for the record under a key, where a session could cover it.
    pub(super) fn ticket(&self, key: &str) -> Option<ReadTicket> {
        if !is_session(self.session()) {
            return None;
        }
        let heard = self.heard.lock();
        let (session, digest) = (self.session(), position_of(key.as_bytes()));
        is_session(session).then(|| ReadTicket { session, count: heard.count, digest, taken_at: Instant::now() })
    }

    /// Whether facts may be kept that were read with this ticket, at this moment by the cache's clock.
    pub(super) fn admit(&self, ticket: Option<ReadTicket>, now: impl FnOnce() -> u64) -> Covering<'_> {
        if !is_session(self.session()) {
            return Covering::Uncovered;
        }
        let mut heard = self.heard.lock();
        let session = self.session();
        if !is_session(session) {
            return Covering::Uncovered;
        }
        let alive_until = self.alive_until.load(Ordering::Acquire);
        // Before its first beat it says nothing yet.
        if alive_until > 0 && now() >= alive_until {
            self.end_under(&mut heard, session);
            return Covering::Uncovered;
        }
        match ticket {
            Some(ticket) if ticket.session == session && !heard.has_since(ticket) => Covering::Covered(heard, ticket),
            #[cfg(test)]
            _ if super::promise::is_without(super::promise::Protection::NothingUncovered) => Covering::Uncovered,
            _ => Covering::Refused,
        }
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.heard.lock().places.len()
    }

    /// How many bytes the places take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let heard = self.heard.lock();
        // A table of so many has an eighth more buckets, each with a byte of control.
        let buckets = heard.places.capacity().div_ceil(7).saturating_mul(8);
        let order = heard.order.capacity().saturating_mul(size_of::<(u64, u64)>());
        buckets.saturating_mul(size_of::<(u64, (u64, u64))>().saturating_add(1)).saturating_add(order)
    }

    /// Notes a change. The position of the slot that it takes away, with what has to be held until that is gone.
    pub(super) fn note(&self, key: &[u8]) -> Option<(MutexGuard<'_, Heard>, u64)> {
        let mut heard = self.heard.lock();
        let position = heard.note(position_of(key))?;
        Some((heard, position))
    }

    /// Notes where a slot stands that is covered with this ticket. The positions of those that are not covered any more.
    pub(super) fn place(
        &self,
        heard: &mut Heard,
        ticket: ReadTicket,
        position: u64,
    ) -> impl Iterator<Item = u64> + use<> {
        let replaced = heard.place(ticket.digest, position);
        let dropped = if heard.order.len() > self.most_places { heard.drop_oldest() } else { None };
        replaced.into_iter().chain(dropped)
    }
}

impl Heard {
    fn note(&mut self, digest: u64) -> Option<u64> {
        if self.ring.len() >= RING {
            self.ring.pop_front();
        }
        self.ring.push_back(digest);
        self.count = self.count.saturating_add(1);
        self.places.remove(&digest).map(|(position, _)| position)
    }

    /// Whether the record was announced since the ticket was taken, or may have been.
    fn has_since(&self, ticket: ReadTicket) -> bool {
        #[cfg(test)]
        if super::promise::is_without(super::promise::Protection::Ring) {
            return false;
        }
        let since = usize::try_from(self.count.saturating_sub(ticket.count)).unwrap_or(usize::MAX);
        since > self.ring.len() || self.ring.iter().rev().take(since).any(|digest| *digest == ticket.digest)
    }

    /// The position of another slot that had this digest.
    fn place(&mut self, digest: u64, position: u64) -> Option<u64> {
        self.next = self.next.saturating_add(1);
        self.order.push_back((digest, self.next));
        let before = self.places.insert(digest, (position, self.next));
        before.map(|(before, _)| before).filter(|before| *before != position)
    }

    /// The position of the slot that was covered first, unless it was covered anew, or is gone.
    fn drop_oldest(&mut self) -> Option<u64> {
        let (digest, place) = self.order.pop_front()?;
        if self.places.get(&digest)?.1 != place {
            return None;
        }
        self.places.remove(&digest).map(|(position, _)| position)
    }
}

pub(super) fn is_session(number: u64) -> bool {
    number % 2 == 1
}
