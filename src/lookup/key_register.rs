//! The callers' idempotency keys in this process, each bound to the claims it first came with.
//!
//! Keys are never evicted while they live: at the limit a new one is refused, since forgetting one would let it be reused.

use std::collections::{HashMap, VecDeque};
use std::sync::MutexGuard;
use std::time::Duration;

use tokio::time::Instant;

use crate::accessors::getters;
use crate::call::error::{CallError, Cause};
use crate::call::shares::{Full, Holder, Shares};
use crate::intent::fingerprint::Fingerprint;
use crate::intent::payment_intent::PaymentIntent;
use crate::lock::Lock;
use crate::lookup::error::ValidateError;

/// So many keys are looked at for the next one whose end makes room. Every validation with a key takes the same lock, so a
/// tenant at its share must not make each refusal cost a look at all keys; past this many, no wait is told.
const LOOKED_AT: usize = 1_000;

/// The keys of one validator.
#[derive(Debug)]
pub(crate) struct KeyRegister {
    keys: Lock<Keys>,
    retention: Duration,
    limit: usize,
}

#[derive(Debug)]
struct Keys {
    shares: Shares,
    /// Whether the store knows it too.
    claims: HashMap<Fingerprint, (Fingerprint, bool)>,
    /// In the order of their end, since all live equally long.
    ends: VecDeque<(Instant, Fingerprint, Holder)>,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It is bound to the same claims.
    Bound,
    /// It is bound to others.
    Reused,
    Unknown,
}

impl KeyRegister {
    /// `share` is the most that one tenant may hold.
    pub(crate) fn new(retention: Duration, limit: usize, share: usize) -> Self {
        let keys = Keys { shares: Shares::new(limit, share), claims: HashMap::new(), ends: VecDeque::new() };
        Self { keys: Lock::new(keys), retention, limit }
    }

    getters! {
        /// Keys held.
        pub(crate) fn len(&self) -> usize => self.held(Instant::now()).claims.len();

        /// The most that may be held.
        pub(crate) fn limit(&self) -> usize => self.limit;
    }

    /// The keys without those whose time is over.
    fn held(&self, now: Instant) -> MutexGuard<'_, Keys> {
        let mut keys = self.keys.lock();
        keys.drop_over(now);
        keys
    }

    /// What this process knows of a key.
    pub(crate) fn standing(&self, key: &Fingerprint, intent: &PaymentIntent) -> KeyState {
        self.held(Instant::now()).standing(key, intent)
    }

    /// Binds a key to the claims of its intent.
    ///
    /// # Errors
    /// When the key is bound to other claims, or as many keys as allowed are held, by its tenant or in all.
    pub(crate) fn bind(&self, key: Fingerprint, intent: &PaymentIntent, known: bool) -> Result<(), ValidateError> {
        let now = Instant::now();
        let mut keys = self.held(now);
        match keys.standing(&key, intent) {
            KeyState::Bound => return Ok(()),
            KeyState::Reused => return Err(ValidateError::key_reused()),
            KeyState::Unknown => {}
        }
        if let Some((_, in_store)) = keys.claims.get_mut(&key) {
            *in_store = known;
            return Ok(());
        }
        let Keys { shares, claims, ends } = &mut *keys;
        let holder = shares.take(intent.tenant()).map_err(|full| {
            let (what, setting, limit) = match full {
                Full::Whole => ("idempotency keys", "max_keys", shares.whole()),
                Full::Share => ("idempotency keys of this tenant", "max_keys_per_tenant", shares.share()),
            };
            let makes_room = |tenant: &str| full == Full::Whole || tenant == intent.tenant();
            let first = ends.iter().take(LOOKED_AT).find(|(_, _, holder)| makes_room(holder.tenant()));
            let wait = first.map(|(end, ..)| end.saturating_duration_since(now));
            CallError::after_attempts(Cause::Full { what, setting, limit }, wait, Vec::new())
        })?;
        claims.insert(key, (*intent.fingerprint(), known));
        if let Some(end) = now.checked_add(self.retention) {
            ends.push_back((end, key, holder));
        }
        Ok(())
    }
}

impl Keys {
    fn drop_over(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(end, ..)| *end <= now) {
            let Some((_, over, holder)) = self.ends.pop_front() else { return };
            self.claims.remove(&over);
            self.shares.give_back(&holder);
        }
    }

    fn standing(&self, key: &Fingerprint, intent: &PaymentIntent) -> KeyState {
        match self.claims.get(key) {
            Some((first, true)) if first == intent.fingerprint() => KeyState::Bound,
            Some((first, false)) if first == intent.fingerprint() => KeyState::Unknown,
            Some(_) => KeyState::Reused,
            None => KeyState::Unknown,
        }
    }
}
