//! Objects of a provider's that are no payments, such as a charge or a dispute, and the payments that they belong to.

use serde_json::Value;

use crate::accessors::getters;
use crate::intent::payment_intent::PaymentId;

/// An object that an event is about, as the event names it.
///
/// ```
/// use payproof::provider::RelatedObject;
///
/// let charge = RelatedObject::new("charge", "ch_1").expect("a plain id");
/// assert_eq!((charge.kind(), charge.id(), charge.context()), ("charge", "ch_1", None));
/// assert_eq!(RelatedObject::new("charge", "../ch_1"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelatedObject {
    kind: Box<str>,
    id: PaymentId,
    context: Option<Box<str>>,
}

impl RelatedObject {
    /// An object of this kind, in the provider's word for it. `None` where the id is not 1 to 255 of `A-Z a-z 0-9 _ -`, so
    /// that no id leads a URL elsewhere.
    #[must_use]
    pub fn new(kind: impl Into<Box<str>>, id: &str) -> Option<Self> {
        let id = PaymentId::parse_plain(id)?;
        Some(Self { kind: kind.into(), id, context: None })
    }

    /// The account that it is of, in the provider's words, where the event names one: Stripe's `context`.
    #[must_use]
    pub fn in_context(mut self, context: impl Into<Box<str>>) -> Self {
        self.context = Some(context.into());
        self
    }

    getters! {
        /// The provider's word for what it is: `charge`.
        pub fn kind(&self) -> &str => &self.kind;

        /// Its id, of `A-Z a-z 0-9 _ -` alone.
        pub fn id(&self) -> &str => self.id.as_str();

        /// The account that it is of, where the event names one.
        pub fn context(&self) -> Option<&str> => self.context.as_deref();
    }
}

/// What a provider answers about such an object.
#[derive(Clone, Debug, PartialEq)]
pub enum RelatedAnswer {
    /// It is there.
    Found {
        /// The payment that it belongs to; `None` where it belongs to none.
        payment: Option<PaymentId>,
        /// The object as it is now, as the provider writes it.
        object: Value,
    },
    /// The provider has no such object any more.
    Gone,
    /// The adapter does not look such objects up.
    Unsupported,
}
