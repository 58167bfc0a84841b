//! Makes the table of the store in PostgreSQL.

use std::time::Duration;

use payproof::store::PostgresStore;

use crate::output::{note, print};
use crate::settings::{DATABASE_URL, variable};
use crate::status::Status;
use crate::trouble::Trouble;

/// An operator waits for a database longer than a service does.
const PATIENCE: Duration = Duration::from_secs(10);

/// Make the table of the store in PostgreSQL, or bring its functions up to date
///
/// PAYPROOF_DATABASE_URL says where, as a role that may create in the first schema of its search path. To run it again changes
/// nothing that is there, and processes of earlier releases go on meanwhile. It grants no rights: docs/deploying.md lists those of
/// the role that services log in as.
#[derive(Debug, clap::Args)]
pub(crate) struct MigrateArgs {
    /// Print the statements and connect to nothing, for a tool that runs the migrations
    #[arg(long)]
    print: bool,
    /// Instead, tell the table from the one that it was copied from: after a backup was restored, or the database was cloned
    #[arg(long, conflicts_with = "print")]
    after_restore: bool,
}

pub(crate) async fn run(args: MigrateArgs) -> Result<Status, Trouble> {
    if args.print {
        print(PostgresStore::schema())?;
        return Ok(Status::Fine);
    }
    let url = variable(DATABASE_URL)?.ok_or_else(|| {
        Trouble::new(format!("{DATABASE_URL} is not set; set it to postgres://user:password@host:5432/database"))
    })?;
    let store = PostgresStore::builder(url).connect_timeout(PATIENCE).command_timeout(PATIENCE).build()?;
    if args.after_restore {
        store.renew_table_id().await.map_err(|error| Trouble::because("the table is as it was", &error))?;
        note(&"changed: the table has a new id");
    } else {
        store.create_table().await.map_err(|error| Trouble::because("the table was not made", &error))?;
        note(&"changed: the table payproof_records and its functions are there, as this release needs them");
    }
    Ok(Status::Fine)
}
