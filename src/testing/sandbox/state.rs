use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::lock::Lock;
use crate::testing::loopback::date;

use super::body::PreparedBody;
use super::fault::{Fault, Faults};
use super::generated::GeneratedPayments;
use super::owners::Owners;
use super::payment::SandboxPayment;
use super::related::{self, ObjectQuery};
use super::session::{KeptSession, SandboxSession};

/// Spreads consecutive request numbers over all 64 bits: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// What the server and its owner share: payments, sessions, scripts, chances and counts.
#[derive(Debug)]
pub(super) struct SandboxState {
    seed: u64,
    latency: Range<Duration>,
    pub(super) connections: AtomicU64,
    /// Held for a few map operations at a time, never over an await.
    pub(super) book: Lock<Book>,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    files: HashMap<String, PaymentFile>,
    generated: Vec<Arc<GeneratedPayments>>,
    /// How many payments were put in, those that took another's place left out.
    put: u64,
    /// What the server's clock shows, where that is set.
    pub(super) clock: Option<u64>,
    pub(super) sessions: HashMap<String, Arc<SandboxSession>>,
    pub(super) script: VecDeque<Fault>,
    pub(super) faults: Faults,
    pub(super) requests: u64,
    /// Raw, and parsed only when asked for: recording must not cost the healthy answer allocations.
    pub(super) last_head: Vec<u8>,
}

/// Everything about one payment id, whether or not the payment exists.
#[derive(Debug, Default)]
pub(super) struct PaymentFile {
    pub(super) kept: Option<Arc<PreparedBody>>,
    /// Which of those that were put in it is.
    number: u64,
    pub(super) script: VecDeque<Fault>,
    pub(super) requests: u64,
}

/// What was decided about one request about a payment.
#[derive(Debug)]
pub(super) struct RequestPlan {
    pub(super) kept: Option<Arc<PreparedBody>>,
    pub(super) session: Option<KeptSession>,
    pub(super) fault: Option<Fault>,
    pub(super) delay: Duration,
}

impl SandboxState {
    pub(super) fn new(seed: u64, faults: Faults, latency: Range<Duration>) -> Self {
        let book = Lock::new(Book { faults, ..Book::default() });
        Self { seed, latency, connections: AtomicU64::new(0), book }
    }

    /// Counts and records a request that is about no payment; returns its number, from 1.
    pub(super) fn record(&self, head: &[u8]) -> u64 {
        self.book.lock().record(head)
    }

    /// Counts and records a request about a payment, of which nothing else is decided.
    pub(super) fn turn_away(&self, head: &[u8], id: &str) -> u64 {
        let mut book = self.book.lock();
        book.file(id).count();
        book.record(head)
    }

    /// Counts and records a request about a payment; returns its number and what happens to it.
    pub(super) fn decide(&self, head: &[u8], id: &str) -> (u64, RequestPlan) {
        let mut book = self.book.lock();
        let number = book.record(head);
        let file = book.file(id);
        file.count();
        let scripted = file.script.pop_front().or_else(|| book.script.pop_front());
        let kept = book.kept(id);
        let session = book.session(id);
        if book.faults.is_none() && self.latency.is_empty() {
            return (number, RequestPlan { kept, session, fault: scripted, delay: self.latency.start });
        }
        // A generator per request: what chance does to the n-th depends on no other request.
        let mut chance = StdRng::seed_from_u64(self.seed ^ number.wrapping_mul(SPREAD));
        let draw: f64 = chance.random();
        let fault = scripted.or_else(|| book.faults.pick(draw).cloned());
        let delay =
            if self.latency.is_empty() { self.latency.start } else { chance.random_range(self.latency.clone()) };
        (number, RequestPlan { kept, session, fault, delay })
    }

    /// The server's time, in seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.book.lock().clock.unwrap_or_else(date::unix_now)
    }

    /// Every payment there is.
    pub(super) fn owners(&self) -> Owners {
        let book = self.book.lock();
        let kept = book.files.values().filter_map(|file| Some((file.number, file.kept.clone()?)));
        let mut kept: Vec<_> = kept.collect();
        kept.sort_unstable_by_key(|(number, _)| *number);
        Owners::new(kept, book.generated.clone())
    }

    /// The object that is asked for, of whichever payment it is.
    pub(super) fn find(&self, asked: ObjectQuery, id: &str) -> Option<Value> {
        let kept: Vec<_> = self.book.lock().files.values().filter_map(|file| file.kept.clone()).collect();
        kept.iter().find_map(|kept| related::object_of(kept.payment(), asked, id))
    }
}

impl Book {
    fn record(&mut self, head: &[u8]) -> u64 {
        self.last_head.clear();
        self.last_head.extend_from_slice(head);
        self.requests = self.requests.saturating_add(1);
        self.requests
    }

    pub(super) fn put(&mut self, payment: SandboxPayment) {
        let id = payment.id.clone();
        let kept = Some(Arc::new(PreparedBody::of(payment)));
        let next = self.put;
        let file = self.file(&id);
        if file.kept.is_none() {
            file.number = next;
        }
        file.kept = kept;
        self.put = next.saturating_add(1);
    }

    pub(super) fn generate(&mut self, generated: GeneratedPayments) {
        self.generated.push(Arc::new(generated));
    }

    /// The payment of this id: one that was put in, or else one that is generated.
    fn kept(&self, id: &str) -> Option<Arc<PreparedBody>> {
        let made = || {
            let mut sets = self.generated.iter();
            let payment = sets.find_map(|set| Some(set.payment(set.number(id)?)));
            payment.map(PreparedBody::of).map(Arc::new)
        };
        self.files.get(id).and_then(|file| file.kept.clone()).or_else(made)
    }

    /// The session of this id with its payment, if there is one.
    fn session(&self, id: &str) -> Option<KeptSession> {
        let session = Arc::clone(self.sessions.get(id)?);
        let file = session.payment.as_ref().and_then(|payment| self.files.get(payment));
        Some(KeptSession { payment: file.and_then(|file| file.kept.clone()), session })
    }

    /// The file of this id, opened when it is first asked for.
    pub(super) fn file(&mut self, id: &str) -> &mut PaymentFile {
        self.files.entry(id.to_owned()).or_default()
    }
}

impl PaymentFile {
    fn count(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(state: &SandboxState, ids: &[&str]) -> Vec<Option<Fault>> {
        ids.iter().map(|id| state.decide(b"", id).1.fault).collect()
    }

    #[test]
    fn scripted_request_does_not_shift_the_chances_of_later_ones() {
        let plain = SandboxState::new(7, Faults::stormy(), Duration::ZERO..Duration::ZERO);
        let scripted = SandboxState::new(7, Faults::stormy(), Duration::ZERO..Duration::ZERO);
        scripted.book.lock().script.extend([Fault::Stall, Fault::Stall]);
        let ids = ["a"; 50];
        assert_eq!(faults_of(&plain, &ids).get(2..), faults_of(&scripted, &ids).get(2..));
    }

    #[test]
    fn stormy_hits_about_a_third() {
        let state = SandboxState::new(1, Faults::stormy(), Duration::ZERO..Duration::ZERO);
        let hit = (0..10_000).filter(|_| state.decide(b"", "a").1.fault.is_some()).count();
        assert!((3_400..3_800).contains(&hit), "{hit}");
    }

    #[test]
    fn latency_stays_in_its_range_and_an_empty_range_means_its_start() {
        let (low, high) = (Duration::from_millis(2), Duration::from_millis(5));
        let state = SandboxState::new(1, Faults::none(), low..high);
        assert!((0..200).all(|_| (low..high).contains(&state.decide(b"", "a").1.delay)));
        let state = SandboxState::new(1, Faults::none(), Duration::from_millis(5)..Duration::from_millis(2));
        assert_eq!(state.decide(b"", "a").1.delay, high);
    }
}
