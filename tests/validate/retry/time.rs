//! Attempt timeouts and the total deadline.

use std::error::Error;
use std::sync::{Arc, Mutex};

use payproof::provider::{AttemptOutcome, Reach, Rule};
use payproof::provider::{ProviderError, ProviderIdentity, provider_fn};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{Jitter, Retry, Schedule, Validator};
use proptest::prelude::*;
use tokio::time::Instant;

use super::{TICK, exact, limited, noting};
use crate::support::{NO_PATTERNS, busy, intent, is_valid, ms, paid, paused_runtime, plain, provider, secs, settle};

#[tokio::test(start_paused = true)]
async fn an_attempt_is_cut_at_30_s_dropped_and_tried_again() {
    let provider = provider();
    provider.script("pi_1", [Step::Never]);
    let validator = plain(&provider).retry(Retry::new().jitter(Jitter::None)).build().unwrap();
    let start = Instant::now();
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation));
    assert_eq!(start.elapsed(), ms(30_100));
    assert_eq!((provider.calls(), provider.completed(), provider.dropped()), (2, 1, 1));
    let log = &validation.attempts()[0];
    assert_eq!((log.duration(), log.reach(), log.status()), (secs(30), Reach::MaybeSent, None));
    assert_eq!(log.outcome(), &AttemptOutcome::Transient(Rule::Reach(Reach::MaybeSent)));
}

#[tokio::test(start_paused = true)]
async fn the_attempt_timeout_can_be_set_and_lasting_silence_is_a_timeout() {
    let provider = provider();
    provider.always(Some(Step::Never));
    let validator = plain(&provider).attempt_timeout(secs(2)).retry(Retry::new().jitter(Jitter::None)).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(start.elapsed(), ms(4 * 2000 + 5600));
    assert_eq!((provider.calls(), provider.dropped()), (4, 4), "a cut call does not run on");
    assert!(error.is_timeout());
    assert_eq!((error.code(), error.http_status()), ("provider_timeout", 504));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_within_the_timeout_is_an_answer() {
    let provider = provider();
    provider.script("pi_1", [Step::Wait(ms(29_999))]);
    let validator = plain(&provider).build().unwrap();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!((provider.calls(), provider.dropped()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_total_deadline_covers_attempts_and_waits() {
    let provider = provider();
    provider.always(Some(Step::Never));
    let retry = exact(100, Schedule::waits([secs(1)]));
    let validator = plain(&provider).attempt_timeout(secs(4)).total_deadline(secs(12)).retry(retry).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(start.elapsed(), secs(12), "4 + 1 + 4 + 1 + 2");
    assert_eq!((provider.calls(), provider.dropped()), (3, 3));
    assert!(error.is_timeout());
    assert_eq!(error.code(), "deadline_exceeded");
    assert!(error.source().is_some(), "the last attempt's error is kept");
    assert_eq!(error.attempts().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_shorter_than_the_attempt_timeout_shortens_it() {
    let left = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&left);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |_, call| {
        *seen.lock().unwrap() = Some(call.time_left());
        std::future::pending()
    });
    let validator = Validator::builder(provider).total_deadline(secs(3)).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((start.elapsed(), *left.lock().unwrap()), (secs(3), Some(secs(3))));
    assert!(error.is_timeout());
    assert_eq!(error.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_default_worst_case_lets_all_four_attempts_time_out() {
    let provider = provider();
    provider.always(Some(Step::Never));
    let validator = plain(&provider).retry(Retry::new().jitter(Jitter::None)).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((start.elapsed(), provider.calls(), error.code()), (ms(125_600), 4, "provider_timeout"));
    assert!(start.elapsed() <= validator.worst_case());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_slept_for_when_the_deadline_would_pass_meanwhile() {
    let provider = provider();
    provider.always(Some(Step::Fail(busy())));
    provider.script("pi_1", [Step::Wait(secs(1)), busy().into(), Step::Wait(secs(1)), busy().into()]);
    let retry = exact(3, Schedule::waits([secs(2), secs(6)]));
    let validator = plain(&provider).total_deadline(secs(10)).retry(retry).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(start.elapsed(), secs(4), "6 s more would end at the deadline, with no time to ask");
    assert_eq!(provider.calls(), 2);
    assert!(error.is_unavailable());
    assert_eq!(error.source().unwrap().to_string(), "status 503: busy");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_time_at_a_closed_gate() {
    let (asked, builder) =
        noting(|payment, attempt| (payment == "pi_0" && attempt == 1).then(|| limited(Some(secs(10)))));
    let validator = builder.total_deadline(secs(15)).build().unwrap();
    let first = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    settle().await;
    let start = Instant::now();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    // 10 s, the spread of that, and the second of two who leave the gate one after the other.
    assert!(start.elapsed() <= secs(12) + ms(1500) + TICK, "{:?}", start.elapsed());
    assert!(is_valid(&first.await.unwrap().unwrap()));
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[derive(Clone, Debug)]
enum Move {
    Facts,
    Never,
    Wait(u64),
    Fail { status: u16, retry_after: Option<u64> },
    Silence,
    Unreadable,
    Panic,
}

impl Move {
    fn step(&self, id: &str) -> Step {
        match self {
            Self::Facts => paid(id).into(),
            Self::Never => Step::Never,
            Self::Wait(millis) => Step::Wait(ms(*millis)),
            Self::Fail { status, retry_after } => {
                let error = ProviderError::refused("x").with_status(*status);
                retry_after.map_or(error.clone(), |wait| error.with_retry_after(ms(wait))).into()
            }
            Self::Silence => ProviderError::outcome_unknown("x").into(),
            Self::Unreadable => ProviderError::unreadable("x").into(),
            Self::Panic => Step::Panic,
        }
    }
}

fn any_move() -> impl Strategy<Value = Move> {
    let status = prop::sample::select(vec![404_u16, 408, 409, 429, 429, 500, 503, 503]);
    prop_oneof![
        2 => Just(Move::Facts),
        1 => Just(Move::Never),
        4 => (0_u64..40_000).prop_map(Move::Wait),
        6 => (status, prop::option::of(0_u64..70_000)).prop_map(|(status, retry_after)| Move::Fail { status, retry_after }),
        2 => Just(Move::Silence),
        1 => Just(Move::Unreadable),
        1 => Just(Move::Panic),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_call_takes_longer_than_the_worst_case(
        scripts in prop::collection::vec(prop::collection::vec(any_move(), 0..12), 1..5),
        total in 1_u64..200_000,
        attempt in 1_u64..60_000,
        retries in 0_u32..8,
        places in 1_usize..3,
        seed: u64,
        lasting in any_move(),
    ) {
        paused_runtime().block_on(async move {
            let provider = ScriptedProvider::new();
            let waits_only = matches!(lasting, Move::Wait(_));
            provider.always((!waits_only).then(|| lasting.step("pi_0")));
            let ids: Vec<_> = (0..scripts.len()).map(|number| format!("pi_{number}")).collect();
            for (id, script) in ids.iter().zip(&scripts) {
                provider.put(paid(id));
                provider.script(id.clone(), script.iter().map(|step| step.step(id)));
            }
            let validator = Validator::builder(provider.clone())
                .total_deadline(ms(total)).attempt_timeout(ms(attempt)).retry(Retry::new().times(retries))
                .max_concurrent(places).seed(seed).transient_patterns(NO_PATTERNS).build().unwrap();
            let calls: Vec<_> = ids.iter().map(|id| {
                let validate = validator.validate(intent(id)).into_future();
                tokio::spawn(async move {
                    let start = Instant::now();
                    let answer = validate.await;
                    (start.elapsed(), answer)
                })
            }).collect();
            for call in calls {
                let (elapsed, answer) = call.await.unwrap();
                prop_assert!(elapsed <= validator.worst_case(), "{elapsed:?} of {:?}", validator.worst_case());
                let attempts = match &answer {
                    Ok(validation) => validation.attempts(),
                    Err(error) => error.attempts(),
                };
                prop_assert!(attempts.len().saturating_sub(1) <= retries as usize);
            }
            settle().await;
            prop_assert_eq!(validator.stats().in_flight, 0);
            prop_assert_eq!(provider.calls(), provider.completed().saturating_add(provider.dropped()), "nothing runs on");
            Ok(())
        })?;
    }
}
