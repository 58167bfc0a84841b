//! Work on all processors. What comes out does not depend on how many there are.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Past this, the disk decides.
const MOST: usize = 8;

/// What `work` makes of each item, in the order of the items. Each thread has a stack of so many bytes.
///
/// # Errors
/// If the system gives no threads.
pub(crate) fn each<I: Sync, T: Send>(items: &[I], stack: usize, work: &(dyn Fn(&I) -> T + Sync)) -> io::Result<Vec<T>> {
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    let run = || {
        loop {
            let at = next.fetch_add(1, Relaxed);
            let Some(item) = items.get(at) else { break };
            let one = work(item);
            lock(&made).push((at, one));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST).min(items.len());
    thread::scope(|scope| {
        let spawn = |_| thread::Builder::new().stack_size(stack).spawn_scoped(scope, run).map(drop);
        (0..threads).try_for_each(spawn)
    })?;
    let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
    made.sort_by_key(|(at, _)| *at);
    Ok(made.into_iter().map(|(_, one)| one).collect())
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
