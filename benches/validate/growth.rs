//! The longest hit while the table of facts grows.
//!
//! One thread asks about payments that memory knows, over and over, while another brings in millions of new ones. A thread
//! that the system stops in between looks like a long hit. So after each hit the thread does nothing but read the clock, for
//! as long as the hit took: the longest pause of that is what the machine does, `ms longest_pause`.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use payproof::{PaymentIntent, Validator};

use crate::checkout::{self, Prompt};
use crate::figure::{self, Scale};

/// About 3 GB.
const PAYMENTS: usize = 10_000_000;
const KNOWN: usize = 1_000;

/// The longest of their kind.
#[derive(Default)]
struct Longest {
    hit: Duration,
    pause: Duration,
}

impl Longest {
    /// One hit, and then the clock alone.
    async fn take(&mut self, hit: impl Future<Output = ()>) {
        let start = Instant::now();
        hit.await;
        let (mut last, hit) = (Instant::now(), start.elapsed());
        self.hit = self.hit.max(hit);
        let end = last + hit;
        while last < end {
            let now = Instant::now();
            self.pause = self.pause.max(now - last);
            last = now;
        }
    }
}

pub(crate) fn run(scale: Scale, _criterion: &mut Criterion) {
    let longest = longest_hit(scale.of(PAYMENTS));
    figure::ms("longest_hit", longest.hit.as_secs_f64() * 1e3);
    figure::ms("longest_pause", longest.pause.as_secs_f64() * 1e3);
}

fn longest_hit(payments: usize) -> Longest {
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
                let mut longest = Longest::default();
                for intent in known.iter().cycle() {
                    longest.take(ask(intent)).await;
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
