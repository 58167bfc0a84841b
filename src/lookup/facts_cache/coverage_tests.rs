//! Where covered facts are served from memory, and what takes them away: each place by itself.
#![allow(clippy::arithmetic_side_effects, reason = "numbers and times are small")]

use super::tests::{facts_of, id};
use super::*;
use crate::store::line::{ALIVE_FOR, Listener as _};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn life() -> ShelfLife {
    ShelfLife { fresh_for: HOUR, lasting: false }
}

/// A cache in a session that is alive for so long from this moment.
fn in_session(capacity: usize, now: Instant, alive_for: Duration) -> (FactsCache, u64) {
    let cache = FactsCache::new(capacity);
    let session = cache.opened();
    cache.alive(session, now + alive_for);
    (cache, session)
}

fn key(at: usize) -> String {
    format!("payproof:facts:{{{at}}}")
}

/// Keeps the facts of a payment, read with this ticket. Whether they are kept.
fn keep(cache: &FactsCache, at: usize, ticket: Option<ReadTicket>) -> bool {
    let keep = Keep { uncovered: Some(life()), covered: ticket.map(|ticket| (life(), ticket)), beside_line: None };
    let stamp = cache.stamp(Moment::at(Instant::now()));
    let is_kept = cache.keep(&id(at), &facts_of(at), stamp, keep);
    if is_kept {
        cache.prove(&id(at), claims(), stamp);
    }
    is_kept
}

fn claims() -> Fingerprint {
    Fingerprint::from_bytes([1; 32])
}

fn cover(cache: &FactsCache, at: usize) -> bool {
    keep(cache, at, cache.ticket(&key(at)))
}

/// Whether a hit and a look are served.
fn serves(cache: &FactsCache, at: usize, now: Instant) -> [bool; 2] {
    let proven = cache.proven(&id(at), &claims(), now, Duration::MAX).is_some();
    [proven, cache.get(&id(at), now).is_some_and(|kept| kept.fresh)]
}

#[test]
fn covered_facts_are_served_while_the_session_is_alive_and_uncovered_ones_whatever_it_is() {
    let now = Instant::now();
    let (cache, session) = in_session(100, now, HOUR);
    assert!(cover(&cache, 1));
    cache.alive(session, now + ALIVE_FOR);
    let later = |millis| now + Duration::from_millis(millis);
    assert_eq!((serves(&cache, 1, later(999)), serves(&cache, 1, later(1000))), ([true; 2], [false; 2]));
    cache.alive(session, later(2_000));
    assert_eq!(serves(&cache, 1, later(1_999)), [true; 2]);
    cache.ended(session);
    assert_eq!(serves(&cache, 1, now), [false; 2]);
    // A beat of a session that is over says nothing.
    assert!(!cache.alive(session, now + HOUR));
    assert!(keep(&cache, 1, None));
    assert_eq!(serves(&cache, 1, later(10_000)), [true; 2]);
    assert_eq!((cache.opened() > session, serves(&cache, 1, now)), (true, [false; 2]));
}

#[test]
fn stale_facts_are_no_better_than_none_where_the_provider_is_down() {
    let now = Instant::now();
    let (cache, session) = in_session(100, now, HOUR);
    assert!(cover(&cache, 1));
    cache.alive(session, now + ALIVE_FOR);
    let kept = |now| cache.get(&id(1), now).unwrap().is_over(HOUR);
    assert_eq!((kept(now), kept(now + ALIVE_FOR)), (false, true));
}

#[test]
fn in_a_session_nothing_is_kept_that_it_does_not_cover() {
    let now = Instant::now();
    let none = FactsCache::new(100).ticket(&key(1));
    assert!(none.is_none(), "there is no session to cover it");
    let (cache, session) = in_session(100, now, HOUR);
    let before = cache.ticket(&key(1));
    assert!(!keep(&cache, 1, None));
    cache.changed(key(2).as_bytes());
    assert!(keep(&cache, 1, before), "another record changed");
    cache.changed(key(1).as_bytes());
    assert_eq!(serves(&cache, 1, now), [false; 2]);
    assert!(!keep(&cache, 1, before), "it changed since it was read");
    cache.ended(session);
    assert!(keep(&cache, 1, before), "without a session it is kept uncovered");
    cache.opened();
    assert!(!keep(&cache, 1, before), "it was read in another session");
}

#[test]
fn beside_a_line_facts_are_kept_uncovered_for_as_long_as_is_said() {
    let now = Instant::now();
    let (cache, session) = in_session(100, now, HOUR);
    let briefly = Some(ShelfLife { fresh_for: ALIVE_FOR, lasting: false });
    let stamp = cache.stamp(Moment::at(now));
    let keep = Keep { uncovered: Some(life()), beside_line: briefly, ..Keep::default() };
    assert!(cache.keep(&id(1), &facts_of(1), stamp, keep));
    let fresh = |millis| cache.get(&id(1), now + Duration::from_millis(millis)).is_some_and(|kept| kept.fresh);
    assert_eq!((fresh(999), fresh(1_000)), (true, false));
    cache.ended(session);
    assert!(!fresh(0), "without a session it is dropped with all else");
}

#[test]
fn what_the_ring_holds_no_more_may_have_changed() {
    let (cache, _) = in_session(100, Instant::now(), HOUR);
    let before = cache.ticket(&key(0));
    (1..=coverage::RING).for_each(|at| cache.changed(key(at).as_bytes()));
    assert!(keep(&cache, 0, before));
    cache.changed(key(1).as_bytes());
    assert!(!keep(&cache, 0, before));
}

// Between two sessions facts are kept as long as the store need not be asked; so the end of one has to be noticed.
#[tokio::test(start_paused = true)]
async fn who_keeps_facts_ends_a_session_that_is_not_alive_any_more() {
    let (cache, session) = in_session(100, Instant::now(), ALIVE_FOR);
    assert!(!keep(&cache, 1, None));
    tokio::time::advance(ALIVE_FOR).await;
    assert!(keep(&cache, 1, None));
    assert!(!cache.alive(session, Instant::now() + ALIVE_FOR), "it hears that it has to open another");
    assert_eq!(serves(&cache, 1, Instant::now()), [true; 2]);
    assert!(cache.ticket(&key(2)).is_none(), "it is over, whatever its line says");
}

// The docs of `facts_in_memory` tell of it.
#[test]
fn the_places_take_175_bytes_for_each_payment_of_the_default_at_most() {
    let (coverage, mut most) = (Coverage::new(100_000), 0);
    let session = coverage.open();
    assert!(coverage.alive(session, u64::MAX));
    for at in 0..300_000 {
        let ticket = coverage.ticket(&key(at));
        let Covering::Covered(mut heard, ticket) = coverage.admit(ticket, || 0) else { panic!("it is covered") };
        coverage.place(&mut heard, ticket, at as u64).for_each(drop);
        drop(heard);
        if at % 1_000 == 0 {
            most = most.max(coverage.bytes());
        }
    }
    assert!((165 * 100_000..=175 * 100_000).contains(&most), "{most}");
}

#[test]
fn what_falls_out_of_the_bounded_places_is_served_no_more() {
    let now = Instant::now();
    let (cache, _) = in_session(10, now, HOUR);
    for at in 0..200 {
        assert!(cover(&cache, at));
        let served = (0..=at).filter(|at| serves(&cache, *at, now) == [true; 2]).count();
        assert!((1..=10).contains(&served), "{served}");
    }
    // Covered anew again and again, one payment pushes all others out.
    assert!(cover(&cache, 200));
    for _ in 0..25 {
        assert!(cover(&cache, 201));
    }
    assert_eq!((serves(&cache, 200, now), serves(&cache, 201, now)), ([false; 2], [true; 2]));
    let places = cache.coverage.places();
    assert!(places <= 20, "{places}");
}
