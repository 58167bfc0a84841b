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
