//! Reads a page of any of the lists. An entry that cannot be read does not fail its page: it is told as unreadable.

use std::collections::HashSet;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::object::Object;
use crate::intent::payment_intent::PaymentId;
use crate::provider::stripe::payment::parsed;
use crate::provider::stripe::wire::{Expandable, Named, WireText};
use crate::provider::{ChangeOf, ListedItem, ProviderError};

use super::place::{ListPlace, StripeList};

/// The events that are asked for, and what they tell: of what neither a refund nor a dispute tells, a payment that became final
/// long after it was created.
pub(super) const FINAL_EVENTS: [(&str, ChangeOf); 2] =
    [("payment_intent.succeeded", ChangeOf::Paid), ("payment_intent.canceled", ChangeOf::Canceled)];

/// A page (<https://docs.stripe.com/api/pagination>), of which each entry is read by itself.
#[derive(Debug, Deserialize)]
struct WirePage<'a> {
    #[serde(borrow)]
    object: WireText<'a>,
    data: Vec<&'a RawValue>,
    has_more: bool,
}

/// A refund (<https://docs.stripe.com/api/refunds/object>) or a dispute (<https://docs.stripe.com/api/disputes/object>).
#[derive(Debug, Deserialize)]
struct WireChange<'a> {
    #[serde(borrow)]
    id: WireText<'a>,
    created: u64,
    payment_intent: Option<Expandable<'a, Named<'a>>>,
}

/// An event (<https://docs.stripe.com/api/events/object>). What it says of the payment is of its time, and not read.
#[derive(Debug, Deserialize)]
struct WireEvent<'a> {
    #[serde(borrow)]
    id: WireText<'a>,
    #[serde(rename = "type")]
    kind: WireText<'a>,
    created: u64,
    account: Option<WireText<'a>>,
    data: Object<EventData<'a>>,
}

#[derive(Debug, Deserialize)]
struct EventData<'a> {
    #[serde(borrow)]
    object: Object<Subject<'a>>,
}

/// What an event is about.
#[derive(Debug, Deserialize)]
struct Subject<'a> {
    #[serde(borrow)]
    id: WireText<'a>,
    object: WireText<'a>,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its own id, after which a page can begin.
    pub(super) id: Option<PaymentId>,
    pub(super) created: Option<u64>,
    /// `None` where it is of no interest.
    pub(super) item: Option<ListedItem>,
}

/// The entries of a page, and the one behind which the next page begins, if there is one.
#[derive(Debug)]
pub(super) struct Entries {
    all: Vec<Entry>,
    pub(super) last: Option<PaymentId>,
}

/// Reads a page. `read` reads one entry, and is given its JSON.
pub(super) fn read(
    body: &[u8],
    place: &ListPlace,
    read: impl Fn(&str) -> Option<Entry>,
) -> Result<Entries, ProviderError> {
    let Object(page): Object<WirePage<'_>> = parsed(body, "a page of a list")?;
    if &*page.object != "list" {
        return Err(ProviderError::unreadable(format!("the answer is a `{}`, not a list", &*page.object)));
    }
    let entry = |entry: &&RawValue| read(entry.get()).unwrap_or_else(|| unreadable(entry.get(), place.list));
    let mut all: Vec<Entry> = page.data.iter().map(entry).collect();
    let mut last = None;
    if page.has_more {
        // What stands behind the last entry with an id comes again with the next page, which begins there.
        while all.last().is_some_and(|entry| entry.id.is_none()) {
            all.pop();
        }
        last = all.last().and_then(|entry| entry.id.clone()).filter(|last| Some(last) != place.after.as_ref());
        if last.is_none() {
            return Err(ProviderError::unreadable("the list has more, and its page leads nowhere"));
        }
    }
    // The entry that the page begins behind may come again, and so may one that another pushed on.
    let mut seen: HashSet<PaymentId> = place.after.iter().cloned().collect();
    all.retain(|entry| entry.id.as_ref().is_none_or(|id| seen.insert(id.clone())));
    Ok(Entries { all, last })
}

impl Entries {
    /// What is of the window. An entry that does not say when it was made may be.
    pub(super) fn items_of(self, window: &Range<u64>) -> Vec<ListedItem> {
        let inside = |entry: &Entry| entry.created.is_none_or(|created| window.contains(&created));
        self.all.into_iter().filter(inside).filter_map(|entry| entry.item).collect()
    }
}

/// An entry of which no more than an id can be read.
fn unreadable(entry: &str, list: StripeList) -> Entry {
    let named: Option<Object<Named<'_>>> = serde_json::from_str(entry).ok();
    let id = named.and_then(|named| PaymentId::parse_plain(&named.id));
    let payment = id.clone().filter(|_| list == StripeList::Payments);
    Entry { id, created: None, item: Some(ListedItem::Unreadable(payment)) }
}

/// A refund or a dispute, which names its payment. One of a charge without a payment intent is passed over.
pub(super) fn change(entry: &str, what: ChangeOf) -> Option<Entry> {
    let Object(change): Object<WireChange<'_>> = serde_json::from_str(entry).ok()?;
    let named = change.payment_intent.as_ref().map(Expandable::id);
    Some(changed(&change.id, change.created, named.map(|id| (id, what))))
}

/// An event of a payment intent of this account.
pub(super) fn event(entry: &str, account: Option<&str>) -> Option<Entry> {
    let Object(event): Object<WireEvent<'_>> = serde_json::from_str(entry).ok()?;
    let Object(subject) = &event.data.object;
    // A platform's own list has none of its connected accounts' payments, and its key could not look them up.
    let is_foreign = event.account.as_deref().is_some_and(|of| Some(of) != account);
    let what = FINAL_EVENTS.iter().find(|(kind, _)| *kind == &*event.kind).map(|(_, what)| *what);
    let is_payment = &*subject.object == "payment_intent";
    let named = what.filter(|_| is_payment && !is_foreign).map(|what| (&*subject.id, what));
    Some(changed(&event.id, event.created, named))
}

fn changed(id: &str, created: u64, change: Option<(&str, ChangeOf)>) -> Entry {
    let item = change.map(|(payment, what)| match PaymentId::parse_plain(payment) {
        Some(payment) => ListedItem::Changed { payment, what, at: created },
        None => ListedItem::Unreadable(None),
    });
    Entry { id: PaymentId::parse_plain(id), created: Some(created), item }
}
