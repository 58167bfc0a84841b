//! Where a list goes on: which of Stripe's lists, behind which entry, and how many entries fit a page.

use crate::intent::payment_intent::PaymentId;
use crate::provider::{ListCursor, ListOf, ListQuery, ProviderError};

/// The most entries of a page (<https://docs.stripe.com/api/pagination>).
const MAX_LIMIT: u16 = 100;

/// The lists that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StripeList {
    Payments,
    Refunds,
    Disputes,
    Events,
}

impl StripeList {
    const ALL: [Self; 4] = [Self::Payments, Self::Refunds, Self::Disputes, Self::Events];

    fn first(what: ListOf) -> Self {
        match what {
            ListOf::Payments => Self::Payments,
            ListOf::Changes => Self::Refunds,
        }
    }

    /// The list that follows, of the same kind.
    pub(super) fn next(self) -> Option<Self> {
        match self {
            Self::Refunds => Some(Self::Disputes),
            Self::Disputes => Some(Self::Events),
            Self::Payments | Self::Events => None,
        }
    }

    fn is_of(self, what: ListOf) -> bool {
        (self == Self::Payments) == (what == ListOf::Payments)
    }

    /// Where it stands below `/v1/`, which is also its name in cursors.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Payments => crate::provider::stripe::payment::LIST,
            Self::Refunds => "refunds",
            Self::Disputes => "disputes",
            Self::Events => "events",
        }
    }
}

/// The place of one page. As a cursor: `payment_intents:100:pi_1`, with nothing behind the last colon at a list's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListPlace {
    pub(super) list: StripeList,
    /// How many entries the page has at most. It stands in the cursor since it is halved where a page is too large to be read.
    pub(super) limit: u16,
    pub(super) after: Option<PaymentId>,
}

impl ListPlace {
    pub(super) fn of(query: &ListQuery) -> Result<Self, ProviderError> {
        let first = Self::beginning_of(StripeList::first(query.what()), query.limit());
        let Some(cursor) = query.cursor() else { return Ok(first) };
        Self::parse(cursor.as_str()).filter(|place| place.list.is_of(query.what())).ok_or_else(|| {
            ProviderError::not_sent("the cursor is not of this list of Stripe's").permanent_by_code("cursor")
        })
    }

    pub(super) fn beginning_of(list: StripeList, asked: u16) -> Self {
        Self { list, limit: asked.clamp(1, MAX_LIMIT), after: None }
    }

    /// The next page of the same list. One that was halved grows again.
    pub(super) fn after(&self, last: PaymentId, asked: u16) -> Self {
        let limit = self.limit.saturating_mul(2).min(asked.clamp(1, MAX_LIMIT));
        Self { list: self.list, limit, after: Some(last) }
    }

    /// The same place with half as many entries; `None` where it is a single one.
    pub(super) fn halved(&self) -> Option<Self> {
        let limit = self.limit.checked_div(2).filter(|limit| *limit > 0)?;
        Some(Self { limit, ..self.clone() })
    }

    fn parse(text: &str) -> Option<Self> {
        let (path, rest) = text.split_once(':')?;
        let (limit, after) = rest.split_once(':')?;
        let list = StripeList::ALL.into_iter().find(|list| list.path() == path)?;
        let limit = limit.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit))?;
        let after = if after.is_empty() { None } else { Some(PaymentId::parse_plain(after)?) };
        Some(Self { list, limit, after })
    }

    pub(super) fn cursor(&self) -> ListCursor {
        let Self { list, limit, after } = self;
        ListCursor::of_adapter(format!("{}:{limit}:{}", list.path(), after.as_ref().map_or("", PaymentId::as_str)))
    }
}
