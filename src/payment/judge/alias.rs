//! Compares a payment with the alias by which it is claimed. The payment's facts win over how far the alias has come.
//!
//! | alias | payment | verdict |
//! |---|---|---|
//! | any | paid, authorized, processing, canceled or unknown | the payment's |
//! | open | there is none, it waits for the shopper, or the last try was declined | action required |
//! | complete | it waits for the shopper | pending: the shopper is done here, and pays elsewhere |
//! | complete | declined | invalid |
//! | expired | there is none, it waits for the shopper, or the last try was declined | invalid, for good |
//! | complete, with nothing to pay | there is none | invalid, for good |

use crate::intent::payment_intent::PaymentIntent;
use crate::moment::Moment;
use crate::payment::alias::{AliasState, ResolvedAlias};
use crate::payment::facts::{PaymentStatus, ProviderPayment, Text};
use crate::payment::verdict::{Finding, Mismatch, Verdict};

use super::Rules;

/// Why an expired alias is canceled, in a word.
const EXPIRED: &str = "expired";

/// Whether there is no payment so far, so that what is not stated may still follow.
pub(super) fn is_unpaid_alias(intent: &PaymentIntent, alias: Option<&ResolvedAlias>) -> bool {
    alias.is_some_and(|alias| alias.payment == *intent.payment())
}

impl Rules {
    /// Adds what the status finds wrong in the light of the alias, and returns the verdict of a payment that is not done yet.
    pub(super) fn compare_alias(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment<impl Text>,
        alias: &ResolvedAlias,
        answered: Moment,
        findings: &mut Vec<Finding>,
    ) -> Option<Verdict> {
        self.compare_stated(facts, alias, findings);
        match (alias.states.state, &facts.status) {
            (AliasState::NoPaymentRequired, _) if is_unpaid_alias(intent, Some(alias)) => {
                findings.push(Finding::NoPaymentRequired);
                None
            }
            (AliasState::Open, PaymentStatus::ActionRequired | PaymentStatus::Declined) => {
                // What the declined try says of itself is no word on the next one.
                findings.retain(|finding| !matches!(finding, Finding::Risk(_) | Finding::Declined(_)));
                Some(self.action_required(facts, answered.age))
            }
            (AliasState::Complete, PaymentStatus::ActionRequired) => Some(self.pending(facts, answered.age)),
            (AliasState::Expired, PaymentStatus::ActionRequired | PaymentStatus::Declined) => {
                findings.push(Finding::Canceled(Some(EXPIRED.into())));
                None
            }
            _ => self.compare_status(intent, facts, answered, findings),
        }
    }

    /// Finds an alias that states another amount than its payment.
    fn compare_stated(&self, facts: &ProviderPayment<impl Text>, alias: &ResolvedAlias, findings: &mut Vec<Finding>) {
        let readings = &alias.states.amounts;
        let (Some(amount), Some(currency)) = (facts.amount, facts.currency) else { return };
        let Some((minor, of)) = readings.first().filter(|_| !readings.contains(&(amount, currency))) else { return };
        let [stated, actual] = [(*minor, *of), (amount, currency)].map(|(minor, of)| self.units.to_money(minor, of));
        findings.push(Finding::AliasAmount(Mismatch::new(stated, actual)));
    }
}
