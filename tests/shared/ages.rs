//! How old facts are told to be by a process that started after the provider's answer.
//!
//! Every store is driven on the paused clock.
#![cfg(all(feature = "file", feature = "redis", feature = "test-util", unix))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unchecked_time_subtraction,
    clippy::unwrap_used,
    reason = "numbers are small, and what is not as it should be fails the test"
)]

use std::time::Duration;

use crate::folder::Folder;
use crate::redis_server::RedisServer;
use crate::shifted_store::ShiftedStore;
use crate::support::{self, busy, forgetful, intent, is_valid, ms, paid, plain, provider, secs};
use payproof::store::{FileStore, MemoryStore, RedisStore, Store};
use payproof::testing::{ScriptedProvider, Step};
use payproof::{PaymentId, Provenance, Retry, Validation, Validator, Verdict, WhenProviderIsDown};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, advance};

const RETENTION: Duration = secs(24 * 60 * 60);

/// What a record's age may be off by: records count in milliseconds.
const ROUNDING: Duration = ms(5);

/// Lets a paused clock go on with the machine's, so that it does not jump while a real server is waited for.
fn go_on_with_the_machine() {
    tokio::spawn(async {
        loop {
            // A paused clock does not jump while a blocking task runs.
            #[allow(
                clippy::disallowed_methods,
                reason = "it blocks a thread for blocking work, so that real time passes"
            )]
            let _ = tokio::task::spawn_blocking(|| std::thread::sleep(ms(1))).await;
            advance(ms(1)).await;
        }
    });
}

/// How old the facts are when they are met, and how old the validator is that meets them.
#[derive(Clone, Copy, Debug)]
struct Case {
    facts: Duration,
    validator: Duration,
}

/// Ages on both sides of every limit there is, each met by validators of every younger age; and seeded ones between.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for age in [ms(1), secs(4), secs(6), secs(59), secs(61), secs(899), secs(901), secs(3_600), RETENTION - secs(2)] {
        for validator in [ms(0), ms(1), age / 2, age - ms(1)] {
            cases.push(Case { facts: age, validator: validator.min(age) });
        }
    }
    let mut rng = StdRng::seed_from_u64(9);
    for _ in 0..40 {
        let age = ms(rng.random_range(1..86_390_000));
        cases.push(Case { facts: age, validator: age.mul_f64(rng.random_range(0.0..1.0)) });
    }
    cases
}

/// A process that is to meet facts of others, and serves them however old they are when the provider is down.
fn process(provider: &ScriptedProvider, store: &(impl Store + Clone)) -> Validator {
    let down = WhenProviderIsDown::ServeStale { up_to: RETENTION };
    let builder = plain(provider).transient_patterns(support::NO_PATTERNS).store(store.clone());
    forgetful(builder.retry(Retry::none()).when_provider_is_down(down)).build().unwrap()
}

fn assert_age(case: Case, what: &str, told: Duration, truth: Duration) {
    assert!(told + ROUNDING >= truth, "{what} is told too young, {told:?} of {truth:?}: {case:?}");
    assert!(told <= truth + secs(10), "{what} is told too old, {told:?} of {truth:?}: {case:?}");
}

fn assert_ages(case: Case, what: &str, validation: &Validation, truth: Duration) {
    assert_age(case, what, validation.age(), truth);
    let Verdict::Valid(proof) = validation.verdict() else { panic!("{what} is not valid: {case:?} {validation:?}") };
    assert_age(case, what, proof.age(), truth);
}

/// One process asks; another starts later, and meets what the first one left.
async fn meet(case: Case, number: usize, store: &(impl Store + Clone)) {
    let payment = format!("pi_{number}");
    let provider = provider();
    provider.put(paid(&payment));
    process(&provider, store).validate(intent(&payment)).await.unwrap();
    let answered = Instant::now();
    advance(case.facts - case.validator).await;
    let (late, latest) = (process(&provider, store), process(&provider, store));
    advance(case.validator).await;

    let truth = answered.elapsed();
    let kept = late.stored_facts(&PaymentId::parse(&payment).unwrap()).await.unwrap().unwrap();
    assert_age(case, "what is kept", kept.age(), truth);

    provider.always(Some(Step::Fail(busy())));
    for what in ["facts of the store", "facts of the store or of memory"] {
        let truth = answered.elapsed();
        let validation = late.validate(intent(&payment)).deadline(secs(1)).await.unwrap();
        assert_ages(case, what, &validation, truth);
        // Fresh for 15 minutes; older ones only while the provider is down.
        let is_fresh = validation.age() < secs(15 * 60);
        assert_eq!(validation.provenance() == Provenance::Replayed, is_fresh, "{case:?}");
    }
    provider.always(None);

    let (calls, truth) = (provider.calls(), answered.elapsed());
    let validation = late.validate(intent(&payment)).max_age(truth.saturating_sub(ROUNDING)).await.unwrap();
    assert_eq!(provider.calls(), calls + 1, "facts older than `max_age` are answered: {case:?}");
    assert!(validation.age() < secs(1), "{case:?}");

    // Facts taken into memory go on growing older there.
    let validation = latest.validate(intent(&payment)).await.unwrap();
    advance(secs(1)).await;
    let again = latest.validate(intent(&payment)).await.unwrap();
    assert_ages(case, "facts in memory", &again, validation.age() + secs(1));
}

async fn meet_all(store: impl Store + Clone) {
    for (number, case) in cases().into_iter().enumerate() {
        meet(case, number, &store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn facts_in_a_memory_store_are_never_told_too_young() {
    meet_all(MemoryStore::new()).await;
}

#[tokio::test(start_paused = true)]
async fn facts_in_a_file_are_never_told_too_young() {
    let folder = Folder::new("ages");
    meet_all(FileStore::open(folder.file()).unwrap()).await;
}

#[tokio::test]
async fn facts_in_redis_are_never_told_too_young() {
    let server = RedisServer::start().await;
    tokio::time::pause();
    go_on_with_the_machine();
    let store = RedisStore::builder(server.url()).connect_timeout(secs(10)).command_timeout(secs(10)).build().unwrap();
    meet_all(ShiftedStore::following_the_runtime(store)).await;
}

#[tokio::test(start_paused = true)]
async fn a_refund_forgotten_elsewhere_is_seen_within_five_seconds_by_a_process_that_started_later() {
    let (provider, store) = (provider(), MemoryStore::new());
    let first = process(&provider, &store);
    first.validate(intent("pi_1")).await.unwrap();
    advance(secs(14 * 60)).await;
    let second = process(&provider, &store);
    assert!(is_valid(&second.validate(intent("pi_1")).await.unwrap()));
    provider.put(paid("pi_1").with_amount_refunded(1999));
    first.forget(&PaymentId::parse("pi_1").unwrap()).await.unwrap();
    advance(secs(5) + ms(1)).await;
    assert!(!is_valid(&second.validate(intent("pi_1")).await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_proof_older_than_its_process_is_asked_about_again_before_it_is_redeemed() {
    let (provider, store) = (provider(), MemoryStore::new());
    process(&provider, &store).validate(intent("pi_1")).await.unwrap();
    advance(secs(61)).await;
    let late = process(&provider, &store);
    let validation = late.validate(intent("pi_1")).await.unwrap();
    let Verdict::Valid(proof) = validation.verdict() else { panic!("{validation:?}") };
    assert_eq!((proof.age(), provider.calls()), (secs(61), 1));
    let _ = late.redeem(proof).await.unwrap();
    assert_eq!(provider.calls(), 2, "redeemed on facts older than `proof_max_age`");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_began_before_a_process_is_joined_only_within_max_age() {
    let (provider, store) = (provider(), MemoryStore::new());
    // Its provider takes 10 s, and the second process starts after 8.
    provider.script("pi_1", [Step::Wait(secs(10))]);
    let first = process(&provider, &store);
    let asking = tokio::spawn(async move { first.validate(intent("pi_1")).await.unwrap() });
    tokio::time::sleep(secs(8)).await;
    let late = process(&provider, &store);
    let validation = late.validate(intent("pi_1")).max_age(secs(5)).await.unwrap();
    assert_eq!((validation.provenance(), provider.calls()), (Provenance::Fresh, 2), "an answer asked for 8 s ago");
    asking.await.unwrap();
}
