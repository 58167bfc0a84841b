//! What proves the order and the tenant at Checkout.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use payproof::store::MemoryStore;
use payproof::testing::sandbox::{Sandbox, SandboxPayment, SandboxSession};
use payproof::{BuildError, Finding, ProviderPayment, TenantProof, Validator, ValidatorBuilder, Verdict};

use super::{session, with};
use crate::adapter::{quick, secret_key};
use crate::support::intent;

/// A payment that names neither tenant nor order.
fn bare() -> SandboxPayment {
    SandboxPayment::paid("pi_1", 1999, "usd")
}

fn bare_session() -> SandboxSession {
    SandboxSession::open("cs_1", 1999, "usd").paid("pi_1")
}

fn of_tenant() -> SandboxPayment {
    bare().tenant("store_42")
}

/// `valid`, or the codes of what was found: the first time, by the payment's own look-up, and from memory.
async fn told(builder: ValidatorBuilder, id: &str) -> String {
    let validator = builder.build().unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(match validator.validate(intent(id)).await.unwrap().into_verdict() {
            Verdict::Valid(_) => "valid".to_owned(),
            Verdict::Invalid(findings) => findings.iter().map(Finding::code).collect::<Vec<_>>().join(", "),
            verdict => panic!("{verdict:?}"),
        });
    }
    told.dedup();
    assert_eq!(told.len(), 1, "it depends on where the facts came from: {told:?}");
    told.remove(0)
}

#[tokio::test]
async fn a_sessions_metadata_proves_tenant_and_order_and_must_agree_with_its_payments() {
    for (session, payment, expected) in [
        (bare_session().tenant("store_42").order("6735"), bare(), "valid"),
        (bare_session(), bare().tenant("store_42").order("6735"), "valid"),
        (bare_session().tenant("store_42"), bare().order("6735"), "valid"),
        (bare_session().tenant("store_42").order("6735"), bare().tenant("store_42").order("6735"), "valid"),
        (bare_session().tenant("store_42").order("6736"), of_tenant().order("6735"), "order_mismatch"),
        (bare_session().tenant("store_42").order("6735"), of_tenant().order("6736"), "order_mismatch"),
        (bare_session().tenant("store_43").order("6735"), of_tenant().order("6735"), "tenant_mismatch"),
        (bare_session().tenant("store_42").order("6735"), bare().tenant("store_43"), "tenant_mismatch"),
        (bare_session().order("6735"), bare(), "unproven"),
        (bare_session().tenant("store_42"), bare(), "unproven"),
    ] {
        let sandbox = with(session, payment).await;
        assert_eq!(told(quick(&sandbox), "cs_1").await, expected);
    }
    // By its own id the payment has no session to speak for it.
    let sandbox = with(bare_session().tenant("store_42").order("6735"), bare()).await;
    assert_eq!(told(quick(&sandbox), "pi_1").await, "unproven");
    // Whatever proves the tenant, another one that is named counts.
    let sandbox = with(bare_session().tenant("store_43").order("6735"), bare()).await;
    assert_eq!(told(quick(&sandbox).single_tenant(), "cs_1").await, "tenant_mismatch");
}

#[tokio::test]
async fn a_client_reference_proves_an_order_only_where_it_is_switched_on_and_never_on_a_payment_link() {
    let referring = |order: &str| bare_session().tenant("store_42").client_reference_id(order);
    let on = |sandbox: &Sandbox| quick(sandbox).order_by_client_reference();
    let sandbox = with(referring("6735"), of_tenant()).await;
    assert_eq!(told(quick(&sandbox), "cs_1").await, "unproven");
    assert_eq!(told(on(&sandbox), "cs_1").await, "valid");
    // What both state has to agree, where it counts.
    let sandbox = with(referring("6736"), of_tenant().order("6735")).await;
    assert_eq!(told(quick(&sandbox), "cs_1").await, "valid");
    assert_eq!(told(on(&sandbox), "cs_1").await, "order_mismatch");
    // On a Payment Link the shopper can set it in the URL, to our order or to another.
    for order in ["6735", "6736"] {
        let sandbox = with(referring(order).payment_link("plink_1"), of_tenant()).await;
        assert_eq!(told(on(&sandbox), "cs_1").await, "unproven");
    }
    // It is no tenant's word.
    let sandbox = with(bare_session().order("6735").client_reference_id("store_42"), bare()).await;
    assert_eq!(told(on(&sandbox), "cs_1").await, "unproven, order_mismatch".split(", ").next().unwrap());
}

#[tokio::test]
async fn the_payments_own_reference_proves_an_order_only_where_it_is_switched_on() {
    let sandbox = with(session().paid("pi_1"), of_tenant().order_reference("6735")).await;
    assert_eq!(told(quick(&sandbox), "pi_1").await, "unproven");
    let on = || quick(&sandbox).order_by_reference();
    assert_eq!(told(on(), "pi_1").await, "valid");
    assert_eq!(told(on(), "cs_1").await, "valid");
    sandbox.put(of_tenant().order("6735").order_reference("6736"));
    assert_eq!(told(quick(&sandbox), "pi_1").await, "valid");
    assert_eq!(told(on(), "pi_1").await, "order_mismatch");
    // Metadata that a merchant happens to call so is not it.
    sandbox.put(of_tenant().metadata("payment_details.order_reference", "6735"));
    assert_eq!(told(on(), "pi_1").await, "unproven");
}

/// What stands behind the dash of a reference.
fn behind_the_dash(payment: &ProviderPayment) -> Option<String> {
    Some(payment.metadata("reference")?.split_once('-')?.1.to_owned())
}

#[tokio::test]
async fn a_function_reads_the_order_once_for_each_answer_and_what_it_says_is_kept() {
    let sandbox = with(session().paid("pi_1"), of_tenant().metadata("reference", "web-6735")).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = {
        let runs = Arc::clone(&runs);
        move |payment: &ProviderPayment| {
            runs.fetch_add(1, Ordering::Relaxed);
            behind_the_dash(payment)
        }
    };
    assert_eq!(told(quick(&sandbox), "pi_1").await, "unproven");
    assert_eq!(told(quick(&sandbox).order_from("dash", counted), "pi_1").await, "valid");
    assert_eq!(runs.load(Ordering::Relaxed), 1, "the second and third verdict rest on what was kept");
    // All that name an order have to agree.
    sandbox.put(of_tenant().metadata("reference", "web-6735").order("6736"));
    assert_eq!(told(quick(&sandbox).order_from("dash", behind_the_dash), "pi_1").await, "order_mismatch");
    let two = quick(&sandbox).order_from("dash", behind_the_dash).order_from("other", |_| Some("6737".to_owned()));
    assert_eq!(told(two, "pi_1").await, "order_mismatch");
    // What names none, panics or writes without end proves none, and fails nothing else.
    sandbox.put(of_tenant());
    let none = |payment: &ProviderPayment| payment.metadata("order_id").map(str::to_owned);
    assert_eq!(told(quick(&sandbox).order_from("none", none), "pi_1").await, "unproven");
    assert_eq!(told(quick(&sandbox).order_from("empty", |_| Some(String::new())), "pi_1").await, "unproven");
    assert_eq!(told(quick(&sandbox).order_from("bug", |_| panic!("of the shop's")), "pi_1").await, "unproven");
    assert_eq!(
        told(quick(&sandbox).order_from("long", |_| Some("6735".repeat(100_000))), "pi_1").await,
        "order_mismatch"
    );
    // Nor does metadata under the name where it is kept.
    sandbox.put(of_tenant().metadata("order_from(dash)", "6735"));
    assert_eq!(told(quick(&sandbox).order_from("dash", behind_the_dash), "pi_1").await, "unproven");
}

#[tokio::test]
async fn processes_with_other_settings_do_not_take_each_others_facts_for_their_own() {
    let payment = of_tenant().order("6735").order_reference("6735").metadata("reference", "web-6735");
    let sandbox = with(session().paid("pi_1"), payment).await;
    let (store, stripe) = (MemoryStore::new(), || {
        payproof::Stripe::builder(secret_key()).base_url(sandbox.url()).only_account().build().unwrap()
    });
    let over = || Validator::builder(stripe()).store(store.clone()).facts_in_memory_for(std::time::Duration::ZERO);
    let plain = over().build().unwrap();
    let by_reference = over().order_key("none").order_by_reference().build().unwrap();
    let by_function = over().order_key("none").order_from("dash", behind_the_dash).build().unwrap();
    // Each needs what the others have not kept, and none of them ever finds its own missing.
    for (validator, calls) in [(&plain, 1), (&by_reference, 2), (&by_function, 3), (&plain, 3), (&by_function, 3)] {
        for _ in 0..2 {
            let validation = validator.validate(intent("pi_1")).await.unwrap();
            assert!(validation.verdict().is_valid(), "{validation:?}");
            assert_eq!(sandbox.requests_for("pi_1"), calls);
        }
    }
    // The function's result stood in the store, and was lost to the process that could not have made it anew.
    assert!(by_reference.validate(intent("pi_1")).await.unwrap().verdict().is_valid());
    assert_eq!(sandbox.requests_for("pi_1"), 4);
    // The metadata of a session as well.
    for (validator, calls) in [(&plain, 1), (&plain, 1)] {
        assert!(validator.validate(intent("cs_1")).await.unwrap().verdict().is_valid());
        assert_eq!(sandbox.requests_for("cs_1"), calls);
    }
    let by_other_key = over().tenant_proof(TenantProof::metadata("shop")).order_key("cart").build().unwrap();
    let verdict = by_other_key.validate(intent("cs_1")).await.unwrap().into_verdict();
    assert!(matches!(&verdict, Verdict::Invalid(findings) if findings.has("unproven")), "{verdict:?}");
    assert_eq!(sandbox.requests_for("cs_1"), 2);
}

#[tokio::test]
async fn functions_have_names_of_their_own() {
    let sandbox = Sandbox::start().await.unwrap();
    let named = |names: &[&str]| {
        let builder = names.iter().fold(quick(&sandbox), |builder, name| builder.order_from(*name, |_| None));
        builder.build().map(drop)
    };
    named(&["one", "two"]).unwrap();
    for names in [&["one", "two", "one"][..], &[""], &["a\nb"]] {
        let error = named(names).unwrap_err();
        assert!(matches!(&error, BuildError::OutOfRange { .. }) && error.to_string().contains("order_from"), "{error}");
    }
}
