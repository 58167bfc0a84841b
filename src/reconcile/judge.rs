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
use super::rows::{CarriedRow, CasePayment, owner_of};

/// The longest that a debit of a bank account takes: by SEPA, 14 days with the bank's own time.
const LONGEST_DEBIT: u64 = 14 * DAY;

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
}

/// What is to be said of one case.
pub(super) enum Conclusion<'c> {
    Count(Unremarkable),
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
                    self.settle(case, self.without_order(payment), &mut decision);
                }
            }
        }
        decision
    }

    fn without_order<'c>(&self, payment: &'c CasePayment) -> Conclusion<'c> {
        if let Some(code) = &payment.failure {
            return Conclusion::tell(DiscrepancyClass::Unknown, Some(payment), vec![code.clone()]);
        }
        let Some(facts) = &payment.facts else { return Conclusion::Nothing };
        if has_money(facts) {
            return if self.is_new(payment) {
                Conclusion::tell(DiscrepancyClass::PaidNotOrdered, Some(payment), Vec::new())
            } else {
                Conclusion::Count(Unremarkable::Outside)
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
            Conclusion::Tell(telling) => telling,
        };
        let at = telling.at.unwrap_or_else(|| self.latest(case, telling.payment));
        // What is told since it has been so for long does not mend itself.
        let may_mend_itself = telling.class.may_mend_itself() && telling.at.is_none();
        let is_too_recent = may_mend_itself && at >= self.orders_as_of.saturating_sub(self.too_recent);
        if at >= self.until || (is_too_recent && at >= self.since) {
            let kind = if at >= self.until { Unremarkable::Outside } else { Unremarkable::TooRecent };
            decision.counted.push(kind);
            // The next run, in whose window it is, need not find it by itself.
            let carried = |payment: &CasePayment| {
                let was_final = payment.facts.as_ref().is_some_and(is_final);
                (payment.id.clone(), CarriedRow { is_looked_up: true, was_final })
            };
            decision.carried.extend(telling.payment.map(carried));
        } else if at < self.since {
            decision.counted.push(Unremarkable::Outside);
        } else {
            decision.told.push(self.told(case, telling, at));
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
        [of_order, of_users, of_payments].into_iter().flatten().max().unwrap_or(self.since)
    }

    /// When a payment last changed. One that an earlier run carried and that was not final then changed since. Where no change
    /// of it is listed, and it may have come after the last one that is, the next run knows more.
    pub(super) fn latest_of(&self, payment: &CasePayment) -> Option<u64> {
        let facts = payment.facts.as_ref();
        let stated = facts.into_iter().flat_map(|facts| [facts.created, facts.paid_at]).flatten().max();
        let is_new = payment.is_carried && facts.is_some_and(is_final);
        let is_later = |facts: &ProviderPayment| facts.as_of.is_some_and(|as_of| as_of > self.began);
        let is_left = !payment.was_final && payment.changed.is_none() && facts.is_some_and(is_later);
        let since = is_new.then_some(if is_left { self.until } else { self.since });
        stated.max(payment.changed).max(since)
    }

    /// Whether the next run has to look at a payment again, since it is not final: until it is. What waits for the shopper alone
    /// may do so for good, and is followed for as long as it is listed.
    pub(super) fn carried(&self, payment: &CasePayment) -> Option<(Box<str>, CarriedRow)> {
        let is_looked_up = self.is_carried_to_be_looked_up(payment)?;
        Some((payment.id.clone(), CarriedRow { is_looked_up, was_final: false }))
    }

    fn is_carried_to_be_looked_up(&self, payment: &CasePayment) -> Option<bool> {
        let Some(facts) = payment.facts.as_ref() else { return payment.is_carried.then_some(true) };
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

/// Whether the payment stays as it is, but for refunds and disputes.
fn is_final(facts: &ProviderPayment) -> bool {
    matches!(facts.status, PaymentStatus::Paid | PaymentStatus::Canceled)
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
