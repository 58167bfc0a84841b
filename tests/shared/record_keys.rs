//! Keys that authenticate records, and their rotation.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]

use payproof::store::MemoryStore;
use payproof::testing::ScriptedProvider;
use payproof::{BuildError, Provenance, Validator, ValidatorBuilder};

use crate::support::{intent, plain, provider};

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
