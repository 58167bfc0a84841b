//! Compares what was asked, captured, held and given back with what is claimed, as the policy says.

use crate::intent::currency::Currency;
use crate::intent::invalid_intent::Field;
use crate::intent::money::Money;
use crate::intent::payment_intent::PaymentIntent;
use crate::payment::facts::{ProviderPayment, Text};
use crate::payment::policy::Amounts;
use crate::payment::verdict::{Fact, Finding, Mismatch, NetAmount, RefundedAmounts};

use super::Rules;

impl Rules {
    /// Compares the currency and what was asked for.
    pub(super) fn compare_asked(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment<impl Text>,
        findings: &mut Vec<Finding>,
    ) {
        let expected = intent.money();
        let (Some(amount), Some(currency)) = (facts.amount, facts.currency) else {
            findings.push(Finding::Unproven(Field::Amount));
            return;
        };
        if currency != expected.currency() {
            findings.push(Finding::Currency(Mismatch::new(expected.currency(), currency)));
        }
        let (tip, surcharge) = match self.policy.amounts {
            // What is captured of it counts, once it is.
            Amounts::Received => return,
            Amounts::Exact => {
                if !self.is_amount(amount, currency, expected) {
                    findings.push(Finding::Amount(Mismatch::new(expected, self.units.to_money(amount, currency))));
                }
                return;
            }
            Amounts::NetOfTip => (facts.tip, Some(0)),
            Amounts::NetOfSurcharge => (Some(0), facts.surcharge),
            Amounts::NetOfTipAndSurcharge => (facts.tip, facts.surcharge),
        };
        let (Some(tip), Some(surcharge)) = (tip, surcharge) else {
            findings.push(Finding::Unstated(if tip.is_none() { Fact::Tip } else { Fact::Surcharge }));
            return;
        };
        let net = amount.saturating_sub(tip).saturating_sub(surcharge);
        if !self.is_amount(net, currency, expected) {
            let [amount, tip, surcharge] = [amount, tip, surcharge].map(|minor| self.units.to_money(minor, currency));
            findings.push(Finding::NetAmount(NetAmount { expected, amount, tip, surcharge }));
        }
    }

    /// Compares what came in; true when it is too little so far and more can still be captured.
    pub(super) fn compare_received(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment<impl Text>,
        findings: &mut Vec<Finding>,
    ) -> bool {
        let (Some(received), Some(currency)) = (facts.amount_received, facts.currency) else {
            findings.push(Finding::Unstated(Fact::AmountReceived));
            return false;
        };
        let needed = self.needed(intent, facts);
        if (needed.is_some_and(|needed| received < needed) || facts.captured == Some(false))
            && facts.amount_capturable > 0
        {
            return true;
        }
        if facts.captured == Some(false) {
            findings.push(Finding::NotCaptured);
        }
        let to_money = |minor| self.units.to_money(minor, currency);
        let differs_from = match self.policy.amounts {
            Amounts::Exact | Amounts::Received => {
                (!self.is_amount(received, currency, intent.money())).then(|| intent.money())
            }
            _ => facts.amount.filter(|amount| *amount != received).map(to_money),
        };
        if let Some(expected) = differs_from {
            findings.push(Finding::AmountReceived(Mismatch::new(expected, to_money(received))));
        }
        false
    }

    /// Finds a hold for less than is needed, of which nothing is captured: it never becomes more. Where nothing is held, that
    /// may be unstated.
    pub(super) fn compare_hold(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment<impl Text>,
        findings: &mut Vec<Finding>,
    ) -> bool {
        let (Some(needed), Some(currency)) = (self.needed(intent, facts), facts.currency) else { return false };
        let held = facts.amount_capturable;
        let is_short = facts.amount_received == Some(0) && 0 < held && held < needed;
        if is_short {
            let [expected, actual] = [needed, held].map(|minor| self.units.to_money(minor, currency));
            findings.push(Finding::AmountCapturable(Mismatch::new(expected, actual)));
        }
        is_short
    }

    /// Whether what is held of an accepted authorization is not what is needed: a part was captured already, or more is held,
    /// of which a part can be.
    pub(super) fn holds_another_amount(&self, intent: &PaymentIntent, facts: &ProviderPayment<impl Text>) -> bool {
        facts.amount_received != Some(0) || self.needed(intent, facts) != Some(facts.amount_capturable)
    }

    /// Finds what was given back, unless the policy accepts that.
    pub(super) fn compare_refunds(&self, facts: &ProviderPayment<impl Text>, findings: &mut Vec<Finding>) {
        let (back, full) = (facts.amount_refunded.unwrap_or(0), is_fully_refunded(facts));
        // Without a currency the amount is unproven already.
        let Some(currency) = facts.currency.filter(|_| back > 0 && (full || !self.policy.partly_refunded)) else {
            return;
        };
        let to_money = |minor| self.units.to_money(minor, currency);
        let given_back = RefundedAmounts {
            refunded: to_money(back),
            captured: facts.amount_received.map(to_money),
            kept: to_money(facts.kept()),
            pending: facts.refunds_pending.map(to_money),
            failed: facts.refunds_failed.map(to_money),
            is_of_a_part: facts.amount_received < facts.amount,
        };
        findings.push(if full { Finding::Refunded(given_back) } else { Finding::PartlyRefunded(given_back) });
    }

    /// What has to come in or be held, in minor units. Nothing can be said of a claim in another currency.
    fn needed(&self, intent: &PaymentIntent, facts: &ProviderPayment<impl Text>) -> Option<u64> {
        match self.policy.amounts {
            Amounts::Received if facts.currency != Some(intent.money().currency()) => None,
            Amounts::Received => intent.money().minor_units(&self.units).ok(),
            _ => facts.amount,
        }
    }

    /// Whether an authorization stands for all that is asked for. Which part of it is claimed is each claim's own.
    pub(super) fn is_held(&self, facts: &ProviderPayment<impl Text>) -> bool {
        let held = facts.amount_capturable;
        facts.amount_received == Some(0)
            && if self.policy.amounts == Amounts::Received { held > 0 } else { facts.amount == Some(held) }
    }

    /// Compares the provider's integers. Another currency is a finding of its own, and there the decimals are compared.
    fn is_amount(&self, minor: u64, currency: Currency, expected: Money) -> bool {
        if currency == expected.currency() {
            return expected.minor_units(&self.units).is_ok_and(|expected| expected == minor);
        }
        self.units.to_money(minor, currency).decimal() == expected.decimal()
    }
}

/// Whether everything that was captured was given back, however much was asked for.
pub(super) fn is_fully_refunded(facts: &ProviderPayment<impl Text>) -> bool {
    let back = facts.amount_refunded.unwrap_or(0);
    back > 0 && facts.amount_received.is_none_or(|captured| back >= captured)
}
