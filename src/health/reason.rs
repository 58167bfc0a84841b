//! One thing that a health page says.

use std::time::Duration;

use crate::call::refusals::ProviderCalls;
use crate::ledger::RecordKind;
use crate::store::{Severity, StoreFinding};

/// Something that keeps a validator from doing all it could, or that is good to know. Display says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthReason {
    /// The provider does not answer, and is not asked for the moment.
    #[error("the provider does not answer and is not asked for a while; look at its status page")]
    BreakerOpen,
    /// The provider did not answer, and a few calls find out whether it does again.
    #[error("a few calls find out whether the provider answers again; wait for them")]
    BreakerHalfOpen,
    /// Guarded calls fail, and are not made for the moment, or a few of them find out. Look-ups are none of those.
    #[error("guarded calls got no answer and are not made for a while; look at the operations that are indeterminate")]
    GuardedBreakerOpen,
    /// The provider refuses the credential (401). Ends with a call that succeeds, or that is answered 403.
    #[error(
        "for {since:.0?} the provider has refused the credential (401), so no call gets an answer; look whether the key was \
         rolled or revoked, and give the service the present one"
    )]
    CredentialRefused {
        /// For so long.
        since: Duration,
    },
    /// The provider refuses one kind of call to this credential (403), and may answer others. Ends with such a call that
    /// succeeds, or an hour after the last 403, since calls of this kind may never be made again.
    #[error(
        "for {since:.0?} {} have been forbidden to the credential (403); give a restricted key the right to them, and look at \
         the account and at what stands between", calls.as_str()
    )]
    CallsForbidden {
        /// Which calls.
        calls: ProviderCalls,
        /// For so long.
        since: Duration,
    },
    /// The provider limits this account's rate (429). Ends with a call that succeeds, or after the wait that was told; where
    /// none was, a minute after the last 429.
    #[error(
        "for {since:.0?} the provider has limited this account's rate, and it does so for another {wait:.1?}; send less, or \
         ask it for more"
    )]
    RateLimited {
        /// Since so long.
        since: Duration,
        /// For so long yet.
        wait: Duration,
    },
    /// So many calls failed that none is tried again.
    #[error("too many calls failed for any to be tried again; look at the last attempts' errors")]
    BudgetEmpty,
    /// Something about the store.
    #[error("{0}")]
    Store(StoreFinding),
    /// Webhooks delivered events of other accounts, for which no handler ran.
    #[error(
        "{deliveries} webhook deliveries were of other accounts, and no handler ran for them; give those accounts \
         endpoints of their own, say with `other_accounts` what to do, or name the account if it is this one's"
    )]
    OtherAccounts {
        /// How many deliveries, since the validator was built.
        deliveries: u64,
    },
    /// Webhooks delivered events about objects that the provider's credential may not read, or that name none although they may
    /// have taken money back, so that their payments could not be forgotten.
    #[error(
        "{deliveries} webhook deliveries were about objects that the key may not read, or named none, as \
         `payproof.object_unreadable` says of each; give the key the right to read those, or have snapshot events sent"
    )]
    ObjectsUnreadable {
        /// How many deliveries, since the validator was built.
        deliveries: u64,
    },
    /// Other processes do not hear of a forgotten payment.
    #[error(
        "`forget` reaches this process only, and others go on serving what they have in memory; with more than one \
         process, set a shared store"
    )]
    ForgetIsLocal,
    /// `PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS` (or the same without `PAYPROOF_`) is on, and an idempotency layer was built.
    #[error(
        "idempotency layers are switched off, so duplicate requests run again; unset PAYPROOF_DISABLE_IDEMPOTENCY_CHECKS \
         and DISABLE_IDEMPOTENCY_CHECKS, and start anew"
    )]
    ChecksDisabled,
    /// Operations and requests that may have been executed or not have been waiting for more than a minute for an answer.
    #[error(
        "it is unknown whether {operations} operation(s) and {requests} request(s) were executed, the oldest for {oldest:.0?}; \
         look at the provider and resolve them"
    )]
    Indeterminate {
        /// How many operations there are, younger ones included.
        operations: u64,
        /// How many requests with an idempotency key there are, younger ones included.
        requests: u64,
        /// How long the oldest one has been waiting.
        oldest: Duration,
    },
    /// The list of what is indeterminate is full, or one tenant's share of it.
    #[error(
        "about {operations} indeterminate operation(s) and {requests} request(s) found no room on their list; resolve what is \
         on it, and they come next"
    )]
    NotListed {
        /// How many operations.
        operations: u64,
        /// How many requests.
        requests: u64,
    },
    /// The provider's key, which makes another run of an indeterminate operation safe, is kept for less than two hours more.
    #[error(
        "{operations} indeterminate operation(s) can be run again under the provider's key for {soonest:.0?} more at the \
         soonest; run them again now, since afterwards only the provider's records tell what became of them"
    )]
    ProviderKeysEnding {
        /// How many operations.
        operations: u64,
        /// For how long the first of them can be.
        soonest: Duration,
    },
    /// Whether there are such operations or requests could not be found out.
    #[error("the lists of what is indeterminate could not be read; look at the store and the last warnings")]
    IndeterminateUnknown,
    /// Records of some kinds are accepted without a seal, although `record_keys` is set: who can write to the store can
    /// forge them.
    #[error(
        "for {since:.0?} unsigned records have been accepted ({}); take their kinds off `accept_unsigned_records` once \
         their retention has passed",
        kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
    )]
    UnsignedAccepted {
        /// The kinds.
        kinds: Box<[RecordKind]>,
        /// For how long: since the validator was built.
        since: Duration,
    },
    /// The store held records that no key of `record_keys` opens, and calls that read them failed.
    #[error(
        "for {since:.0?} no key opened {reads} record(s) that were read ({}); give all processes the same `record_keys`, and keep an old \
         key for as long as its records live",
        kind.as_str()
    )]
    RecordsNotOpened {
        /// What the records are about.
        kind: RecordKind,
        /// How many were read, since the validator was built.
        reads: u64,
        /// How long ago the first of them was read.
        since: Duration,
    },
    /// Nine tenths of the idempotency keys allowed are held.
    #[error("{held} of {limit} idempotency keys are held, and further ones get an error; raise `max_keys`")]
    KeysNearlyFull {
        /// Keys held.
        held: usize,
        /// `max_keys`.
        limit: usize,
    },
}

impl HealthReason {
    /// A stable code, for health pages and alerts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::BreakerHalfOpen => "breaker_half_open",
            Self::GuardedBreakerOpen => "guarded_breaker_open",
            Self::CredentialRefused { .. } => "credential_refused",
            Self::CallsForbidden { .. } => "calls_forbidden",
            Self::RateLimited { .. } => "rate_limited",
            Self::BudgetEmpty => "budget_empty",
            Self::Store(finding) => finding.code(),
            Self::OtherAccounts { .. } => "other_accounts",
            Self::ObjectsUnreadable { .. } => "objects_unreadable",
            Self::ForgetIsLocal => "forget_is_local",
            Self::ChecksDisabled => "checks_disabled",
            Self::Indeterminate { .. } => "indeterminate",
            Self::NotListed { .. } => "indeterminate_not_listed",
            Self::ProviderKeysEnding { .. } => "provider_keys_ending",
            Self::IndeterminateUnknown => "indeterminate_unknown",
            Self::UnsignedAccepted { .. } => "unsigned_accepted",
            Self::RecordsNotOpened { .. } => "records_not_opened",
            Self::KeysNearlyFull { .. } => "keys_nearly_full",
        }
    }

    /// Whether it takes something away. What was chosen, such as a store for one process alone, is a note.
    #[must_use]
    pub fn degrades(&self) -> bool {
        match self {
            Self::OtherAccounts { .. }
            | Self::ForgetIsLocal
            | Self::Store(StoreFinding::NotShared | StoreFinding::Volatile) => false,
            Self::Store(finding) => finding.severity() >= Severity::Warning,
            _ => true,
        }
    }
}
