//! The lists that Stripe has: of payments, and of the refunds, disputes and events that tell what happened to them. Of events those
//! by which a payment became final, a refund came to nothing, and a dispute was decided.
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
            Self::Events => events(payment).into_iter().map(|event| event.at).zip(0..).collect(),
        }
    }

    pub(super) fn id(self, payment: &SandboxPayment, nth: u32) -> String {
        let at = usize::try_from(nth).unwrap_or(usize::MAX);
        match self {
            Self::Payments => payment.id.clone(),
            Self::Refunds => payment.numbered("re", at),
            Self::Disputes => dispute_id(payment, at),
            Self::Events => payment.numbered("evt", at),
        }
    }

    pub(super) fn json(self, payment: &SandboxPayment, nth: u32, expansion: Expansion) -> Vec<u8> {
        let at = usize::try_from(nth).unwrap_or(usize::MAX);
        let object = match self {
            Self::Payments => return body::bytes(payment, expansion).to_vec(),
            Self::Refunds => refund(payment, at),
            Self::Disputes => dispute(payment, at),
            Self::Events => events(payment).get(at).map(|event| {
                let about = match event.about {
                    EventAbout::Payment => body::json(payment, Expansion::default()),
                    EventAbout::Refund(at) => refund(payment, at).unwrap_or_default(),
                    EventAbout::Dispute(at) => dispute(payment, at).unwrap_or_default(),
                };
                let mut event = snapshot_event(&self.id(payment, nth), event.event_type, event.at, &about);
                if let Some(fields) = event.as_object_mut() {
                    fields.insert("livemode".to_owned(), payment.livemode.into());
                }
                event
            }),
        };
        object.unwrap_or_default().to_string().into_bytes()
    }
}

/// An event of a payment.
#[derive(Clone, Copy, Debug)]
struct ListedEvent {
    at: u64,
    event_type: &'static str,
    about: EventAbout,
}

/// What an event is about: the payment itself, or one of its refunds or disputes, counted from the oldest.
#[derive(Clone, Copy, Debug)]
enum EventAbout {
    Payment,
    Refund(usize),
    Dispute(usize),
}

/// The events of a payment that are listed.
fn events(payment: &SandboxPayment) -> Vec<ListedEvent> {
    let became_final = payment.became_final();
    let mut events: Vec<ListedEvent> = became_final
        .into_iter()
        .map(|(at, event_type)| ListedEvent { at, event_type, about: EventAbout::Payment })
        .collect();
    for (number, refund) in payment.all_refunds().into_iter().enumerate() {
        let event_type = match &*refund.status {
            "failed" => "refund.failed",
            "canceled" => "refund.updated",
            _ => continue,
        };
        let at = refund.failed_at.or(refund.at).unwrap_or(payment.created);
        events.push(ListedEvent { at, event_type, about: EventAbout::Refund(number) });
    }
    for (number, dispute) in payment.disputes.iter().enumerate() {
        if matches!(&*dispute.status, "won" | "lost" | "warning_closed" | "prevented") {
            let at = dispute.closed_at.or(dispute.at).unwrap_or(payment.created);
            events.push(ListedEvent { at, event_type: "charge.dispute.closed", about: EventAbout::Dispute(number) });
        }
    }
    events
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
    /// Whether one entry of a payment is of the kind that the page has.
    pub(super) fn is_of(&self, payment: &SandboxPayment, nth: u32) -> bool {
        if self.list != SandboxList::Events || self.types.is_empty() {
            return true;
        }
        let event = usize::try_from(nth).ok().and_then(|nth| events(payment).get(nth).copied());
        event.is_some_and(|event| self.types.iter().any(|asked| asked == event.event_type))
    }
}
