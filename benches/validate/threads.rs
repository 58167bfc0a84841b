//! How much more two threads answer from memory than one, and than two that share no validator.
//!
//! On a machine that has other work too, two threads get less than two cores; `…_vs_apart` says what sharing alone costs.
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

/// Enough hits that starting and joining a thread do not show.
const BATCH: usize = 50_000;
const JUDGED_BATCH: usize = 5_000;

pub(crate) fn run(scale: Scale, _criterion: &mut Criterion) {
    let [validator, other_validator] =
        [(); 2].map(|()| Validator::builder(Prompt::new()).build().expect("settings fit"));
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
            assert!(other_validator.validate(intent).await.is_ok());
        }
    });
    let hot = claimed.get(..1).unwrap_or_default();
    for (name, intents, batch) in [("hit", &*claimed, BATCH), ("hot", hot, BATCH), ("judged", &*other, JUDGED_BATCH)] {
        let turns = (0..scale.of(ROUNDS)).map(|_| {
            let one = a_second(&[&validator], intents, batch);
            let two = a_second(&[&validator, &validator], intents, batch);
            let apart = a_second(&[&validator, &other_validator], intents, batch);
            (two / one, two / apart)
        });
        let (over_one, over_apart): (Vec<_>, Vec<_>) = turns.unzip();
        figure::ratio(&format!("{name}_threads"), median(over_one));
        figure::ratio(&format!("{name}_threads_vs_apart"), median(over_apart));
    }
}

/// Hits a second, of a thread for each of these together.
fn a_second(validators: &[&Validator], intents: &[PaymentIntent], batch: usize) -> f64 {
    let ready = Barrier::new(validators.len() + 1);
    let ready = &ready;
    let start = thread::scope(|scope| {
        for validator in validators {
            scope.spawn(move || {
                let runtime = checkout::runtime();
                ready.wait();
                runtime.block_on(async {
                    for intent in intents.iter().cycle().take(batch) {
                        assert!(black_box(validator.validate(intent).await).is_ok());
                    }
                });
            });
        }
        ready.wait();
        Instant::now()
    });
    (validators.len() * batch) as f64 / start.elapsed().as_secs_f64()
}
