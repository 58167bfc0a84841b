//! What the spaces of one cache have in common.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::accessors::partial_debug;
use crate::flight::permits::Permits;
use crate::intent::fingerprint::Fingerprint;
use crate::ledger::Ledger;
use crate::lock::Lock;
use crate::settings::build_error::BuildError;
#[cfg(feature = "metrics")]
use crate::telemetry::cache_published;

use super::backing::Backing;
use super::marks::{MOST_MARKS, Marks};
use super::overdue::OverdueList;
use super::stats::{CacheStats, SpaceStats};
use super::tag::Tag;
use super::value::last_part;

/// Flights under way in all spaces; a process with more has other troubles.
const MOST_FLIGHTS: usize = 25_000;

/// No flight holds its permit for longer.
const LONGEST_FLIGHT: Duration = Duration::from_secs(10 * 60);

/// What the spaces of one cache have in common.
pub(super) struct Core {
    pub(super) backing: Option<Arc<Backing>>,
    /// Where is counted: as for calls that are about the store itself, or in memory.
    pub(super) counters: Ledger,
    pub(super) marks: Arc<Marks>,
    /// The most bytes of all spaces in memory.
    memory: u64,
    pub(super) permits: Arc<Permits>,
    /// The tag of everything.
    pub(super) all: Fingerprint,
    rng: Lock<StdRng>,
    pub(super) overdue: Arc<OverdueList>,
    opened: Lock<BTreeMap<&'static str, Opened>>,
}

/// A space that was opened, whatever its types.
struct Opened {
    types: TypeId,
    version: u32,
    stock: Arc<dyn AnyStock>,
    /// How many of the calls that memory answered were added to the metrics.
    #[cfg(feature = "metrics")]
    published: u64,
}

/// A space's values, whatever their type.
pub(super) trait AnyStock: Any + Send + Sync {
    fn stats(&self) -> SpaceStats;
    fn longest(&self) -> Duration;
    fn settles_in(&self) -> Duration;
    /// How much memory it asks for.
    fn memory(&self) -> usize;
    fn resize(&self, bytes: u64);
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl Core {
    pub(super) fn new(backing: Option<Arc<Backing>>, counters: Ledger, memory: u64) -> Self {
        Self {
            backing,
            counters,
            marks: Arc::new(Marks::new(MOST_MARKS)),
            memory,
            permits: Arc::new(Permits::new(MOST_FLIGHTS, MOST_FLIGHTS, LONGEST_FLIGHT)),
            // A fixed text, which is never refused.
            all: Tag::all().digest().unwrap_or(Fingerprint::NONE),
            rng: Lock::new(rand::make_rng()),
            overdue: Arc::default(),
            opened: Lock::default(),
        }
    }

    /// The one stock of a space, which the first caller makes.
    pub(super) fn open<S: AnyStock>(
        &self,
        name: &'static str,
        version: u32,
        make: impl FnOnce() -> Arc<S>,
    ) -> Result<Arc<S>, BuildError> {
        let mut opened = self.opened.lock();
        let types = TypeId::of::<S>();
        let open = opened.entry(name).or_insert_with(|| Opened {
            types,
            version,
            stock: make(),
            #[cfg(feature = "metrics")]
            published: 0,
        });
        let is_same = open.types == types && open.version == version;
        let stock = Arc::clone(&open.stock).as_any().downcast();
        self.share_memory(&opened);
        match stock {
            Ok(stock) if is_same => Ok(stock),
            _ => Err(BuildError::out_of_range(
                "space",
                format!("{name:?}"),
                "of one version, with one type of key and of value",
            )),
        }
    }

    /// Where the spaces ask for more memory than there is, each has its share: one that fills up evicts its own copies.
    fn share_memory(&self, opened: &BTreeMap<&'static str, Opened>) {
        let asked = |open: &Opened| u128::try_from(open.stock.memory()).unwrap_or(u128::MAX);
        let all = opened.values().map(asked).fold(1, u128::saturating_add).max(u128::from(self.memory));
        for open in opened.values() {
            let share = asked(open).saturating_mul(u128::from(self.memory)).checked_div(all).unwrap_or(0);
            open.stock.resize(u64::try_from(share).unwrap_or(u64::MAX));
        }
    }

    /// How long the longest-lived value of any space is kept, where `lives` does not say longer.
    pub(super) fn longest(&self) -> Duration {
        self.of_all(AnyStock::longest)
    }

    /// How long a mark on a tag matters once the store confirmed.
    pub(super) fn settles_in(&self) -> Duration {
        self.of_all(AnyStock::settles_in)
    }

    fn of_all(&self, time: impl Fn(&dyn AnyStock) -> Duration) -> Duration {
        let opened = self.opened.lock();
        opened.values().map(|open| time(&*open.stock)).max().unwrap_or_default()
    }

    pub(super) fn stats(&self) -> CacheStats {
        let stocks: Vec<_> = self.opened.lock().iter().map(|(name, open)| (*name, Arc::clone(&open.stock))).collect();
        let mut stats = CacheStats::default();
        stats.spaces = stocks.into_iter().map(|(name, stock)| (name, stock.stats())).collect();
        stats
    }

    #[cfg(feature = "metrics")]
    pub(super) fn publish(&self) {
        for (name, stats) in self.stats().spaces {
            let mut opened = self.opened.lock();
            let Some(open) = opened.get_mut(name) else { continue };
            let new = stats.memory_hits.saturating_sub(open.published);
            open.published = stats.memory_hits;
            drop(opened);
            cache_published(name, new, stats.memory_bytes);
        }
    }

    /// A life that ends up to a tenth earlier, so that what was loaded together is not loaded anew together.
    pub(super) fn shortened(&self, life: Duration) -> Duration {
        let most = last_part(life);
        life.saturating_sub(self.rng.lock().random_range(Duration::ZERO..=most))
    }
}

partial_debug!(Core, self => backing: self.backing);
