//! A shop for each driver, which places an order as its users would.

use std::future::Future;

use diesel::result::Error;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use payproof::redeem::{RedeemError, Redeemed};
use payproof::{Proof, Validator};
use payproof_transactions::diesel::DieselTransaction;
use payproof_transactions::sea_orm::SeaOrmTransaction;
use payproof_transactions::sqlx::SqlxTransaction;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::postgres_server::PostgresServer;
use crate::shop::is_first;

const INSERT: &str = "INSERT INTO orders VALUES ($1, $2, $3)";

/// Named statements of the session that call the library's functions. It does not count itself.
const PREPARED: &str = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%pay' || 'proof%'";

/// How a transaction ends.
#[derive(Clone, Copy)]
pub(crate) enum End<'s> {
    Commit,
    RollBack,
    /// The server has ended the connection before the redemption.
    Disconnected(&'s PostgresServer),
}

/// An order that a payment is to pay.
#[derive(Clone, Copy)]
pub(crate) struct Order<'o> {
    pub(crate) validator: &'o Validator,
    pub(crate) proof: &'o Proof,
    pub(crate) name: &'o str,
    pub(crate) end: End<'o>,
}

impl Order<'_> {
    async fn begun(&self) {
        if let End::Disconnected(server) = self.end {
            let ended =
                "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE state = 'idle in transaction'";
            assert_eq!(server.sql(ended).await, ["t"]);
        }
    }
}

/// The values of an order's row.
fn row(redeemed: &Redeemed) -> [String; 3] {
    let receipt = redeemed.receipt();
    [receipt.order().to_owned(), receipt.payment().as_str().to_owned(), receipt.to_string()]
}

pub(crate) trait Driver: Sized {
    /// Whether statements of the library's stay prepared in the session.
    const KEEPS_PREPARED: bool;

    /// Connects to the database, once.
    async fn open(url: &str) -> Self;

    /// Redeems the payment and writes the order's row in one transaction. A web framework moves the future between threads.
    fn place(&mut self, order: Order<'_>) -> impl Future<Output = Result<Redeemed, RedeemError>> + Send;

    async fn prepared(&mut self) -> i64;
}

pub(crate) struct SqlxShop(PgPool);

impl Driver for SqlxShop {
    const KEEPS_PREPARED: bool = false;

    async fn open(url: &str) -> Self {
        Self(PgPoolOptions::new().max_connections(1).connect(url).await.unwrap())
    }

    async fn place(&mut self, order: Order<'_>) -> Result<Redeemed, RedeemError> {
        let mut tx = self.0.begin().await.unwrap();
        order.begun().await;
        let redeem = order.validator.redeem(order.proof).order(order.name);
        // Where it fails, `tx` is rolled back as it is dropped.
        let redeemed = redeem.within(&mut SqlxTransaction(&mut tx)).await?;
        if is_first(&redeemed) {
            let [name, payment, receipt] = row(&redeemed);
            let insert = sqlx::query(INSERT).persistent(false).bind(name).bind(payment).bind(receipt);
            insert.execute(&mut *tx).await.unwrap();
        }
        match order.end {
            End::RollBack => tx.rollback().await.unwrap(),
            _ => tx.commit().await.unwrap(),
        }
        Ok(redeemed)
    }

    async fn prepared(&mut self) -> i64 {
        sqlx::query_scalar(PREPARED).fetch_one(&self.0).await.unwrap()
    }
}

pub(crate) struct SeaOrmShop(DatabaseConnection);

impl Driver for SeaOrmShop {
    const KEEPS_PREPARED: bool = true;

    async fn open(url: &str) -> Self {
        let mut options = ConnectOptions::new(url);
        Self(Database::connect(options.max_connections(1).to_owned()).await.unwrap())
    }

    async fn place(&mut self, order: Order<'_>) -> Result<Redeemed, RedeemError> {
        let tx = self.0.begin().await.unwrap();
        order.begun().await;
        let redeem = order.validator.redeem(order.proof).order(order.name);
        // Where it fails, `tx` is rolled back as it is dropped.
        let redeemed = redeem.within(&mut SeaOrmTransaction(&tx)).await?;
        if is_first(&redeemed) {
            let values = row(&redeemed).map(sea_orm::Value::from);
            tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, INSERT, values)).await.unwrap();
        }
        match order.end {
            End::RollBack => tx.rollback().await.unwrap(),
            _ => tx.commit().await.unwrap(),
        }
        Ok(redeemed)
    }

    async fn prepared(&mut self) -> i64 {
        let asked = Statement::from_string(DbBackend::Postgres, PREPARED);
        self.0.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    }
}

pub(crate) struct DieselShop(AsyncPgConnection);

impl Driver for DieselShop {
    const KEEPS_PREPARED: bool = false;

    async fn open(url: &str) -> Self {
        Self(AsyncPgConnection::establish(url).await.unwrap())
    }

    async fn place(&mut self, order: Order<'_>) -> Result<Redeemed, RedeemError> {
        let mut outcome = None;
        let ended = self.0.transaction(async |tx| {
            order.begun().await;
            let redeem = order.validator.redeem(order.proof).order(order.name);
            let redeemed = outcome.insert(redeem.within(&mut DieselTransaction(tx)).await);
            let Ok(redeemed) = redeemed else { return Err(Error::RollbackTransaction) };
            if is_first(redeemed) {
                let [name, payment, receipt] = row(redeemed);
                let insert = diesel::sql_query(INSERT).bind::<Text, _>(name).bind::<Text, _>(payment);
                insert.bind::<Text, _>(receipt).execute(tx).await?;
            }
            match order.end {
                End::RollBack => Err(Error::RollbackTransaction),
                _ => Ok(()),
            }
        });
        match (ended.await, outcome) {
            (Ok(()) | Err(Error::RollbackTransaction), Some(outcome)) => outcome,
            // On a connection that is gone, the rollback fails too.
            (Err(_), Some(Err(error))) => Err(error),
            (ended, _) => panic!("{ended:?}"),
        }
    }

    async fn prepared(&mut self) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Count {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        diesel::sql_query(PREPARED).get_result::<Count>(&mut self.0).await.unwrap().count
    }
}
