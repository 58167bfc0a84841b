//! What is tried again, how often, and after how long.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{NO_PATTERNS, busy, failing, intent, is_valid, ms, paid, plain, provider, secs, settle, waits};
use payproof::provider::{Answer, Call, Provider, ProviderError, ProviderIdentity, RateLimit, provider_fn};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{
    AttemptOutcome, BuildError, Jitter, PaymentId, ProviderPayment, Reach, Retry, Rule, Schedule, ValidateError,
    Validator, ValidatorBuilder, WaitReason,
};
use proptest::prelude::*;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// The most a timer comes late on a paused clock: it counts whole milliseconds.
const TICK: Duration = ms(1);

/// How often the provider is asked about `pi_1` when it keeps failing like this.
async fn calls_on(error: ProviderError) -> u64 {
    let provider = failing(error);
    let validator = plain(&provider).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap_err();
    provider.calls()
}

/// The error and the time it took, for a provider that keeps failing like this.
async fn refused_after(
    error: ProviderError,
    set: impl Fn(ValidatorBuilder) -> ValidatorBuilder,
) -> (ValidateError, Duration, u64) {
    let provider = failing(error);
    let validator = set(plain(&provider)).build().unwrap();
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    (error, start.elapsed(), provider.calls())
}

fn exact(times: u32, schedule: Schedule) -> Retry {
    Retry::new().times(times).schedule(schedule).jitter(Jitter::None)
}

fn rule_of(outcome: &AttemptOutcome) -> String {
    match outcome {
        AttemptOutcome::Transient(rule) => format!("transient by {rule}"),
        AttemptOutcome::Permanent(rule) => format!("permanent by {rule}"),
        other => format!("{other:?}"),
    }
}

// ---- how often, and how long in between

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_gets_one_attempt_and_three_retries() {
    let (error, _, calls) = refused_after(busy(), |builder| builder).await;
    assert_eq!(calls, 4);
    let numbers: Vec<_> = error.attempts().iter().map(payproof::Attempt::number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(error.attempts().iter().all(|attempt| attempt.reach() == Reach::Answered && attempt.status() == Some(503)));
    assert_eq!(error.attempts()[3].wait(), None, "nothing is waited for after the last attempt");
    assert!(error.is_unavailable());
    assert_eq!((error.code(), error.http_status()), ("provider_unavailable", 503));
    assert_eq!(error.source().unwrap().to_string(), "status 503: busy");
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_costs_one_retry() {
    let provider = provider();
    provider.script("pi_1", [busy()]);
    let validator = plain(&provider).build().unwrap();
    let validation = validator.validate(intent("pi_1")).await.unwrap();
    assert!(is_valid(&validation));
    assert_eq!(provider.calls(), 2);
    let log: Vec<_> = validation.attempts().iter().map(|attempt| rule_of(attempt.outcome())).collect();
    assert_eq!(log, ["transient by status 503", "Facts"]);
}

#[tokio::test(start_paused = true)]
async fn the_logged_waits_are_the_time_that_passes() {
    for seed in 0..20 {
        let provider = provider();
        provider.always(Some(Step::Fail(busy())));
        provider.script("pi_1", (0..4).flat_map(|_| [Step::Wait(ms(70)), Step::Fail(busy())]));
        let validator = plain(&provider).seed(seed).transient_patterns(NO_PATTERNS).build().unwrap();
        let start = Instant::now();
        let error = validator.validate(intent("pi_1")).await.unwrap_err();
        let log = error.attempts();
        for pair in log.windows(2) {
            let gap = pair[1].offset().saturating_sub(pair[0].offset() + pair[0].duration());
            let (wait, reason) = pair[0].wait().unwrap();
            assert_eq!(reason, WaitReason::Schedule);
            assert!(gap >= wait && gap <= wait + TICK, "{gap:?} for a wait of {wait:?}");
        }
        assert!(log.iter().all(|attempt| attempt.duration() == ms(70)));
        let spent = waits(log).iter().sum::<Duration>() + 4 * ms(70);
        assert!(start.elapsed() >= spent && start.elapsed() <= spent + 4 * TICK, "{:?} for {spent:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_above_its_nominal_value_and_every_part_below_is_used() {
    let nominal = [ms(100), ms(500), ms(5000)];
    let mut seen = [[false; 4]; 3];
    for seed in 0..100 {
        let (error, elapsed, _) =
            refused_after(busy(), |builder| builder.seed(seed).transient_patterns(NO_PATTERNS)).await;
        let waits = waits(error.attempts());
        assert_eq!(waits.len(), 3);
        assert!(elapsed <= ms(5600) + 3 * TICK);
        for ((wait, nominal), seen) in waits.into_iter().zip(nominal).zip(&mut seen) {
            assert!(wait <= nominal, "{wait:?}");
            let quarter = wait.as_nanos() * 4 / nominal.as_nanos();
            seen[usize::try_from(quarter).unwrap().min(3)] = true;
        }
    }
    assert_eq!(seen, [[true; 4]; 3], "jitter is full at every step");
}

#[tokio::test(start_paused = true)]
async fn each_call_draws_its_own_jitter() {
    let validator = plain(&failing(busy())).build().unwrap();
    let mut drawn = Vec::new();
    for number in 0..20 {
        let error = validator.validate(intent(&format!("pi_{number}"))).await.unwrap_err();
        drawn.push(waits(error.attempts()));
    }
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn validators_without_a_seed_draw_different_jitter() {
    let (one, ..) = refused_after(busy(), |builder| builder).await;
    let (two, ..) = refused_after(busy(), |builder| builder).await;
    assert_ne!(waits(one.attempts()), waits(two.attempts()));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_draws_the_same_jitter() {
    let (one, ..) = refused_after(busy(), |builder| builder.seed(7)).await;
    let (two, ..) = refused_after(busy(), |builder| builder.seed(7)).await;
    let (three, ..) = refused_after(busy(), |builder| builder.seed(8)).await;
    assert_eq!(waits(one.attempts()), waits(two.attempts()));
    assert_ne!(waits(one.attempts()), waits(three.attempts()));
}

#[tokio::test(start_paused = true)]
async fn without_jitter_the_waits_are_exact() {
    let retry = Retry::new().jitter(Jitter::None);
    let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(waits(error.attempts()), [ms(100), ms(500), ms(5000)]);
    assert_eq!((elapsed, calls), (ms(5600), 4));
}

#[tokio::test(start_paused = true)]
async fn equal_jitter_keeps_at_least_half() {
    for seed in 0..50 {
        let retry = Retry::new().jitter(Jitter::Equal);
        let (error, ..) =
            refused_after(busy(), |builder| builder.retry(retry.clone()).seed(seed).transient_patterns(NO_PATTERNS))
                .await;
        for (wait, nominal) in waits(error.attempts()).into_iter().zip([ms(100), ms(500), ms(5000)]) {
            assert!(wait >= nominal / 2 && wait <= nominal, "{wait:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_retries_means_one_attempt() {
    for retry in [Retry::none(), Retry::new().times(0), Retry::none().schedule(Schedule::waits([]))] {
        let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
        assert_eq!((elapsed, calls), (Duration::ZERO, 1));
        assert!(error.is_unavailable());
    }
}

#[tokio::test(start_paused = true)]
async fn an_exponential_schedule_grows_up_to_its_cap() {
    let retry = exact(6, Schedule::exponential(ms(100), 3.0, secs(2)));
    let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(waits(error.attempts()), [100, 300, 900, 2000, 2000, 2000].map(ms));
    assert_eq!((elapsed, calls), (ms(7300), 7));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_retries_neither_overflow_nor_lose_the_cap() {
    let retry = exact(1000, Schedule::exponential(secs(1), 1e9, secs(7)));
    let endless = |builder: ValidatorBuilder| builder.retry(retry.clone()).total_deadline(Duration::MAX);
    let (error, elapsed, calls) = refused_after(busy(), endless).await;
    assert_eq!((elapsed, calls), (secs(1 + 999 * 7), 1001));
    assert!(waits(error.attempts())[1..].iter().all(|wait| *wait == secs(7)));
}

#[tokio::test(start_paused = true)]
async fn an_exponential_schedule_from_zero_stays_at_zero() {
    // Zero times infinity is not a number, and not the cap either.
    let retry = exact(5, Schedule::exponential(Duration::ZERO, 1e200, secs(7)));
    let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(waits(error.attempts()), [Duration::ZERO; 5]);
    assert_eq!((elapsed, calls), (Duration::ZERO, 6));
}

#[tokio::test(start_paused = true)]
async fn a_function_decides_the_waits_and_the_end() {
    let retry = exact(10, Schedule::from_fn(|retry| (retry <= 3).then(|| ms(10) * retry)));
    let (error, elapsed, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(waits(error.attempts()), [10, 20, 30].map(ms));
    assert_eq!((elapsed, calls), (ms(60), 4));
}

#[tokio::test(start_paused = true)]
async fn a_schedule_with_state_starts_anew_for_each_call() {
    let made = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&made);
    let schedule = Schedule::per_call(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let mut wait = ms(5);
        move || {
            wait = wait.checked_mul(2)?;
            (wait < ms(80)).then_some(wait)
        }
    });
    let validator = plain(&failing(busy())).retry(Retry::new().times(9).schedule(schedule)).build().unwrap();
    for payment in ["pi_1", "pi_2"] {
        let error = validator.validate(intent(payment)).await.unwrap_err();
        assert_eq!(waits(error.attempts()), [10, 20, 40].map(ms));
    }
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

#[cfg(feature = "backoff")]
#[tokio::test(start_paused = true)]
async fn a_backoff_schedule_is_made_afresh_for_each_call() {
    use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
    let growing = || -> ExponentialBackoff {
        ExponentialBackoffBuilder::new()
            .with_initial_interval(ms(40))
            .with_multiplier(2.0)
            .with_randomization_factor(0.0)
            .with_max_interval(ms(200))
            .build()
    };
    let validator =
        plain(&failing(busy())).retry(Retry::new().times(4).schedule(Schedule::backoff(growing))).build().unwrap();
    for payment in ["pi_1", "pi_2"] {
        let start = Instant::now();
        let error = validator.validate(intent(payment)).await.unwrap_err();
        assert_eq!(waits(error.attempts()), [40, 80, 160, 200].map(ms));
        assert_eq!(start.elapsed(), ms(480));
    }
}

#[cfg(feature = "backoff")]
#[tokio::test(start_paused = true)]
async fn a_backoff_schedule_without_an_end_ends_at_the_deadline() {
    use backoff::backoff::Constant;
    let retry = Retry::new().times(u32::MAX).schedule(Schedule::backoff(|| Constant::new(secs(1))));
    let set = |builder: ValidatorBuilder| builder.retry(retry.clone()).total_deadline(ms(10_500));
    let (_, elapsed, calls) = refused_after(busy(), set).await;
    assert_eq!((elapsed, calls), (secs(10), 11));
}

#[cfg(feature = "backoff")]
#[tokio::test(start_paused = true)]
async fn a_backoff_schedule_that_stops_makes_no_retry() {
    use backoff::backoff::Stop;
    let retry = Retry::new().schedule(Schedule::backoff(|| Stop {}));
    let (_, _, calls) = refused_after(busy(), |builder| builder.retry(retry.clone())).await;
    assert_eq!(calls, 1);
}

#[test]
fn schedule_functions_run_under_no_lock() {
    // The first call's function waits until the second call has been through its own. Were it asked under a lock that
    // all calls share, the second could not.
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let (tell, told) = (Mutex::new(tell), Mutex::new(told));
    let asked = AtomicU32::new(0);
    let schedule = Schedule::from_fn(move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            let heard = told.lock().unwrap().recv_timeout(secs(2));
            return heard.ok().map(|()| Duration::ZERO);
        }
        let _ = tell.lock().unwrap().send(());
        None
    });
    let validator = plain(&failing(busy())).retry(exact(1, schedule)).build().unwrap();
    let attempts = |payment: &str| {
        let answer = runtime().block_on(validator.validate(intent(payment)).into_future());
        answer.unwrap_err().attempts().len()
    };
    let made = std::thread::scope(|threads| {
        let others = threads.spawn(|| attempts("pi_1"));
        attempts("pi_2") + others.join().unwrap()
    });
    assert_eq!(made, 3, "the call that heard of the other was retried");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_panics_fails_its_own_call_only() {
    let schedule = Schedule::from_fn(|_| if Instant::now().elapsed().is_zero() { panic!("scripted") } else { None });
    let provider = provider();
    provider.script("pi_1", [busy()]);
    let validator = plain(&provider).retry(exact(3, schedule)).build().unwrap();
    assert_eq!(validator.validate(intent("pi_1")).await.unwrap_err().code(), "interrupted");
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}

// ---- what is tried again

#[tokio::test(start_paused = true)]
async fn refusals_are_not_tried_again() {
    for status in [301, 302, 400, 401, 402, 403, 404, 405, 409, 410, 415, 422, 501, 505] {
        let error = ProviderError::refused("connection refused: timeout 503").status(status);
        assert_eq!(calls_on(error).await, 1, "{status}");
    }
    assert_eq!(calls_on(ProviderError::refused("rate limit exceeded")).await, 1, "refused without a status");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_configuration_error_and_keeps_its_status() {
    for status in [400, 401, 403, 404, 422] {
        let (error, elapsed, _) =
            refused_after(ProviderError::refused("no").status(status).request_id("req_9"), |builder| builder).await;
        assert!(error.is_configuration(), "{status}");
        assert_eq!((error.code(), error.http_status()), ("provider_refused", 502));
        let log = &error.attempts()[0];
        assert_eq!((log.status(), log.request_id()), (Some(status), Some("req_9")));
        assert_eq!(log.outcome(), &AttemptOutcome::Permanent(Rule::Status(status)));
        assert_eq!(elapsed, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn passing_statuses_are_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524] {
        assert_eq!(calls_on(ProviderError::refused("gone fishing").status(status)).await, 4, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_error_with_a_well_formed_body_is_tried_again() {
    assert_eq!(calls_on(ProviderError::refused(r#"{"error":{"type":"api_error"}}"#).status(500)).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_status_with_an_html_body_is_still_a_status() {
    let page = "<html><h1>503 Service Temporarily Unavailable</h1></html>";
    assert_eq!(calls_on(ProviderError::refused(page).status(401)).await, 1);
    assert_eq!(calls_on(ProviderError::refused("<html>not found</html>").status(503)).await, 4);
}

#[tokio::test(start_paused = true)]
async fn silence_is_tried_again() {
    assert_eq!(calls_on(ProviderError::not_sent("no such host")).await, 4);
    assert_eq!(calls_on(ProviderError::outcome_unknown("closed before the end of the body")).await, 4);
}

#[tokio::test(start_paused = true)]
async fn ids_and_amounts_that_hold_a_status_are_not_tried_again() {
    for message in [
        "No such payment_intent: pi_3503zz",
        "No such payment_intent: 'pi_3502'",
        "amount 50200 is above the maximum",
        "order 50400 is closed",
        "order 503 not found",
        "card number 4242 502",
        "No such payment_intent: 'pi_timeout'",
        "declined by the card network",
        "invalid peer certificate: UnknownIssuer",
        // No word beside these numbers says that they are statuses of HTTP: a provider's own error numbers look alike.
        "upstream said 502",
        "error: 504 from gateway",
        "card declined",
        "",
    ] {
        assert_eq!(calls_on(ProviderError::message(message)).await, 1, "{message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_that_no_rule_knows_is_neither_a_refusal_nor_a_wrong_setting() {
    for message in ["the moon is full", "upstream said 502", "card declined", ""] {
        let (error, elapsed, calls) = refused_after(ProviderError::message(message), |builder| builder).await;
        assert_eq!((calls, elapsed), (1, Duration::ZERO), "{message:?}");
        assert_eq!((error.code(), error.http_status()), ("unknown", 502), "{message:?}");
        assert!(error.is_unavailable() && !error.is_configuration(), "{message:?}");
        let outcome = error.attempts()[0].outcome();
        assert_eq!(outcome, &AttemptOutcome::Permanent(Rule::Unknown));
        assert_eq!(outcome.rule().map(Rule::as_str), Some("unknown"));
        assert!(error.to_string().contains("no rule knows"), "{error}");
    }
    // What is known stays what it is.
    for error in [ProviderError::refused("no"), ProviderError::message("no").status(400)] {
        let (error, ..) = refused_after(error, |builder| builder).await;
        assert_eq!(error.code(), "provider_refused");
    }
    let coded = ProviderError::message("no").code_decides("final", false);
    assert_eq!(refused_after(coded, |builder| builder).await.0.code(), "provider_refused");
}

/// A provider that reads every answer as a bare message.
#[derive(Debug)]
struct Wordy(ProviderIdentity);

impl Provider for Wordy {
    fn identity(&self) -> &ProviderIdentity {
        &self.0
    }

    async fn look_up(&self, _: &PaymentId, _: &Call) -> Result<ProviderPayment, ProviderError> {
        Err(ProviderError::message("the moon is full"))
    }

    fn read_refusal(&self, answer: &Answer<'_>) -> ProviderError {
        ProviderError::message(String::from_utf8_lossy(answer.body))
    }
}

#[test]
fn explain_says_that_no_rule_knows_a_text() {
    let validator = Validator::builder(Wordy(ProviderIdentity::new("acme"))).build().unwrap();
    let explained = validator.explain(200, &[], b"the moon is full");
    assert_eq!(explained.to_string(), "unknown to every rule: not retried");
    assert_eq!((explained.is_transient(), explained.rule()), (false, &Rule::Unknown));
    assert!(validator.explain(200, &[], b"write EPIPE").is_transient());
}

#[tokio::test(start_paused = true)]
async fn words_for_passing_trouble_are_tried_again() {
    for message in [
        "connection refused",
        "rate limit exceeded",
        "Too many requests",
        "request timed out",
        "network error",
        "service temporarily unavailable",
        "HTTP 503",
        "status: 504",
        "status code 502",
        "503 Service Unavailable",
        "502",
        "rate_limit",
        "429 Too Many Requests",
        "write EPIPE",
        "getaddrinfo EAI_AGAIN api.example.com",
        "SocketError: other side closed (UND_ERR_SOCKET)",
        "4 DEADLINE_EXCEEDED",
        "context deadline exceeded",
        "unexpected EOF",
        "dial tcp: i/o timeout",
        "Network is unreachable (os error 101)",
        "curl: (52) Empty reply from server",
        "Connection reset by peer (os error 104)",
        "dns error: failed to lookup address information",
    ] {
        let (error, _, calls) = refused_after(ProviderError::message(message), |builder| builder).await;
        assert_eq!(calls, 4, "{message:?}");
        assert!(matches!(error.attempts()[0].outcome(), AttemptOutcome::Transient(Rule::Pattern(_))), "{message:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn words_at_the_end_of_a_long_message_count_too() {
    // What is shown is cut; what is classified must not be, or a long URL hides the reason behind it.
    let message =
        format!("error sending request for url (https://api.example.com/{}): connection refused", "x".repeat(400));
    assert_eq!(calls_on(ProviderError::message(message)).await, 4);
}

#[tokio::test(start_paused = true)]
async fn a_provider_of_plain_strings_is_classified_by_its_words() {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let acme = provider_fn(ProviderIdentity::new("acme"), move |payment, call| {
        let before = counter.fetch_add(1, Ordering::Relaxed);
        async move {
            assert_eq!(call.attempt(), before + 1);
            assert_eq!(call.time_left(), secs(30));
            if before < 2 { Err(ProviderError::from("connection refused")) } else { Ok(paid(payment.as_str())) }
        }
    });
    let validator = Validator::builder(acme).build().unwrap();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn patterns_can_be_added() {
    let added = |builder: ValidatorBuilder| builder.transient_pattern(r"\bshard \d+ is moving\b");
    let (error, _, calls) = refused_after(ProviderError::message("SHARD 7 is moving"), added).await;
    assert_eq!(calls, 4);
    let expected = AttemptOutcome::Transient(Rule::Pattern(r"\bshard \d+ is moving\b".into()));
    assert_eq!(error.attempts()[0].outcome(), &expected);
    assert_eq!(refused_after(ProviderError::message("connection refused"), added).await.2, 4, "built-in ones stay");
    assert_eq!(refused_after(ProviderError::message("shard x is moving"), added).await.2, 1);
}

#[tokio::test(start_paused = true)]
async fn patterns_can_be_replaced() {
    let replaced = |builder: ValidatorBuilder| builder.transient_patterns(["moving"]);
    assert_eq!(refused_after(ProviderError::message("moving"), replaced).await.2, 4);
    assert_eq!(refused_after(ProviderError::message("connection refused"), replaced).await.2, 1);
    let none = |builder: ValidatorBuilder| builder.transient_patterns::<String>([]);
    assert_eq!(refused_after(ProviderError::message("connection refused"), none).await.2, 1);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_never_overrules_what_is_known() {
    let all = |builder: ValidatorBuilder| builder.transient_pattern(".");
    assert_eq!(refused_after(ProviderError::message("anything").status(404), all).await.2, 1);
    assert_eq!(refused_after(ProviderError::refused("anything"), all).await.2, 1);
    assert_eq!(refused_after(ProviderError::message("anything"), all).await.2, 4);
}

#[test]
fn an_invalid_pattern_is_refused_and_quoted() {
    for pattern in ["(unclosed", "[z-a]", "*", "", r"(a{1000}){1000}"] {
        let build = |builder: ValidatorBuilder| builder.build().unwrap_err();
        for error in [
            build(plain(&provider()).transient_pattern(pattern)),
            build(plain(&provider()).transient_patterns(["fine", pattern])),
        ] {
            assert!(matches!(&error, BuildError::InvalidPattern { pattern: quoted, .. } if quoted == pattern));
            assert!(error.to_string().contains(&format!("`{pattern}`")), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_header_outranks_the_code_and_the_code_the_status() {
    let refused = |status| ProviderError::refused("x").status(status);
    let cases = [
        (refused(503).header_decides(false), 1, "permanent by provider header"),
        (refused(404).header_decides(true), 4, "transient by provider header"),
        (refused(503).code_decides("expired", false), 1, "permanent by provider code expired"),
        (refused(409).code_decides("lock_timeout", true), 4, "transient by provider code lock_timeout"),
        (refused(503).code_decides("busy", true).header_decides(false), 1, "permanent by provider header"),
        (refused(503).header_decides(false).code_decides("busy", true), 1, "permanent by provider header"),
        (refused(503).code("card_declined"), 4, "transient by status 503"),
        (ProviderError::not_sent("x").header_decides(false), 1, "permanent by provider header"),
    ];
    for (error, expected, rule) in cases {
        let (shown, _, calls) = refused_after(error.clone(), |builder| builder).await;
        assert_eq!(calls, expected, "{error:?}");
        assert_eq!(rule_of(shown.attempts()[0].outcome()), rule);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_answer_is_tried_once_more() {
    let (error, _, calls) =
        refused_after(ProviderError::unreadable("half a body").status(200), |builder| builder).await;
    assert_eq!(calls, 2);
    assert!(error.is_unavailable());
    assert_eq!((error.code(), error.http_status()), ("unreadable_answer", 502));

    let provider = provider();
    let unreadable = || ProviderError::unreadable("half a body").status(200);
    provider.script("pi_1", [unreadable(), busy(), unreadable()]);
    let validator = plain(&provider).build().unwrap();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((provider.calls(), error.code()), (3, "unreadable_answer"), "once per call, not once in a row");
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_payment_is_no_answer() {
    let provider = provider();
    provider.script("pi_1", [paid("pi_2"), paid("pi_2")]);
    let validator = plain(&provider).build().unwrap();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((provider.calls(), error.code()), (2, "unreadable_answer"));
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}

// ---- Retry-After

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_and_never_undercut() {
    let mut drawn = Vec::new();
    for seed in 0..50 {
        let error = busy().retry_after(secs(2));
        let (error, ..) = refused_after(error, |builder| {
            builder.seed(seed).transient_patterns(NO_PATTERNS).retry(Retry::new().times(1))
        })
        .await;
        let (wait, reason) = error.attempts()[0].wait().unwrap();
        assert_eq!(reason, WaitReason::RetryAfter);
        assert!(wait >= secs(2) && wait <= ms(2400), "{wait:?}");
        assert!(error.attempts()[1].offset() >= secs(2));
        assert_eq!(error.retry_after(), Some(secs(2)));
        drawn.push(wait);
    }
    drawn.sort();
    drawn.dedup();
    assert!(drawn.len() > 40, "callers come back spread");
}

#[tokio::test(start_paused = true)]
async fn retry_after_outranks_a_longer_schedule() {
    let retry = exact(1, Schedule::waits([secs(20)]));
    let error = busy().retry_after(secs(1));
    let (_, elapsed, _) = refused_after(error, |builder| builder.retry(retry.clone())).await;
    assert!(elapsed >= secs(1) && elapsed <= ms(1201), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_zero_leaves_the_schedule_in_place() {
    let retry = Retry::new().jitter(Jitter::None);
    let error = busy().retry_after(Duration::ZERO);
    let (error, elapsed, _) = refused_after(error, |builder| builder.retry(retry.clone())).await;
    assert_eq!(elapsed, ms(5600));
    assert!(error.attempts()[..3].iter().all(|attempt| attempt.wait().unwrap().1 == WaitReason::Schedule));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_above_the_cap_is_reported_at_once() {
    for asked in [secs(61), secs(3600), Duration::from_secs(u64::MAX), Duration::MAX] {
        for error in [busy(), ProviderError::refused("slow down").status(429)] {
            let (error, elapsed, calls) = refused_after(error.retry_after(asked), |builder| builder).await;
            assert_eq!((elapsed, calls), (Duration::ZERO, 1));
            assert_eq!(error.retry_after(), Some(asked));
        }
    }
    let (_, elapsed, _) =
        refused_after(busy().retry_after(secs(60)), |builder| builder.retry(Retry::new().times(1))).await;
    assert!(elapsed >= secs(60), "the cap itself is waited for");
}

#[tokio::test(start_paused = true)]
async fn the_cap_on_retry_after_can_be_set() {
    let capped = |builder: ValidatorBuilder| builder.retry_after_cap(secs(1));
    assert_eq!(refused_after(busy().retry_after(ms(1001)), capped).await.2, 1);
    assert_eq!(refused_after(busy().retry_after(ms(1000)), capped).await.2, 4);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_past_the_deadline_is_reported_at_once() {
    let short = |builder: ValidatorBuilder| builder.total_deadline(secs(10));
    let (error, elapsed, calls) = refused_after(busy().retry_after(secs(11)), short).await;
    assert_eq!((elapsed, calls), (Duration::ZERO, 1));
    assert_eq!(error.retry_after(), Some(secs(11)));
    let limited = ProviderError::refused("slow down").status(429).retry_after(secs(11));
    let (error, elapsed, calls) = refused_after(limited, short).await;
    assert_eq!((elapsed, calls), (Duration::ZERO, 1));
    assert!(error.is_rate_limited());
    assert_eq!((error.code(), error.http_status(), error.retry_after()), ("rate_limited", 429, Some(secs(11))));
}

#[tokio::test(start_paused = true)]
async fn an_endless_retry_after_under_an_endless_cap_does_not_overflow() {
    let endless = |builder: ValidatorBuilder| builder.retry_after_cap(Duration::MAX).total_deadline(Duration::MAX);
    for asked in [Duration::from_secs(u64::MAX), Duration::MAX] {
        for error in [busy(), ProviderError::refused("slow down").status(429)] {
            let (error, elapsed, calls) = refused_after(error.retry_after(asked), endless).await;
            assert_eq!((elapsed, calls, error.retry_after()), (Duration::ZERO, 1, Some(asked)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_of_endless_waits_does_not_overflow() {
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
        let retry = Retry::new().schedule(Schedule::from_fn(|_| Some(Duration::MAX))).jitter(jitter);
        for error in [busy(), ProviderError::refused("slow down").status(429)] {
            let (error, elapsed, calls) = refused_after(error, |builder| builder.retry(retry.clone())).await;
            assert_eq!((elapsed, calls, error.retry_after()), (Duration::ZERO, 1, None));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_speaks_of_the_providers_wait_only_if_there_is_one() {
    // It was the schedule that did not fit the deadline; the provider asked for nothing.
    let retry = exact(3, Schedule::waits([secs(20)]));
    let (error, ..) = refused_after(busy(), |builder| builder.retry(retry.clone()).total_deadline(secs(10))).await;
    assert_eq!(error.retry_after(), None);
    assert!(!error.to_string().contains("the given wait"), "{error}");
}

// ---- the gate

/// A limit of the account's, as its adapter says.
fn limited(wait: Option<Duration>) -> ProviderError {
    let error = ProviderError::refused("slow down").status(429).rate_limit(RateLimit::Account);
    wait.map_or(error.clone(), |wait| error.retry_after(wait))
}

/// A provider of these paid payments that notes when it is asked.
fn noting(
    steps: impl Fn(&str, u32) -> Option<ProviderError> + Send + Sync + 'static,
) -> (Arc<Mutex<Vec<Instant>>>, ValidatorBuilder) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&asked);
    let provider = provider_fn(ProviderIdentity::new("acme"), move |payment, call| {
        notes.lock().unwrap().push(Instant::now());
        let answer = match steps(payment.as_str(), call.attempt()) {
            Some(error) => Err(error),
            None => Ok(paid(payment.as_str())),
        };
        async move { answer }
    });
    (asked, Validator::builder(provider))
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_on_the_account_holds_back_every_call() {
    let (asked, builder) =
        noting(|payment, attempt| (payment == "pi_0" && attempt == 1).then(|| limited(Some(secs(10)))));
    let validator = builder.build().unwrap();
    let start = Instant::now();
    let first = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    settle().await;
    let others: Vec<_> = (1..=50)
        .map(|number| tokio::spawn(validator.validate(intent(&format!("pi_{number}"))).into_future()))
        .collect();
    for call in others.into_iter().chain([first]) {
        assert!(is_valid(&call.await.unwrap().unwrap()));
    }
    let asked: Vec<_> = asked.lock().unwrap().iter().map(|at| *at - start).collect();
    assert_eq!(asked.len(), 52);
    assert_eq!(asked[0], Duration::ZERO);
    assert!(asked[1..].iter().all(|at| *at >= secs(10) && *at <= secs(12) + TICK), "{asked:?}");
    let mut moments = asked[1..].to_vec();
    moments.dedup();
    assert!(moments.len() > 30, "they do not all come at once: {moments:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_without_retry_after_holds_back_for_the_schedules_wait() {
    let (asked, builder) = noting(|payment, attempt| (payment == "pi_0" && attempt == 1).then(|| limited(None)));
    let validator = builder.retry(exact(3, Schedule::waits([secs(4)]))).build().unwrap();
    let start = Instant::now();
    let first = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    settle().await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    let validation = first.await.unwrap().unwrap();
    let (wait, reason) = validation.attempts()[0].wait().unwrap();
    assert_eq!(reason, WaitReason::Gate);
    assert!(wait >= secs(4) && wait <= ms(4800), "{wait:?}");
    assert!(asked.lock().unwrap()[1..].iter().all(|at| *at - start >= secs(4)));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_closes_the_gate_also_when_its_own_call_gives_up() {
    let (asked, builder) = noting(|payment, _| (payment == "pi_0").then(|| limited(Some(secs(5)))));
    let validator = builder.retry(Retry::none()).build().unwrap();
    let start = Instant::now();
    assert!(validator.validate(intent("pi_0")).await.unwrap_err().is_rate_limited());
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert!(asked.lock().unwrap()[1] - start >= secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_lock_on_one_payment_delays_that_call_only() {
    let lock = |payment: &str, attempt| {
        let locked = ProviderError::refused("locked").status(429).rate_limit(RateLimit::Payment);
        (payment == "pi_0" && attempt == 1).then(|| locked.retry_after(secs(5)))
    };
    let (_, builder) = noting(lock);
    let validator = builder.build().unwrap();
    let start = Instant::now();
    let locked = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    settle().await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!(start.elapsed(), Duration::ZERO);
    let validation = locked.await.unwrap().unwrap();
    assert!(start.elapsed() >= secs(5));
    assert_eq!(validation.attempts()[0].wait().unwrap().1, WaitReason::RetryAfter);
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_fails_a_call_at_once_whose_deadline_is_too_short() {
    let (asked, builder) = noting(|payment, _| (payment == "pi_0").then(|| limited(Some(secs(30)))));
    let validator = builder.total_deadline(secs(20)).build().unwrap();
    validator.validate(intent("pi_0")).await.unwrap_err();
    tokio::time::advance(secs(3)).await;
    let start = Instant::now();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(error.is_rate_limited());
    assert_eq!((error.code(), error.http_status(), error.retry_after()), ("rate_limited", 429, Some(secs(27))));
    assert!(error.attempts().is_empty());
    assert_eq!(asked.lock().unwrap().len(), 1);
    tokio::time::advance(secs(27)).await;
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_tells_the_providers_wait_and_not_the_cap() {
    // `retry_after` promises not to be cut by any limit of this crate.
    let (_, builder) = noting(|payment, _| (payment == "pi_0").then(|| limited(Some(secs(3600)))));
    let validator = builder.total_deadline(secs(20)).build().unwrap();
    let first = validator.validate(intent("pi_0")).await.unwrap_err();
    assert_eq!(first.retry_after(), Some(secs(3600)));
    let second = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((second.code(), second.retry_after()), ("rate_limited", Some(secs(3600))));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_above_the_cap_is_probed_once_a_minute_while_it_lasts() {
    let (asked, builder) = noting(|_, _| Some(limited(Some(secs(3600)))));
    let validator = builder.build().unwrap();
    for number in 0..20 {
        let calls: Vec<_> = (0..10)
            .map(|call| tokio::spawn(validator.validate(intent(&format!("pi_{number}_{call}"))).into_future()))
            .collect();
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert!(error.is_rate_limited());
            assert!(error.retry_after().unwrap() > secs(3500), "what the provider asks for: {error:?}");
        }
        tokio::time::advance(secs(60)).await;
    }
    // The first ten come before anybody knows.
    let asked = asked.lock().unwrap().len();
    assert!((20..=30).contains(&asked), "asked {asked} times in 20 minutes");
}

#[tokio::test(start_paused = true)]
async fn one_mistaken_wait_closes_an_account_for_a_minute_and_one_probe() {
    let (asked, builder) = noting(|payment, _| (payment == "pi_0").then(|| limited(Some(secs(24 * 60 * 60)))));
    let validator = builder.build().unwrap();
    validator.validate(intent("pi_0")).await.unwrap_err();
    sleep(secs(59)).await;
    assert!(validator.validate(intent("pi_1")).await.unwrap_err().is_rate_limited());
    sleep(secs(1)).await;
    let calls: Vec<_> =
        (2..50).map(|number| tokio::spawn(validator.validate(intent(&format!("pi_{number}"))).into_future())).collect();
    for call in calls {
        assert!(is_valid(&call.await.unwrap().unwrap()), "the probe's answer opens the gate for all");
    }
    assert_eq!(asked.lock().unwrap().len(), 49);
}

#[tokio::test(start_paused = true)]
async fn those_who_come_during_a_probe_wait_for_its_answer() {
    let provider = provider();
    for payment in ["pi_2", "pi_3"] {
        provider.put(paid(payment));
    }
    provider.script("pi_1", [limited(Some(secs(5)))]);
    let validator = plain(&provider).retry(Retry::none()).build().unwrap();
    validator.validate(intent("pi_1")).await.unwrap_err();
    sleep(secs(5)).await;
    // The probe is limited again after three seconds.
    provider.script("pi_2", [Step::Wait(secs(3)), limited(Some(secs(7))).into()]);
    let probe = tokio::spawn(validator.validate(intent("pi_2")).into_future());
    settle().await;
    let begin = Instant::now();
    let other = tokio::spawn(validator.validate(intent("pi_3")).into_future());
    sleep(secs(9)).await;
    assert_eq!(provider.calls(), 2, "no other call is sent while the probe is out, or the gate is closed again");
    assert!(probe.await.unwrap().unwrap_err().is_rate_limited());
    assert!(is_valid(&other.await.unwrap().unwrap()));
    assert!(begin.elapsed() >= secs(10), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_bare_429_delays_its_own_call_only() {
    let bare = || ProviderError::refused("slow down").status(429).retry_after(secs(3600));
    let (asked, builder) = noting(move |payment, _| (payment == "pi_0").then(bare));
    let validator = builder.build().unwrap();
    let error = validator.validate(intent("pi_0")).await.unwrap_err();
    assert_eq!((error.is_rate_limited(), error.retry_after()), (true, Some(secs(3600))));
    let begin = Instant::now();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert_eq!((begin.elapsed(), asked.lock().unwrap().len()), (Duration::ZERO, 2));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_rate_limit_does_not_open_the_gate_early() {
    let provider = provider();
    provider.put(paid("pi_2"));
    provider.put(paid("pi_3"));
    provider.script("pi_1", [Step::Wait(ms(1)), limited(Some(secs(10))).into()]);
    provider.script("pi_2", [Step::Wait(ms(2)), limited(Some(secs(1))).into()]);
    let validator = plain(&provider).build().unwrap();
    let start = Instant::now();
    let (one, two) = (
        tokio::spawn(validator.validate(intent("pi_1")).into_future()),
        tokio::spawn(validator.validate(intent("pi_2")).into_future()),
    );
    sleep(ms(5)).await;
    assert!(is_valid(&validator.validate(intent("pi_3")).await.unwrap()));
    assert!(start.elapsed() >= secs(10));
    assert!(is_valid(&one.await.unwrap().unwrap()) && is_valid(&two.await.unwrap().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_slips_past_a_gate_that_is_about_to_close() {
    // The place that a limited call frees must not be taken before the gate is closed.
    for round in 0..500 {
        let calls = Arc::new(AtomicU32::new(0));
        let release = Arc::new(Semaphore::new(0));
        let (counter, held) = (Arc::clone(&calls), Arc::clone(&release));
        let provider = provider_fn(ProviderIdentity::new("acme"), move |_, _| {
            let held = Arc::clone(&held);
            counter.fetch_add(1, Ordering::SeqCst);
            async move {
                held.acquire().await.unwrap().forget();
                Err(limited(Some(secs(3600))))
            }
        });
        let builder = Validator::builder(provider).max_concurrent(1).transient_patterns(NO_PATTERNS);
        let validator = builder.build().unwrap();
        let callers: Vec<_> = (0..6)
            .map(|number| tokio::spawn(validator.validate(intent(&format!("pi_{number}"))).into_future()))
            .collect();
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        release.add_permits(6);
        for caller in callers {
            assert_eq!(caller.await.unwrap().unwrap_err().code(), "rate_limited");
        }
        assert_eq!((round, calls.load(Ordering::SeqCst)), (round, 1));
    }
}

// ---- time

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
    let validator = builder.total_deadline(secs(13)).build().unwrap();
    let first = tokio::spawn(validator.validate(intent("pi_0")).into_future());
    settle().await;
    let start = Instant::now();
    assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()));
    assert!(start.elapsed() <= secs(12) + TICK);
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
                let error = ProviderError::refused("x").status(*status);
                retry_after.map_or(error.clone(), |wait| error.retry_after(ms(wait))).into()
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

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
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
        runtime().block_on(async move {
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

// ---- explain

/// Status, headers and body.
type Described = (u16, Vec<(&'static str, &'static str)>, &'static [u8]);

#[tokio::test(start_paused = true)]
async fn explain_says_what_happens() {
    let answers: Vec<Described> = vec![
        (200, vec![], b"{}"),
        (301, vec![("Location", "https://elsewhere.example")], b""),
        (400, vec![], b"connection refused"),
        (401, vec![], b"{}"),
        (404, vec![("Retry-After", "1")], b"No such payment_intent: pi_3503zz"),
        (408, vec![], b""),
        (409, vec![], b""),
        (425, vec![], b""),
        (429, vec![], b""),
        (429, vec![("Retry-After", "2")], b"rate limit exceeded"),
        (429, vec![("retry-after", "61")], b""),
        (429, vec![("RETRY-AFTER", "0")], b""),
        (500, vec![], b"<html>"),
        (501, vec![], b""),
        (503, vec![("Retry-After", "59")], b""),
        (503, vec![("Retry-After", "99999999999999999999999")], b""),
        (503, vec![("Retry-After", "Sun, 06 Nov 1994 08:49:47 GMT"), ("Date", "Sun, 06 Nov 1994 08:49:37 GMT")], b""),
        (503, vec![("Retry-After", "Sun, 06 Nov 1994 08:49:47 GMT")], b""),
        (503, vec![("Retry-After", "soon")], b""),
        (503, vec![("Retry-After", "-1")], b""),
        (503, vec![("Retry-After", "1.5")], b""),
        (429, vec![("Retry-After", "20, 10")], b""),
        (524, vec![], b""),
    ];
    for (status, headers, body) in answers {
        let provider = provider();
        let validator = plain(&provider).transient_patterns(NO_PATTERNS).build().unwrap();
        let explained = validator.explain(status, &headers, body);
        provider.script("pi_1", [explained.error().clone()]);
        let (start, shown) = (Instant::now(), format!("{status} {headers:?}: {explained}"));
        let (retried, log) = match validator.validate(intent("pi_1")).await {
            Ok(validation) => (true, validation.attempts().to_vec()),
            Err(error) => (false, error.attempts().to_vec()),
        };
        assert_eq!(explained.retries(), retried, "{shown}");
        let rule = match log[0].outcome() {
            AttemptOutcome::Transient(rule) => (true, rule),
            AttemptOutcome::Permanent(rule) => (false, rule),
            other => panic!("{other:?}"),
        };
        assert_eq!((explained.is_transient(), explained.rule()), rule, "{shown}");
        match (explained.wait(), log[0].wait()) {
            (Some((least, most)), Some((wait, _))) => {
                assert!(least <= wait && wait <= most, "{wait:?}, {shown}");
                assert!(start.elapsed() <= most + TICK, "{shown}");
            }
            (None, None) => {}
            other => panic!("{other:?}, {shown}"),
        }
        // Whether other calls wait.
        let provider = self::provider();
        provider.put(paid("pi_2"));
        provider.script("pi_1", [explained.error().clone()]);
        let validator =
            plain(&provider).transient_patterns(NO_PATTERNS).retry(Retry::new().jitter(Jitter::None)).build().unwrap();
        let first = tokio::spawn(validator.validate(intent("pi_1")).into_future());
        settle().await;
        let start = Instant::now();
        // Past what may be waited for, it is told so at once.
        let held = validator.validate(intent("pi_2")).await.is_err() || !start.elapsed().is_zero();
        assert_eq!(explained.closes_gate(), held, "{shown}");
        let _ = first.await.unwrap();
    }
}

#[test]
fn a_fraction_a_list_and_two_lines_of_retry_after_are_read() {
    let validator = plain(&provider()).transient_patterns(NO_PATTERNS).build().unwrap();
    let (date, until) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT");
    for (lines, expected) in [
        (vec!["1.5"], 2),
        (vec!["30, 10"], 30),
        (vec!["10", "30"], 30),
        (vec!["soon", "4.000"], 4),
        (vec![until, "20, 21"], 30),
        (vec!["40, Sun, 06 Nov 1994 08:50:07 GMT, soon"], 40),
    ] {
        let headers: Vec<_> = lines.iter().map(|line| ("Retry-After", *line)).chain([("Date", date)]).collect();
        let explained = validator.explain(503, &headers, b"");
        assert_eq!(explained.wait().unwrap().0, secs(expected), "{lines:?}");
    }
}

#[test]
fn explain_asks_nobody_and_changes_nothing() {
    let provider = provider();
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let before = validator.stats();
    for _ in 0..1000 {
        let _ = validator.explain(503, &[("Retry-After", "2")], b"");
        let _ = validator.explain(429, &[], b"");
    }
    let after = validator.stats();
    assert_eq!(provider.calls(), 0);
    assert_eq!((after.attempts, after.budget_level, after.breaker), (0, before.budget_level, before.breaker));
}

#[test]
fn explain_knows_of_no_retries() {
    let validator = plain(&provider()).retry(Retry::none()).build().unwrap();
    let explained = validator.explain(503, &[], b"");
    assert!(explained.is_transient() && !explained.retries());
    assert_eq!(explained.to_string(), "transient by status 503: not retried");
}
