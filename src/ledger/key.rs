//! Where a record stands.

/// What a record is about, in its key, for people who look into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Facts of one payment.
    Facts,
    /// A caller's idempotency key.
    Key,
    /// A guarded operation.
    Operation,
    /// A request with an idempotency key.
    #[cfg(feature = "tower")]
    Request,
    /// The order that a payment pays.
    Payment,
    /// The payment that pays an order.
    Order,
    /// What has to be looked into.
    Unresolved,
    /// An event that the provider reported.
    #[cfg(feature = "webhook")]
    Event,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Facts => "facts",
            Self::Key => "key",
            Self::Operation => "operation",
            #[cfg(feature = "tower")]
            Self::Request => "request",
            Self::Payment => "payment",
            Self::Order => "order",
            Self::Unresolved => "unresolved",
            #[cfg(feature = "webhook")]
            Self::Event => "event",
        }
    }
}

/// Where a record stands: a hash, never what was hashed. The braces keep whatever belongs to one record in one slot of a
/// Cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(pub(super) Box<str>);
