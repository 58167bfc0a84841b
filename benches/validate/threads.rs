//! How much more two threads answer from memory than one.
//!
//! A *judged* hit comes with other claims than those that were proven last: it is decoded and judged each time.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use criterion::Criterion;
use payproof::{Currency, Money, PaymentIntent, Validator};

use crate::checkout::{self, Prompt, TENANT};
use crate::figure::{self, Scale};
use crate::turns::median;

const PAYMENTS: usize = 1_000;
const ROUNDS: usize = 100;

/// How many hits last two milliseconds or so: on a loaded machine a longer batch would measure the scheduler.
const BATCH: usize = 20_000;
const JUDGED_BATCH: usize = 1_000;

pub(crate) fn run(scale: Scale, _criterion: &mut Criterion) {
    let validator = Validator::builder(Prompt::new()).build().expect("settings fit");
    let ids: Vec<String> = checkout::payment_ids().take(PAYMENTS).collect();
    let claimed: Vec<PaymentIntent> = ids.iter().map(|id| checkout::intent(id)).collect();
    // Another amount never becomes right, so the verdict comes from memory, and is never proven.
    let other: Vec<PaymentIntent> = ids
        .iter()
        .map(|id| {
            let money = Money::parse("20.00", Currency::USD).expect("a plain decimal");
            let intent = PaymentIntent::new(TENANT, id, money).expect("the id has the alphabet of ids");
            intent.with_order(checkout::order_of(id)).expect("a part of an id is a plain text")
        })
        .collect();
    checkout::runtime().block_on(async {
        for intent in &claimed {
            assert!(validator.validate(intent).await.is_ok());
        }
    });
    let hot = claimed.get(..1).unwrap_or_default();
    for (name, intents, batch) in [("hit", &*claimed, BATCH), ("hot", hot, BATCH), ("judged", &*other, JUDGED_BATCH)] {
        let ratios = (0..scale.of(ROUNDS)).map(|_| {
            let [one, two] = [1, 2].map(|threads| a_second(&validator, intents, batch, threads));
            (one, two / one)
        });
        let (one, ratios): (Vec<_>, Vec<_>) = ratios.unzip();
        figure::ns(&format!("{name}_one_thread"), 1e9 / median(one));
        figure::ratio(&format!("{name}_threads"), median(ratios));
    }
}

/// Hits a second, of so many threads together.
fn a_second(validator: &Validator, intents: &[PaymentIntent], batch: usize, threads: usize) -> f64 {
    let ready = Barrier::new(threads);
    let work = || {
        let runtime = checkout::runtime();
        runtime.block_on(async {
            ready.wait();
            let start = Instant::now();
            for intent in intents.iter().cycle().take(batch) {
                assert!(black_box(validator.validate(intent).await).is_ok());
            }
            batch as f64 / start.elapsed().as_secs_f64()
        })
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        others.into_iter().fold(own, |sum, other| sum + other.join().expect("nothing panics"))
    })
}
