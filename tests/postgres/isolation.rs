//! Transactions that see what was committed before they began, and nothing later.

use payproof::provider::ProviderIdentity;
use payproof::redeem::RedeemError;
use payproof::testing::ScriptedProvider;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::shop::{Shop, is_first};

const LEVELS: [IsolationLevel; 2] = [IsolationLevel::RepeatableRead, IsolationLevel::Serializable];

/// A transaction that sees what is committed by now.
async fn begin(client: &mut Client, level: IsolationLevel) -> Transaction<'_> {
    let tx = client.build_transaction().isolation_level(level).start().await.unwrap();
    tx.execute("SELECT 1", &[]).await.unwrap();
    tx
}

fn is_for_a_new_transaction(error: &RedeemError) -> bool {
    matches!(error, RedeemError::Store(store) if store.to_string().contains("40001") && error.is_retryable())
}

#[tokio::test]
async fn a_rival_that_committed_fails_the_transaction() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    for (level, payment) in LEVELS.into_iter().zip(["pi_1", "pi_2"]) {
        let proof = shop.proof(&validator, payment).await;
        let mut tx = begin(&mut client, level).await;
        let first = validator.redeem(&proof).order(payment).await.unwrap();
        let error = validator.redeem(&proof).order(payment).within(&mut tx).await.unwrap_err();
        assert!(is_for_a_new_transaction(&error), "{error:?}");
        tx.rollback().await.unwrap();
        let mut tx = begin(&mut client, level).await;
        let again = validator.redeem(&proof).order(payment).within(&mut tx).await.unwrap();
        assert_eq!(again.receipt(), first.receipt());
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn one_that_committed_at_a_former_place_does_too() {
    let mut shop = Shop::open().await;
    let (unnamed, mut client) = (shop.validator(), shop.client().await);
    let theirs = [shop.proof(&unnamed, "pi_1").await, shop.proof(&unnamed, "pi_2").await];
    shop.provider = ScriptedProvider::with_identity(ProviderIdentity::new("scripted").with_account("acct_1"));
    let named = shop.validator();
    for (level, theirs) in LEVELS.into_iter().zip(theirs) {
        let ours = shop.proof(&named, theirs.payment().as_str()).await;
        let order = theirs.payment().as_str();
        let mut tx = begin(&mut client, level).await;
        let first = unnamed.redeem(&theirs).order(order).await.unwrap();
        let error = named.redeem(&ours).order("B").within(&mut tx).await.unwrap_err();
        assert!(is_for_a_new_transaction(&error), "{error:?}");
        tx.rollback().await.unwrap();
        let mut tx = begin(&mut client, level).await;
        let used = named.redeem(&ours).order("B").within(&mut tx).await.unwrap_err();
        assert!(matches!(&used, RedeemError::AlreadyRedeemed { by: Some(by) } if &**by == order), "{used:?}");
        let again = named.redeem(&ours).order(order).within(&mut tx).await.unwrap();
        assert_eq!(again.receipt(), first.receipt());
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_redeemed_since_it_began_is_not_taken_for_absent() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    for (level, payment) in LEVELS.into_iter().zip(["pi_1", "pi_2"]) {
        let proof = shop.proof(&validator, payment).await;
        let mut tx = begin(&mut client, level).await;
        let receipt = validator.redeem(&proof).order(payment).await.unwrap().into_receipt();
        let error = validator.release(&receipt, "anna, ticket 7").within(&mut tx).await.unwrap_err();
        assert!(is_for_a_new_transaction(&error), "{error:?}");
        tx.rollback().await.unwrap();
        validator.release(&receipt, "anna, ticket 7").await.unwrap();

        let mut tx = begin(&mut client, level).await;
        assert!(validator.redemption(proof.payment()).within(&mut tx).await.unwrap().is_none());
        assert!(is_first(&validator.redeem(&proof).order(payment).within(&mut tx).await.unwrap()));
        assert!(validator.redemption(proof.payment()).within(&mut tx).await.unwrap().is_some());
        tx.commit().await.unwrap();
        let mut tx = begin(&mut client, level).await;
        validator.release(&receipt, "anna, ticket 7").within(&mut tx).await.unwrap_err();
    }
}
