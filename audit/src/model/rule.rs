//! The rules by name.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth a look.
    Low,
    /// To be mended.
    Medium,
    /// Money, orders or other tenants' data are at stake.
    High,
}

impl Severity {
    /// All of them, the least bad first.
    pub const ALL: &'static [Self] = &[Self::Low, Self::Medium, Self::High];

    /// The severity of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|severity| severity.name() == name)
    }

    /// `low`, `medium`, `high`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

macro_rules! rules {
    ($($variant:ident, $id:literal, $severity:ident, $summary:literal, $fix:literal;)*) => {
        /// A rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $summary] $variant,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The rule of this name.
            #[must_use]
            pub fn named(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|rule| rule.id() == id)
            }

            /// Its name in reports, settings and allows.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// How bad it is at worst.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What it finds, in one sentence.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }

            /// What to do, in one sentence.
            #[must_use]
            pub const fn fix(self) -> &'static str {
                match self { $(Self::$variant => $fix,)* }
            }
        }
    };
}

rules! {
    KeyMissing, "key-missing", High,
        "A repeated request acts again, since no idempotency key is read.",
        "Read the Idempotency-Key header, claim it before the effect, and replay the recorded answer.";
    KeyOptional, "key-optional", Low,
        "The effect happens without an idempotency key too.",
        "Answer 400 if the Idempotency-Key header is missing.";
    ReplayBeforeAuth, "replay-before-auth", High,
        "A recorded answer can leave before it is established who asks.",
        "Establish the session before the record is looked up.";
    KeyWithoutTenant, "key-without-tenant", High,
        "The record's key does not hold the tenant, so that one tenant can get another one's answer.",
        "Put the tenant's or the user's id into the record's key.";
    ReplayWithoutFingerprint, "replay-without-fingerprint", Medium,
        "A recorded answer is replayed without comparing the request.",
        "Record a digest of the request, and answer 422 if another request has the same key.";
    ClaimNotAtomic, "claim-not-atomic", High,
        "Two requests at once both find no record, and both act.",
        "Claim the key atomically before the effect: SET NX, an INSERT into a unique column, or a compare-and-swap.";
    KeyVolatile, "key-volatile", High,
        "The provider's idempotency key is new at each attempt, so that it protects from nothing.",
        "Derive the key from what is paid: the order's id, or the caller's Idempotency-Key.";
    ProviderKeyMissing, "provider-key-missing", High,
        "The provider is told to move money without an idempotency key.",
        "Pass the provider's idempotency option, derived from the order or the caller's key.";
    AmountFromRequest, "amount-from-request", High,
        "The amount or currency that the provider is told comes from the request.",
        "Compute the amount from stored prices, or compare it with them.";
    PaymentUnproven, "payment-unproven", High,
        "An order is made or marked paid on the request's word, and the provider is not asked.",
        "Retrieve the payment from the provider, and compare its status, amount and currency.";
    PaidUnchecked, "paid-unchecked", Medium,
        "The provider is asked, but what it says is not compared before the order counts as paid.",
        "Compare the payment's status, amount and currency with the order's.";
    WebhookUnsigned, "webhook-unsigned", High,
        "A webhook acts before its signature is verified.",
        "Verify the signature over the raw body before anything else.";
    WebhookParsed, "webhook-parsed", High,
        "A webhook's signature is verified over a body that was parsed first.",
        "Give the verification the raw body, and mount the route before the JSON middleware.";
    WebhookRepeats, "webhook-repeats", Medium,
        "A webhook that is delivered twice acts twice.",
        "Claim the event's id, in the transaction of its effect.";
    SuccessFlag, "success-flag", Medium,
        "An answer says in its body whether it succeeded.",
        "Let the status tell, and answer either `data` or `error`.";
    Envelope, "envelope", Low,
        "An answer has another shape than most.",
        "Answer `{ data }`, or `{ error: { code, message } }`.";
    ErrorAs200, "error-as-200", Medium,
        "An error is answered with a status of success.",
        "Answer it with its 4xx or 5xx status.";
    Allow, "allow", Low,
        "An allow in the source names no known rule, says no reason, or is of use to nothing.",
        "Write `payproof-allow: RULE: reason` on the line above the finding, or remove it.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}
