//! A lock that a panic does not close.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex for a value that is whole at every point where the code under the lock could panic: no code of the caller runs
/// there. So a poisoned one is used all the same.
#[derive(Debug, Default)]
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_under_the_lock_does_not_close_it() {
        let lock = Lock::new(1);
        let panicked = std::thread::scope(|scope| scope.spawn(|| panic!("under {:?}", lock.lock())).join());
        assert_eq!((panicked.is_err(), *lock.lock()), (true, 1));
    }
}
