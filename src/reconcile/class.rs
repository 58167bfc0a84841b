//! The kinds of what is told, and of what is only counted.

use serde::{Deserialize, Serialize};

use crate::accessors::named;

named! {
    /// What is wrong between a payment and an order.
    ///
    /// In the order in which a report tells them: what costs a shopper or the shop money comes first.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum DiscrepancyClass {
        /// Money was kept, and no order names the payment or is named by it.
        PaidNotOrdered = "paid_not_ordered",
        /// Money was kept, and the payment's own order is there and not marked as paid. Of less than its total in its currency,
        /// this is told once no balance came for as long as a payment may be
        /// [pending](super::ReconcilerBuilder::pending_after).
        OrderUnmarked = "order_unmarked",
        /// The shop says that the order is paid. The provider says otherwise, knows no such payment, or none is named.
        OrderedNotPaid = "ordered_not_paid",
        /// Amount, currency, tenant, order or mode differ, as the verdict on the payment says.
        Differs = "differs",
        /// Several payments were kept for one order, and together they are more than its total, or that is unknown; or the shop
        /// says that it was paid by other means, and its total was kept here too.
        OrderPaidTwice = "order_paid_twice",
        /// Several orders that the shop says are paid name one payment.
        PaymentUsedTwice = "payment_used_twice",
        /// Money was kept for an order that is cancelled, or, with nothing given back, for one that the shop says is refunded.
        CancelledButPaid = "cancelled_but_paid",
        /// All of the money had been given back before the order was shipped.
        RefundedButShipped = "refunded_but_shipped",
        /// The payment had been disputed before the order was shipped.
        DisputedButShipped = "disputed_but_shipped",
        /// The payment was redeemed for an order that the shop does not list as paid.
        RedeemedWithoutOrder = "redeemed_without_order",
        /// Under way for longer than it should be.
        Pending = "pending",
        /// It could not be found out: an item, an id or a line that cannot be read, a status this crate does not know, a look-up
        /// that failed.
        Unknown = "unknown",
    } code(self: Self)
}

impl DiscrepancyClass {
    /// Every class, in the order of a report.
    pub const ALL: [Self; 12] = [
        Self::PaidNotOrdered,
        Self::OrderUnmarked,
        Self::OrderedNotPaid,
        Self::Differs,
        Self::OrderPaidTwice,
        Self::PaymentUsedTwice,
        Self::CancelledButPaid,
        Self::RefundedButShipped,
        Self::DisputedButShipped,
        Self::RedeemedWithoutOrder,
        Self::Pending,
        Self::Unknown,
    ];

    /// Whether a webhook that is still to come may mend it: the money is there, and the shop has not heard of it.
    pub(super) const fn may_mend_itself(self) -> bool {
        matches!(self, Self::PaidNotOrdered | Self::OrderUnmarked | Self::RedeemedWithoutOrder)
    }

    /// The class of this code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}

named! {
    /// What is only counted: an order with its payments, or a payment without an order, of which there is nothing to tell.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[non_exhaustive]
    pub enum Unremarkable {
        /// Payments and order agree.
        Matched = "matched",
        /// Never paid, or given back, without an order that says otherwise.
        Abandoned = "abandoned",
        /// Under way, or a deposit without its balance, and not for too long.
        Waiting = "waiting",
        /// Outside the window by the time of its latest change, paid by other means, with nothing to pay, or an older payment
        /// whose order need not be among those given.
        Outside = "outside",
        /// It would be told, but changed within half an hour before the orders were exported. The next run looks again.
        TooRecent = "too_recent",
        /// It would be told, since payment or order changed again, and stands as an earlier run over the same
        /// [work folder](super::ReconcilerBuilder::work) told it.
        ToldBefore = "told_before",
    } code(self: Self)
}

impl Unremarkable {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Matched, Self::Abandoned, Self::Waiting, Self::Outside, Self::TooRecent, Self::ToldBefore];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_written_as_its_code_says_and_reads_back() {
        for class in DiscrepancyClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.code());
            assert_eq!(DiscrepancyClass::parse(class.code()), Some(class));
        }
        for kind in Unremarkable::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.code());
        }
    }
}
