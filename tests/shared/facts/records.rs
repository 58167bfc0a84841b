//! Records that are foreign, damaged, newer or sealed with another key.

use payproof::store::{MemoryStore, RestartLoss, Store};
use payproof::testing::ScriptedProvider;
use payproof::{Degradation, Dispute, Finding, Provenance, ProviderPayment, Verdict, WhenProviderIsDown};

use super::{key, marked, put, record, sharing};
use crate::chaos_store::ChaosStore;
use crate::support::{busy, intent, is_valid, ms, paid, plain, provider, secs};

// What stands in the store and cannot be used.

#[tokio::test(start_paused = true)]
async fn foreign_bytes_under_our_key_are_an_error_and_no_miss() {
    for foreign in [&b"OK"[..], b"", b"{\"a\":1}", &[1], &[1, 0, 255, 255], &[0; 100]] {
        let (provider, store) = (provider(), MemoryStore::new());
        let (facts, _) = record(&store, ":facts:", &provider).await;
        put(&store, &facts, foreign).await;
        let (calls, validator) = (provider.calls(), sharing(&provider, &store));
        let error = validator.validate(intent("pi_1")).await.unwrap_err();
        assert!(error.is_store(), "{foreign:?}: {error}");
        assert_eq!((error.code(), provider.calls()), ("record_unreadable", calls));
        validator.forget(intent("pi_1").payment()).await.unwrap();
        assert!(is_valid(&validator.validate(intent("pi_1")).await.unwrap()), "forgotten, it is asked about again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_of_ours_is_an_error_or_nothing_worse() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (facts, bytes) = record(&store, ":facts:", &provider).await;
    for at in 0..bytes.len() {
        put(&store, &facts, &bytes[..at]).await;
        let error = sharing(&provider, &store).validate(intent("pi_1")).await.unwrap_err();
        assert!(error.is_store(), "cut at {at}: {error}");
    }
    put(&store, &facts, &[&*bytes, b"x"].concat()).await;
    assert!(sharing(&provider, &store).validate(intent("pi_1")).await.unwrap_err().is_store());
}

#[tokio::test(start_paused = true)]
async fn a_record_of_a_newer_release_counts_as_a_store_that_is_down() {
    let (provider, store) = (provider(), MemoryStore::new());
    let (facts, mut bytes) = record(&store, ":facts:", &provider).await;
    bytes[0] += 1;
    put(&store, &facts, &bytes).await;
    let calls = provider.calls();
    let one = sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
    assert_eq!(marked(&one), (Provenance::Degraded, Some(Degradation::StoreDown)));
    assert_eq!(provider.calls(), calls + 1);
    assert_eq!(store.get(&facts).await.unwrap().unwrap().bytes, bytes, "it is left alone");
}

#[tokio::test(start_paused = true)]
async fn records_of_another_record_key_are_unreadable_in_both_directions() {
    for (ours, theirs) in [(Some([1; 32]), None), (None, Some([1; 32])), (Some([1; 32]), Some([2; 32]))] {
        let (provider, store) = (provider(), MemoryStore::new());
        let with = |record_key: Option<[u8; 32]>| {
            let builder = plain(&provider).store(store.clone());
            record_key.map_or_else(|| plain(&provider).store(store.clone()), |key| builder.record_keys([key]))
        };
        let (first, second) = (with(ours).build().unwrap(), with(theirs).build().unwrap());
        first.validate(intent("pi_1")).await.unwrap();
        assert_eq!(second.validate(intent("pi_1")).await.unwrap_err().code(), "record_unreadable");
        let same = with(ours).build().unwrap();
        assert_eq!(same.validate(intent("pi_1")).await.unwrap().provenance(), Provenance::Replayed);
    }
}

#[tokio::test(start_paused = true)]
async fn processes_that_read_other_metadata_extend_what_is_kept() {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(paid("pi_1").with_metadata("shop", "store_42").with_metadata("cart", "6735"));
    let builder = || plain(&provider).store(store.clone()).facts_in_memory_for(ms(0));
    let first = builder().build().unwrap();
    let second = builder().tenant_proof(payproof::TenantProof::metadata("shop")).order_key("cart").build().unwrap();
    for round in 0..5 {
        for validator in [&first, &second] {
            let answer = validator.validate(intent("pi_1")).await.unwrap();
            assert!(is_valid(&answer), "round {round}: {answer:?}");
            tokio::time::advance(secs(1)).await;
        }
    }
    assert!(provider.calls() <= 3, "they asked {} times", provider.calls());
}

// What an earlier release wrote.

/// Has these facts written as release 0.1 does.
async fn written_by_0_1(facts: ProviderPayment) -> (ScriptedProvider, MemoryStore) {
    let (provider, store) = (provider(), MemoryStore::new());
    provider.put(facts);
    let earlier = plain(&provider).store(store.clone()).write_records_of("0.1").build().unwrap();
    earlier.validate(intent("pi_1")).await.unwrap();
    (provider, store)
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_an_earlier_release_calls_paid_is_asked_for_anew() {
    for (dispute, findings) in [
        (Dispute::Won, vec![]),
        (Dispute::Inquiry, vec![Finding::Disputed(Dispute::Inquiry)]),
        (Dispute::Lost, vec![Finding::Disputed(Dispute::Lost)]),
    ] {
        let (provider, store) = written_by_0_1(paid("pi_1").with_dispute(dispute)).await;
        let answer = sharing(&provider, &store).validate(intent("pi_1")).await.unwrap();
        let found = match answer.verdict() {
            Verdict::Invalid(found) => found.iter().cloned().collect(),
            _ => Vec::new(),
        };
        assert_eq!(
            (found, is_valid(&answer), provider.calls()),
            (findings.clone(), findings.is_empty(), 2),
            "{dispute}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn facts_of_an_earlier_release_say_nothing_of_fraud_and_are_asked_for_anew() {
    let (provider, store) = written_by_0_1(paid("pi_1")).await;
    provider.put(paid("pi_1").with_reported_fraud(true));
    tokio::time::advance(secs(2)).await;
    let Verdict::Invalid(findings) = sharing(&provider, &store).validate(intent("pi_1")).await.unwrap().into_verdict()
    else {
        panic!("it was reported as fraud")
    };
    assert_eq!((findings.has("reported_fraud"), provider.calls()), (true, 2));
    // While the provider is down, they are what is known.
    let (provider, store) = written_by_0_1(paid("pi_1")).await;
    provider.always(Some(busy().into()));
    tokio::time::advance(secs(60)).await;
    let stale = WhenProviderIsDown::ServeStale { up_to: secs(3600) };
    let today = plain(&provider).store(store.clone()).when_provider_is_down(stale).build().unwrap();
    let answer = today.validate(intent("pi_1")).await.unwrap();
    assert_eq!(marked(&answer), (Provenance::Degraded, Some(Degradation::ProviderDown)));
    assert!(is_valid(&answer));
}

// Secrets.

#[tokio::test(start_paused = true)]
async fn no_store_key_and_no_debug_text_says_whose_payment_it_is() {
    let (provider, store) = (provider(), MemoryStore::new());
    let spy = ChaosStore::new(&store, 0);
    let builder = plain(&provider)
        .store(spy.clone())
        .record_keys([[0xAB; 32]])
        .only_instance()
        .restart_loses_at_most(RestartLoss::All);
    let shown = format!("{builder:?} {builder:#?}");
    let validator = builder.build().unwrap();
    let shown = format!("{shown} {validator:?}");
    for secret in ["171, 171", "abab", "ABAB", "0xab"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    let claims = intent("pi_1").with_key(key("click-secret"));
    let validation = validator.validate(&claims).await.unwrap();
    let Verdict::Valid(proof) = validation.into_verdict() else { panic!("it is paid") };
    let receipt = validator.redeem(&proof).await.unwrap().into_receipt();
    validator.redemption(proof.payment()).await.unwrap();
    validator.release(&receipt, "anna, ticket 7").await.unwrap();
    validator.forget(proof.payment()).await.unwrap();
    let keys = spy.keys();
    assert!(keys.iter().any(|key| key.contains(":order:")) && keys.iter().any(|key| key.contains(":key:")));
    for key in keys {
        for text in ["pi_1", "store_42", "6735", "click", "secret"] {
            assert!(!key.contains(text), "{text} in {key}");
        }
        assert!(key.starts_with("payproof:") && key.len() < 100, "{key}");
    }
}
