//! What a payment's facts cost in memory.
//!
//! A million ordinary payments are validated once each. Their intents are dropped at once, as a checkout's are, so that
//! what stays is what the validator keeps. Room is for a fifth more, so that nothing is evicted. Then come others, until
//! three million have made way for them.

use std::fs;

use criterion::Criterion;
use payproof::Validator;

use crate::checkout::{self, Prompt};
use crate::figure::{self, Scale};

const PAYMENTS: usize = 1_000_000;

const EVICTIONS: usize = 3_000_000;

pub(crate) fn run(scale: Scale, _criterion: &mut Criterion) {
    let runtime = checkout::runtime();
    let payments = scale.of(PAYMENTS);
    let validator = Validator::builder(Prompt::new()).facts_in_memory(payments / 5 * 6).build().expect("settings fit");
    let ask = async |id: &str| {
        let validation = validator.validate(checkout::intent(id)).await.expect("the provider answers");
        assert!(validation.verdict().is_valid());
    };
    // The first call sets up what there is once, such as the runtime's queues.
    runtime.block_on(ask("pi_1"));
    let mut ids = checkout::payment_ids();
    let resident_before = resident_bytes();
    let counts = allocation_counter::measure(|| {
        runtime.block_on(async {
            for id in ids.by_ref().take(payments) {
                ask(&id).await;
            }
        });
    });
    assert_eq!(validator.stats().facts_in_memory, payments + 1, "nothing was evicted");
    // Whole pages of the process: what tables leave empty and what the allocator adds are in it.
    let resident = |payments: usize| Some(resident_bytes()?.saturating_sub(resident_before?) as f64 / payments as f64);
    if let Some(bytes) = resident(payments) {
        figure::bytes("entry", bytes);
    }
    figure::bytes("entry_allocated", counts.bytes_current as f64 / payments as f64);
    runtime.block_on(async {
        for id in ids.by_ref().take(payments / 5 + scale.of(EVICTIONS)) {
            ask(&id).await;
        }
    });
    let kept = validator.stats().facts_in_memory;
    if let Some(bytes) = resident(kept) {
        figure::bytes("entry_after_evictions", bytes);
    }
}

/// The memory that this process has in pages of its own; only Linux says so.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}
