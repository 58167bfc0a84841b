//! The facts in memory as those who hear over a line to the store.

use tokio::time::Instant;

use super::{FactsCache, ReadTicket};
use crate::store::line::Listener;

impl FactsCache {
    /// Taken before the store is asked for the record under this key, so that its facts can be covered.
    pub(crate) fn ticket(&self, key: &str) -> Option<ReadTicket> {
        self.coverage.ticket(key)
    }

    /// Whether a session of a line is alive.
    pub(crate) fn is_covering(&self, now: Instant) -> bool {
        self.coverage.is_alive(self.coverage.session(), self.clock.at(now))
    }

    /// Removes what stands at a position, and is covered no more.
    pub(super) fn uncover(&self, position: u64) {
        let Some(mut table) = self.table(position) else { return };
        while let Ok(entry) = table.slots.find_entry(position, |slot| slot.position() == position) {
            entry.remove();
        }
    }
}

impl Listener for FactsCache {
    fn opened(&self) -> u64 {
        self.coverage.open()
    }

    fn alive(&self, session: u64, until: Instant) -> bool {
        self.coverage.alive(session, self.clock.at(until))
    }

    fn changed(&self, key: &[u8]) {
        if let Some((_heard, position)) = self.coverage.note(key) {
            self.uncover(position);
        }
    }

    fn ended(&self, session: u64) {
        self.coverage.end(session);
    }
}
