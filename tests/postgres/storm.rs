//! Many at once for few payments and orders: within transactions that commit, roll back or break off, outside of them, at once and
//! one by one.

use std::collections::{HashMap, HashSet};

use payproof::redeem::{Receipt, RedeemError, Redeemed};
use payproof::{Proof, Validator};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::forward::VerbsAlone;
use crate::shop::{Shop, insert, is_first};
use crate::support::ms;

const TASKS: u64 = 4;
const TRIES: usize = 300;
const PAYMENTS: usize = 60;

/// How a try goes about it.
#[derive(Clone, Copy)]
enum How {
    Committed,
    RolledBack,
    /// The connection breaks off between the redemption and the commit.
    BrokenOff,
    Outside,
    OneByOne,
}

const EACH: [How; 5] = [How::Committed, How::RolledBack, How::BrokenOff, How::Outside, How::OneByOne];

/// What a task was told, and may be relied on.
#[derive(Default)]
struct Told {
    receipts: Vec<Receipt>,
    firsts: Vec<Receipt>,
    refused: usize,
    to_ask_again: usize,
}

impl Told {
    fn hear(&mut self, outcome: Result<Redeemed, RedeemError>) {
        match outcome {
            Ok(redeemed) => {
                self.firsts.extend(is_first(&redeemed).then(|| redeemed.receipt().clone()));
                self.receipts.push(redeemed.into_receipt());
            }
            Err(RedeemError::AlreadyRedeemed { .. } | RedeemError::OrderAlreadyPaid { .. }) => self.refused += 1,
            Err(error) if error.is_retryable() => self.to_ask_again += 1,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn hear_of(&mut self, outcome: Result<Result<Redeemed, RedeemError>, Elapsed>) {
        match outcome {
            Ok(outcome) => self.hear(outcome),
            Err(_dropped) => self.to_ask_again += 1,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_storm_each_payment_pays_one_order_and_each_order_is_paid_once() {
    let shop = Shop::open().await;
    let mut tasks = Vec::new();
    for seed in 0..TASKS {
        let at_once = shop.validator();
        let one_by_one = shop.process(VerbsAlone(shop.store.clone())).build().unwrap();
        let mut proofs = Vec::new();
        for number in 0..PAYMENTS {
            let payment = format!("pi_{number}");
            proofs.push([shop.proof(&at_once, &payment).await, shop.proof(&one_by_one, &payment).await]);
        }
        let url = shop.server.url();
        tasks.push(tokio::spawn(async move { storm(seed, &url, [at_once, one_by_one], &proofs).await }));
    }
    let mut all = Told::default();
    for task in tasks {
        let told = task.await.unwrap();
        all.receipts.extend(told.receipts);
        all.firsts.extend(told.firsts);
        (all.refused, all.to_ask_again) = (all.refused + told.refused, all.to_ask_again + told.to_ask_again);
    }

    let validator = shop.validator();
    let mut standing = HashMap::new();
    for number in 0..PAYMENTS {
        let proof = shop.proof(&validator, &format!("pi_{number}")).await;
        if let Some(redemption) = validator.redemption(proof.payment()).await.unwrap() {
            standing.insert(format!("pi_{number}"), redemption.receipt().clone());
        }
    }
    let orders: HashSet<_> = standing.values().map(|receipt| receipt.order().to_owned()).collect();
    assert_eq!(orders.len(), standing.len(), "an order is paid twice");
    for receipt in &all.receipts {
        assert_eq!(standing.get(receipt.payment().as_str()), Some(receipt), "a receipt that was told does not stand");
    }
    let mut firsts = HashSet::new();
    assert!(all.firsts.iter().all(|receipt| firsts.insert(receipt.to_string())), "two calls were the first");
    for row in shop.orders().await {
        let mut parts = row.splitn(3, ' ');
        let (order, payment, receipt) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        let stands = &standing[payment];
        assert_eq!((stands.order(), &*stands.to_string()), (order, receipt), "a row and its receipt differ");
    }
    assert!(standing.len() > PAYMENTS / 2 && all.refused > 0, "{} stand, {} refused", standing.len(), all.refused);
    assert!(!shop.orders().await.is_empty());
}

async fn storm(seed: u64, url: &str, [at_once, one_by_one]: [Validator; 2], proofs: &[[Proof; 2]]) -> Told {
    let (mut rng, mut told) = (StdRng::seed_from_u64(seed), Told::default());
    let connect = || async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        (client, tokio::spawn(connection))
    };
    let (mut client, mut connection) = connect().await;
    for _ in 0..TRIES {
        let number = rng.random_range(0..PAYMENTS);
        let order = format!("order-{}", (number + rng.random_range(0..3)) % PAYMENTS);
        let ([ours, theirs], how) = (&proofs[number], EACH[rng.random_range(0..EACH.len())]);
        match how {
            // Some are dropped while they wait for another one.
            How::Outside => told.hear_of(timeout(ms(300), at_once.redeem(ours).order(&order)).await),
            How::OneByOne => told.hear_of(timeout(ms(300), one_by_one.redeem(theirs).order(&order)).await),
            How::Committed | How::RolledBack | How::BrokenOff => {
                let mut tx = client.transaction().await.unwrap();
                let redeemed = match at_once.redeem(ours).order(&order).within(&mut tx).await {
                    Ok(redeemed) => redeemed,
                    refused => {
                        told.hear(refused);
                        continue;
                    }
                };
                if is_first(&redeemed) {
                    insert(&tx, &redeemed).await.unwrap();
                }
                match how {
                    How::Committed => {
                        tx.commit().await.unwrap();
                        told.hear(Ok(redeemed));
                    }
                    How::BrokenOff => {
                        connection.abort();
                        drop(tx);
                        (client, connection) = connect().await;
                    }
                    _ => tx.rollback().await.unwrap(),
                }
            }
        }
    }
    told
}
