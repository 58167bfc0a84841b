//! Two at once for one payment, and for one order.

use payproof::redeem::{RedeemError, Redeemed};
use payproof::{Proof, Validator};
use tokio_postgres::Client;

use crate::shop::{Shop, insert, is_first};

/// Redeems within a transaction of its own and commits it, again from the start as long as it may be.
async fn place(
    client: &mut Client,
    validator: &Validator,
    proof: &Proof,
    order: &str,
) -> Result<Redeemed, RedeemError> {
    loop {
        let mut tx = client.transaction().await.unwrap();
        match validator.redeem(proof).order(order).within(&mut tx).await {
            Ok(redeemed) => {
                if is_first(&redeemed) {
                    insert(&tx, &redeemed).await.unwrap();
                }
                tx.commit().await.unwrap();
                return Ok(redeemed);
            }
            Err(error) if error.is_retryable() => tx.rollback().await.unwrap(),
            Err(error) => return Err(error),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_transactions_for_one_payment_or_one_order_one_wins() {
    let shop = Shop::open().await;
    let validators = [shop.validator(), shop.validator()];
    let mut clients = [shop.client().await, shop.client().await];
    for round in 0..50 {
        for (payments, orders) in [(["a", "a"], ["a", "b"]), (["b", "c"], ["c", "c"]), (["d", "d"], ["d", "d"])] {
            let [one, two] = payments.map(|payment| format!("pi_{round}_{payment}"));
            let [order, other] = orders.map(|order| format!("{round}_{order}"));
            let [first, second] = &mut clients;
            let (one, two) = (shop.proof(&validators[0], &one).await, shop.proof(&validators[1], &two).await);
            let (one, two) =
                tokio::join!(place(first, &validators[0], &one, &order), place(second, &validators[1], &two, &other));
            match (&one, &two) {
                (Ok(one), Ok(two)) => {
                    assert_eq!((one.receipt(), is_first(one)), (two.receipt(), !is_first(two)), "round {round}");
                    assert_eq!(payments[0], "d");
                }
                (Ok(_), Err(error)) | (Err(error), Ok(_)) => {
                    let is_paid = matches!(error, RedeemError::OrderAlreadyPaid { .. });
                    assert_eq!(is_paid, payments[0] == "b", "round {round}: {error:?}");
                }
                (Err(one), Err(two)) => panic!("round {round}: {one:?} {two:?}"),
            }
        }
    }
    assert_eq!(shop.orders().await.len(), 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_outside_waits_for_a_transaction_or_asks_again() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    for round in 0..30 {
        let proof = shop.proof(&validator, &format!("pi_{round}")).await;
        let (order, other) = (format!("within {round}"), format!("outside {round}"));
        let (within, outside) = tokio::join!(place(&mut client, &validator, &proof, &order), async {
            loop {
                match validator.redeem(&proof).order(&other).await {
                    Err(error) if error.is_retryable() => {}
                    outcome => return outcome,
                }
            }
        });
        assert!(within.is_ok() != outside.is_ok(), "round {round}: {within:?} {outside:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_commit_released_and_redeemed_anew_is_found_by_who_waited_for_it() {
    const WAITS: &str =
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%payproof_hold%'";
    let shop = Shop::open().await;
    let (validator, mut one, mut other) = (shop.validator(), shop.client().await, shop.client().await);
    let proof = shop.proof(&validator, "pi_1").await;
    let mut receipt = validator.redeem(&proof).order("order").await.unwrap().into_receipt();
    for round in 0..50 {
        let mut tx = one.transaction().await.unwrap();
        validator.release(&receipt, "anna, ticket 7").within(&mut tx).await.unwrap();
        let moved = validator.redeem(&proof).order(format!("order {round}")).within(&mut tx).await.unwrap();
        receipt = moved.into_receipt();
        let mut waiting = other.transaction().await.unwrap();
        let look = validator.redemption(proof.payment()).within(&mut waiting);
        let (found, ()) = tokio::join!(look, async {
            // It gives up after 250 ms, and the next round tries again.
            for _ in 0..10 {
                if !shop.server.sql(WAITS).await.is_empty() {
                    break;
                }
            }
            tx.commit().await.unwrap();
        });
        match found {
            Ok(found) => {
                assert_eq!(found.unwrap().receipt(), &receipt);
                return;
            }
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
        waiting.rollback().await.unwrap();
    }
    panic!("each of 50 look-ups waited too long for a lock");
}
