//! A redemption and its order's row in one transaction.

use payproof::redeem::{Occasion, RedeemError};
use payproof::store::{MemoryStore, PostgresStore};

use crate::postgres_server::PostgresServer;
use crate::shop::{Shop, insert, is_first};
use crate::support::{intent, ms, plain, provider};

#[tokio::test]
async fn what_is_rolled_back_never_happened_and_what_is_committed_stands() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    let proof = shop.proof(&validator, "pi_1").await;
    let mut tx = client.transaction().await.unwrap();
    let undone = validator.redeem(&proof).order("A").within(&mut tx).await.unwrap();
    assert!(is_first(&undone));
    tx.rollback().await.unwrap();
    assert!(validator.redemption(proof.payment()).await.unwrap().is_none(), "it was rolled back");

    let mut tx = client.transaction().await.unwrap();
    let redeemed = validator.redeem(&proof).order("B").within(&mut tx).await.unwrap();
    assert!(is_first(&redeemed), "nothing had happened: the payment is free for another order");
    let again = validator.redeem(&proof).order("B").within(&mut tx).await.unwrap();
    assert_eq!((again.receipt(), is_first(&again)), (redeemed.receipt(), false), "in the same transaction");
    assert_eq!(
        validator.redemption(proof.payment()).within(&mut tx).await.unwrap().unwrap().receipt(),
        redeemed.receipt()
    );
    insert(&tx, &redeemed).await.unwrap();
    assert!(validator.redemption(proof.payment()).await.unwrap().is_none(), "it is not committed");
    tx.commit().await.unwrap();

    assert_eq!(validator.redemption(proof.payment()).await.unwrap().unwrap().receipt(), redeemed.receipt());
    let outside = validator.redeem(&proof).order("B").await.unwrap();
    assert_eq!((outside.receipt(), is_first(&outside)), (redeemed.receipt(), false));
    let mut tx = client.transaction().await.unwrap();
    let inside = validator.redeem(&proof).order("B").within(&mut tx).await.unwrap();
    assert!(matches!(inside.occasion(), Occasion::Repeat { .. }) && inside.receipt() == redeemed.receipt());
    assert_eq!(shop.orders().await, [format!("B pi_1 {}", redeemed.receipt())]);
}

#[tokio::test]
async fn a_refusal_leaves_the_transaction_to_go_on() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    let (one, two) = (shop.proof(&validator, "pi_1").await, shop.proof(&validator, "pi_2").await);
    let _ = validator.redeem(&one).order("A").await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    let used = validator.redeem(&one).order("B").within(&mut tx).await;
    assert!(matches!(used, Err(RedeemError::AlreadyRedeemed { by: Some(by) }) if &*by == "A"));
    let paid = validator.redeem(&two).order("A").within(&mut tx).await;
    assert!(matches!(paid, Err(RedeemError::OrderAlreadyPaid { by }) if by.as_str() == "pi_1"));
    let other = validator.redeem(&two).order("C").within(&mut tx).await.unwrap();
    insert(&tx, &other).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(shop.orders().await.len(), 1);
    assert_eq!(validator.redemption(two.payment()).await.unwrap().unwrap().receipt().order(), "C");
}

#[tokio::test]
async fn an_answer_holds_until_the_transaction_ends() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    let (one, two) = (shop.proof(&validator, "pi_1").await, shop.proof(&validator, "pi_2").await);
    let receipt = validator.redeem(&one).order("A").await.unwrap().into_receipt();
    for asked in 0..3 {
        let mut tx = client.transaction().await.unwrap();
        match asked {
            0 => drop(validator.redeem(&one).order("A").within(&mut tx).await.unwrap()),
            1 => drop(validator.redeem(&two).order("A").within(&mut tx).await.unwrap_err()),
            _ => drop(validator.redemption(one.payment()).within(&mut tx).await.unwrap().unwrap()),
        }
        let error = validator.release(&receipt, "anna, ticket 7").await.unwrap_err();
        assert_eq!((error.code(), error.is_retryable()), ("store_unavailable", true), "{asked}: {error:?}");
        tx.commit().await.unwrap();
        assert!(validator.redemption(one.payment()).await.unwrap().is_some());
    }
    validator.release(&receipt, "anna, ticket 7").await.unwrap();
    assert!(validator.redemption(one.payment()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_release_counts_once_it_is_committed() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    let (one, two) = (shop.proof(&validator, "pi_1").await, shop.proof(&validator, "pi_2").await);
    let receipt = validator.redeem(&one).order("A").await.unwrap().into_receipt();
    let mut tx = client.transaction().await.unwrap();
    validator.release(&receipt, "anna, ticket 7").within(&mut tx).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(validator.redemption(one.payment()).await.unwrap().unwrap().receipt(), &receipt);
    let mut tx = client.transaction().await.unwrap();
    validator.release(&receipt, "anna, ticket 7").within(&mut tx).await.unwrap();
    validator.release(&receipt, "anna, ticket 7").within(&mut tx).await.unwrap();
    let moved = validator.redeem(&two).order("A").within(&mut tx).await.unwrap();
    assert!(is_first(&moved), "the order is free within the same transaction");
    tx.commit().await.unwrap();
    let anew = validator.redeem(&one).order("B").await.unwrap();
    assert!(is_first(&anew));
    assert!(matches!(validator.release(&receipt, "anna").await, Err(RedeemError::AlreadyRedeemed { .. })));
}

#[tokio::test]
async fn a_savepoint_takes_what_was_redeemed_since_with_it() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    let proofs = [shop.proof(&validator, "pi_1").await, shop.proof(&validator, "pi_2").await];
    let mut tx = client.transaction().await.unwrap();
    let _ = validator.redeem(&proofs[0]).order("A").within(&mut tx).await.unwrap();
    let mut savepoint = tx.transaction().await.unwrap();
    let _ = validator.redeem(&proofs[1]).order("B").within(&mut savepoint).await.unwrap();
    savepoint.rollback().await.unwrap();
    tx.commit().await.unwrap();
    assert!(validator.redemption(proofs[0].payment()).await.unwrap().is_some());
    assert!(validator.redemption(proofs[1].payment()).await.unwrap().is_none());
    assert!(is_first(&validator.redeem(&proofs[1]).order("C").await.unwrap()));
}

#[tokio::test]
async fn several_payments_of_one_transaction_are_redeemed_together() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    let payments = ["pi_1", "pi_2", "pi_3"];
    for committed in [false, true] {
        let mut tx = client.transaction().await.unwrap();
        for (part, payment) in payments.into_iter().enumerate() {
            let proof = shop.proof(&validator, payment).await;
            let part = format!("part {part}");
            assert!(is_first(&validator.redeem(&proof).order("A").part(&part).within(&mut tx).await.unwrap()));
        }
        if committed { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
    }
    for payment in payments {
        let proof = shop.proof(&validator, payment).await;
        assert_eq!(validator.redemption(proof.payment()).await.unwrap().unwrap().receipt().order(), "A");
    }
}

#[tokio::test]
async fn who_waits_for_another_transaction_is_told_to_ask_again() {
    let shop = Shop::open().await;
    let (validator, mut client, mut other) = (shop.validator(), shop.client().await, shop.client().await);
    let (one, two) = (shop.proof(&validator, "pi_1").await, shop.proof(&validator, "pi_2").await);
    let mut tx = client.transaction().await.unwrap();
    let first = validator.redeem(&one).order("A").within(&mut tx).await.unwrap();
    for (proof, order) in [(&one, "A"), (&one, "B"), (&two, "A")] {
        let mut waiting = other.transaction().await.unwrap();
        let within = validator.redeem(proof).order(order).within(&mut waiting).await.unwrap_err();
        waiting.rollback().await.unwrap();
        let outside = validator.redeem(proof).order(order).await.unwrap_err();
        for error in [within, outside] {
            let RedeemError::Store(store) = &error else { panic!("{error:?}") };
            assert!(store.to_string().contains("55P03") && error.is_retryable(), "{error:?}");
        }
    }
    // The store's breaker takes a lock for no outage.
    assert!(validator.redemption(two.payment()).await.unwrap().is_none());
    tx.commit().await.unwrap();
    assert_eq!(validator.redeem(&one).order("A").await.unwrap().receipt(), first.receipt());
    assert!(matches!(validator.redeem(&one).order("B").await, Err(RedeemError::AlreadyRedeemed { .. })));
    assert!(matches!(validator.redeem(&two).order("A").await, Err(RedeemError::OrderAlreadyPaid { .. })));
}

#[tokio::test]
async fn an_old_proof_is_refused_and_no_provider_is_asked() {
    let shop = Shop::open().await;
    let validator = shop.process(shop.store.clone()).no_redemptions_before().proof_max_age(ms(1)).build().unwrap();
    let (mut client, proof) = (shop.client().await, shop.proof(&validator, "pi_1").await);
    while proof.age() <= ms(1) {
        tokio::time::sleep(ms(2)).await;
    }
    let (mut tx, asked) = (client.transaction().await.unwrap(), shop.provider.calls());
    let refused = validator.redeem(&proof).order("A").within(&mut tx).await.unwrap_err();
    assert!(matches!(refused, RedeemError::ProofTooOld), "{refused:?}");
    let others = shop.validator();
    let refused = others.redeem(&proof).order("A").within(&mut tx).await.unwrap_err();
    assert!(matches!(refused, RedeemError::ProofTooOld), "of another validator: {refused:?}");
    assert_eq!(shop.provider.calls(), asked);
}

#[tokio::test]
async fn a_transaction_in_another_database_is_refused() {
    let shop = Shop::open().await;
    let elsewhere = PostgresServer::start().await;
    let other_store = PostgresStore::new(elsewhere.url()).unwrap();
    other_store.create_table().await.unwrap();
    shop.server.sql("CREATE SCHEMA copy").await;
    let validator = shop.validator();
    let proof = shop.proof(&validator, "pi_1").await;
    let mut other = elsewhere.client().await;
    let mut tx = other.transaction().await.unwrap();
    let refused = validator.redeem(&proof).order("A").within(&mut tx).await.unwrap_err();
    assert_eq!((refused.code(), refused.http_status()), ("other_database", 500), "{refused:?}");
    drop(tx);
    assert_eq!(elsewhere.sql("SELECT count(*)::text FROM payproof_records").await, ["0"]);
    let receipt = validator.redeem(&proof).order("A").await.unwrap().into_receipt();
    let mut tx = other.transaction().await.unwrap();
    let refused = validator.release(&receipt, "anna, ticket 7").within(&mut tx).await;
    // There, nothing is known of it: there is nothing to undo, and it is said that it is another database.
    assert!(matches!(refused, Err(RedeemError::OtherDatabase)), "{refused:?}");
}

#[tokio::test]
async fn an_id_that_is_renewed_is_found_out_by_processes_that_run() {
    let shop = Shop::open().await;
    let moved = shop.process(shop.store.clone()).redemptions_moved_from(MemoryStore::new()).only_instance();
    let mut client = shop.client().await;
    for (name, validator) in [("plain", shop.validator()), ("moved", moved.build().unwrap())] {
        let renew = async || PostgresStore::new(shop.server.url()).unwrap().renew_table_id().await.unwrap();
        let [mut first, mut second] = [None, None];
        for (number, receipt) in [&mut first, &mut second].into_iter().enumerate() {
            let proof = shop.proof(&validator, &format!("pi_{name}_{number}")).await;
            let redeem = || validator.redeem(&proof).order(format!("{name} {number}"));
            renew().await;
            *receipt = Some(redeem().await.unwrap().into_receipt());
            renew().await;
            let mut tx = client.transaction().await.unwrap();
            assert_eq!(redeem().within(&mut tx).await.unwrap().receipt(), receipt.as_ref().unwrap());
            tx.commit().await.unwrap();
        }
        let (first, second) = (first.unwrap(), second.unwrap());
        renew().await;
        validator.release(&first, "anna, ticket 7").await.unwrap();
        renew().await;
        let mut tx = client.transaction().await.unwrap();
        validator.release(&second, "anna, ticket 7").within(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(shop.server.sql("SELECT count(*) FROM payproof_records WHERE key LIKE '%:payment:%'").await, ["0"]);
}

#[tokio::test]
async fn each_home_is_the_only_one() {
    let shop = Shop::open().await;
    let mut client = shop.client().await;
    let provider = provider();
    let build = || plain(&provider).store(MemoryStore::new()).only_instance();
    let in_store = build().restart_loses_at_most(payproof::store::RestartLoss::All).build().unwrap();
    let proof = crate::support::proof_of(&in_store, intent("pi_1")).await;
    let mut tx = client.transaction().await.unwrap();
    let refused = in_store.redeem(&proof).within(&mut tx).await.unwrap_err();
    assert_eq!((refused.code(), refused.http_status()), ("not_in_database", 500));
    drop(tx);

    let unstated = build().redemptions_in_transactions().build().unwrap_err();
    assert!(unstated.to_string().contains("no_redemptions_before()"), "{unstated}");
    let in_orders = build().redemptions_in_transactions().no_redemptions_before().build().unwrap();
    let proof = crate::support::proof_of(&in_orders, intent("pi_1")).await;
    let refused = in_orders.redeem(&proof).await.unwrap_err();
    assert_eq!((refused.code(), refused.http_status()), ("needs_transaction", 500));
    assert!(matches!(in_orders.redemption(proof.payment()).await, Err(RedeemError::NeedsTransaction)));
    let mut tx = client.transaction().await.unwrap();
    let redeemed = in_orders.redeem(&proof).within(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    let found = in_orders.redemption(proof.payment()).within(&mut tx).await.unwrap().unwrap();
    assert_eq!(found.receipt(), redeemed.receipt());
    assert!(matches!(in_orders.release(redeemed.receipt(), "anna").await, Err(RedeemError::NeedsTransaction)));
    in_orders.release(redeemed.receipt(), "anna").within(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = client.transaction().await.unwrap();
    assert!(in_orders.redemption(proof.payment()).within(&mut tx).await.unwrap().is_none());
}
