//! Whether a payment that is believed was seen at the provider.

use super::{Case, written};
use crate::follow::has_word;
use crate::model::{Effect, Event, EventKind, Rule, Severity};

/// Words of paths that only staff, or the service itself, is given.
const STAFF: &[&str] =
    &["admin", "staff", "dashboard", "pos", "cashier", "internal", "cron", "backoffice", "seller", "vendor"];
/// What is paid by the owner of the data, or by the service.
const OWN: &[&str] = &["invoice", "payout", "refund", "charge", "withdrawal", "ledger", "credit", "sale"];

pub(super) fn judge(case: &mut Case<'_>) {
    for event in case.events {
        let Some(effect) = written(event) else { continue };
        let proof = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::ProviderRead { .. }
                    | EventKind::ProviderWrite(_)
                    | EventKind::Verify { everywhere: true, .. }
            )
        };
        let asked = |kind: &EventKind| matches!(kind, EventKind::ProviderRead { .. } | EventKind::ProviderWrite(_));
        if let Some(place) = &effect.payment_from_request {
            let what = format!("`{}` believes `{place}`, and the provider is not asked", effect.call);
            if !case.perhaps_before(event, proof) {
                let last = place.rsplit('.').next().unwrap_or_default();
                unproven(case, event, &what, has_word(last, &["status", "state", "paid"]));
                continue;
            }
            if !case.before(event, proof) && !case.is_webhook {
                let what = format!("{what} in every case");
                case.tell(Rule::PaymentUnproven, Severity::Medium, event, what, None);
            }
        } else if is_of_a_customer(case, effect) && !case.perhaps_before(event, proof) && !is_by_hand(case, event) {
            let what = format!("`{}` writes that it is paid, and the provider is not asked", effect.call);
            unproven(case, event, &what, true);
            continue;
        }
        if !effect.marks_paid || case.is_webhook || !case.perhaps_before(event, asked) {
            continue;
        }
        // A signature over the payment's id says that it was paid.
        if case.before(event, |kind| matches!(kind, EventKind::Verify { everywhere: true, .. })) {
            continue;
        }
        let status = case.perhaps_before(event, |kind| matches!(kind, EventKind::PaidCompared));
        let amount = case.perhaps_before(event, |kind| matches!(kind, EventKind::AmountCompared));
        let (severity, missing) = match (status, amount) {
            (true, true) => continue,
            (false, false) => (Severity::Medium, "neither status nor amount"),
            (false, true) => (Severity::Medium, "the amount, but not the status"),
            (true, false) => (Severity::Low, "the status, but neither amount nor currency"),
        };
        let what =
            format!("`{}` writes that it is paid; of what the provider says, {missing} is compared", effect.call);
        let maybe = case.maybe_proof(event);
        case.tell_missing(Rule::PaidUnchecked, severity, event, &what, maybe);
    }
}

/// A state may be set by hand, and then by staff; a payment's id is for the provider to confirm.
fn unproven(case: &mut Case<'_>, event: &Event, what: &str, is_state: bool) {
    let by_hand = is_by_hand(case, event);
    let maybe = case.maybe_proof(event).or_else(|| case.maybe_staff(event).filter(|_| is_state && !by_hand));
    let severity = if by_hand { Severity::Medium } else { Severity::High };
    case.tell_missing(Rule::PaymentUnproven, severity, event, what, maybe);
}

/// Whether it is written that a customer has paid, as far as that is for the provider to say: an invoice or a payout is the
/// owner's own, and what is paid from a balance is the service's.
fn is_of_a_customer(case: &Case<'_>, effect: &Effect) -> bool {
    effect.marks_paid
        && !case.is_webhook
        && effect.order
        && !has_word(&effect.model, OWN)
        && !case.events.iter().filter_map(written).any(|effect| effect.balance)
}

/// Whether staff set a state by hand: the payment's id is not at stake then.
fn is_by_hand(case: &Case<'_>, event: &Event) -> bool {
    let route = &case.followed.route;
    [&route.path, &route.file, &case.followed.home].iter().any(|name| has_word(name, STAFF))
        || case.perhaps_before(event, |kind| matches!(kind, EventKind::Staff))
}
