//! What the provider is told: its idempotency key, and where the amount comes from.

use super::{Case, told};
use crate::follow::has_word;
use crate::model::{Event, EventKind, ProviderCall, ProviderKey, RequestAmount, Rule, Severity};

/// Words of what a customer pays as much for as they like.
const FREE: &[&str] = &[
    "donate",
    "donation",
    "tip",
    "topup",
    "contribute",
    "contribution",
    "deposit",
    "fund",
    "pledge",
    "gift",
    "recharge",
    "sponsor",
];

pub(super) fn judge(case: &mut Case<'_>) {
    for event in case.events {
        let Some(call) = told(event) else { continue };
        key(case, event, call);
        if let Some(amount) = &call.amount {
            of_request(case, event, call, amount);
        }
    }
}

fn key(case: &mut Case<'_>, event: &Event, call: &ProviderCall) {
    let name = &call.call;
    match &call.key {
        ProviderKey::NotOffered | ProviderKey::Given => {}
        ProviderKey::Volatile => {
            let what = format!("`{name}` is given a key that is new each time, so that a repetition is not recognized");
            case.tell(Rule::KeyVolatile, Severity::High, event, what, None);
        }
        ProviderKey::Missing => {
            let severity = match (call.money, call.repeats) {
                (true, true) => Severity::High,
                (true, false) => Severity::Medium,
                _ => Severity::Low,
            };
            case.tell(
                Rule::ProviderKeyMissing,
                severity,
                event,
                format!("`{name}` is called without an idempotency key"),
                None,
            );
        }
        ProviderKey::Unknown(hidden) => {
            let what = format!("`{name}` is given no idempotency key in sight, unless `{hidden}` holds one");
            case.tell(Rule::ProviderKeyMissing, Severity::Low, event, what, Some(hidden.clone()));
        }
    }
}

fn of_request(case: &mut Case<'_>, event: &Event, call: &ProviderCall, amount: &RequestAmount) {
    let places = amount.places.join("`, `");
    let what = format!("`{}` of `{}` comes from `{places}`", amount.field, call.call);
    if let Some(name) = &amount.unfollowed {
        let what = format!("{what}, unless `{name}`, which was not followed, replaces it");
        case.tell(Rule::AmountFromRequest, Severity::Low, event, what, Some(name.clone()));
        return;
    }
    let route = &case.followed.route;
    let chosen =
        [route.path.as_str(), route.file.as_str(), route.handler.as_str()].iter().any(|name| has_word(name, FREE));
    let refund =
        has_word(&call.call, &["refund"]) && case.perhaps_before(event, |kind| matches!(kind, EventKind::Session));
    let severity = match (amount.whole, chosen, refund) {
        (_, true, _) => Severity::Low,
        (true, _, false) => Severity::High,
        _ => Severity::Medium,
    };
    case.tell(Rule::AmountFromRequest, severity, event, what, None);
}
