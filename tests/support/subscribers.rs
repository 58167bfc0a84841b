//! Subscribers that keep a test from missing what another test's thread met first.

use std::sync::LazyLock;

use tracing::Dispatch;

/// With a single subscriber, tracing asks the thread that meets a call site first, and remembers its "never" for all.
static TWO: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| std::array::from_fn(|_| Dispatch::new(tracing_subscriber::registry())));

/// To be called before a subscriber of one's own is set.
pub(crate) fn there_are_two() {
    LazyLock::force(&TWO);
}
