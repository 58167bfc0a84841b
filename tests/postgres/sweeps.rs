//! Records that are over: they go by themselves, and one that is claimed again while it is swept away stays.

use std::time::Duration;

use payproof::store::{Claim, Store};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::postgres_server::PostgresServer;
use crate::servers::PATIENCE;
use crate::{HOUR, with_table};

#[tokio::test]
async fn what_is_over_goes_after_writes() {
    let server = PostgresServer::start().await;
    let store = with_table(&server).await;
    let over = "INSERT INTO payproof_records SELECT ('over:' || n)::bytea, 'v', now() - interval '1 s' FROM generate_series(1, 5000) n";
    server.sql(over).await;
    store.claim("kept", b"v", HOUR).await.unwrap();
    let end = Instant::now() + PATIENCE;
    for number in 0.. {
        if server.sql("SELECT count(*) FROM payproof_records WHERE key LIKE 'over:%'").await == ["0"] {
            break;
        }
        assert!(Instant::now() < end, "they are still there");
        store.claim(&format!("write:{number}"), b"v", HOUR).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(store.get("kept").await.unwrap().unwrap().bytes, b"v");
}

#[tokio::test]
async fn a_record_that_is_claimed_again_while_it_is_swept_stays() {
    const KEYS: usize = 400;
    let server = PostgresServer::start().await;
    let store = with_table(&server).await;
    for round in 0..5 {
        server.sql("UPDATE payproof_records SET expires_at = now() - interval '1 s'").await;
        let mut sweeping = JoinSet::new();
        let client = server.client().await;
        sweeping.spawn(async move {
            for _ in 0..50 {
                client.simple_query("SELECT payproof_sweep_1(0, 1000)").await.unwrap();
            }
        });
        let mut claiming = JoinSet::new();
        for number in 0..KEYS {
            let store = store.clone();
            claiming
                .spawn(async move { store.claim(&format!("k:{number}"), format!("{round}").as_bytes(), HOUR).await });
        }
        while let Some(claimed) = claiming.join_next().await {
            assert_eq!(claimed.unwrap(), Ok(Claim::Claimed));
        }
        while let Some(swept) = sweeping.join_next().await {
            swept.unwrap();
        }
        let stand = format!("SELECT count(*) FROM payproof_records WHERE value = '{round}' AND expires_at > now()");
        assert_eq!(server.sql(&stand).await, [KEYS.to_string()], "round {round}");
    }
}
