//! A store that fails as networks and servers do, around one that does not.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use super::pick;
use crate::accessors::getters;
use crate::lock::Lock;
use crate::store::extras::{BatchAnswer, CountLeft, Offer};
use crate::store::line::{Line, Listener};
use crate::store::{Claim, Durability, Extras, Inspection, RestartLoss, Store, StoreAnswer, StoreError, Stored, Swap};

/// What a [`FlakyStore`] does on one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// Nothing goes wrong: for a script such as "fail, answer, fail".
    None,
    /// The call is not made, and the error says so.
    NotSent,
    /// The call is not made, and the error says that it may have been.
    LostRequest,
    /// The call is made, and the error says that it may have been.
    LostReply,
    /// The call is not made, because the store refuses it.
    Refused,
    /// The call is made after this long, unless the caller leaves before.
    Slow(Duration),
    /// The call is made at once, and answered after this long.
    SlowReply(Duration),
    /// The call is made after this long even when the caller has left, as one that lies in a queue. Needs a runtime.
    Late(Duration),
    /// The call is not made, and there is no answer.
    Never,
    /// The call is made, and there is no answer.
    NeverReplies,
}

/// A verb of a [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreVerb {
    /// [`Store::get`], and a batch of reads, which counts as one call.
    Get,
    /// [`Store::claim`].
    Claim,
    /// [`Store::replace`].
    Replace,
    /// [`Store::remove`].
    Remove,
    /// [`Store::inspect`].
    Inspect,
    /// [`Store::restart_loss`].
    RestartLoss,
    /// [`Extras::add`].
    Add,
}

/// A store around another one, which fails on script or by chance.
///
/// What happens on a call is, in this order: the next step of the verb's own script, the next step of the script for every
/// verb, a fault drawn by chance, what always happens, nothing. Clones share everything. Time is tokio's, so it works on a
/// paused clock.
///
/// ```
/// use std::time::Duration;
///
/// use payproof::store::{MemoryStore, Store};
/// use payproof::testing::{FlakyStore, StoreFault, StoreVerb};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), payproof::store::StoreError> {
/// let store = FlakyStore::new(MemoryStore::new());
/// store.script(StoreVerb::Claim, [StoreFault::LostReply]);
///
/// let claim = store.claim("key", b"mine", Duration::from_secs(60)).await;
/// assert!(claim.is_err_and(|error| error.is_outcome_unknown()));
/// assert!(store.get("key").await?.is_some(), "it was made all the same");
/// assert_eq!(store.executed(StoreVerb::Claim), 1);
/// # Ok(())
/// # }
/// ```
pub struct FlakyStore<S> {
    store: Arc<S>,
    script: Arc<Lock<Script>>,
}

#[derive(Default)]
struct Script {
    verbs: BTreeMap<StoreVerb, VerbScript>,
    of_any: VecDeque<StoreFault>,
    chances: Option<Chances>,
    always: Option<StoreFault>,
    durability: Option<Durability>,
    restart_loss: Option<RestartLoss>,
}

/// The script of one verb, and what became of its calls.
#[derive(Default)]
struct VerbScript {
    steps: VecDeque<StoreFault>,
    calls: u64,
    executed: u64,
}

impl Script {
    fn of(&mut self, verb: StoreVerb) -> &mut VerbScript {
        self.verbs.entry(verb).or_default()
    }
}

struct Chances {
    rng: StdRng,
    faults: Vec<(StoreFault, f64)>,
}

impl Chances {
    fn draw(&mut self) -> Option<StoreFault> {
        pick(&self.faults, self.rng.random()).copied()
    }
}

impl<S: Store> FlakyStore<S> {
    /// A store that does what the other one does, until it is told otherwise.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store: Arc::new(store), script: Arc::default() }
    }
}

impl<S> FlakyStore<S> {
    /// What the next calls of this verb do, in order.
    pub fn script(&self, verb: StoreVerb, faults: impl IntoIterator<Item = StoreFault>) {
        self.script.lock().of(verb).steps.extend(faults);
    }

    /// What the next calls do, in order, whatever verb they are.
    pub fn script_any(&self, faults: impl IntoIterator<Item = StoreFault>) {
        self.script.lock().of_any.extend(faults);
    }

    /// Faults by chance, each with its probability, drawn from a generator with this seed. None takes them away.
    ///
    /// Once the chances add up to 1, those that come later never happen.
    pub fn by_chance(&self, seed: u64, faults: impl IntoIterator<Item = (StoreFault, f64)>) {
        let faults: Vec<_> = faults.into_iter().collect();
        let some = !faults.is_empty();
        self.script.lock().chances = some.then(|| Chances { rng: StdRng::seed_from_u64(seed), faults });
    }

    /// What every call does that nothing else is said about; `None` is healthy.
    pub fn always(&self, fault: Option<StoreFault>) {
        self.script.lock().always = fault;
    }

    /// Says this about durability, in place of what the other store says.
    pub fn pretend(&self, durability: Durability) {
        self.script.lock().durability = Some(durability);
    }

    /// Says that a restart loses this, in place of what the other store says.
    pub fn pretend_restart_loses(&self, loss: RestartLoss) {
        self.script.lock().restart_loss = Some(loss);
    }

    /// Calls of this verb that started.
    #[must_use]
    pub fn calls(&self, verb: StoreVerb) -> u64 {
        self.script.lock().of(verb).calls
    }

    /// Calls of this verb that reached the other store.
    #[must_use]
    pub fn executed(&self, verb: StoreVerb) -> u64 {
        self.script.lock().of(verb).executed
    }

    getters! {
        /// The other store, to look behind the scenes: a call to it is not counted, and does not fail on script.
        pub fn inner(&self) -> &S => &self.store;
    }

    fn next(&self, verb: StoreVerb) -> StoreFault {
        let mut script = self.script.lock();
        let own = script.of(verb);
        own.calls = own.calls.saturating_add(1);
        let scripted = own.steps.pop_front().or_else(|| script.of_any.pop_front());
        let drawn = scripted.or_else(|| script.chances.as_mut().and_then(Chances::draw));
        drawn.or(script.always).unwrap_or(StoreFault::None)
    }

    async fn run<T, F>(&self, verb: StoreVerb, call: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let fault = self.next(verb);
        let script = Arc::clone(&self.script);
        let execute = async move {
            {
                let mut script = script.lock();
                let own = script.of(verb);
                own.executed = own.executed.saturating_add(1);
            }
            call.await
        };
        match fault {
            StoreFault::None => execute.await,
            StoreFault::NotSent => Err(StoreError::not_sent("scripted: no connection")),
            StoreFault::LostRequest => Err(lost("request")),
            StoreFault::LostReply => execute.await.and(Err(lost("reply"))),
            StoreFault::Refused => Err(StoreError::refused("scripted: refused")),
            StoreFault::Slow(wait) => {
                sleep(wait).await;
                execute.await
            }
            StoreFault::SlowReply(wait) => {
                let answer = execute.await;
                sleep(wait).await;
                answer
            }
            StoreFault::Late(wait) => {
                let late = tokio::spawn(async move {
                    sleep(wait).await;
                    execute.await
                });
                late.await.unwrap_or_else(|_| Err(lost("call")))
            }
            StoreFault::Never => pending().await,
            StoreFault::NeverReplies => {
                // An answer is lost whatever it is.
                let _ = execute.await;
                pending().await
            }
        }
    }
}

fn lost(what: &str) -> StoreError {
    StoreError::outcome_unknown(format!("scripted: the {what} was lost"))
}

impl<S> Clone for FlakyStore<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), script: Arc::clone(&self.script) }
    }
}

impl<S: fmt::Debug> fmt::Debug for FlakyStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlakyStore").field("store", &self.store).finish_non_exhaustive()
    }
}

impl<S: Store> Store for FlakyStore<S> {
    async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        let (store, key) = (Arc::clone(&self.store), key.to_owned());
        self.run(StoreVerb::Get, async move { store.get(&key).await }).await
    }

    async fn claim(&self, key: &str, value: &[u8], ttl: Duration) -> Result<Claim, StoreError> {
        let (store, key, value) = (Arc::clone(&self.store), key.to_owned(), value.to_vec());
        self.run(StoreVerb::Claim, async move { store.claim(&key, &value, ttl).await }).await
    }

    async fn replace(&self, key: &str, expected: &[u8], value: &[u8], ttl: Duration) -> Result<Swap, StoreError> {
        let (store, key) = (Arc::clone(&self.store), key.to_owned());
        let (expected, value) = (expected.to_vec(), value.to_vec());
        self.run(StoreVerb::Replace, async move { store.replace(&key, &expected, &value, ttl).await }).await
    }

    async fn remove(&self, key: &str, expected: &[u8]) -> Result<Swap, StoreError> {
        let (store, key, expected) = (Arc::clone(&self.store), key.to_owned(), expected.to_vec());
        self.run(StoreVerb::Remove, async move { store.remove(&key, &expected).await }).await
    }

    fn durability(&self) -> Durability {
        let pretended = self.script.lock().durability;
        pretended.unwrap_or_else(|| self.store.durability())
    }

    async fn restart_loss(&self) -> Result<RestartLoss, StoreError> {
        let (store, pretended) = (Arc::clone(&self.store), self.script.lock().restart_loss);
        let said = async move {
            match pretended {
                Some(loss) => Ok(loss),
                None => store.restart_loss().await,
            }
        };
        self.run(StoreVerb::RestartLoss, said).await
    }

    async fn inspect(&self) -> Result<Inspection, StoreError> {
        let (store, pretended) = (Arc::clone(&self.store), self.script.lock().restart_loss);
        let seen = async move {
            let mut inspection = store.inspect().await?;
            inspection.restart_loss = pretended.unwrap_or(inspection.restart_loss);
            Ok(inspection)
        };
        self.run(StoreVerb::Inspect, seen).await
    }

    fn extras(&self) -> Extras {
        if self.store.extras().is_empty() { Extras::default() } else { Extras::of(self.clone()) }
    }
}

impl<S: Store> Offer for FlakyStore<S> {
    fn get_many<'s>(&'s self, keys: &'s [&'s str]) -> BatchAnswer<'s> {
        let store = Arc::clone(&self.store);
        let owned: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let reads = async move {
            let keys: Vec<&str> = owned.iter().map(String::as_str).collect();
            Ok(store.extras().batch(&*store, &keys).await)
        };
        Box::pin(async {
            let reads = self.run(StoreVerb::Get, reads).await;
            reads.unwrap_or_else(|error| vec![Err(error); keys.len()])
        })
    }

    fn try_key<'s>(&'s self, key: &'s str, look: &'s mut Inspection) -> StoreAnswer<'s, ()> {
        Box::pin(async { self.store.extras().try_key(key, look).await })
    }

    fn add<'s>(&'s self, key: &'s str, by: i64, ttl: Duration) -> StoreAnswer<'s, CountLeft> {
        let (store, key) = (Arc::clone(&self.store), key.to_owned());
        Box::pin(self.run(StoreVerb::Add, async move { store.extras().count(&*store, &key, by, ttl).await }))
    }

    /// The store's own: what it tells of changes meets no faults.
    fn line(&self, prefix: &str, listener: Weak<dyn Listener>) -> Option<Arc<dyn Line>> {
        self.store.extras().line(prefix, listener)
    }
}
