//! Payments that are made when they are asked for, so that a million of them need little memory.

use std::fmt;

use super::lists::{EntryPlace, ListPage, PaymentPlace, SandboxList};
use super::payment::SandboxPayment;

type Make = dyn Fn(u64, &str) -> SandboxPayment + Send + Sync;

/// Payments by their numbers, and of each list where they stand on it.
pub(super) struct GeneratedPayments {
    prefix: String,
    count: u64,
    make: Box<Make>,
    /// Sorted by time, number, and which one of the payment's own it is.
    places: [Vec<(u64, u64, u32)>; 4],
}

impl fmt::Debug for GeneratedPayments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeneratedPayments")
            .field("prefix", &self.prefix)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl GeneratedPayments {
    pub(super) fn new(prefix: &str, count: u64, make: Box<Make>) -> Self {
        let mut generated = Self { prefix: prefix.to_owned(), count, make, places: Default::default() };
        let mut places: [Vec<(u64, u64, u32)>; 4] = Default::default();
        for number in 0..count {
            let payment = generated.payment(number);
            for (list, places) in SandboxList::ALL.into_iter().zip(&mut places) {
                places.extend(list.of(&payment).into_iter().map(|(at, nth)| (at, number, nth)));
            }
        }
        for places in &mut places {
            places.sort_unstable();
            places.shrink_to_fit();
        }
        generated.places = places;
        generated
    }

    pub(super) fn payment(&self, number: u64) -> SandboxPayment {
        let id = format!("{}{number}", self.prefix);
        let mut payment = (self.make)(number, &id);
        payment.id = id;
        payment
    }

    /// The number of the payment with this id.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        let number: u64 = id.strip_prefix(&self.prefix)?.parse().ok()?;
        (number < self.count && id == format!("{}{number}", self.prefix)).then_some(number)
    }

    /// Where entries of a page stand that begin at `since` and come before a place, the newest first.
    pub(super) fn places<'p>(
        &'p self,
        (page, set): (&ListPage, usize),
        since: u64,
        before: Option<EntryPlace>,
        is_listed: impl Fn(&SandboxPayment, u32) -> bool + 'p,
    ) -> impl Iterator<Item = EntryPlace> + 'p {
        let of = SandboxList::ALL.iter().zip(&self.places).find(|(list, _)| **list == page.list);
        let places = of.map(|(_, places)| places.as_slice()).unwrap_or_default();
        let place = move |(at, number, nth): &(u64, u64, u32)| (*at, PaymentPlace { set, number: *number }, *nth);
        let is_before =
            |entry: &(u64, u64, u32)| entry.0 < page.until && before.is_none_or(|before| place(entry) < before);
        let places = places.get(..places.partition_point(is_before)).unwrap_or_default();
        let places = places.iter().rev().take_while(move |(at, ..)| *at >= since);
        places.filter(move |(_, number, nth)| is_listed(&self.payment(*number), *nth)).map(place)
    }
}
