//! Whether a payment that is believed was seen at the provider.

use super::{Case, written};
use crate::follow::{has_word, plain_name};
use crate::model::{Event, EventKind, Rule, Severity};

pub(super) fn judge(case: &mut Case<'_>) {
    for event in case.events {
        let Some(effect) = written(event) else { continue };
        let proof = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::ProviderRead { .. } | EventKind::ProviderWrite(_) | EventKind::Verify { checked: true, .. }
            )
        };
        let asked = |kind: &EventKind| matches!(kind, EventKind::ProviderRead { .. } | EventKind::ProviderWrite(_));
        if let Some(place) = &effect.payment_from_request {
            let what = format!("`{}` believes `{place}`, and the provider is not asked", effect.call);
            if !case.perhaps_before(event, proof) {
                let maybe = case.maybe_proof(event);
                let severity = if is_by_hand(case, event, place) { Severity::Medium } else { Severity::High };
                case.tell_missing(Rule::PaymentUnproven, severity, event, &what, maybe);
                continue;
            }
            if !case.before(event, proof) && !case.is_webhook {
                let what = format!("{what} in every case");
                case.tell(Rule::PaymentUnproven, Severity::Medium, event, what, None);
            }
        }
        if !effect.marks_paid || case.is_webhook || !case.perhaps_before(event, asked) {
            continue;
        }
        // A signature over the payment's id says that it was paid.
        if case.before(event, |kind| matches!(kind, EventKind::Verify { checked: true, .. })) {
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

/// Whether staff may set a state by hand: the payment's id is not at stake then.
fn is_by_hand(case: &Case<'_>, event: &Event, place: &str) -> bool {
    let route = &case.followed.route;
    let staff = [&route.path, &route.file, &case.followed.home]
        .iter()
        .any(|name| has_word(name, &["admin", "staff", "dashboard"]));
    let last = place.rsplit('.').next().unwrap_or_default();
    let flag = matches!(plain_name(last).as_str(), "ispaid" | "paid");
    staff
        || has_word(last, &["status", "state"])
        || (flag && case.perhaps_before(event, |kind| matches!(kind, EventKind::Session)))
}
