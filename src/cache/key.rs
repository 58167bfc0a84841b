//! What a value is kept under: the caller's own key type, the tenant it belongs to, and the tags that its key says.

use std::hash::Hash;
use std::sync::Arc;

use crate::accessors::partial_debug;

use super::error::CacheError;
use super::tag::Tags;
use super::tenant::Tenant;

/// The most bytes of all parts of a key together.
const MOST_BYTES: usize = 4 * 1024;

/// What stands in the place of a part's length where there is no part.
const ABSENT: u64 = u64::MAX;

/// A key of a space. Given for text, integers, tuples of up to four of them, and [`For`].
///
/// Implement it for a key type of your own by naming its parts, always in the same order and number for one variant:
///
/// ```
/// use payproof::cache::{CacheKey, KeyParts, Tags};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct PageOfOrders {
///     customer: u64,
///     page: u32,
/// }
///
/// impl CacheKey for PageOfOrders {
///     fn parts(&self, parts: &mut KeyParts) {
///         parts.number(self.customer).number(self.page);
///     }
///
///     // All pages of one customer can be invalidated at once.
///     fn tags(&self, tags: &mut Tags) {
///         tags.add("customer", self.customer);
///     }
/// }
/// ```
pub trait CacheKey: Clone + Eq + Hash + Send + Sync + 'static {
    /// Names what tells this key from every other of its type. What is equal must name equal parts.
    fn parts(&self, parts: &mut KeyParts);

    /// Names what its entry can be invalidated by beside the key itself. By default nothing.
    ///
    /// Each tag is a record in the store that is read together with the entry: tag by what is invalidated, not by what could be.
    fn tags(&self, tags: &mut Tags) {
        let _ = tags;
    }
}

/// The parts of a key, which are hashed with their borders: ("ab", "c") and ("a", "bc") differ.
#[derive(Default)]
pub struct KeyParts(Vec<u8>);

impl KeyParts {
    fn push(&mut self, part: &[u8]) -> &mut Self {
        self.0.extend(u64::try_from(part.len()).unwrap_or(ABSENT).to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.push(text.as_bytes())
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.push(bytes)
    }

    /// Adds a number, as the text of its decimal digits.
    pub fn number(&mut self, number: impl Into<i128>) -> &mut Self {
        self.push(number.into().to_string().as_bytes())
    }

    /// Adds that a part is not there, which no text and no number equals.
    pub fn absent(&mut self) -> &mut Self {
        self.0.extend(ABSENT.to_be_bytes());
        self
    }

    /// The parts of a key, in one piece.
    pub(super) fn of(key: &impl CacheKey) -> Result<Self, CacheError> {
        let mut parts = Self::default();
        key.parts(&mut parts);
        parts.checked()
    }

    pub(super) fn checked(self) -> Result<Self, CacheError> {
        if (1..=MOST_BYTES).contains(&self.0.len()) {
            return Ok(self);
        }
        Err(CacheError::InvalidKey { rule: "must name at least one part, and at most 4 KiB in all" })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

// Shows how much there is, and not what.
partial_debug!(KeyParts, self => len: self.0.len());

/// A tenant's key: what belongs to one tenant is never found by another. Its entries have the tenant's [`Tag`](super::Tag).
///
/// ```compile_fail,E0308
/// # use payproof::cache::{CacheError, For, Hit, Loads, Space, ttl};
/// const PRICES: Space<For<String>, u64> = Space::per_tenant("price", ttl::MEDIUM);
///
/// # async fn price(prices: &Loads<For<String>, u64>) -> Result<Hit<u64>, CacheError> {
/// prices.get(&"sku_1".to_owned()).await // a key without its tenant
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct For<K> {
    tenant: Tenant,
    key: K,
}

impl<K> For<K> {
    /// A key of this tenant.
    pub fn new(tenant: &Tenant, key: K) -> Self {
        Self { tenant: tenant.clone(), key }
    }

    /// Whose key it is.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The key beside its tenant.
    pub fn key(&self) -> &K {
        &self.key
    }
}

impl<K: CacheKey> CacheKey for For<K> {
    fn parts(&self, parts: &mut KeyParts) {
        parts.text(self.tenant.as_str());
        self.key.parts(parts);
    }

    fn tags(&self, tags: &mut Tags) {
        tags.tenant(&self.tenant);
        self.key.tags(tags);
    }
}

macro_rules! text_keys {
    ($($text:ty),+) => {
        $(impl CacheKey for $text {
            fn parts(&self, parts: &mut KeyParts) {
                parts.text(self);
            }
        })+
    };
}

text_keys!(String, &'static str, Box<str>, Arc<str>);

macro_rules! number_keys {
    ($($number:ty),+) => {
        $(impl CacheKey for $number {
            fn parts(&self, parts: &mut KeyParts) {
                parts.number(*self);
            }
        })+
    };
}

number_keys!(u8, u16, u32, u64, i8, i16, i32, i64, bool);

macro_rules! tuple_keys {
    ($($name:ident)+) => {
        impl<$($name: CacheKey),+> CacheKey for ($($name,)+) {
            #[allow(non_snake_case, reason = "each variable is named after its type")]
            fn parts(&self, parts: &mut KeyParts) {
                let ($($name,)+) = self;
                $($name.parts(parts);)+
            }

            #[allow(non_snake_case, reason = "each variable is named after its type")]
            fn tags(&self, tags: &mut Tags) {
                let ($($name,)+) = self;
                $($name.tags(tags);)+
            }
        }
    };
}

tuple_keys!(A B);
tuple_keys!(A B C);
tuple_keys!(A B C D);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Tag;

    fn of(key: &impl CacheKey) -> Vec<u8> {
        KeyParts::of(key).unwrap().0
    }

    #[test]
    fn parts_keep_their_borders() {
        assert_ne!(of(&("ab", "c")), of(&("a", "bc")));
        assert_ne!(of(&("", "a")), of(&("a", "")));
        assert_eq!(of(&7_u8), of(&"7"), "a number is the text of its digits");
        let (mut absent, mut empty) = (KeyParts::default(), KeyParts::default());
        absent.absent();
        empty.text("");
        assert_ne!(absent.0, empty.0);
    }

    #[test]
    fn a_key_without_parts_or_with_too_many_bytes_is_refused() {
        assert!(KeyParts::of(&"x".repeat(4_000)).is_ok());
        assert!(KeyParts::of(&"x".repeat(5_000)).is_err());
        assert!(KeyParts::default().checked().is_err());
    }

    #[test]
    fn a_tenants_key_has_the_tag_of_its_tenant_once() {
        let tenant = Tenant::new("store_42");
        let mut tags = Tags::default();
        (For::new(&tenant, 1_u8), For::new(&tenant, 2_u8)).tags(&mut tags);
        assert_eq!(tags.digests().unwrap(), [Tag::tenant(&tenant).digest().unwrap()]);
    }
}
