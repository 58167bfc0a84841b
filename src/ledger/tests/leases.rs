//! One lease from its claim to its last word, in time or late.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_last_word_is_written_over_a_mark_of_its_own_claim() {
    let (_, _, second, work, mut lease) = leased::<OVER_OWN>().await;
    sleep(LEASE).await;
    assert_eq!(work.shown(&second).await, "NobodyKnows");
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(true));
    assert_eq!(work.shown(&second).await, "Done(7)");
}

#[tokio::test(start_paused = true)]
async fn a_late_last_word_is_written_over_a_mark_of_its_own_claim() {
    let (way, _, second, work, mut lease) = leased::<ALONE>().await;
    way.cut();
    assert!(lease.conclude(Word::Done(7)).await.is_err());
    sleep(LEASE).await;
    assert_eq!(work.shown(&second).await, "NobodyKnows");
    way.mend();
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(work.shown(&second).await, "Done(7)");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_never_follows_a_mark() {
    let (way, first, _, second) = two();
    let work = Work::<OVER_OWN> { is_renewed: true, ..Work::on(&first) };
    let mut lease = work.lease(&first).await;
    way.cut();
    let working = tokio::spawn(async move {
        lease.during(sleep(LEASE * 3)).await;
        lease
    });
    sleep(LEASE).await;
    assert_eq!(work.shown(&second).await, "NobodyKnows");
    way.mend();
    sleep(LEASE).await;
    assert_eq!(record(&second, &work.key).await.unwrap().record.state, State::Settled);
    assert_eq!(working.await.unwrap().conclude(Word::Done(7)).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_last_word_is_never_written_over_another_ones_claim_or_word() {
    for word in [Word::Done(1), Word::Failed, Word::Nothing] {
        let (_, first, _, second) = two();
        let work = Work::<OVER_OWN> { marks: false, ..Work::on(&first) };
        let mut late = work.lease(&first).await;
        sleep(LEASE).await;
        let mut taken = work.lease(&second).await;
        assert!(taken.took_over());
        assert_eq!(late.conclude(word).await, Ok(false));
        assert_eq!(taken.conclude(Word::Done(2)).await, Ok(true));
        assert_eq!(late.conclude(word).await, Ok(false));
        assert_eq!(work.shown(&first).await, "Done(2)");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_stands_when_its_lease_is_dropped_unless_the_kind_says_otherwise() {
    for tells in [false, true] {
        let (_, first, _, second) = two();
        let work = Work::<NEVER> { tells_when_dropped: tells, ..Work::on(&first) };
        drop(work.lease(&first).await);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(work.shown(&second).await, if tells { "lease" } else { "busy" });
    }
}

#[tokio::test(start_paused = true)]
async fn late_words_are_said_as_the_kind_says() {
    async fn left<const LATE: u8>(record_is_gone: bool) -> Option<State> {
        let (way, _, second, work, mut lease) = leased::<LATE>().await;
        way.cut();
        assert!(lease.conclude(Word::Done(7)).await.is_err());
        if record_is_gone {
            let held = record(&second, &work.key).await.unwrap();
            second.remove(&work.key, &held).await.unwrap();
        }
        way.mend();
        sleep(LATE_WORDS_ARE_OVER).await;
        record(&second, &work.key).await.map(|held| held.record.state)
    }
    assert_eq!([left::<NEVER>(false).await, left::<NEVER>(true).await], [Some(State::Claimed), None]);
    assert_eq!([left::<OVER_OWN>(false).await, left::<OVER_OWN>(true).await], [Some(State::Settled), None]);
    assert_eq!([left::<ALONE>(false).await, left::<ALONE>(true).await], [Some(State::Settled), Some(State::Settled)]);
}

#[tokio::test(start_paused = true)]
async fn a_late_word_where_no_record_is_has_bytes_of_its_own() {
    let (way, _, second, work, mut lease) = leased::<ALONE>().await;
    way.script([Fate::ReplyLost, Fate::Broken]);
    assert!(lease.conclude(Word::Done(7)).await.is_err());
    let settled = record(&second, &work.key).await.unwrap();
    second.remove(&work.key, &settled).await.unwrap();
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(work.shown(&second).await, "Done(7)");
    way.shared.assert_no_bytes_stood_twice();
}

#[test]
fn a_lease_is_over_where_the_system_counted_more_time_than_this_process() {
    let (asked, slept) = (Duration::from_secs(2), Duration::from_secs(9));
    for (by_system, expected) in [
        (Some(asked), asked),
        (Some(asked + Duration::from_secs(1)), asked),
        (Some(Duration::ZERO), asked),
        (None, asked),
        (Some(slept), Duration::MAX),
    ] {
        assert_eq!(lease_end::held_for(asked, asked, by_system), expected, "{by_system:?}");
    }
    // Where a test pauses the runtime's clock, what really passes says nothing.
    assert_eq!(lease_end::held_for(asked, slept, Some(slept)), asked);
}

#[tokio::test(start_paused = true)]
async fn renewals_do_not_make_an_age_smaller_than_the_time_since_the_claim() {
    let (way, first, _, second) = two();
    let work = Work::<NEVER> { is_renewed: true, ..Work::on(&first) };
    let begun = Instant::now();
    let mut lease = work.lease(&first).await;
    way.script([Fate::Made, Fate::ReplyLost, Fate::ReplyLost, Fate::Broken, Fate::Made, Fate::ReplyLost]);
    let looking = async {
        for _ in 0..40 {
            sleep(Duration::from_millis(900)).await;
            let held = record(&second, &work.key).await.unwrap();
            let (_, age_ms): Payload = held.payload("holds no work").unwrap();
            assert!(Duration::from_millis(age_ms) + held.age >= begun.elapsed(), "{age_ms} ms, {:?}", begun.elapsed());
        }
    };
    lease.during(looking).await;
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn an_orphan_is_removed_as_a_claim_and_as_a_mark_of_it() {
    for marked in [false, true] {
        let (way, first, _, second) = two();
        let work = Work::<OVER_OWN>::on(&first);
        way.script([Fate::ReplyLost, Fate::ReplyLost]);
        assert!(work.acquire(&first, Duration::ZERO).await.is_err());
        way.cut();
        if marked {
            sleep(LEASE).await;
            assert_eq!(work.shown(&second).await, "NobodyKnows");
        }
        way.mend();
        sleep(LATE_WORDS_ARE_OVER).await;
        assert_eq!(work.shown(&second).await, "lease", "marked: {marked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_dropped_while_it_is_asked_for_is_removed() {
    let (way, first, _, second) = two();
    let work = Work::<OVER_OWN>::on(&first);
    way.script([Fate::StopsAfter(Duration::from_secs(1))]);
    let asking = work.acquire(&first, Duration::ZERO);
    assert!(timeout(Duration::from_millis(500), asking).await.is_err());
    sleep(LATE_WORDS_ARE_OVER).await;
    assert_eq!(work.shown(&second).await, "lease");
}

#[tokio::test(start_paused = true)]
async fn the_late_first_try_of_a_claim_does_not_pass_for_the_second() {
    let (way, first, _, second) = two();
    let work = Work::<OVER_OWN>::on(&first);
    way.script([Fate::MadeLate(Duration::from_secs(6))]);
    let mut lease = work.lease(&first).await;
    second.void(&work.key, Duration::from_secs(5)).await.unwrap();
    sleep(Duration::from_millis(6_500)).await;
    assert_eq!(lease.conclude(Word::Done(7)).await, Ok(false), "what was voided meanwhile is settled");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_held_from_before_it_was_asked_for() {
    let (way, first, _, _) = two();
    way.script([Fate::StopsAfter(Duration::from_millis(1_500))]);
    let lease = Work::<NEVER>::on(&first).lease(&first).await;
    assert!(lease.held_for() >= Duration::from_millis(1_500), "{:?}", lease.held_for());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_gets_what_the_holder_says_or_hears_how_long_it_still_is() {
    let (_, _, second, work, mut lease) = leased::<NEVER>().await;
    let waiting = work.acquire(&second, Duration::from_secs(1));
    let Ok(Acquired::Busy { lease_left }) = waiting.await else { panic!("not busy") };
    assert!(lease_left > Duration::from_secs(8) && lease_left <= LEASE, "{lease_left:?}");
    let (answer, _) = tokio::join!(work.acquire(&second, Duration::from_secs(60)), async {
        sleep(Duration::from_secs(3)).await;
        lease.conclude(Word::Done(7)).await
    });
    assert_eq!(shown(&answer), "Done(7)");
}

#[tokio::test(start_paused = true)]
async fn in_the_place_of_a_word_that_is_too_large_a_smaller_one_is_said() {
    let (_, first, _, second) = two();
    let work = Work::<NEVER>::on(&first);
    assert_eq!(work.lease(&first).await.conclude(Word::TooLarge).await, Ok(true));
    assert_eq!(work.shown(&second).await, "Done(7)");
}
