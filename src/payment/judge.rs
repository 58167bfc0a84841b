//! Compares an intent with facts. Pure: no clock, no I/O, no state.

use std::sync::Arc;
use std::time::Duration;

use crate::intent::invalid_intent::Field;
use crate::intent::money::Units;
use crate::intent::payment_intent::PaymentIntent;
use crate::moment::Moment;
use crate::payment::alias::{AliasState, PaymentAlias, ResolvedAlias};
use crate::payment::dispute::Dispute;
use crate::payment::facts::{Mode, PaymentStatus, ProviderPayment, Text};
use crate::payment::metadata::{agreed, stated_under};
use crate::payment::order::{FunctionPanicked, OrderProof};
use crate::payment::policy::{Policy, TenantProof};
use crate::payment::shelf_life::ShelfLife;
use crate::payment::verdict::{
    ActionRequired, Capture, Fact, Finding, Findings, Issuer, Mismatch, OfAlias, Pending, Proof, Verdict,
};
use crate::payment::waiting::Waiting;
use crate::redaction::stated;

mod alias;
mod amounts;
mod debits;

use alias::is_unpaid_alias;
use amounts::is_fully_refunded;

/// An authorization can be voided at any moment, so it is not believed for longer than this.
const AUTHORIZED_FRESH_FOR: Duration = Duration::from_secs(60);

/// The most, in seconds, by which the clock of the server that created the payment differs from that of the one which
/// answered, or this machine's. Clocks that are set over the network are off by less than a second; for others, signatures
/// of webhooks and tickets of Kerberos tolerate five minutes as well.
const CLOCKS_DIFFER: u64 = 300;

/// Metadata may be a shopper's text, and as long as one.
const MAX_SHOWN: usize = 255;

/// Everything else may change at any moment; this long only stops a client from polling the provider through us.
pub(crate) const VOLATILE_FRESH_FOR: Duration = Duration::from_secs(2);

/// What the judge judges by; one per validator.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    pub(crate) mode: Mode,
    pub(crate) tenant: TenantProof,
    pub(crate) order: OrderProof,
    pub(crate) units: Units,
    pub(crate) fresh_for: Duration,
    /// How old a payment may be whose redemption is still remembered for sure.
    pub(crate) remembered_for: Duration,
}

impl Rules {
    /// Decides, and lists every mismatch of a payment that is proven to be the tenant's.
    pub(crate) fn judge(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment<impl Text>,
        alias: Option<&ResolvedAlias>,
        answered: Moment,
        issuer: impl FnOnce() -> Arc<dyn Issuer>,
    ) -> Verdict {
        // What an id is of is no secret of a tenant's.
        let of_id = match alias.map(|alias| alias.states.state) {
            Some(AliasState::Subscription) => Some(Finding::Subscription),
            Some(AliasState::Setup) => Some(Finding::Setup),
            _ => (facts.status == PaymentStatus::NotFound).then_some(Finding::NotFound(facts.not_found_hint)),
        };
        // What is said about a payment is for its own tenant: another one learns that it is not theirs, and no more.
        let of_id = of_id.map(Box::new);
        let is_theirs = match of_id.map_or_else(|| self.compare_tenant(intent, facts, alias), Err) {
            Ok(is_theirs) => is_theirs,
            Err(finding) => return Verdict::Invalid(Findings::of(vec![*finding], &facts.status)),
        };
        let mut findings = Vec::new();
        if is_theirs && (!is_unpaid_alias(intent, alias) || facts.amount.is_some()) {
            self.compare_asked(intent, facts, &mut findings);
        }
        if is_theirs {
            self.compare_claims(intent, facts, alias, &mut findings);
        }
        self.compare_acceptance(facts, answered.age, &mut findings);
        let unfinished = match alias {
            Some(alias) => self.compare_alias(intent, facts, alias, answered, &mut findings),
            None => self.compare_status(intent, facts, answered, &mut findings),
        };
        if !findings.is_empty() {
            return Verdict::Invalid(Findings::of(findings, &facts.status));
        }
        unfinished.unwrap_or_else(|| {
            Verdict::Valid(Proof {
                intent: intent.clone(),
                issuer: match alias {
                    None => issuer(),
                    Some(alias) => Arc::new(OfAlias { issuer: issuer(), payment: alias.payment.clone() }),
                },
                capture: Capture::of(facts),
                method: facts.method,
                dated: facts.created.is_some() && facts.as_of.is_some(),
                age: alias.map_or(answered.age, |alias| answered.age.max(alias.asked_at.age_at(answered.seen_at))),
                seen_at: answered.seen_at,
            })
        })
    }

    /// What is wrong unless the payment is proven to be the tenant's.
    fn compare_tenant(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment<impl Text>,
        alias: Option<&ResolvedAlias>,
    ) -> Result<bool, Box<Finding>> {
        let (tenant, key) = (intent.tenant(), self.tenant.metadata_key());
        let of_alias = alias.into_iter().flat_map(|alias| stated_under(&alias.states.metadata, key));
        let named = agreed(stated_under(&facts.metadata, key).chain(of_alias), Some(tenant));
        let proven = match &self.tenant {
            TenantProof::Metadata(_) => named,
            TenantProof::Account => facts.account.as_deref(),
            TenantProof::Destination => facts.destination.as_deref(),
            TenantProof::SingleTenant => Some(tenant),
        };
        // Metadata that names another tenant counts even where something else is the proof.
        if proven.into_iter().chain(named).any(|actual| actual != tenant) {
            return Err(Box::new(Finding::Tenant));
        }
        match proven {
            None if !is_unpaid_alias(intent, alias) => Err(Box::new(Finding::Unproven(Field::Tenant))),
            proven => Ok(proven.is_some()),
        }
    }

    fn compare_claims(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment<impl Text>,
        alias: Option<&ResolvedAlias>,
        findings: &mut Vec<Finding>,
    ) {
        let (order, may_follow) = (intent.order(), is_unpaid_alias(intent, alias));
        match (order, self.order.stated(facts, alias.map(|alias| &alias.states), order)) {
            (Some(_), None) if may_follow => {}
            (Some(_), None) => findings.push(Finding::Unproven(Field::Order)),
            (expected, Some(actual)) if expected != Some(actual) => {
                findings.push(Finding::Order(Mismatch::new(expected.map(Into::into), Some(stated(actual, MAX_SHOWN)))));
            }
            _ => {}
        }
        match (intent.customer(), facts.customer.as_deref()) {
            (Some(_), None) if may_follow => {}
            (Some(_), None) => findings.push(Finding::Unproven(Field::Customer)),
            (Some(expected), Some(actual)) if expected != actual => findings.push(Finding::Customer),
            _ => {}
        }
    }

    fn compare_acceptance(&self, facts: &ProviderPayment<impl Text>, age: Duration, findings: &mut Vec<Finding>) {
        match facts.mode {
            None => findings.push(Finding::Unstated(Fact::Mode)),
            Some(actual) if actual != self.mode => findings.push(Finding::Mode(Mismatch::new(self.mode, actual))),
            Some(_) => {}
        }
        self.compare_refunds(facts, findings);
        if facts.dispute > self.policy.dispute {
            findings.push(Finding::Disputed(facts.dispute));
        }
        if facts.fraud == Some(true) && !self.policy.reported_fraud {
            findings.push(Finding::ReportedFraud);
        }
        if facts.risk > self.policy.risk {
            findings.push(Finding::Risk(Mismatch::new(self.policy.risk, facts.risk)));
        }
        match (facts.created, facts.as_of) {
            _ if is_created_ahead(facts) => findings.push(Finding::CreatedAhead),
            (Some(created), Some(as_of)) => {
                let (age, max_age) =
                    (Duration::from_secs(as_of.saturating_sub(created)).saturating_add(age), self.max_age());
                if age > max_age {
                    findings.push(Finding::TooOld(Mismatch::new(max_age, age)));
                }
            }
            _ if self.policy.max_age.is_some() => findings.push(Finding::Unstated(Fact::Created)),
            _ => {}
        }
        if facts.reversed {
            findings.push(Finding::Declined(Some("reversed_after_approval".into())));
        }
    }

    /// Adds what the status itself finds wrong, and returns the verdict of a payment that is not done yet.
    fn compare_status(
        &self,
        intent: &PaymentIntent,
        facts: &ProviderPayment<impl Text>,
        answered: Moment,
        findings: &mut Vec<Finding>,
    ) -> Option<Verdict> {
        let pending = || Some(self.pending(facts, answered.age));
        let rests_on_money = match &facts.status {
            PaymentStatus::Paid => true,
            PaymentStatus::Authorized => self.policy.authorized,
            _ => false,
        };
        if rests_on_money && facts.amount_refunded.is_none() {
            findings.push(Finding::Unstated(Fact::AmountRefunded));
        }
        if facts.status == PaymentStatus::Authorized && self.compare_hold(intent, facts, findings) {
            return None;
        }
        match &facts.status {
            PaymentStatus::Paid if self.compare_received(intent, facts, findings) => return pending(),
            PaymentStatus::Paid => return self.held_debit(facts, answered.age, findings),
            PaymentStatus::Authorized if self.policy.authorized => {
                let partly_captured = facts.amount_received.is_some_and(|received| received > 0);
                let lapsed = authorization_left(facts, answered.age).is_some_and(|left| left.is_zero());
                if lapsed || (partly_captured && facts.amount_capturable == 0) {
                    findings.push(Finding::NotCaptured);
                } else if facts.amount_received.is_none() {
                    findings.push(Finding::Unstated(Fact::AmountReceived));
                } else if self.holds_another_amount(intent, facts) {
                    return pending();
                }
            }
            PaymentStatus::Authorized | PaymentStatus::Processing | PaymentStatus::Unknown(_) => return pending(),
            PaymentStatus::ActionRequired => return Some(self.action_required(facts, answered.age)),
            PaymentStatus::Declined => findings.push(Finding::Declined(facts.reason.clone())),
            PaymentStatus::Canceled => {
                findings.push(Finding::Canceled(facts.reason.clone()));
                if let Some(currency) = facts.currency.filter(|_| facts.kept() > 0) {
                    findings.push(Finding::KeptThoughCanceled(self.units.to_money(facts.kept(), currency)));
                }
            }
            PaymentStatus::NotFound => findings.push(Finding::NotFound(facts.not_found_hint)),
        }
        None
    }

    fn pending(&self, facts: &ProviderPayment<impl Text>, age: Duration) -> Verdict {
        let (status, reason) = (facts.status.clone(), facts.reason.clone());
        Verdict::Pending(Pending { status, reason, waiting: Box::new(self.waiting(facts, age)) })
    }

    fn action_required(&self, facts: &ProviderPayment<impl Text>, age: Duration) -> Verdict {
        let waiting = Box::new(self.waiting(facts, age));
        Verdict::ActionRequired(ActionRequired { reason: facts.reason.clone(), waiting })
    }

    /// What an unfinished payment waits for.
    fn waiting(&self, facts: &ProviderPayment<impl Text>, age: Duration) -> Waiting {
        let remaining = facts.remaining.zip(facts.currency);
        Waiting::of(facts, age, remaining.map(|(minor, currency)| self.units.to_money(minor, currency)))
    }

    /// How long these facts stand for themselves, whatever is claimed about them.
    pub(crate) fn shelf_life(&self, facts: &ProviderPayment) -> ShelfLife {
        let (fresh_for, lasting) = match &facts.status {
            PaymentStatus::Canceled => (self.fresh_for, true),
            PaymentStatus::Paid if facts.dispute == Dispute::Lost => (self.fresh_for, true),
            // A refund that is pending may fail.
            PaymentStatus::Paid if is_fully_refunded(facts) && facts.refunds_pending.unwrap_or(0) == 0 => {
                (self.fresh_for, true)
            }
            PaymentStatus::Paid if self.is_settled(facts) && is_captured(facts) => match self.held_for(facts) {
                Duration::ZERO => (self.fresh_for, true),
                // What proves that a debit did not come back is an answer from after the hold.
                left => (left, false),
            },
            PaymentStatus::Authorized if self.policy.authorized && self.is_settled(facts) && self.is_held(facts) => {
                let left = authorization_left(facts, Duration::ZERO).unwrap_or(AUTHORIZED_FRESH_FOR);
                (AUTHORIZED_FRESH_FOR.min(left), false)
            }
            // An open dispute may be won, a review may end, a capture may follow: only what is settled lasts.
            _ => (VOLATILE_FRESH_FOR, false),
        };
        let fresh_for = fresh_for.min(self.fresh_for);
        // A payment that grows too old must not be served past that moment. One that is too old already stays so.
        let young_for = match (facts.created, facts.as_of) {
            (Some(created), Some(as_of)) => {
                self.max_age().checked_sub(Duration::from_secs(as_of.saturating_sub(created)))
            }
            _ => None,
        };
        ShelfLife { fresh_for: young_for.map_or(fresh_for, |left| left.min(fresh_for)), lasting }
    }

    /// The oldest payment that is accepted. Never one that may have been used so long ago that no record of it is left.
    fn max_age(&self) -> Duration {
        self.policy.max_age.map_or(self.remembered_for, |max_age| max_age.min(self.remembered_for))
    }

    /// Whether nothing but the claims can still make these facts invalid, for now.
    fn is_settled(&self, facts: &ProviderPayment) -> bool {
        facts.amount.is_some()
            && facts.mode.is_some()
            && !is_created_ahead(facts)
            && !facts.reversed
            && facts.dispute <= Dispute::Won
            && (facts.fraud != Some(true) || self.policy.reported_fraud)
            && facts.amount_refunded.is_some_and(|refunded| refunded == 0 || self.policy.partly_refunded)
            && self.policy.amounts.are_stated(facts)
            && self.knows_debits(facts)
            && facts.risk <= self.policy.risk
    }

    /// Adds what the settings read of an answer, and drops what no judgment here reads, so that facts in memory stay small.
    pub(crate) fn prune(&self, facts: &mut ProviderPayment, others_keys: &[Box<str>]) -> Vec<FunctionPanicked> {
        let panicked = self.order.add(facts);
        facts.metadata.retain(|(key, _)| self.keeps(key, others_keys));
        panicked
    }

    /// Drops what no judgment here reads of an alias.
    pub(crate) fn prune_alias(&self, alias: &mut PaymentAlias, others_keys: &[Box<str>]) {
        alias.metadata.retain(|(key, _)| self.keeps(key, others_keys));
    }

    fn keeps(&self, key: &str, others_keys: &[Box<str>]) -> bool {
        self.kept_keys().chain(others_keys.iter().map(|key| &**key)).any(|kept| kept == key)
    }

    /// The keys of metadata that are read here, and of what is kept beside it.
    pub(crate) fn kept_keys(&self) -> impl Iterator<Item = &str> {
        [self.tenant.metadata_key()].into_iter().chain(self.order.keys())
    }
}

/// Whether the payment was created after the answer that tells of it, which cannot be.
fn is_created_ahead(facts: &ProviderPayment<impl Text>) -> bool {
    matches!((facts.created, facts.as_of), (Some(created), Some(as_of)) if created.saturating_sub(as_of) > CLOCKS_DIFFER)
}

fn is_captured(facts: &ProviderPayment) -> bool {
    facts.amount_received.is_some() && facts.captured != Some(false) && facts.amount_capturable == 0
}

/// The time until an authorization lapses, by the provider's clock; `None` when it does not say.
fn authorization_left(facts: &ProviderPayment<impl Text>, age: Duration) -> Option<Duration> {
    let (until, as_of) = (facts.capture_before?, facts.as_of?);
    Some(Duration::from_secs(until.saturating_sub(as_of)).saturating_sub(age))
}
