//! A process of the shop's: this very program, started again with some work.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use payproof::store::PostgresStore;
use payproof::{BuildError, Stripe, Validator};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio_postgres::NoTls;

use crate::{letters, order};

/// What tells a process of its work.
const WORK: &str = "ONE_TRANSACTION_WORK";

/// Where a process kills itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stop {
    Redeemed,
    OrderWritten,
    Committed,
    Taken,
    Sent,
    Never,
}

impl Stop {
    /// As a power failure does: nothing is given back.
    pub(crate) fn at(self, here: Self) {
        if self == here {
            std::process::abort();
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Place { order: String },
    Send,
}

/// What a process is started for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) provider: String,
    pub(crate) database: String,
    pub(crate) task: Task,
    pub(crate) stop: Stop,
}

impl Work {
    pub(crate) fn of_this_process() -> Option<Self> {
        serde_json::from_str(&std::env::var(WORK).ok()?).ok()
    }

    /// Starts a process for it. False where it killed itself.
    pub(crate) async fn in_a_process(&self) -> Result<bool, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        let status = command.env(WORK, serde_json::to_string(self)?).kill_on_drop(true).status().await?;
        match status.code() {
            Some(0) => Ok(true),
            Some(_) => Err("a process could not do its work".into()),
            None => Ok(false),
        }
    }

    pub(crate) async fn carry_out(self) -> Result<(), Box<dyn Error>> {
        let validator = self.validator()?;
        let (mut client, connection) = tokio_postgres::connect(&self.database, NoTls).await?;
        tokio::spawn(connection);
        match &self.task {
            Task::Place { order } => order::place(&validator, &mut client, order, self.stop).await,
            Task::Send => letters::send(&validator, &Arc::new(client), self.stop).await,
        }
    }

    /// In production the account is your own, and the limits may stay the defaults.
    fn validator(&self) -> Result<Validator, BuildError> {
        let stripe = Stripe::builder("sk_live_sandbox").base_url(&self.provider).own_account("acct_sandbox").build()?;
        Validator::builder(stripe)
            .store(PostgresStore::new(&self.database)?)
            // The shop is new: no payment was redeemed in another store.
            .no_redemptions_before()
            // Short, so that no worker waits long for a process that died. A process that lives renews it.
            .renewed_lease(Duration::from_secs(6))
            .build()
    }
}
