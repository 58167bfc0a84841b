//! How much room there is, and what is asked about again.

use std::time::Duration;

use payproof::Provenance;
use payproof::testing::ScriptedProvider;
use tokio::time::advance;

use super::{TICK, ask, build, id, processing};
use crate::support::{intent, is_valid, ms, paid, provider, secs};

#[tokio::test(start_paused = true)]
async fn no_more_payments_than_allowed_are_in_memory_and_evicted_ones_are_asked_about_again() {
    for capacity in [1_u64, 2, 100, 255, 256, 1000] {
        let bound = usize::try_from(capacity).unwrap();
        let provider = ScriptedProvider::new();
        let validator = build(&provider, |b| b.facts_in_memory(bound)).unwrap();
        let intents: Vec<_> = (0..capacity * 2).map(|at| intent(&format!("pi_{at}"))).collect();
        for intent in &intents {
            provider.put(paid(intent.payment().as_str()));
            assert!(is_valid(&ask(&validator, intent).await));
            assert!(validator.stats().facts_in_memory <= bound);
            advance(ms(1)).await;
        }
        assert!(validator.stats().facts_in_memory > bound / 2, "{capacity}");
        let newest = intents.last().unwrap();
        assert_eq!(ask(&validator, newest).await.provenance(), Provenance::Replayed, "the newest stays");
        let before = provider.calls();
        for intent in &intents {
            assert!(is_valid(&ask(&validator, intent).await));
            assert!(validator.stats().facts_in_memory <= bound);
        }
        assert!(provider.calls() - before >= capacity, "{capacity}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_room_every_call_asks() {
    let provider = provider();
    let validator = build(&provider, |b| b.facts_in_memory(0)).unwrap();
    for calls in 1..=5 {
        let fresh = ask(&validator, &intent("pi_1")).await;
        assert!(is_valid(&fresh) && fresh.provenance() == Provenance::Fresh);
        assert_eq!(provider.calls(), calls);
    }
    validator.forget(&id("pi_1")).await.unwrap();
    assert_eq!(validator.stats().facts_in_memory, 0);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_for_of_zero_always_asks() {
    let provider = provider();
    let validator = build(&provider, |b| b.fresh_for(Duration::ZERO)).unwrap();
    for calls in 1..=3 {
        assert_eq!(ask(&validator, &intent("pi_1")).await.provenance(), Provenance::Fresh);
        assert_eq!(provider.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_fresh_for_shortens_everything() {
    let provider = provider();
    provider.put(processing("pi_2"));
    let validator = build(&provider, |b| b.fresh_for(secs(1))).unwrap();
    for id in ["pi_1", "pi_2"] {
        ask(&validator, &intent(id)).await;
        advance(secs(1) - TICK).await;
        assert_eq!(ask(&validator, &intent(id)).await.provenance(), Provenance::Replayed);
        advance(TICK).await;
        assert_eq!(ask(&validator, &intent(id)).await.provenance(), Provenance::Fresh);
    }
}
