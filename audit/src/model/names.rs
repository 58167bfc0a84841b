//! Names of helpers that a configuration adds to the built-in ones.

/// Names of helpers that a configuration adds to the built-in ones. A name is a function's, or `object.function`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Establish who asks.
    pub session: Vec<String>,
    /// Tell the tenant.
    pub tenant: Vec<String>,
    /// Read the idempotency key, or claim it.
    pub key: Vec<String>,
    /// Whether answers are held to the envelope: `None` if most of the tree's answers decide.
    pub envelope: Option<bool>,
    /// Whether DELETE needs a key too.
    pub delete: bool,
}
