//! Reads a Checkout session as the facts of its payment, and as what it states itself.
//!
//! | Stripe's word | the session is |
//! |---|---|
//! | `open`, null, any other | open |
//! | `complete` | complete |
//! | `complete`, with `no_payment_required` and no payment | complete, with nothing to pay |
//! | `expired` | expired |
//! | mode `subscription` | the start of a subscription |
//! | mode `setup` | the saving of a way to pay |
//!
//! The intent comes with the session once the shopper has confirmed something. Until then the facts stand under the session's
//! id, and are those of a payment that waits for the shopper.

use crate::http::object::Object;
use crate::payment::alias::{AliasState, PaymentAlias};
use crate::payment::facts::{Mode, PaymentStatus, ProviderPayment};
use crate::payment::waits_for::WaitsFor;
use crate::provider::ProviderError;

use super::payment::{currency, of_intent, parsed};
use super::wire::{Expandable, Intent, Metadata, Session};

/// What every session's id begins with.
pub(super) const PREFIX: &str = "cs_";

/// Where sessions stand below `/v1/`.
pub(super) const LIST: &str = "checkout/sessions";

/// What is asked for in place of ids.
pub(super) const WITH_REVIEW: &str = "expand%5B%5D=payment_intent.latest_charge&expand%5B%5D=payment_intent.review";
pub(super) const WITHOUT_REVIEW: &str = "expand%5B%5D=payment_intent.latest_charge";

/// What a session waits for that should have a payment, or a status.
const WITHOUT_PAYMENT: &str = "session_without_payment";
const WITHOUT_STATUS: &str = "session_without_status";

/// Reads the body of a success about a session. `account` is the account that was asked, if it is known.
pub(super) fn read(body: &[u8], asked: Option<&str>, account: Option<&str>) -> Result<ProviderPayment, ProviderError> {
    let Object(session): Object<Session<'_>> = parsed(body, "a Checkout session")?;
    if &*session.object != "checkout.session" {
        let message = format!("the answer is a `{}`, not a Checkout session", &*session.object);
        return Err(ProviderError::unreadable(message));
    }
    if asked.is_some_and(|asked| *asked != *session.id) {
        return Err(ProviderError::unreadable("the answer is about another session"));
    }
    let intent = match &session.payment_intent {
        None => None,
        Some(Expandable::Object(intent)) => Some(&**intent),
        Some(Expandable::Id(_)) => {
            return Err(ProviderError::unreadable(
                "the session's payment intent was not expanded; a restricted key needs read access to payment intents, too",
            )
            .permanent_by_code("payment_intent_not_expanded"));
        }
    };
    let facts = match intent {
        Some(intent) => of_its_intent(&session, intent, account)?,
        None => without_intent(&session, account)?,
    };
    Ok(facts.with_alias(alias(&session, intent.is_some())?))
}

fn of_its_intent(
    session: &Session<'_>,
    intent: &Intent<'_>,
    account: Option<&str>,
) -> Result<ProviderPayment, ProviderError> {
    if session.livemode.zip(intent.livemode).is_some_and(|(one, other)| one != other) {
        return Err(ProviderError::unreadable("the session and its payment contradict each other, by `livemode`"));
    }
    of_intent(intent, account)
}

/// Facts that stand under the session's own id.
fn without_intent(session: &Session<'_>, account: Option<&str>) -> Result<ProviderPayment, ProviderError> {
    let status = match session.status.as_deref() {
        Some("open" | "expired") => PaymentStatus::ActionRequired,
        // There should be a payment, unless there is nothing to pay.
        Some("complete") => PaymentStatus::Unknown(WITHOUT_PAYMENT.into()),
        status => PaymentStatus::Unknown(status.unwrap_or(WITHOUT_STATUS).into()),
    };
    let mut facts = ProviderPayment::new(&*session.id, status).with_waits_for(WaitsFor::Shopper);
    if let Some(status) = session.status.as_deref() {
        facts = facts.with_reason(status);
    }
    facts.mode = session.livemode.map(|live| if live { Mode::Live } else { Mode::Test });
    (facts.created, facts.waits_until) = (session.created, session.expires_at);
    if let Some((minor, code)) = session.amount_total.zip(session.currency.as_deref()) {
        facts = facts.with_amount(minor, currency(code)?);
    }
    facts.customer = session.customer.as_ref().map(|customer| customer.id().into());
    facts.account = account.map(Into::into);
    Ok(facts)
}

/// What the session states beside its payment.
fn alias(session: &Session<'_>, has_payment: bool) -> Result<PaymentAlias, ProviderError> {
    let is_free = session.payment_status.as_deref() == Some("no_payment_required");
    let by_status = match session.status.as_deref() {
        Some("complete") if is_free && !has_payment => AliasState::NoPaymentRequired,
        Some("complete") => AliasState::Complete,
        Some("expired") => AliasState::Expired,
        _ => AliasState::Open,
    };
    let state = match &*session.mode {
        "subscription" => AliasState::Subscription,
        "setup" => AliasState::Setup,
        _ => by_status,
    };
    let mut alias = PaymentAlias::new(state);
    if let Some((minor, code)) = session.amount_total.zip(session.currency.as_deref()) {
        alias = alias.with_amount(minor, currency(code)?);
    }
    if let Some(converted) = &session.currency_conversion {
        alias = alias.with_amount(converted.amount_total, currency(&converted.source_currency)?);
    }
    alias.metadata = session.metadata.as_ref().map(Metadata::boxed).unwrap_or_default();
    // On a Payment Link the shopper can set it in the URL.
    let reference = session.client_reference_id.as_deref().filter(|_| session.payment_link.is_none());
    alias.reference = reference.map(Into::into);
    Ok(alias)
}
