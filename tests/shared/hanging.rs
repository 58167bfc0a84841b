//! A store that hangs: what it costs, what fails at once meanwhile, and what comes to its end all the same.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what is not as it should be fails the test"
)]

use std::time::Duration;

use payproof::guard::{Effect, EffectCall, Operation};
use payproof::store::MemoryStore;
use payproof::telemetry::BreakerState;
use payproof::testing::{FlakyStore, ScriptedProvider, Step, StoreFault, StoreVerb};
use payproof::{Degradation, LedgerError, PaymentId, Validator};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep, timeout};

use crate::support::{forgetful, intent, is_valid, ms, paid, paused_runtime, plain, proof_of, secs};

/// The default of `store_timeout`.
const TIME_OUT: Duration = secs(1);

type Way = FlakyStore<MemoryStore>;

fn process() -> (Validator, Way, ScriptedProvider) {
    let (provider, way) = (ScriptedProvider::new(), FlakyStore::new(MemoryStore::new()));
    for number in 0..1_000 {
        provider.put(paid(&format!("pi_{number}")));
    }
    let validator = forgetful(plain(&provider)).store(way.clone()).facts_in_memory_for(ms(0));
    (validator.build().unwrap(), way, provider)
}

/// Validates without the store, and says how long it took.
async fn alone(validator: &Validator, number: usize) -> Duration {
    let begun = Instant::now();
    let validation = validator.validate(intent(&format!("pi_{number}"))).await.unwrap();
    assert!(is_valid(&validation) && validation.degraded() == Some(Degradation::StoreDown), "{validation:?}");
    begun.elapsed()
}

/// Has the store hang, and two calls find out at once.
async fn open(validator: &Validator, way: &Way) {
    way.always(Some(StoreFault::Never));
    tokio::join!(alone(validator, 900), alone(validator, 901));
    assert_eq!(validator.stats().store_breaker, Some(BreakerState::Open));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_validations_wait_for_two_time_outs_and_then_for_nothing() {
    let (validator, way, provider) = process();
    way.always(Some(StoreFault::Never));
    let mut took = Vec::new();
    for number in 0..1_000 {
        took.push(alone(&validator, number).await);
    }
    assert_eq!((took[0], took[1]), (TIME_OUT, TIME_OUT));
    assert!(took[2..].iter().all(Duration::is_zero));
    assert_eq!((way.calls(StoreVerb::Claim), provider.calls()), (2, 1_000), "each is answered by the provider");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_at_once_wait_for_one_time_out() {
    let (validator, way, _) = process();
    way.always(Some(StoreFault::Never));
    for expected in [TIME_OUT, Duration::ZERO] {
        let begun = Instant::now();
        let mut callers = JoinSet::new();
        for number in 0..1_000 {
            let validator = validator.clone();
            callers.spawn(async move { alone(&validator, number).await });
        }
        callers.join_all().await;
        assert_eq!(begun.elapsed(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_users_of_one_ledger_have_one_breaker_and_one_prober() {
    let (validator, way, _) = process();
    let users: Vec<Validator> = (0..20).map(|_| validator.clone()).collect();
    way.always(Some(StoreFault::Never));
    let begun = Instant::now();
    for (number, user) in users.iter().enumerate() {
        alone(user, number).await;
    }
    assert_eq!(begun.elapsed(), TIME_OUT * 2);
    let before = way.calls(StoreVerb::Get);
    sleep(secs(20)).await;
    assert_eq!(way.calls(StoreVerb::Get) - before, 10, "a second between two probes, and a second for each");
    drop((validator, users));
    let before = way.calls(StoreVerb::Get);
    sleep(secs(20)).await;
    assert_eq!(way.calls(StoreVerb::Get), before, "the prober ends with the ledger");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_go_on_without_the_store_fails_at_once_and_says_when_to_come_back() {
    let (validator, way, _) = process();
    let proof = proof_of(&validator, intent("pi_1")).await;
    let write = Operation::new("store_42", "capture", "one", Effect::Write { provider_key_kept_for: None }).unwrap();
    open(&validator, &way).await;
    let begun = Instant::now();
    let redeemed = validator.redeem(&proof).await.unwrap_err();
    let captured = validator.guard().run(&write, |_: EffectCall| async { Ok(1) }).await.unwrap_err();
    let forgotten = validator.forget(&PaymentId::parse("pi_1").unwrap()).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!((redeemed.code(), redeemed.http_status()), ("store_unavailable", 503));
    assert_eq!((captured.code(), captured.http_status()), ("store_unavailable", 503));
    assert_eq!((forgotten.code(), forgotten.http_status()), ("store_unavailable", 503));
    let waits = [redeemed.retry_after(), captured.retry_after(), forgotten.retry_after()];
    assert_eq!(waits, [Some(secs(1)); 3]);
    way.always(None);
    assert!(validator.redeem(&proof).await.is_err(), "it was not probed yet");
    sleep(secs(2)).await;
    assert!(validator.redeem(&proof).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_back_is_found_out_by_a_probe_without_any_call() {
    let (validator, way, _) = process();
    open(&validator, &way).await;
    sleep(secs(60)).await;
    way.always(None);
    // The probe that is under way comes to its end, and the next one begins.
    sleep(secs(2)).await;
    assert_eq!(validator.stats().store_breaker, Some(BreakerState::Closed));
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap().degraded(), None);
}

#[test]
fn a_store_that_is_back_is_found_out_by_a_call_where_no_probe_comes_to_its_end() {
    // A connection that broke while the process stood still says nothing, and the call's second try is made.
    for faults in [vec![], vec![StoreFault::LostReply]] {
        let (validator, way, _) = process();
        let proof = paused_runtime().block_on(async {
            let proof = proof_of(&validator, intent("pi_1")).await;
            open(&validator, &way).await;
            proof
        });
        way.always(None);
        let refused = paused_runtime().block_on(async { validator.redeem(&proof).await });
        assert!(refused.is_err(), "no prober is overdue yet");
        // Each runtime ends with its call, as one that is frozen does, and its prober with it.
        paused_runtime().block_on(async {
            advance(secs(60)).await;
            way.script_any(faults);
            assert!(validator.redeem(&proof).await.is_ok());
        });
        assert_eq!(validator.stats().store_breaker, Some(BreakerState::Closed));
    }
}

#[test]
fn a_store_that_still_hangs_costs_one_call_for_each_overdue_prober() {
    let (validator, way, _) = process();
    paused_runtime().block_on(open(&validator, &way));
    paused_runtime().block_on(async {
        advance(secs(60)).await;
        assert_eq!(alone(&validator, 0).await, TIME_OUT);
        assert_eq!(alone(&validator, 1).await, Duration::ZERO);
    });
}

#[tokio::test(start_paused = true)]
async fn a_look_at_the_store_is_made_while_calls_are_turned_away() {
    let (validator, way, _) = process();
    open(&validator, &way).await;
    way.always(None);
    assert!(validator.redemption(&PaymentId::parse("pi_1").unwrap()).await.is_err());
    assert!(validator.check_store().await.is_fit());
    assert_eq!(validator.stats().store_breaker, Some(BreakerState::Closed), "its record was written and read");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_costs_no_time_and_turns_no_call_away() {
    let (validator, way, _) = process();
    for fault in [StoreFault::NotSent, StoreFault::LostReply, StoreFault::Refused] {
        way.always(Some(fault));
        for number in 0..10 {
            assert_eq!(alone(&validator, number).await, Duration::ZERO, "{fault:?}");
        }
        way.always(None);
        let validation = validator.validate(intent("pi_500")).await.unwrap();
        assert_eq!(validation.degraded(), None, "the first call after the outage finds the store back");
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_from_before_is_settled_while_calls_are_turned_away() {
    let (validator, way, provider) = process();
    provider.script("pi_1", [Step::Wait(ms(2_700))]);
    let flight = tokio::spawn({
        let validator = validator.clone();
        async move { validator.validate(intent("pi_1")).await.unwrap().degraded() }
    });
    sleep(ms(500)).await;
    open(&validator, &way).await;
    // The probe and the renewal that are under way by now hang.
    sleep(ms(1_100)).await;
    way.always(None);
    let refused = validator.stored_facts(&PaymentId::parse("pi_2").unwrap()).await.unwrap_err();
    assert_eq!((refused.code(), refused.retry_after()), ("store_unavailable", Some(secs(1))));
    assert_eq!(flight.await.unwrap(), None, "it is recorded");
    assert_eq!(validator.stats().store_breaker, Some(BreakerState::Closed), "what was answered lets all in");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_calls_are_turned_away() {
    let (validator, way, provider) = process();
    provider.script("pi_1", [Step::Wait(secs(60))]);
    let flight = tokio::spawn({
        let validator = validator.clone();
        async move { validator.validate(intent("pi_1")).await.unwrap().degraded() }
    });
    sleep(ms(500)).await;
    // Readings hang, and so do probes; renewals do not.
    way.script(StoreVerb::Get, vec![StoreFault::Never; 1_000]);
    let payment = PaymentId::parse("pi_2").unwrap();
    let mut opened = 0;
    while !flight.is_finished() {
        let renewals = way.executed(StoreVerb::Replace);
        if validator.stats().store_breaker == Some(BreakerState::Open) {
            opened += 1;
            // A lease of six time-outs is renewed three times within that.
            sleep(secs(2)).await;
            assert!(way.executed(StoreVerb::Replace) > renewals, "after {opened} times");
        }
        let _ = timeout(secs(3), async {
            tokio::join!(validator.stored_facts(&payment), validator.stored_facts(&payment))
        })
        .await;
        sleep(ms(10)).await;
    }
    assert!(opened > 5, "{opened}");
    assert_eq!(flight.await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_and_goes_costs_two_time_outs_each_time() {
    let (validator, way, _) = process();
    let (begun, mut is_away, mut lost) = (Instant::now(), false, Vec::new());
    let mut flaps = 0;
    while begun.elapsed() < secs(300) {
        if is_away != (begun.elapsed().as_secs() / 5 % 2 == 1) {
            is_away = !is_away;
            flaps += u32::from(is_away);
            way.always(is_away.then_some(StoreFault::Never));
        }
        let called = Instant::now();
        let number = called.duration_since(begun).as_millis() % 1_000;
        assert!(is_valid(&validator.validate(intent(&format!("pi_{number}"))).await.unwrap()));
        if !called.elapsed().is_zero() {
            lost.push(called.elapsed());
        }
        sleep(ms(50)).await;
    }
    assert!(flaps > 25, "{flaps}");
    // The second time-out of a call is that of its settling.
    assert!(
        lost.len() <= 2 * flaps as usize && lost.iter().all(|lost| *lost <= TIME_OUT * 2),
        "{flaps} flaps: {lost:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_readings_alone_costs_one_call_for_each_probe() {
    let (validator, way, _) = process();
    way.script(StoreVerb::Claim, vec![StoreFault::Never; 1_000]);
    let (begun, mut lost, mut calls) = (Instant::now(), 0, 0);
    while begun.elapsed() < secs(60) {
        lost += u32::from(!alone(&validator, calls % 900).await.is_zero());
        calls += 1;
        sleep(ms(10)).await;
    }
    assert!(lost <= 31 && calls > 2_000, "{lost} of {calls}");
}

#[tokio::test(start_paused = true)]
async fn what_the_error_says_tells_a_time_out_from_a_call_that_was_not_made() {
    let (validator, way, _) = process();
    let proof = proof_of(&validator, intent("pi_1")).await;
    way.always(Some(StoreFault::Never));
    for expected in [
        LedgerError::TimedOut { limit: TIME_OUT },
        LedgerError::TimedOut { limit: TIME_OUT },
        LedgerError::NotAsked { retry_after: secs(1) },
    ] {
        let error = validator.redeem(&proof).await.unwrap_err();
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<LedgerError>());
        assert_eq!(source, Some(&expected));
    }
}
