//! Stores that other processes do not see, or that forget.

use payproof::redeem::RedeemError;
use payproof::store::{MemoryStore, RestartLoss, Store};
use payproof::testing::{FlakyStore, ScriptedProvider, StoreFault, StoreVerb};
use tokio::time::sleep;

use crate::process;
use crate::support::{NO_PATTERNS, intent, ms, plain, poll_now, proof_of, provider, secs};

#[tokio::test(start_paused = true)]
async fn a_store_that_other_processes_do_not_see_is_refused() {
    let validator = plain(&provider()).restart_loses_at_most(RestartLoss::All).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    let error = validator.redeem(&proof).await.unwrap_err();
    assert!(matches!(error, RedeemError::StoreNotShared), "{error}");
    assert!(error.to_string().contains("only_instance"), "{error}");
    assert!(matches!(validator.redemption(proof.payment()).await, Err(RedeemError::StoreNotShared)));
    assert_eq!(proof.redemption_key().len(), 43);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_forgets_at_a_restart_is_refused_unless_the_operator_accepts_it() {
    let losses =
        [RestartLoss::Nothing, RestartLoss::Second, RestartLoss::Snapshot, RestartLoss::All, RestartLoss::Unknown];
    let accepted = |stated: Option<RestartLoss>| match stated {
        None => &losses[..2],
        Some(RestartLoss::Nothing) => &[RestartLoss::Nothing, RestartLoss::Unknown],
        Some(RestartLoss::Second) => &[RestartLoss::Nothing, RestartLoss::Second, RestartLoss::Unknown],
        Some(RestartLoss::Snapshot) => {
            &[RestartLoss::Nothing, RestartLoss::Second, RestartLoss::Snapshot, RestartLoss::Unknown][..]
        }
        _ => &losses[..],
    };
    for stated in [None].into_iter().chain(losses[..4].iter().copied().map(Some)) {
        for said in losses {
            let store = FlakyStore::new(MemoryStore::new());
            store.pretend_restart_loses(said);
            let builder = plain(&provider()).transient_patterns(NO_PATTERNS).store(store.clone()).only_instance();
            let validator = match stated {
                Some(loss) => builder.restart_loses_at_most(loss).build().unwrap(),
                None => builder.build().unwrap(),
            };
            let proof = proof_of(&validator, intent("pi_1")).await;
            let payment = proof.payment().clone();
            match validator.redeem(proof).await {
                Ok(_) => assert!(accepted(stated).contains(&said), "{said:?} of {stated:?}"),
                Err(RedeemError::RestartLoses { loss }) => {
                    assert!(loss == said && !accepted(stated).contains(&said), "{said:?} of {stated:?}");
                    assert!(validator.redemption(&payment).await.unwrap().is_none(), "nothing was written");
                }
                Err(other) => panic!("{said:?} of {stated:?}: {other}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_what_a_restart_loses_names_what_to_set() {
    let store = FlakyStore::new(MemoryStore::new());
    let validator = plain(&provider()).store(store.clone()).only_instance().build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    for (loss, words) in [
        (RestartLoss::Snapshot, ["last snapshot", "`appendonly yes`", "`appendfsync everysec`"]),
        (RestartLoss::All, ["everything", "`appendonly yes`", "`appendfsync everysec`"]),
        (RestartLoss::Unknown, ["cannot be found out", "`appendonly yes`", "`+config|get`"]),
    ] {
        store.pretend_restart_loses(loss);
        let error = validator.redeem(&proof).await.unwrap_err();
        assert_eq!((error.code(), error.http_status()), ("restart_loses", 500));
        for word in words.into_iter().chain(["`restart_loses_at_most`"]) {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_say_what_a_restart_loses_is_an_outage_and_redeems_nothing() {
    for fault in [StoreFault::NotSent, StoreFault::LostReply, StoreFault::Never] {
        let store = FlakyStore::new(MemoryStore::new());
        store.pretend_restart_loses(RestartLoss::Nothing);
        let validator = plain(&provider()).store(store.clone()).only_instance().build().unwrap();
        let proof = proof_of(&validator, intent("pi_1")).await;
        store.script(StoreVerb::RestartLoss, [fault, fault]);
        let error = validator.redeem(&proof).await.unwrap_err();
        assert_eq!(error.code(), "store_unavailable", "{fault:?}: {error}");
        assert!(validator.redemption(proof.payment()).await.unwrap().is_none(), "{fault:?}");
        // One that never answers is asked once: the second step of the script is still to come.
        let left = if fault == StoreFault::Never { validator.redeem(&proof).await.err() } else { None };
        assert!(left.is_none_or(|error| error.code() == "store_unavailable"));
        let _ = validator.redeem(&proof).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_turns_worse_while_a_payment_is_being_redeemed_is_refused_before_it_is() {
    let store = FlakyStore::new(MemoryStore::new());
    store.pretend_restart_loses(RestartLoss::Second);
    let validator = plain(&provider()).store(store.clone()).only_instance().build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    store.script(StoreVerb::Claim, [StoreFault::Slow(secs(1) / 2)]);
    let redeeming = tokio::spawn({
        let (validator, proof) = (validator.clone(), proof.clone());
        async move { validator.redeem(proof).await }
    });
    sleep(ms(100)).await;
    store.pretend_restart_loses(RestartLoss::All);
    assert!(matches!(redeeming.await.unwrap(), Err(RedeemError::RestartLoses { loss: RestartLoss::All })));
    assert!(validator.redemption(proof.payment()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_record_is_an_error_and_no_free_payment() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let (validator, way, [one, two]) = process(&provider, &store).await;
    let _ = validator.redeem(&one).order("A").await.unwrap();
    for kind in [":payment:", ":order:"] {
        let place = way.keys().into_iter().find(|key| key.contains(kind)).unwrap();
        let held = store.get(&place).await.unwrap().unwrap();
        store.replace(&place, &held.bytes, b"OK", held.ttl_left).await.unwrap();
        let proof = if kind == ":payment:" { &one } else { &two };
        let error = validator.redeem(proof).order("A").await.unwrap_err();
        assert_eq!(error.code(), "record_unreadable", "{error:?}");
        store.replace(&place, b"OK", &held.bytes, held.ttl_left).await.unwrap();
    }
    assert!(validator.redeem(&one).order("A").await.is_ok());
}

#[test]
fn outside_a_runtime_there_is_an_error_and_no_panic() {
    let (provider, store) = (ScriptedProvider::new(), MemoryStore::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (validator, _, [one, _]) = runtime.block_on(process(&provider, &store));
    let receipt = runtime.block_on(validator.redeem(&one).order("A").into_future()).unwrap().into_receipt();
    drop(runtime);
    assert!(poll_now(validator.redeem(&one).order("A").into_future()).is_ready());
    assert!(poll_now(validator.redemption(one.payment()).into_future()).is_ready());
    assert!(poll_now(validator.release(&receipt, "anna, ticket 7").into_future()).is_ready());
}
