//! What a handler does, in the order of evaluation.

use super::Span;

/// One thing a handler does, directly or through a function it calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// In which file.
    pub file: String,
    /// Where in it.
    pub span: Span,
    /// The branches it lies in, the outermost first: the number of the branching, and which arm. An event comes before another
    /// one for sure if it is earlier and its branches begin the other one's.
    pub branches: Vec<(u32, u32)>,
    /// The calls that led here, the outermost first: file and place of each.
    pub trail: Vec<(String, Span)>,
    /// Whether it lies in a loop, a retried closure or a recursion.
    pub repeated: bool,
}

impl Event {
    /// Whether this always happened where `later` happens, given that it stands earlier in the list.
    #[must_use]
    pub fn dominates(&self, later: &Self) -> bool {
        later.branches.starts_with(&self.branches)
    }
}

/// What kind of thing a handler does, and with what.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// The idempotency key was read.
    KeyRead,
    /// Without the key the request ends here.
    KeyRequired,
    /// A layer or function of payproof, or another library's for idempotent endpoints, stands around.
    Guarded,
    /// A record of an earlier answer was looked for.
    Lookup {
        /// Whether its key derives from the tenant or session.
        tenant: bool,
        /// Whether its key derives from the idempotency key.
        key: bool,
    },
    /// A record of the answer was written.
    Store {
        /// Whether its key derives from the tenant or session.
        tenant: bool,
        /// Whether its key derives from the idempotency key.
        key: bool,
    },
    /// A claim that only one of several can get: NX, an INSERT into a unique column, a compare-and-swap.
    Claim {
        /// Whether it is of the idempotency key.
        key: bool,
        /// Whether it is of a webhook event's id.
        event: bool,
        /// Whether the key derives from the tenant or session.
        tenant: bool,
        /// Whether that it is unique was seen, and not only assumed.
        proven: bool,
    },
    /// It is established who asks; the request ends here otherwise, or the answer depends on it.
    Session,
    /// It is known for which tenant.
    Tenant,
    /// The request is compared with the recorded one.
    Fingerprint,
    /// The provider was asked for a payment.
    ProviderRead {
        /// What was called.
        call: String,
        /// Whether the payment's id is the request's.
        from_request: bool,
    },
    /// The provider was told to do something.
    ProviderWrite(Effect),
    /// Something was written.
    Write(Effect),
    /// A signature was verified.
    Verify {
        /// Whether the request ends here if it is wrong.
        checked: bool,
        /// Whether it was given a parsed or re-serialized body.
        parsed: bool,
    },
    /// The body was parsed, before anything could see its bytes.
    Parsed,
    /// A payment's status was compared.
    PaidCompared,
    /// A payment's amount or currency was compared with what is stored.
    AmountCompared,
    /// An answer.
    Answer(Answered),
    /// A call that was not followed, since it leaves the tree or is dynamic.
    Unfollowed {
        /// As it is written: `protect`, `auth.require`.
        name: String,
        /// Whether it was given the request or the handler.
        sees_request: bool,
    },
}

/// An effect.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effect {
    /// What was called: `stripe.paymentIntents.create`, `prisma.order.create`.
    pub call: String,
    /// Whether money, an order or stock changes.
    pub valuable: bool,
    /// Whether it is mail or the like.
    pub mail: bool,
    /// Whether it writes that something is paid, or makes an order of a payment.
    pub marks_paid: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answered {
    /// Its status, if it is known.
    pub status: Option<u16>,
    /// Whether it is JSON of a known shape.
    pub json: bool,
    /// The names at its root.
    pub root: Vec<String>,
    /// Whether what it holds is from a [`EventKind::Lookup`].
    pub replayed: bool,
}
