//! What the facts make of a claim: every deviation is found, all are reported, and nothing is valid by default.
#![cfg(feature = "test-util")]

mod amounts;
mod debits;
mod deviations;
mod finality;
mod limits;
mod properties;
mod states;
mod tenant;
mod waiting;

use payproof::testing::ScriptedProvider;
use payproof::{
    Currency, Dispute, Mode, Money, PaymentIntent, PaymentStatus, Policy, ProviderPayment, Risk, Validation, Validator,
    ValidatorBuilder, Verdict,
};

use crate::support::intent;

/// When the payment was created, by the provider's clock.
const CREATED: u64 = 1_700_000_000;

/// All that is told of another tenant's payment.
const ANOTHER: &str = "tenant: the provider names another";

/// What is said of a claim that nothing proves, with what to set.
const UNPROVEN_TENANT: &str = "tenant: claimed, but the provider does not state it; write it into the payment's metadata under \
    the key of `tenant_proof` (`store_id` unless set; at Checkout in `payment_intent_data.metadata`), or set another \
    `tenant_proof`";
const UNPROVEN_ORDER: &str = "order: claimed, but the provider does not state it; write it into the payment's metadata under \
    `order_key` (`order_id` unless set; at Checkout in `payment_intent_data.metadata`), or leave `.with_order(..)` out";
const UNPROVEN_CUSTOMER: &str = "customer: claimed, but the provider does not state it; create the payment with its customer, \
    or leave `.with_customer(..)` out";

/// The facts of one payment, each of which can be left out.
#[derive(Clone, Debug)]
struct Facts {
    status: PaymentStatus,
    reason: Option<&'static str>,
    mode: Option<Mode>,
    amount: Option<(u64, Currency)>,
    received: Option<u64>,
    capturable: u64,
    refunded: u64,
    tip: Option<u64>,
    surcharge: Option<u64>,
    captured: Option<bool>,
    dispute: Dispute,
    fraud: bool,
    reversed: bool,
    risk: Risk,
    customer: Option<&'static str>,
    account: Option<&'static str>,
    destination: Option<&'static str>,
    store: Option<&'static str>,
    order: Option<&'static str>,
    created: Option<u64>,
    capture_before: Option<u64>,
    as_of: Option<u64>,
}

/// What [`claim`] claims, captured in full a minute after it was created.
const PAID: Facts = Facts {
    status: PaymentStatus::Paid,
    reason: None,
    mode: Some(Mode::Live),
    amount: Some((1999, Currency::USD)),
    received: Some(1999),
    capturable: 0,
    refunded: 0,
    tip: Some(0),
    surcharge: Some(0),
    captured: Some(true),
    dispute: Dispute::None,
    fraud: false,
    reversed: false,
    risk: Risk::Normal,
    customer: Some("cus_9"),
    account: None,
    destination: None,
    store: Some("store_42"),
    order: Some("6735"),
    created: Some(CREATED),
    capture_before: None,
    as_of: Some(CREATED + 60),
};

/// The same, authorized for another hour.
const AUTHORIZED: Facts = Facts {
    status: PaymentStatus::Authorized,
    received: Some(0),
    capturable: 1999,
    captured: Some(false),
    capture_before: Some(CREATED + 60 + 3600),
    ..PAID
};

impl Facts {
    fn build(&self) -> ProviderPayment {
        let mut facts = ProviderPayment::new("pi_1", self.status.clone())
            .with_amount_capturable(self.capturable)
            .with_amount_refunded(self.refunded)
            .with_dispute(self.dispute)
            .with_reported_fraud(self.fraud)
            .with_reversed(self.reversed)
            .with_risk(self.risk)
            .with_metadata("color", "store_9");
        facts = with(facts, self.reason, ProviderPayment::with_reason);
        facts = with(facts, self.mode, ProviderPayment::with_mode);
        facts = with(facts, self.amount, |facts, (minor, currency)| facts.with_amount(minor, currency));
        facts = with(facts, self.received, ProviderPayment::with_amount_received);
        facts = with(facts, self.tip, ProviderPayment::with_tip);
        facts = with(facts, self.surcharge, ProviderPayment::with_surcharge);
        facts = with(facts, self.captured, ProviderPayment::with_captured);
        facts = with(facts, self.customer, ProviderPayment::with_customer);
        facts = with(facts, self.account, ProviderPayment::with_account);
        facts = with(facts, self.destination, ProviderPayment::with_destination);
        facts = with(facts, self.store, |facts, store| facts.with_metadata("store_id", store));
        facts = with(facts, self.order, |facts, order| facts.with_metadata("order_id", order));
        facts = with(facts, self.created, ProviderPayment::with_created);
        facts = with(facts, self.capture_before, ProviderPayment::with_capture_before);
        with(facts, self.as_of, ProviderPayment::with_as_of)
    }
}

/// Sets a fact only if it is stated.
fn with<T>(
    facts: ProviderPayment,
    fact: Option<T>,
    set: impl Fn(ProviderPayment, T) -> ProviderPayment,
) -> ProviderPayment {
    match fact {
        Some(fact) => set(facts, fact),
        None => facts,
    }
}

#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn money(amount: &str, currency: Currency) -> Money {
    Money::parse(amount, currency).unwrap()
}

/// Tenant, order, amount and customer of [`PAID`].
#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn claim() -> PaymentIntent {
    intent("pi_1").with_customer("cus_9").unwrap()
}

/// The same without order and customer.
#[expect(clippy::unwrap_used, reason = "the literals are well-formed")]
fn bare_claim() -> PaymentIntent {
    PaymentIntent::new("store_42", "pi_1", money("19.99", Currency::USD)).unwrap()
}

/// A provider that states these facts.
fn stating(facts: ProviderPayment) -> ScriptedProvider {
    let provider = ScriptedProvider::new();
    provider.put(facts);
    provider
}

#[expect(clippy::unwrap_used, reason = "a provider that answers always gives a verdict")]
async fn judged(
    intent: &PaymentIntent,
    facts: &Facts,
    set: impl FnOnce(ValidatorBuilder) -> ValidatorBuilder,
) -> Validation {
    let validator = set(Validator::builder(stating(facts.build()))).build().unwrap();
    validator.validate(intent).await.unwrap()
}

async fn verdict(intent: &PaymentIntent, facts: &Facts) -> Verdict {
    judged(intent, facts, |builder| builder).await.into_verdict()
}

async fn by(policy: Policy, facts: &Facts) -> Verdict {
    judged(&claim(), facts, |builder| builder.policy(policy)).await.into_verdict()
}

/// Code and text of every finding; none unless the verdict is `Invalid`.
fn findings(verdict: &Verdict) -> Vec<(&'static str, String)> {
    match verdict {
        Verdict::Invalid(findings) => findings.iter().map(|finding| (finding.code(), finding.to_string())).collect(),
        _ => Vec::new(),
    }
}

/// Fails unless there is exactly this one finding.
#[track_caller]
fn assert_only(verdict: &Verdict, code: &str, text: &str) {
    assert_eq!(findings(verdict), [(code, text.to_owned())].map(|(code, text)| (leak(code), text)), "{verdict:?}");
}

fn leak(code: &str) -> &'static str {
    Box::leak(code.to_owned().into_boxed_str())
}
