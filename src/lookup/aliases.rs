//! Aliases of payments in memory, bounded: which payment each stands for, and what it states itself.
//!
//! Only aliases that are complete are here, so that which payment they stand for never changes. To lose one costs a call.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::call::deadline::is_recent;
use crate::intent::payment_intent::PaymentId;
use crate::lock::Lock;
use crate::payment::alias::ResolvedAlias;

/// So many shards, so that calls about two sessions seldom wait for each other.
const SHARDS: u64 = 16;

/// The aliases that this process knows.
#[derive(Debug)]
pub(crate) struct Aliases {
    shards: Box<[Lock<Shard>]>,
    shard_capacity: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// What was forgotten keeps its place, so that each stands once in the order of age.
    known: HashMap<PaymentId, Option<KnownAlias>>,
    by_age: VecDeque<PaymentId>,
}

/// An alias, and until when it is believed without asking the store.
#[derive(Clone, Debug)]
struct KnownAlias {
    alias: Arc<ResolvedAlias>,
    until: Instant,
}

impl Aliases {
    /// Keeps at most `capacity` aliases, rounded up to whole shards; none if that is zero.
    pub(crate) fn new(capacity: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Lock::default()).collect::<Box<[_]>>();
        Self { shard_capacity: capacity.div_ceil(shards.len().max(1)), shards }
    }

    /// An alias that is still believed, and that was asked for at most so long ago.
    pub(crate) fn recent(&self, alias: &PaymentId, now: Instant, max_age: Duration) -> Option<Arc<ResolvedAlias>> {
        let known = self.get(alias).filter(|known| now < known.until)?;
        is_recent(known.alias.asked_at.age_at(now), max_age).then_some(known.alias)
    }

    /// An alias however old it is, for what never changes of it.
    pub(crate) fn of_any_age(&self, alias: &PaymentId) -> Option<Arc<ResolvedAlias>> {
        self.get(alias).map(|known| known.alias)
    }

    fn get(&self, alias: &PaymentId) -> Option<KnownAlias> {
        self.shard(alias)?.lock().known.get(alias)?.clone()
    }

    /// Takes an alias into memory. At the capacity the one that came first makes way.
    pub(crate) fn keep(&self, id: &PaymentId, alias: Arc<ResolvedAlias>, until: Instant) {
        let Some(shard) = self.shard(id).filter(|_| self.shard_capacity > 0) else { return };
        let mut shard = shard.lock();
        let Shard { known, by_age } = &mut *shard;
        if let Some(place) = known.get_mut(id) {
            *place = Some(KnownAlias { alias, until });
            return;
        }
        if known.len() >= self.shard_capacity
            && let Some(first) = by_age.pop_front()
        {
            known.remove(&first);
        }
        known.insert(id.clone(), Some(KnownAlias { alias, until }));
        by_age.push_back(id.clone());
    }

    pub(crate) fn forget(&self, id: &PaymentId) {
        let Some(shard) = self.shard(id) else { return };
        if let Some(place) = shard.lock().known.get_mut(id) {
            *place = None;
        }
    }

    fn shard(&self, id: &PaymentId) -> Option<&Lock<Shard>> {
        self.shards.get(usize::try_from(id.position() % SHARDS).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::payment::alias::{AliasState, PaymentAlias};

    fn id(number: usize) -> PaymentId {
        PaymentId::parse(format!("cs_{number}")).unwrap()
    }

    fn alias(asked_at: Instant) -> Arc<ResolvedAlias> {
        let (payment, states) = (PaymentId::parse("pi_1").unwrap(), PaymentAlias::new(AliasState::Complete));
        Arc::new(ResolvedAlias { payment, states, asked_at: Moment::at(asked_at) })
    }

    #[test]
    fn an_alias_is_believed_until_its_time_is_over_and_by_its_age() {
        let (aliases, now, second) = (Aliases::new(16), Instant::now(), Duration::from_secs(1));
        aliases.keep(&id(1), alias(now), now + second * 5);
        let recent = |after: u32, max_age| aliases.recent(&id(1), now + second * after, max_age).is_some();
        assert!(recent(4, Duration::MAX) && recent(4, second * 4));
        assert!(!recent(4, second * 3) && !recent(5, Duration::MAX) && !recent(0, Duration::ZERO));
        assert!(aliases.of_any_age(&id(1)).is_some());
        aliases.forget(&id(1));
        assert!(aliases.of_any_age(&id(1)).is_none());
    }

    #[test]
    fn the_first_to_come_makes_way_at_the_capacity_and_what_was_forgotten_takes_no_second_place() {
        let (aliases, now) = (Aliases::new(32), Instant::now());
        for number in 0..1_000 {
            for _ in 0..3 {
                aliases.keep(&id(number), alias(now), now);
                aliases.forget(&id(number));
            }
            aliases.keep(&id(number), alias(now), now);
        }
        let held: usize = aliases.shards.iter().map(|shard| shard.lock().known.len()).sum();
        let in_order: usize = aliases.shards.iter().map(|shard| shard.lock().by_age.len()).sum();
        assert_eq!((held, in_order), (32, 32));
        assert!(aliases.of_any_age(&id(999)).is_some() && aliases.of_any_age(&id(0)).is_none());
        let none = Aliases::new(0);
        none.keep(&id(1), alias(now), now);
        assert!(none.of_any_age(&id(1)).is_none());
    }
}
