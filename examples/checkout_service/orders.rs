//! The orders, in `SQLite`. The database has the last word on how often a payment is used.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use payproof::envelope::Failure;
use payproof::redeem::Receipt;
use payproof::{PaymentId, Proof};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use tokio::task::spawn_blocking;

/// `redemption_key` is the same for every use of a payment, and unique: whatever goes wrong elsewhere (a store that lost a
/// write in a failover, say), one payment makes one order.
const SCHEMA: &str = "
    CREATE TABLE orders (
        tenant          TEXT NOT NULL,
        id              TEXT NOT NULL,
        payment         TEXT NOT NULL,
        money           TEXT NOT NULL,
        redemption_key  TEXT NOT NULL UNIQUE,
        status          TEXT NOT NULL CHECK (status IN ('paid', 'refunded')),
        PRIMARY KEY (tenant, id)
    ) STRICT";

/// An order, as an answer shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Order {
    #[serde(rename = "order")]
    pub(crate) id: String,
    pub(crate) payment: String,
    pub(crate) money: String,
    pub(crate) status: String,
}

/// What `create` did.
#[derive(Debug)]
pub(crate) enum Created {
    /// The order is new.
    Now(Order),
    /// It was there before, paid by the same payment.
    Before(Order),
}

/// Clones share one connection.
#[derive(Clone, Debug)]
pub(crate) struct Orders(Arc<Mutex<Connection>>);

impl Orders {
    pub(crate) fn open(file: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Creates the order that a payment was redeemed for. The same order with the same payment is created once.
    pub(crate) async fn create(&self, receipt: &Receipt, proof: &Proof) -> Result<Created, Failure> {
        let (receipt, money, key) = (receipt.clone(), proof.money().to_string(), proof.redemption_key());
        self.with(move |connection| {
            let (tenant, order, payment) = (receipt.tenant(), receipt.order(), receipt.payment().as_str());
            // Takes the write lock at once, so that what is read below is what was there when the insert failed.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let inserted = transaction.execute(
                "INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5, 'paid') ON CONFLICT DO NOTHING",
                params![tenant, order, payment, money, key],
            )?;
            let row = transaction
                .query_row(
                    "SELECT id, payment, money, status FROM orders WHERE tenant = ?1 AND id = ?2 AND redemption_key = ?3",
                    params![tenant, order, key],
                    |row| Ok(Order { id: row.get(0)?, payment: row.get(1)?, money: row.get(2)?, status: row.get(3)? }),
                )
                .optional()?;
            transaction.commit()?;
            Ok(match row {
                Some(order) if inserted == 1 => Ok(Created::Now(order)),
                Some(order) => Ok(Created::Before(order)),
                None => Err(Failure::new(409, "ORDER_CONFLICT", "the payment or the order is used already")),
            })
        })
        .await?
    }

    /// Notes that the money of a payment went back. Without an order there is nothing to note.
    pub(crate) async fn refund(&self, payment: &PaymentId) -> Result<(), Failure> {
        let payment = payment.as_str().to_owned();
        self.with(move |connection| {
            connection.execute("UPDATE orders SET status = 'refunded' WHERE payment = ?1", params![payment])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn count(&self) -> Result<u32, Failure> {
        self.with(|connection| connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0))).await
    }

    /// How many orders a payment made.
    pub(crate) async fn count_of(&self, payment: &str) -> Result<u32, Failure> {
        let payment = payment.to_owned();
        self.with(move |connection| {
            connection.query_row("SELECT count(*) FROM orders WHERE payment = ?1", params![payment], |row| row.get(0))
        })
        .await
    }

    /// The database blocks, so it runs where that holds no task up. What it says of itself is for the log, not the caller.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let shared = Arc::clone(&self.0);
        // A transaction that a panic cut is rolled back, so a poisoned connection is as good as any.
        match spawn_blocking(move || work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(unavailable(&error)),
            Err(panicked) => Err(unavailable(&panicked)),
        }
    }
}

fn unavailable(error: &dyn Error) -> Failure {
    eprintln!("orders: {error}");
    Failure::new(503, "ORDERS_UNAVAILABLE", "the orders cannot be reached; ask again")
}
