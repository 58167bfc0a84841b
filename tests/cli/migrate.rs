//! The table of the store in PostgreSQL: made, looked at, told from its copy.

use crate::postgres_server::{PostgresConfig, PostgresServer};
use crate::program::{ACCOUNT, Program, Run, sandbox_with};

const URL: &str = "PAYPROOF_DATABASE_URL";

async fn migrate(server: &PostgresServer, arguments: &[&str]) -> Run {
    Program::new(&[&["migrate"], arguments].concat()).env(URL, server.url()).run().await
}

async fn doctor(server: &PostgresServer, role: &str) -> Run {
    let sandbox = sandbox_with([]).await;
    let doctor = Program::at(&sandbox, &["doctor"]).env("PAYPROOF_STORE", "postgres").env(URL, server.url_of(role));
    doctor.run().await
}

#[tokio::test]
async fn the_table_is_made_where_the_operator_asks_for_it_and_the_doctor_finds_it() {
    let server = PostgresConfig::new().syncs().start().await;
    let before = doctor(&server, "postgres").await;
    assert!(before.code() == 1 && before.stdout.contains("run `payproof migrate`"), "{before:?}");
    assert_eq!(server.sql("SELECT to_regclass('payproof_records')").await, [""]);
    for _ in 0..2 {
        let made = migrate(&server, &[]).await;
        assert!(made.code() == 0 && made.stderr.starts_with("changed: the table"), "{made:?}");
    }
    server.sql("ALTER ROLE postgres SET statement_timeout = '5s'").await;
    let after = doctor(&server, "postgres").await;
    assert!(after.code() == 0 && after.stdout.contains("postgresql 1"), "{after:?}");
}

#[tokio::test]
async fn what_is_printed_makes_the_same_table() {
    let server = PostgresServer::start().await;
    let printed = Program::new(&["migrate", "--print"]).run().await;
    assert_eq!((printed.code(), &*printed.stderr), (0, ""));
    server.sql(&printed.stdout).await;
    let columns = "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) \
                   FROM information_schema.columns WHERE table_name = 'payproof_records'";
    assert_eq!(server.sql(columns).await, ["key bytea, value bytea, expires_at timestamp with time zone"]);
    let functions = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'payproof%'";
    let printed = server.sql(functions).await;
    migrate(&server, &[]).await;
    assert_eq!(server.sql(functions).await, printed);
}

#[tokio::test]
async fn a_restored_table_is_told_from_the_one_it_was_copied_from() {
    let server = PostgresServer::start().await;
    let early = migrate(&server, &["--after-restore"]).await;
    assert!(early.code() == 2 && early.error().contains("run `payproof migrate`"), "{early:?}");
    migrate(&server, &[]).await;
    let id = async || server.sql("SELECT id FROM payproof_table_id").await;
    let first = id().await;
    migrate(&server, &[]).await;
    assert_eq!(id().await, first);
    let renewed = migrate(&server, &["--after-restore"]).await;
    assert_eq!(renewed.code(), 0, "{renewed:?}");
    assert_ne!(id().await, first);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_one_line_without_the_password() {
    let missing = Program::new(&["migrate"]).run().await;
    assert!(missing.code() == 2 && missing.error().contains("PAYPROOF_DATABASE_URL is not set"), "{missing:?}");
    let server = PostgresServer::start().await;
    server.sql("CREATE ROLE reader LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let url = server.url_of("reader").replace("reader@", "reader:hunter22@");
    let refused = Program::new(&["migrate"]).env(URL, &url).run().await;
    assert!(refused.code() == 2 && refused.error().contains("42501"), "{refused:?}");
    let wrong = Program::new(&["migrate"]).env(URL, url.replace("postgres://", "mysql://")).run().await;
    assert_eq!(wrong.code(), 2);
    for run in [refused, wrong] {
        assert!(!format!("{run:?}").contains("hunter22"), "{run:?}");
    }
}

#[tokio::test]
async fn the_doctor_names_what_a_deployment_lacks() {
    let server = PostgresConfig::new().line("full_page_writes = off").start().await;
    migrate(&server, &[]).await;
    let off = doctor(&server, "postgres").await;
    for setting in ["`fsync` is off", "`full_page_writes` is off", "(no_statement_timeout)", "(restart_loses_all)"] {
        assert!(off.stdout.contains(setting), "{setting}: {off:?}");
    }
    server.sql("CREATE ROLE shop LOGIN").await;
    let denied = doctor(&server, "shop").await;
    assert!(denied.code() == 1 && denied.stdout.contains("42501"), "{denied:?}");
}

#[tokio::test]
async fn a_cache_is_looked_for_in_the_database_that_is_its_own() {
    let server = PostgresServer::start().await;
    let peek = ["cache", "peek", "price", "2", "store_42", "sku_1", "--namespace", "shop", "--own-account", ACCOUNT];
    let peek =
        || Program::new(&peek).env("PAYPROOF_CACHE_STORE", "postgres").env("PAYPROOF_CACHE_DATABASE_URL", server.url());
    let early = peek().run().await;
    assert!(early.code() == 2 && early.error().contains("run `payproof migrate`"), "{early:?}");
    migrate(&server, &[]).await;
    let nothing = peek().run().await;
    assert_eq!((nothing.code(), &*nothing.stderr), (1, ""));
}
