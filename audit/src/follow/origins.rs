//! Where a value comes from.

use std::ops::{BitOr, BitOrAssign};

/// Where a value comes from: a set of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Origins(u32);

impl Origins {
    pub(crate) const NONE: Self = Self(0);
    /// Body, query, path, form, or a header.
    pub(crate) const REQUEST: Self = Self(1);
    /// A constant of the source.
    pub(crate) const LITERAL: Self = Self(1 << 1);
    /// A database, a file, a store.
    pub(crate) const STORED: Self = Self(1 << 2);
    /// An answer of the payment provider.
    pub(crate) const PROVIDER: Self = Self(1 << 3);
    /// Who is signed in.
    pub(crate) const SESSION: Self = Self(1 << 4);
    /// The tenant.
    pub(crate) const TENANT: Self = Self(1 << 5);
    /// The idempotency key.
    pub(crate) const KEY: Self = Self(1 << 6);
    /// The clock.
    pub(crate) const CLOCK: Self = Self(1 << 7);
    /// Random numbers.
    pub(crate) const RANDOM: Self = Self(1 << 8);
    /// A call that was not followed.
    pub(crate) const UNKNOWN: Self = Self(1 << 9);
    /// The request's bytes as they came.
    pub(crate) const RAW: Self = Self(1 << 10);
    /// The request's body after it was parsed.
    pub(crate) const PARSED: Self = Self(1 << 11);
    /// A record of an earlier answer.
    pub(crate) const RECORD: Self = Self(1 << 12);
    /// A message authentication code that was computed.
    pub(crate) const MAC: Self = Self(1 << 13);
    /// The answer of a verification that does not end the request by itself.
    pub(crate) const VERIFIED: Self = Self(1 << 14);
    /// The service's own settings.
    pub(crate) const SETTING: Self = Self(1 << 15);
    /// A webhook event whose signature was verified.
    pub(crate) const EVENT: Self = Self(1 << 16);
    /// The request's method, and its path where that is settled: what is decided by them is known.
    pub(crate) const METHOD: Self = Self(1 << 17);
    /// A cookie, or the header `Authorization`.
    pub(crate) const CREDENTIAL: Self = Self(1 << 18);
    /// A signature that came with a webhook.
    pub(crate) const SIGNATURE: Self = Self(1 << 19);
    /// A verification was given a body that had been parsed.
    pub(crate) const REPARSED: Self = Self(1 << 20);
    /// Whether the service runs in production.
    pub(crate) const STAGE: Self = Self(1 << 22);
    /// Whether there is nothing to pay.
    pub(crate) const FREE: Self = Self(1 << 23);
    /// What a write into a database returned.
    pub(crate) const WRITTEN: Self = Self(1 << 21);

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Origins {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl BitOrAssign for Origins {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.and(other);
    }
}
