//! The records that are sorted: by payment what the provider and the orders say of it, and by order what there is to judge.

use std::io;

use serde::{Deserialize, Serialize};

use crate::intent::payment_intent::PaymentId;
use crate::payment::facts::{PaymentStatus, ProviderPayment};

use super::discrepancy::{MoneyParts, money_of, parts};
use super::order::{NamedPayment, OrderRecord, OrderState};
use super::run_file::decode;

/// What is known of a payment from one place, under its id.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum PaymentRow {
    /// The provider listed it. The first row, see [`is_listed`](Self::is_listed).
    Listed(Box<ProviderPayment>),
    /// It was looked up by itself.
    LookedUp(Box<ProviderPayment>),
    /// That failed, with this code.
    Failed(Box<str>),
    /// The provider listed it, and its adapter could not read it.
    Unreadable,
    /// Something happened to it.
    Changed(ChangeRow),
    /// An earlier run left it to this one, to be looked up where it is not in the list.
    Carried(CarriedRow),
    /// An order names it.
    Named(NamedBy),
    /// An order names it by this alias, under which it is judged.
    HasAlias(Box<str>),
    /// It was redeemed for this tenant's order, which the shop does not list as paid.
    Redeemed(Box<str>, Box<str>),
    /// It is an alias, and it was found out which payment it stands for: itself, where it ended without one.
    StandsFor(Box<str>),
}

impl PaymentRow {
    /// Whether these bytes are of a payment that was listed, as most are: told without reading them.
    pub(super) fn is_listed(bytes: &[u8]) -> bool {
        // Its place among the rows comes first.
        bytes.first() == Some(&0)
    }
}

/// What an earlier run leaves to the next one about a payment. Of several of one payment the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct CarriedRow {
    /// Whether it is looked up where it is not in the list.
    pub(super) is_looked_up: bool,
    /// Whether the earlier run left it to the next one to tell, by whose window it then counts.
    pub(super) is_left: bool,
    /// When it changed for the last time, where it has to be looked at again without a change.
    pub(super) changed: Option<u64>,
    /// How far it had come, as far as that was known.
    pub(super) stage: Option<PaymentStage>,
    /// Whether its order has to be there.
    pub(super) needs_order: bool,
}

/// How far a payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum PaymentStage {
    /// It waits for the shopper, who may never go on.
    WithShopper,
    /// It goes on by itself.
    UnderWay,
    /// It stays as it is, but for refunds and disputes.
    Final,
}

impl PaymentStage {
    pub(super) fn of(facts: &ProviderPayment) -> Self {
        match facts.status {
            PaymentStatus::Paid | PaymentStatus::Canceled | PaymentStatus::NotFound => Self::Final,
            PaymentStatus::ActionRequired | PaymentStatus::Declined => Self::WithShopper,
            PaymentStatus::Processing | PaymentStatus::Authorized | PaymentStatus::Unknown(_) => Self::UnderWay,
        }
    }
}

/// What happened to a payment, and when.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ChangeRow {
    pub(super) at: u64,
    pub(super) is_paid: bool,
    pub(super) is_refund: bool,
    pub(super) is_dispute: bool,
}

/// An order that names a payment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct NamedBy {
    /// See [`owner_key`].
    pub(super) owner: Vec<u8>,
    /// Whether the shop says that the order is paid.
    pub(super) is_paid: bool,
    /// Whether its payment is looked up where the provider did not list it.
    pub(super) is_looked_up: bool,
    /// Whether no more than its payment could be read of the line.
    pub(super) is_unusable: bool,
    pub(super) latest: Option<u64>,
}

/// What is known of an order from one place, under its tenant and order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum OrderRow {
    /// The shop exported it.
    Order(OrderFields),
    /// A line of the export cannot be used.
    Unusable(Option<Box<str>>),
    /// Its line could not be used in an earlier run, which therefore judged nothing of it.
    WasUnusable,
    /// A payment names it, or is named by it.
    Payment(Box<CasePayment>),
    /// This payment was redeemed for it, by this tenant.
    Redeemed(Box<str>, Box<str>),
}

/// A payment as it is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is known by itself, from another place")]
pub(super) struct CasePayment {
    /// The id that it is named by, or its own.
    pub(super) id: Box<str>,
    /// Whether the order names it.
    pub(super) is_named: bool,
    /// Whether it is judged with another order that names it.
    pub(super) is_taken: bool,
    /// Whether the provider listed it, now or in an earlier run that carried it for that: then its order has to be there.
    pub(super) is_listed: bool,
    /// What an earlier run left of it.
    pub(super) carried: Option<CarriedRow>,
    /// Whether it was looked up by itself in this run.
    pub(super) is_fresh: bool,
    /// When it was paid, as a change says.
    pub(super) paid: Option<u64>,
    /// When the last refund was made.
    pub(super) refunded: Option<u64>,
    /// When the first dispute was opened.
    pub(super) disputed: Option<u64>,
    /// When anything happened to it for the last time.
    pub(super) changed: Option<u64>,
    pub(super) facts: Option<ProviderPayment>,
    /// The code of the failure where it was looked up and there are no facts.
    pub(super) failure: Option<Box<str>>,
    /// The tenant's order that it was redeemed for, where the shop does not list that as paid.
    pub(super) redeemed: Option<(Box<str>, Box<str>)>,
}

/// The fields of an order, as files hold them.
pub(super) type OrderFields = (
    (Box<str>, Box<str>, OrderState),
    Option<Option<PaymentId>>,
    Option<MoneyParts>,
    Option<Box<str>>,
    [Option<u64>; 5],
);

impl OrderRecord {
    pub(super) fn to_fields(&self) -> OrderFields {
        let payment = self.payment.as_ref().map(|named| match named {
            NamedPayment::Id(id) => Some(id.clone()),
            NamedPayment::Unusable => None,
        });
        let times = [self.created, self.paid, self.shipped, self.cancelled, self.updated];
        let whose = (self.tenant.clone(), self.order.clone(), self.state);
        (whose, payment, self.money.map(parts), self.paid_by.clone(), times)
    }

    /// A function, since an implementation of `From` would make the fields public.
    pub(super) fn of_fields(fields: OrderFields) -> Self {
        let ((tenant, order, state), payment, money, paid_by, [created, paid, shipped, cancelled, updated]) = fields;
        let payment = payment.map(|id| id.map_or(NamedPayment::Unusable, NamedPayment::Id));
        let money = money.map(money_of);
        Self { tenant, order, state, payment, money, paid_by, created, paid, shipped, cancelled, updated }
    }
}

/// What an order is sorted by. No text of a tenant or an order has the byte between them, since control characters are refused.
/// Where one tenant alone is served, none is part of it: payments need not name it.
pub(super) fn owner_key(tenant: Option<&str>, order: &str) -> Vec<u8> {
    [tenant.unwrap_or_default().as_bytes(), b"\0", order.as_bytes()].concat()
}

/// The tenant and the order of such a key.
pub(super) fn owner_of(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key).ok()?.split_once('\0').filter(|(_, order)| !order.is_empty())
}

/// Puts all that is known of a payment from several places together.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) payment: CasePayment,
    pub(super) named_by: Vec<NamedBy>,
    /// Whether there is a row that the provider's list made.
    pub(super) is_in_list: bool,
    /// Whether it is looked up where it is not in the list.
    pub(super) must_be_looked_up: bool,
    pub(super) has_alias: bool,
    /// Of an alias: the payment that it is known to stand for, or itself.
    pub(super) stands_for: Option<Box<str>>,
}

impl Gathered {
    /// Of the rows of one key.
    pub(super) fn of<'v>(id: &[u8], rows: impl Iterator<Item = &'v [u8]>) -> io::Result<Self> {
        let mut gathered = Self {
            payment: CasePayment::new(&String::from_utf8_lossy(id)),
            named_by: Vec::new(),
            is_in_list: false,
            must_be_looked_up: false,
            has_alias: false,
            stands_for: None,
        };
        for row in rows {
            gathered.add(decode(row)?);
        }
        gathered.named_by.sort_unstable();
        gathered.named_by.dedup();
        if gathered.payment.facts.is_some() {
            gathered.payment.failure = None;
        }
        Ok(gathered)
    }

    fn add(&mut self, row: PaymentRow) {
        let Self { payment, named_by, is_in_list, must_be_looked_up, has_alias, stands_for } = self;
        match row {
            PaymentRow::Listed(facts) => {
                (*is_in_list, payment.is_listed) = (true, true);
                if !payment.is_fresh {
                    payment.take(*facts);
                }
            }
            PaymentRow::LookedUp(facts) => {
                if !payment.is_fresh {
                    payment.facts = None;
                }
                payment.is_fresh = true;
                payment.take(*facts);
            }
            PaymentRow::Failed(code) => payment.failure = Some(code),
            PaymentRow::Changed(change) => payment.add_change(change),
            PaymentRow::Carried(left) => {
                payment.carried = payment.carried.max(Some(left));
                payment.is_listed |= left.needs_order;
                *must_be_looked_up |= left.is_looked_up;
            }
            PaymentRow::Unreadable => (payment.is_listed, *must_be_looked_up) = (true, true),
            PaymentRow::Named(by) => named_by.push(by),
            PaymentRow::HasAlias(_) => *has_alias = true,
            PaymentRow::StandsFor(payment) => *stands_for = Some(payment),
            PaymentRow::Redeemed(tenant, order) => payment.redeemed = Some((tenant, order)),
        }
    }
}

impl CasePayment {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            is_named: false,
            is_taken: false,
            is_listed: false,
            carried: None,
            is_fresh: false,
            paid: None,
            refunded: None,
            disputed: None,
            changed: None,
            facts: None,
            failure: None,
            redeemed: None,
        }
    }

    /// Takes facts in, unless later ones are there. Of the same time those count that come later in order, so that it does not
    /// matter which came first.
    fn take(&mut self, facts: ProviderPayment) {
        if self.facts.as_ref().is_none_or(|known| known.as_of <= facts.as_of) {
            self.facts = Some(facts);
        }
    }

    fn add_change(&mut self, ChangeRow { at, is_paid, is_refund, is_dispute }: ChangeRow) {
        self.changed = self.changed.max(Some(at));
        if is_paid {
            self.paid = self.paid.max(Some(at));
        }
        if is_refund {
            self.refunded = self.refunded.max(Some(at));
        }
        if is_dispute {
            self.disputed = Some(self.disputed.map_or(at, |first| first.min(at)));
        }
    }
}
