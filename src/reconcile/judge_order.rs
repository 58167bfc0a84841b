//! What is wrong between an order and its payments.

use std::sync::Arc;

use tokio::time::Instant;

use crate::intent::currency::Currency;
use crate::intent::payment_intent::PaymentIntent;
use crate::moment::Moment;
use crate::payment::dispute::Dispute;
use crate::payment::facts::{PaymentStatus, ProviderPayment};
use crate::payment::verdict::{Finding, Issuer, Verdict};
use crate::payment::waits_for::WaitsFor;

use super::class::{DiscrepancyClass, Unremarkable};
use super::judge::{CaseJudge, Conclusion, Telling, has_money, is_given_back, own_id};
use super::order::{OrderRecord, OrderState};
use super::rows::CasePayment;

/// What a verdict's findings come to for an order that the shop says is paid.
#[derive(Default)]
struct Weighed {
    codes: Vec<Box<str>>,
    differs: bool,
    is_unpaid: bool,
}

/// What one finding says about the order. What the shop accepted when it took the order is not judged again: risk, a report of
/// fraud, and age, which grows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    Amount,
    Differs,
    Unpaid,
    Given,
    Nothing,
}

impl Weight {
    fn of(finding: &Finding) -> Self {
        match finding {
            Finding::Amount(_) | Finding::NetAmount(_) | Finding::AmountReceived(_) => Self::Amount,
            Finding::AmountCapturable(_)
            | Finding::Currency(_)
            | Finding::Tenant
            | Finding::Order(_)
            | Finding::Customer
            | Finding::Unproven(_)
            | Finding::Unstated(_)
            | Finding::Mode(_)
            | Finding::CreatedAhead
            | Finding::AliasAmount(_) => Self::Differs,
            Finding::NotFound(_)
            | Finding::Canceled(_)
            | Finding::KeptThoughCanceled(_)
            | Finding::Declined(_)
            | Finding::NotCaptured
            | Finding::Subscription
            | Finding::Setup
            | Finding::NoPaymentRequired => Self::Unpaid,
            Finding::PartlyRefunded(_) | Finding::Refunded(_) | Finding::Disputed(_) => Self::Given,
            Finding::ReportedFraud | Finding::Risk(_) | Finding::TooOld(_) => Self::Nothing,
        }
    }
}

impl CaseJudge {
    pub(super) fn with_order<'c>(&self, order: &OrderRecord, payments: &'c [CasePayment]) -> Conclusion<'c> {
        let mut own: Vec<&CasePayment> = payments.iter().filter(|payment| !payment.is_taken).collect();
        if own.is_empty() && !payments.is_empty() {
            return Conclusion::Nothing;
        }
        // The one that the order names comes first, and a payment that it names by an alias is one payment.
        own.sort_by_key(|payment| (!payment.is_named, own_id(payment)));
        own.dedup_by(|later, first| own_id(later) == own_id(first));
        let paying: Vec<&CasePayment> =
            own.iter().copied().filter(|payment| payment.facts.as_ref().is_some_and(has_money)).collect();
        let is_free = order.money.is_some_and(|total| total.is_zero()) && paying.is_empty();
        let is_theirs = own.iter().any(|payment| payment.is_named && is_there(payment));
        let is_by_others = self.is_paid_by_others(order) && !is_theirs;
        if is_free || (is_by_others && paying.is_empty()) {
            return Conclusion::Count(Unremarkable::Outside);
        }
        match order.state {
            OrderState::Paid | OrderState::Shipped if is_by_others => self.paid_by_others(order, &paying),
            OrderState::Paid | OrderState::Shipped => self.paid(order, &own, &paying),
            OrderState::Open => match self.newest(&paying) {
                Some(newest) => self.unmarked(order, &paying, newest),
                None => self.no_money(&own, Unremarkable::Abandoned),
            },
            OrderState::Cancelled => match self.newest(&paying) {
                Some(newest) => Conclusion::tell(DiscrepancyClass::CancelledButPaid, Some(newest), Vec::new()),
                None => self.no_money(&own, Unremarkable::Matched),
            },
            OrderState::Refunded => self.refunded(order, &own, &paying),
        }
    }

    /// Money was kept for an order that is not marked as paid. A deposit does not pay it: the balance has time to come.
    fn unmarked<'c>(&self, order: &OrderRecord, paying: &[&'c CasePayment], newest: &'c CasePayment) -> Conclusion<'c> {
        let class = DiscrepancyClass::OrderUnmarked;
        let other = in_other_currency(order, paying);
        if other.is_some() || received(order, paying) >= self.total(order) {
            let payment = other.unwrap_or(newest);
            return Conclusion::tell(class, Some(payment), self.weigh(order, payment, false).codes);
        }
        let due = self.latest_of(newest).unwrap_or(self.since).saturating_add(self.pending_after);
        if due >= self.until {
            return Conclusion::Await(newest);
        }
        let findings = self.weigh(order, newest, false).codes;
        Conclusion::Tell(Telling { class, payment: Some(newest), findings, at: Some(due) })
    }

    /// The shop says that the order was paid by other means. What was kept here for it too, and is as much as it costs, is too
    /// much; less may be a part of it.
    fn paid_by_others<'c>(&self, order: &OrderRecord, paying: &[&'c CasePayment]) -> Conclusion<'c> {
        if in_other_currency(order, paying).is_none() && kept(order, paying) < self.total(order) {
            return Conclusion::Count(Unremarkable::Outside);
        }
        let findings = vec!["paid_by_other_means".into()];
        Conclusion::tell(DiscrepancyClass::OrderPaidTwice, self.newest(paying), findings)
    }

    /// The payment that changed last; of several the first.
    fn newest<'c>(&self, payments: &[&'c CasePayment]) -> Option<&'c CasePayment> {
        payments.iter().rev().copied().max_by_key(|payment| self.latest_of(payment))
    }

    fn refunded<'c>(&self, order: &OrderRecord, own: &[&'c CasePayment], paying: &[&'c CasePayment]) -> Conclusion<'c> {
        let is_untouched = |payment: &&&'c CasePayment| {
            payment.facts.as_ref().is_some_and(|facts| facts.amount_refunded.unwrap_or(0) == 0)
        };
        let untouched: Vec<&CasePayment> = paying.iter().filter(is_untouched).copied().collect();
        if let Some(whole) = self.newest(&untouched) {
            return Conclusion::tell(DiscrepancyClass::CancelledButPaid, Some(whole), vec!["not_refunded".into()]);
        }
        let shipped_regardless = own.iter().find_map(|payment| self.shipped_regardless(order, payment));
        shipped_regardless.unwrap_or_else(|| self.no_money(own, Unremarkable::Matched))
    }

    /// Of payments that brought no money, whether one is under way or unknown.
    fn no_money<'c>(&self, own: &[&'c CasePayment], else_counted: Unremarkable) -> Conclusion<'c> {
        let said = own.iter().find_map(|payment| match (&payment.failure, &payment.facts) {
            (Some(code), _) => Some(Conclusion::tell(DiscrepancyClass::Unknown, Some(payment), vec![code.clone()])),
            (None, facts) => self.unpaid(payment, facts.as_ref()?),
        });
        said.unwrap_or(Conclusion::Count(else_counted))
    }

    fn paid<'c>(&self, order: &OrderRecord, own: &[&'c CasePayment], paying: &[&'c CasePayment]) -> Conclusion<'c> {
        let [first, others @ ..] = paying else { return self.paid_without_money(order, own) };
        let total = self.total(order);
        // A part that was given back later does not keep payments from adding up.
        let weighed = self.weigh(order, first, !others.is_empty() && received(order, paying) >= total);
        if weighed.is_unpaid {
            return Conclusion::tell(DiscrepancyClass::OrderedNotPaid, Some(first), weighed.codes);
        }
        if weighed.differs {
            return Conclusion::tell(DiscrepancyClass::Differs, Some(first), weighed.codes);
        }
        if let Some(newest) = self.newest(others).filter(|_| total.is_none() || kept(order, paying) > total) {
            let findings = if total.is_none() { vec!["total_unknown".into()] } else { Vec::new() };
            return Conclusion::tell(DiscrepancyClass::OrderPaidTwice, Some(newest), findings);
        }
        for other in others {
            let weighed = self.weigh(order, other, true);
            if weighed.differs {
                return Conclusion::tell(DiscrepancyClass::Differs, Some(other), weighed.codes);
            }
        }
        let shipped_regardless = paying.iter().find_map(|payment| self.shipped_regardless(order, payment));
        shipped_regardless.unwrap_or(Conclusion::Count(Unremarkable::Matched))
    }

    fn paid_without_money<'c>(&self, order: &OrderRecord, own: &[&'c CasePayment]) -> Conclusion<'c> {
        if self.names_no_payment(order) && !own.iter().any(|payment| is_there(payment)) {
            return Conclusion::tell(DiscrepancyClass::Unknown, None, vec!["payment_id".into()]);
        }
        // What stands for the order: what it names, unless another one is there and that is not.
        let Some(payment) = own.iter().find(|payment| is_there(payment)).or(own.first()) else {
            return Conclusion::tell(DiscrepancyClass::OrderedNotPaid, None, vec!["none_named".into()]);
        };
        let Some(facts) = &payment.facts else {
            return match &payment.failure {
                Some(code) => Conclusion::tell(DiscrepancyClass::Unknown, Some(payment), vec![code.clone()]),
                None => Conclusion::tell(DiscrepancyClass::OrderedNotPaid, Some(payment), vec!["not_looked_up".into()]),
            };
        };
        if let PaymentStatus::Unknown(_) = facts.status {
            return Conclusion::tell(DiscrepancyClass::Unknown, Some(payment), vec!["status".into()]);
        }
        if let Some(said) = self.shipped_regardless(order, payment) {
            return said;
        }
        let is_shipped = order.state == OrderState::Shipped || order.shipped.is_some();
        if (is_given_back(facts) && is_shipped) || facts.dispute == Dispute::Lost {
            return Conclusion::Count(Unremarkable::Matched);
        }
        let weighed = self.weigh(order, payment, false);
        match (weighed.codes.is_empty(), weighed.differs && !weighed.is_unpaid) {
            // An authorization that the policy accepts.
            (true, _) => Conclusion::Count(Unremarkable::Matched),
            (false, true) => Conclusion::tell(DiscrepancyClass::Differs, Some(payment), weighed.codes),
            (false, false) => Conclusion::tell(DiscrepancyClass::OrderedNotPaid, Some(payment), weighed.codes),
        }
    }

    /// Whether the money was gone, or in dispute, before the order was shipped.
    fn shipped_regardless<'c>(&self, order: &OrderRecord, payment: &'c CasePayment) -> Option<Conclusion<'c>> {
        let (shipped, facts) = (order.shipped?, payment.facts.as_ref()?);
        let came_before = |at: Option<u64>| at.is_some_and(|at| at < shipped);
        if is_given_back(facts) && came_before(payment.refunded) {
            return Some(Conclusion::tell(
                DiscrepancyClass::RefundedButShipped,
                Some(payment),
                vec!["refunded".into()],
            ));
        }
        let is_disputed = facts.dispute > self.lookups.rules.policy.dispute;
        let said = || Conclusion::tell(DiscrepancyClass::DisputedButShipped, Some(payment), vec!["disputed".into()]);
        (is_disputed && came_before(payment.disputed)).then(said)
    }

    /// Judges a payment by the order, as `validate` would.
    fn weigh(&self, order: &OrderRecord, payment: &CasePayment, are_amounts_summed: bool) -> Weighed {
        let Some(facts) = &payment.facts else { return Weighed::default() };
        let rules = &self.lookups.rules;
        let asked = facts.amount.zip(facts.currency).map(|(minor, currency)| rules.units.to_money(minor, currency));
        let Some(money) = order.money.or(asked) else {
            return Weighed { codes: vec!["unproven".into()], differs: true, is_unpaid: false };
        };
        let intent = PaymentIntent::new(&order.tenant, own_id(payment), money).and_then(|intent| {
            // What the payment does not state, the order's own word stands for: it names the payment.
            let is_stated = rules.order.stated(facts, None, Some(&order.order)).is_some();
            if is_stated { intent.with_order(&order.order) } else { Ok(intent) }
        });
        let Ok(intent) = intent else {
            return Weighed { codes: vec!["amount_mismatch".into()], differs: true, is_unpaid: false };
        };
        let issuer = || Arc::clone(&self.lookups) as Arc<dyn Issuer>;
        let verdict = rules.judge(&intent, facts, None, Moment::at(Instant::now()), issuer);
        Weighed::of(&verdict, facts, are_amounts_summed)
    }

    fn total(&self, order: &OrderRecord) -> Option<u64> {
        order.money?.minor_units(&self.lookups.rules.units).ok()
    }
}

impl Weighed {
    fn of(verdict: &Verdict, facts: &ProviderPayment, are_amounts_summed: bool) -> Self {
        let unpaid = |waits_for: WaitsFor| Self {
            codes: vec![facts.status.as_str().into(), waits_for.as_str().into()],
            differs: false,
            is_unpaid: true,
        };
        match verdict {
            Verdict::Valid(_) => Self::default(),
            // The policy waits before it ships; the money is there.
            Verdict::Pending(pending) if pending.waiting.waits_for == WaitsFor::HeldDebit => Self::default(),
            Verdict::Pending(pending) => unpaid(pending.waiting.waits_for),
            Verdict::ActionRequired(required) => unpaid(required.waiting.waits_for),
            Verdict::Invalid(findings) => {
                let mut weighed = Self::default();
                for finding in findings {
                    let weight = Weight::of(finding);
                    if weight == Weight::Nothing || (weight == Weight::Amount && are_amounts_summed) {
                        continue;
                    }
                    weighed.codes.push(finding.code().into());
                    weighed.differs |= matches!(weight, Weight::Amount | Weight::Differs);
                    weighed.is_unpaid |= weight == Weight::Unpaid;
                }
                weighed
            }
        }
    }
}

/// What the merchant still has of these payments.
fn kept(order: &OrderRecord, paying: &[&CasePayment]) -> Option<u64> {
    summed(order, paying, ProviderPayment::kept)
}

/// What these payments brought, whether or not some of it was given back since.
fn received(order: &OrderRecord, paying: &[&CasePayment]) -> Option<u64> {
    summed(order, paying, |facts| facts.amount_received.unwrap_or(0))
}

/// A sum over payments, in the order's currency and the provider's minor units, if the order has a total.
fn summed(order: &OrderRecord, paying: &[&CasePayment], of: fn(&ProviderPayment) -> u64) -> Option<u64> {
    let currency = currency_of(order)?;
    let facts = paying.iter().filter_map(|payment| payment.facts.as_ref());
    Some(facts.filter(|facts| facts.currency == Some(currency)).map(of).fold(0, u64::saturating_add))
}

/// The first of these payments that is in another currency than the order's total.
fn in_other_currency<'c>(order: &OrderRecord, paying: &[&'c CasePayment]) -> Option<&'c CasePayment> {
    let currency = currency_of(order)?;
    let is_other = |facts: &ProviderPayment| facts.currency != Some(currency);
    paying.iter().copied().find(|payment| payment.facts.as_ref().is_some_and(is_other))
}

fn currency_of(order: &OrderRecord) -> Option<Currency> {
    Some(order.money?.currency())
}

/// Whether the provider has such a payment.
fn is_there(payment: &CasePayment) -> bool {
    payment.facts.as_ref().is_some_and(|facts| facts.status != PaymentStatus::NotFound)
}
