//! Holds bank debits that succeeded for as long as they may come back, where the policy says so.

use std::time::Duration;

use crate::payment::facts::{ProviderPayment, Text};
use crate::payment::method::PaymentMethod;
use crate::payment::verdict::{Fact, Finding, Pending, Verdict};
use crate::payment::waiting::Waiting;
use crate::payment::waits_for::{End, WaitsFor};

use super::Rules;

impl Rules {
    /// The verdict on a paid payment that is still held. What has to be known for that and is not, is found.
    pub(super) fn held_debit(
        &self,
        facts: &ProviderPayment<impl Text>,
        age: Duration,
        findings: &mut Vec<Finding>,
    ) -> Option<Verdict> {
        let hold = self.policy.hold_debits?;
        match (facts.method, since(facts), facts.as_of) {
            (PaymentMethod::Unstated, ..) => findings.push(Finding::Unstated(Fact::Method)),
            (PaymentMethod::BankDebit, Some(since), Some(_)) => {
                let until = since.saturating_add(hold.as_secs());
                let left = self.held_for(facts).saturating_sub(age);
                if !left.is_zero() {
                    let poll_after = WaitsFor::HeldDebit.poll_after(Duration::ZERO, Some(End::Ahead(left)));
                    let waits_for = WaitsFor::HeldDebit;
                    let waiting = Box::new(Waiting { waits_for, until: Some(until), remaining: None, poll_after });
                    let (status, reason) = (facts.status.clone(), Some(WaitsFor::HeldDebit.as_str().into()));
                    return Some(Verdict::Pending(Pending { status, reason, waiting }));
                }
            }
            (PaymentMethod::BankDebit, ..) => findings.push(Finding::Unstated(Fact::Created)),
            _ => {}
        }
        None
    }

    /// How much longer a debit was held when the provider answered; zero where none is.
    pub(super) fn held_for(&self, facts: &ProviderPayment<impl Text>) -> Duration {
        let times = (self.policy.hold_debits, since(facts), facts.as_of);
        let (Some(hold), Some(since), Some(as_of)) = times else { return Duration::ZERO };
        match facts.method {
            PaymentMethod::BankDebit => Duration::from_secs(since.saturating_add(hold.as_secs()).saturating_sub(as_of)),
            _ => Duration::ZERO,
        }
    }

    /// Whether the provider stated what has to be known of a debit that is to be held.
    pub(super) fn knows_debits(&self, facts: &ProviderPayment) -> bool {
        self.policy.hold_debits.is_none()
            || match facts.method {
                PaymentMethod::Unstated => false,
                PaymentMethod::BankDebit => since(facts).is_some(),
                _ => true,
            }
    }
}

/// When the account was to be debited: a payment may be created long before the shopper pays it.
fn since(facts: &ProviderPayment<impl Text>) -> Option<u64> {
    facts.paid_at.or(facts.created)
}
