//! A letter for each order: written down in the order's transaction, and sent once by whichever worker comes to it.
//!
//! A row is a job. It is taken by moving `due_at` on, in a transaction of its own that ends before the letter is sent: no lock is held
//! meanwhile, and where the worker dies the row is due again. That the letter is sent once is the guard's to see to.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use payproof::Validator;
use payproof::guard::{Effect, EffectCall, Operation};
use payproof::provider::ProviderError;
use tokio_postgres::{Client, Transaction};

use crate::postgres_server::PostgresServer;
use crate::process::Stop;

/// The shop's jobs, and what stands here for the post office: it keeps keys for a day, and sends one letter for each.
pub(crate) const TABLES: &str =
    "CREATE TABLE letters_to_send (name text PRIMARY KEY, due_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE letters (key text PRIMARY KEY, name text NOT NULL)";

/// A worker that has not come to its end within this time counts as dead.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_secs(2);

const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

const TAKE: &str = "UPDATE letters_to_send SET due_at = now() + interval '2 s' WHERE name = (
    SELECT name FROM letters_to_send WHERE due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING name";

/// Has a letter sent if the order is committed.
pub(crate) async fn write_down(order: &Transaction<'_>, name: &str) -> Result<(), tokio_postgres::Error> {
    order.execute("INSERT INTO letters_to_send (name) VALUES ($1)", &[&name]).await.map(drop)
}

/// The letters that are not sent yet.
pub(crate) async fn waiting(server: &PostgresServer) -> Vec<String> {
    server.sql("SELECT name FROM letters_to_send").await
}

/// Sends what is due.
pub(crate) async fn send(validator: &Validator, client: &Arc<Client>, stop: Stop) -> Result<(), Box<dyn Error>> {
    while let Some(row) = client.query_opt(TAKE, &[]).await? {
        let name: String = row.get(0);
        stop.at(Stop::Taken);
        let letter = Operation::new("store_42", "letter", name.as_str(), Effect::keyed_write(KEPT_FOR))?;
        let (office, to) = (Arc::clone(client), name.clone());
        let post = move |call: EffectCall| post(Arc::clone(&office), call.provider_key().to_owned(), to.clone());
        // What is indeterminate stays in the table, and is resolved by a person.
        validator.guard().run(&letter, post).await?;
        stop.at(Stop::Sent);
        client.execute("DELETE FROM letters_to_send WHERE name = $1", &[&name]).await?;
    }
    Ok(())
}

/// The call to the post office.
async fn post(client: Arc<Client>, key: String, name: String) -> Result<(), ProviderError> {
    let sent = client.execute("INSERT INTO letters VALUES ($1, $2) ON CONFLICT DO NOTHING", &[&key, &name]).await;
    sent.map(drop).map_err(|error| ProviderError::outcome_unknown(error.to_string()))
}
