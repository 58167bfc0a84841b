//! What this process's own clock says about running claims, where the store's clock may have been moved.
//!
//! A store's clock is the one that counts, and one record alone cannot show that it was moved. Two things can:
//!
//! | what shows it | what follows |
//! |---|---|
//! | a record has more time left than it was written with | the clock was set back: what the record says is too old; a lease lasts for its time from when this process first saw it |
//! | a claim that this process made or saw is older by the store's clock than by this process's | the clock jumped ahead: the lease lasts until this process's clock says that it is over |
//!
//! A claim that another process made, first seen after the jump, looks as old as the store says.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::after;
use crate::lock::Lock;
use crate::moment::Moment;
use crate::store::{StoreFinding, Stored};

use super::held::Ours;
use super::record::{Nonce, Record, State};

/// Clocks of two machines drift, and records count in milliseconds: less than this says nothing.
const TOLERANCE: Duration = Duration::from_secs(1);

/// Claims held before those that are over are dropped for the first time: few processes ever have as many under way.
const FIRST_SWEEP: usize = 1024;

/// How long a move of the store's clock is told: until the leases it cut short and the facts it made young are gone.
const TOLD_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The running claims that this process made or saw, and how the store's clock was seen to move.
#[derive(Debug, Default)]
pub(super) struct ClaimClock(Lock<Seen>);

#[derive(Debug, Default)]
struct Seen {
    claims: HashMap<Nonce, Sighting>,
    /// Claims held when those that are over are dropped next.
    sweep_at: usize,
    moved: Option<(Instant, StoreFinding)>,
}

#[derive(Debug)]
struct Sighting {
    /// A renewal writes other bytes under the same nonce, at another time.
    bytes: Box<[u8]>,
    /// These bytes cannot have been written before this.
    written: Moment,
    /// They were written by then.
    seen_at: Instant,
    /// Its lease is over by then, by this process's clock.
    over_at: Instant,
}

impl ClaimClock {
    /// Notes what this process wrote when it asked to at `asked_at`: a claim, or what came of one.
    pub(super) fn wrote(&self, ours: &Ours, asked_at: Instant) {
        if is_protected(&ours.record) {
            self.0.lock().note(&ours.record, &ours.bytes, Moment::at(asked_at), Instant::now());
        } else {
            self.ended(ours.record.nonce);
        }
    }

    /// Forgets a claim that has come to its end.
    pub(super) fn ended(&self, nonce: Nonce) {
        self.0.lock().claims.remove(&nonce);
    }

    /// How old a record is that was asked for at `asked_at`, and whether that is known. Where more time is left than it was
    /// written with, it is at least as old.
    pub(super) fn age(&self, record: &Record, stored: &Stored, asked_at: Instant) -> (Duration, bool) {
        let Stored { bytes, ttl_left } = stored;
        let Some(age) = record.ttl().checked_sub(*ttl_left) else {
            let by = ttl_left.saturating_sub(record.ttl());
            if by <= TOLERANCE {
                return (Duration::ZERO, true);
            }
            let (now, mut seen) = (Instant::now(), self.0.lock());
            seen.moved = Some((asked_at, StoreFinding::ClockSetBack { by }));
            let at_least = if is_protected(record) { seen.seen_for(record, bytes, now) } else { Duration::ZERO };
            return (at_least, false);
        };
        if !is_protected(record) {
            return (age, true);
        }
        let (now, mut seen) = (Instant::now(), self.0.lock());
        let written = Moment::before(asked_at, age);
        match seen.claims.get(&record.nonce) {
            Some(sighting) if *sighting.bytes == **bytes => {
                let possible = sighting.written.age_at(now);
                let by = age.saturating_sub(possible);
                if by > TOLERANCE {
                    seen.moved = Some((now, StoreFinding::ClockJumpedAhead { by }));
                }
                (age.min(possible), true)
            }
            // What was read is from before a renewal that this process knows of.
            Some(sighting) if sighting.written.age_at(now) < age => (age, true),
            _ => {
                seen.note(record, bytes, written, now);
                (age, true)
            }
        }
    }

    /// How the store's clock was last seen to move, within the last day.
    pub(super) fn moved(&self) -> Option<StoreFinding> {
        let seen = self.0.lock();
        seen.moved.as_ref().filter(|(at, _)| at.elapsed() < TOLD_FOR).map(|(_, finding)| finding.clone())
    }
}

impl Seen {
    /// How long these bytes of a claim have been known here, where no clock says how old they are.
    fn seen_for(&mut self, record: &Record, bytes: &[u8], now: Instant) -> Duration {
        if let Some(sighting) = self.claims.get(&record.nonce).filter(|sighting| *sighting.bytes == *bytes) {
            return now.saturating_duration_since(sighting.seen_at);
        }
        self.note(record, bytes, Moment::before(now, Duration::MAX), now);
        Duration::ZERO
    }

    fn note(&mut self, record: &Record, bytes: &[u8], written: Moment, now: Instant) {
        if self.claims.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.claims.retain(|_, sighting| sighting.over_at > now);
            self.sweep_at = self.claims.len().saturating_mul(2);
        }
        let over_at = after(now, record.lease());
        self.claims.insert(record.nonce, Sighting { bytes: bytes.into(), written, seen_at: now, over_at });
    }
}

/// Whether more depends on the time left than a batch read can be sure of: it may be that of the record that stood there a
/// moment before. Then a claim looks older than it is, up to the end of its lease, or the clock looks set back.
pub(super) fn is_in_doubt(record: &Record, stored: &Stored) -> bool {
    match record.ttl().checked_sub(stored.ttl_left) {
        Some(age) => age > TOLERANCE && is_protected(record),
        None => stored.ttl_left.saturating_sub(record.ttl()) > TOLERANCE,
    }
}

/// Only what a lease protects can lose it to a clock.
fn is_protected(record: &Record) -> bool {
    record.state == State::Claimed && record.lease_ms > 0
}
