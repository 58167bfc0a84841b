//! Keys that authenticate records, and their rotation.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use payproof::health::HealthReason;
use payproof::store::MemoryStore;
use payproof::testing::ScriptedProvider;
use payproof::{BuildError, Provenance, RecordKind, Validator, ValidatorBuilder};

use crate::support::{intent, plain, provider, secs};

const OLD: [u8; 32] = [1; 32];
const NEW: [u8; 32] = [2; 32];

fn with(provider: &ScriptedProvider, store: &MemoryStore, keys: &[[u8; 32]]) -> Validator {
    plain(provider).store(store.clone()).record_keys(keys.iter().copied()).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn three_deploys_change_the_key_and_at_each_moment_every_process_reads_every_other() {
    // What two processes say while a deploy is under way, and what all have said after it.
    for (before, after) in [(&[OLD][..], &[OLD, NEW][..]), (&[OLD, NEW], &[NEW, OLD]), (&[NEW, OLD], &[NEW, OLD])] {
        for (first, second) in [(before, after), (after, before)] {
            let (provider, store) = (provider(), MemoryStore::new());
            with(&provider, &store, first).validate(intent("pi_1")).await.unwrap();
            let answer = with(&provider, &store, second).validate(intent("pi_1")).await.unwrap();
            assert_eq!((answer.provenance(), provider.calls()), (Provenance::Replayed, 1));
        }
    }
    let (provider, store) = (provider(), MemoryStore::new());
    with(&provider, &store, &[NEW, OLD]).validate(intent("pi_1")).await.unwrap();
    let answer = with(&provider, &store, &[NEW]).validate(intent("pi_1")).await.unwrap();
    assert_eq!(answer.provenance(), Provenance::Replayed, "the new key signs since the second deploy");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_signs_before_every_process_accepts_it_is_refused_by_the_others() {
    let (provider, store) = (provider(), MemoryStore::new());
    with(&provider, &store, &[NEW, OLD]).validate(intent("pi_1")).await.unwrap();
    let error = with(&provider, &store, &[OLD]).validate(intent("pi_1")).await.unwrap_err();
    assert_eq!((error.code(), provider.calls()), ("record_unreadable", 1));
}

#[tokio::test(start_paused = true)]
async fn authentication_is_switched_on_over_records_without_a_seal_of_the_kinds_that_are_named() {
    let (provider, store) = (provider(), MemoryStore::new());
    plain(&provider).store(store.clone()).build().unwrap().validate(intent("pi_1")).await.unwrap();
    let accepting = |kind| {
        let builder = plain(&provider).store(store.clone()).record_keys([NEW]);
        builder.accept_unsigned_records([kind]).build().unwrap()
    };
    let error = accepting(RecordKind::Operation).validate(intent("pi_1")).await.unwrap_err();
    assert_eq!(error.code(), "record_unreadable", "another kind is named");
    let validator = accepting(RecordKind::Facts);
    let answer = validator.validate(intent("pi_1")).await.unwrap();
    assert_eq!((answer.provenance(), provider.calls()), (Provenance::Replayed, 1));
    tokio::time::advance(secs(90)).await;
    let kinds = [RecordKind::Facts].into();
    let health = validator.health().await;
    assert!(health.reasons().contains(&HealthReason::UnsignedAccepted { kinds, since: secs(90) }), "{health:?}");
    validator.validate(intent("pi_2")).await.unwrap();
    let signed = with(&provider, &store, &[NEW]).validate(intent("pi_2")).await.unwrap();
    assert_eq!(signed.provenance(), Provenance::Replayed, "what is written from then on is signed");
}

#[tokio::test(start_paused = true)]
async fn health_counts_the_records_that_no_key_opened_by_kind() {
    let (provider, store) = (provider(), MemoryStore::new());
    with(&provider, &store, &[OLD]).validate(intent("pi_1")).await.unwrap();
    let other = with(&provider, &store, &[NEW]);
    assert!(!format!("{:?}", other.health().await.reasons()).contains("RecordsNotOpened"));
    for (reads, since) in [(1, secs(0)), (2, secs(60))] {
        other.validate(intent("pi_1")).await.unwrap_err();
        let health = other.health().await;
        let reason = HealthReason::RecordsNotOpened { kind: RecordKind::Facts, reads, since };
        assert!(health.reasons().contains(&reason), "{health:?}");
        tokio::time::advance(secs(60)).await;
    }
}

/// What the store check says of the canary.
async fn canary(validator: &Validator) -> Vec<String> {
    let findings = validator.check_store().await.findings.into_iter();
    findings.filter(|finding| finding.code().starts_with("canary")).map(|finding| finding.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_store_check_finds_a_process_with_another_key_before_a_payment_does() {
    let (provider, store) = (provider(), MemoryStore::new());
    let [old, both, new] = [&[OLD][..], &[NEW, OLD], &[NEW]].map(|keys| with(&provider, &store, keys));
    for validator in [&old, &both, &new, &both] {
        assert_eq!(canary(validator).await, [""; 0], "what the one signs the next accepts");
    }
    let told = canary(&old).await;
    assert!(told.len() == 1 && told[0].contains("is not authentic") && told[0].contains("`record_keys`"), "{told:?}");
    assert_eq!(canary(&old).await, [""; 0], "its own canary stands there now");
    let elsewhere = plain(&provider).store(store.clone()).store_prefix("elsewhere").record_keys([NEW]).build().unwrap();
    assert_eq!(canary(&elsewhere).await, [""; 0], "another prefix has another canary");
    assert!(!new.check_store().await.is_fit());
}

#[tokio::test(start_paused = true)]
async fn a_canary_without_a_seal_is_accepted_while_any_record_without_one_is() {
    let (provider, store) = (provider(), MemoryStore::new());
    let unsigned = plain(&provider).store(store.clone()).build().unwrap();
    assert_eq!(canary(&unsigned).await, [""; 0]);
    let builder = plain(&provider).store(store.clone()).record_keys([NEW]);
    assert_eq!(canary(&builder.accept_unsigned_records([RecordKind::Facts]).build().unwrap()).await, [""; 0]);
    assert_eq!(canary(&unsigned).await.len(), 1, "what is signed needs the key");
    let told = canary(&with(&provider, &store, &[NEW])).await;
    assert!(told[0].contains("is not authenticated"), "{told:?}");
}

#[test]
fn records_without_a_seal_are_accepted_only_beside_keys() {
    let builder = Validator::builder(ScriptedProvider::new()).accept_unsigned_records([RecordKind::Facts]);
    assert!(refused(builder).starts_with("accept_unsigned_records is facts, and must be empty without"));
}

#[track_caller]
fn refused(builder: ValidatorBuilder) -> String {
    let error = builder.build().unwrap_err();
    assert!(matches!(error, BuildError::OutOfRange { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn one_to_four_keys_can_be_set() {
    let builder = || Validator::builder(ScriptedProvider::new());
    assert_eq!(refused(builder().record_keys([])), "record_keys is 0 keys, and must be 1 to 4 keys");
    assert_eq!(refused(builder().record_keys([OLD; 5])), "record_keys is 5 keys, and must be 1 to 4 keys");
    assert!(builder().record_keys([OLD; 4]).build().is_ok());
}

#[test]
fn a_release_whose_records_are_written_is_one_that_is_known() {
    let builder = || Validator::builder(ScriptedProvider::new());
    for unknown in ["", "0.2", "0.1.0", "v0.1"] {
        let told = refused(builder().write_records_of(unknown));
        assert!(
            told.starts_with("write_records_of is") && told.ends_with("a release whose records are known: \"0.1\"")
        );
    }
    assert!(builder().write_records_of("0.1").build().is_ok());
}
