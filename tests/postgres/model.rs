//! One call after the other, each answer compared with a model that knows two maps.

use std::collections::HashMap;

use payproof::redeem::{Receipt, RedeemError, Redemption};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::forward::VerbsAlone;
use crate::shop::{Shop, is_first};

const STEPS: usize = 400;
const PAYMENTS: usize = 5;
const ORDERS: usize = 4;

/// Which order each payment pays, and which payment pays each order.
#[derive(Clone, Default)]
struct Model {
    orders: HashMap<usize, (usize, Receipt)>,
    payments: HashMap<usize, usize>,
}

#[tokio::test]
async fn every_answer_is_that_of_a_model() {
    let shop = Shop::open().await;
    let validators = [shop.validator(), shop.process(VerbsAlone(shop.store.clone())).build().unwrap()];
    let mut proofs = Vec::new();
    for payment in 0..PAYMENTS {
        let payment = format!("pi_{payment}");
        proofs.push([shop.proof(&validators[0], &payment).await, shop.proof(&validators[1], &payment).await]);
    }
    let (mut client, mut rng, mut model) = (shop.client().await, StdRng::seed_from_u64(18), Model::default());
    for step in 0..STEPS {
        let (payment, order) = (rng.random_range(0..PAYMENTS), rng.random_range(0..ORDERS));
        // At once and one by one outside of a transaction; within one that is committed, and one that is rolled back.
        let how = rng.random_range(0..4);
        let (validator, proof) = (&validators[usize::from(how == 1)], &proofs[payment][usize::from(how == 1)]);
        let mut then = model.clone();
        let mut tx = if how > 1 { Some(client.transaction().await.unwrap()) } else { None };
        if rng.random_range(0..3) == 0 {
            let Some((_, receipt)) = then.orders.remove(&payment) else { continue };
            then.payments.retain(|_, payer| *payer != payment);
            let release = validator.release(&receipt, "anna, ticket 7");
            match &mut tx {
                Some(tx) => release.within(tx).await.unwrap(),
                None => release.await.unwrap(),
            }
        } else {
            let redeem = validator.redeem(proof).order(order.to_string());
            let outcome = match &mut tx {
                Some(tx) => redeem.within(tx).await,
                None => redeem.await,
            };
            match (then.orders.get(&payment), then.payments.get(&order), outcome) {
                (Some((paid, receipt)), _, Ok(redeemed)) if *paid == order => {
                    assert_eq!((redeemed.receipt(), is_first(&redeemed)), (receipt, false), "step {step}");
                }
                (Some((paid, _)), _, Err(RedeemError::AlreadyRedeemed { by: Some(by) })) if *paid != order => {
                    assert_eq!(&*by, paid.to_string(), "step {step}");
                }
                (None, Some(payer), Err(RedeemError::OrderAlreadyPaid { by })) => {
                    assert_eq!(by.as_str(), format!("pi_{payer}"), "step {step}");
                }
                (None, None, Ok(redeemed)) if is_first(&redeemed) => {
                    then.payments.insert(order, payment);
                    then.orders.insert(payment, (order, redeemed.into_receipt()));
                }
                (pays, payer, outcome) => panic!("step {step}, how {how}: {outcome:?} where {pays:?}, {payer:?}"),
            }
        }
        match tx {
            Some(tx) if how == 3 => tx.rollback().await.unwrap(),
            Some(tx) => {
                tx.commit().await.unwrap();
                model = then;
            }
            None => model = then,
        }
    }
    for (payment, [proof, _]) in proofs.iter().enumerate() {
        let found = validators[0].redemption(proof.payment()).await.unwrap();
        let receipt = model.orders.get(&payment).map(|(_, receipt)| receipt);
        assert_eq!(found.as_ref().map(Redemption::receipt), receipt);
    }
}
