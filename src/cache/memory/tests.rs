#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cache::marks::{Mark, Since};
use crate::intent::fingerprint::Fingerprint;
use crate::lock::Lock;
use crate::moment::Moment;

/// For how long the store may still give what was marked: while it is not known to have heard of it, and afterwards.
const UNCONFIRMED: Duration = Duration::from_secs(60);
const CONFIRMED: Duration = Duration::from_secs(3);

const MIB: u64 = 1024 * 1024;

fn subject(name: &str) -> Fingerprint {
    Fingerprint::of("test", [Some(name.as_bytes())])
}

fn copy<V>(body: V, since: Since, subjects: &[&str], bytes: usize) -> MemoryCopy<V> {
    let value = Value {
        body,
        loaded: Moment::at(Instant::now()),
        lives: UNCONFIRMED,
        expired: OnceLock::new(),
        origin: "test".into(),
        is_absent: false,
        subjects: subjects.iter().map(|name| subject(name)).collect(),
        since,
        bytes,
        rests_until: Lock::default(),
    };
    MemoryCopy { value: Arc::new(value), checked: Instant::now(), good_for: 0 }
}

fn memory(bytes: u64) -> (Memory<u8, u64>, Arc<Marks>) {
    let marks = Arc::new(Marks::new(100));
    (Memory::new(bytes, Arc::clone(&marks)), marks)
}

/// What a test does to two spaces, in any order.
#[derive(Clone, Debug)]
enum Step {
    /// A load of the key begins, here or in another process.
    Begin {
        key: u8,
        elsewhere: bool,
    },
    /// The oldest load under way lands; its age looks this much older than it is.
    Land {
        bytes: usize,
        error: Duration,
    },
    /// The value of the key that landed last is read from the store again.
    ReadAgain {
        key: u8,
    },
    Get {
        key: u8,
    },
    Mark {
        subject: u8,
    },
    /// The store confirms one of the marks that it did not confirm yet.
    Confirm(prop::sample::Index),
    Wait(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..KEYS, any::<bool>()).prop_map(|(key, elsewhere)| Step::Begin { key, elsewhere }),
        3 => (prop_oneof![0..600_usize, 0..5_000_usize], 0..3_u64)
            .prop_map(|(bytes, error)| Step::Land { bytes, error: Duration::from_millis(error) }),
        1 => (0..KEYS).prop_map(|key| Step::ReadAgain { key }),
        4 => (0..KEYS).prop_map(|key| Step::Get { key }),
        3 => (0..SUBJECTS).prop_map(|subject| Step::Mark { subject }),
        2 => any::<prop::sample::Index>().prop_map(Step::Confirm),
        2 => prop_oneof![Just(1_u64), Just(1_000), Just(4_000), Just(61_000)].prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
    ];
    proptest::collection::vec(step, 1..120)
}

/// Half of them are in each space.
const KEYS: u8 = 6;

/// The keys, and two tags: of the even keys, and of all.
const SUBJECTS: u8 = KEYS + 2;

const SPACE_BYTES: u64 = 4_096;

/// What each of them has to make do with.
const SHARE_BYTES: u64 = 3_000;

fn subjects_of(key: u8) -> Vec<u8> {
    let tags = [key.is_multiple_of(2).then_some(KEYS), Some(KEYS + 1)];
    std::iter::once(key).chain(tags.into_iter().flatten()).collect()
}

struct Load {
    key: u8,
    /// The number of marks that were made before it.
    after: usize,
    began: Instant,
    /// Its point in the order of marks, where it began here.
    here: Option<Mark>,
}

/// Two spaces of one cache, and all that was marked, in order.
struct World {
    spaces: [Memory<u8, usize>; 2],
    marks: Arc<Marks>,
    loads: Vec<Load>,
    landed: BTreeMap<u8, (usize, Instant)>,
    marked: Vec<Marking>,
    unconfirmed: Vec<(usize, Mark)>,
}

struct Marking {
    subject: u8,
    /// Until when the store may give what was loaded before.
    until: Instant,
}

impl World {
    fn new() -> Self {
        // Fewer than there are subjects.
        let marks = Arc::new(Marks::new(usize::from(SUBJECTS) - 3));
        let spaces = [(); 2].map(|()| Memory::new(SPACE_BYTES, Arc::clone(&marks)));
        for space in &spaces {
            space.resize(SHARE_BYTES);
        }
        Self { spaces, marks, loads: vec![], landed: BTreeMap::new(), marked: vec![], unconfirmed: vec![] }
    }

    fn space(&self, key: u8) -> &Memory<u8, usize> {
        &self.spaces[usize::from(key % 2)]
    }

    /// The marks that overtook a load after so many marks.
    fn later_marks(&self, key: u8, after: usize) -> impl Iterator<Item = &Marking> {
        self.marked[after..].iter().filter(move |mark| subjects_of(key).contains(&mark.subject))
    }

    /// Takes in a value that was loaded after so many marks.
    fn take_in(&mut self, key: u8, after: usize, since: Since, bytes: usize) {
        let subjects: Vec<_> = subjects_of(key).iter().map(u8::to_string).collect();
        let subjects: Vec<_> = subjects.iter().map(String::as_str).collect();
        self.space(key).insert(&key, copy(after, since, &subjects, bytes));
    }

    /// Reads from the store what was loaded after so many marks, this long ago as far as its age tells.
    fn read(&mut self, key: u8, after: usize, age: Duration, bytes: usize) {
        let now = Instant::now();
        if self.later_marks(key, after).all(|mark| now < mark.until) {
            let since = self.marks.since(Moment::before(now, age));
            self.take_in(key, after, since, bytes);
        }
    }

    fn step(&mut self, step: &Step) -> Option<Duration> {
        let now = Instant::now();
        match *step {
            Step::Begin { key, elsewhere } => {
                let here = (!elsewhere).then(|| self.marks.now());
                self.loads.push(Load { key, after: self.marked.len(), began: now, here });
            }
            Step::Land { bytes, error } if !self.loads.is_empty() => {
                let load = self.loads.remove(0);
                self.landed.insert(load.key, (load.after, load.began));
                match load.here {
                    Some(mark) => {
                        self.take_in(load.key, load.after, Since::here(mark), bytes);
                        if mark == self.marks.now() && bytes < 1_000 {
                            let kept = self.space(load.key).get(&load.key).map(|copy| copy.value.body);
                            assert_eq!(kept, Some(load.after), "nothing was marked since: it is served");
                        }
                    }
                    None => self.read(load.key, load.after, load.began.elapsed() + error, bytes),
                }
            }
            Step::ReadAgain { key } => {
                if let Some((after, began)) = self.landed.get(&key).copied() {
                    self.read(key, after, began.elapsed(), 100);
                }
            }
            Step::Get { key } => {
                if let Some(copy) = self.space(key).get(&key) {
                    let outdated = self.later_marks(key, copy.value.body).count();
                    assert_eq!(outdated, 0, "marked after its load began, and served");
                }
            }
            Step::Mark { subject: name } => {
                let mark = self.marks.mark(&[subject(&name.to_string())], UNCONFIRMED);
                self.unconfirmed.push((self.marked.len(), mark));
                self.marked.push(Marking { subject: name, until: now + UNCONFIRMED });
            }
            Step::Confirm(which) if !self.unconfirmed.is_empty() => {
                let (at, first) = self.unconfirmed.remove(which.index(self.unconfirmed.len()));
                let name = self.marked[at].subject;
                self.marks.confirm(first, &[subject(&name.to_string())], CONFIRMED);
                // The store heard of all that came before as well.
                for earlier in self.marked[..=at].iter_mut().filter(|earlier| earlier.subject == name) {
                    earlier.until = earlier.until.min(now + CONFIRMED);
                }
            }
            Step::Wait(time) => return Some(time),
            Step::Land { .. } | Step::Confirm(_) => {}
        }
        let bytes = self.spaces.each_ref().map(Memory::bytes);
        assert!(bytes.iter().all(|bytes| *bytes <= SHARE_BYTES), "{bytes:?}");
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_served_that_was_marked_after_its_load_began(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in &steps {
                if let Some(time) = world.step(step) {
                    tokio::time::advance(time).await;
                }
            }
        });
    }
}

#[test]
fn a_hit_allocates_nothing() {
    let (memory, marks) = memory(MIB);
    memory.insert(&1, copy(7, Since::here(marks.now()), &["1"], 100));
    let first = || memory.get(&1).map(|copy| copy.value.body);
    let counted = allocation_counter::measure(|| assert_eq!(first(), Some(7)));
    assert_eq!(counted.count_total, 0);
    marks.mark(&[subject("2")], UNCONFIRMED);
    let counted = allocation_counter::measure(|| assert_eq!(first(), Some(7)));
    assert_eq!(counted.count_total, 0, "nor does the look that follows a mark");
}

#[test]
fn what_is_larger_than_the_space_is_not_kept() {
    for (bytes, length) in [(0, 0), (MIB, 2_000_000)] {
        let (memory, marks) = memory(bytes);
        memory.insert(&1, copy(7, Since::here(marks.now()), &["1"], length));
        assert!(memory.get(&1).is_none());
        assert_eq!(memory.bytes(), 0);
    }
}

#[test]
fn threads_never_get_what_was_marked_before_they_asked() {
    let (memory, marks) = memory(MIB);
    // The database: a load reads it after it began, and an invalidation follows each write.
    let (written, invalidated, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let load = || {
        let since = Since::here(marks.now());
        memory.insert(&1, copy(written.load(Ordering::SeqCst), since, &["1"], 100));
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let least = invalidated.load(Ordering::SeqCst);
                    match memory.get(&1) {
                        Some(copy) => assert!(copy.value.body >= least, "{} < {least}", copy.value.body),
                        None => load(),
                    }
                }
            });
        }
        for version in 1..=20_000 {
            written.store(version, Ordering::SeqCst);
            marks.mark(&[subject("1")], UNCONFIRMED);
            invalidated.store(version, Ordering::SeqCst);
        }
        over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn the_heap_holds_about_what_the_copies_count_for() {
    let marks = Arc::new(Marks::new(100));
    for (copies, length) in [(1_000, 4_000), (1_000, 400), (17_000, 100), (20_000, 10), (33_000, 100)] {
        let mut space = None;
        let counted = allocation_counter::measure(|| {
            let memory = Memory::<String, String>::new(64 * MIB, Arc::clone(&marks));
            for key in 0..copies {
                let copy = copy("x".repeat(length), Since::here(marks.now()), &["1", "2", "3"], length + 2);
                memory.insert(&format!("store_42/sku_{key:08}"), copy);
            }
            space = Some(memory);
        });
        let held = u64::try_from(counted.bytes_current).unwrap();
        let counts = space.map_or(0, |memory| memory.bytes());
        assert!(
            held < counts * 115 / 100 && held > counts * 80 / 100,
            "{copies} of {length}: {held} are held, {counts} counted"
        );
    }
}
