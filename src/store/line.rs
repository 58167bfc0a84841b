//! The seam of the invalidation line: a connection over which a store announces which records change.
//!
//! What is in memory may then be served without asking the store, for as long as the line is alive. A line has sessions: in
//! one of them every change is announced, without a gap. A session begins once the store has answered a beat, is alive until
//! [`ALIVE_FOR`] after the sending of the last beat that was answered, and ends for good. What was announced before a beat's
//! answer was heard before it, so a process that serves while the session is alive has heard all changes that are older than that.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// How long after the sending of its last answered beat a session is alive: the longest that a change may stay unheard.
pub(crate) const ALIVE_FOR: Duration = Duration::from_secs(1);

/// A line that a store offers for the records under one prefix. Dropped, it ends.
pub(crate) trait Line: fmt::Debug + Send + Sync {
    /// Has the line run, in this runtime, if it does not yet; outside of any it does nothing. It is cheap, and made at each use of the store: a runtime may have
    /// ended with what ran in it.
    fn keep_up(&self);
}

/// Hears what a line announces. It is called from the task that reads the line, and so is to be quick.
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "Redis alone has a line"))]
pub(crate) trait Listener: Send + Sync {
    /// A session begins. Its number is told back, and no other session has it.
    fn opened(&self) -> u64;

    /// A session is alive until then. Whether the listener is still in it: it may have given it up while no beat was answered.
    fn alive(&self, session: u64, until: Instant) -> bool;

    /// The record under this key changed, or is gone.
    fn changed(&self, key: &[u8]);

    /// A session is over.
    fn ended(&self, session: u64);
}
