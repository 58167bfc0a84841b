//! How much more two threads answer from memory than one, and than two that share no validator.
//!
//! On a machine that has other work too, two threads get less than two cores; `…_vs_apart` says what sharing alone costs.
//! Each thread has made its own intents, as requests do, and begins elsewhere among the payments than the others.
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
    checkout::runtime().block_on(async {
        for id in &ids {
            assert!(validator.validate(checkout::intent(id)).await.is_ok());
            assert!(other_validator.validate(checkout::intent(id)).await.is_ok());
        }
    });
    let hot = ids.get(..1).unwrap_or_default();
    let parts: [(&str, &[String], Claim, usize); 3] = [
        ("hit", &ids, checkout::intent, BATCH),
        ("hot", hot, checkout::intent, BATCH),
        ("judged", &ids, claiming_more, JUDGED_BATCH),
    ];
    for (name, ids, claim, batch) in parts {
        let intents = [0, ids.len() / 2]
            .map(|start| ids.iter().cycle().skip(start).take(ids.len()).map(|id| claim(id)).collect::<Vec<_>>());
        let [first, second] = &intents;
        let turns = (0..scale.of(ROUNDS)).map(|_| {
            let one = a_second(&[(&validator, first)], batch);
            let two = a_second(&[(&validator, first), (&validator, second)], batch);
            let apart = a_second(&[(&validator, first), (&other_validator, second)], batch);
            (two / one, two / apart)
        });
        let (over_one, over_apart): (Vec<_>, Vec<_>) = turns.unzip();
        figure::ratio(&format!("{name}_threads"), median(over_one));
        figure::ratio(&format!("{name}_threads_vs_apart"), median(over_apart));
    }
}

/// Makes the intent of a payment.
type Claim = fn(&str) -> PaymentIntent;

/// Another amount never becomes right, so the verdict comes from memory, and is never proven.
fn claiming_more(id: &str) -> PaymentIntent {
    let money = Money::parse("20.00", Currency::USD).expect("a plain decimal");
    let intent = PaymentIntent::new(TENANT, id, money).expect("the id has the alphabet of ids");
    intent.with_order(checkout::order_of(id)).expect("a part of an id is a plain text")
}

/// Hits a second, of a thread for each of these together.
fn a_second(callers: &[(&Validator, &Vec<PaymentIntent>)], batch: usize) -> f64 {
    let ready = Barrier::new(callers.len() + 1);
    let ready = &ready;
    let start = thread::scope(|scope| {
        for (validator, intents) in callers {
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
    (callers.len() * batch) as f64 / start.elapsed().as_secs_f64()
}
