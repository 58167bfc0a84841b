//! Leases that others have ended, and what others write in the place of their claims.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_lease_that_a_renewal_finds_lost_is_over_at_once() {
    let (_, first, _, second) = two();
    let work = Work::<NEVER> { is_renewed: true, ..Work::on(&first) };
    let mut lease = work.lease(&first).await;
    second.void(&work.key, KEPT_FOR).await.unwrap();
    let end = lease.end();
    assert!(!end.is_over());
    // Until the first renewal. The last one that succeeded was the claim, and its time is not over.
    lease.during(sleep(LEASE / 2)).await;
    assert!(lease.held_for() < LEASE && end.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_persons_word_bears_a_nonce_of_its_own() {
    let (_, first, second, work, mut lease) = leased::<OVER_OWN>().await;
    let found = record(&second, &work.key).await.unwrap();
    assert_eq!(second.replace(&work.key, &found, contents(State::Settled, (Some(1), 0)).unwrap()).await, Ok(true));
    let said = record(&second, &work.key).await.unwrap();
    assert!(said.record.nonce != found.record.nonce && said.record.marks.is_none());
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(false), "the person's word passed for the owner's");
    assert_eq!(work.shown(&first).await, "Done(1)");
}
