//! Lists of what a provider has: the payments of a window of time, and what happened in it to older ones.

use std::ops::Range;

use crate::accessors::{display_as_str, getters, named, setters};
use crate::intent::invalid_intent::{Field, InvalidIntent};
use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::ProviderPayment;

/// What a page has at most unless a query says otherwise; the most that Stripe gives.
const LIMIT: u16 = 100;

named! {
    /// What is listed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ListOf {
        /// The payments that were created in the window, as they are now.
        Payments = "payments",
        /// What happened in the window to payments, whenever they were created: refunds, disputes and what became of them, and late
        /// successes or cancellations where the provider tells them.
        Changes = "changes",
    } as_str(self: Self)
}

named! {
    /// What happened to a payment.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum ChangeOf {
        /// It succeeded.
        Paid = "paid",
        /// It was canceled.
        Canceled = "canceled",
        /// Something of it was given back, or is to be.
        Refunded = "refunded",
        /// A refund of it failed or was canceled: the merchant has the money again.
        RefundFailed = "refund_failed",
        /// The shopper disputed it.
        Disputed = "disputed",
        /// A dispute of it was decided, for either side.
        DisputeClosed = "dispute_closed",
    } as_str(self: Self)
}

/// Where a list goes on, in the provider's own words.
///
/// Keep it as it is: only the adapter that gave it can read it, and only for the same window of the same kind of list. It may be
/// written down, and a list that broke off goes on from it in another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCursor(Box<str>);

impl ListCursor {
    /// The longest cursor, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Takes a cursor back that was written down, or makes one in an adapter: 1 to 1024 printable ASCII characters, and no
    /// space.
    ///
    /// # Errors
    /// Names the field `cursor` when the text breaks that rule.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, InvalidIntent> {
        let text = text.as_ref();
        let is_kept = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let wrong =
            || InvalidIntent::new(Field::Cursor, "must have 1 to 1024 printable ASCII characters, and no space");
        if is_kept { Ok(Self(text.into())) } else { Err(wrong()) }
    }

    /// One whose adapter holds to that rule.
    #[cfg(feature = "stripe")]
    pub(crate) fn of_adapter(text: String) -> Self {
        Self(text.into())
    }

    getters! {
        /// The cursor as text.
        pub fn as_str(&self) -> &str => &self.0;
    }
}

display_as_str!(ListCursor);

/// One page of a list: what, of which window, from where, and how much of it.
///
/// ```
/// use payproof::provider::{ListOf, ListQuery};
///
/// // The first day of 2026, in UTC.
/// let query = ListQuery::new(ListOf::Payments, 1_767_225_600, 1_767_312_000)?;
/// assert_eq!((query.window(), query.limit(), query.cursor()), (1_767_225_600..1_767_312_000, 100, None));
/// assert!(ListQuery::new(ListOf::Payments, 1_767_312_000, 1_767_225_600).is_err());
/// # Ok::<(), payproof::InvalidIntent>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    what: ListOf,
    since: u64,
    until: u64,
    limit: u16,
    cursor: Option<ListCursor>,
}

impl ListQuery {
    /// Asks for the first page of a window, from `since` on and before `until`, in seconds since 1970 by the provider's clock.
    ///
    /// # Errors
    /// Names the field `until` when the window has no second in it.
    pub fn new(what: ListOf, since: u64, until: u64) -> Result<Self, InvalidIntent> {
        if since >= until {
            return Err(InvalidIntent::new(Field::Until, "must be later than the beginning of the window"));
        }
        Ok(Self { what, since, until, limit: LIMIT, cursor: None })
    }

    setters! {
        /// Goes on where an earlier page ended; at the beginning unless set.
        pub fn with_cursor(mut self, cursor: ListCursor) => self.cursor = Some(cursor);

        /// How many items the page has at most; 100 unless set, and 0 counts as 1. A provider may give fewer.
        pub fn with_limit(mut self, limit: u16) => self.limit = limit.max(1);
    }

    getters! {
        /// What is listed.
        pub fn what(&self) -> ListOf => self.what;

        /// The window, in seconds since 1970. Its end is no part of it, so that two windows that meet have nothing in common.
        pub fn window(&self) -> Range<u64> => self.since..self.until;

        /// How many items the page has at most, 1 or more.
        pub fn limit(&self) -> u16 => self.limit;

        /// Where the page begins; `None` for the first one.
        pub fn cursor(&self) -> Option<&ListCursor> => self.cursor.as_ref();
    }
}

/// One page of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// What the page has. It may be empty although there is a next one.
    pub items: Vec<ListedItem>,
    /// Where the list goes on; `None` on its last page.
    pub next: Option<ListCursor>,
    /// Where the provider has forgotten what is older: the second from which on it lists all. `None` where it lists all of the
    /// window.
    ///
    /// Stripe keeps events for 30 days, and refunds and disputes for good.
    pub complete_since: Option<u64>,
}

/// One item of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum ListedItem {
    /// A payment, with its facts as far as a list states them. A look-up may ask further, as for refunds and disputes.
    Payment(Box<ProviderPayment>),
    /// Something happened to a payment, which has to be looked up.
    Changed {
        /// Which payment.
        payment: PaymentId,
        /// What happened.
        what: ChangeOf,
        /// When, in seconds since 1970.
        at: u64,
    },
    /// An item that the adapter cannot read.
    Unreadable {
        /// Which payment it is, or is about, if that much can be read.
        payment: Option<PaymentId>,
        /// When it was made, in seconds since 1970: one second where that can be read, else all that it may be, as those between
        /// its neighbors in the list.
        made: Range<u64>,
    },
}

#[cfg(test)]
mod tests {
    use crate::provider::{Advice, ProviderError, Reach};

    use super::*;

    #[test]
    fn a_cursor_is_text_that_fits_a_line() {
        for text in ["payments:100:pi_1", &"x".repeat(1024)] {
            assert_eq!(ListCursor::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a b", "a\n", "é", &"x".repeat(1025)] {
            let wrong = ListCursor::parse(text).unwrap_err();
            assert_eq!(wrong.field(), Field::Cursor, "{text}");
        }
    }

    #[test]
    fn a_window_has_a_second_in_it_and_a_page_an_item() {
        assert_eq!(ListQuery::new(ListOf::Changes, 5, 5).unwrap_err().field(), Field::Until);
        let query = ListQuery::new(ListOf::Changes, 5, 6).unwrap();
        assert_eq!((query.window(), query.with_limit(0).limit()), (5..6, 1));
    }

    #[test]
    fn what_an_adapter_cannot_do_is_not_tried_again() {
        let error = ProviderError::unsupported("this adapter lists no payments");
        assert_eq!((error.code(), error.reach()), (Some("unsupported"), Reach::NotSent));
        assert_eq!(error.advice(), Some(Advice::Code { retry: false }));
    }
}
