//! What is served while the provider is down.

use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use payproof::testing::Step;
use payproof::{Degradation, Provenance, WhenProviderIsDown};
use tokio::join;
use tokio::time::{Instant, timeout};

use super::{marked, out_of_order, serving_stale, sharing};
use crate::chaos_store::{self, ChaosStore};
use crate::support::{busy, intent, is_valid, ms, plain, provider, secs, settle};

#[tokio::test(start_paused = true)]
async fn while_the_provider_is_down_even_a_process_that_never_saw_the_payment_serves_it() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) =
        (serving_stale(&provider, &store).build().unwrap(), serving_stale(&provider, &store).build().unwrap());
    let start = Instant::now();
    first.validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(20 * 60)).await;
    provider.always(Some(Step::Fail(busy())));
    for validator in [&first, &second, &first] {
        let stale = validator.validate(intent("pi_1")).await.unwrap();
        assert!(is_valid(&stale));
        assert_eq!(marked(&stale), (Provenance::Degraded, Some(Degradation::ProviderDown)));
        assert!(stale.age() >= start.elapsed() - ms(1), "{:?} of {:?}", stale.age(), start.elapsed());
    }
    tokio::time::advance(secs(60 * 60)).await;
    assert_eq!(second.validate(intent("pi_1")).await.unwrap_err().code(), "provider_unavailable");
}

#[tokio::test(start_paused = true)]
async fn facts_grow_older_while_the_provider_does_not_answer() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (first, second) =
        (serving_stale(&provider, &store).build().unwrap(), serving_stale(&provider, &store).build().unwrap());
    let start = Instant::now();
    first.validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(20 * 60)).await;
    provider.always(Some(Step::Never));
    for round in 0..3 {
        for validator in [&first, &second] {
            let stale = validator.validate(intent("pi_1")).await.unwrap();
            assert_eq!(marked(&stale), (Provenance::Degraded, Some(Degradation::ProviderDown)));
            let truth = start.elapsed();
            assert!(stale.age() >= truth - secs(1), "round {round}: {:?} of {truth:?}", stale.age());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn facts_grow_older_under_a_lease_that_is_renewed() {
    let (provider, store) = (provider(), MemoryStore::new());
    let renewing = || serving_stale(&provider, &store).renewed_lease(secs(6)).build().unwrap();
    let (first, second) = (renewing(), renewing());
    let start = Instant::now();
    first.validate(intent("pi_1")).await.unwrap();
    tokio::time::advance(secs(20 * 60)).await;
    provider.always(Some(Step::Never));
    let claims = intent("pi_1");
    let (_, stale) = join!(first.validate(&claims), async {
        settle().await;
        let stale = second.validate(&claims).deadline(secs(40)).await.unwrap();
        (stale, start.elapsed())
    });
    let (stale, truth) = stale;
    assert_eq!(marked(&stale), (Provenance::Degraded, Some(Degradation::ProviderDown)));
    assert!(stale.age() >= truth - secs(1), "{:?} of {truth:?}", stale.age());
}

#[tokio::test(start_paused = true)]
async fn neither_a_crash_nor_a_panic_nor_a_lost_failure_loses_what_was_known() {
    for how in ["crash", "panic", "lost failure"] {
        let (provider, store) = (provider(), MemoryStore::new());
        let spy = ChaosStore::new(&store, 0);
        let (first, second) = (
            serving_stale(&provider, &store).store(spy.clone()).build().unwrap(),
            serving_stale(&provider, &store).build().unwrap(),
        );
        second.validate(intent("pi_1")).await.unwrap();
        tokio::time::advance(secs(20 * 60)).await;
        match how {
            "crash" => {
                provider.script("pi_1", [Step::Never]);
                timeout(secs(1), first.validate(intent("pi_1"))).await.unwrap_err();
                spy.crash();
            }
            "panic" => {
                provider.script("pi_1", [Step::Panic]);
                first.validate(intent("pi_1")).await.unwrap();
                settle().await;
            }
            _ => {
                provider.always(Some(Step::Fail(busy())));
                spy.script([chaos_store::Fate::Made, chaos_store::Fate::Made]);
                spy.script([chaos_store::Fate::NotSent, chaos_store::Fate::NotSent]);
                first.validate(intent("pi_1")).await.unwrap();
            }
        }
        provider.always(Some(Step::Fail(busy())));
        // Long enough for every lease, and for the claims themselves.
        tokio::time::advance(secs(10 * 60)).await;
        let stale = second.validate(intent("pi_1")).await;
        assert!(stale.is_ok_and(|stale| is_valid(&stale)), "after a {how}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_be_mended_is_served_stale_too_while_the_provider_is_down() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(out_of_order());
    let shared = serving_stale(&provider, &store).build().unwrap();
    let up_to = WhenProviderIsDown::ServeStale { up_to: secs(60 * 60) };
    let alone = plain(&provider).when_provider_is_down(up_to).build().unwrap();
    for validator in [&shared, &alone] {
        validator.validate(intent("pi_1")).await.unwrap();
    }
    tokio::time::advance(secs(60)).await;
    provider.always(Some(Step::Fail(busy())));
    for validator in [&alone, &shared] {
        let stale = validator.validate(intent("pi_1")).await.unwrap();
        assert_eq!(marked(&stale), (Provenance::Degraded, Some(Degradation::ProviderDown)));
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_elsewhere_fail_alike_and_those_who_come_later_ask_anew() {
    let (provider, store) = (provider(), MemoryStore::new());
    let error = ProviderError::refused("later").with_status(429).with_retry_after(secs(90));
    provider.script("pi_1", [Step::Wait(secs(2)), error.into()]);
    let (first, second) = (sharing(&provider, &store), sharing(&provider, &store));
    let claims = intent("pi_1");
    let (one, two) = join!(first.validate(&claims), async {
        settle().await;
        second.validate(&claims).await
    });
    let (one, two) = (one.unwrap_err(), two.unwrap_err());
    assert_eq!((one.code(), two.code()), ("rate_limited", "rate_limited"));
    assert_eq!((one.retry_after(), two.retry_after()), (Some(secs(90)), Some(secs(90))));
    assert!(two.is_rate_limited() && two.http_status() == one.http_status());
    assert_eq!(provider.calls(), 1);
    let third = sharing(&provider, &store).validate(&claims).await.unwrap();
    assert_eq!((third.provenance(), provider.calls()), (Provenance::Fresh, 2), "no failure is kept for newcomers");
}
