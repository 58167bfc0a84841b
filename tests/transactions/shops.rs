//! Each recipe against a PostgreSQL server: one shop for each driver, held to the same rules.
//!
//! The transaction that is in the way of another is tokio-postgres's, for which the library has the trait itself.

mod drivers;
#[path = "../support/forward.rs"]
mod forward;
#[path = "../support/pgbouncer.rs"]
mod pgbouncer;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../postgres/shop.rs"]
#[allow(dead_code, reason = "the store's own tests use more of it")]
mod shop;
#[path = "../support/mod.rs"]
mod support;

use payproof::LedgerError;
use payproof::redeem::{Occasion, RedeemError};
use payproof::store::StoreError;

use self::drivers::{DieselShop, Driver, End, Order, SeaOrmShop, SqlxShop};
use self::pgbouncer::PgBouncer;
use self::shop::{Shop, is_first};

/// One test a driver.
macro_rules! with_each_driver {
    ($($rule:ident),*) => {
        with_each_driver!(with_diesel DieselShop $($rule)*);
        with_each_driver!(with_sea_orm SeaOrmShop $($rule)*);
        with_each_driver!(with_sqlx SqlxShop $($rule)*);
    };
    ($module:ident $shop:ident $($rule:ident)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $rule() {
                    super::$rule::<$shop>().await;
                }
            )*
        }
    };
}

with_each_driver!(
    an_order_and_its_redemption_are_committed_together_or_not_at_all,
    who_waits_for_another_transaction_is_told_to_ask_again,
    what_the_server_says_keeps_its_meaning,
    no_word_of_the_server_leaves_the_outcome_open
);

async fn an_order_and_its_redemption_are_committed_together_or_not_at_all<D: Driver>() {
    let shop = Shop::open().await;
    let (validator, mut driver) = (shop.validator(), D::open(&shop.server.url()).await);
    let (one, two) = (shop.proof(&validator, "pi_1").await, shop.proof(&validator, "pi_2").await);
    let order = |proof, name, end| Order { validator: &validator, proof, name, end };

    let undone = driver.place(order(&one, "A", End::RollBack)).await.unwrap();
    assert!(is_first(&undone));
    assert!(validator.redemption(one.payment()).await.unwrap().is_none() && shop.orders().await.is_empty());

    let placed = driver.place(order(&one, "B", End::Commit)).await.unwrap();
    assert!(is_first(&placed), "it was rolled back: the payment was free for another order");
    let found = validator.redemption(one.payment()).await.unwrap().unwrap();
    assert_eq!(found.receipt(), placed.receipt());
    let again = driver.place(order(&one, "B", End::Commit)).await.unwrap();
    assert!(matches!(again.occasion(), Occasion::Repeat { .. }) && again.receipt() == placed.receipt());

    let used = driver.place(order(&one, "C", End::Commit)).await;
    assert!(matches!(&used, Err(RedeemError::AlreadyRedeemed { by: Some(by) }) if &**by == "B"), "{used:?}");
    let paid = driver.place(order(&two, "B", End::Commit)).await;
    assert!(matches!(&paid, Err(RedeemError::OrderAlreadyPaid { by }) if by.as_str() == "pi_1"), "{paid:?}");
    assert_eq!(shop.orders().await, [format!("B pi_1 {}", placed.receipt())]);
    assert_eq!(driver.prepared().await > 0, D::KEEPS_PREPARED, "statements of the library's stay prepared");
}

async fn who_waits_for_another_transaction_is_told_to_ask_again<D: Driver>() {
    let shop = Shop::open().await;
    let (validator, mut client) = (shop.validator(), shop.client().await);
    let (mut driver, proof) = (D::open(&shop.server.url()).await, shop.proof(&validator, "pi_1").await);
    let order = || Order { validator: &validator, proof: &proof, name: "A", end: End::Commit };
    let mut tx = client.transaction().await.unwrap();
    let _ = validator.redeem(&proof).order("A").within(&mut tx).await.unwrap();
    let error = driver.place(order()).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    let said = store_error(error);
    assert!(said.to_string().contains("55P03") && !said.is_refused() && !said.is_outcome_unknown(), "{said:?}");
    tx.rollback().await.unwrap();
    assert!(is_first(&driver.place(order()).await.unwrap()));
}

async fn what_the_server_says_keeps_its_meaning<D: Driver>() {
    let shop = Shop::open().await;
    let validator = shop.validator();
    let proof = shop.proof(&validator, "pi_1").await;
    shop.server.sql("CREATE ROLE reader SUPERUSER LOGIN; CREATE ROLE stranger LOGIN").await;
    shop.server.sql("ALTER ROLE reader SET default_transaction_read_only = on").await;
    for (role, is_refused, words) in [("reader", false, "25006"), ("stranger", true, "permission denied")] {
        let mut driver = D::open(&shop.server.url_of(role)).await;
        let order = Order { validator: &validator, proof: &proof, name: "A", end: End::Commit };
        let said = store_error(driver.place(order).await.unwrap_err());
        assert_eq!((said.is_refused(), said.is_outcome_unknown()), (is_refused, false), "{said:?}");
        assert!(said.to_string().contains(words), "{said}");
    }
    assert!(validator.redemption(proof.payment()).await.unwrap().is_none());
}

async fn no_word_of_the_server_leaves_the_outcome_open<D: Driver>() {
    let shop = Shop::open().await;
    let validator = shop.validator();
    let (mut driver, proof) = (D::open(&shop.server.url()).await, shop.proof(&validator, "pi_1").await);
    let order = Order { validator: &validator, proof: &proof, name: "A", end: End::Disconnected(&shop.server) };
    let said = store_error(driver.place(order).await.unwrap_err());
    assert!(said.is_outcome_unknown(), "{said:?}");
    assert!(validator.redemption(proof.payment()).await.unwrap().is_none());
}

/// What the store made of the failed statement.
fn store_error(error: RedeemError) -> StoreError {
    match error {
        RedeemError::Store(LedgerError::Store(said)) => said,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pooler_between_is_no_hindrance_where_nothing_stays_prepared() {
    two_on_one_connection::<DieselShop>().await;
    two_on_one_connection::<SqlxShop>().await;
}

/// Two connections of the shop's take turns on one of the server's.
async fn two_on_one_connection<D: Driver>() {
    let shop = Shop::open().await;
    let lines = "default_pool_size = 1\nignore_startup_parameters = extra_float_digits";
    let bouncer = PgBouncer::start_with(shop.server.port(), lines).await;
    let validator = shop.validator();
    let mut drivers = [D::open(&bouncer.url()).await, D::open(&bouncer.url()).await];
    for number in 0..4 {
        let (payment, name) = (format!("pi_{number}"), format!("order {number}"));
        let proof = shop.proof(&validator, &payment).await;
        for driver in &mut drivers {
            let order = Order { validator: &validator, proof: &proof, name: &name, end: End::Commit };
            assert_eq!(driver.place(order).await.unwrap().receipt().order(), name);
        }
    }
    assert_eq!(shop.orders().await.len(), 4);
}
