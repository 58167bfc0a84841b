//! Operations that happen once: what is sent, what is sent again, and what no call may send again.
#![cfg(feature = "test-util")]
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]
#![allow(clippy::arithmetic_side_effects, reason = "the numbers are literals of this file; a slip fails the test")]
#![allow(clippy::indexing_slicing, clippy::panic, reason = "a slip fails the test, and some panics are scripted")]
#![allow(clippy::format_push_string, reason = "a test may allocate")]

#[path = "../support/subscribers.rs"]
mod subscribers;
#[path = "../support/mod.rs"]
mod support;

mod account;
mod callers;
mod crashes;
mod decisions;
mod duplicates;
mod late_words;
mod leases;
mod listed;
mod outages;
mod reads;
mod reconciling;
mod resending;
mod resolving;
mod results;
#[cfg(feature = "tower")]
mod room_to_wait;
mod shown;
mod storm;
mod who_may_speak;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use payproof::guard::{Effect, EffectCall, Guard, Operation};
use payproof::provider::ProviderError;
use payproof::store::{RestartLoss, Store};
use payproof::testing::ScriptedProvider;
use payproof::{Jitter, Retry, Schedule, Validator, ValidatorBuilder};
use tokio::time::{advance, sleep};

use crate::support::{NO_PATTERNS, ms, paused_runtime, secs, settle};

const DAY: Duration = secs(24 * 60 * 60);

/// The lease of a validator with default settings and a store: 150 s, four calls to the store, and 5 s.
const LEASE: Duration = secs(159);

/// What the provider does with a request.
#[derive(Clone)]
enum Act {
    /// Executes it, and answers.
    Answer,
    /// Executes it after this long.
    Slow(Duration),
    /// Executes it, and the answer is lost.
    LostAnswer,
    /// Does not execute it, and fails like this.
    Fail(ProviderError),
    /// Executes nothing, and does not answer.
    Never,
    Panic,
}

/// A provider that keeps results under idempotency keys, and counts what it executes.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    script: VecDeque<Act>,
    /// The key of each request, if it had one.
    requests: Vec<Option<String>>,
    executed: u32,
    by_key: BTreeMap<String, u32>,
}

type Calling = Pin<Box<dyn Future<Output = Result<u32, ProviderError>> + Send>>;

impl Desk {
    fn with(script: impl IntoIterator<Item = Act>) -> Self {
        let desk = Self::default();
        desk.script(script);
        desk
    }

    fn script(&self, script: impl IntoIterator<Item = Act>) {
        self.0.lock().unwrap().script.extend(script);
    }

    fn requests(&self) -> usize {
        self.0.lock().unwrap().requests.len()
    }

    fn keys(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().requests.clone()
    }

    /// How often something happened.
    fn executed(&self) -> u32 {
        self.0.lock().unwrap().executed
    }

    /// Executes, unless the key says that it was done before. The result is the number of the execution.
    fn execute(&self, key: Option<String>) -> u32 {
        let mut books = self.0.lock().unwrap();
        if let Some(done) = key.as_ref().and_then(|key| books.by_key.get(key)) {
            return *done;
        }
        books.executed += 1;
        let number = books.executed;
        if let Some(key) = key {
            books.by_key.insert(key, number);
        }
        number
    }

    fn request(&self, key: Option<String>) -> Calling {
        let desk = self.clone();
        Box::pin(async move {
            let act = {
                let mut books = desk.0.lock().unwrap();
                books.requests.push(key.clone());
                books.script.pop_front().unwrap_or(Act::Answer)
            };
            match act {
                Act::Answer => Ok(desk.execute(key)),
                Act::Slow(wait) => {
                    sleep(wait).await;
                    Ok(desk.execute(key))
                }
                Act::LostAnswer => {
                    desk.execute(key);
                    Err(ProviderError::outcome_unknown("connection reset"))
                }
                Act::Fail(error) => Err(error),
                Act::Never => pending().await,
                Act::Panic => panic!("scripted panic"),
            }
        })
    }

    /// A call that sends the provider's key.
    fn keyed(&self) -> impl Fn(EffectCall) -> Calling + Send + Sync + 'static {
        let desk = self.clone();
        move |call| desk.request(Some(call.provider_key().to_owned()))
    }

    /// A call that sends none.
    fn keyless(&self) -> impl Fn(EffectCall) -> Calling + Send + Sync + 'static {
        let desk = self.clone();
        move |_call| desk.request(None)
    }
}

fn plain() -> ValidatorBuilder {
    Validator::builder(ScriptedProvider::new())
        .no_guard_breaker()
        .no_retry_budget()
        .transient_patterns(NO_PATTERNS)
        // Most of these tests write without a provider key, to memory.
        .only_instance()
        .restart_loses_at_most(RestartLoss::All)
        .retry(Retry::new().schedule(Schedule::waits([ms(100), ms(500), secs(5)])).jitter(Jitter::None))
}

fn guard_on(store: &(impl Store + Clone)) -> Guard {
    plain().store(store.clone()).build().unwrap().guard()
}

fn operation(effect: Effect) -> Operation {
    Operation::new("store_42", "refund", "order 6735", effect).unwrap().claim("amount", "19.99 USD").unwrap()
}

fn keyed() -> Operation {
    operation(Effect::keyed_write(DAY))
}

fn unkeyed() -> Operation {
    operation(Effect::write())
}

fn read() -> Operation {
    operation(Effect::Read)
}

/// Runs the operation in a process that ends while the provider is at it.
fn crash(guard: impl FnOnce() -> Guard, operation: &Operation, desk: &Desk) {
    crash_between(guard, operation, desk, Duration::ZERO, Duration::ZERO);
}

/// The same in a process that begins this long after the first one, and lives so long.
fn crash_between(
    guard: impl FnOnce() -> Guard,
    operation: &Operation,
    desk: &Desk,
    begin: Duration,
    lifetime: Duration,
) {
    let before = desk.requests();
    desk.script([Act::Never]);
    let dying = paused_runtime();
    dying.block_on(async {
        advance(begin).await;
        let run = guard().run(operation, desk.keyed());
        tokio::spawn(run);
        settle().await;
        sleep(lifetime).await;
        settle().await;
    });
    drop(dying);
    assert_eq!(desk.requests(), before + 1, "it ended while it was sending");
}

fn keys(desk: &Desk) -> Vec<String> {
    desk.keys().into_iter().map(Option::unwrap_or_default).collect()
}

#[track_caller]
fn all_equal<T: PartialEq + Debug>(items: &[T]) {
    assert!(items.windows(2).all(|pair| pair[0] == pair[1]), "{items:?}");
}
