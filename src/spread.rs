//! What every call writes, laid apart for each core: handles to one thing, and counters.
//!
//! Where every call takes a handle and gives it back, or counts, one counter goes from core to core, and the cores wait for it
//! longer than for all else that a call reads.

use std::num::NonZero;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// The cores that this process may use. Asked once, since the system reads files to tell.
pub(crate) static CORES: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));

/// More of a thing than this, at 128 or 256 bytes each, would cost more than they are worth.
const MOST: usize = 64;

/// Threads are numbered as they come.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// How many of a thing there are: a power of two, so that a thread finds its own without a division.
fn places() -> usize {
    CORES.next_power_of_two().min(MOST)
}

/// The one that other threads seldom touch.
#[inline]
fn own<T>(places: &[T]) -> Option<&T> {
    places.get(THREAD.with(|thread| *thread) & places.len().wrapping_sub(1))
}

/// One thing, and a handle to it for each core.
#[derive(Debug)]
pub(crate) struct Spread<T> {
    first: Arc<Handle<T>>,
    /// With the first one.
    handles: Box<[Arc<Handle<T>>]>,
}

/// Owns the thing as an `Arc` does. The alignment keeps the counter on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Handle<T>(Arc<T>);

impl<T> Spread<T> {
    pub(crate) fn new(thing: Arc<T>) -> Self {
        let first = Arc::new(Handle(thing));
        let others = (1..places()).map(|_| Arc::new(Handle(Arc::clone(&first.0))));
        Self { handles: std::iter::once(Arc::clone(&first)).chain(others).collect(), first }
    }

    /// A handle whose counter other threads seldom touch.
    #[inline]
    pub(crate) fn handle(&self) -> Arc<Handle<T>> {
        Arc::clone(own(&self.handles).unwrap_or(&self.first))
    }
}

impl<T> Deref for Spread<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.first
    }
}

impl<T> Deref for Handle<T> {
    type Target = Arc<T>;

    fn deref(&self) -> &Arc<T> {
        &self.0
    }
}

/// A thing for each core; threads take them by turns.
#[cfg(feature = "cache")]
#[derive(Debug)]
pub(crate) struct PerThread<T>(Box<[Apart<T>]>);

/// On cache lines of its own.
#[cfg(feature = "cache")]
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

#[cfg(feature = "cache")]
impl<T> PerThread<T> {
    /// The calling thread's, which other threads seldom touch.
    #[inline]
    pub(crate) fn own(&self) -> Option<&T> {
        own(&self.0).map(|apart| &apart.0)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|apart| &apart.0)
    }
}

#[cfg(feature = "cache")]
impl<T: Default> Default for PerThread<T> {
    fn default() -> Self {
        Self((0..places()).map(|_| Apart::default()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_take_handles_of_their_own_and_each_keeps_the_thing() {
        let spread = Spread::new(Arc::new(7));
        let own = spread.handle();
        assert!(Arc::ptr_eq(&own, &spread.handle()), "a thread keeps to its handle");
        let others: Vec<_> =
            (0..8).map(|_| std::thread::scope(|scope| scope.spawn(|| spread.handle()).join().unwrap())).collect();
        assert_eq!(Arc::strong_count(&spread), spread.handles.len(), "no call counts an owner of the thing itself");
        let is_spread = others.iter().any(|other| !Arc::ptr_eq(other, &own));
        assert_eq!(is_spread, spread.handles.len() > 1);
        drop((spread, others));
        assert_eq!(***own, 7, "a handle keeps the thing");
    }

    #[test]
    fn two_counters_never_share_a_cache_line() {
        let spread = Spread::new(Arc::new(7_u8));
        let mut at: Vec<usize> = spread.handles.iter().map(|handle| Arc::as_ptr(handle).addr()).collect();
        at.sort_unstable();
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 256));
    }

    #[cfg(feature = "cache")]
    #[test]
    fn each_thread_has_its_own_and_no_two_share_a_cache_line() {
        let numbers = PerThread::<u8>::default();
        let own = numbers.own().map(std::ptr::from_ref);
        assert!(own.is_some() && own == numbers.own().map(std::ptr::from_ref));
        let at: Vec<usize> = numbers.all().map(|number| std::ptr::from_ref(number).addr()).collect();
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 128));
        let others = || {
            std::thread::scope(|scope| {
                scope.spawn(|| numbers.own().map(|own| std::ptr::from_ref(own).addr())).join().unwrap()
            })
        };
        assert_eq!((0..8).any(|_| others() != own.map(<*const u8>::addr)), at.len() > 1);
    }
}
