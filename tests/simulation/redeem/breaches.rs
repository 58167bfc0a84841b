//! What must not have been told about redemptions, and the trace that shows it.

use std::fmt::Write as _;

use payproof::redeem::Receipt;

use super::{Doing, Event, LONGEST, Owner, Told, owner_of};
use crate::support::secs;

/// What the store is known to hold between two steps: it was told, and no call has begun to undo it.
#[derive(Debug)]
struct Hold {
    receipt: Receipt,
    told: usize,
    undoing: usize,
    undone: usize,
}

fn holds(events: &[Event]) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    for event in events {
        if let Told::Bound(receipt) | Told::Seen(Some(receipt)) = &event.told
            && holds.iter().all(|hold| hold.receipt != *receipt)
        {
            let is_release = |event: &&Event| event.doing == Doing::Release(receipt.clone());
            let releases = || events.iter().filter(is_release);
            let undoing = releases().map(|event| event.begun).min().unwrap_or(usize::MAX);
            let undone = releases().filter(|event| matches!(event.told, Told::Undone)).map(|event| event.ended).min();
            let undone = undone.unwrap_or(usize::MAX);
            holds.push(Hold { receipt: receipt.clone(), told: event.ended, undoing, undone });
        }
    }
    holds
}

/// Everything that must not have been told, as far as what was told before says so.
pub(super) fn breach(events: &[Event]) -> Option<String> {
    let holds = holds(events);
    for (at, one) in holds.iter().enumerate() {
        for two in &holds[at + 1..] {
            let both = one.told.max(two.told) < one.undoing.min(two.undoing);
            if both && one.receipt.payment() == two.receipt.payment() {
                return Some(format!("one payment has two owners: {one:?} {two:?}"));
            }
            if both && owner_of(&one.receipt) == owner_of(&two.receipt) {
                return Some(format!("one order has two payments: {one:?} {two:?}"));
            }
        }
    }
    for event in events {
        if event.took > LONGEST {
            return Some(format!("it took too long: {event:?}"));
        }
        if let Told::Other(_) | Told::Store("record_unreadable") = event.told {
            return Some(format!("no caller should be told that: {event:?}"));
        }
        if let Told::InProgress(wait) = event.told
            && wait > secs(30)
        {
            return Some(format!("no claim is protected for longer: {event:?}"));
        }
        for hold in &holds {
            if let Told::Bound(receipt) | Told::Seen(Some(receipt)) = &event.told
                && *receipt == hold.receipt
                && event.begun > hold.undone
            {
                return Some(format!("it was undone, and is back: {hold:?} {event:?}"));
            }
            if hold.told < event.begun && event.ended < hold.undoing && !fits(event, &hold.receipt) {
                return Some(format!("it contradicts what stands: {hold:?} {event:?}"));
            }
        }
    }
    None
}

/// Whether this may be told while a receipt stands for certain.
fn fits(event: &Event, stands: &Receipt) -> bool {
    if matches!(event.told, Told::Store(_) | Told::Left) {
        return true;
    }
    match &event.doing {
        Doing::Redeem(payment, owner) => {
            let (same_payment, same_owner) = (payment == stands.payment().as_str(), *owner == owner_of(stands));
            match &event.told {
                Told::Bound(receipt) if same_payment || same_owner => receipt == stands,
                Told::AlreadyRedeemed(by) if same_payment => !same_owner && names(by.as_deref(), stands, owner),
                Told::AlreadyPaid(by) if same_owner => !same_payment && by == stands.payment().as_str(),
                Told::AlreadyPaid(_) | Told::InProgress(_) => !same_payment,
                _ => true,
            }
        }
        Doing::Look(payment) if payment == stands.payment().as_str() => {
            matches!(&event.told, Told::Seen(Some(receipt)) if receipt == stands)
        }
        Doing::Release(receipt) if receipt.payment() == stands.payment() && receipt != stands => {
            matches!(event.told, Told::AlreadyRedeemed(_))
        }
        Doing::Look(_) | Doing::Release(_) => true,
    }
}

fn names(by: Option<&str>, stands: &Receipt, asking: &Owner) -> bool {
    if stands.tenant() != asking.0 {
        return by.is_none();
    }
    by.is_some_and(|by| by.starts_with(stands.order()) && by.contains("part") == stands.part().is_some())
}

pub(super) fn trace(breach: &str, events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let _ = writeln!(
            text,
            "{:>5}-{:<5} {:>11.3?} +{:>9.3?} process {} {:?} => {:?}",
            event.begun, event.ended, event.from, event.took, event.process, event.doing, event.told
        );
    }
    // Sixteen numbers say no more than the first two.
    text = text.replace("Receipt { payment: ", "{");
    let _ = write!(text, "{breach}");
    text
}
