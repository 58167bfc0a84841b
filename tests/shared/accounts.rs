//! Whose records those in a store are: validators of one account share them, and those of two accounts share nothing.
#![cfg(all(feature = "stripe", feature = "test-util"))]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that cannot be made fails the test that asked for it"
)]

use payproof::provider::{ProviderIdentity, provider_fn};
use payproof::redeem::{Occasion, RedeemError};
use payproof::store::{MemoryStore, Store};
use payproof::testing::ScriptedProvider;
use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use payproof::{BuildError, Finding, IdempotencyKey, NotFoundHint};
use payproof::{PaymentIntent, Provenance, StripeBuilder};
use payproof::{Stripe, TenantProof, Validation, Validator, ValidatorBuilder, Verdict};
use tokio::time::{Instant, sleep};

use crate::chaos_store::{ChaosStore, Fate, Verb};
use crate::support::{NO_PATTERNS, forgetful, intent, ms, paid, plain, proof_of, secs, unbound, unbound_intent};

/// A key of its own for each account. Put together, so that no literal looks like a credential.
fn stripe(sandbox: &Sandbox, key: &str) -> StripeBuilder {
    Stripe::builder(["sk", "live", key].join("_")).base_url(sandbox.url())
}

/// A sandbox that stands for one account, or for all that a platform reaches.
async fn account(payments: &[&str]) -> Sandbox {
    let sandbox = Sandbox::start().await.unwrap();
    for id in payments {
        sandbox.put(SandboxPayment::paid(id, 1999, "usd").order("6735"));
    }
    sandbox
}

fn over(store: &MemoryStore, stripe: StripeBuilder) -> ValidatorBuilder {
    let builder = Validator::builder(stripe.build().unwrap()).transient_patterns(NO_PATTERNS);
    forgetful(builder.single_tenant().store(store.clone()))
}

async fn ask(validator: &Validator, intent: &PaymentIntent) -> Validation {
    validator.validate(intent).await.unwrap()
}

#[tokio::test]
async fn a_store_demands_the_account_or_the_statement_that_there_is_one() {
    let sandbox = account(&[]).await;
    let unstated = |builder: ValidatorBuilder| match builder.build() {
        Err(error @ BuildError::AccountUnstated { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let said = unstated(over(&MemoryStore::new(), stripe(&sandbox, "a")));
    for word in ["stripe", "own_account(\"acct_…\")", "only_account()"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // A label is no name.
    unstated(over(&MemoryStore::new(), stripe(&sandbox, "a").account_label("eu")));
    let acme =
        || provider_fn(ProviderIdentity::new("acme").with_label("eu"), |id, _| async move { Ok(paid(id.as_str())) });
    let said = unstated(Validator::builder(acme()).store(MemoryStore::new()));
    for word in ["acme", "ProviderIdentity::with_account", "only_account()"] {
        assert!(said.contains(word), "{word}: {said}");
    }

    let named = stripe(&sandbox, "a").own_account("acct_1");
    for stated in [named, stripe(&sandbox, "a").account("acct_1"), stripe(&sandbox, "a").only_account()] {
        over(&MemoryStore::new(), stated).build().unwrap();
    }
    Validator::builder(acme()).build().unwrap();
    Validator::builder(stripe(&sandbox, "a").build().unwrap()).build().unwrap();
}

#[test]
fn a_name_that_is_none_is_refused() {
    for name in ["", &"a".repeat(256)] {
        let identity = ProviderIdentity::new("acme").with_account(name);
        let acme = provider_fn(identity, |id, _| async move { Ok(paid(id.as_str())) });
        let error = Validator::builder(acme).build().unwrap_err();
        assert!(error.to_string().contains("account is"), "{error}");
    }
}

#[tokio::test]
async fn a_payment_into_one_account_is_none_of_another_ones() {
    let (paying, asking, store) = (account(&["pi_1"]).await, account(&[]).await, MemoryStore::new());
    let first = over(&store, stripe(&paying, "a").own_account("acct_1")).build().unwrap();
    let second = over(&store, stripe(&asking, "b").own_account("acct_2")).build().unwrap();
    assert!(ask(&first, &intent("pi_1")).await.verdict().is_valid());
    let validation = ask(&second, &intent("pi_1")).await;
    let Verdict::Invalid(findings) = validation.verdict() else { panic!("paid into another account: {validation:?}") };
    assert_eq!(findings.as_ref(), [Finding::NotFound(NotFoundHint::Unsaid)]);
    assert_eq!((paying.requests(), asking.requests()), (1, 1));
}

#[tokio::test]
async fn an_account_shares_its_facts_however_it_is_reached_and_labeled() {
    let (sandbox, store) = (account(&["pi_1"]).await, MemoryStore::new());
    let by_own_key = stripe(&sandbox, "a").own_account("acct_1");
    let by_rotated_key = stripe(&sandbox, "b").own_account("acct_1").account_label("eu");
    let by_platform = stripe(&sandbox, "c").own_account("acct_platform").account("acct_1");
    let claims = PaymentIntent::new("acct_1", "pi_1", intent("pi_1").money()).unwrap().with_order("6735").unwrap();
    for (at, stripe) in [by_own_key, by_rotated_key, by_platform].into_iter().enumerate() {
        // Each states whose payment it is, so that any of them proves the tenant by account to the others.
        let proven = over(&store, stripe).tenant_proof(TenantProof::Account).build().unwrap();
        let validation = ask(&proven, &claims).await;
        assert!(validation.verdict().is_valid(), "number {at}: {validation:?}");
        let expected = if at == 0 { Provenance::Fresh } else { Provenance::Replayed };
        assert_eq!(validation.provenance(), expected, "number {at}");
    }
    assert_eq!(sandbox.requests(), 1);
}

// The place of a redemption.

/// A validator of a provider that knows the payment `pi_1`, which names no order.
fn redeeming(identity: ProviderIdentity, store: impl Store) -> Validator {
    let provider = ScriptedProvider::with_identity(identity);
    provider.put(unbound("pi_1"));
    provider.put(unbound("pi_2"));
    let builder = plain(&provider).transient_patterns(NO_PATTERNS).store(store).proof_max_age(secs(24 * 60 * 60));
    forgetful(builder).build().unwrap()
}

/// Ids that may repeat, so that the account, named or not, is part of the place, as it once was everywhere.
fn former(account: Option<&str>) -> ProviderIdentity {
    let identity = ProviderIdentity::new("stripe");
    account.map_or_else(|| identity.clone().only_account(), |account| identity.clone().with_account(account))
}

fn unique() -> ProviderIdentity {
    ProviderIdentity::new("stripe").globally_unique_ids()
}

#[tokio::test(start_paused = true)]
async fn a_used_payment_stays_used_once_its_account_is_named() {
    // What a validator of today looks like that once kept its records under this name.
    let named = || unique().with_account("acct_1");
    for (before, after) in [
        (None, named()),
        (None, unique().only_account()),
        (None, named().with_label("eu")),
        (Some("eu"), named().with_label("eu")),
        (Some("eu"), unique().only_account().with_label("eu")),
        (Some("acct_1"), named()),
        (Some("eu/acct_1"), named().with_label("eu")),
        (None, ProviderIdentity::new("stripe").with_account("acct_1")),
    ] {
        let (store, shown) = (MemoryStore::new(), format!("{before:?}, then {after:?}"));
        let (old, new) = (redeeming(former(before), store.clone()), redeeming(after, store));
        let receipt = old.redeem(proof_of(&old, unbound_intent("pi_1")).await).order("A").await.unwrap().into_receipt();
        let used = proof_of(&new, unbound_intent("pi_1")).await;
        match new.redeem(&used).order("B").await {
            Err(RedeemError::AlreadyRedeemed { by }) => assert_eq!(by.as_deref(), Some("A"), "{shown}"),
            other => panic!("{shown}: {other:?}"),
        }
        sleep(secs(7)).await;
        let again = new.redeem(&used).order("A").await.unwrap();
        assert_eq!((again.receipt(), again.occasion()), (&receipt, Occasion::Repeat { age: secs(7) }), "{shown}");
        let redemption = new.redemption(used.payment()).await.unwrap().unwrap();
        assert_eq!(redemption.receipt(), &receipt, "{shown}");
        let another = new.redeem(proof_of(&new, unbound_intent("pi_2")).await).order("A").await;
        assert!(matches!(another, Err(RedeemError::OrderAlreadyPaid { .. })), "{shown}: {another:?}");

        new.release(&receipt, "anna, ticket 7").await.unwrap();
        assert!(new.redemption(used.payment()).await.unwrap().is_none(), "{shown}");
        assert!(old.redemption(used.payment()).await.unwrap().is_none(), "{shown}");
        let _ = new.redeem(&used).order("B").await.unwrap();
        assert!(
            matches!(new.release(&receipt, "anna, ticket 7").await, Err(RedeemError::AlreadyRedeemed { .. })),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_used_payment_stays_used_however_its_account_is_reached() {
    let (sandbox, store) = (account(&["pi_1"]).await, MemoryStore::new());
    let ways = [
        stripe(&sandbox, "a").only_account(),
        stripe(&sandbox, "a").own_account("acct_1"),
        stripe(&sandbox, "b").own_account("acct_1").account_label("eu"),
        stripe(&sandbox, "c").own_account("acct_platform").account("acct_1"),
    ];
    let validators: Vec<_> = ways.into_iter().map(|stripe| over(&store, stripe).build().unwrap()).collect();
    let mut first = None;
    for validator in &validators {
        let Verdict::Valid(proof) = ask(validator, &intent("pi_1")).await.into_verdict() else { panic!("it is paid") };
        let receipt = validator.redeem(&proof).await.unwrap().into_receipt();
        let (receipt_before, key) = first.get_or_insert_with(|| (receipt.clone(), proof.redemption_key()));
        assert_eq!((&receipt, proof.redemption_key()), (&*receipt_before, key.clone()));
        let theirs = PaymentIntent::new("store_7", "pi_1", proof.money()).unwrap().with_order("6735").unwrap();
        let Verdict::Valid(proof) = ask(validator, &theirs).await.into_verdict() else { panic!("it is paid") };
        let another = validator.redeem(proof).await;
        assert!(matches!(another, Err(RedeemError::AlreadyRedeemed { by: None })), "{another:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn equal_ids_of_two_accounts_are_two_payments_where_ids_may_repeat() {
    let store = MemoryStore::new();
    let [one, two] = ["one", "two"].map(|account| redeeming(former(Some(account)), store.clone()));
    let (proven, also) = (proof_of(&one, unbound_intent("pi_1")).await, proof_of(&two, unbound_intent("pi_1")).await);
    let _ = one.redeem(&proven).order("A").await.unwrap();
    let _ = two.redeem(&also).order("B").await.unwrap();
    assert_ne!(proven.redemption_key(), also.redemption_key());
}

#[tokio::test(start_paused = true)]
async fn a_redemption_under_way_at_a_former_place_is_waited_for_and_settles_no_more_once_its_lease_is_over() {
    let store = MemoryStore::new();
    let way = ChaosStore::new(&store, 0);
    let (old, new) = (redeeming(former(None), way.clone()), redeeming(unique().with_account("acct_1"), store.clone()));
    let (theirs, ours) = (proof_of(&old, unbound_intent("pi_1")).await, proof_of(&new, unbound_intent("pi_1")).await);
    // It claims both records, and then its settling lies in a queue for longer than the lease.
    way.script([Fate::Made, Fate::Made, Fate::Late(secs(45))]);
    assert!(old.redeem(&theirs).order("A").await.is_err());
    match new.redeem(&ours).order("B").await {
        Err(RedeemError::InProgress { retry_after }) => sleep(retry_after).await,
        other => panic!("{other:?}"),
    }
    let receipt = new.redeem(&ours).order("B").await.unwrap().into_receipt();
    sleep(secs(60)).await;
    assert!(old.redemption(theirs.payment()).await.unwrap().is_none(), "it was settled beside another");
    assert_eq!(new.redeem(&ours).order("B").await.unwrap().receipt(), &receipt);
    assert_eq!(new.redemption(ours.payment()).await.unwrap().unwrap().receipt(), &receipt);
}

#[tokio::test(start_paused = true)]
async fn a_redemption_that_is_settled_at_a_former_place_meanwhile_is_seen() {
    let store = MemoryStore::new();
    let way = ChaosStore::new(&store, 0);
    let (old, new) = (redeeming(former(None), store.clone()), redeeming(unique().with_account("acct_1"), way.clone()));
    let (theirs, ours) = (proof_of(&old, unbound_intent("pi_1")).await, proof_of(&new, unbound_intent("pi_1")).await);
    // The claim at the present place takes its time, and is made.
    way.script([Fate::StallAfter(ms(500))]);
    let (late, receipt) = tokio::join!(new.redeem(&ours).order("B").into_future(), async {
        sleep(ms(100)).await;
        old.redeem(&theirs).order("A").await.unwrap()
    });
    assert!(matches!(late, Err(RedeemError::AlreadyRedeemed { .. })), "{late:?}");
    assert_eq!(new.redeem(&ours).order("A").await.unwrap().receipt(), receipt.receipt());
}

#[tokio::test(start_paused = true)]
async fn a_redemption_under_way_at_a_former_place_is_not_held_up_by_the_one_that_waits_for_it() {
    let store = MemoryStore::new();
    let way = ChaosStore::new(&store, 0);
    let (old, new) = (redeeming(former(None), way.clone()), redeeming(unique().with_account("acct_1"), store.clone()));
    let (theirs, ours) = (proof_of(&old, unbound_intent("pi_1")).await, proof_of(&new, unbound_intent("pi_1")).await);
    // It has claimed the payment, and comes to the order after the other one has looked there.
    way.script([Fate::Made, Fate::StallBefore(ms(500))]);
    let begin = Instant::now();
    let (first, second) = tokio::join!(old.redeem(&theirs).order("A").into_future(), async {
        sleep(ms(100)).await;
        new.redeem(&ours).order("A").await
    });
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.occasion(), second.receipt()), (Occasion::First, first.receipt()));
    assert!(begin.elapsed() < secs(2), "each waited for the other: {:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_order_stays_paid_when_a_call_with_the_same_claim_finds_the_payment_used_at_a_former_place() {
    let store = MemoryStore::new();
    let [way, other_way] = [(), ()].map(|()| ChaosStore::new(&store, 0));
    let named = || unique().with_account("acct_1");
    let (one, other) = (redeeming(named(), way.clone()), redeeming(named(), other_way.clone()));
    let old = redeeming(former(None), store.clone());
    let (ours, also, theirs) = (
        proof_of(&one, unbound_intent("pi_1")).await,
        proof_of(&other, unbound_intent("pi_1")).await,
        proof_of(&old, unbound_intent("pi_1")).await,
    );
    // An old process redeems the payment after this one has looked; the second call hears of that, and lets go of the claim
    // once the first has settled it.
    way.script_verb(Verb::Replace, [Fate::StallBefore(ms(300))]);
    other_way.script_verb(Verb::Remove, [Fate::StallBefore(ms(300))]);
    let (first, late) = tokio::join!(one.redeem(&ours).order("A").into_future(), async {
        sleep(ms(100)).await;
        let _ = old.redeem(&theirs).order("B").await.unwrap();
        other.redeem(&also).order("A").await
    });
    assert!(first.is_ok() && matches!(late, Err(RedeemError::AlreadyRedeemed { .. })), "{first:?} {late:?}");
    let another = one.redeem(proof_of(&one, unbound_intent("pi_2")).await).order("A").await;
    assert!(matches!(another, Err(RedeemError::OrderAlreadyPaid { .. })), "{another:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hit_takes_one_round_trip_a_miss_two_and_a_key_one_more() {
    let store = MemoryStore::new();
    let asked = |id: &str, key: Option<&str>| {
        let claims = PaymentIntent::new("store_42", id, intent(id).money()).unwrap();
        key.map_or_else(|| claims.clone(), |key| claims.clone().with_key(IdempotencyKey::parse(key).unwrap()))
    };
    // Each time by a process that knows nothing yet.
    for (id, key, trips) in
        [("pi_1", None, 2), ("pi_1", None, 1), ("pi_1", Some("a"), 2), ("pi_1", Some("a"), 2), ("pi_2", Some("b"), 3)]
    {
        let way = ChaosStore::new(&store, 0);
        let validator = redeeming(unique().with_account("acct_1"), way.clone());
        way.script(vec![Fate::StallAfter(ms(100)); 5]);
        let begin = Instant::now();
        assert!(validator.validate(asked(id, key)).await.unwrap().verdict().is_valid());
        assert_eq!((way.calls(), begin.elapsed()), (trips, ms(100 * trips)), "{id} {key:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_redemption_takes_three_round_trips_however_many_former_places_there_are() {
    for (identity, former_places) in [
        (unique().only_account(), 1),
        (unique().with_account("acct_1"), 2),
        (unique().with_account("acct_1").with_label("eu"), 4),
        (ProviderIdentity::new("stripe").only_account(), 0),
    ] {
        let way = ChaosStore::new(&MemoryStore::new(), 0);
        let (validator, shown) = (redeeming(identity.clone(), way.clone()), format!("{identity:?}"));
        let proven = proof_of(&validator, unbound_intent("pi_1")).await;
        let calls = way.calls();
        way.script(vec![Fate::StallAfter(ms(100)); 7]);
        let begin = Instant::now();
        assert_eq!(validator.redeem(&proven).order("A").await.unwrap().occasion(), Occasion::First, "{shown}");
        // The claim, those places beside the order, and the settling: three round trips.
        assert_eq!(way.calls() - calls, 3 + former_places, "{shown}");
        assert_eq!(begin.elapsed(), ms(300), "{shown}");
    }
}

#[cfg(feature = "webhook")]
#[tokio::test]
async fn a_platforms_endpoint_has_a_connected_accounts_refund_known_at_once() {
    use payproof::testing::webhook::{EventBody, now, sign};
    use payproof::webhook::{Delivery, StripeWebhooks};

    let (sandbox, store) = (account(&["pi_connect"]).await, MemoryStore::new());
    let platform = over(&store, stripe(&sandbox, "p").own_account("acct_connect_platform")).build().unwrap();
    let connected = stripe(&sandbox, "p").own_account("acct_connect_platform").account("acct_connect_1");
    let connected = over(&store, connected).build().unwrap();
    assert!(ask(&connected, &intent("pi_connect")).await.verdict().is_valid());
    sandbox.put(SandboxPayment::paid("pi_connect", 1999, "usd").order("6735").refunded(1999));
    assert!(ask(&connected, &intent("pi_connect")).await.verdict().is_valid(), "nothing was heard of it yet");

    // Put together, so that no literal looks like a credential.
    let secret = ["whsec", "connect"].join("_");
    let webhooks = StripeWebhooks::builder(&platform, "connect", secret.clone()).build().unwrap();
    let event = EventBody::of_payment("evt_1", "charge.refunded", "pi_connect").account("acct_connect_1").to_string();
    let signature = sign(&secret, now(), &event);
    let handler = |_| async { Err("it is not the platform's own") };
    assert_eq!(webhooks.receive(Some(&signature), &event, handler).await.unwrap(), Delivery::Ignored);
    let validation = ask(&connected, &intent("pi_connect")).await;
    assert!(matches!(validation.verdict(), Verdict::Invalid(_)), "{validation:?}");
    // One while it was paid, and two once something was given back: the second says how that stands.
    assert_eq!(sandbox.requests(), 3);
}
