//! The text that makes the table and its functions: each function in a file of its own, and before what calls it.

/// The statements, in their order.
pub(super) const SCHEMA: &str = concat!(
    include_str!("sql/begin.sql"),
    include_str!("sql/tables.sql"),
    include_str!("sql/table_id.sql"),
    include_str!("sql/await_standbys.sql"),
    include_str!("sql/get.sql"),
    include_str!("sql/get_many.sql"),
    include_str!("sql/claim.sql"),
    include_str!("sql/replace.sql"),
    include_str!("sql/hold.sql"),
    include_str!("sql/bind.sql"),
    include_str!("sql/release.sql"),
    include_str!("sql/add.sql"),
    include_str!("sql/sweep.sql"),
    include_str!("sql/commit.sql"),
);

/// Renews the random part of the table's id, for a database that was restored or cloned.
pub(super) const RENEW_ID: &str = "UPDATE payproof_table_id SET id = gen_random_uuid()";
