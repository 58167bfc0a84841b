//! What a guarded call is: whose, which, under which key, with which claims, and whether it changes anything.

use std::sync::Arc;
use std::time::Duration;

use crate::accessors::{getters, partial_debug};
use crate::intent::fingerprint::Fingerprint;
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::key::IdempotencyKey;
use crate::intent::payment_intent::checked;
use crate::provider::ProviderIdentity;

/// A longer name would make the list of what is indeterminate too large for one record.
const MAX_NAME: usize = 100;

/// Whether a call changes anything at the provider, and what protects it from being sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// It changes nothing, so it may be sent again at any time.
    Read,
    /// It changes something.
    Write {
        /// How long the provider keeps the result under an idempotency key, counted from the first request with it.
        ///
        /// Within that time the call may be sent again under the same key. The call must then take
        /// [`provider_key`](crate::guard::EffectCall::provider_key) and send it on every attempt. `None`: the provider has no such
        /// keys, and the call is sent again only when the provider cannot have executed it.
        provider_key_kept_for: Option<Duration>,
    },
}

impl Effect {
    /// A write without a key that the provider keeps: it is sent again only where the provider cannot have executed it.
    #[must_use]
    pub const fn write() -> Self {
        Self::Write { provider_key_kept_for: None }
    }

    /// A write under a key that the provider keeps for this long: 24 h at Stripe.
    ///
    /// The call must take [`provider_key`](crate::guard::EffectCall::provider_key) before it sends anything, on every path. In one
    /// process that is checked; after a crash it cannot be known, and this declaration is believed.
    #[must_use]
    pub const fn keyed_write(kept_for: Duration) -> Self {
        Self::Write { provider_key_kept_for: Some(kept_for) }
    }

    pub(super) const fn is_write(self) -> bool {
        matches!(self, Self::Write { .. })
    }

    pub(super) const fn key_kept_for(self) -> Option<Duration> {
        match self {
            Self::Read => None,
            Self::Write { provider_key_kept_for } => provider_key_kept_for,
        }
    }

    const fn as_str(self) -> &'static str {
        if self.is_write() { "write" } else { "read" }
    }
}

/// One operation that happens once, however often it is asked for.
///
/// Tenant, name and key say which operation it is. The claims say what it does: the same operation with other claims is
/// refused as reused. A clone costs one counter.
///
/// ```
/// use std::time::Duration;
/// use payproof::guard::{Effect, Operation};
///
/// let kept_for = Duration::from_secs(24 * 60 * 60);
/// let refund = Operation::new("store_42", "refund", "order 6735, first refund", Effect::keyed_write(kept_for))?
///     .claim("payment", "pi_3MtwBw")?
///     .claim("amount", "19.99 USD")?;
/// # Ok::<(), payproof::InvalidIntent>(())
/// ```
#[derive(Clone)]
pub struct Operation(Arc<Described>);

#[derive(Clone)]
struct Described {
    tenant: Box<str>,
    name: Box<str>,
    key: IdempotencyKey,
    effect: Effect,
    /// Names, and digests of values: what they were is not needed later.
    claims: Vec<(Box<str>, Fingerprint)>,
}

impl Operation {
    /// Names an operation of a tenant.
    ///
    /// `name` says what is done (`capture`, `refund`); it is shown in logs. `key` tells this operation from the tenant's
    /// others of the same name; it is never shown.
    ///
    /// # Errors
    /// Names the field and the rule: the tenant must be 1 to 255 bytes and the name 1 to 100, without control characters or
    /// white space around it, the key 1 to 255 printable ASCII characters.
    pub fn new<K>(tenant: impl AsRef<str>, name: impl AsRef<str>, key: K, effect: Effect) -> Result<Self, InvalidIntent>
    where
        K: TryInto<IdempotencyKey>,
        K::Error: Into<InvalidIntent>,
    {
        let tenant = checked(Field::Tenant, tenant.as_ref())?.into();
        let name = named(Field::Operation, name.as_ref())?.into();
        let key = key.try_into().map_err(Into::into)?;
        Ok(Self(Arc::new(Described { tenant, name, key, effect, claims: Vec::new() })))
    }

    /// Adds a claim. The order of claims says nothing.
    ///
    /// # Errors
    /// Names the field `claim` when the name was given before, is empty, over 100 bytes, or has control characters or white
    /// space around it.
    pub fn claim(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Result<Self, InvalidIntent> {
        let name = named(Field::Claim, name.as_ref())?;
        if self.0.claims.iter().any(|(given, _)| **given == *name) {
            return Err(InvalidIntent::new(Field::Claim, "must have a name that no other claim has"));
        }
        let value = Fingerprint::of("claim", [Some(value.as_ref())]);
        Arc::make_mut(&mut self.0).claims.push((name.into(), value));
        Ok(self)
    }

    getters! {
        /// Whose operation it is.
        pub fn tenant(&self) -> &str => &self.0.tenant;

        /// What it does.
        pub fn name(&self) -> &str => &self.0.name;

        /// Whether it changes anything.
        pub fn effect(&self) -> Effect => self.0.effect;
    }

    /// Which operation it is, at this provider.
    pub(super) fn digest(&self, identity: &ProviderIdentity) -> Fingerprint {
        identity.fingerprint("operation", &[self.tenant(), self.name(), self.0.key.as_str()])
    }

    /// What it claims, in whatever order.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut claims: Vec<_> = self.0.claims.iter().collect();
        claims.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let head = [self.0.effect.as_str(), self.tenant(), self.name()].map(str::as_bytes);
        let claims = claims.into_iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes().as_slice()]);
        Fingerprint::of("operation claims", head.into_iter().chain(claims).map(Some))
    }
}

fn named(field: Field, name: &str) -> Result<&str, InvalidIntent> {
    if name.len() > MAX_NAME {
        return Err(InvalidIntent::new(field, "must have a name of at most 100 bytes"));
    }
    checked(field, name)
}

// Shows neither the key nor what is claimed.
partial_debug!(Operation, self => tenant: self.0.tenant, name: self.0.name, effect: self.0.effect);

#[cfg(test)]
mod tests {
    use super::*;

    fn operation() -> Operation {
        Operation::new("store_42", "refund", "k", Effect::write()).unwrap()
    }

    #[test]
    fn the_order_of_claims_says_nothing_and_everything_else_does() {
        let one = operation().claim("a", "1").unwrap().claim("b", "2").unwrap();
        let other = operation().claim("b", "2").unwrap().claim("a", "1").unwrap();
        assert_eq!(one.fingerprint(), other.fingerprint());
        for different in [
            operation().claim("a", "2").unwrap().claim("b", "1").unwrap(),
            operation().claim("a", "1").unwrap(),
            operation().claim("a1", "").unwrap().claim("b", "2").unwrap(),
            Operation::new("store_42", "refund", "k", Effect::Read).unwrap(),
        ] {
            assert_ne!(one.fingerprint(), different.fingerprint(), "{different:?}");
        }
        let keyed = Operation::new("store_42", "refund", "k", Effect::keyed_write(Duration::from_secs(1))).unwrap();
        assert_eq!(operation().fingerprint(), keyed.fingerprint(), "how it is protected is no claim");
    }

    #[test]
    fn tenant_name_and_key_tell_operations_apart_and_claims_do_not() {
        let provider = ProviderIdentity::new("p");
        let of = |tenant: &str, name: &str, key: &str| {
            Operation::new(tenant, name, key, Effect::write()).unwrap().digest(&provider)
        };
        let digests =
            [of("a", "bc", "d"), of("x", "bc", "d"), of("a", "x", "d"), of("a", "bc", "x"), of("ab", "c", "d")];
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest));
        }
        assert_eq!(operation().digest(&provider), operation().claim("a", "1").unwrap().digest(&provider));
        assert_ne!(operation().digest(&provider), operation().digest(&provider.with_account("other")));
    }

    #[test]
    fn what_is_malformed_is_refused_by_field() {
        let field = |made: Result<Operation, InvalidIntent>| made.unwrap_err().field();
        assert_eq!(field(Operation::new("", "refund", "k", Effect::Read)), Field::Tenant);
        assert_eq!(field(Operation::new("t", " refund", "k", Effect::Read)), Field::Operation);
        assert_eq!(field(Operation::new("t", "r".repeat(101), "k", Effect::Read)), Field::Operation);
        assert_eq!(field(Operation::new("t", "refund", "", Effect::Read)), Field::Key);
        assert_eq!(field(operation().claim("", "1")), Field::Claim);
        assert_eq!(field(operation().claim("a", "1").unwrap().claim("a", "1")), Field::Claim);
    }
}
