//! What the facts make of a claim: every deviation is found, all are reported, and nothing is valid by default.
#![cfg(feature = "test-util")]

use std::time::Duration;

use crate::support::{intent, ms, paid, secs};
use payproof::testing::ScriptedProvider;
use payproof::{
    Capture, Currency, Fact, Field, Finding, Mode, Money, PaymentIntent, PaymentStatus, Policy, ProviderPayment, Risk,
    TenantProof, Validation, Validator, ValidatorBuilder, Verdict,
};
use proptest::prelude::*;

/// When the payment was created, by the provider's clock.
const CREATED: u64 = 1_700_000_000;

/// All that is told of another tenant's payment.
const ANOTHER: &str = "tenant: the provider names another";

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
    captured: Option<bool>,
    disputed: bool,
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
    captured: Some(true),
    disputed: false,
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

/// The same, authorised for another hour.
const AUTHORISED: Facts = Facts {
    status: PaymentStatus::Authorised,
    received: Some(0),
    capturable: 1999,
    captured: Some(false),
    capture_before: Some(CREATED + 60 + 3600),
    ..PAID
};

impl Facts {
    fn build(&self) -> ProviderPayment {
        let mut facts = ProviderPayment::new("pi_1", self.status.clone())
            .amount_capturable(self.capturable)
            .amount_refunded(self.refunded)
            .disputed(self.disputed)
            .reversed(self.reversed)
            .risk(self.risk)
            .metadata("colour", "store_9");
        facts = with(facts, self.reason, ProviderPayment::reason);
        facts = with(facts, self.mode, ProviderPayment::mode);
        facts = with(facts, self.amount, |facts, (minor, currency)| facts.amount(minor, currency));
        facts = with(facts, self.received, ProviderPayment::amount_received);
        facts = with(facts, self.captured, ProviderPayment::captured);
        facts = with(facts, self.customer, ProviderPayment::customer);
        facts = with(facts, self.account, ProviderPayment::account);
        facts = with(facts, self.destination, ProviderPayment::destination);
        facts = with(facts, self.store, |facts, store| facts.metadata("store_id", store));
        facts = with(facts, self.order, |facts, order| facts.metadata("order_id", order));
        facts = with(facts, self.created, ProviderPayment::created);
        facts = with(facts, self.capture_before, ProviderPayment::capture_before);
        with(facts, self.as_of, ProviderPayment::as_of)
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
    intent("pi_1").customer("cus_9").unwrap()
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

async fn proven_by(proof: TenantProof, facts: &Facts) -> Verdict {
    judged(&claim(), facts, |builder| builder.tenant_proof(proof)).await.into_verdict()
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

#[tokio::test(start_paused = true)]
async fn a_payment_that_matches_every_claim_is_valid() {
    let validation = judged(&claim(), &PAID, |builder| builder).await;
    let Verdict::Valid(proof) = validation.verdict() else { panic!("{validation:?}") };
    assert_eq!(proof.capture(), Capture::Captured);
    assert_eq!(proof.payment().as_str(), "pi_1");
    assert_eq!(proof.money(), money("19.99", Currency::USD));
    assert_eq!(proof.intent().tenant(), "store_42");
    assert_eq!(proof.intent().claimed_order(), Some("6735"));
    assert_eq!(proof.age(), Duration::ZERO);
    assert!(verdict(&bare_claim(), &Facts { order: None, customer: None, ..PAID }).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn each_single_deviation_of_the_facts_is_the_one_finding() {
    let cases = [
        (
            Facts { amount: Some((2000, Currency::USD)), ..PAID },
            "amount_mismatch",
            "amount: expected 19.99 USD, actual 20 USD",
        ),
        (
            Facts { amount: Some((1998, Currency::USD)), ..PAID },
            "amount_mismatch",
            "amount: expected 19.99 USD, actual 19.98 USD",
        ),
        (
            Facts { received: Some(1998), ..PAID },
            "amount_received_mismatch",
            "amount received: expected 19.99 USD, actual 19.98 USD",
        ),
        (
            Facts { received: Some(2000), ..PAID },
            "amount_received_mismatch",
            "amount received: expected 19.99 USD, actual 20 USD",
        ),
        (
            Facts { received: Some(0), ..PAID },
            "amount_received_mismatch",
            "amount received: expected 19.99 USD, actual 0 USD",
        ),
        (Facts { received: None, ..PAID }, "unproven", "amount_received: the provider does not state it"),
        (
            Facts { amount: Some((1999, Currency::EUR)), ..PAID },
            "currency_mismatch",
            "currency: expected USD, actual EUR",
        ),
        (Facts { store: Some("store_9"), ..PAID }, "tenant_mismatch", ANOTHER),
        (Facts { store: Some("STORE_42"), ..PAID }, "tenant_mismatch", ANOTHER),
        (Facts { store: Some("store_42 "), ..PAID }, "tenant_mismatch", ANOTHER),
        (Facts { store: Some("store_42\0"), ..PAID }, "tenant_mismatch", ANOTHER),
        (Facts { order: Some("6735 "), ..PAID }, "order_mismatch", "order: expected \"6735\", actual \"6735 \""),
        (Facts { order: Some("6735\0"), ..PAID }, "order_mismatch", "order: expected \"6735\", actual \"6735\\u{0}\""),
        (
            Facts { order: Some("67\u{200b}35"), ..PAID },
            "order_mismatch",
            "order: expected \"6735\", actual \"67\\u{200b}35\"",
        ),
        (
            Facts { order: Some("6735\n\u{1b}[2K"), ..PAID },
            "order_mismatch",
            "order: expected \"6735\", actual \"6735\\n\\u{1b}[2K\"",
        ),
        (
            Facts { order: Some("6735\u{a0}"), ..PAID },
            "order_mismatch",
            "order: expected \"6735\", actual \"6735\\u{a0}\"",
        ),
        (Facts { store: None, ..PAID }, "unproven", "tenant: claimed, but the provider does not state it"),
        (Facts { store: Some(""), ..PAID }, "unproven", "tenant: claimed, but the provider does not state it"),
        (Facts { order: Some("6736"), ..PAID }, "order_mismatch", "order: expected 6735, actual 6736"),
        (Facts { order: Some("06735"), ..PAID }, "order_mismatch", "order: expected 6735, actual 06735"),
        (Facts { order: None, ..PAID }, "unproven", "order: claimed, but the provider does not state it"),
        (Facts { order: Some(""), ..PAID }, "unproven", "order: claimed, but the provider does not state it"),
        (Facts { customer: Some("cus_7"), ..PAID }, "customer_mismatch", "another customer paid"),
        (Facts { customer: Some(""), ..PAID }, "customer_mismatch", "another customer paid"),
        (Facts { customer: None, ..PAID }, "unproven", "customer: claimed, but the provider does not state it"),
        (Facts { mode: Some(Mode::Test), ..PAID }, "mode_mismatch", "mode: expected live, actual test"),
        (Facts { mode: None, ..PAID }, "unproven", "mode: the provider does not state it"),
        (Facts { refunded: 1, ..PAID }, "partly_refunded", "refunded in part: 0.01 USD"),
        (Facts { refunded: 1998, ..PAID }, "partly_refunded", "refunded in part: 19.98 USD"),
        (Facts { refunded: 1999, ..PAID }, "refunded", "refunded in full: 19.99 USD"),
        (Facts { refunded: 2500, ..PAID }, "refunded", "refunded in full: 25 USD"),
        (Facts { disputed: true, ..PAID }, "disputed", "disputed"),
        (Facts { reversed: true, ..PAID }, "declined", "declined: reversed_after_approval"),
        (Facts { captured: Some(false), ..PAID }, "not_captured", "not captured in full, and no longer capturable"),
        (Facts { risk: Risk::Review, ..PAID }, "risk", "risk: accepted up to elevated, actual review"),
        (
            Facts { status: PaymentStatus::Declined, reason: Some("card_declined"), ..PAID },
            "declined",
            "declined: card_declined",
        ),
        (Facts { status: PaymentStatus::Declined, ..PAID }, "declined", "declined"),
        (
            Facts { status: PaymentStatus::Canceled, reason: Some("abandoned"), ..PAID },
            "canceled",
            "canceled: abandoned",
        ),
        (Facts { status: PaymentStatus::Canceled, ..PAID }, "canceled", "canceled"),
        (Facts { status: PaymentStatus::NotFound, ..PAID }, "not_found", "no such payment for this account and mode"),
    ];
    for (facts, code, text) in cases {
        assert_only(&verdict(&claim(), &facts).await, code, text);
    }
}

#[tokio::test(start_paused = true)]
async fn each_single_deviation_of_the_claim_is_the_one_finding() {
    let claimed = |tenant, amount, currency| PaymentIntent::new(tenant, "pi_1", money(amount, currency)).unwrap();
    let cases = [
        (claimed("store_43", "19.99", Currency::USD).order("6735").unwrap(), "tenant_mismatch", ANOTHER),
        (claimed("store_42", "19.98", Currency::USD).order("6735").unwrap(), "amount_mismatch", ""),
        (
            claimed("store_42", "19.99", Currency::CAD).order("6735").unwrap(),
            "currency_mismatch",
            "currency: expected CAD, actual USD",
        ),
        (
            claimed("store_42", "19.99", Currency::USD).order("1").unwrap(),
            "order_mismatch",
            "order: expected 1, actual 6735",
        ),
        (bare_claim(), "order_mismatch", "order: expected none, actual 6735"),
        (claim().customer("cus_8").unwrap(), "customer_mismatch", "another customer paid"),
    ];
    for (intent, code, text) in cases {
        let verdict = verdict(&intent, &PAID).await;
        if code == "amount_mismatch" {
            // Who claims less than was asked claims less than was received, too.
            let codes: Vec<_> = findings(&verdict).into_iter().map(|(code, _)| code).collect();
            assert_eq!(codes, ["amount_mismatch", "amount_received_mismatch"]);
        } else {
            assert_only(&verdict, code, text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn findings_carry_both_values() {
    let facts = Facts { amount: Some((2000, Currency::EUR)), order: Some("7"), ..PAID };
    let Verdict::Invalid(findings) = verdict(&claim(), &facts).await else { panic!("valid") };
    let mut seen = 0;
    for finding in &findings {
        seen += 1;
        match finding {
            Finding::Currency(m) => assert_eq!((m.expected, m.actual), (Currency::USD, Currency::EUR)),
            Finding::Amount(m) => {
                assert_eq!((m.expected, m.actual), (money("19.99", Currency::USD), money("20", Currency::EUR)));
            }
            // 19.99 were received: the same number, of another currency.
            Finding::AmountReceived(_) => panic!("{findings}"),
            Finding::Order(m) => assert_eq!((m.expected.as_deref(), m.actual.as_deref()), (Some("6735"), Some("7"))),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, 3);
    assert!(findings.has("order_mismatch") && !findings.has("disputed"));
    assert_eq!(findings.as_ref().len(), 3);
    assert_eq!(findings.to_string().split("; ").count(), 3);
}

/// A payment at which everything is wrong, with values that no claim of these tests holds.
const ALL_WRONG: Facts = Facts {
    reason: Some("lost_card"),
    mode: Some(Mode::Test),
    amount: Some((7777, Currency::EUR)),
    received: Some(8888),
    refunded: 5555,
    disputed: true,
    reversed: true,
    captured: Some(false),
    risk: Risk::Blocked,
    customer: Some("cus_theirs"),
    store: Some("store_theirs"),
    order: Some("order_theirs"),
    created: Some(1),
    ..PAID
};

#[tokio::test(start_paused = true)]
async fn another_tenants_payment_tells_nothing() {
    let statuses = [
        PaymentStatus::Paid,
        PaymentStatus::Authorised,
        PaymentStatus::Processing,
        PaymentStatus::ActionRequired,
        PaymentStatus::Declined,
        PaymentStatus::Canceled,
        PaymentStatus::Unknown("status_theirs".into()),
    ];
    let on = |account| Facts { account, destination: account, ..ALL_WRONG };
    let cases = [
        (TenantProof::default(), ALL_WRONG, Finding::Tenant),
        (TenantProof::default(), Facts { store: None, ..on(Some("store_42")) }, Finding::Unproven(Field::Tenant)),
        (TenantProof::default(), Facts { store: Some(""), ..ALL_WRONG }, Finding::Unproven(Field::Tenant)),
        (TenantProof::Account, Facts { store: None, ..on(Some("acct_theirs")) }, Finding::Tenant),
        (TenantProof::Account, Facts { store: None, ..on(None) }, Finding::Unproven(Field::Tenant)),
        (TenantProof::Account, Facts { store: Some("store_42"), ..on(None) }, Finding::Unproven(Field::Tenant)),
        (TenantProof::Account, on(Some("store_42")), Finding::Tenant),
        (TenantProof::Destination, Facts { store: None, ..on(Some("acct_theirs")) }, Finding::Tenant),
        (TenantProof::Destination, Facts { store: None, ..on(None) }, Finding::Unproven(Field::Tenant)),
        (TenantProof::SingleTenant, ALL_WRONG, Finding::Tenant),
    ];
    for (proof, facts, expected) in cases {
        for status in &statuses {
            let facts = Facts { status: status.clone(), ..facts.clone() };
            let policy = Policy::default().max_age(secs(1)).accept_authorised();
            let validation =
                judged(&claim(), &facts, |builder| builder.tenant_proof(proof.clone()).policy(policy)).await;
            let Verdict::Invalid(findings) = validation.verdict() else { panic!("{validation:?}") };
            assert_eq!(findings.iter().collect::<Vec<_>>(), [&expected], "{proof:?} {facts:?}");
            let told = format!("{findings} {validation:?}");
            let theirs = ["theirs", "77.77", "88.88", "55.55", "7777", "EUR", "lost_card", "refunded", "test"];
            for secret in theirs {
                assert!(!told.contains(secret), "{secret}: {told}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_payment_is_ours_everything_wrong_with_it_is_told() {
    let ours = by(Policy::default(), &Facts { store: Some("store_42"), ..ALL_WRONG }).await;
    assert!(findings(&ours).len() > 8, "{ours:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_dong_do_not_pay_a_hundred_dollars() {
    let facts = Facts { amount: Some((100, Currency::VND)), received: Some(100), ..PAID };
    let hundred =
        |currency| PaymentIntent::new("store_42", "pi_1", money("100", currency)).unwrap().order("6735").unwrap();
    assert_only(
        &verdict(&hundred(Currency::USD), &facts).await,
        "currency_mismatch",
        "currency: expected USD, actual VND",
    );
    assert!(verdict(&hundred(Currency::VND), &facts).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn yen_are_not_read_as_cents() {
    let facts = Facts { amount: Some((1999, Currency::JPY)), received: Some(1999), ..PAID };
    let claimed = |amount, currency| {
        PaymentIntent::new("store_42", "pi_1", money(amount, currency)).unwrap().order("6735").unwrap()
    };
    let verdict_on_cents = verdict(&claimed("19.99", Currency::USD), &facts).await;
    let codes: Vec<_> = findings(&verdict_on_cents).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["currency_mismatch", "amount_mismatch", "amount_received_mismatch"]);
    assert!(verdict(&claimed("1999", Currency::JPY), &facts).await.is_valid());
    let same_number = verdict(&claimed("1999", Currency::USD), &facts).await;
    assert_only(&same_number, "currency_mismatch", "currency: expected USD, actual JPY");
}

#[tokio::test(start_paused = true)]
async fn a_currency_that_iso_does_not_list_pays_for_nothing_else() {
    let stablecoin = Currency::reported("usdc").unwrap();
    let facts = Facts { amount: Some((1999, stablecoin)), ..PAID };
    assert_only(&verdict(&claim(), &facts).await, "currency_mismatch", "currency: expected USD, actual USDC");
}

#[tokio::test(start_paused = true)]
async fn every_deviation_is_reported_and_not_only_the_first() {
    let facts = Facts {
        mode: Some(Mode::Test),
        amount: Some((3000, Currency::EUR)),
        received: Some(500),
        refunded: 100,
        disputed: true,
        reversed: true,
        captured: Some(false),
        risk: Risk::Blocked,
        customer: Some("cus_7"),
        order: Some("7"),
        ..PAID
    };
    let policy = Policy::default().max_age(secs(59));
    let codes: Vec<_> = findings(&by(policy, &facts).await).into_iter().map(|(code, _)| code).collect();
    let expected = [
        "currency_mismatch",
        "amount_mismatch",
        "order_mismatch",
        "customer_mismatch",
        "mode_mismatch",
        "partly_refunded",
        "disputed",
        "risk",
        "too_old",
        "declined",
        "not_captured",
        "amount_received_mismatch",
    ];
    assert_eq!(codes, expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_claimed_may_be_stated_unless_it_is_an_order() {
    let facts = Facts { order: None, ..PAID };
    assert!(verdict(&bare_claim(), &facts).await.is_valid(), "an unclaimed customer does not matter");
    let named = verdict(&bare_claim(), &PAID).await;
    assert_only(&named, "order_mismatch", "order: expected none, actual 6735");
}

#[tokio::test(start_paused = true)]
async fn a_test_validator_refuses_live_payments_and_unstated_modes() {
    for (mode, text) in
        [(Some(Mode::Live), "mode: expected test, actual live"), (None, "mode: the provider does not state it")]
    {
        let provider = ScriptedProvider::test_mode();
        provider.put(Facts { mode, ..PAID }.build());
        let validator = Validator::builder(provider.clone()).mode(Mode::Test).build().unwrap();
        let validation = validator.validate(claim()).await.unwrap();
        assert_eq!(findings(validation.verdict()).len(), 1);
        assert_eq!(findings(validation.verdict())[0].1, text);
    }
    let provider = ScriptedProvider::test_mode();
    provider.put(Facts { mode: Some(Mode::Test), ..PAID }.build());
    let validator = Validator::builder(provider).mode(Mode::Test).build().unwrap();
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
}

#[tokio::test(start_paused = true)]
async fn risk_is_accepted_up_to_the_threshold_and_no_further() {
    let levels = [Risk::Normal, Risk::NotAssessed, Risk::Elevated, Risk::Review, Risk::Highest, Risk::Blocked];
    for accepted in levels {
        for actual in levels {
            let verdict = by(Policy::default().accept_risk_up_to(accepted), &Facts { risk: actual, ..PAID }).await;
            if actual <= accepted {
                assert!(verdict.is_valid(), "{actual:?} up to {accepted:?}: {verdict:?}");
            } else {
                let text = format!("risk: accepted up to {}, actual {}", accepted.as_str(), actual.as_str());
                assert_only(&verdict, "risk", &text);
            }
        }
    }
    assert_eq!(levels.map(Risk::as_str), ["normal", "not_assessed", "elevated", "review", "highest", "blocked"]);
    assert!(levels.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_payment_older_than_accepted_is_refused_and_an_unknown_age_too() {
    let policy = |limit| Policy::default().max_age(secs(limit));
    assert!(by(policy(60), &PAID).await.is_valid(), "exactly as old as accepted");
    assert_only(&by(policy(59), &PAID).await, "too_old", "too old: accepted up to 59 s, actual 60 s");
    let unknown = by(policy(60), &Facts { created: None, ..PAID }).await;
    assert_only(&unknown, "unproven", "created: the provider does not state it");
    assert!(by(Policy::default(), &Facts { created: None, ..PAID }).await.is_valid());
    let Verdict::Invalid(findings) = by(policy(60), &Facts { created: None, ..PAID }).await else { panic!("valid") };
    assert_eq!(findings.as_ref(), [Finding::Unstated(Fact::Created)]);
}

#[tokio::test(start_paused = true)]
async fn a_payment_created_after_the_answer_that_tells_of_it_is_not_valid() {
    let text = "created later than the provider's own time of this answer";
    let (as_of, of_2096) = (CREATED + 60, 3_976_214_400);
    let created = |at| Facts { created: Some(at), ..PAID };
    for policy in [Policy::default(), Policy::default().max_age(secs(60)), Policy::default().max_age(Duration::MAX)] {
        // Two clocks may differ by five minutes.
        for at in [as_of, as_of + 1, as_of + 300] {
            assert!(by(policy.clone(), &created(at)).await.is_valid(), "{at}");
        }
        for at in [as_of + 301, of_2096, u64::MAX] {
            assert_only(&by(policy.clone(), &created(at)).await, "created_ahead", text);
        }
    }
    let held = Facts { created: Some(of_2096), ..AUTHORISED };
    assert_only(&by(Policy::default().accept_authorised(), &held).await, "created_ahead", text);
}

#[tokio::test(start_paused = true)]
async fn without_the_answers_own_time_this_machines_counts_for_a_payment_created_ahead() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let stated = |ahead| Facts { created: Some(now + ahead), as_of: None, ..PAID };
    assert!(verdict(&claim(), &stated(60)).await.is_valid());
    // This test may be slow; it is not an hour slow.
    assert_eq!(findings(&verdict(&claim(), &stated(3600)).await)[0].0, "created_ahead");
}

#[tokio::test(start_paused = true)]
async fn a_contradiction_about_the_time_is_asked_about_again_soon() {
    let provider = stating(Facts { created: Some(CREATED + 3600), ..PAID }.build());
    let validator = Validator::builder(provider.clone()).build().unwrap();
    assert!(!validator.validate(claim()).await.unwrap().verdict().is_valid());
    provider.put(PAID.build());
    tokio::time::advance(secs(2)).await;
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_payment_so_old_that_its_use_may_be_forgotten_is_refused_under_any_policy() {
    const DAY: u64 = 24 * 60 * 60;
    let aged = |days: u64, seconds: u64| Facts { as_of: Some(CREATED + days * DAY + seconds), ..PAID };
    assert!(by(Policy::default(), &aged(399, 0)).await.is_valid());
    for policy in [Policy::default(), Policy::default().max_age(secs(1000 * DAY))] {
        let verdict = by(policy, &aged(399, 1)).await;
        assert_only(&verdict, "too_old", "too old: accepted up to 34473600 s, actual 34473601 s");
    }
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_payment_counts_until_the_verdict_and_not_until_the_answer() {
    let provider = stating(PAID.build());
    let validator = Validator::builder(provider.clone()).policy(Policy::default().max_age(secs(70))).build().unwrap();
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
    tokio::time::advance(secs(9)).await;
    assert!(validator.validate(claim()).await.unwrap().verdict().is_valid());
    assert_eq!(provider.calls(), 1);
    // The provider repeats its answer, with the time it has now.
    tokio::time::advance(secs(2)).await;
    provider.put(Facts { as_of: Some(CREATED + 71), ..PAID }.build());
    let late = validator.validate(claim()).await.unwrap();
    assert_only(late.verdict(), "too_old", "too old: accepted up to 70 s, actual 71 s");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_valid_by_default() {
    let unfinished = [
        PaymentStatus::Processing,
        PaymentStatus::Authorised,
        PaymentStatus::Unknown("succeeded".into()),
        PaymentStatus::Unknown("paid".into()),
        PaymentStatus::Unknown("".into()),
    ];
    for status in unfinished {
        let verdict = verdict(&claim(), &Facts { status: status.clone(), ..PAID }).await;
        let Verdict::Pending(pending) = &verdict else { panic!("{status:?}: {verdict:?}") };
        assert_eq!(*pending.status(), status);
        assert!(pending.poll_after() <= secs(2));
    }
    let verdict_of = async |facts: &Facts| verdict(&claim(), facts).await;
    let waits =
        verdict_of(&Facts { status: PaymentStatus::ActionRequired, reason: Some("requires_action"), ..PAID }).await;
    let Verdict::ActionRequired(action) = &waits else { panic!("{waits:?}") };
    assert_eq!(action.reason(), Some("requires_action"));
    for facts in [Facts { amount: None, ..PAID }, Facts { amount: None, received: None, ..PAID }] {
        let verdict = verdict_of(&facts).await;
        let Verdict::Invalid(findings) = &verdict else { panic!("{verdict:?}") };
        assert!(findings.iter().any(|finding| *finding == Finding::Unproven(Field::Amount)), "{findings}");
    }
    let nothing = ScriptedProvider::new();
    nothing.put(ProviderPayment::new("pi_1", PaymentStatus::Paid));
    let validator = Validator::builder(nothing).single_tenant().build().unwrap();
    let bare = validator.validate(bare_claim()).await.unwrap();
    assert!(matches!(bare.verdict(), Verdict::Invalid(_)), "{bare:?}");
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_payment_that_is_not_ours_is_invalid_at_once() {
    for status in [PaymentStatus::Processing, PaymentStatus::ActionRequired, PaymentStatus::Unknown("x".into())] {
        let verdict = verdict(&claim(), &Facts { status, store: Some("store_9"), ..PAID }).await;
        assert_only(&verdict, "tenant_mismatch", ANOTHER);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_payment_is_no_answer() {
    let provider = ScriptedProvider::new();
    provider.script("pi_1", [paid("pi_2"), paid("pi_2"), paid("pi_2"), paid("pi_2")]);
    let validator = Validator::builder(provider).build().unwrap();
    let error = validator.validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(error.code(), "unreadable_answer");
}

#[tokio::test(start_paused = true)]
async fn the_wait_before_the_next_poll_shrinks_with_the_age_of_the_facts() {
    let provider = stating(Facts { status: PaymentStatus::Processing, ..PAID }.build());
    let validator = Validator::builder(provider.clone()).build().unwrap();
    let poll_after = async || match validator.validate(claim()).await.unwrap().into_verdict() {
        Verdict::Pending(pending) => pending.poll_after(),
        other => panic!("{other:?}"),
    };
    assert_eq!(poll_after().await, secs(2));
    tokio::time::advance(ms(1500)).await;
    assert_eq!(poll_after().await, ms(500));
    assert_eq!(provider.calls(), 1);
    tokio::time::advance(ms(500)).await;
    assert_eq!(poll_after().await, secs(2), "asked again once the wait is over");
    assert_eq!(provider.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn authorised_is_not_paid_unless_the_policy_says_so() {
    let verdict = verdict(&claim(), &AUTHORISED).await;
    let Verdict::Pending(pending) = &verdict else { panic!("{verdict:?}") };
    assert_eq!(*pending.status(), PaymentStatus::Authorised);
    let verdict = by(Policy::default().accept_authorised(), &AUTHORISED).await;
    let Verdict::Valid(proof) = &verdict else { panic!("{verdict:?}") };
    assert_eq!(proof.capture(), Capture::Authorised);
    assert_eq!(by(Policy::captured_only(), &AUTHORISED).await.as_str(), "pending");
}

#[tokio::test(start_paused = true)]
async fn an_accepted_authorisation_still_has_to_match() {
    let policy = || Policy::default().accept_authorised();
    let cases = [
        (Facts { amount: Some((2000, Currency::USD)), capturable: 2000, ..AUTHORISED }, "amount_mismatch"),
        (Facts { amount: Some((1999, Currency::EUR)), ..AUTHORISED }, "currency_mismatch"),
        (Facts { store: None, ..AUTHORISED }, "unproven"),
        (Facts { order: Some("7"), ..AUTHORISED }, "order_mismatch"),
        (Facts { mode: Some(Mode::Test), ..AUTHORISED }, "mode_mismatch"),
        (Facts { disputed: true, ..AUTHORISED }, "disputed"),
        (Facts { risk: Risk::Highest, ..AUTHORISED }, "risk"),
        (Facts { capture_before: Some(CREATED + 60), ..AUTHORISED }, "not_captured"),
        (Facts { capture_before: Some(CREATED), ..AUTHORISED }, "not_captured"),
        (Facts { capture_before: Some(0), ..AUTHORISED }, "not_captured"),
        (Facts { received: Some(1000), capturable: 0, ..AUTHORISED }, "not_captured"),
    ];
    for (facts, code) in cases {
        let verdict = by(policy(), &facts).await;
        let codes: Vec<_> = findings(&verdict).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [code], "{facts:?}");
    }
    let pending = [
        Facts { capturable: 1998, ..AUTHORISED },
        Facts { capturable: 0, ..AUTHORISED },
        Facts { received: Some(1000), capturable: 999, ..AUTHORISED },
        Facts { received: Some(1), capturable: 1999, ..AUTHORISED },
    ];
    for facts in pending {
        assert_eq!(by(policy(), &facts).await.as_str(), "pending", "{facts:?}");
    }
    assert!(by(policy(), &Facts { capture_before: None, ..AUTHORISED }).await.is_valid());
    assert!(by(policy(), &Facts { capture_before: Some(CREATED + 61), ..AUTHORISED }).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_that_the_network_reversed_is_not_valid() {
    let verdict = by(Policy::default().accept_authorised(), &Facts { reversed: true, ..AUTHORISED }).await;
    assert_only(&verdict, "declined", "declined: reversed_after_approval");
}

#[tokio::test(start_paused = true)]
async fn an_authorisation_without_a_stated_amount_received_is_not_valid() {
    let verdict = by(Policy::default().accept_authorised(), &Facts { received: None, ..AUTHORISED }).await;
    assert!(!verdict.is_valid(), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn a_partly_captured_payment_is_pending_only_while_more_can_be_captured() {
    let more = Facts { received: Some(1000), capturable: 999, ..PAID };
    let verdict_on_more = verdict(&claim(), &more).await;
    let Verdict::Pending(pending) = &verdict_on_more else { panic!("{verdict_on_more:?}") };
    assert_eq!(*pending.status(), PaymentStatus::Paid);
    let over = verdict(&claim(), &Facts { capturable: 0, ..more.clone() }).await;
    assert_only(&over, "amount_received_mismatch", "amount received: expected 19.99 USD, actual 10 USD");
    let uncaptured = Facts { captured: Some(false), capturable: 1999, received: Some(1999), ..PAID };
    assert_eq!(verdict(&claim(), &uncaptured).await.as_str(), "pending");
    let not_ours = verdict(&claim(), &Facts { store: Some("store_9"), ..more }).await;
    assert_only(&not_ours, "tenant_mismatch", ANOTHER);
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_the_part_that_was_captured_is_not_valid_either() {
    let intent = PaymentIntent::new("store_42", "pi_1", money("10", Currency::USD)).unwrap().order("6735").unwrap();
    let verdict = verdict(&intent, &Facts { received: Some(1000), ..PAID }).await;
    assert_only(&verdict, "amount_mismatch", "amount: expected 10 USD, actual 19.99 USD");
}

#[tokio::test(start_paused = true)]
async fn refunds_and_disputes_are_accepted_only_by_policy_and_never_in_full() {
    let part = Facts { refunded: 500, ..PAID };
    let full = Facts { refunded: 1999, ..PAID };
    let disputed = Facts { disputed: true, ..PAID };
    assert!(by(Policy::default().accept_partly_refunded(), &part).await.is_valid());
    assert_only(
        &by(Policy::default().accept_partly_refunded(), &full).await,
        "refunded",
        "refunded in full: 19.99 USD",
    );
    assert!(by(Policy::default().accept_disputed(), &disputed).await.is_valid());
    assert!(!by(Policy::default().accept_disputed(), &part).await.is_valid());
    assert!(!by(Policy::default().accept_partly_refunded(), &disputed).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn the_tenant_is_proven_where_the_settings_say() {
    let bare = Facts { store: None, ..PAID };
    let on = |account| Facts { account, ..bare.clone() };
    let to = |destination| Facts { destination, ..bare.clone() };
    assert!(proven_by(TenantProof::Account, &on(Some("store_42"))).await.is_valid());
    assert!(proven_by(TenantProof::Destination, &to(Some("store_42"))).await.is_valid());
    assert!(proven_by(TenantProof::SingleTenant, &bare).await.is_valid());
    assert_only(&proven_by(TenantProof::Account, &on(Some("store_9"))).await, "tenant_mismatch", ANOTHER);
    assert_only(&proven_by(TenantProof::Destination, &to(Some("store_9"))).await, "tenant_mismatch", ANOTHER);
    let unproven = "tenant: claimed, but the provider does not state it";
    assert_only(&proven_by(TenantProof::Account, &on(None)).await, "unproven", unproven);
    assert_only(&proven_by(TenantProof::Destination, &to(None)).await, "unproven", unproven);
    // The right name in the wrong place proves nothing.
    assert_only(&proven_by(TenantProof::Account, &to(Some("store_42"))).await, "unproven", unproven);
    assert_only(&proven_by(TenantProof::Destination, &on(Some("store_42"))).await, "unproven", unproven);
    assert_only(&proven_by(TenantProof::Account, &PAID).await, "unproven", unproven);
    assert_only(&proven_by(TenantProof::default(), &on(Some("store_42"))).await, "unproven", unproven);
}

#[tokio::test(start_paused = true)]
async fn metadata_that_names_another_tenant_counts_whatever_is_the_proof() {
    let facts = Facts { store: Some("store_9"), account: Some("store_42"), destination: Some("store_42"), ..PAID };
    for proof in [TenantProof::default(), TenantProof::Account, TenantProof::Destination, TenantProof::SingleTenant] {
        let verdict = proven_by(proof.clone(), &facts).await;
        assert_only(&verdict, "tenant_mismatch", ANOTHER);
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_keys_are_configurable_and_nothing_else_is_read() {
    let facts = paid("pi_1").metadata("shop", "store_42").metadata("cart", "6735").metadata("store", "store_9");
    let verdict = async |shop: &str, cart: &str| {
        let builder = Validator::builder(stating(facts.clone())).tenant_proof(TenantProof::metadata(shop));
        builder.order_key(cart).build().unwrap().validate(intent("pi_1")).await.unwrap().into_verdict()
    };
    assert!(verdict("shop", "cart").await.is_valid());
    assert!(!verdict("store", "cart").await.is_valid());
    assert!(!verdict("Shop", "cart").await.is_valid(), "keys are exact");
    assert!(!verdict("shop", "shop_order").await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn names_of_verdicts_and_findings_are_stable() {
    let amount = money("1", Currency::USD);
    let plain = [
        (Finding::NotFound, "not_found"),
        (Finding::Customer, "customer_mismatch"),
        (Finding::Tenant, "tenant_mismatch"),
        (Finding::Unproven(Field::Tenant), "unproven"),
        (Finding::Unstated(Fact::Mode), "unproven"),
        (Finding::Canceled(None), "canceled"),
        (Finding::Declined(None), "declined"),
        (Finding::PartlyRefunded(amount), "partly_refunded"),
        (Finding::Refunded(amount), "refunded"),
        (Finding::Disputed, "disputed"),
        (Finding::NotCaptured, "not_captured"),
        (Finding::CreatedAhead, "created_ahead"),
    ];
    for (finding, code) in plain {
        assert_eq!(finding.code(), code);
        assert!(!finding.to_string().is_empty());
    }
    // Those that carry two values only the judge makes; see the tables above for amount, received, currency, order,
    // mode, risk and age.
    let facts = Facts {
        amount: Some((1, Currency::EUR)),
        order: Some("y"),
        mode: Some(Mode::Test),
        risk: Risk::Blocked,
        ..PAID
    };
    let codes: Vec<_> =
        findings(&by(Policy::default().max_age(secs(1)), &facts).await).into_iter().map(|f| f.0).collect();
    let expected = ["currency_mismatch", "amount_mismatch", "order_mismatch", "mode_mismatch", "risk", "too_old"];
    assert_eq!(codes, expected);
    let facts = [Fact::AmountReceived, Fact::Created, Fact::Mode].map(Fact::as_str);
    assert_eq!(facts, ["amount_received", "created", "mode"]);
    let fields =
        [Field::Amount, Field::Currency, Field::Customer, Field::Key, Field::Order, Field::PaymentId, Field::Tenant];
    assert_eq!(fields.map(Field::as_str), ["amount", "currency", "customer", "key", "order", "payment_id", "tenant"]);
    let statuses = [
        (PaymentStatus::Paid, "valid"),
        (PaymentStatus::Processing, "pending"),
        (PaymentStatus::ActionRequired, "action_required"),
        (PaymentStatus::Canceled, "invalid"),
    ];
    for (status, name) in statuses {
        assert_eq!(verdict(&claim(), &Facts { status, ..PAID }).await.as_str(), name);
    }
}

/// What the documentation says about a valid payment, restated without looking at the judge.
fn may_be_valid(facts: &Facts, order: Option<&str>, customer: Option<&str>, accepted: &Accepted) -> bool {
    let common = facts.amount == Some((1999, Currency::USD))
        && facts.mode == Some(Mode::Live)
        && facts.store == Some("store_42")
        && facts.order == order
        && (customer.is_none() || facts.customer == customer)
        && !facts.reversed
        && (!facts.disputed || accepted.disputed)
        && (facts.refunded == 0 || (accepted.partly_refunded && facts.refunded < 1999))
        && facts.risk <= accepted.risk
        && facts.created.is_none_or(|created| created <= CREATED + 60 + 300)
        && accepted
            .max_age
            .is_none_or(|limit| facts.created.is_some_and(|created| CREATED + 60 <= created.saturating_add(limit)))
        && facts.created.is_none_or(|created| CREATED + 60 <= created.saturating_add(399 * 24 * 60 * 60));
    let captured = facts.status == PaymentStatus::Paid && facts.received == Some(1999) && facts.captured != Some(false);
    let held = facts.status == PaymentStatus::Authorised
        && accepted.authorised
        && facts.received == Some(0)
        && facts.capturable == 1999
        && facts.capture_before.is_none_or(|until| until > CREATED + 60);
    common && (captured || held)
}

#[derive(Clone, Debug)]
struct Accepted {
    authorised: bool,
    partly_refunded: bool,
    disputed: bool,
    risk: Risk,
    max_age: Option<u64>,
}

impl Accepted {
    fn policy(&self) -> Policy {
        let mut policy = Policy::default().accept_risk_up_to(self.risk);
        if self.authorised {
            policy = policy.accept_authorised();
        }
        if self.partly_refunded {
            policy = policy.accept_partly_refunded();
        }
        if self.disputed {
            policy = policy.accept_disputed();
        }
        match self.max_age {
            Some(limit) => policy.max_age(secs(limit)),
            None => policy,
        }
    }
}

/// Mostly the matching value, so that a whole payment matches often enough to say something.
fn mostly<T: Clone + std::fmt::Debug + 'static>(usual: T, odd: Vec<T>) -> impl Strategy<Value = T> {
    prop_oneof![12 => Just(usual), 1 => prop::sample::select(odd)]
}

fn any_risk() -> impl Strategy<Value = Risk> {
    prop::sample::select(vec![
        Risk::Normal,
        Risk::NotAssessed,
        Risk::Elevated,
        Risk::Review,
        Risk::Highest,
        Risk::Blocked,
    ])
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let amounts = vec![
        None,
        Some((1998, Currency::USD)),
        Some((1999, Currency::EUR)),
        Some((0, Currency::USD)),
        Some((u64::MAX, Currency::JPY)),
    ];
    let money = (
        mostly(Some((1999, Currency::USD)), amounts),
        prop_oneof![4 => Just(Some(1999)), 2 => Just(Some(0)), 1 => Just(None), 1 => any::<u64>().prop_map(Some)],
        prop_oneof![3 => Just(0), 2 => Just(1999), 1 => Just(1)],
        mostly(0, vec![1, 1998, 1999, 2000, u64::MAX]),
    );
    let statuses = vec![
        PaymentStatus::Authorised,
        PaymentStatus::Authorised,
        PaymentStatus::Authorised,
        PaymentStatus::Processing,
        PaymentStatus::ActionRequired,
        PaymentStatus::Declined,
        PaymentStatus::Canceled,
        PaymentStatus::NotFound,
        PaymentStatus::Unknown("succeeded".into()),
    ];
    let state = (
        prop_oneof![2 => Just(PaymentStatus::Paid), 1 => prop::sample::select(statuses)],
        mostly(Some(Mode::Live), vec![None, Some(Mode::Test)]),
        prop::sample::select(vec![None, Some(true), Some(true), Some(false)]),
        mostly(false, vec![true]),
        mostly(false, vec![true]),
        prop_oneof![4 => Just(Risk::Normal), 1 => any_risk()],
    );
    let owner = (
        mostly(Some("cus_9"), vec![None, Some("cus_7"), Some("")]),
        mostly(Some("store_42"), vec![None, Some("store_9"), Some("")]),
        prop_oneof![4 => Just(Some("6735")), 2 => Just(None), 1 => Just(Some("7"))],
    );
    let times = (
        mostly(
            Some(CREATED),
            vec![
                None,
                Some(0),
                Some(CREATED - 1),
                Some(CREATED + 60),
                Some(CREATED + 360),
                Some(CREATED + 361),
                Some(u64::MAX),
            ],
        ),
        mostly(None, vec![Some(CREATED + 60), Some(CREATED + 61), Some(0)]),
    );
    (money, state, owner, times).prop_map(|(money, state, owner, times)| {
        let (amount, received, capturable, refunded) = money;
        let (status, mode, captured, disputed, reversed, risk) = state;
        let (customer, store, order) = owner;
        let (created, capture_before) = times;
        Facts {
            status,
            mode,
            amount,
            received,
            capturable,
            refunded,
            captured,
            disputed,
            reversed,
            risk,
            customer,
            store,
            order,
            created,
            capture_before,
            ..PAID
        }
    })
}

fn any_accepted() -> impl Strategy<Value = Accepted> {
    (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any_risk(),
        prop::sample::select(vec![None, Some(59), Some(60), Some(61)]),
    )
        .prop_map(|(authorised, partly_refunded, disputed, risk, max_age)| Accepted {
            authorised,
            partly_refunded,
            disputed,
            risk,
            max_age,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn valid_means_that_every_condition_holds(
        facts in any_facts(), accepted in any_accepted(), order in any::<bool>(), customer in any::<bool>(),
    ) {
        let (order, customer) = (order.then_some("6735"), customer.then_some("cus_9"));
        let mut intent = bare_claim();
        if let Some(order) = order {
            intent = intent.order(order).unwrap();
        }
        if let Some(customer) = customer {
            intent = intent.customer(customer).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let validation = runtime.block_on(judged(&intent, &facts, |builder| {
            builder.policy(accepted.policy()).transient_patterns::<&str>([])
        }));
        let expected = may_be_valid(&facts, order, customer, &accepted);
        prop_assert_eq!(validation.verdict().is_valid(), expected, "{:?}", validation);
        if let Verdict::Invalid(findings) = validation.verdict() {
            prop_assert!(findings.iter().next().is_some());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_that_names_two_orders_or_tenants_proves_neither() {
    let bare = ProviderPayment::new("pi_1", PaymentStatus::Paid).mode(Mode::Live).amount(1999, Currency::USD);
    let bare = bare.amount_received(1999).amount_refunded(0);
    for (key, code) in [("order_id", "order_mismatch"), ("store_id", "tenant_mismatch")] {
        for twice in [["other", "mine"], ["mine", "other"]] {
            let value = |whose| match (whose, key) {
                ("other", _) => "other",
                (_, "order_id") => "6735",
                _ => "store_42",
            };
            let facts = bare.clone().metadata(key, value(twice[0])).metadata(key, value(twice[1]));
            let facts = facts.metadata("store_id", "store_42").metadata("order_id", "6735");
            let provider = ScriptedProvider::new();
            provider.put(facts);
            let validator = Validator::builder(provider).build().unwrap();
            let verdict = validator.validate(claim()).await.unwrap().into_verdict();
            let Verdict::Invalid(findings) = verdict else { panic!("{twice:?}: {verdict:?}") };
            assert!(findings.has(code), "{twice:?}: {findings}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_whose_refunds_are_unknown_is_not_valid() {
    let facts = ProviderPayment::new("pi_1", PaymentStatus::Paid).mode(Mode::Live).amount(1999, Currency::USD);
    let facts = facts.amount_received(1999).metadata("store_id", "store_42").metadata("order_id", "6735");
    let provider = ScriptedProvider::new();
    provider.put(facts);
    let validator = Validator::builder(provider).build().unwrap();
    let verdict = validator.validate(intent("pi_1")).await.unwrap().into_verdict();
    let Verdict::Invalid(findings) = verdict else { panic!("{verdict:?}") };
    assert_eq!(findings.to_string(), "amount_refunded: the provider does not state it");
}
