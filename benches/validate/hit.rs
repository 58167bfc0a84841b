//! A validation that memory answers, beside a look-up in the cache that a user would have used.
//!
//! All peers hold the same payments, are asked in the same random order, and have room for twice as many. Each is asked
//! with what the caller has in hand: payproof with the intent, a cache with the payment's id. The caches hold a small
//! value that is copied out, which is cheaper than an `Arc`, and they only look up: they compare no claims, know no
//! freshness and count nothing, all of which payproof does within its time.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use payproof::{PaymentIntent, Validator};
use tokio::runtime::Runtime;

use crate::checkout::{self, MINOR_UNITS, Prompt};
use crate::figure::{self, Scale};
use crate::turns::{Peer, absolute_times, take_turns, timed};

/// More than a core's own caches hold.
const MANY: usize = 100_000;

/// What every cache near the core holds.
const HOT: usize = 1_000;

/// Long enough that reading the clock does not show, short enough that neighbors meet the same machine.
const BATCH: u64 = 2_000;

const ROUNDS: usize = 1_000;

/// The least that a user's own cache would keep to answer for a payment.
#[derive(Clone, Copy)]
struct Paid {
    amount: u64,
    currency: [u8; 3],
    until: u64,
}

const PAID: Paid = Paid { amount: MINOR_UNITS, currency: *b"usd", until: u64::MAX };

/// The same payments in all three.
struct Memories {
    intents: Vec<PaymentIntent>,
    ids: Vec<String>,
    validator: Validator,
    moka: moka::future::Cache<String, Paid>,
    quick_cache: quick_cache::sync::Cache<String, Paid>,
}

impl Memories {
    fn filled(runtime: &Runtime, payments: usize) -> Self {
        let room = payments * 2;
        let ids: Vec<String> = checkout::payment_ids().take(payments).collect();
        let intents: Vec<PaymentIntent> = ids.iter().map(|id| checkout::intent(id)).collect();
        let validator = Validator::builder(Prompt::new()).facts_in_memory(room).build().expect("settings fit");
        let moka = moka::future::Cache::new(u64::try_from(room).expect("a small number"));
        let quick_cache = quick_cache::sync::Cache::new(room);
        runtime.block_on(async {
            for (id, intent) in ids.iter().zip(&intents) {
                let validation = validator.validate(intent).await.expect("the provider answers");
                assert!(validation.verdict().is_valid());
                moka.insert(id.clone(), PAID).await;
                quick_cache.insert(id.clone(), PAID);
            }
            moka.run_pending_tasks().await;
        });
        // Shuffled after they were made, so that their order in the heap says nothing about the order of asking.
        let (intents, ids) = (checkout::shuffled(intents), checkout::shuffled(ids));
        Self { intents, ids, validator, moka, quick_cache }
    }

    fn peers<'m>(&'m self, runtime: &'m Runtime) -> [Peer<'m>; 3] {
        [
            asking(runtime, &self.intents, async |intent| {
                let validation = self.validator.validate(intent).await;
                black_box(&validation).as_ref().is_ok_and(|validation| validation.verdict().is_valid())
            }),
            asking(runtime, &self.ids, async |id| black_box(self.moka.get(id).await).is_some_and(covers)),
            asking(runtime, &self.ids, async |id| black_box(self.quick_cache.get(id)).is_some_and(covers)),
        ]
    }
}

fn covers(paid: Paid) -> bool {
    paid.amount == MINOR_UNITS && paid.currency == PAID.currency && paid.until > 0
}

/// Asks about one after the other, round and round.
fn asking<'k, K>(runtime: &'k Runtime, keys: &'k [K], ask: impl AsyncFn(&'k K) -> bool + 'k) -> Peer<'k> {
    let mut keys = keys.iter().cycle();
    Box::new(move |count| {
        let (time, good) = runtime.block_on(timed(async {
            let mut good = 0;
            for key in keys.by_ref().take(usize::try_from(count).expect("a count in memory")) {
                good += u64::from(ask(key).await);
            }
            good
        }));
        assert_eq!(good, count, "everything that was put in is still there");
        time
    })
}

pub(crate) fn run(scale: Scale, criterion: &mut Criterion) {
    let runtime = checkout::runtime();
    for (payments, prefix) in [(MANY, "hit"), (HOT, "hot")] {
        let memories = Memories::filled(&runtime, scale.of(payments));
        let mut peers = memories.peers(&runtime);
        // Two at a time: a third would empty the caches for the other two.
        let [own, moka, quick_cache] = &mut peers;
        let rounds = scale.of(ROUNDS);
        let [own_beside_moka, moka] = take_turns(rounds, BATCH, [own, moka]);
        let [own_beside_quick_cache, quick_cache] = take_turns(rounds, BATCH, [own, quick_cache]);
        figure::ratio(&format!("{prefix}_vs_moka"), own_beside_moka.ratio_to(&moka));
        figure::ratio(&format!("{prefix}_vs_quick_cache"), own_beside_quick_cache.ratio_to(&quick_cache));
        figure::ns(prefix, own_beside_quick_cache.ns());
        figure::ns(&format!("{prefix}_moka"), moka.ns());
        figure::ns(&format!("{prefix}_quick_cache"), quick_cache.ns());
        figure::allocs(prefix, allocations(&mut peers));
        absolute_times(criterion, prefix, ["payproof", "moka", "quick_cache"], &mut peers);
    }
}

/// Allocations of a hit.
fn allocations([own, ..]: &mut [Peer<'_>; 3]) -> f64 {
    let mut counted = |hits: u64| {
        let counts = allocation_counter::measure(|| {
            let _: Duration = own(hits);
        });
        counts.count_total
    };
    // Entering the runtime is no part of a hit.
    let entering = counted(0);
    (counted(BATCH) - entering) as f64 / BATCH as f64
}
