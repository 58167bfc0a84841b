//! Two processes by chance: one that gives up on the store after 2 s, and one that stands still between any two steps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// What a lease leaves for the work to begin, and how long that takes at most.
const TIME_TO_BEGIN: Duration = Duration::from_secs(4);
const LONGEST_WORK: u64 = 4_000;

/// How long a process stands still: less than a lease, more, more than late words, and more than all of them.
const STILL: [u64; 4] = [1, 11, 70, 200];

/// Longer than a record lives. Every fourth time, since afterwards the work may be done again.
const LONGEST_STOP: u64 = 11_000;

/// By then everything goes well again.
const TROUBLE_ENDS: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Seen {
    /// Results of work that was done, and when it was begun.
    done: BTreeMap<u32, Instant>,
    /// Whether a process was gone before it could say what it knew.
    was_dropped: bool,
    told: BTreeSet<u32>,
}

fn fate(rng: &mut StdRng, stands_still: bool, outlives_records: bool) -> Fate {
    let longest = outlives_records && rng.random_bool(0.3);
    let still = Duration::from_secs(if longest { LONGEST_STOP } else { *STILL.choose(rng).unwrap() });
    match rng.random_range(0..14) {
        0 | 1 => Fate::ReplyLost,
        2 => Fate::MadeLate(Duration::from_millis(rng.random_range(0..30_000))),
        3 => Fate::Broken,
        4 | 5 if stands_still => Fate::StopsBefore(still),
        6 | 7 if stands_still => Fate::StopsAfter(still),
        4 => Fate::StopsBefore(Duration::from_secs(1)),
        6 => Fate::StopsAfter(Duration::from_secs(1)),
        _ => Fate::Made,
    }
}

async fn call<const LATE: u8>(work: Work<LATE>, ledger: Ledger, mut rng: StdRng, seen: Arc<Mutex<Seen>>) {
    sleep(Duration::from_millis(rng.random_range(0..40_000))).await;
    let acquired = work.acquire(&ledger, Duration::from_secs(30)).await;
    let mut lease = match acquired {
        Ok(Acquired::Lease(lease)) => lease,
        Ok(Acquired::Answer(Known::Done(number))) => {
            seen.lock().unwrap().told.insert(number);
            return;
        }
        _ => return,
    };
    if lease.carried().is_some() {
        lease.during(sleep(Duration::from_millis(rng.random_range(0..LONGEST_WORK)))).await;
        let _ = lease.conclude(Word::StillUnknown).await;
        return;
    }
    if lease.held_for() > TIME_TO_BEGIN || rng.random_bool(0.2) {
        let _ = lease.conclude(Word::Nothing).await;
        return;
    }
    let number = rng.random();
    seen.lock().unwrap().done.insert(number, Instant::now());
    lease.during(sleep(Duration::from_millis(rng.random_range(0..LONGEST_WORK)))).await;
    if rng.random_bool(0.1) {
        seen.lock().unwrap().was_dropped = true;
        return;
    }
    let _ = lease.conclude(Word::Done(number)).await;
}

async fn run<const LATE: u8>(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let shared = Shared::default();
    let work_done = Arc::new(Mutex::new(Seen::default()));
    let (is_renewed, outlives_records) = (rng.random_bool(0.5), seed.is_multiple_of(4));
    let (mut calls, mut ways) = (Vec::new(), Vec::new());
    for (stands_still, timeout) in [(false, 2), (true, 100_000)] {
        let way = Way::to(&shared);
        way.script((0..30).map(|_| fate(&mut rng, stands_still, outlives_records)));
        let ledger = process(&way, Duration::from_secs(timeout));
        let work = Work::<LATE> { is_renewed, ..Work::on(&ledger) };
        for _ in 0..3 {
            let (rng, to_tell) = (StdRng::seed_from_u64(rng.random()), Arc::clone(&work_done));
            calls.push(tokio::spawn(call(work.clone(), ledger.clone(), rng, to_tell)));
        }
        ways.push(way);
    }
    sleep(TROUBLE_ENDS).await;
    ways.iter().for_each(Way::mend);
    for call in calls {
        call.await.unwrap();
    }
    // A process that stood still has still all its late words to say.
    sleep(Duration::from_secs(if outlives_records { LONGEST_STOP } else { 600 })).await;
    sleep(LATE_WORDS_ARE_OVER).await;

    let last = process(&Way::to(&shared), Duration::from_secs(2));
    let left = Work::<LATE>::on(&last).shown(&last).await;
    let Seen { done, was_dropped, told } = &*work_done.lock().unwrap();
    // Once its record's time is over, it may be done again.
    let mut begun: Vec<_> = done.values().collect();
    begun.sort();
    let is_kept = |pair: &[&Instant]| pair[1].duration_since(*pair[0]) < KEPT_FOR.saturating_sub(LEASE);
    assert!(!begun.windows(2).any(is_kept), "seed {seed}: done {} times", done.len());
    assert!(told.iter().all(|number| done.contains_key(number)), "seed {seed}: told {told:?} of {done:?}");
    let is_known = match left.as_str() {
        "lease" => done.is_empty() || outlives_records,
        "NobodyKnows" => *was_dropped,
        left => done.keys().any(|number| left == format!("Done({number})")),
    };
    assert!(is_known, "seed {seed}: {left} of {done:?}");
    shared.assert_no_bytes_stood_twice();
}

/// Work that may not be done twice is done once at most, its process has the last word on it, and what was never begun
/// stands in no call's way.
#[test]
fn no_order_of_losses_and_stops_breaks_the_protocol() {
    for seed in 0..400 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run::<OVER_OWN>(seed));
        runtime.block_on(run::<ALONE>(seed));
        runtime.block_on(run::<GUARDED>(seed));
    }
}
