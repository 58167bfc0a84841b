//! What happened on each attempt, and why.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use crate::accessors::{getters, named};
use crate::payment::request_ids::RequestIds;

named! {
    /// How far a call got before it ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Reach {
        /// The provider cannot have seen the request.
        NotSent = "not_sent",
        /// The request may have reached the provider; no complete answer came back.
        MaybeSent = "maybe_sent",
        /// The provider answered.
        Answered = "answered",
    } as_str(self: Self)
}

named! {
    /// The rule that decided whether a failed attempt may be tried again.
    ///
    /// Rules are asked in this order; the first that knows decides.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Rule {
        /// The provider said so in a header, such as `Stripe-Should-Retry`.
        ProviderHeader = "provider_header",
        /// The provider's own error code.
        ProviderCode(Box<str>) = "provider_code",
        /// The HTTP status.
        Status(u16) = "status",
        /// The answer could not be read: tried once more, since a proxy may have cut it.
        Unreadable = "unreadable",
        /// How far the call got.
        Reach(Reach) = "reach",
        /// A text pattern matched the message.
        Pattern(Box<str>) = "pattern",
        /// No rule knows the message. Not tried again, and neither a refusal nor a wrong setting.
        Unknown = "unknown",
    } as_str(self: &Self)
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProviderHeader => f.write_str("provider header"),
            Self::ProviderCode(code) => write!(f, "provider code {code}"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Unreadable => f.write_str("unreadable answer"),
            Self::Reach(Reach::NotSent) => f.write_str("no connection"),
            Self::Reach(Reach::MaybeSent) => f.write_str("no complete answer"),
            Self::Reach(Reach::Answered) => f.write_str("a refusal"),
            Self::Pattern(pattern) => write!(f, "pattern {pattern}"),
            Self::Unknown => f.write_str("no rule"),
        }
    }
}

named! {
    /// Why the call waits before its next attempt.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum WaitReason {
        /// The retry schedule, with its jitter.
        Schedule = "schedule",
        /// The provider's Retry-After, plus a little so that callers do not all come back at once.
        RetryAfter = "retry_after",
        /// The provider is limiting this account, so every call of this validator waits.
        Gate = "gate",
        /// The retry budget was spent, so the call stood in line until others' answers had earned a retry.
        Line = "line",
        /// The provider had still to write down what a verdict needs.
        NotReady = "not_ready",
        /// It was silent for so long, and an attempt that began later was answered: it was asked once more beside it.
        Hedge = "hedge",
    } as_str(self: Self)
}

named! {
    /// What an attempt came to.
    #[derive(Clone, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum AttemptOutcome {
        /// The provider answered with the payment's facts.
        Facts = "facts",
        /// The provider answered, and has still to write down what a verdict needs.
        NotReady = "not_ready",
        /// The guarded call succeeded.
        Done = "done",
        /// The failure may pass, by this rule.
        Transient(Rule) = "transient",
        /// Trying again would change nothing, by this rule; or whether it would is not known, by [`Rule::Unknown`].
        Permanent(Rule) = "permanent",
        /// It was silent still when another attempt beside it ended the call.
        Abandoned = "abandoned",
    } as_str(self: &Self)
}

impl AttemptOutcome {
    /// The rule that decided; `None` for a success.
    #[must_use]
    pub const fn rule(&self) -> Option<&Rule> {
        match self {
            Self::Facts | Self::NotReady | Self::Done | Self::Abandoned => None,
            Self::Transient(rule) | Self::Permanent(rule) => Some(rule),
        }
    }
}

/// One provider call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub(crate) number: u32,
    pub(crate) offset: Duration,
    pub(crate) duration: Duration,
    pub(crate) reach: Reach,
    pub(crate) status: Option<u16>,
    pub(crate) request_ids: RequestIds,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) wait: Option<(Duration, WaitReason)>,
}

impl Attempt {
    getters! {
        /// Counts from 1.
        pub fn number(&self) -> u32 => self.number;

        /// When the attempt started, counted from the start of the flight that made it.
        pub fn offset(&self) -> Duration => self.offset;

        /// How long the attempt took.
        pub fn duration(&self) -> Duration => self.duration;

        /// How far the call got.
        pub fn reach(&self) -> Reach => self.reach;

        /// The HTTP status, if there was one and the attempt failed.
        pub fn status(&self) -> Option<u16> => self.status;

        /// How many requests the attempt made, one after the other: one, and more where the provider's adapter had to
        /// [ask further](crate::provider::Call::further).
        pub fn requests(&self) -> usize => self.request_ids.requests();

        /// The provider's id of the last request, for a support case.
        pub fn request_id(&self) -> Option<&str> => self.request_ids.last();

        /// What the attempt came to, and which rule decided.
        pub fn outcome(&self) -> &AttemptOutcome => &self.outcome;

        /// How long the call then waited, and why. `None` after the last attempt.
        pub fn wait(&self) -> Option<(Duration, WaitReason)> => self.wait;
    }

    /// The provider's ids of all requests, in the order in which they were made; those that have none are left out.
    pub fn request_ids(&self) -> impl Iterator<Item = &str> {
        self.request_ids.iter()
    }
}

/// The attempts of one call that succeeded. Mostly there is one, which needs no vector.
#[derive(Clone, Debug)]
pub(crate) enum Attempts {
    One(Attempt),
    Several(Vec<Attempt>),
}

impl Attempts {
    pub(crate) const NONE: Self = Self::Several(Vec::new());
}

impl Deref for Attempts {
    type Target = [Attempt];

    fn deref(&self) -> &[Attempt] {
        match self {
            Self::One(attempt) => std::slice::from_ref(attempt),
            Self::Several(attempts) => attempts,
        }
    }
}

impl From<Attempts> for Vec<Attempt> {
    fn from(attempts: Attempts) -> Self {
        match attempts {
            Attempts::One(attempt) => vec![attempt],
            Attempts::Several(attempts) => attempts,
        }
    }
}
