//! Every deviation is found, and all are reported.

use std::time::Duration;

use payproof::{
    Capture, Currency, Dispute, Fact, Field, Finding, Mode, NotFoundHint, PaymentIntent, PaymentStatus, Policy, Risk,
    TenantProof, Verdict,
};

use super::{
    ANOTHER, Facts, PAID, UNPROVEN_CUSTOMER, UNPROVEN_ORDER, UNPROVEN_TENANT, assert_only, bare_claim, by, claim,
    findings, judged, money, verdict,
};
use crate::support::secs;

#[tokio::test(start_paused = true)]
async fn a_payment_that_matches_every_claim_is_valid() {
    let validation = judged(&claim(), &PAID, |builder| builder).await;
    let Verdict::Valid(proof) = validation.verdict() else { panic!("{validation:?}") };
    assert_eq!(proof.capture(), Capture::Captured);
    assert_eq!(proof.payment().as_str(), "pi_1");
    assert_eq!(proof.money(), money("19.99", Currency::USD));
    assert_eq!(proof.intent().tenant(), "store_42");
    assert_eq!(proof.intent().order(), Some("6735"));
    assert_eq!(proof.age(), Duration::ZERO);
    assert!(verdict(&bare_claim(), &Facts { order: None, customer: None, ..PAID }).await.is_valid());
}

#[tokio::test(start_paused = true)]
async fn each_single_deviation_of_the_facts_is_the_one_finding() {
    let cases = [
        (
            Facts { amount: Some((2000, Currency::USD)), ..PAID },
            "amount_mismatch",
            "amount: expected 19.99 USD, actual 20.00 USD",
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
            "amount received: expected 19.99 USD, actual 20.00 USD",
        ),
        (
            Facts { received: Some(0), ..PAID },
            "amount_received_mismatch",
            "amount received: expected 19.99 USD, actual 0.00 USD",
        ),
        (Facts { received: None, ..PAID }, "unstated", "amount_received: the provider does not state it"),
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
        (Facts { store: None, ..PAID }, "unproven", UNPROVEN_TENANT),
        (Facts { store: Some(""), ..PAID }, "unproven", UNPROVEN_TENANT),
        (Facts { order: Some("6736"), ..PAID }, "order_mismatch", "order: expected 6735, actual 6736"),
        (Facts { order: Some("06735"), ..PAID }, "order_mismatch", "order: expected 6735, actual 06735"),
        (Facts { order: None, ..PAID }, "unproven", UNPROVEN_ORDER),
        (Facts { order: Some(""), ..PAID }, "unproven", UNPROVEN_ORDER),
        (Facts { customer: Some("cus_7"), ..PAID }, "customer_mismatch", "another customer paid"),
        (Facts { customer: Some(""), ..PAID }, "customer_mismatch", "another customer paid"),
        (Facts { customer: None, ..PAID }, "unproven", UNPROVEN_CUSTOMER),
        (Facts { mode: Some(Mode::Test), ..PAID }, "mode_mismatch", "mode: expected live, actual test"),
        (Facts { mode: None, ..PAID }, "unstated", "mode: the provider does not state it"),
        (Facts { refunded: 1, ..PAID }, "partly_refunded", "refunded in part: 0.01 USD of 19.99 USD"),
        (Facts { refunded: 1998, ..PAID }, "partly_refunded", "refunded in part: 19.98 USD of 19.99 USD"),
        (Facts { refunded: 1999, ..PAID }, "refunded", "refunded in full: 19.99 USD of 19.99 USD"),
        (Facts { refunded: 2500, ..PAID }, "refunded", "refunded in full: 25.00 USD of 19.99 USD"),
        (Facts { dispute: Dispute::Inquiry, ..PAID }, "disputed", "disputed: inquiry"),
        (Facts { dispute: Dispute::Open, ..PAID }, "disputed", "disputed: open"),
        (Facts { dispute: Dispute::Unknown, ..PAID }, "disputed", "disputed: unknown"),
        (Facts { dispute: Dispute::Lost, ..PAID }, "disputed", "disputed: lost"),
        (Facts { fraud: true, ..PAID }, "reported_fraud", "reported as fraud"),
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
            Facts { status: PaymentStatus::Canceled, reason: Some("abandoned"), received: Some(0), ..PAID },
            "canceled",
            "canceled: abandoned",
        ),
        (Facts { status: PaymentStatus::Canceled, received: Some(0), ..PAID }, "canceled", "canceled"),
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
        (claimed("store_43", "19.99", Currency::USD).with_order("6735").unwrap(), "tenant_mismatch", ANOTHER),
        (claimed("store_42", "19.98", Currency::USD).with_order("6735").unwrap(), "amount_mismatch", ""),
        (
            claimed("store_42", "19.99", Currency::CAD).with_order("6735").unwrap(),
            "currency_mismatch",
            "currency: expected CAD, actual USD",
        ),
        (
            claimed("store_42", "19.99", Currency::USD).with_order("1").unwrap(),
            "order_mismatch",
            "order: expected 1, actual 6735",
        ),
        (bare_claim(), "order_mismatch", "order: expected none, actual 6735"),
        (claim().with_customer("cus_8").unwrap(), "customer_mismatch", "another customer paid"),
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
    dispute: Dispute::Lost,
    fraud: true,
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
        PaymentStatus::Authorized,
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
            let policy = Policy::default().max_age(secs(1)).accept_authorized();
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
        |currency| PaymentIntent::new("store_42", "pi_1", money("100", currency)).unwrap().with_order("6735").unwrap();
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
        PaymentIntent::new("store_42", "pi_1", money(amount, currency)).unwrap().with_order("6735").unwrap()
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
        dispute: Dispute::Open,
        fraud: true,
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
        "reported_fraud",
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
async fn names_of_verdicts_and_findings_are_stable() {
    let amount = money("1", Currency::USD);
    let plain = [
        (Finding::NotFound(NotFoundHint::Unsaid), "not_found"),
        (Finding::Customer, "customer_mismatch"),
        (Finding::Tenant, "tenant_mismatch"),
        (Finding::Unproven(Field::Tenant), "unproven"),
        (Finding::Unstated(Fact::Mode), "unstated"),
        (Finding::Canceled(None), "canceled"),
        (Finding::Declined(None), "declined"),
        (Finding::KeptThoughCanceled(amount), "kept_though_canceled"),
        (Finding::Disputed(Dispute::Open), "disputed"),
        (Finding::ReportedFraud, "reported_fraud"),
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
