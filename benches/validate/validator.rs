//! What a further validator costs, in memory and over TLS, once the process has one.
//!
//! What all validators share, such as the system's root certificates, is made by the first one and is not counted.

use std::hint::black_box;

use criterion::Criterion;
use payproof::{Stripe, Validator};

use crate::checkout::{self, Prompt};
use crate::figure::{self, Scale};
use crate::turns::{Peer, take_turns, timed};

const ROUNDS: usize = 200;
const BATCH: u64 = 5;

pub(crate) fn run(scale: Scale, _criterion: &mut Criterion) {
    measure(scale, "validator", || Validator::builder(Prompt::new()).build().expect("settings fit"));
    measure(scale, "validator_tls", || {
        let stripe = Stripe::new("sk_live_placeholder").expect("the system has root certificates");
        Validator::builder(stripe).single_tenant().build().expect("settings fit")
    });
}

fn measure(scale: Scale, name: &str, make: impl Fn() -> Validator) {
    let first = make();
    let mut held = None;
    let counts = allocation_counter::measure(|| held = Some(make()));
    figure::allocs(name, counts.count_total as f64);
    figure::bytes(name, counts.bytes_current as f64);
    let runtime = checkout::runtime();
    let mut peer: Peer<'_> = Box::new(|count| {
        let (time, ()) = runtime.block_on(timed(async {
            for _ in 0..count {
                black_box(make());
            }
        }));
        time
    });
    let [times] = take_turns(scale.of(ROUNDS), BATCH, [&mut peer]);
    figure::ns(name, times.ns());
    drop((first, held));
}
