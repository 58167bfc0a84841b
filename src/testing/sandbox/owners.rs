//! Everything that a sandbox holds, as it was at one moment, and the pages of it.
//!
//! On a list the newest stand first; of one second those of payments that were put in later.

use std::sync::Arc;

use super::body::PreparedBody;
use super::disputes::PAGE;
use super::generated::GeneratedPayments;
use super::lists::{EntryPlace, ListPage, PaymentPlace, SandboxList};
use super::payment::SandboxPayment;

/// Events are listed for so many seconds, as at Stripe.
const EVENTS_KEPT: u64 = 30 * 86_400;

/// All payments at one moment.
#[derive(Debug)]
pub(super) struct Owners {
    /// Sorted by number.
    kept: Vec<(u64, Arc<PreparedBody>)>,
    generated: Vec<Arc<GeneratedPayments>>,
}

impl Owners {
    /// `kept` are those that were put in, sorted by number.
    pub(super) fn new(kept: Vec<(u64, Arc<PreparedBody>)>, generated: Vec<Arc<GeneratedPayments>>) -> Self {
        Self { kept, generated }
    }

    /// A page of a list; `None` where what it is to begin after is unknown.
    pub(super) fn page(&self, asked: &ListPage, now: u64) -> Option<Arc<[u8]>> {
        let limit = asked.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1);
        let before = match &asked.starting_after {
            Some(id) => Some(self.place_of(asked.list, id)?),
            None => None,
        };
        let forgotten = if asked.list == SandboxList::Events { now.saturating_sub(EVENTS_KEPT) } else { 0 };
        let mut places = self.places(asked, asked.since.max(forgotten), before, limit.saturating_add(1));
        places.sort_unstable_by(|one, other| other.cmp(one));
        let has_more = places.len() > limit;
        places.truncate(limit);
        let mut body = br#"{"object":"list","data":["#.to_vec();
        for (at, (_, owner, nth)) in places.into_iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            self.with(owner, |payment| body.extend(asked.list.json(payment, nth, asked.expansion)));
        }
        body.extend_from_slice(format!(r#"],"has_more":{has_more},"url":"{}"}}"#, asked.list.path()).as_bytes());
        Some(body.into())
    }

    /// Where the entry of this id stands. Each names its payment: `re_1_1` is one of `pi_1`.
    fn place_of(&self, list: SandboxList, id: &str) -> Option<EntryPlace> {
        let rest = id.split_once('_').map_or(id, |(_, rest)| rest);
        let shorter = rest.rsplit_once('_').map_or(rest, |(shorter, _)| shorter);
        let whole = [id.to_owned(), format!("pi_{rest}"), format!("pi_{shorter}"), rest.to_owned(), shorter.to_owned()];
        whole.iter().filter_map(|payment| self.find(payment)).find_map(|owner| {
            let place = self.with(owner, |payment| {
                let mut own = list.of(payment).into_iter();
                own.find(|(_, nth)| list.id(payment, *nth) == id)
            });
            place.flatten().map(|(at, nth)| (at, owner, nth))
        })
    }

    fn with<T>(&self, owner: PaymentPlace, see: impl FnOnce(&SandboxPayment) -> T) -> Option<T> {
        match owner.set.checked_sub(1) {
            None => {
                let at = self.kept.binary_search_by_key(&owner.number, |(number, _)| *number).ok()?;
                self.kept.get(at).map(|(_, kept)| see(kept.payment()))
            }
            Some(set) => self.generated.get(set).map(|generated| see(&generated.payment(owner.number))),
        }
    }

    fn find(&self, id: &str) -> Option<PaymentPlace> {
        let kept = self.find_kept(id).map(|number| PaymentPlace { set: 0, number });
        kept.or_else(|| self.sets().find_map(|(set, of)| Some(PaymentPlace { set, number: of.number(id)? })))
    }

    fn find_kept(&self, id: &str) -> Option<u64> {
        self.kept.iter().find(|(_, kept)| kept.payment().id == id).map(|(number, _)| *number)
    }

    fn sets(&self) -> impl Iterator<Item = (usize, &GeneratedPayments)> {
        (1..).zip(self.generated.iter().map(|generated| &**generated))
    }

    /// Where entries of a page stand that begin at `since` and come before a place: so many of each set at most, the newest.
    fn places(&self, page: &ListPage, since: u64, before: Option<EntryPlace>, most: usize) -> Vec<EntryPlace> {
        let is_inside =
            |place: &EntryPlace| (since..page.until).contains(&place.0) && before.is_none_or(|before| *place < before);
        let kept = self.kept.iter().flat_map(|(number, kept)| {
            let owner = PaymentPlace { set: 0, number: *number };
            let entries = page.list.of(kept.payment()).into_iter();
            entries.filter(|(_, nth)| page.is_of(kept.payment(), *nth)).map(move |(at, nth)| (at, owner, nth))
        });
        let mut places: Vec<EntryPlace> = kept.filter(is_inside).collect();
        for (set, generated) in self.sets() {
            let is_listed =
                |payment: &SandboxPayment, nth: u32| page.is_of(payment, nth) && self.find_kept(&payment.id).is_none();
            places.extend(generated.places((page, set), since, before, is_listed).take(most));
        }
        places
    }
}
