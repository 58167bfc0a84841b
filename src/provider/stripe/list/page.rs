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

/// The events that are asked for, what each is about, and what it tells: of what neither a refund nor a dispute tells, a payment
/// that became final long after it was created, and what became of refunds and disputes
/// (<https://docs.stripe.com/api/events/types>).
pub(super) const EVENTS: [(&str, &str, ChangeOf); 5] = [
    ("payment_intent.succeeded", "payment_intent", ChangeOf::Paid),
    ("payment_intent.canceled", "payment_intent", ChangeOf::Canceled),
    ("refund.failed", "refund", ChangeOf::RefundFailed),
    (REFUND_UPDATED, "refund", ChangeOf::RefundFailed),
    ("charge.dispute.closed", "dispute", ChangeOf::DisputeClosed),
];

/// Told of a refund for whatever changed of it, such as the bank's reference days later: that it was canceled, which has no event of
/// its own, stands in it alone.
const REFUND_UPDATED: &str = "refund.updated";

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

/// An event (<https://docs.stripe.com/api/events/object>). What it says of the payment is of its time, and not read; of a refund its
/// status says what happened.
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
    payment_intent: Option<Expandable<'a, Named<'a>>>,
    status: Option<WireText<'a>>,
}

/// What is read of an entry that cannot be read otherwise.
#[derive(Debug, Deserialize)]
struct WireStub<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    created: Option<&'a RawValue>,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its own id, after which a page can begin.
    pub(super) id: Option<PaymentId>,
    pub(super) created: Option<u64>,
    pub(super) read: ReadEntry,
}

/// What was read of an entry.
#[derive(Debug)]
pub(super) enum ReadEntry {
    Item(ListedItem),
    /// No more than which payment it is, if that.
    Unreadable(Option<PaymentId>),
    /// It is of no interest.
    PassedOver,
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
    /// What is of the window. An entry that does not say when it was made stands between its neighbors, since the newest come first,
    /// and may be of the window as long as they leave a second of it.
    pub(super) fn items_of(self, window: &Range<u64>) -> Vec<ListedItem> {
        let made = self.made(window);
        let inside = |(_, made): &(Entry, Range<u64>)| made.start < window.end && window.start < made.end;
        let item = |(entry, made): (Entry, Range<u64>)| match entry.read {
            ReadEntry::Item(item) => Some(item),
            ReadEntry::Unreadable(payment) => Some(ListedItem::Unreadable { payment, made }),
            ReadEntry::PassedOver => None,
        };
        self.all.into_iter().zip(made).filter(inside).filter_map(item).collect()
    }

    /// The seconds of which each entry may be. Behind the page's ends they are those of the window.
    fn made(&self, window: &Range<u64>) -> Vec<Range<u64>> {
        let mut made: Vec<Range<u64>> = vec![window.clone(); self.all.len()];
        let mut newest = window.end;
        for (entry, made) in self.all.iter().zip(&mut made) {
            newest = entry.created.map_or(newest, |created| created.saturating_add(1));
            made.end = newest;
        }
        let mut oldest = window.start;
        for (entry, made) in self.all.iter().zip(&mut made).rev() {
            oldest = entry.created.unwrap_or(oldest);
            made.start = oldest.min(made.end.saturating_sub(1));
        }
        made
    }
}

/// An entry of which no more than an id and its time can be read.
fn unreadable(entry: &str, list: StripeList) -> Entry {
    let stub: Option<Object<WireStub<'_>>> = serde_json::from_str(entry).ok();
    let [id, created] = stub.map_or([None; 2], |Object(stub)| [stub.id, stub.created]);
    let id: Option<String> = id.and_then(|id| serde_json::from_str(id.get()).ok());
    let id = id.and_then(|id| PaymentId::parse_plain(&id));
    let created = created.and_then(|created| serde_json::from_str(created.get()).ok());
    let payment = id.clone().filter(|_| list == StripeList::Payments);
    Entry { id, created, read: ReadEntry::Unreadable(payment) }
}

/// A refund or a dispute, which names its payment. One of a charge without a payment intent is passed over.
pub(super) fn change(entry: &str, what: ChangeOf) -> Option<Entry> {
    let Object(change): Object<WireChange<'_>> = serde_json::from_str(entry).ok()?;
    let named = change.payment_intent.as_ref().map(Expandable::id);
    Some(changed(&change.id, change.created, named.map(|id| (id, what))))
}

/// An event about a payment intent of this account.
pub(super) fn event(entry: &str, account: Option<&str>) -> Option<Entry> {
    let Object(event): Object<WireEvent<'_>> = serde_json::from_str(entry).ok()?;
    let Object(subject) = &event.data.object;
    // A platform's own list has none of its connected accounts' payments, and its key could not look them up.
    let is_foreign = event.account.as_deref().is_some_and(|of| Some(of) != account);
    let is_of = |(kind, object, _): &&(&str, &str, ChangeOf)| *kind == &*event.kind && *object == &*subject.object;
    let is_news = &*event.kind != REFUND_UPDATED || subject.status.as_deref() == Some("canceled");
    let told = EVENTS.iter().find(is_of).filter(|_| !is_foreign && is_news);
    let named = told.and_then(|(_, object, what)| match *object {
        "payment_intent" => Some((&*subject.id, *what)),
        _ => Some((subject.payment_intent.as_ref()?.id(), *what)),
    });
    Some(changed(&event.id, event.created, named))
}

fn changed(id: &str, created: u64, change: Option<(&str, ChangeOf)>) -> Entry {
    let read = change.map_or(ReadEntry::PassedOver, |(payment, what)| match PaymentId::parse_plain(payment) {
        Some(payment) => ReadEntry::Item(ListedItem::Changed { payment, what, at: created }),
        None => ReadEntry::Unreadable(None),
    });
    Entry { id: PaymentId::parse_plain(id), created: Some(created), read }
}
