//! A shop whose orders stand in PostgreSQL, beside its redemptions.

use payproof::redeem::{Occasion, Redeemed};
use payproof::store::{PostgresStore, RestartLoss, Store};
use payproof::testing::ScriptedProvider;
use payproof::{Proof, Validator, ValidatorBuilder};
use tokio_postgres::{Client, NoTls, Transaction};

use crate::postgres_server::PostgresServer;
use crate::support::{plain, proof_of, secs, unbound, unbound_intent};

/// The orders, each paid by one payment; nothing keeps two orders from naming one payment but the redemptions.
const ORDERS: &str = "CREATE TABLE orders (name text PRIMARY KEY, payment text NOT NULL, receipt text NOT NULL)";

pub(crate) struct Shop {
    pub(crate) server: PostgresServer,
    pub(crate) store: PostgresStore,
    pub(crate) provider: ScriptedProvider,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let server = PostgresServer::start().await;
        let store = PostgresStore::new(server.url()).unwrap();
        store.create_table().await.unwrap();
        server.sql(ORDERS).await;
        Self { server, store, provider: ScriptedProvider::new() }
    }

    /// A process of the shop's with its redemptions in this store.
    pub(crate) fn process(&self, store: impl Store) -> ValidatorBuilder {
        let builder = plain(&self.provider).store(store).proof_max_age(secs(3600));
        builder.restart_loses_at_most(RestartLoss::All)
    }

    pub(crate) fn validator(&self) -> Validator {
        self.process(self.store.clone()).no_redemptions_before().build().unwrap()
    }

    /// A proof of a payment that may pay any order.
    pub(crate) async fn proof(&self, validator: &Validator, payment: &str) -> Proof {
        self.provider.put(unbound(payment));
        proof_of(validator, unbound_intent(payment)).await
    }

    /// A connection of the shop's own.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.server.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// The orders as they were committed: name, payment and receipt.
    pub(crate) async fn orders(&self) -> Vec<String> {
        self.server.sql("SELECT concat_ws(' ', name, payment, receipt) FROM orders ORDER BY name").await
    }
}

/// Writes the row of the order that was redeemed.
pub(crate) async fn insert(tx: &Transaction<'_>, redeemed: &Redeemed) -> Result<u64, tokio_postgres::Error> {
    let (receipt, insert) = (redeemed.receipt(), "INSERT INTO orders VALUES ($1, $2, $3)");
    tx.execute(insert, &[&receipt.order(), &receipt.payment().as_str(), &receipt.to_string()]).await
}

pub(crate) fn is_first(redeemed: &Redeemed) -> bool {
    redeemed.occasion() == Occasion::First
}
