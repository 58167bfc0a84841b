//! Tenants: whose values a cache keeps.

use std::fmt;
use std::sync::Arc;

use crate::accessors::getters;

/// Whose value it is. A type of its own, so that tenant and key cannot be taken for one another.
///
/// ```
/// use payproof::cache::{For, Tenant};
///
/// let store = Tenant::new("store_42");
/// let key = For::new(&store, "sku_1".to_owned());
/// assert_eq!((key.tenant().as_str(), key.key().as_str()), ("store_42", "sku_1"));
/// ```
///
/// ```compile_fail,E0308
/// use payproof::cache::For;
///
/// // The tenant is not text: this does not compile, whichever of the two it is.
/// let key = For::new("store_42", "sku_1".to_owned());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// A tenant by the id that the service knows it by. An empty one is refused where it is used.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self(id.as_ref().into())
    }

    getters! {
        /// The id.
        pub fn as_str(&self) -> &str => &self.0;
    }
}

// Ids of tenants stand in no log.
impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tenant(…)")
    }
}
