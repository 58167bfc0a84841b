//! Facts as version 1 of their records holds them, and what they come to.

use serde::{Deserialize, Serialize};

use crate::intent::currency::Currency;
use crate::ledger::{Converted, SharedFailure, Versioned};
use crate::payment::dispute::Dispute;
use crate::payment::facts::{Mode, PaymentStatus, ProviderPayment, Risk};

use super::{Known, Payload};

/// A [`Payload`] of version 1.
#[derive(Serialize, Deserialize)]
struct FirstPayload {
    known: Option<FirstKnown>,
    failure: Option<SharedFailure>,
    claimed_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct FirstKnown {
    age_ms: u64,
    keys: Vec<Box<str>>,
    facts: FirstFacts,
}

#[derive(Serialize, Deserialize)]
struct FirstFacts {
    id: Box<str>,
    status: PaymentStatus,
    reason: Option<Box<str>>,
    mode: Option<Mode>,
    currency: Option<Currency>,
    amount: Option<u64>,
    amount_received: Option<u64>,
    amount_capturable: u64,
    amount_refunded: Option<u64>,
    captured: Option<bool>,
    disputed: bool,
    reversed: bool,
    risk: Risk,
    customer: Option<Box<str>>,
    account: Option<Box<str>>,
    destination: Option<Box<str>>,
    metadata: Vec<(Box<str>, Box<str>)>,
    created: Option<u64>,
    capture_before: Option<u64>,
    as_of: Option<u64>,
}

impl Versioned<'_> for Payload {
    fn write(&self, version: u8) -> Option<Vec<u8>> {
        if version > 1 {
            return postcard::to_allocvec(self).ok();
        }
        let Self { known, failure, claimed_ms } = self.clone();
        let known =
            known.map(|Known { age_ms, keys, facts }| FirstKnown { age_ms, keys, facts: FirstFacts::of(*facts) });
        postcard::to_allocvec(&FirstPayload { known, failure, claimed_ms }).ok()
    }

    fn read(version: u8, bytes: &[u8]) -> Converted<Self> {
        if version > 1 {
            return Converted::of(bytes);
        }
        let FirstPayload { known, failure, claimed_ms } = match Converted::of(bytes) {
            Converted::Whole(first) => first,
            Converted::NotEnough => return Converted::NotEnough,
            Converted::Damaged => return Converted::Damaged,
        };
        let known = known.map(|FirstKnown { age_ms, keys, facts }| {
            facts.converted().map(|facts| Known { age_ms, keys, facts: Box::new(facts) })
        });
        match known {
            Some(None) => Converted::NotEnough,
            known => Converted::Whole(Self { known: known.flatten(), failure, claimed_ms }),
        }
    }
}

impl FirstFacts {
    /// What came with version 2 is left out: the release that reads this does not look at it.
    fn of(facts: ProviderPayment) -> Self {
        Self {
            id: facts.id,
            status: facts.status,
            reason: facts.reason,
            mode: facts.mode,
            currency: facts.currency,
            amount: facts.amount,
            amount_received: facts.amount_received,
            amount_capturable: facts.amount_capturable,
            amount_refunded: facts.amount_refunded,
            captured: facts.captured,
            // It has one word for disputes, which a policy may accept, and one that none accepts.
            disputed: facts.dispute > Dispute::Won,
            reversed: facts.reversed
                || matches!(facts.dispute, Dispute::Unknown | Dispute::Lost)
                || facts.fraud == Some(true),
            risk: facts.risk,
            customer: facts.customer,
            account: facts.account,
            destination: facts.destination,
            metadata: facts.metadata,
            created: facts.created,
            capture_before: facts.capture_before,
            as_of: facts.as_of,
        }
    }

    /// `None` where the rest of a partial capture may have been taken for a refund.
    fn converted(self) -> Option<ProviderPayment> {
        let is_part = self.amount_received.is_none() || self.amount_received < self.amount;
        if is_part && self.amount_refunded.is_some_and(|refunded| refunded > 0) {
            return None;
        }
        Some(ProviderPayment {
            reason: self.reason,
            mode: self.mode,
            currency: self.currency,
            amount: self.amount,
            amount_received: self.amount_received,
            amount_capturable: self.amount_capturable,
            amount_refunded: self.amount_refunded,
            captured: self.captured,
            // Whether it may still be won is not said, nor whether fraud was reported.
            dispute: if self.disputed { Dispute::Open } else { Dispute::None },
            fraud: None,
            reversed: self.reversed,
            risk: self.risk,
            customer: self.customer,
            account: self.account,
            destination: self.destination,
            metadata: self.metadata,
            created: self.created,
            capture_before: self.capture_before,
            as_of: self.as_of,
            ..ProviderPayment::new(self.id, self.status)
        })
    }
}
