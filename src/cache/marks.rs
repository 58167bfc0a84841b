//! Marks: what was invalidated here, so that nothing whose load began before is served from this process.
//!
//! Marks are numbered, and a load notes the newest number when it begins. So two threads need no clock to tell which came
//! first, and as long as nothing is marked, one atomic load tells that a value is good. A value that another process loaded
//! has no number: it is compared by when its load began, which its age in the store makes look earlier, never later.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::intent::fingerprint::Fingerprint;
use crate::moment::{Moment, NanoClock, nanos};

/// More than this many marks that still matter are made one that hits everything: half a megabyte for each cache.
pub(super) const MOST_MARKS: usize = 10_000;

/// The number of a value that no look at the marks has passed yet.
const NEVER: u64 = 0;

/// The number of a mark: each has the next one, from 2 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64);

/// What was marked in one cache.
#[derive(Debug)]
pub(super) struct Marks {
    newest: Newest,
    marked: RwLock<Marked>,
    most: usize,
    clock: NanoClock,
}

/// Apart from the lock beside it: every hit reads the number.
#[derive(Debug)]
#[repr(align(128))]
struct Newest(AtomicU64);

#[derive(Debug, Default)]
struct Marked {
    /// The newest mark of each subject.
    by_subject: HashMap<Fingerprint, Details>,
    /// The mark that hits everything, since there were too many.
    everything: Option<Details>,
    /// The newest of the marks that were dropped when they no longer mattered to what the store gives.
    dropped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Details {
    number: u64,
    /// The newest mark of the subject that announced an invalidation. Once the store confirms that one, none before matters.
    announced: u64,
    /// In nanoseconds, by the marks' clock.
    at: u64,
    /// Until when the store may still give a value whose load began before.
    until: u64,
}

/// From when on marks count against a value: from when its load began, and later only those that were not looked at yet.
#[derive(Debug)]
pub(super) struct Since {
    number: AtomicU64,
    /// Zero where the number alone tells.
    began: u64,
}

impl Since {
    /// Of a load in this process, which begins after the newest mark was asked for.
    pub(super) fn here(newest: Mark) -> Self {
        Self { number: AtomicU64::new(newest.0), began: 0 }
    }
}

impl Marks {
    /// Tells this many subjects apart, at most.
    pub(super) fn new(most: usize) -> Self {
        Self { newest: Newest(AtomicU64::new(NEVER + 1)), marked: RwLock::default(), most, clock: NanoClock::start() }
    }

    /// The newest mark.
    pub(super) fn now(&self) -> Mark {
        Mark(self.newest.0.load(Ordering::Acquire))
    }

    /// Of a value that the store gave, whose load began at this moment. A mark of the same moment counts as newer.
    pub(super) fn since(&self, began: Moment) -> Since {
        Since { number: AtomicU64::new(NEVER), began: self.clock.of(began) }
    }

    /// Marks the subjects: what hangs on one of them, and whose load began before, is good no longer. `matters_for` says for
    /// how long the store may still give such a value.
    pub(super) fn mark(&self, subjects: &[Fingerprint], matters_for: Duration) -> Mark {
        self.mark_after(None, subjects, matters_for)
    }

    /// Marks the subjects once more, when the store has confirmed what the first mark announced. From then on the store
    /// itself gives nothing older, so that neither the first mark nor one before it need last any longer than this one.
    pub(super) fn confirm(&self, first: Mark, subjects: &[Fingerprint], matters_for: Duration) -> Mark {
        self.mark_after(Some(first), subjects, matters_for)
    }

    /// Whether one of the subjects was marked since. What was looked at is not looked at again.
    #[inline]
    pub(super) fn is_marked(&self, since: &Since, subjects: &[Fingerprint]) -> bool {
        let newest = self.now();
        since.number.load(Ordering::Relaxed) != newest.0 && self.look(newest, since, subjects)
    }

    #[cold]
    fn look(&self, newest: Mark, since: &Since, subjects: &[Fingerprint]) -> bool {
        let number = since.number.load(Ordering::Relaxed);
        let hits = |mark: &Details| mark.number > number && mark.at >= since.began;
        let marked = self.read();
        // What was dropped may have hit a copy that was not looked at since.
        let found = (number != NEVER && number < marked.dropped)
            || marked.everything.as_ref().is_some_and(hits)
            || subjects.iter().any(|subject| marked.by_subject.get(subject).is_some_and(hits));
        if !found {
            // Another thread may have looked at newer ones meanwhile.
            since.number.fetch_max(newest.0, Ordering::Relaxed);
        }
        found
    }

    fn mark_after(&self, first: Option<Mark>, subjects: &[Fingerprint], matters_for: Duration) -> Mark {
        let mut marked = self.write();
        let now = self.clock.at(Instant::now());
        let mark = Mark(self.now().0.saturating_add(1));
        for subject in subjects {
            let until = now.saturating_add(nanos(matters_for));
            let mut details = Details { number: mark.0, announced: mark.0, at: now, until };
            match (marked.by_subject.get(subject), first) {
                // What it confirms was called last, so the store has seen to the earlier calls too.
                (Some(older), Some(first)) if first.0 >= older.announced => details.announced = older.announced,
                (Some(older), _) => {
                    details.until = until.max(older.until);
                    if first.is_some() {
                        details.announced = older.announced;
                    }
                }
                (None, _) => marked.make_room(self.most, details),
            }
            marked.by_subject.insert(*subject, details);
        }
        // Last, and under the lock: who sees the number finds what it stands for.
        self.newest.0.store(mark.0, Ordering::Release);
        mark
    }

    fn read(&self) -> RwLockReadGuard<'_, Marked> {
        // No code of the caller's runs under this lock, so a poisoned one is whole all the same.
        self.marked.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Marked> {
        self.marked.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marked {
    /// Drops what no longer matters, once there is no room for another subject. Where that brings too little, everything is
    /// marked, so that the subjects are not gone through for each mark.
    fn make_room(&mut self, most: usize, new: Details) {
        if self.by_subject.len() < most {
            return;
        }
        let mut dropped = self.dropped;
        let mut matters = |mark: &Details| {
            let matters = mark.until > new.at;
            dropped = if matters { dropped } else { dropped.max(mark.number) };
            matters
        };
        self.by_subject.retain(|_, mark| matters(mark));
        self.everything = self.everything.filter(matters);
        self.dropped = dropped;
        if self.by_subject.len() >= most.saturating_sub(most / 10) {
            let until =
                self.by_subject.values().chain(&self.everything).fold(new.until, |until, mark| until.max(mark.until));
            self.by_subject.clear();
            self.everything = Some(Details { until, ..new });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn subject(name: usize) -> [Fingerprint; 1] {
        [Fingerprint::of("test", [Some(&name.to_be_bytes()[..])])]
    }

    #[test]
    fn only_the_first_look_after_a_mark_looks_at_the_subjects() {
        let marks = Marks::new(10);
        let since = Since::here(marks.now());
        assert!(!marks.is_marked(&since, &subject(1)));
        let other = marks.mark(&subject(2), LONG);
        assert!(!marks.is_marked(&since, &subject(1)));
        assert_eq!(since.number.load(Ordering::Relaxed), other.0);
        marks.mark(&subject(1), LONG);
        assert!(marks.is_marked(&since, &subject(1)));
        assert!(marks.is_marked(&since, &subject(1)), "it stays marked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_began_after_a_mark_is_good_wherever_it_ran() {
        let marks = Marks::new(10);
        marks.mark(&subject(1), LONG);
        let here = Since::here(marks.now());
        tokio::time::advance(Duration::from_secs(2)).await;
        let age = Duration::from_secs(1);
        let [elsewhere, older] = [age, age * 3].map(|age| marks.since(Moment::before(Instant::now(), age)));
        marks.mark(&subject(2), LONG);
        assert_eq!([&here, &elsewhere, &older].map(|since| marks.is_marked(since, &subject(1))), [false, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mark_that_the_store_did_not_confirm_outlives_the_confirmation_of_an_earlier_one() {
        for confirmed in [0, 1] {
            let marks = Marks::new(1);
            let began = Instant::now();
            let both = [(); 2].map(|()| marks.mark(&subject(1), LONG));
            marks.confirm(both[confirmed], &subject(1), Duration::from_secs(1));
            tokio::time::advance(Duration::from_secs(2)).await;
            // Looks for room.
            marks.mark(&subject(2), LONG);
            let loaded = marks.since(Moment::before(Instant::now(), began.elapsed()));
            assert_eq!(marks.is_marked(&loaded, &subject(1)), confirmed == 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn invalidations_at_once_that_are_all_confirmed_make_room_in_whatever_order() {
        for order in [[0, 1], [1, 0]] {
            let marks = Marks::new(1);
            let both = [(); 2].map(|()| marks.mark(&subject(1), LONG));
            for confirmed in order {
                marks.confirm(both[confirmed], &subject(1), Duration::from_secs(1));
            }
            tokio::time::advance(Duration::from_secs(2)).await;
            marks.mark(&subject(2), LONG);
            let marked = marks.read();
            assert!(!marked.by_subject.contains_key(&subject(1)[0]) && marked.everything.is_none(), "{order:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_bound_everything_older_is_marked_and_newer_loads_are_good() {
        let marks = Marks::new(10);
        let [looked_at, unseen] = [(); 2].map(|()| Since::here(marks.now()));
        for name in 0..10 {
            marks.mark(&subject(name), LONG);
        }
        assert!(!marks.is_marked(&looked_at, &subject(99)));
        tokio::time::advance(Duration::from_secs(1)).await;
        marks.mark(&subject(10), LONG);
        assert!(marks.is_marked(&looked_at, &subject(99)) && marks.is_marked(&unseen, &subject(99)));
        assert!(marks.is_marked(&marks.since(Moment::before(Instant::now(), LONG)), &subject(99)));
        assert!(!marks.is_marked(&Since::here(marks.now()), &subject(10)));
        assert_eq!(marks.read().by_subject.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_longer_matters_makes_room() {
        let marks = Marks::new(10);
        let unseen = Since::here(marks.now());
        for name in 0..9 {
            let first = marks.mark(&subject(name), LONG);
            marks.confirm(first, &subject(name), Duration::from_secs(1));
        }
        marks.mark(&subject(9), LONG);
        tokio::time::advance(Duration::from_secs(2)).await;
        let loaded = marks.since(Moment::before(Instant::now(), Duration::from_secs(1)));
        marks.mark(&subject(10), LONG);
        assert_eq!(marks.read().by_subject.len(), 2);
        assert!(!marks.is_marked(&loaded, &subject(99)), "what the store gives is told apart");
        assert!(marks.is_marked(&unseen, &subject(99)), "what was not looked at for so long is not");
    }
}
