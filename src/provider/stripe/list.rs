//! Pages of Stripe's lists: the payment intents of a window, and the refunds, disputes and events that tell what happened in it.

use std::ops::Range;

use reqwest::Url;

use crate::http::transport::{self, HttpReply, TransportError};
use crate::intent::payment_intent::PaymentId;
use crate::provider::{Call, ChangeOf, ListQuery, Listed, ListedItem, ProviderError};

use super::{Stripe, reply};
use place::{ListPlace, StripeList};

mod page;
mod place;

/// The most that is read of a page. A payment with its charge has about 5 KiB, and with all metadata that Stripe allows 60.
const MAX_PAGE: usize = 8 << 20;

/// Stripe keeps events for so many seconds (<https://docs.stripe.com/api/events/list>).
const EVENTS_KEPT: u64 = 30 * 24 * 60 * 60;

/// What stands with each payment, as in a look-up of one.
const WITH_CHARGE: [(&str, &str); 1] = [("expand[]", "data.latest_charge")];
const WITH_REVIEW: [(&str, &str); 2] = [("expand[]", "data.latest_charge"), ("expand[]", "data.review")];

impl Stripe {
    /// Asks for one page. Where the key may not read reviews, it is asked for again without them.
    pub(super) async fn list_page(&self, query: &ListQuery, call: &Call) -> Result<Listed, ProviderError> {
        let place = ListPlace::of(query)?;
        let with_review = place.list == StripeList::Payments && !self.reviews_right.is_missing();
        let refused = match self.ask_for_page(query, &place, with_review).await {
            Err(error) if with_review && super::may_be_for_review(&error) => error,
            answer => return answer,
        };
        let id = refused.provider_request_id().unwrap_or_default();
        call.further().await.map_err(|error| error.with_request_id(id))?;
        let listed = self.ask_for_page(query, &place, false).await;
        let mut listed = listed.map_err(|error| error.with_earlier_request(id))?;
        // A page without a payment has no place where the right could be told, so it is noted by a later one.
        let payment = listed.items.iter_mut().find_map(|item| match item {
            ListedItem::Payment(facts) => Some(facts),
            ListedItem::Changed { .. } | ListedItem::Unreadable { .. } => None,
        });
        if let Some(facts) = payment {
            facts.missing_right = self.reviews_right.refused(&refused);
        }
        Ok(listed)
    }

    async fn ask_for_page(
        &self,
        query: &ListQuery,
        place: &ListPlace,
        with_review: bool,
    ) -> Result<Listed, ProviderError> {
        let address = self.address_of_page(&query.window(), place, with_review);
        let reply = transport::get_up_to(&self.client, address, &self.headers, MAX_PAGE).await;
        let reply = reply.map_err(|error| ProviderError::from(&error))?;
        if reply.status == 200 && reply.fault == Some(TransportError::TooLarge) {
            // Nothing is lost: the next page begins where this one would have.
            let next = place.halved().ok_or_else(|| reply::unreadable(too_large(), &reply))?;
            return Ok(Listed { next: Some(next.cursor()), ..Listed::default() });
        }
        self.read_page(query, place, &reply, with_review)
    }

    fn address_of_page(&self, window: &Range<u64>, place: &ListPlace, with_review: bool) -> Url {
        let expanded: &[(&str, &str)] = match place.list {
            StripeList::Payments if with_review => &WITH_REVIEW,
            StripeList::Payments => &WITH_CHARGE,
            StripeList::Refunds | StripeList::Disputes | StripeList::Events => &[],
        };
        let types = page::EVENTS.iter().filter(|_| place.list == StripeList::Events);
        let types = types.map(|(kind, ..)| ("types[]", *kind));
        let mut address = self.address.clone();
        address.set_path(&[&*self.root, place.list.path()].concat());
        let window = [("created[gte]", window.start), ("created[lt]", window.end), ("limit", place.limit.into())];
        let numbers = window.map(|(name, number)| (name, number.to_string()));
        let after = place.after.as_ref().map(|after| ("starting_after", after.as_str()));
        address.query_pairs_mut().extend_pairs(numbers).extend_pairs(expanded).extend_pairs(types).extend_pairs(after);
        address
    }

    fn read_page(
        &self,
        query: &ListQuery,
        place: &ListPlace,
        reply: &HttpReply,
        with_review: bool,
    ) -> Result<Listed, ProviderError> {
        let body = reply::body(reply, None)?;
        let page = page::read(body, place, |entry| match place.list {
            StripeList::Payments => self.payment_of(entry, reply, with_review),
            StripeList::Refunds => page::change(entry, ChangeOf::Refunded),
            StripeList::Disputes => page::change(entry, ChangeOf::Disputed),
            StripeList::Events => page::event(entry, self.account.as_deref()),
        });
        let page = page.map_err(|error| reply::unreadable(error, reply))?;
        let next = match &page.last {
            Some(last) => Some(place.after(last.clone(), query.limit())),
            None => place.list.next().map(|list| ListPlace::beginning_of(list, query.limit())),
        };
        Ok(Listed {
            items: page.items_of(&query.window()),
            next: next.map(|next| next.cursor()),
            complete_since: (place.list == StripeList::Events).then(|| forgotten(&query.window(), reply)).flatten(),
        })
    }

    /// A payment of a page, by the code that reads the answer to a look-up.
    fn payment_of(&self, entry: &str, reply: &HttpReply, with_review: bool) -> Option<page::Entry> {
        let mut facts = super::payment::read(entry.as_bytes(), self.account.as_deref()).ok()?;
        if facts.missing_right.take().is_some() && with_review {
            facts.missing_right = self.reviews_right.note();
        }
        let facts = reply::stamped(facts, reply);
        Some(page::Entry {
            id: Some(PaymentId::parse_plain(&facts.id)?),
            created: facts.created,
            read: page::ReadEntry::Item(ListedItem::Payment(Box::new(facts))),
        })
    }
}

fn too_large() -> ProviderError {
    ProviderError::unreadable("one entry of the list is larger than 8 MiB").permanent_by_code("entry_too_large")
}

/// Since when events are complete, where those of the window's beginning are forgotten. Without the answer's time none of them
/// is known to be there.
fn forgotten(window: &Range<u64>, reply: &HttpReply) -> Option<u64> {
    let kept_since = reply::date(reply).map_or(window.end, |now| now.saturating_sub(EVENTS_KEPT));
    (window.start < kept_since).then_some(kept_since)
}

#[cfg(test)]
mod tests;
