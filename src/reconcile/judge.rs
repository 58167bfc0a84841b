//! What is wrong with a case, and whether it is this run's to tell.
//!
//! Whether a payment pays an order is decided where `validate` decides it, by `Rules::judge`. Here stands what follows from that
//! for the shop.

use std::sync::Arc;

use crate::intent::money::Money;
use crate::lookup::lookups::Lookups;
use crate::payment::dispute::Dispute;
use crate::payment::facts::{PaymentStatus, ProviderPayment};
use crate::payment::method::PaymentMethod;
use crate::payment::waits_for::WaitsFor;
use crate::spread::Handle;

use super::builder::DAY;
use super::case::{Case, CaseDecision};
use super::class::{DiscrepancyClass, Unremarkable};
use super::discrepancy::Discrepancy;
use super::order::{NamedPayment, OrderRecord};
use super::rows::{CarriedRow, CasePayment, PaymentStage, owner_of};

/// The longest that a debit of a bank account takes: by SEPA, 14 days with the bank's own time.
const LONGEST_DEBIT: u64 = 14 * DAY;

/// Why it is not known of a payment that brought money whether an order names it.
const ALIAS_UNKNOWN: &str = "alias_unknown";

/// Judges cases by a validator's rules, and by the times of a run.
#[derive(Clone)]
pub(super) struct CaseJudge {
    pub(super) lookups: Arc<Handle<Lookups>>,
    pub(super) since: u64,
    pub(super) until: u64,
    pub(super) orders_as_of: u64,
    /// When the run began, up to when changes are listed.
    pub(super) began: u64,
    pub(super) look_back: u64,
    pub(super) longest_carried: u64,
    pub(super) pending_after: u64,
    pub(super) too_recent: u64,
    pub(super) recent: u64,
    /// Whether it could not be found out of an alias which payment it stands for.
    pub(super) is_alias_unknown: bool,
}

/// What is to be said of one case.
pub(super) enum Conclusion<'c> {
    Count(Unremarkable),
    /// It waits for more than this payment, which is final and has to be looked at again.
    Await(&'c CasePayment),
    Tell(Telling<'c>),
    /// Another case says it.
    Nothing,
}

/// What is to be told, if the time of it is this run's.
pub(super) struct Telling<'c> {
    pub(super) class: DiscrepancyClass,
    pub(super) payment: Option<&'c CasePayment>,
    pub(super) findings: Vec<Box<str>>,
    /// When that is other than the latest change.
    pub(super) at: Option<u64>,
}

impl Telling<'_> {
    fn is_for_want_of_alias(&self) -> bool {
        self.findings.iter().any(|finding| &**finding == ALIAS_UNKNOWN)
    }
}

impl<'c> Conclusion<'c> {
    pub(super) fn tell(class: DiscrepancyClass, payment: Option<&'c CasePayment>, findings: Vec<Box<str>>) -> Self {
        Self::Tell(Telling { class, payment, findings, at: None })
    }
}

impl CaseJudge {
    /// Judges a case.
    pub(super) fn decide(&self, case: &Case) -> CaseDecision {
        let mut decision = CaseDecision::default();
        if !case.users.is_empty() {
            let said = Conclusion::tell(DiscrepancyClass::PaymentUsedTwice, case.payments.first(), Vec::new());
            self.settle(case, said, &mut decision);
            return decision;
        }
        for payment in &case.payments {
            decision.carried.extend(self.carried(payment));
            decision.unseen.extend((payment.facts.is_none() && !payment.is_taken).then(|| payment.id.clone()));
        }
        if let Some(payment) =
            case.payments.iter().find(|payment| self.is_new(payment) && is_redeemed_for_no_order(payment))
        {
            let said = Conclusion::tell(DiscrepancyClass::RedeemedWithoutOrder, Some(payment), Vec::new());
            self.settle(case, said, &mut decision);
            return decision;
        }
        match &case.order {
            Some(order) => self.settle(case, self.with_order(order, &case.payments), &mut decision),
            None => {
                for payment in case.payments.iter().filter(|payment| !payment.is_taken) {
                    self.settle(case, self.without_order(payment, case.owner.is_some()), &mut decision);
                }
            }
        }
        decision
    }

    fn without_order<'c>(&self, payment: &'c CasePayment, names_order: bool) -> Conclusion<'c> {
        if let Some(code) = &payment.failure {
            return Conclusion::tell(DiscrepancyClass::Unknown, Some(payment), vec![code.clone()]);
        }
        let Some(facts) = &payment.facts else { return Conclusion::Nothing };
        if has_money(facts) {
            return match (self.is_new(payment), self.is_alias_unknown && !names_order) {
                (false, _) => Conclusion::Count(Unremarkable::Outside),
                // An order may name it by the alias.
                (true, true) => Conclusion::tell(DiscrepancyClass::Unknown, Some(payment), vec![ALIAS_UNKNOWN.into()]),
                (true, false) => Conclusion::tell(DiscrepancyClass::PaidNotOrdered, Some(payment), Vec::new()),
            };
        }
        self.unpaid(payment, facts).unwrap_or(Conclusion::Count(Unremarkable::Abandoned))
    }

    /// Whether its order has to be there: the payment is listed, or was paid in this window or since, however old it is.
    fn is_new(&self, payment: &CasePayment) -> bool {
        payment.is_listed || payment.paid.is_some_and(|paid| paid >= self.since)
    }

    /// What there is to say of a payment that brought no money, if there is anything.
    pub(super) fn unpaid<'c>(&self, payment: &'c CasePayment, facts: &ProviderPayment) -> Option<Conclusion<'c>> {
        if let PaymentStatus::Unknown(_) = &facts.status {
            return Some(Conclusion::tell(DiscrepancyClass::Unknown, Some(payment), vec!["status".into()]));
        }
        if !is_under_way(facts) {
            return None;
        }
        let began = facts.waits_until.or(facts.created).unwrap_or(self.since);
        let is_debit = facts.method == PaymentMethod::BankDebit || facts.waits_for == Some(WaitsFor::Debit);
        let patience = if is_debit { self.pending_after.max(LONGEST_DEBIT) } else { self.pending_after };
        let due = began.saturating_add(patience);
        if due >= self.until {
            return Some(Conclusion::Count(Unremarkable::Waiting));
        }
        let findings = vec![facts.status.as_str().into()];
        let class = DiscrepancyClass::Pending;
        Some(Conclusion::Tell(Telling { class, payment: Some(payment), findings, at: Some(due) }))
    }

    /// Tells it or counts it, by the time of the latest change.
    fn settle(&self, case: &Case, said: Conclusion<'_>, decision: &mut CaseDecision) {
        let telling = match said {
            Conclusion::Nothing => return,
            Conclusion::Count(kind) => return decision.counted.push(kind),
            Conclusion::Await(payment) => {
                decision.counted.push(Unremarkable::Waiting);
                let changed = self.latest_of(payment);
                return decision.carried.push(CarriedRow { changed, ..self.left(payment, true) }.of(payment));
            }
            Conclusion::Tell(telling) => telling,
        };
        let at = telling.at.unwrap_or_else(|| self.latest(case, telling.payment));
        // What is told since it has been so for long does not mend itself.
        let may_mend_itself = telling.class.may_mend_itself() && telling.at.is_none();
        let is_too_recent = may_mend_itself && at >= self.orders_as_of.saturating_sub(self.too_recent);
        let is_of_window = (self.since..self.until).contains(&at);
        // The next run, in whose window it is, need not find it by itself, and one that knows the alias says more.
        let is_left = at >= self.until || (is_of_window && (is_too_recent || telling.is_for_want_of_alias()));
        decision.carried.extend(telling.payment.filter(|_| is_left).map(|payment| self.left_to_tell(payment)));
        let discrepancy = self.told(case, telling, at);
        if is_of_window && !is_too_recent {
            decision.told.push(discrepancy);
        } else {
            decision.counted.push(if is_of_window { Unremarkable::TooRecent } else { Unremarkable::Outside });
            decision.standing.push(discrepancy);
        }
    }

    fn told(&self, case: &Case, Telling { class, payment, findings, .. }: Telling<'_>, at: u64) -> Discrepancy {
        let facts = payment.and_then(|payment| payment.facts.as_ref());
        let total = case.order.as_ref().and_then(|order| order.money);
        // Of several orders that name a payment, one that is not its own is told.
        let user = case.users.iter().rev().find_map(|user| owner_of(&user.owner));
        let user = user.map(|(tenant, order)| (tenant.into(), order.into()));
        let redeemed = payment.and_then(|payment| payment.redeemed.clone());
        let owner = user.or(redeemed).or_else(|| case.owner.clone());
        Discrepancy {
            class,
            at,
            payment: payment.map(|payment| own_id(payment).into()),
            owner,
            money: facts.and_then(|facts| self.money_kept(facts)).or(total),
            findings,
            confirmed: payment.is_none_or(|payment| payment.is_fresh),
            recent: class.may_mend_itself() && at >= self.orders_as_of.saturating_sub(self.recent),
            known: None,
        }
    }

    /// An order with more payments than can be one order's, of which the latest changed then.
    pub(super) fn crowded(&self, case: &Case, latest: u64) -> CaseDecision {
        let at = Some(self.latest(case, None).max(latest));
        let findings = vec!["too_many_payments".into()];
        let telling = Telling { class: DiscrepancyClass::Unknown, payment: None, findings, at };
        let mut decision = CaseDecision::default();
        self.settle(case, Conclusion::Tell(telling), &mut decision);
        decision
    }

    /// A line of the export that cannot be used. When it changed is unknown.
    pub(super) fn unusable(&self, case: &Case, payment: Option<Box<str>>) -> Discrepancy {
        Discrepancy {
            class: DiscrepancyClass::Unknown,
            at: self.since,
            payment,
            owner: case.owner.clone(),
            money: None,
            findings: vec!["unusable_order".into()],
            confirmed: true,
            recent: false,
            known: None,
        }
    }

    fn money_kept(&self, facts: &ProviderPayment) -> Option<Money> {
        let (kept, currency) = (facts.kept(), facts.currency?);
        (kept > 0).then(|| self.lookups.rules.units.to_money(kept, currency))
    }

    /// When a case last changed: its orders, the payment that is told of, and every payment that brought money.
    fn latest(&self, case: &Case, payment: Option<&CasePayment>) -> u64 {
        let of_order = case.order.as_ref().and_then(OrderRecord::latest);
        let of_users = case.users.iter().filter_map(|user| user.latest).max();
        let brought = |payment: &&CasePayment| !payment.is_taken && payment.facts.as_ref().is_some_and(has_money);
        let paying = case.payments.iter().filter(brought);
        let of_payments = paying.chain(payment).filter_map(|payment| self.latest_of(payment)).max();
        let is_judged_late = case.was_unusable.then_some(self.since);
        [of_order, of_users, of_payments, is_judged_late].into_iter().flatten().max().unwrap_or(self.since)
    }

    /// When a payment last changed.
    pub(super) fn latest_of(&self, payment: &CasePayment) -> Option<u64> {
        let facts = payment.facts.as_ref();
        let stated = facts.into_iter().flat_map(|facts| [facts.created, facts.paid_at]).flatten().max();
        let carried = payment.carried.zip(facts).and_then(|(left, facts)| self.since_carried(left, payment, facts));
        stated.max(payment.changed).max(carried)
    }

    /// When a payment changed that an earlier run carried: since then, if it has come to another stage. Where no change of it is
    /// listed, and it may have come after the last one that is, the next run knows more.
    fn since_carried(&self, left: CarriedRow, payment: &CasePayment, facts: &ProviderPayment) -> Option<u64> {
        if left.is_left || left.stage.is_none() {
            return Some(self.since);
        }
        if left.stage == Some(PaymentStage::of(facts)) {
            return left.changed;
        }
        let is_later = payment.changed.is_none() && facts.as_of.is_some_and(|as_of| as_of > self.began);
        Some(if is_later { self.until } else { self.since })
    }

    /// Whether the next run has to look at a payment again: until it is final, and known. What waits for the shopper alone may do
    /// so for good, and is followed for as long as it is listed.
    pub(super) fn carried(&self, payment: &CasePayment) -> Option<(Box<str>, CarriedRow)> {
        Some(self.left(payment, self.is_carried_to_be_looked_up(payment)?).of(payment))
    }

    /// The same of a payment of which this run judges nothing, though an order may be there. It is the next run's to tell.
    pub(super) fn carried_unjudged(&self, payment: &CasePayment) -> Option<(Box<str>, CarriedRow)> {
        let is_of_window = payment.facts.is_some() && self.latest_of(payment) >= Some(self.since);
        if is_of_window { Some(self.left_to_tell(payment)) } else { self.carried(payment) }
    }

    fn left_to_tell(&self, payment: &CasePayment) -> (Box<str>, CarriedRow) {
        CarriedRow { is_left: true, ..self.left(payment, true) }.of(payment)
    }

    fn left(&self, payment: &CasePayment, is_looked_up: bool) -> CarriedRow {
        let known = payment.facts.as_ref().map(PaymentStage::of);
        let stage = known.or_else(|| payment.carried.and_then(|left| left.stage));
        let goes_on = known.is_some_and(|stage| stage != PaymentStage::Final);
        let needs_order = goes_on || self.is_new(payment);
        CarriedRow { is_looked_up, is_left: false, changed: None, stage, needs_order }
    }

    fn is_carried_to_be_looked_up(&self, payment: &CasePayment) -> Option<bool> {
        let Some(facts) = payment.facts.as_ref() else {
            return (payment.carried.is_some() || payment.failure.is_some()).then_some(true);
        };
        let is_from = |first: u64| facts.created.is_none_or(|created| created >= first);
        match &facts.status {
            PaymentStatus::ActionRequired if is_under_way(facts) => {
                is_from(self.until.saturating_sub(self.longest_carried)).then_some(true)
            }
            PaymentStatus::ActionRequired | PaymentStatus::Declined => {
                is_from(self.until.saturating_sub(self.look_back)).then_some(false)
            }
            PaymentStatus::Processing | PaymentStatus::Authorized | PaymentStatus::Unknown(_) => Some(true),
            PaymentStatus::Paid | PaymentStatus::Canceled | PaymentStatus::NotFound => None,
        }
    }

    /// Whether an order names something that cannot be a payment of this provider's.
    pub(super) fn names_no_payment(&self, order: &OrderRecord) -> bool {
        match &order.payment {
            None => false,
            Some(NamedPayment::Unusable) => true,
            Some(NamedPayment::Id(id)) => self.lookups.account.retrier.provider.check(id).is_err(),
        }
    }

    /// Whether the order says that it was paid by something else than this provider.
    pub(super) fn is_paid_by_others(&self, order: &OrderRecord) -> bool {
        let name = self.lookups.account.identity.name();
        order.paid_by.as_ref().is_some_and(|means| !means.trim().eq_ignore_ascii_case(name))
    }
}

/// Whether a payment was redeemed for an order that the shop does not list as paid, and the money is there.
fn is_redeemed_for_no_order(payment: &CasePayment) -> bool {
    !payment.is_taken && payment.redeemed.is_some() && payment.facts.as_ref().is_some_and(has_money)
}

/// The payment's own id, where it was named by an alias.
pub(super) fn own_id(payment: &CasePayment) -> &str {
    payment.facts.as_ref().map_or(&payment.id, |facts| &facts.id)
}

/// Whether the merchant has money of this payment. What a dispute took back for good is gone.
pub(super) fn has_money(facts: &ProviderPayment) -> bool {
    matches!(facts.status, PaymentStatus::Paid | PaymentStatus::Canceled)
        && facts.kept() > 0
        && facts.dispute != Dispute::Lost
        && !facts.reversed
}

impl CarriedRow {
    /// Under the id by which the payment is named.
    fn of(self, payment: &CasePayment) -> (Box<str>, Self) {
        (payment.id.clone(), self)
    }
}

/// Whether all that was captured was given back.
pub(super) fn is_given_back(facts: &ProviderPayment) -> bool {
    facts.kept() == 0 && facts.amount_refunded.is_some_and(|refunded| refunded > 0)
}

/// Whether the payment goes on by itself, or when a bank says so: what waits for the shopper alone may never go on.
fn is_under_way(facts: &ProviderPayment) -> bool {
    let is_slow = matches!(
        facts.waits_for,
        Some(WaitsFor::Voucher | WaitsFor::BankTransfer | WaitsFor::PartlyFunded | WaitsFor::Microdeposits)
    );
    match facts.status {
        PaymentStatus::Processing | PaymentStatus::Authorized => true,
        PaymentStatus::ActionRequired => is_slow,
        _ => false,
    }
}
