//! Takes turns between peers, so that what the machine does meanwhile meets all of them alike.

#![expect(clippy::disallowed_methods, reason = "a bench measures real time")]

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use tokio::runtime::Runtime;

/// Does something this many times and says how long that took, without what it had to prepare.
pub(crate) type Peer<'p> = Box<dyn FnMut(u64) -> Duration + 'p>;

/// What comes before an act, and is not measured.
pub(crate) type Preparation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Measures what is awaited.
pub(crate) async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let start = Instant::now();
    let result = work.await;
    (start.elapsed(), result)
}

/// Acts on one key after the other, round and round, inside a spawned task, as a server's handlers are: waking the future
/// that `block_on` waits for is a system call, which no handler pays.
pub(crate) fn acting<K: Send + Sync + 'static, A: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    keys: Arc<[K]>,
    prepare: impl Fn(&K) -> Preparation + Clone + Send + Sync + 'static,
    act: impl Fn(&K) -> A + Clone + Send + Sync + 'static,
) -> Peer<'_> {
    crowding(runtime, 1, keys, prepare, act)
}

/// The same by so many callers at once, each in a task of its own and with its own keys.
pub(crate) fn crowding<K: Send + Sync + 'static, A: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    callers: usize,
    keys: Arc<[K]>,
    prepare: impl Fn(&K) -> Preparation + Clone + Send + Sync + 'static,
    act: impl Fn(&K) -> A + Clone + Send + Sync + 'static,
) -> Peer<'_> {
    let mut next = 0;
    Box::new(move |count| {
        let mut left = usize::try_from(count).expect("a count in memory");
        let mut total = Duration::ZERO;
        while left > 0 {
            let chunk = next..keys.len().min(next + left);
            left -= chunk.len();
            next = chunk.end % keys.len();
            let (keys, prepare, act) = (Arc::clone(&keys), prepare.clone(), act.clone());
            let batch = runtime.spawn(async move {
                for key in keys.get(chunk.clone()).expect("the chunk is cut to the keys") {
                    prepare(key).await;
                }
                let caller = |first| {
                    let (keys, act, of_caller) = (Arc::clone(&keys), act.clone(), chunk.clone().skip(first));
                    async move {
                        for key in of_caller.step_by(callers).filter_map(|at| keys.get(at)) {
                            act(key).await;
                        }
                    }
                };
                let (time, ()) = timed(async {
                    let others: Vec<_> = (1..callers).map(|first| tokio::spawn(caller(first))).collect();
                    caller(0).await;
                    for other in others {
                        other.await.expect("nothing panics");
                    }
                })
                .await;
                time
            });
            total += runtime.block_on(batch).expect("nothing panics");
        }
        total
    })
}

/// Nanoseconds per operation, one for each batch.
pub(crate) struct Batches(Vec<f64>);

impl Batches {
    /// The median batch.
    pub(crate) fn ns(&self) -> f64 {
        median(self.0.clone())
    }

    /// The median of the ratios of batches that were neighbors in time, which a machine that slows down for a while
    /// does not change.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(own, others)| own / others).collect())
    }

    /// The median of the differences of batches that were neighbors in time.
    pub(crate) fn ns_over(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(own, others)| own - others).collect())
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().expect("something was measured")
}

/// Runs short batches of the peers in turns: A B C, C B A, A B C and so on, since each finds the caches as its neighbor
/// left them. The first tenth is for warming up.
pub(crate) fn take_turns<const N: usize>(rounds: usize, batch: u64, mut peers: [&mut Peer<'_>; N]) -> [Batches; N] {
    let mut times = [const { Vec::new() }; N];
    let warm_up = rounds / 10;
    for round in 0..warm_up + rounds {
        let mut turns: Vec<_> = peers.iter_mut().zip(&mut times).collect();
        if !round.is_multiple_of(2) {
            turns.reverse();
        }
        for (peer, times) in turns {
            let time = peer(batch);
            if round >= warm_up {
                times.push(time.as_secs_f64() * 1e9 / batch as f64);
            }
        }
    }
    times.map(Batches)
}

/// Absolute times of the same peers, by criterion.
pub(crate) fn absolute_times<const N: usize>(
    criterion: &mut Criterion,
    group: &str,
    names: [&str; N],
    peers: &mut [Peer<'_>; N],
) {
    let mut group = criterion.benchmark_group(group);
    for (name, peer) in names.into_iter().zip(peers) {
        group.bench_function(name, |bencher| bencher.iter_custom(&mut *peer));
    }
    group.finish();
}
