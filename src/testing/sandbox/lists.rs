//! The lists that Stripe has: of payments, and of the refunds, disputes and events that tell what happened to them.
//!
//! The newest stand first; of one second those of payments that were put in later.

use super::body;
use super::disputes::{dispute, dispute_id};
use super::expansion::Expansion;
use super::objects::refund;
use super::payment::SandboxPayment;
use crate::testing::snapshot_event::snapshot_event;

/// A list, by where it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SandboxList {
    Payments,
    Refunds,
    Disputes,
    Events,
}

impl SandboxList {
    pub(super) const ALL: [Self; 4] = [Self::Payments, Self::Refunds, Self::Disputes, Self::Events];

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Payments => "/v1/payment_intents",
            Self::Refunds => "/v1/refunds",
            Self::Disputes => "/v1/disputes",
            Self::Events => "/v1/events",
        }
    }

    /// What a payment has on this list: when, and which one of its own it is.
    pub(super) fn of(self, payment: &SandboxPayment) -> Vec<(u64, u32)> {
        let numbered = |times: Vec<Option<u64>>| {
            let times = times.into_iter().map(|at| at.unwrap_or(payment.created));
            times.zip(0..).collect()
        };
        match self {
            Self::Payments => vec![(payment.created, 0)],
            Self::Refunds => numbered(payment.all_refunds().iter().map(|refund| refund.at).collect()),
            Self::Disputes => numbered(payment.disputes.iter().map(|dispute| dispute.at).collect()),
            Self::Events => payment.became_final().into_iter().map(|(at, _)| (at, 0)).collect(),
        }
    }

    pub(super) fn id(self, payment: &SandboxPayment, nth: u32) -> String {
        let at = usize::try_from(nth).unwrap_or(usize::MAX);
        match self {
            Self::Payments => payment.id.clone(),
            Self::Refunds => payment.numbered("re", at),
            Self::Disputes => dispute_id(payment, at),
            Self::Events => payment.derived("evt"),
        }
    }

    pub(super) fn json(self, payment: &SandboxPayment, nth: u32, expansion: Expansion) -> Vec<u8> {
        let at = usize::try_from(nth).unwrap_or(usize::MAX);
        let object = match self {
            Self::Payments => return body::bytes(payment, expansion).to_vec(),
            Self::Refunds => refund(payment, at),
            Self::Disputes => dispute(payment, at),
            Self::Events => payment.became_final().map(|(at, event_type)| {
                let intent = body::json(payment, Expansion::default());
                let mut event = snapshot_event(&self.id(payment, nth), event_type, at, &intent);
                if let Some(fields) = event.as_object_mut() {
                    fields.insert("livemode".to_owned(), payment.livemode.into());
                }
                event
            }),
        };
        object.unwrap_or_default().to_string().into_bytes()
    }
}

/// Which page of which list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListPage {
    pub(super) list: SandboxList,
    /// The first second of the window, and the one behind its last.
    pub(super) since: u64,
    pub(super) until: u64,
    pub(super) limit: Option<usize>,
    pub(super) starting_after: Option<String>,
    pub(super) expansion: Expansion,
    /// Of events; none stands for all.
    pub(super) types: Vec<String>,
}

/// A payment by its place: among those that were put in, which are set 0, or in a generated set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PaymentPlace {
    pub(super) set: usize,
    pub(super) number: u64,
}

/// The place of an entry: when, of which payment, and which one of its own.
pub(super) type EntryPlace = (u64, PaymentPlace, u32);

impl ListPage {
    /// Whether entries of a payment are on the page at all.
    pub(super) fn is_of(&self, payment: &SandboxPayment) -> bool {
        let is_of_type = |event_type| self.types.iter().any(|asked| asked == event_type);
        self.list != SandboxList::Events
            || self.types.is_empty()
            || payment.became_final().is_some_and(|(_, event_type)| is_of_type(event_type))
    }
}
