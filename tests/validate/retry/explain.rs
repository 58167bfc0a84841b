//! What `explain` says a failure would lead to.

use payproof::provider::AttemptOutcome;
use payproof::{Jitter, Retry, Validator};
use tokio::time::Instant;

use super::TICK;
use crate::support::{NO_PATTERNS, intent, paid, plain, provider, secs, settle};

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
fn explain_asks_no_provider_and_changes_nothing() {
    let provider = provider();
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let before = validator.stats();
    for _ in 0..1000 {
        let _ = validator.explain(503, &[("Retry-After", "2")], b"");
        let _ = validator.explain(429, &[], b"");
    }
    let after = validator.stats();
    assert_eq!(provider.calls(), 0);
    assert_eq!((after.attempts, after.credit, after.breaker), (0, before.credit, before.breaker));
}

#[test]
fn explain_knows_of_no_retries() {
    let validator = plain(&provider()).retry(Retry::none()).build().unwrap();
    let explained = validator.explain(503, &[], b"");
    assert!(explained.is_transient() && !explained.retries());
    assert_eq!(explained.to_string(), "transient by status 503: not retried");
}
