//! Leases that a call assumes from another one.

use super::*;

async fn assume(ledger: &Ledger, work: &Work<ALONE>) -> Box<Lease<Work<ALONE>>> {
    let deadline = Deadline::after(Instant::now(), Duration::ZERO);
    let decide = |_: &Held, _| Ok(Decision::<_, ()>::Assume(None));
    match ledger.acquire(work, || Ok(None), deadline, decide).await {
        Ok(Acquired::Lease(lease)) => lease,
        _ => panic!("no lease"),
    }
}

/// A lease of the second process, assumed from one of the first, of a kind that renews, tells when dropped, and speaks late.
async fn assumed(first: &Ledger, second: &Ledger) -> (Work<ALONE>, [Box<Lease<Work<ALONE>>>; 2]) {
    let work = Work::<ALONE> { is_renewed: true, tells_when_dropped: true, ..Work::on(first) };
    let own = work.lease(first).await;
    let lease = assume(second, &work).await;
    assert!(lease.nonce() == own.nonce() && !lease.took_over());
    (work, [own, lease])
}

#[tokio::test(start_paused = true)]
async fn a_lease_assumed_from_another_call_is_not_renewed_and_says_nothing_when_it_is_dropped_or_late() {
    let (_, first, _, second) = two();
    let (work, [_own, mut lease]) = assumed(&first, &second).await;
    lease.during(sleep(LEASE)).await;
    let found = record(&second, &work.key).await.unwrap();
    assert_eq!((found.record.state, found.lease_left()), (State::Claimed, Duration::ZERO), "it was renewed");
    drop(lease);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(record(&second, &work.key).await.unwrap().record.state, State::Claimed, "it spoke when it was dropped");

    let (_, first, way, second) = two();
    let (work, [_own, mut lease]) = assumed(&first, &second).await;
    way.cut();
    assert!(lease.conclude(Word::Done(7)).await.is_err());
    way.mend();
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(record(&second, &work.key).await.unwrap().record.state, State::Claimed, "it spoke late");
}

#[tokio::test(start_paused = true)]
async fn of_the_calls_that_share_a_claim_one_is_told_that_it_concluded_it() {
    let (_, first, _, second) = two();
    let (work, [own, assumed]) = assumed(&first, &second).await;
    assert!(matches!(assumed.conclude_once(Word::Done(7)).await, Ok(Swapped::Now)));
    assert!(matches!(own.conclude_once(Word::Done(7)).await, Ok(Swapped::Before(_))));
    assert_eq!(work.shown(&first).await, "Done(7)");
}

#[tokio::test(start_paused = true)]
async fn what_was_concluded_under_an_orphan_that_was_assumed_stands() {
    let (way, first, _, second) = two();
    let work = Work::<ALONE>::on(&first);
    // The second try is made and released; then the first one arrives, and no call of its process works under it.
    way.script([Fate::MadeLate(Duration::from_secs(6))]);
    assert!(work.lease(&first).await.release().await.unwrap());
    sleep(Duration::from_millis(6_500)).await;
    let lease = assume(&second, &work).await;
    assert!(matches!(lease.conclude_once(Word::Done(7)).await, Ok(Swapped::Now)));
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(work.shown(&second).await, "Done(7)");
}
