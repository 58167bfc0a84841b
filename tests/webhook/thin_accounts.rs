//! Thin events name their account by `context`.

use payproof::Validator;
use payproof::provider::{ProviderError, ProviderIdentity};
use payproof::store::MemoryStore;
use payproof::testing::ScriptedProvider;
use payproof::testing::webhook::EventBody;
use payproof::webhook::{OtherAccounts, StripeWebhooks};
use serde_json::json;

use crate::support::paid;
use crate::thin::{builder, is_paid, refund, thin};
use crate::{Runs, secret, webhooks_of};

/// An account's provider, with the payment `pi_1` paid by the charge `ch_1`. Accounts are named after their tests.
fn provider(account: &str) -> ScriptedProvider {
    let provider = ScriptedProvider::with_identity(ProviderIdentity::new("scripted").with_account(account));
    provider.put(paid("pi_1"));
    provider.relate("ch_1", "pi_1");
    provider
}

fn webhooks_with(validator: &Validator, other_accounts: OtherAccounts) -> StripeWebhooks {
    StripeWebhooks::builder(validator, "orders", secret()).other_accounts(other_accounts).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn another_accounts_thin_event_has_its_payment_forgotten_and_no_handler() {
    let store = MemoryStore::new();
    let [platform, connected] = ["acct_thin_platform", "acct_thin_connected"].map(provider);
    let [own, others] = [&platform, &connected].map(|provider| builder(provider).store(store.clone()).build().unwrap());
    assert!(is_paid(&own).await && is_paid(&others).await);
    refund(&connected);
    let (webhooks, runs) = (webhooks_of(&own), Runs::default());
    let of_connected = thin("evt_1").with("context", "acct_thin_platform/acct_thin_connected");
    assert_eq!(runs.deliver(&webhooks, &of_connected).await, "ignored");
    assert!(!is_paid(&others).await);
    assert!(is_paid(&own).await);
    assert_eq!(platform.calls(), 2, "the charge is asked for through the endpoint's own adapter");
    // The same with a handler, which runs once.
    let handling = webhooks_with(&own, OtherAccounts::Handle);
    assert_eq!(runs.deliver(&handling, &of_connected).await, "handled");
    assert_eq!(runs.deliver(&handling, &of_connected).await, "duplicate");
    let refusing = webhooks_with(&own, OtherAccounts::Refuse);
    assert_eq!(runs.deliver(&refusing, &of_connected).await, "other_account");
    assert_eq!((runs.count(), platform.calls()), (1, 3), "what is refused comes again, and asks for nothing");
}

#[tokio::test(start_paused = true)]
async fn a_thin_event_that_names_the_own_account_is_ones_own() {
    let own = provider("acct_thin_own");
    let validator = builder(&own).build().unwrap();
    let (webhooks, runs) = (webhooks_with(&validator, OtherAccounts::Refuse), Runs::default());
    for (number, context) in
        [json!("acct_thin_own"), json!("acct_org/acct_thin_own"), json!(null), json!("org_1")].into_iter().enumerate()
    {
        own.put(paid("pi_1"));
        assert!(is_paid(&validator).await);
        refund(&own);
        let body = thin(&format!("evt_{number}")).with("context", context.clone());
        assert_eq!(runs.deliver(&webhooks, &body).await, "handled", "{context}");
        assert!(!is_paid(&validator).await, "{context}");
        validator.forget(&payproof::PaymentId::parse("pi_1").unwrap()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_of_the_own_account_is_one_event_whether_it_names_the_account_or_not() {
    let validator = builder(&provider("acct_thin_twin")).build().unwrap();
    let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
    let snapshot = EventBody::of_payment("evt_snapshot", "charge.refunded", "pi_1");
    let twin = thin("evt_thin").with("context", "acct_thin_twin").with("snapshot_event", "evt_snapshot");
    assert_eq!(runs.deliver(&webhooks, &snapshot).await, "handled");
    assert_eq!(runs.deliver(&webhooks, &twin).await, "duplicate");
    assert_eq!(runs.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn health_is_told_of_unreadable_objects_of_the_own_account_alone() {
    let own = provider("acct_thin_health");
    let validator = builder(&own).build().unwrap();
    for (other_accounts, account, answer, told) in [
        (OtherAccounts::Ignore, "acct_thin_other", "object_unreadable", 0),
        (OtherAccounts::Handle, "acct_thin_other", "object_unreadable", 0),
        (OtherAccounts::Ignore, "acct_thin_health", "object_unreadable", 1),
    ] {
        own.script("ch_1", [ProviderError::refused("scripted").with_status(403)]);
        let webhooks = webhooks_with(&validator, other_accounts);
        let body = thin("evt_1").with("context", account);
        assert_eq!(Runs::default().deliver(&webhooks, &body).await, answer, "{account}");
        assert_eq!(validator.stats().objects_unreadable, told, "{account} {other_accounts:?}");
    }
}
