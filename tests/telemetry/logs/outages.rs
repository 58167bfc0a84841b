//! An outage of the provider or the store: a few lines, whose counts add up.

use payproof::guard::{Effect, EffectCall, Operation};
use payproof::store::MemoryStore;
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault};
use payproof::{Breaker, Retry, Validator};

use crate::subscribers::Log;
use crate::support::{busy, failing, intent, ms, paid, secs};

/// The numbers that lines give for a field, added up.
fn sum(lines: &[String], field: &str) -> u64 {
    let of = |line: &String| {
        let (_, rest) = line.split_once(&format!(" {field}="))?;
        rest.split(' ').next()?.parse::<u64>().ok()
    };
    lines.iter().filter_map(of).sum()
}

/// One after the other, evenly over three minutes.
async fn ten_thousand(validator: &Validator) {
    for call in 0..10_000 {
        let _ = validator.validate(intent(&format!("pi_{call}"))).await;
        tokio::time::advance(ms(18)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_provider_is_six_lines_at_most_that_add_up() {
    let (log, _guard) = Log::install();
    let provider = failing(busy());
    let validator = Validator::builder(provider.clone()).retry(Retry::none()).build().unwrap();
    ten_thousand(&validator).await;
    provider.always(None);
    provider.put(paid("pi_back"));
    assert!(validator.validate(intent("pi_back")).await.is_ok());
    let lines = log.lines("payproof::provider");
    assert!((4..=6).contains(&lines.len()), "{lines:#?}");
    assert_eq!(log.text().lines().count(), lines.len(), "nothing else is said: {}", log.text());
    assert_eq!((sum(&lines, "failures"), sum(&lines, "calls")), (10_000, 10_000), "{lines:#?}");
    assert!(lines[0].contains("calls to the provider fail; ") && lines[0].contains("WARN"), "{lines:#?}");
    assert!(lines[1].contains("calls to the provider still fail"), "{lines:#?}");
    assert!(lines.last().unwrap().contains("the provider answers again"), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn with_a_breaker_the_lines_also_say_that_calls_are_turned_away() {
    let (log, _guard) = Log::install();
    let provider = failing(busy());
    let breaker = Breaker::new().minimum_attempts(5).open_for(secs(5));
    let validator = Validator::builder(provider.clone()).retry(Retry::none()).breaker(breaker).build().unwrap();
    ten_thousand(&validator).await;
    tokio::time::advance(secs(6)).await;
    provider.always(None);
    provider.put(paid("pi_back"));
    assert!(validator.validate(intent("pi_back")).await.is_ok());
    let lines = log.lines("payproof::provider");
    assert!(lines.len() <= 6, "{lines:#?}");
    assert_eq!(sum(&lines, "calls"), 10_000, "{lines:#?}");
    let begins = lines.iter().filter(|line| line.contains("calls are turned away;")).count();
    assert!(begins == 1 && lines[1].contains("circuit_open"), "{lines:#?}");
    let last = lines.last().unwrap();
    assert!(sum(std::slice::from_ref(last), "turned_away") > 9_000, "{last}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_is_six_lines_at_most_that_add_up() {
    let (log, _guard) = Log::install();
    let provider = ScriptedProvider::new();
    for call in 0..10_000 {
        provider.put(paid(&format!("pi_{call}")));
    }
    provider.put(paid("pi_back"));
    let store = FlakyStore::new(MemoryStore::new());
    let validator = Validator::builder(provider).store(store.clone()).build().unwrap();
    store.always(Some(StoreFault::NotSent));
    ten_thousand(&validator).await;
    store.always(None);
    assert!(validator.validate(intent("pi_back")).await.is_ok());
    let lines: Vec<_> = log.lines("payproof::store").into_iter().filter(|line| line.contains("failures=")).collect();
    assert!((4..=6).contains(&lines.len()), "{lines:#?}");
    assert_eq!(sum(&lines, "failures"), 10_000, "{lines:#?}");
    assert!(lines[0].contains("the store fails; ") && lines.last().unwrap().contains("the store answers again"));
}

#[tokio::test(start_paused = true)]
async fn of_a_store_that_hangs_the_lines_also_say_once_that_it_is_left_alone() {
    let (log, _guard) = Log::install();
    let provider = ScriptedProvider::new();
    for call in 0..10_000 {
        provider.put(paid(&format!("pi_{call}")));
    }
    let store = FlakyStore::new(MemoryStore::new());
    let validator = Validator::builder(provider).store(store.clone()).build().unwrap();
    store.always(Some(StoreFault::Never));
    ten_thousand(&validator).await;
    store.always(None);
    tokio::time::sleep(secs(3)).await;
    let lines: Vec<_> = log.lines("payproof::store").into_iter().filter(|line| !line.contains("look at the")).collect();
    assert!((5..=6).contains(&lines.len()), "{lines:#?}");
    assert_eq!(sum(&lines, "failures"), 10_000, "{lines:#?}");
    assert!(lines[0].contains("the store fails; "), "{lines:#?}");
    let alone: Vec<_> = lines.iter().filter(|line| line.contains("does not answer in time")).collect();
    assert!(alone.len() == 1 && alone[0].contains("no answer within 1s") && *alone[0] == lines[1], "{lines:#?}");
    let last = lines.last().unwrap();
    assert!(last.contains("the store answers again"), "{lines:#?}");
    // All but the two that found out; the first of them is the line itself, and the store is looked at each minute.
    assert!((9_997..=10_002).contains(&sum(&lines, "turned_away")), "{last}");
}

#[tokio::test(start_paused = true)]
async fn what_is_turned_away_for_capacity_is_told_and_so_is_its_end() {
    let (log, _guard) = Log::install();
    let provider = ScriptedProvider::new();
    provider.put(paid("pi_1"));
    let validator = Validator::builder(provider).max_in_flight(1).build().unwrap();
    let guard = validator.guard();
    let wait = |name: &str| {
        let read = Operation::new("store_42", "balance", name, Effect::Read).unwrap();
        guard.run(&read, |_: EffectCall| async {
            tokio::time::sleep(secs(1)).await;
            Ok(1)
        })
    };
    let (first, second) = tokio::join!(wait("one"), wait("two"));
    assert!(first.is_ok() != second.is_ok());
    assert_eq!(log.lines("calls are turned away;").len(), 1, "{}", log.text());
    assert!(
        log.lines("code=\"at_capacity\"").len() == 1 && log.lines("not turned away any more").len() == 1,
        "{}",
        log.text()
    );
}

#[tokio::test(start_paused = true)]
async fn an_invalid_verdict_is_told_at_debug_alone_and_by_codes() {
    let (log, _guard) = Log::install();
    let provider = ScriptedProvider::new();
    provider.put(paid("pi_1").with_amount_refunded(1999));
    let validator = Validator::builder(provider).build().unwrap();
    assert!(!validator.validate(intent("pi_1")).await.unwrap().verdict().is_valid());
    assert_eq!(log.text(), "", "the level of fmt's default is info");
}
