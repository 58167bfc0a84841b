//! The generation of each tag: what an entry was written under, and what stands now.
//!
//! An entry counts as long as each of its tags has the generation that it was written under. To invalidate a tag is to replace
//! one small record, however many entries have it. Generations are drawn, so one that was evicted or flushed costs misses, and
//! revives nothing.
//!
//! Which tags a value names is known only once it is loaded. So one more record is read before such a load, the witness: it has a
//! generation like a tag, no entry counts under it, and it is removed before any tag ends. Where it is still the same after the
//! value's tags were read, none of them ended in between, not even one whose record the store has lost.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::intent::fingerprint::Fingerprint;
use crate::ledger::{Bound, Change, Contents, Held, Key, Ledger, LedgerError, Nonce, RecordKind, State};
use crate::lock::Lock;

use super::entry::Generation;

/// Of more tags than this the older half of what is remembered is forgotten: about a megabyte.
const MOST_KNOWN: usize = 10_000;

/// A generation outlives the entries under it, or they would be misses before their time.
pub(super) const SHORTEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The generations that this process has seen, and when it asked for them.
#[derive(Debug)]
pub(super) struct Generations {
    /// Tells caches on one store apart.
    namespace: Fingerprint,
    /// Ends before any tag does.
    pub(super) witness: Fingerprint,
    seen: Lock<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    by_tag: HashMap<Fingerprint, Seen>,
    /// When the newest was asked for of what was forgotten for want of room. What was asked for before that is not taken in any
    /// more: what was forgotten may have ended it.
    forgotten: Option<Instant>,
}

impl Remembered {
    fn make_room(&mut self) {
        let mut times: Vec<Instant> = self.by_tag.values().map(|seen| seen.asked_at).collect();
        times.sort_unstable();
        self.forgotten = times.get(times.len() / 2).copied();
        self.by_tag.retain(|_, seen| Some(seen.asked_at) > self.forgotten);
    }
}

/// What stood when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// None where there was no record.
    pub(super) id: Option<Nonce>,
    pub(super) asked_at: Instant,
    /// It stood by then, and may have begun after it was asked for.
    pub(super) told_at: Instant,
    /// Whether less than half of its life was left.
    pub(super) ends_soon: bool,
}

impl Seen {
    /// What is told now.
    fn now(id: Option<Nonce>, asked_at: Instant) -> Self {
        Self { id, asked_at, told_at: Instant::now(), ends_soon: false }
    }

    /// Whether it was asked for within this time before a moment.
    pub(super) fn is_within(&self, time: Duration, moment: Instant) -> bool {
        moment.saturating_duration_since(self.asked_at) < time
    }
}

/// A generation that a value counts under, and when it was known to stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) tag: Fingerprint,
    pub(super) id: Nonce,
    pub(super) asked_at: Instant,
}

impl Generations {
    pub(super) fn new(namespace: Fingerprint) -> Self {
        Self { namespace, witness: Fingerprint::of("witness of tags", []), seen: Lock::default() }
    }

    /// The digest of something of this cache, which no other cache on the store shares.
    pub(super) fn of_this_cache(&self, purpose: &str, what: &Fingerprint) -> Fingerprint {
        Fingerprint::of(purpose, [Some(&self.namespace.as_bytes()[..]), Some(&what.as_bytes()[..])])
    }

    /// The place of a tag's record.
    pub(super) fn key(&self, ledger: &Ledger, tag: &Fingerprint) -> Key {
        ledger.key(RecordKind::CacheTag, &self.of_this_cache("cache tag", tag))
    }

    /// What was seen of a tag, if that is recent enough.
    pub(super) fn seen(&self, tag: &Fingerprint, is_enough: impl Fn(&Seen) -> bool) -> Option<Seen> {
        self.seen.lock().by_tag.get(tag).copied().filter(is_enough)
    }

    /// Remembers what was seen, unless something newer is known.
    fn saw(&self, tag: &Fingerprint, new: Seen) {
        let mut seen = self.seen.lock();
        if seen.by_tag.len() >= MOST_KNOWN && !seen.by_tag.contains_key(tag) {
            seen.make_room();
        }
        if seen.forgotten.is_some_and(|at| new.asked_at < at) {
            return;
        }
        let seen = seen.by_tag.entry(*tag).or_insert(new);
        if seen.asked_at <= new.asked_at {
            *seen = new;
        }
    }

    /// Takes in what was read at a tag's place.
    ///
    /// # Errors
    /// When the record cannot be used. Then nothing can be said of entries with the tag.
    pub(super) fn read(
        &self,
        tag: &Fingerprint,
        read: Result<Option<Held>, LedgerError>,
        asked_at: Instant,
    ) -> Result<Seen, LedgerError> {
        let held = read?;
        let id = held.as_ref().map(Generation::id_of).transpose()?;
        let ends_soon = held.is_some_and(|held| held.ttl_left() < held.age);
        let seen = Seen { ends_soon, ..Seen::now(id, asked_at) };
        self.saw(tag, seen);
        Ok(seen)
    }

    /// Begins the first generation of a tag, or learns which one there is; and says whether it began.
    pub(super) async fn begin(
        &self,
        ledger: &Ledger,
        tag: &Fingerprint,
        lives: Duration,
    ) -> Result<(Counted, bool), LedgerError> {
        let (asked_at, new) = (Instant::now(), Generation::default());
        let (id, is_new) = match ledger.bind(&self.key(ledger, tag), &new, lives.max(SHORTEST_LIFE)).await? {
            Bound::Anew(id) => (id, true),
            Bound::Before(held) | Bound::ToOthers(held) => (Generation::id_of(&held)?, false),
        };
        self.saw(tag, Seen::now(Some(id), asked_at));
        Ok((Counted { tag: *tag, id, asked_at }, is_new))
    }

    /// Ends the generation of a tag: no entry under it counts any more. Before that it removes the witness.
    pub(super) async fn end(&self, ledger: &Ledger, tag: &Fingerprint, lives: Duration) -> Result<(), LedgerError> {
        let keys = [&self.witness, tag].map(|tag| self.key(ledger, tag));
        let [witness, key] = &keys;
        // In a batch, which no replica answers.
        let mut read = ledger.get_many(&keys).await.into_iter();
        let mut next = || read.next().transpose().map(Option::flatten);
        let (found_witness, found) = (next()?, next()?);
        ledger.update_from(witness, found_witness, |_| Ok((Change::Remove, ()))).await?;
        let anew = |_: Option<&Held>| Ok((Change::Write(contents(key, &Generation::default(), lives)?), ()));
        ledger.update_from(key, found, anew).await?;
        // Which ones stand now, the next reading learns. One that was asked for before this, and is told only now, may still
        // say the old one: it is older than this, and not taken in.
        for ended in [&self.witness, tag] {
            self.saw(ended, Seen::now(None, Instant::now()));
        }
        Ok(())
    }

    /// Lets a generation live on that has less than half of its life left.
    pub(super) async fn renew(&self, ledger: &Ledger, tag: &Fingerprint, lives: Duration) -> Result<(), LedgerError> {
        let key = self.key(ledger, tag);
        let Some(held) = ledger.get(&key).await? else { return Ok(()) };
        // Where another process was faster, it lives on as well, or has ended.
        ledger.replace(&key, &held, contents(&key, &Generation::renewal_of(&held)?, lives)?).await.map(drop)
    }
}

fn contents(key: &Key, generation: &Generation, lives: Duration) -> Result<Contents, LedgerError> {
    let (state, ttl, payload) = (State::Settled, lives.max(SHORTEST_LIFE), key.payload_of(generation)?);
    Ok(Contents { state, ttl, lease: Duration::ZERO, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn past_the_bound_the_older_half_is_forgotten_and_its_ends_are_not_undone() {
        let generations = Generations::new(Fingerprint::NONE);
        let tag = |number: usize| Fingerprint::of("test", [Some(&number.to_be_bytes()[..])]);
        let seen = |number| generations.seen(&tag(number), |_| true);
        let first = Instant::now();
        for number in 0..=MOST_KNOWN {
            tokio::time::advance(Duration::from_millis(1)).await;
            generations.saw(&tag(number), Seen::now(None, Instant::now()));
        }
        assert!(seen(0).is_none() && seen(MOST_KNOWN / 2).is_none());
        assert!(seen(MOST_KNOWN / 2 + 1).is_some() && seen(MOST_KNOWN).is_some());
        generations.saw(&tag(0), Seen::now(Some(Nonce::of([1; 16])), first));
        assert!(seen(0).is_none(), "it was asked for before its end");
    }
}
