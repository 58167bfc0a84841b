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
    },
    /// A claim that only one of several can get: NX, an INSERT into a unique column, a compare-and-swap.
    Claim(Claimed),
    /// A record of the answer was written.
    Store {
        /// Whether its key derives from the tenant or session.
        tenant: bool,
    },
    /// It is established who asks; the request ends here otherwise, or the answer depends on it.
    Session,
    /// It is looked at whether the caller is staff.
    Staff,
    /// The request is compared with the recorded one.
    Fingerprint,
    /// The provider was asked for a payment.
    ProviderRead {
        /// What was called.
        call: String,
    },
    /// The provider was told to do something.
    ProviderWrite(ProviderCall),
    /// Something was written.
    Write(Effect),
    /// A signature was verified; the request ends here if it is wrong.
    Verify {
        /// Whether it is done wherever the service runs, and not in production only.
        everywhere: bool,
        /// Whether it was given a parsed or re-serialized body.
        parsed: bool,
    },
    /// A payment's status was compared.
    PaidCompared,
    /// A payment's amount or currency was compared.
    AmountCompared,
    /// The request ends here, depending on what is stored already.
    StoredGuard,
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

/// A claim.
#[allow(clippy::struct_excessive_bools, reason = "each says one thing that a rule asks for")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claimed {
    /// Whether it is of the idempotency key.
    pub key: bool,
    /// Whether it is of a webhook event's id.
    pub event: bool,
    /// Whether the key derives from the tenant or session.
    pub tenant: bool,
    /// Whether that it is unique was seen, and not only assumed.
    pub proven: bool,
}

/// What the provider is told.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProviderCall {
    /// What was called: `stripe.paymentIntents.create`.
    pub call: String,
    /// Whether money moves, or the customer is asked for some.
    pub money: bool,
    /// Whether a repetition would act again: confirming and capturing do not.
    pub repeats: bool,
    /// Its idempotency key.
    pub key: ProviderKey,
    /// An amount or currency that comes from the request.
    pub amount: Option<RequestAmount>,
}

/// The idempotency key of what the provider is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ProviderKey {
    /// The provider has no such option for it.
    #[default]
    NotOffered,
    /// It is there.
    Given,
    /// It is not there.
    Missing,
    /// It is new each time.
    Volatile,
    /// The options are not known: the call they come from.
    Unknown(String),
}

/// An amount or currency that comes from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAmount {
    /// The field: `amount`.
    pub field: String,
    /// The places of the request: `body.total`.
    pub places: Vec<String>,
    /// Whether every operand is the request's.
    pub whole: bool,
    /// A call that was not followed and that may have settled it.
    pub unfollowed: Option<String>,
}

/// An effect.
#[allow(clippy::struct_excessive_bools, reason = "each says one thing that a rule asks for")]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effect {
    /// What was called: `prisma.order.create`.
    pub call: String,
    /// What is written: `order`.
    pub model: String,
    /// Whether it happens once more if it is repeated: an insert, a sum.
    pub repeats: bool,
    /// Whether money, an order or stock changes by a repetition.
    pub valuable: bool,
    /// Whether it is an order or a payment.
    pub order: bool,
    /// Whether a balance changes, from which something may be paid.
    pub balance: bool,
    /// Whether it is mail or the like.
    pub mail: bool,
    /// Whether it writes that something is paid.
    pub marks_paid: bool,
    /// A payment's id, or its state, that comes from the request and is written or decides what is written.
    pub payment_from_request: Option<String>,
}

/// An answer.
#[allow(clippy::struct_excessive_bools, reason = "each says one thing that a rule asks for")]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answered {
    /// Its status, if it is known.
    pub status: Option<u16>,
    /// Whether it is JSON.
    pub json: bool,
    /// The names at its root.
    pub root: Vec<String>,
    /// Whether it may hold more than is known.
    pub open: bool,
    /// Whether it has an error.
    pub error: bool,
    /// Whether the error is an object.
    pub error_object: Option<bool>,
    /// A flag of success at any depth.
    pub success: Option<String>,
    /// Whether what it holds is from a [`EventKind::Lookup`].
    pub replayed: bool,
}
