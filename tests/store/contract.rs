//! The contract suite: it passes stores that keep the contract, and names the rule that a broken one breaks.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test that asked for it")]
#![allow(clippy::arithmetic_side_effects, reason = "the flawed store adds times that are far from any limit")]

pub(crate) mod flawed;

use std::sync::Arc;
use std::time::Duration;

use flawed::{Flaw, Flawed};
use payproof::Validator;
use payproof::store::contract::{self, Breach, ContractRule};
use payproof::store::{MemoryStore, Severity, Store, StoreError, StoreFinding};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use tokio::time::Instant;

/// What each flaw breaks.
const BROKEN: &[(Flaw, ContractRule)] = &[
    (Flaw::ClaimDoesNothing, ContractRule::ClaimTakesAbsent),
    (Flaw::ClaimOverwrites, ContractRule::ClaimKeepsHeld),
    (Flaw::ClaimSaysWhatItWanted, ContractRule::ClaimKeepsHeld),
    (Flaw::ClaimIsGetThenSet, ContractRule::OneClaimWins),
    (Flaw::ClaimProlongs, ContractRule::ClaimKeepsTtl),
    (Flaw::ClaimSaysTheWholeTtl, ContractRule::ClaimKeepsTtl),
    (Flaw::HeldForTheSameBytesIsClaimed, ContractRule::ClaimKeepsHeld),
    (Flaw::ReplaceDoesNothing, ContractRule::ReplaceSwaps),
    (Flaw::ReplaceLosesOneWrite, ContractRule::NoSwapIsLost),
    (Flaw::ReplaceIgnoresExpected, ContractRule::ReplaceCompares),
    (Flaw::ReplaceCreates, ContractRule::ReplaceCompares),
    (Flaw::ReplaceKeepsTtl, ContractRule::ReplaceSetsTtl),
    (Flaw::ReplaceIsGetThenSet, ContractRule::OneSwapWins),
    (Flaw::LostSwapsSayNothing, ContractRule::ReplaceCompares),
    (Flaw::LostSwapsSayWhatWasExpected, ContractRule::ReplaceCompares),
    (Flaw::RemoveIgnoresExpected, ContractRule::RemoveCompares),
    (Flaw::RemoveDoesNothing, ContractRule::RemoveRemoves),
    (Flaw::RemoveHappensTwice, ContractRule::RemoveAndClaimTakeTurns),
    (Flaw::RemoveIsGetThenDelete, ContractRule::OneSwapWins),
    (Flaw::RemoveLeavesAnEmptyRecord, ContractRule::RemoveRemoves),
    (Flaw::ReadsFromReplica, ContractRule::WritesAreSeen),
    (Flaw::TtlInSecondsRoundedUp, ContractRule::TtlIsKept),
    (Flaw::TtlInSecondsCut, ContractRule::TtlIsKept),
    (Flaw::TtlOfMillisIsSeconds, ContractRule::ClaimKeepsTtl),
    (Flaw::TtlIsForEver, ContractRule::TtlIsKept),
    (Flaw::TtlBelowOneMillisIsForEver, ContractRule::TtlIsKept),
    (Flaw::TtlIsHalved, ContractRule::ReplaceSetsTtl),
    (Flaw::TtlZeroIsADay, ContractRule::TtlIsBounded),
    (Flaw::TtlIsNotLimited, ContractRule::TtlIsBounded),
    (Flaw::ReplaceTakesAnyTtl, ContractRule::TtlIsBounded),
    (Flaw::EndedIsHeldForClaim, ContractRule::TtlEnds),
    (Flaw::EndedIsSwapped, ContractRule::TtlEnds),
    (Flaw::EndedIsRemoved, ContractRule::TtlEnds),
    (Flaw::OldTtlEndsTheNewRecord, ContractRule::ReplaceSetsTtl),
    (Flaw::OldTtlEndsTheNextRecord, ContractRule::ReplaceSetsTtl),
    (Flaw::EmptyIsAbsent, ContractRule::ValuesAreWhole),
    (Flaw::EmptyExpectedIsAnything, ContractRule::ReplaceCompares),
    (Flaw::NilIsAbsent, ContractRule::ValuesAreWhole),
    (Flaw::ValuesAreTrimmed, ContractRule::ValuesAreWhole),
    (Flaw::ValuesAreText, ContractRule::ValuesAreWhole),
    (Flaw::ValuesAreNumbers, ContractRule::ValuesAreWhole),
    (Flaw::ValuesAreCut, ContractRule::ValuesAreWhole),
    (Flaw::ComparesToTheFirstNul, ContractRule::CompareIsExact),
    (Flaw::ComparesLengths, ContractRule::ReplaceCompares),
    (Flaw::ComparesText, ContractRule::CompareIsExact),
    (Flaw::KeysAreFolded, ContractRule::KeysAreDistinct),
    (Flaw::KeysAreTrimmed, ContractRule::KeysAreDistinct),
    (Flaw::KeysAreCut, ContractRule::KeysAreDistinct),
    (Flaw::KeysEndAtNul, ContractRule::KeysAreDistinct),
    (Flaw::RemovesByPattern, ContractRule::KeysAreDistinct),
    (Flaw::DroppedClaimLeavesHalf, ContractRule::DroppedIsWhole),
    (Flaw::DroppedClaimsAnswerIsTheNextOnes, ContractRule::DroppedIsWhole),
    (Flaw::DroppedReplaceLeavesNothing, ContractRule::DroppedIsWhole),
    (Flaw::DurabilityChanges, ContractRule::DurabilityIsStable),
    (Flaw::InspectFails, ContractRule::InspectAnswers),
    (Flaw::RestartLossIsSaidTwice, ContractRule::RestartLossIsSaid),
    (Flaw::ClaimNeverAnswers, ContractRule::ClaimTakesAbsent),
    (Flaw::ClaimPanicsInARace, ContractRule::OneClaimWins),
    (Flaw::ExtrasAreAnothers, ContractRule::BatchesRead),
    (Flaw::OneSumIsNotKept, ContractRule::AdditionsCount),
    (Flaw::AnEmptyRecordIsZero, ContractRule::AdditionsAreRefused),
];

async fn breach_of(store: impl Store) -> Breach {
    contract::check(store).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn every_flaw_is_caught_with_the_rule_that_it_breaks() {
    for &(flaw, rule) in BROKEN {
        let store = Flawed::new(flaw);
        match contract::check(store).await {
            Ok(_) => panic!("{flaw:?} passed"),
            Err(breach) => assert_eq!(breach.rule(), rule, "{flaw:?}: {breach}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_without_a_flaw_passes() {
    let report = contract::check(Flawed::new(Flaw::None)).await.unwrap();
    assert!(report.to_string().contains("exactly one wins"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn every_rule_is_broken_by_some_flaw() {
    let report = contract::check(MemoryStore::new()).await.unwrap();
    for rule in report.rules() {
        let broken = BROKEN.iter().any(|(_, broken)| broken == rule);
        assert!(broken, "no broken store shows that `{rule}` is checked");
    }
}

#[tokio::test(start_paused = true)]
async fn a_breach_says_the_rule_and_what_was_seen() {
    let breach = breach_of(Flawed::new(Flaw::ClaimIsGetThenSet)).await;
    assert_eq!(breach.seen(), "24 of 24 won");
    assert_eq!(
        breach.to_string(),
        "of concurrent claims exactly one wins and every loser sees its bytes, but 24 of 24 won"
    );
    assert_eq!(breach.error(), None);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_with_its_error() {
    let store = FlakyStore::new(MemoryStore::new());
    store.script(StoreVerb::Replace, [StoreFault::NotSent]);
    let breach = breach_of(store.clone()).await;
    assert_eq!(breach.rule(), ContractRule::ReplaceSwaps);
    assert_eq!(breach.error(), Some(&StoreError::not_sent("scripted: no connection")));
    assert_eq!(std::error::Error::source(&breach).map(ToString::to_string).as_deref(), Some("scripted: no connection"));

    store.always(Some(StoreFault::Refused));
    assert!(breach_of(store).await.error().is_some_and(StoreError::is_refused));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_loses_replies_is_caught() {
    for fault in [StoreFault::LostReply, StoreFault::LostRequest, StoreFault::NotSent] {
        let store = FlakyStore::new(MemoryStore::new());
        store.by_chance(7, [(fault, 0.01)]);
        assert!(breach_of(store).await.error().is_some(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stops_answering_is_caught() {
    for fault in [StoreFault::Never, StoreFault::NeverReplies] {
        let store = FlakyStore::new(MemoryStore::new());
        store.script(StoreVerb::Remove, [StoreFault::None, fault]);
        let begin = Instant::now();
        let breach = breach_of(store).await;
        assert!(breach.seen().contains("took over 120s"), "{breach}");
        assert!(begin.elapsed() < Duration::from_secs(130));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_passes() {
    for fault in [StoreFault::Slow(Duration::from_millis(5)), StoreFault::SlowReply(Duration::from_millis(5))] {
        let store = FlakyStore::new(MemoryStore::new());
        store.by_chance(1, [(fault, 0.5)]);
        contract::check(store).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_store_passes_on_a_paused_clock() {
    contract::check(MemoryStore::new()).await.unwrap();
    contract::check(Arc::new(MemoryStore::new())).await.unwrap();
}

#[tokio::test]
async fn the_memory_store_passes_on_one_thread() {
    contract::check(MemoryStore::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_passes_on_many_threads() {
    contract::check(MemoryStore::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_may_overlap() {
    let store = MemoryStore::new();
    let runs: Vec<_> = (0..3).map(|_| tokio::spawn(contract::check(store.clone()))).collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
}

#[test]
fn a_wrapper_that_drops_the_extras_is_caught() {
    contract::check_wrapper(Arc::new).unwrap();
    contract::check_wrapper(FlakyStore::new).unwrap();
    let breach = contract::check_wrapper(|_| Flawed::new(Flaw::None)).unwrap_err();
    assert_eq!(breach.rule(), ContractRule::ExtrasAreHandedOn);
}

#[tokio::test(start_paused = true)]
async fn the_store_check_names_a_store_without_extras() {
    let notes = async |validator: Validator| validator.check_store().await.findings.contains(&StoreFinding::NoExtras);
    let over = || Validator::builder(ScriptedProvider::new());
    assert!(notes(over().store(Flawed::new(Flaw::None)).build().unwrap()).await);
    assert!(!notes(over().store(FlakyStore::new(MemoryStore::new())).build().unwrap()).await);
    assert!(StoreFinding::NoExtras.severity() == Severity::Note);
}
