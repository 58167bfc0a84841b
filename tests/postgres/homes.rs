//! Moving home forgets no redemption, and processes of both homes and both ways work side by side.

use payproof::redeem::{Occasion, RedeemError};
use payproof::store::{MemoryStore, PostgresStore};
use payproof::telemetry::BreakerState;
use payproof::testing::{FlakyStore, StoreFault};
use payproof::{StoreCheck, Validator, ValidatorBuilder};
use tokio::time::{Instant, sleep};

use crate::forward::VerbsAlone;
use crate::postgres_server::PostgresServer;
use crate::servers::PATIENCE;
use crate::shop::{Shop, insert, is_first};
use crate::support::ms;

/// The shop as it was before: its redemptions stand in another store.
fn before(shop: &Shop, old: &MemoryStore) -> Validator {
    shop.process(old.clone()).only_instance().build().unwrap()
}

fn moved(shop: &Shop, old: &MemoryStore) -> ValidatorBuilder {
    shop.process(shop.store.clone()).redemptions_moved_from(old.clone()).only_instance()
}

#[tokio::test]
async fn a_new_home_has_to_say_what_was_before() {
    let shop = Shop::open().await;
    let unstated = shop.process(shop.store.clone()).build().unwrap_err();
    assert!(unstated.to_string().contains("no_redemptions_before()"), "{unstated}");
    assert!(shop.process(VerbsAlone(shop.store.clone())).build().is_ok(), "there it is a store like any other");
    let both = moved(&shop, &MemoryStore::new()).no_redemptions_before().build().unwrap_err();
    assert!(both.to_string().contains("redemptions_moved_from"), "{both}");
    let nowhere = shop.process(MemoryStore::new()).redemptions_moved_from(MemoryStore::new()).build().unwrap_err();
    assert!(nowhere.to_string().contains("redemptions_moved_from"), "{nowhere}");
    let unseen = shop.process(shop.store.clone()).redemptions_moved_from(MemoryStore::new()).build().unwrap_err();
    assert!(unseen.to_string().contains("every process sees"), "{unseen}");
}

#[tokio::test]
async fn a_look_at_the_store_is_one_at_the_old_home_too() {
    let (shop, old) = (Shop::open().await, FlakyStore::new(MemoryStore::new()));
    let today = shop.process(shop.store.clone()).redemptions_moved_from(old.clone()).only_instance().build().unwrap();
    let unreachable = |checked: &StoreCheck| {
        let found = checked.findings.iter().filter(|finding| finding.code() == "unreachable");
        found.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(unreachable(&today.check_store().await), [""; 0]);
    // One that hangs keeps no answer about the other one waiting.
    for fault in [StoreFault::NotSent, StoreFault::Never] {
        old.always(Some(fault));
        for checked in [today.check_store().await, today.health().await.store_check().clone()] {
            let [found] = &unreachable(&checked)[..] else { panic!("{checked:?}") };
            assert!(found.contains("redemptions were moved from"), "{found}");
            assert!(checked.store.is_some() && !checked.is_fit(), "{checked:?}");
        }
        sleep(ms(1_100)).await; // Health looks once a second.
    }
}

#[tokio::test]
async fn what_was_redeemed_in_the_old_home_stays_redeemed() {
    let (shop, old) = (Shop::open().await, MemoryStore::new());
    let (yesterday, today) = (before(&shop, &old), moved(&shop, &old).build().unwrap());
    let mut client = shop.client().await;
    let theirs = shop.proof(&yesterday, "pi_1").await;
    let receipt = yesterday.redeem(&theirs).order("A").await.unwrap().into_receipt();
    let ours = shop.proof(&today, "pi_1").await;
    let other = shop.proof(&today, "pi_2").await;
    assert_eq!(today.redemption(ours.payment()).await.unwrap().unwrap().receipt(), &receipt);

    let mut tx = client.transaction().await.unwrap();
    let used = today.redeem(&ours).order("B").within(&mut tx).await.unwrap_err();
    assert!(matches!(used, RedeemError::AlreadyRedeemed { .. }), "{used:?}");
    let paid = today.redeem(&other).order("A").within(&mut tx).await.unwrap_err();
    assert!(matches!(paid, RedeemError::OrderAlreadyPaid { .. }), "{paid:?}");
    let again = today.redeem(&ours).order("A").within(&mut tx).await.unwrap();
    assert!(again.receipt() == &receipt && !is_first(&again), "{again:?}");
    tx.commit().await.unwrap();
    assert!(matches!(today.redeem(&ours).order("B").await, Err(RedeemError::AlreadyRedeemed { .. })));
}

#[tokio::test]
async fn processes_of_the_old_and_the_new_home_share_each_payment() {
    let (shop, old) = (Shop::open().await, MemoryStore::new());
    let (theirs, ours) = (before(&shop, &old), moved(&shop, &old).build().unwrap());
    let mut client = shop.client().await;
    for round in 0..20 {
        let (payment, order) = (format!("pi_{round}"), format!("order {round}"));
        let (their_proof, our_proof) = (shop.proof(&theirs, &payment).await, shop.proof(&ours, &payment).await);
        let mut tx = client.transaction().await.unwrap();
        let (them, us) = tokio::join!(theirs.redeem(&their_proof).order("theirs").part(&order).into_future(), async {
            let redeemed = ours.redeem(&our_proof).order(&order).within(&mut tx).await?;
            insert(&tx, &redeemed).await.unwrap();
            tx.commit().await.unwrap();
            Ok::<_, RedeemError>(redeemed)
        });
        assert!(them.is_ok() != us.is_ok(), "round {round}: {them:?} {us:?}");
    }
}

#[tokio::test]
async fn a_rollback_while_moving_keeps_the_payment_for_its_order() {
    let (shop, old) = (Shop::open().await, MemoryStore::new());
    let today = moved(&shop, &old).build().unwrap();
    let (mut client, proof) = (shop.client().await, shop.proof(&today, "pi_1").await);
    let mut tx = client.transaction().await.unwrap();
    assert!(is_first(&today.redeem(&proof).order("A").within(&mut tx).await.unwrap()));
    tx.rollback().await.unwrap();
    assert!(matches!(today.redeem(&proof).order("B").await, Err(RedeemError::AlreadyRedeemed { .. })));
    let again = today.redeem(&proof).order("A").await.unwrap();
    assert!(matches!(again.occasion(), Occasion::Repeat { .. }));
    // A release within a transaction reaches the new home alone, and the same again outside of one the old home.
    let mut tx = client.transaction().await.unwrap();
    today.release(again.receipt(), "anna, ticket 7").within(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    assert!(today.redemption(proof.payment()).await.unwrap().is_some(), "it stands in the old home");
    today.release(again.receipt(), "anna, ticket 7").await.unwrap();
    assert!(today.redemption(proof.payment()).await.unwrap().is_none());
    assert!(is_first(&today.redeem(&proof).order("B").await.unwrap()));
}

#[tokio::test]
async fn a_release_of_what_stands_in_the_old_home_alone_is_recorded_once() {
    let (shop, old) = (Shop::open().await, MemoryStore::new());
    let (yesterday, today) = (before(&shop, &old), moved(&shop, &old).build().unwrap());
    let theirs = shop.proof(&yesterday, "pi_1").await;
    let receipt = yesterday.redeem(&theirs).order("A").await.unwrap().into_receipt();
    for _ in 0..2 {
        today.release(&receipt, "anna, ticket 7").await.unwrap();
        let decisions = today.decisions(1).await.unwrap();
        assert_eq!(decisions.len(), 1, "{decisions:?}");
        assert_eq!((decisions[0].who(), decisions[0].subject()), ("anna, ticket 7", "pi_1"));
    }
    // In both homes it is one decision, too.
    let ours = shop.proof(&today, "pi_1").await;
    let both = today.redeem(&ours).order("B").await.unwrap();
    assert!(is_first(&both));
    today.release(both.receipt(), "anna, ticket 8").await.unwrap();
    assert_eq!(today.decisions(1).await.unwrap().len(), 2);
    assert!(is_first(&yesterday.redeem(&shop.proof(&yesterday, "pi_1").await).order("C").await.unwrap()));
}

#[tokio::test]
async fn with_redemptions_in_transactions_a_release_ends_in_the_old_home() {
    let (shop, old) = (Shop::open().await, MemoryStore::new());
    let memory = shop.process(MemoryStore::new()).only_instance().redemptions_in_transactions();
    let today = memory.redemptions_moved_from(old.clone()).build().unwrap();
    let (mut client, proof) = (shop.client().await, shop.proof(&today, "pi_1").await);
    let mut tx = client.transaction().await.unwrap();
    let first = today.redeem(&proof).order("A").within(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    today.release(first.receipt(), "anna, ticket 7").within(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    assert!(today.redemption(proof.payment()).within(&mut tx).await.unwrap().is_some(), "it stands in the old home");
    tx.rollback().await.unwrap();
    today.release(first.receipt(), "anna, ticket 7").await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    assert!(today.redemption(proof.payment()).within(&mut tx).await.unwrap().is_none());
    assert!(is_first(&today.redeem(&proof).order("B").within(&mut tx).await.unwrap()));
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_transaction_in_another_database_binds_nothing_in_the_old_home() {
    let (shop, old) = (Shop::open().await, MemoryStore::new());
    let (yesterday, today) = (before(&shop, &old), moved(&shop, &old).build().unwrap());
    let elsewhere = PostgresServer::start().await;
    PostgresStore::new(elsewhere.url()).unwrap().create_table().await.unwrap();
    let (mut other, proof) = (elsewhere.client().await, shop.proof(&today, "pi_1").await);
    let mut tx = other.transaction().await.unwrap();
    let refused = today.redeem(&proof).order("A").within(&mut tx).await.unwrap_err();
    assert!(matches!(refused, RedeemError::OtherDatabase), "{refused:?}");
    assert!(yesterday.redemption(proof.payment()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_home_that_hangs_keeps_no_call_from_the_other_one() {
    let (shop, new, old) =
        (Shop::open().await, FlakyStore::new(MemoryStore::new()), FlakyStore::new(MemoryStore::new()));
    let today = shop.process(new.clone()).only_instance().redemptions_in_transactions().store_timeout(ms(100));
    let today = today.redemptions_moved_from(old.clone()).build().unwrap();
    let (mut client, proof) = (shop.client().await, shop.proof(&today, "pi_1").await);
    let mut redeem = async || {
        let mut tx = client.transaction().await.unwrap();
        let redeemed = today.redeem(&proof).order("A").within(&mut tx).await;
        tx.commit().await.unwrap();
        redeemed
    };
    old.always(Some(StoreFault::Never));
    for said in ["within 100ms", "within 100ms", "is not asked"] {
        let RedeemError::Store(error) = redeem().await.unwrap_err() else { panic!("{said}") };
        assert!(error.to_string().contains(said), "{said}: {error:?}");
    }
    assert_eq!(today.stats().store_breaker, Some(BreakerState::Closed));
    today.decisions(1).await.unwrap();

    old.always(None);
    let end = Instant::now() + PATIENCE;
    while let Err(error) = redeem().await {
        assert!(Instant::now() < end, "a probe is answered: {error:?}");
        sleep(ms(100)).await;
    }
    new.always(Some(StoreFault::Never));
    for _ in 0..2 {
        today.decisions(1).await.unwrap_err();
    }
    assert_eq!(today.stats().store_breaker, Some(BreakerState::Open));
    assert!(!is_first(&redeem().await.unwrap()));
}

#[tokio::test]
async fn one_by_one_and_at_once_a_payment_pays_one_order() {
    let shop = Shop::open().await;
    let (at_once, one_by_one) = (shop.validator(), shop.process(VerbsAlone(shop.store.clone())).build().unwrap());
    let (also, two) = (shop.proof(&one_by_one, "pi_1").await, shop.proof(&one_by_one, "pi_2").await);
    let one = shop.proof(&at_once, "pi_1").await;
    let first = at_once.redeem(&one).order("A").await.unwrap();
    let again = one_by_one.redeem(&also).order("A").await.unwrap();
    assert!(again.receipt() == first.receipt() && !is_first(&again));
    assert!(matches!(one_by_one.redeem(&also).order("B").await, Err(RedeemError::AlreadyRedeemed { .. })));
    assert!(matches!(one_by_one.redeem(&two).order("A").await, Err(RedeemError::OrderAlreadyPaid { .. })));
    one_by_one.release(first.receipt(), "anna, ticket 7").await.unwrap();
    let anew = one_by_one.redeem(&also).order("B").await.unwrap();
    let repeat = at_once.redeem(&one).order("B").await.unwrap();
    assert!(is_first(&anew) && repeat.receipt() == anew.receipt() && !is_first(&repeat));
}
