//! Events that name an account: whose facts are forgotten, and whose handler runs.

use std::sync::Arc;

use payproof::health::HealthReason;
use payproof::provider::ProviderIdentity;
use payproof::store::MemoryStore;
use payproof::testing::webhook::EventBody;
use payproof::testing::{FlakyStore, ScriptedProvider, Step, StoreFault};
use payproof::webhook::{OtherAccounts, StripeWebhooks};
use payproof::{Mode, Provenance, Validator, ValidatorBuilder};

use crate::support::{NO_PATTERNS, intent, is_valid, paid, secs, settle};
use crate::{Runs, deliver, event, secret, webhooks_of};

/// An account's provider, with the payment `pi_1` paid. Accounts are named after their tests, since validators of one name
/// are found wherever they are in this process.
fn provider(account: &str) -> ScriptedProvider {
    let provider = ScriptedProvider::with_identity(ProviderIdentity::new("scripted").with_account(account));
    provider.put(paid("pi_1"));
    provider
}

fn builder(provider: &ScriptedProvider) -> ValidatorBuilder {
    Validator::builder(provider.clone()).transient_patterns(NO_PATTERNS)
}

fn webhooks_with(validator: &Validator, other_accounts: OtherAccounts) -> StripeWebhooks {
    StripeWebhooks::builder(validator, "orders", secret()).other_accounts(other_accounts).build().unwrap()
}

async fn is_paid(validator: &Validator) -> bool {
    is_valid(&validator.validate(intent("pi_1")).await.unwrap())
}

fn refund(provider: &ScriptedProvider) {
    provider.put(paid("pi_1").with_amount_refunded(1999));
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_a_platform_hears_of_is_known_to_the_account_at_once() {
    let store = MemoryStore::new();
    for (case, with_store, memory) in [("store", true, 0), ("both", true, 5), ("memory", false, 5)] {
        let [platform, connected] =
            ["platform", "connected"].map(|name| provider(&format!("acct_at_once_{case}_{name}")));
        let validator_of = |provider| {
            let builder = builder(provider).facts_in_memory_for(secs(memory));
            if with_store { builder.store(store.clone()).build().unwrap() } else { builder.build().unwrap() }
        };
        let (own, others) = (validator_of(&platform), validator_of(&connected));
        assert!(is_paid(&own).await && is_paid(&others).await);
        refund(&connected);
        assert!(is_paid(&others).await, "{case}: nothing was heard of it yet");

        let of_connected = event("evt_1").account(&format!("acct_at_once_{case}_connected"));
        assert_eq!(Runs::default().deliver(&webhooks_of(&own), &of_connected).await, "ignored");
        assert!(!is_paid(&others).await, "{case}");
        assert_eq!(connected.calls(), 2, "{case}");
        assert!(is_paid(&own).await, "{case}");
        assert_eq!(platform.calls(), 1, "{case}: the platform's own payment is no news");
    }
}

#[tokio::test(start_paused = true)]
async fn every_validator_of_the_account_in_this_process_hears_of_it_and_no_other_does() {
    let account = provider("acct_every");
    let others = [
        ScriptedProvider::with_identity(ProviderIdentity::new("scripted").with_account("acct_every_not")),
        ScriptedProvider::with_identity(ProviderIdentity::new("elsewhere").with_account("acct_every")),
        ScriptedProvider::with_identity(
            ProviderIdentity::new("scripted").with_account("acct_every").with_mode(Mode::Test),
        ),
        ScriptedProvider::new(),
    ];
    let hearing = [
        builder(&account).build().unwrap(),
        builder(&account).build().unwrap(),
        builder(&account).store(MemoryStore::new()).facts_in_memory_for(secs(5)).build().unwrap(),
    ];
    let deaf: Vec<_> = others
        .iter()
        .map(|provider| {
            provider.put(paid("pi_1"));
            let mode = if matches!(provider_mode(provider), Mode::Test) { Mode::Test } else { Mode::Live };
            builder(provider).mode(mode).build().unwrap()
        })
        .collect();
    for validator in hearing.iter().chain(&deaf) {
        validator.validate(intent("pi_1")).await.unwrap();
    }
    let (calls, platform) = (account.calls(), builder(&provider("acct_every_platform")).build().unwrap());
    Runs::default().deliver(&webhooks_of(&platform), &event("evt_1").account("acct_every")).await;
    for validator in &hearing[..2] {
        assert_eq!(validator.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Fresh);
    }
    assert_eq!(account.calls(), calls + 2);
    assert_eq!(
        hearing[2].stats().facts_in_memory,
        0,
        "what stands in a store of its own is not this endpoint's to forget"
    );
    for (validator, provider) in deaf.iter().zip(&others) {
        validator.validate(intent("pi_1")).await.unwrap();
        assert_eq!(provider.calls(), 1, "{provider:?}");
    }
}

fn provider_mode(provider: &ScriptedProvider) -> Mode {
    payproof::provider::Provider::identity(provider).mode()
}

#[tokio::test(start_paused = true)]
async fn what_the_account_is_being_asked_meanwhile_is_not_kept() {
    for with_store in [false, true] {
        let store = MemoryStore::new();
        let validator_of = |provider: &ScriptedProvider| {
            let builder = builder(provider);
            if with_store { builder.store(store.clone()).build().unwrap() } else { builder.build().unwrap() }
        };
        let connected = provider("acct_meanwhile");
        let (platform, validator) = (validator_of(&provider("acct_meanwhile_platform")), validator_of(&connected));
        connected.script("pi_1", [Step::Wait(secs(5)), Step::from(paid("pi_1"))]);
        let asking = tokio::spawn({
            let validator = validator.clone();
            async move { is_paid(&validator).await }
        });
        settle().await;
        refund(&connected);
        Runs::default().deliver(&webhooks_of(&platform), &event("evt_1").account("acct_meanwhile")).await;
        assert!(asking.await.unwrap(), "who asked before is answered");
        assert!(!is_paid(&validator).await, "and leaves nothing behind");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_names_the_validators_own_account_is_handled() {
    let account = provider("acct_own");
    let (validator, runs) = (builder(&account).build().unwrap(), Runs::default());
    let webhooks = webhooks_with(&validator, OtherAccounts::Refuse);
    assert!(is_paid(&validator).await);
    refund(&account);
    assert_eq!(runs.deliver(&webhooks, &event("evt_1").account("acct_own")).await, "handled");
    assert!(!is_paid(&validator).await);
    assert_eq!(runs.deliver(&webhooks, &event("evt_2")).await, "handled");
    assert_eq!((runs.count(), validator.stats().deliveries_of_other_accounts), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn another_accounts_event_is_ignored_and_counted_and_noted_unless_told_otherwise() {
    let (validator, runs) = (builder(&provider("acct_told")).build().unwrap(), Runs::default());
    let others = event("evt_1").account("acct_told_not");
    assert!(validator.health().await.notes().iter().all(|note| note.code() != "other_accounts"));

    let ignoring = webhooks_of(&validator);
    for _ in 0..2 {
        assert_eq!(runs.deliver(&ignoring, &others).await, "ignored");
    }
    let refusing = webhooks_with(&validator, OtherAccounts::Refuse);
    let error = deliver(&refusing, &others, |_| async { Err("must not run") }).await.unwrap_err();
    assert!(error.is_other_account());
    assert_eq!((error.code(), error.http_status(), error.retry_after()), ("other_account", 403, None));
    assert_eq!(runs.count(), 0);

    let stats = validator.stats();
    assert_eq!((stats.deliveries["ignored"], stats.deliveries["other_account"]), (2, 1));
    assert_eq!(stats.deliveries_of_other_accounts, 3);
    let health = validator.health().await;
    assert!(health.notes().contains(&HealthReason::OtherAccounts { deliveries: 3 }), "{health:?}");
    assert!(health.is_ready(), "it follows from how the endpoint was set up");

    let handling = webhooks_with(&validator, OtherAccounts::Handle);
    assert_eq!(runs.deliver(&handling, &others).await, "handled");
    assert_eq!(runs.deliver(&handling, &others).await, "duplicate");
    assert_eq!((runs.count(), validator.stats().deliveries_of_other_accounts), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_the_event_its_payment_is_forgotten() {
    for (number, others) in
        [OtherAccounts::Ignore, OtherAccounts::Handle, OtherAccounts::Refuse].into_iter().enumerate()
    {
        let connected = provider("acct_whatever");
        let (validator, store) = (builder(&connected), MemoryStore::new());
        let validator = validator.store(store.clone()).build().unwrap();
        let platform = builder(&provider("acct_whatever_platform")).store(store).build().unwrap();
        assert!(is_paid(&validator).await);
        refund(&connected);
        let of_connected = event(&format!("evt_{number}")).account("acct_whatever");
        Runs::default().deliver(&webhooks_with(&platform, others), &of_connected).await;
        assert!(!is_paid(&validator).await, "{others:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_validator_without_a_name_forgets_for_the_named_account_and_for_its_own() {
    let store = MemoryStore::new();
    let (own, connected) = (ScriptedProvider::new(), provider("acct_nameless"));
    own.put(paid("pi_1"));
    let nameless = builder(&own).store(store.clone()).build().unwrap();
    let named = builder(&connected).store(store).build().unwrap();
    assert!(is_paid(&nameless).await && is_paid(&named).await);
    refund(&own);
    refund(&connected);
    let runs = Runs::default();
    assert_eq!(runs.deliver(&webhooks_of(&nameless), &event("evt_1").account("acct_nameless")).await, "ignored");
    assert!(!is_paid(&nameless).await && !is_paid(&named).await);
}

#[tokio::test(start_paused = true)]
async fn an_organizations_event_is_of_the_account_that_its_context_ends_with() {
    let store = MemoryStore::new();
    let (first, second) = (provider("acct_context_1"), provider("acct_context_2"));
    let [one, two] = [&first, &second].map(|provider| builder(provider).store(store.clone()).build().unwrap());
    let (webhooks, runs) = (webhooks_of(&one), Runs::default());
    assert!(is_paid(&one).await && is_paid(&two).await);
    refund(&first);
    refund(&second);
    let of = |id: &str, context: &str| event(id).with("context", context);
    assert_eq!(runs.deliver(&webhooks, &of("evt_1", "acct_context_2")).await, "ignored");
    assert!(is_paid(&one).await && !is_paid(&two).await);
    assert_eq!(runs.deliver(&webhooks, &of("evt_2", "acct_other/acct_context_1")).await, "handled");
    assert!(!is_paid(&one).await);
    // What names no account is the endpoint's own, and `account` says more than a context.
    for (number, context) in ["org_1", "", "acct_", "acct_x y"].into_iter().enumerate() {
        assert_eq!(runs.deliver(&webhooks, &of(&format!("evt_c{number}"), context)).await, "handled", "{context}");
    }
    let both = of("evt_3", "acct_context_1").account("acct_context_2");
    assert_eq!(runs.deliver(&webhooks, &both).await, "ignored");
}

#[tokio::test(start_paused = true)]
async fn without_a_name_an_event_that_names_its_account_by_context_alone_is_ones_own() {
    let own = ScriptedProvider::new();
    own.put(paid("pi_1"));
    let (nameless, runs) = (builder(&own).build().unwrap(), Runs::default());
    assert!(is_paid(&nameless).await);
    refund(&own);
    let webhooks = webhooks_of(&nameless);
    assert_eq!(runs.deliver(&webhooks, &event("evt_1").with("context", "acct_contextual")).await, "handled");
    assert!(!is_paid(&nameless).await);
}

#[tokio::test(start_paused = true)]
async fn another_accounts_event_is_not_acknowledged_before_the_store_has_confirmed() {
    let store = FlakyStore::new(Arc::new(MemoryStore::new()));
    let validator = builder(&provider("acct_confirmed")).store(store.clone()).build().unwrap();
    let (webhooks, runs, others) =
        (webhooks_of(&validator), Runs::default(), event("evt_1").account("acct_confirmed_not"));
    store.always(Some(StoreFault::NotSent));
    assert_eq!(runs.deliver(&webhooks, &others).await, "not_forgotten");
    assert_eq!(validator.stats().deliveries_of_other_accounts, 0, "it has to come again");
    store.always(None);
    assert_eq!(runs.deliver(&webhooks, &others).await, "ignored");
}

#[tokio::test(start_paused = true)]
async fn an_event_of_another_account_that_names_no_payment_is_ignored_as_well() {
    let (validator, runs) = (builder(&provider("acct_bare")).build().unwrap(), Runs::default());
    let bare = EventBody::new("evt_1", "account.updated", serde_json::json!({ "object": "account" })).account("acct_x");
    assert_eq!(runs.deliver(&webhooks_of(&validator), &bare).await, "ignored");
    assert_eq!(validator.stats().deliveries_of_other_accounts, 1);
}
