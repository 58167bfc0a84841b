//! What a restart of the server loses, as the server says: which set-ups take redemptions.

use payproof::store::{RestartLoss, Severity, Store, StoreFinding};

use crate::postgres_server::PostgresConfig;
use crate::support::{intent, plain, proof_of, provider};
use crate::{HOUR, store, with_table};

#[tokio::test]
async fn what_a_setup_loses_at_a_restart_decides_what_is_taken() {
    for (lines, loss, lossy) in [
        ("", RestartLoss::Nothing, None),
        ("synchronous_commit = local", RestartLoss::Nothing, None),
        ("synchronous_commit = off", RestartLoss::Second, Some("synchronous_commit")),
        ("full_page_writes = off", RestartLoss::All, Some("full_page_writes")),
        ("fsync = off", RestartLoss::All, Some("fsync")),
    ] {
        let server = PostgresConfig::new().line(lines).syncs().start().await;
        let store = with_table(&server).await;
        assert_eq!(store.restart_loss().await, Ok(loss), "{lines}");
        let looked = store.inspect().await.unwrap();
        let named: Vec<&StoreFinding> =
            looked.findings.iter().filter(|finding| matches!(finding, StoreFinding::Lossy { .. })).collect();
        let wanted = lossy.map(|setting| StoreFinding::Lossy { setting: setting.into() });
        assert_eq!((looked.restart_loss, named), (loss, wanted.iter().collect()), "{lines}");
        let validator = plain(&provider()).store(store).no_redemptions_before().store_timeout(HOUR).build().unwrap();
        let redeemed = validator.redeem(proof_of(&validator, intent("pi_1")).await).await;
        assert_eq!(redeemed.is_ok(), loss != RestartLoss::All, "{lines}: {redeemed:?}");
    }
}

#[tokio::test]
async fn what_a_role_has_set_for_itself_counts() {
    let server = PostgresConfig::new().syncs().start().await;
    with_table(&server).await;
    server.sql("CREATE ROLE shop LOGIN; GRANT ALL ON payproof_records TO shop").await;
    server.sql("ALTER ROLE shop SET synchronous_commit = off").await;
    assert_eq!(store(server.url_of("shop")).restart_loss().await, Ok(RestartLoss::Second));
}

#[tokio::test]
async fn a_server_as_it_is_installed_has_nothing_found_but_its_missing_time_limit() {
    let server = PostgresConfig::new().syncs().start().await;
    let store = with_table(&server).await;
    let looked = store.inspect().await.unwrap();
    assert_eq!(looked.findings, [StoreFinding::NoStatementTimeout]);
    assert_eq!(looked.findings[0].severity(), Severity::Note);
    assert_eq!(&*looked.server, "postgresql");
    server.sql("ALTER ROLE postgres SET statement_timeout = '5s'").await;
    let anew = crate::store(server.url()).inspect().await.unwrap();
    assert_eq!(anew.findings, []);
}
