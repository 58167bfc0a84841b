//! The longest hit while the table of facts grows.
//!
//! One thread asks about payments that memory knows, over and over, while another brings in millions of new ones. A thread
//! that the system stops in between looks like a long hit, so the whole is done several times and the best counts: the table
//! grows every time.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use payproof::{PaymentIntent, Validator};

use crate::checkout::{self, Prompt};
use crate::figure::{self, Scale};

const PAYMENTS: usize = 2_000_000;
const KNOWN: usize = 1_000;
const TIMES: usize = 3;

pub(crate) fn run(scale: Scale, _criterion: &mut Criterion) {
    let longest = (0..TIMES).map(|_| longest_hit(scale.of(PAYMENTS))).min().unwrap_or_default();
    figure::ms("longest_hit", longest.as_secs_f64() * 1e3);
}

fn longest_hit(payments: usize) -> Duration {
    let validator = Validator::builder(Prompt::new()).facts_in_memory(payments * 2).build().expect("settings fit");
    let mut ids = checkout::payment_ids();
    let known: Vec<PaymentIntent> = ids.by_ref().take(KNOWN).map(|id| checkout::intent(&id)).collect();
    let runtime = checkout::runtime();
    let ask = async |intent: &PaymentIntent| {
        assert!(validator.validate(intent).await.is_ok_and(|validation| validation.verdict().is_valid()));
    };
    runtime.block_on(async {
        for intent in &known {
            ask(intent).await;
        }
    });
    let is_growing = AtomicBool::new(true);
    thread::scope(|scope| {
        let hits = scope.spawn(|| {
            checkout::runtime().block_on(async {
                let mut longest = Duration::ZERO;
                for intent in known.iter().cycle() {
                    let start = Instant::now();
                    ask(intent).await;
                    longest = longest.max(start.elapsed());
                    if !is_growing.load(Ordering::Relaxed) {
                        break;
                    }
                }
                longest
            })
        });
        runtime.block_on(async {
            for id in ids.take(payments) {
                ask(&checkout::intent(&id)).await;
            }
        });
        is_growing.store(false, Ordering::Relaxed);
        hits.join().expect("nothing panics")
    })
}
