//! Checkout sessions: what they cost, and the verdicts on them.
#![cfg(feature = "stripe")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "what is not as it should be fails the test")]

mod orders;

use payproof::redeem::{Occasion, RedeemError};
use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment, SandboxSession};
use payproof::{
    Finding, IdempotencyKey, NotFoundHint, PaymentId, PaymentIntent, Provenance, Stripe, ValidateError, Validation,
    Validator, Verdict, WaitsFor,
};
use serde_json::json;

use crate::adapter::{paid, quick, sandbox, secret_key};
use crate::support::{forgetful, intent, intent_of, proof_of, secs};

/// A session of what [`paid`] states, open so far.
pub(crate) fn session() -> SandboxSession {
    SandboxSession::open("cs_1", 1999, "usd").tenant("store_42").order("6735")
}

/// A sandbox with a session, and the payment `pi_1`.
pub(crate) async fn with(session: SandboxSession, payment: SandboxPayment) -> Sandbox {
    let sandbox = sandbox(payment).await;
    sandbox.put_session(session);
    sandbox
}

async fn verdict(session: SandboxSession, payment: SandboxPayment) -> Verdict {
    let sandbox = with(session, payment).await;
    let validator = quick(&sandbox).build().unwrap();
    let first = validator.validate(intent("cs_1")).await.unwrap().into_verdict();
    // What memory and the payment's own look-up come to is the same.
    for _ in 0..2 {
        let again = validator.validate(intent("cs_1")).await.unwrap().into_verdict();
        assert_eq!(shown(&again), shown(&first));
    }
    first
}

fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Valid(proof) => format!("valid: {}", proof.payment()),
        Verdict::Pending(pending) => format!("pending: {}", pending.waiting().waits_for()),
        Verdict::ActionRequired(required) => format!("action required: {:?}", required.reason()),
        Verdict::Invalid(findings) => {
            let codes: Vec<_> = findings.iter().map(Finding::code).collect();
            format!("invalid{}: {}", if findings.is_final() { ", for good" } else { "" }, codes.join(", "))
        }
    }
}

/// What the provider said that was no answer.
fn source(error: &ValidateError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

async fn ask(validator: &Validator, id: &str) -> Validation {
    validator.validate(intent(id)).await.unwrap()
}

#[tokio::test]
async fn a_session_costs_one_call_the_first_time_and_then_what_its_payment_costs() {
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let by_payment = quick(&sandbox).build().unwrap();
    for (provenance, calls) in [(Provenance::Fresh, 1), (Provenance::Replayed, 1), (Provenance::Replayed, 1)] {
        assert_eq!((ask(&by_payment, "pi_1").await.provenance(), sandbox.requests()), (provenance, calls));
    }
    let (by_session, before) = (quick(&sandbox).build().unwrap(), sandbox.requests());
    for (provenance, calls) in [
        (Provenance::Fresh, 1),
        // The facts that came with the session are not kept, so the second validation may cost one.
        (Provenance::Fresh, 2),
        (Provenance::Replayed, 2),
        (Provenance::Replayed, 2),
    ] {
        let validation = ask(&by_session, "cs_1").await;
        assert!(validation.verdict().is_valid(), "{validation:?}");
        assert_eq!((validation.provenance(), sandbox.requests().saturating_sub(before)), (provenance, calls));
    }
    assert_eq!((sandbox.requests_for("cs_1"), sandbox.requests_for("pi_1")), (1, 2));
    // By its own id the payment costs nothing more.
    assert_eq!(ask(&by_session, "pi_1").await.provenance(), Provenance::Replayed);
}

#[tokio::test]
async fn an_open_session_is_asked_for_each_time_and_a_lost_one_once() {
    let sandbox = with(session(), paid()).await;
    let validator = quick(&sandbox).facts_in_memory(0).build().unwrap();
    for calls in 1..=3 {
        ask(&validator, "cs_1").await;
        assert_eq!(sandbox.requests_for("cs_1"), calls);
    }
    sandbox.put_session(session().paid("pi_1"));
    // Nothing is kept at all, so that each costs one call and is answered all the same.
    for calls in 4..=5 {
        assert!(ask(&validator, "cs_1").await.verdict().is_valid());
        assert_eq!((sandbox.requests_for("cs_1"), sandbox.requests_for("pi_1")), (calls, 0));
    }
}

#[tokio::test]
async fn an_open_session_waits_for_the_shopper_whatever_its_payment_states_so_far() {
    let none = || SandboxPayment::paid("pi_other", 1999, "usd");
    assert_eq!(shown(&verdict(session(), none()).await), "action required: Some(\"open\")");
    // What is not there yet may still come with the payment.
    let bare = SandboxSession::open("cs_1", 1999, "usd").without_amount();
    assert_eq!(shown(&verdict(bare, none()).await), "action required: Some(\"open\")");
    let elsewhere = SandboxSession::open("cs_1", 1999, "usd").tenant("store_43");
    assert_eq!(shown(&verdict(elsewhere, none()).await), "invalid: tenant_mismatch");
    let dearer = SandboxSession::open("cs_1", 2000, "usd").tenant("store_42");
    assert_eq!(shown(&verdict(dearer, none()).await), "invalid: amount_mismatch");
    let declined = SandboxPayment::declined("pi_1", 1999, "usd");
    let tried = verdict(session().payment("pi_1"), declined).await;
    assert_eq!(shown(&tried), "action required: Some(\"generic_decline\")");
    // The payment's facts win.
    assert_eq!(shown(&verdict(session().payment("pi_1"), paid()).await), "valid: pi_1");
}

#[tokio::test]
async fn a_complete_session_is_as_its_payment_is_and_pending_while_the_shopper_pays_elsewhere() {
    let of = |status: &str| SandboxPayment::status("pi_1", 1999, "usd", status);
    let complete = || session().unpaid("pi_1");
    let debit = of("processing").method("sepa_debit", json!({}));
    let voucher = of("requires_action").next_action("boleto_display_details", json!({}));
    for (session, payment, expected) in [
        (session().paid("pi_1"), paid(), "valid: pi_1".to_owned()),
        (complete(), paid(), "valid: pi_1".to_owned()),
        (complete(), debit, format!("pending: {}", WaitsFor::Debit)),
        (complete(), voucher, format!("pending: {}", WaitsFor::Voucher)),
        (complete(), SandboxPayment::declined("pi_1", 1999, "usd"), "invalid: risk, declined".to_owned()),
        (session().paid("pi_1"), paid().refunded(1999), "invalid: refunded".to_owned()),
        (session().paid("pi_1"), of("canceled"), "invalid, for good: canceled".to_owned()),
    ] {
        assert_eq!(shown(&verdict(session, payment).await).replace(", for good: refunded", ": refunded"), expected);
    }
}

#[tokio::test]
async fn an_expired_session_is_over_only_where_its_payment_is_not_paid() {
    let none = || SandboxPayment::paid("pi_other", 1999, "usd");
    let expired = || session().expired();
    assert_eq!(shown(&verdict(expired(), none()).await), "invalid, for good: canceled");
    let unconfirmed = SandboxPayment::requires_payment_method("pi_1", 1999, "usd");
    assert_eq!(shown(&verdict(expired().payment("pi_1"), unconfirmed).await), "invalid, for good: canceled");
    assert_eq!(shown(&verdict(expired().payment("pi_1"), paid()).await), "valid: pi_1");
    let under_way = SandboxPayment::processing("pi_1", 1999, "usd");
    assert!(shown(&verdict(expired().payment("pi_1"), under_way).await).starts_with("pending"));
}

#[tokio::test]
async fn a_session_that_is_of_no_one_payment_is_told_what_to_use_instead() {
    for (session, code, advice) in [
        (session().status("complete").mode("subscription"), "subscription", "entry of its invoice's `payments`"),
        (session().status("complete").mode("setup"), "setup", "the payment intent that is made with it"),
        (
            session().status("complete").payment_status("no_payment_required").without_amount(),
            "no_payment_required",
            "fulfill free orders by the session's own `payment_status`",
        ),
    ] {
        let verdict = verdict(session, SandboxPayment::paid("pi_other", 1999, "usd")).await;
        let Verdict::Invalid(findings) = &verdict else { panic!("{verdict:?}") };
        assert!(findings.has(code) && findings.is_final() && findings.len() == 1, "{findings}");
        assert!(findings.to_string().contains(advice), "{findings}");
    }
    // While it is open there may still be something to pay.
    let open = session().payment_status("no_payment_required");
    assert!(shown(&verdict(open, paid()).await).starts_with("action required"));
}

#[tokio::test]
async fn a_session_that_contradicts_its_payments_amount_is_invalid() {
    for (session, expected) in [
        (SandboxSession::open("cs_1", 1998, "usd"), "invalid, for good: alias_amount_mismatch"),
        (SandboxSession::open("cs_1", 1999, "eur"), "invalid, for good: alias_amount_mismatch"),
        (SandboxSession::open("cs_1", 1, "usd").without_amount(), "valid: pi_1"),
        // Of older sessions the amount is the shopper's, and the conversion names the shop's.
        (SandboxSession::open("cs_1", 1836, "eur").converted_from(1999, "usd"), "valid: pi_1"),
        (SandboxSession::open("cs_1", 1999, "usd").converted_from(1836, "eur"), "valid: pi_1"),
        (
            SandboxSession::open("cs_1", 1836, "eur").converted_from(1998, "usd"),
            "invalid, for good: alias_amount_mismatch",
        ),
    ] {
        assert_eq!(shown(&verdict(session.paid("pi_1"), paid()).await), expected);
    }
    // The claim is compared with the payment.
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let validation = quick(&sandbox).build().unwrap().validate(intent_of("cs_1", "20.00")).await.unwrap();
    assert_eq!(shown(validation.verdict()), "invalid, for good: amount_mismatch, amount_received_mismatch");
}

#[tokio::test]
async fn what_is_no_session_of_this_account_is_not_found_or_unreadable() {
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    let missing = validator.validate(intent("cs_2")).await.unwrap().into_verdict();
    let Verdict::Invalid(findings) = &missing else { panic!("{missing:?}") };
    assert_eq!(findings.as_ref(), [Finding::NotFound(NotFoundHint::Unsaid)]);
    let unreadable = |session: SandboxSession| {
        sandbox.put_session(session);
        let validator = quick(&sandbox).build().unwrap();
        async move { validator.validate(intent("cs_1")).await.unwrap_err() }
    };
    for (session, said) in [
        (session().paid("pi_unknown"), "was not expanded"),
        (session().paid("pi_1").test_mode(), "contradict each other, by `livemode`"),
        (session().paid("pi_1").without("id"), "is not a Checkout session"),
    ] {
        let error = unreadable(session).await;
        assert!(error.is_unavailable() && source(&error).contains(said), "{}", source(&error));
    }
    sandbox.put_session(session().paid("pi_1"));
    sandbox.script("cs_1", [Fault::WrongPayment, Fault::WrongPayment]);
    let error = quick(&sandbox).build().unwrap().validate(intent("cs_1")).await.unwrap_err();
    assert!(source(&error).contains("another session"), "{}", source(&error));
}

#[tokio::test]
async fn refunds_and_disputes_of_a_sessions_payment_are_asked_for_in_the_same_look_up() {
    for (payment, expected, requests) in [
        (paid().refunded(500), "partly_refunded", vec![2]),
        (paid().disputed(), "disputed", vec![2]),
        (paid().refunded(500).disputed(), "partly_refunded, disputed", vec![3]),
    ] {
        let sandbox = with(session().paid("pi_1"), payment).await;
        let validation = ask(&quick(&sandbox).build().unwrap(), "cs_1").await;
        assert!(shown(validation.verdict()).ends_with(expected), "{validation:?}");
        let asked: Vec<usize> = validation.attempts().iter().map(payproof::provider::Attempt::requests).collect();
        assert_eq!(asked, requests);
    }
}

#[tokio::test]
async fn a_proof_by_a_session_is_of_its_payment_whatever_the_text_of_the_claim() {
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let validator = forgetful(quick(&sandbox)).build().unwrap();
    let id = |text: &str| PaymentId::parse(text).unwrap();
    let (by_session, by_payment) =
        (proof_of(&validator, intent("cs_1")).await, proof_of(&validator, intent("pi_1")).await);
    assert_eq!((by_session.payment(), by_session.intent().payment()), (&id("pi_1"), &id("cs_1")));
    assert_eq!(by_session.redemption_key(), by_payment.redemption_key());
    let first = validator.redeem(&by_session).await.unwrap();
    assert_eq!((first.occasion(), first.receipt().payment()), (Occasion::First, &id("pi_1")));
    let again = validator.redeem(&by_payment).await.unwrap();
    assert_eq!((again.receipt(), again.occasion() == Occasion::First), (first.receipt(), false));
    for text in ["cs_1", "pi_1"] {
        assert_eq!(validator.redemption(&id(text)).await.unwrap().unwrap().receipt(), first.receipt());
        assert!(validator.stored_facts(&id(text)).await.unwrap().unwrap().facts().is_some(), "{text}");
    }
    // Nor does another order get it by the other name.
    let other = || PaymentIntent::new("store_42", "cs_1", intent("pi_1").money()).unwrap();
    let unbound = with(SandboxSession::open("cs_1", 1999, "usd").paid("pi_1"), {
        SandboxPayment::paid("pi_1", 1999, "usd").tenant("store_42")
    })
    .await;
    let validator = forgetful(quick(&unbound)).build().unwrap();
    let proof = proof_of(&validator, other()).await;
    assert_eq!(validator.redeem(&proof).order("6735").await.unwrap().occasion(), Occasion::First);
    let by_payment = PaymentIntent::new("store_42", "pi_1", intent("pi_1").money()).unwrap();
    let proof = proof_of(&validator, by_payment).await;
    let refused = validator.redeem(&proof).order("6736").await.unwrap_err();
    assert!(matches!(&refused, RedeemError::AlreadyRedeemed { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_redemption_is_found_by_a_session_that_is_not_known_any_more() {
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let validator = forgetful(quick(&sandbox)).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    let redeemed = validator.redeem(&proof).await.unwrap();
    let session = PaymentId::parse("cs_1").unwrap();
    assert_eq!(validator.stored_facts(&session).await.unwrap(), None, "the provider is not asked for that");
    assert_eq!(sandbox.requests_for("cs_1"), 0);
    assert_eq!(validator.redemption(&session).await.unwrap().unwrap().receipt(), redeemed.receipt());
    assert_eq!(sandbox.requests_for("cs_1"), 1);
}

#[tokio::test]
async fn a_key_is_bound_to_the_name_by_which_a_payment_was_claimed() {
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    let keyed = |id: &str| intent(id).with_key(IdempotencyKey::parse("check-out-1").unwrap());
    assert!(validator.validate(keyed("cs_1")).await.unwrap().verdict().is_valid());
    assert!(validator.validate(keyed("cs_1")).await.unwrap().verdict().is_valid());
    assert!(validator.validate(keyed("pi_1")).await.unwrap_err().is_key_reused());
}

#[tokio::test]
async fn the_age_that_is_accepted_binds_the_session_and_its_payment_alike() {
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    for _ in 0..2 {
        ask(&validator, "cs_1").await;
    }
    assert_eq!((sandbox.requests_for("cs_1"), sandbox.requests_for("pi_1")), (1, 1));
    // Both are in memory. A call that accepts nothing from before asks about the session, which brings both.
    validator.validate(intent("cs_1")).max_age(secs(0)).await.unwrap();
    assert_eq!((sandbox.requests_for("cs_1"), sandbox.requests_for("pi_1")), (2, 1));
    // What was known of the payment is older than what the session was just asked, so it is asked for once more.
    ask(&validator, "cs_1").await;
    ask(&validator, "cs_1").await;
    assert_eq!((sandbox.requests_for("cs_1"), sandbox.requests_for("pi_1")), (2, 2));
}

#[tokio::test]
async fn forgetting_a_session_forgets_its_payment_and_one_that_is_not_known_is_asked_for() {
    let sandbox = with(session().paid("pi_1"), paid()).await;
    let validator = quick(&sandbox).build().unwrap();
    let session_id = PaymentId::parse("cs_1").unwrap();
    assert!(ask(&validator, "pi_1").await.verdict().is_valid());
    sandbox.put(paid().refunded(1999));
    validator.forget(&session_id).await.unwrap();
    assert_eq!(sandbox.requests_for("cs_1"), 1, "nothing here knew which payment it is");
    assert!(shown(ask(&validator, "pi_1").await.verdict()).ends_with("refunded"));
    for _ in 0..2 {
        ask(&validator, "cs_1").await;
    }
    let before = sandbox.requests_for("cs_1");
    validator.forget(&session_id).await.unwrap();
    assert_eq!(sandbox.requests_for("cs_1"), before, "it is known");
    // Where the provider does not say which payment it is, nothing can be confirmed.
    sandbox.script("cs_1", vec![Fault::Unavailable; 8]);
    assert!(validator.forget(&session_id).await.unwrap_err().is_unavailable());
    // A session that does not exist, or has no payment yet, has nothing to forget.
    sandbox.put_session(SandboxSession::open("cs_3", 1999, "usd"));
    for id in ["cs_2", "cs_3"] {
        validator.forget(&PaymentId::parse(id).unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_asked_of_a_session_is_its_payment_with_charge_and_review() {
    let sandbox = with(session().paid("pi_1"), paid().review_open()).await;
    let stripe = Stripe::builder(secret_key()).base_url(sandbox.url()).account("acct_9").build().unwrap();
    let validator = Validator::builder(stripe).build().unwrap();
    assert_eq!(shown(ask(&validator, "cs_1").await.verdict()), "invalid: risk");
    let request = sandbox.last_request().unwrap();
    let (charge, review) = ("expand%5B%5D=payment_intent.latest_charge", "expand%5B%5D=payment_intent.review");
    assert_eq!(request.path(), "/v1/checkout/sessions/cs_1");
    assert_eq!(request.query(), Some(&*format!("{charge}&{review}")));
    assert_eq!(request.header("stripe-account"), Some("acct_9"), "only the same account's session is found");
    // A key that may not read reviews is asked for without them.
    sandbox.put(paid());
    sandbox.script("cs_1", [Fault::Status(403, "{\"error\":{\"message\":\"no\"}}".to_owned())]);
    let validation = ask(&quick(&sandbox).build().unwrap(), "cs_1").await;
    assert!(validation.verdict().is_valid(), "{validation:?}");
    assert_eq!(sandbox.last_request().unwrap().query(), Some(charge));
}

#[tokio::test]
async fn another_tenant_learns_nothing_of_an_open_session() {
    let open = SandboxSession::open("cs_1", 1999, "usd").order("6735").customer("cus_9");
    let sandbox = with(open, SandboxPayment::paid("pi_other", 1999, "usd")).await;
    let money = payproof::Money::parse("1.00", payproof::Currency::USD).unwrap();
    let theirs = PaymentIntent::new("store_43", "cs_1", money).unwrap();
    let told = quick(&sandbox).build().unwrap().validate(theirs).await.unwrap().into_verdict();
    assert!(matches!(told, Verdict::ActionRequired(_)), "{told:?}");
}
