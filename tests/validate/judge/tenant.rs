//! Whose payment it is, by metadata and settings.

use payproof::testing::ScriptedProvider;
use payproof::{Currency, Mode, PaymentStatus, ProviderPayment, TenantProof, Validator, Verdict};

use super::{ANOTHER, Facts, PAID, UNPROVEN_TENANT, assert_only, claim, judged, stating};
use crate::support::{intent, paid};

async fn proven_by(proof: TenantProof, facts: &Facts) -> Verdict {
    judged(&claim(), facts, |builder| builder.tenant_proof(proof)).await.into_verdict()
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
    let unproven = UNPROVEN_TENANT;
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
    let facts =
        paid("pi_1").with_metadata("shop", "store_42").with_metadata("cart", "6735").with_metadata("store", "store_9");
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
async fn metadata_that_names_two_orders_or_tenants_proves_neither() {
    let bare = ProviderPayment::new("pi_1", PaymentStatus::Paid).with_mode(Mode::Live).with_amount(1999, Currency::USD);
    let bare = bare.with_amount_received(1999).with_amount_refunded(0);
    for (key, code) in [("order_id", "order_mismatch"), ("store_id", "tenant_mismatch")] {
        for twice in [["other", "mine"], ["mine", "other"]] {
            let value = |whose| match (whose, key) {
                ("other", _) => "other",
                (_, "order_id") => "6735",
                _ => "store_42",
            };
            let facts = bare.clone().with_metadata(key, value(twice[0])).with_metadata(key, value(twice[1]));
            let facts = facts.with_metadata("store_id", "store_42").with_metadata("order_id", "6735");
            let provider = ScriptedProvider::new();
            provider.put(facts);
            let validator = Validator::builder(provider).build().unwrap();
            let verdict = validator.validate(claim()).await.unwrap().into_verdict();
            let Verdict::Invalid(findings) = verdict else { panic!("{twice:?}: {verdict:?}") };
            assert!(findings.has(code), "{twice:?}: {findings}");
        }
    }
}
