//! What a thin event is about cannot be asked for, or may not be.

use std::sync::Arc;

use payproof::provider::{ProviderError, ProviderIdentity, RateLimit, provider_fn};
use payproof::store::MemoryStore;
use payproof::testing::webhook::EventBody;
use payproof::testing::{FlakyStore, Step, StoreFault, StoreVerb};
use payproof::webhook::EventObject;
use payproof::{ProviderPayment, Validator};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance};

use crate::support::{NO_PATTERNS, ms, paused_runtime, secs, settle};
use crate::thin::{Shown, builder, is_paid, refund, related, thin, validator};
use crate::{LONG_LEASE, Runs, deliver, webhooks_of};

fn refused(status: u16) -> ProviderError {
    ProviderError::refused("scripted").with_status(status)
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_is_told_to_the_handler_and_acknowledged() {
    let provider = related();
    let (webhooks, shown) = (webhooks_of(&validator(&provider)), Shown::default());
    let gone = EventBody::thin_about("evt_1", "v1.charge.refunded", "charge", "ch_gone");
    assert_eq!(shown.deliver(&webhooks, &gone).await, "handled");
    assert_eq!((shown.event().object(), shown.event().payment()), (EventObject::Gone, None));
    assert_eq!(shown.deliver(&webhooks, &gone).await, "duplicate");
    assert_eq!(provider.calls(), 1, "that it is gone is remembered");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_may_not_be_read_is_told_to_the_handler_and_to_health() {
    let provider = related();
    let validator = validator(&provider);
    let (webhooks, shown) = (webhooks_of(&validator), Shown::default());
    provider.script("ch_1", [refused(403)]);
    let updated = EventBody::thin_about("evt_1", "v1.charge.updated", "charge", "ch_1");
    assert_eq!(shown.deliver(&webhooks, &updated).await, "handled");
    assert_eq!((shown.event().object(), shown.event().payment()), (EventObject::Unreadable, None));
    let health = validator.health().await;
    assert!(!health.is_ready());
    let said =
        |health: &payproof::health::Health| health.reasons().iter().any(|reason| reason.code() == "objects_unreadable");
    assert!(said(&health), "{health:?}");
    assert_eq!(validator.stats().objects_unreadable, 1);
    // Once the right is given, a duplicate finds the payment.
    assert!(is_paid(&validator).await);
    refund(&provider);
    assert_eq!(shown.deliver(&webhooks, &updated).await, "duplicate");
    assert!(!is_paid(&validator).await);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_taken_money_back_comes_again_until_it_may_be_read() {
    for (event_type, kind, object) in [
        ("v1.charge.refunded", "charge", "ch_1"),
        ("v1.charge.expired", "charge", "ch_1"),
        ("v1.charge.dispute.created", "dispute", "dp_1"),
        ("v1.charge.dispute.novel", "dispute", "dp_1"),
        ("v1.refund.updated", "refund", "re_1"),
        ("v1.charge.refund.updated", "refund", "re_1"),
    ] {
        let provider = related();
        let validator = validator(&provider);
        let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
        assert!(is_paid(&validator).await);
        refund(&provider);
        provider.script(object, [refused(403)]);
        let body = EventBody::thin_about("evt_1", event_type, kind, object);
        let error = deliver(&webhooks, &body, |_| async { Err("must not run") }).await.unwrap_err();
        assert!(error.is_unavailable());
        assert_eq!((error.code(), error.http_status()), ("object_unreadable", 502), "{event_type}");
        assert!(error.to_string().contains(kind), "{error}");
        assert_eq!(runs.deliver(&webhooks, &body).await, "handled", "{event_type}");
        assert!(!is_paid(&validator).await, "{event_type}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_looks_no_objects_up_has_refunds_come_again() {
    let identity = ProviderIdentity::new("acme").only_account();
    let acme = provider_fn(identity, |payment, _| async move { Ok(ProviderPayment::not_found(payment.as_str())) });
    let validator = Validator::builder(acme).transient_patterns(NO_PATTERNS).build().unwrap();
    let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
    assert_eq!(runs.deliver(&webhooks, &thin("evt_1")).await, "object_unreadable");
    let updated = EventBody::thin_about("evt_2", "v1.charge.updated", "charge", "ch_1");
    assert_eq!(runs.deliver(&webhooks, &updated).await, "handled");
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_object_is_not_answered_for_comes_again_and_is_not_remembered() {
    for step in [
        refused(429).into(),
        refused(500).into(),
        refused(503).into(),
        refused(401).into(),
        refused(404).into(),
        ProviderError::outcome_unknown("cut off").into(),
        ProviderError::unreadable("no JSON").into(),
        Step::Never,
        Step::Panic,
    ] {
        let provider = related();
        let validator = validator(&provider);
        let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
        assert!(is_paid(&validator).await);
        refund(&provider);
        provider.script("ch_1", [step.clone()]);
        let begin = Instant::now();
        let error = deliver(&webhooks, &thin("evt_1"), |_| async { Err("must not run") }).await.unwrap_err();
        assert!(error.is_unavailable(), "{step:?}");
        assert_eq!((error.code(), error.http_status()), ("not_looked_up", 503), "{step:?}");
        assert!(begin.elapsed() <= secs(10), "{step:?}");
        assert_eq!(provider.calls(), 2, "it is asked for once: {step:?}");
        assert_eq!(runs.deliver(&webhooks, &thin("evt_1")).await, "handled", "{step:?}");
        assert!(!is_paid(&validator).await, "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_holds_objects_and_look_ups_back_alike() {
    let provider = related();
    let validator = validator(&provider);
    let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
    let limited = refused(429).with_rate_limit(RateLimit::Account).with_retry_after(secs(30));
    provider.script("ch_1", [limited]);
    let error = deliver(&webhooks, &thin("evt_1"), |_| async { Err("must not run") }).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), ("not_looked_up", Some(secs(30))));
    assert_eq!(runs.deliver(&webhooks, &thin("evt_2")).await, "not_looked_up", "longer than a look-up may take");
    assert_eq!(provider.calls(), 1, "the gate is closed, so nothing is sent");
    // Those that the gate opens for in time wait there.
    advance(secs(25)).await;
    let begin = Instant::now();
    assert_eq!(runs.deliver(&webhooks, &thin("evt_2")).await, "handled");
    assert!(begin.elapsed() >= secs(5), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn four_objects_are_asked_for_at_once_and_the_rest_waits_its_turn() {
    let provider = related();
    let webhooks = webhooks_of(&validator(&provider));
    let (mut tasks, runs) = (JoinSet::new(), Runs::default());
    for number in 0..12 {
        let charge = format!("ch_of_{number}");
        provider.relate(charge.clone(), "pi_1");
        provider.script(charge.clone(), [Step::Wait(secs(2))]);
        let body = EventBody::thin_about(&format!("evt_{number}"), "v1.charge.refunded", "charge", &charge);
        let (webhooks, runs) = (webhooks.clone(), runs.clone());
        tasks.spawn(async move { runs.deliver(&webhooks, &body).await });
    }
    settle().await;
    assert_eq!(provider.calls(), 4);
    advance(secs(2) + ms(1)).await;
    settle().await;
    assert_eq!(provider.calls(), 8);
    assert_eq!(tasks.join_all().await, ["handled"; 12]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_for_ten_seconds_comes_again() {
    let provider = related();
    let webhooks = webhooks_of(&validator(&provider));
    provider.script("ch_1", std::iter::repeat_n(Step::Never, 4));
    let (mut tasks, runs) = (JoinSet::new(), Runs::default());
    for number in 0..5 {
        let (webhooks, runs) = (webhooks.clone(), runs.clone());
        tasks.spawn(async move { runs.deliver(&webhooks, &thin(&format!("evt_{number}"))).await });
    }
    assert_eq!(tasks.join_all().await, ["not_looked_up"; 5]);
    assert_eq!(provider.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn no_handler_runs_before_the_payment_that_was_found_is_forgotten() {
    let (provider, store) = (related(), FlakyStore::new(Arc::new(MemoryStore::new())));
    let validator = builder(&provider).store(store.clone()).build().unwrap();
    let (webhooks, runs) = (webhooks_of(&validator), Runs::default());
    // The first claim is the event's, and the next ones are the payment's.
    store.script(StoreVerb::Claim, [StoreFault::None, StoreFault::Refused]);
    let error = deliver(&webhooks, &thin("evt_1"), |_| async { Err("must not run") }).await.unwrap_err();
    assert_eq!((error.code(), error.http_status()), ("not_forgotten", 503));
    assert_eq!(runs.deliver(&webhooks, &thin("evt_1")).await, "handled");
    // Nor is a duplicate acknowledged before it is.
    store.script(StoreVerb::Claim, [StoreFault::None, StoreFault::Refused]);
    assert_eq!(runs.deliver(&webhooks, &thin("evt_1")).await, "not_forgotten");
    assert_eq!(runs.deliver(&webhooks, &thin("evt_1")).await, "duplicate");
    assert_eq!(runs.count(), 1);
}

#[test]
fn an_event_whose_process_ended_while_it_asked_is_taken_over_after_its_lease() {
    let (store, runs, provider) = (MemoryStore::new(), Runs::default(), related());
    provider.script("ch_1", [Step::Never]);
    let webhooks = || webhooks_of(&builder(&provider).store(store.clone()).build().unwrap());
    let dying = paused_runtime();
    dying.block_on(async {
        let (webhooks, runs) = (webhooks(), runs.clone());
        tokio::spawn(async move { runs.deliver(&webhooks, &thin("evt_1")).await });
        settle().await;
    });
    drop(dying);
    paused_runtime().block_on(async {
        advance(LONG_LEASE - secs(1)).await;
        assert_eq!(runs.deliver(&webhooks(), &thin("evt_1")).await, "in_progress");
        advance(secs(2)).await;
        assert_eq!(runs.deliver(&webhooks(), &thin("evt_1")).await, "handled");
    });
    assert_eq!(runs.count(), 1);
}
