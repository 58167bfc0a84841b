//! Redemptions within the transactions of Diesel, SeaORM and sqlx: a newtype for each driver, to be copied into a service.
//!
//! `payproof::store::SqlTransaction` is there for tokio-postgres. What implements it for another driver runs the one statement that
//! it is given, in the service's transaction, and hands on the row. Each file stands by itself, with what holds for its driver:
//!
//! | file | driver | its features here | the statement is | through PgBouncer, in transaction pooling |
//! |---|---|---|---|---|
//! | `diesel.rs` | Diesel 2.3 with diesel-async 0.9 | `postgres_backend`; `postgres` | named while it runs | yes |
//! | `sea_orm.rs` | SeaORM 2 | `runtime-tokio`, `sqlx-postgres` | named, and kept with the connection | only with `max_prepared_statements` |
//! | `sqlx.rs` | sqlx 0.9 | `postgres`, `runtime-tokio` | unnamed | yes |
//!
//! What holds for all of them:
//! - The proof is had before the transaction begins: no provider is asked while it holds locks.
//! - An answer, or one of the refusals that `within` names, lets the transaction go on. After any other error it is lost: roll back.
//! - An error of the server becomes `StoreError::from_sqlstate`. Without a word of the server the outcome is unknown; the transaction
//!   is then over, or has to be.
//! - The receipt counts once `COMMIT` has been answered. Where a synchronous standby is waited for and that wait is called off, the
//!   answer is a warning: committed, but perhaps not on the standby. It is the driver that gets it.

pub mod diesel;
pub mod sea_orm;
pub mod sqlx;
