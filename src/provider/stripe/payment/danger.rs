//! What speaks against a payment that is paid: reports of fraud, risk, and a review that is not over.

use crate::http::object::Object;
use crate::payment::facts::{ProviderPayment, Risk};
use crate::provider::stripe::wire::{Charge, ChargeOutcome, Expandable, FraudDetails, Review};

/// What Stripe's page of restricted keys calls the right to read a review.
pub(in crate::provider::stripe) const REVIEWS: &str = "Reviews, read";

/// How far a person's review of the payment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReviewOutcome {
    /// There is none.
    None,
    /// A person found nothing wrong, so what the rules asked for is done.
    Approved,
    /// It is open, or ended otherwise: with a refund, a dispute or a word that is new.
    NotApproved { as_fraud: bool },
    /// There is one, and the key may not read it.
    Unread,
}

impl ReviewOutcome {
    fn of(review: Option<&Expandable<'_, Review<'_>>>) -> Self {
        match review {
            None => Self::None,
            Some(Expandable::Id(_)) => Self::Unread,
            Some(Expandable::Object(review)) => match review.closed_reason.as_deref() {
                Some("approved") if !review.open => Self::Approved,
                reason => Self::NotApproved { as_fraud: reason == Some("refunded_as_fraud") },
            },
        }
    }
}

/// Adds what the charge and the review say.
pub(super) fn add(facts: &mut ProviderPayment, charge: &Charge<'_>, review: Option<&Expandable<'_, Review<'_>>>) {
    let review = ReviewOutcome::of(review);
    if let Some(outcome) = &charge.outcome {
        facts.risk = risk_of(outcome, review);
        facts.reversed = outcome.network_status.as_deref() == Some("reversed_after_approval");
    }
    match review {
        ReviewOutcome::None | ReviewOutcome::Approved => {}
        ReviewOutcome::NotApproved { .. } => facts.risk = facts.risk.max(Risk::Review),
        ReviewOutcome::Unread => {
            facts.risk = facts.risk.max(Risk::Review);
            facts.missing_right = Some(REVIEWS);
        }
    }
    let as_fraud = matches!(review, ReviewOutcome::NotApproved { as_fraud: true });
    facts.fraud = Some(as_fraud || is_reported(charge.fraud_details.as_ref()));
}

/// Whether Stripe or the merchant reported fraud. A word that is new is no word of trust.
fn is_reported(details: Option<&Object<FraudDetails<'_>>>) -> bool {
    let reports = details.map(|details| [&details.stripe_report, &details.user_report]);
    reports.into_iter().flatten().flatten().any(|report| &**report != "safe")
}

/// The worse of level and outcome (<https://docs.stripe.com/radar/risk-evaluation>). A word that is new is for a person, who
/// has looked where the review was approved: then the level alone counts.
fn risk_of(outcome: &ChargeOutcome<'_>, review: ReviewOutcome) -> Risk {
    let level = match outcome.risk_level.as_deref() {
        None | Some("not_assessed" | "unknown") => Risk::NotAssessed,
        Some("normal") => Risk::Normal,
        Some("elevated") => Risk::Elevated,
        Some("highest") => Risk::Highest,
        Some(_) => Risk::Review,
    };
    let kind = match outcome.kind.as_deref() {
        None | Some("authorized") => Risk::Normal,
        Some("issuer_declined" | "blocked" | "invalid") => Risk::Blocked,
        Some(_) if review == ReviewOutcome::Approved => Risk::Normal,
        Some(_) => Risk::Review,
    };
    level.max(kind)
}
