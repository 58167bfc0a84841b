//! Handles to one thing whose counters lie apart, for owners on many threads.
//!
//! Where every call takes a handle and gives it back, one counter goes from core to core, and the cores wait for it longer
//! than for all else that a call reads.

use std::num::NonZero;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// The cores that this process may use. Asked once, since the system reads files to tell.
pub(crate) static CORES: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));

/// More handles than this, at 256 bytes each, would cost more than they are worth.
const MOST_HANDLES: usize = 64;

/// Threads are numbered as they come.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
}

/// One thing, and a handle to it for each core.
#[derive(Debug)]
pub(crate) struct Spread<T> {
    first: Arc<Handle<T>>,
    /// With the first one. A power of two, so that a thread finds its own without a division.
    handles: Box<[Arc<Handle<T>>]>,
}

/// Owns the thing as an `Arc` does. The alignment keeps the counter on a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Handle<T>(Arc<T>);

impl<T> Spread<T> {
    pub(crate) fn new(thing: Arc<T>) -> Self {
        let first = Arc::new(Handle(thing));
        let others = (1..CORES.next_power_of_two().min(MOST_HANDLES)).map(|_| Arc::new(Handle(Arc::clone(&first.0))));
        Self { handles: std::iter::once(Arc::clone(&first)).chain(others).collect(), first }
    }

    /// A handle whose counter other threads seldom touch.
    #[inline]
    pub(crate) fn handle(&self) -> Arc<Handle<T>> {
        let at = THREAD.with(|thread| *thread) & self.handles.len().wrapping_sub(1);
        Arc::clone(self.handles.get(at).unwrap_or(&self.first))
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
}
