//! What a checkout claims about a payment.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock, OnceLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::accessors::{display_as_str, getters, partial_debug};
use crate::intent::fingerprint::Fingerprint;
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::key::IdempotencyKey;
use crate::intent::money::Money;

/// The longest id, tenant, order or customer, in bytes. Stripe's ids have at most 255 characters.
const MAX_LEN: usize = 255;

/// What an adapter may accept in ids besides. None of it ends a URL's path or begins an escape in it.
const WIDER: &[u8] = b".~:@+=/";

/// What Stripe's credentials start with; put into the place of an id they would end up in URLs and logs.
const CREDENTIALS: [&str; 4] = ["sk_", "rk_", "pk_", "whsec_"];

/// A payment's id at its provider: 1 to 255 of `A-Z a-z 0-9 _ - . ~ : @ + = /`.
///
/// It cannot lead a URL's path anywhere else: no part between its slashes is empty, `.` or `..`. A client secret is refused.
/// Before anything is asked, the provider [checks](crate::provider::Provider::check) whether it can be one of its own, which
/// unless an adapter says otherwise is one of `A-Z a-z 0-9 _ -` alone.
#[derive(Clone, PartialEq, Eq)]
#[repr(C)]
pub struct PaymentId {
    /// See [`position_of`].
    position: u64,
    text: Arc<str>,
}

impl PaymentId {
    /// Parses an id.
    ///
    /// # Errors
    /// Names the field `payment_id` when the text is empty, too long, has other characters, leads elsewhere as a path, or is a
    /// client secret.
    pub fn parse(id: impl AsRef<str>) -> Result<Self, InvalidIntent> {
        let id = id.as_ref();
        let wrong = |rule: &'static str| Err(InvalidIntent::new(Field::PaymentId, rule));
        match id.len() {
            0 => wrong("must not be empty"),
            len if len > MAX_LEN => wrong("must have at most 255 characters"),
            _ if id.contains("_secret_") => {
                wrong("is a client secret; pass the payment intent's id, the part before `_secret_`")
            }
            _ if CREDENTIALS.iter().any(|prefix| id.starts_with(prefix)) => {
                wrong("is an API key or a webhook secret; pass the payment intent's id")
            }
            _ if !id.bytes().all(|byte| is_plain(byte) || WIDER.contains(&byte)) => {
                wrong("must consist of A-Z, a-z, 0-9 and `_ - . ~ : @ + = /`")
            }
            _ if id.contains("..") || id.split('/').any(|part| matches!(part, "" | ".")) => {
                wrong("must not lead elsewhere as a path: no `..`, no `//`, and no `/` at its beginning or end")
            }
            _ => Ok(Self { position: position_of(id.as_bytes()), text: id.into() }),
        }
    }

    /// An id of `A-Z a-z 0-9 _ -` alone, which is one part of a URL's path.
    pub(crate) fn parse_plain(id: &str) -> Option<Self> {
        Self::parse(id).ok().filter(Self::is_plain)
    }

    getters! {
        /// Where the payment stands in tables. Equality is decided on the id itself.
        pub(crate) fn position(&self) -> u64 => self.position;

        /// The id as text.
        pub fn as_str(&self) -> &str => &self.text;

        /// Whether it consists of `A-Z a-z 0-9 _ -` alone, as ids of most providers do.
        pub fn is_plain(&self) -> bool => self.text.bytes().all(is_plain);
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// By its position, which is hashed already.
impl Hash for PaymentId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.position);
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

display_as_str!(PaymentId);

/// As its text; what is no id is refused.
impl Serialize for PaymentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for PaymentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Cow::<str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What the checkout claims: tenant, payment, money, and perhaps order, customer and key.
///
/// A clone costs one counter. The digest of the claims is computed by the first validation, and clones share it.
#[derive(Clone)]
pub struct PaymentIntent(Arc<Claims>);

/// What a hit reads comes first and stands together: 64 bytes behind the counters. Small, since a checkout may hold many.
#[derive(Clone)]
#[repr(C)]
struct Claims {
    key: Option<IdempotencyKey>,
    /// Computed when it is first asked for: each step of the builder would compute it anew.
    fingerprint: OnceLock<Fingerprint>,
    payment: PaymentId,
    money: Money,
    texts: Texts,
}

/// Tenant, order and customer in one piece. None of them is ever empty, so an empty one is absent.
#[derive(Clone)]
struct Texts {
    all: Box<str>,
    order_at: u16,
    customer_at: u16,
}

impl Texts {
    fn new(tenant: &str, order: Option<&str>, customer: Option<&str>) -> Self {
        let (order, customer) = (order.unwrap_or_default(), customer.unwrap_or_default());
        // Each has at most 255 bytes, so the borders fit.
        let border = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        let (order_at, customer_at) = (border(tenant.len()), border(tenant.len().saturating_add(order.len())));
        Self { all: [tenant, order, customer].concat().into(), order_at, customer_at }
    }

    fn part(&self, range: impl std::slice::SliceIndex<str, Output = str>) -> Option<&str> {
        self.all.get(range).filter(|part| !part.is_empty())
    }

    fn tenant(&self) -> &str {
        self.part(..usize::from(self.order_at)).unwrap_or_default()
    }

    fn order(&self) -> Option<&str> {
        self.part(usize::from(self.order_at)..usize::from(self.customer_at))
    }

    fn customer(&self) -> Option<&str> {
        self.part(usize::from(self.customer_at)..)
    }
}

impl Claims {
    fn digest(&self) -> Fingerprint {
        let (digits, scale) = self.money.decimal();
        Fingerprint::of(
            "claims",
            [
                Some(self.texts.tenant().as_bytes()),
                Some(self.payment.as_str().as_bytes()),
                Some(&digits.to_be_bytes()),
                Some(&[scale]),
                Some(self.money.currency().as_str().as_bytes()),
                self.texts.order().map(str::as_bytes),
                self.texts.customer().map(str::as_bytes),
            ],
        )
    }
}

impl PaymentIntent {
    /// Claims that `payment` pays `money` to `tenant`.
    ///
    /// The id may also be of what [stands for a payment](crate::provider::Provider::is_alias), as a Checkout session of Stripe's
    /// does.
    ///
    /// # Errors
    /// Names the field and the rule: the tenant and the payment id must be 1 to 255 bytes without control
    /// characters or white space around it, the id of a narrow alphabet and no client secret, the amount more than zero.
    pub fn new(tenant: impl AsRef<str>, payment: impl AsRef<str>, money: Money) -> Result<Self, InvalidIntent> {
        let tenant = checked(Field::Tenant, tenant.as_ref())?;
        let payment = PaymentId::parse(payment)?;
        if money.is_zero() {
            return Err(InvalidIntent::new(Field::Amount, "must be more than zero"));
        }
        let (key, fingerprint, texts) = (None, OnceLock::new(), Texts::new(tenant, None, None));
        Ok(Self(Arc::new(Claims { key, fingerprint, payment, money, texts })))
    }

    /// Claims that the payment is for this order.
    ///
    /// # Errors
    /// Names the field `order` when the text is empty, over 255 bytes, or has control characters or white space around it.
    pub fn with_order(mut self, order: impl AsRef<str>) -> Result<Self, InvalidIntent> {
        let claims = Arc::make_mut(&mut self.0);
        let order = checked(Field::Order, order.as_ref())?;
        claims.texts = Texts::new(claims.texts.tenant(), Some(order), claims.texts.customer());
        claims.fingerprint = OnceLock::new();
        Ok(self)
    }

    /// Claims that this customer, by the provider's id, paid.
    ///
    /// # Errors
    /// Names the field `customer` when the text is empty, over 255 bytes, or has control characters or white space around it.
    pub fn with_customer(mut self, customer: impl AsRef<str>) -> Result<Self, InvalidIntent> {
        let claims = Arc::make_mut(&mut self.0);
        let customer = checked(Field::Customer, customer.as_ref())?;
        claims.texts = Texts::new(claims.texts.tenant(), claims.texts.order(), Some(customer));
        claims.fingerprint = OnceLock::new();
        Ok(self)
    }

    /// Adds the caller's idempotency key; the same key with other claims is refused as reused.
    #[must_use]
    pub fn with_key(mut self, key: IdempotencyKey) -> Self {
        Arc::make_mut(&mut self.0).key = Some(key);
        self
    }

    getters! {
        /// The tenant.
        pub fn tenant(&self) -> &str => self.0.texts.tenant();

        /// The payment's id.
        pub fn payment(&self) -> &PaymentId => &self.0.payment;

        /// The amount and currency.
        pub fn money(&self) -> Money => self.0.money;

        /// The order, if one is claimed.
        pub fn order(&self) -> Option<&str> => self.0.texts.order();

        /// The customer, if one is claimed.
        pub fn customer(&self) -> Option<&str> => self.0.texts.customer();

        pub(crate) fn key(&self) -> Option<&IdempotencyKey> => self.0.key.as_ref();

        /// Covers every claim and no key.
        pub(crate) fn fingerprint(&self) -> &Fingerprint => self.0.fingerprint.get_or_init(|| self.0.digest());
    }
}

/// Keyed per process, so that no client can choose ids that meet in one place of a table.
static POSITIONS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

#[cfg(test)]
impl PaymentId {
    /// As if the two met in one place.
    pub(crate) fn at_position_of(mut self, other: &Self) -> Self {
        self.position = other.position;
        self
    }
}

/// Where a payment stands in tables, from its id alone. Never equality.
pub(crate) fn position_of(id: &[u8]) -> u64 {
    POSITIONS.hash_one(id)
}

/// A text that may stand in a claim.
pub(crate) fn checked(field: Field, text: &str) -> Result<&str, InvalidIntent> {
    match text.len() {
        0 => Err(InvalidIntent::new(field, "must not be empty")),
        len if len > MAX_LEN => Err(InvalidIntent::new(field, "must have at most 255 bytes")),
        _ if text.trim() != text => Err(InvalidIntent::new(field, "must not start or end with white space")),
        _ if text.chars().any(char::is_control) => Err(InvalidIntent::new(field, "must not have control characters")),
        _ => Ok(text),
    }
}

impl From<&Self> for PaymentIntent {
    fn from(intent: &Self) -> Self {
        intent.clone()
    }
}

// Shows neither the customer nor the key.
partial_debug!(PaymentIntent, self =>
    tenant: self.tenant(), payment: self.0.payment, money: self.0.money, order: self.order()
);
