//! The callers' idempotency keys in this process, each bound to the claims it first came with.
//!
//! Keys are never evicted while they live: at the limit a new one is refused, since forgetting one would let it be reused.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Kind, ValidateError};
use crate::fingerprint::Fingerprint;
use crate::intent::PaymentIntent;

/// The keys of one validator.
#[derive(Debug)]
pub(crate) struct KeyRegister {
    keys: Mutex<Keys>,
    retention: Duration,
    limit: usize,
}

#[derive(Debug, Default)]
struct Keys {
    /// Whether the store knows it too.
    claims: HashMap<Fingerprint, (Fingerprint, bool)>,
    /// In the order of their end, since all live equally long.
    ends: VecDeque<(Instant, Fingerprint)>,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is bound to the same claims.
    Bound,
    /// It is bound to others.
    Reused,
    Unknown,
}

impl KeyRegister {
    pub(crate) fn new(retention: Duration, limit: usize) -> Self {
        Self { keys: Mutex::default(), retention, limit }
    }

    /// Keys held.
    pub(crate) fn len(&self) -> usize {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.drop_over(Instant::now());
        keys.claims.len()
    }

    /// The most that may be held.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// What this process knows of a key.
    pub(crate) fn standing(&self, key: &Fingerprint, intent: &PaymentIntent) -> Standing {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.drop_over(Instant::now());
        keys.standing(key, intent)
    }

    /// Binds a key to the claims of its intent.
    ///
    /// # Errors
    /// When the key is bound to other claims, or as many keys as allowed are held.
    pub(crate) fn bind(&self, key: Fingerprint, intent: &PaymentIntent, known: bool) -> Result<(), ValidateError> {
        let now = Instant::now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.drop_over(now);
        match keys.standing(&key, intent) {
            Standing::Bound => return Ok(()),
            Standing::Reused => return Err(ValidateError::new(Kind::KeyReused)),
            Standing::Unknown => {}
        }
        if let Some((_, in_store)) = keys.claims.get_mut(&key) {
            *in_store = known;
            return Ok(());
        }
        let Keys { claims, ends } = &mut *keys;
        if claims.len() >= self.limit {
            let (what, setting) = ("idempotency keys", "max_keys");
            let kind = Kind::Full { what, setting, limit: self.limit };
            let wait = ends.front().map(|(end, _)| end.saturating_duration_since(now));
            return Err(ValidateError::after_attempts(kind, wait, Vec::new()));
        }
        claims.insert(key, (*intent.fingerprint(), known));
        if let Some(end) = now.checked_add(self.retention) {
            ends.push_back((end, key));
        }
        Ok(())
    }
}

impl Keys {
    fn drop_over(&mut self, now: Instant) {
        while let Some((_, over)) = self.ends.front().filter(|(end, _)| *end <= now) {
            self.claims.remove(over);
            self.ends.pop_front();
        }
    }

    fn standing(&self, key: &Fingerprint, intent: &PaymentIntent) -> Standing {
        match self.claims.get(key) {
            Some((first, true)) if first == intent.fingerprint() => Standing::Bound,
            Some((first, false)) if first == intent.fingerprint() => Standing::Unknown,
            Some(_) => Standing::Reused,
            None => Standing::Unknown,
        }
    }
}
