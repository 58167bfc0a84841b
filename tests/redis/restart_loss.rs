//! What a restart of the server loses, as the server says: which set-ups take redemptions and writes that no provider key
//! protects, and that the answer follows the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use payproof::guard::{Effect, EffectCall, Operation};
use payproof::provider::ProviderError;
use payproof::redeem::{RedeemError, Redemption};
use payproof::store::{RedisStore, RestartLoss, Store};
use payproof::testing::ScriptedProvider;
use payproof::{Proof, Validator, ValidatorBuilder};
use tokio::time::Instant;

use crate::redis_server::{RedisConfig, RedisServer};
use crate::servers::until;
use crate::support::{intent, plain, proof_of, provider};
use crate::{MINUTE, patient, store};

/// What Debian's `redis-server` is set up with.
const DEBIAN: &str = "appendonly no\nsave 3600 1 300 100 60 10000";

/// How a server may be set up, and what a restart may lose then.
const SETUPS: [(&str, RestartLoss); 8] = [
    ("appendonly yes\nappendfsync always", RestartLoss::Nothing),
    ("appendonly yes\nappendfsync everysec", RestartLoss::Second),
    ("appendonly yes\nappendfsync everysec\nsave 3600 1", RestartLoss::Second),
    ("appendonly yes\nappendfsync everysec\nno-appendfsync-on-rewrite yes", RestartLoss::Snapshot),
    ("appendonly yes\nappendfsync no", RestartLoss::Snapshot),
    (DEBIAN, RestartLoss::Snapshot),
    ("appendonly no\nsave 60 1", RestartLoss::Snapshot),
    ("appendonly no\nsave \"\"", RestartLoss::All),
];

fn over(store: RedisStore, provider: &ScriptedProvider) -> ValidatorBuilder {
    plain(provider).store(store).store_timeout(MINUTE)
}

/// Runs an operation, and returns its error code and how often it was sent.
async fn guarded(validator: &Validator, name: &str, effect: Effect) -> (Option<&'static str>, usize) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let operation = Operation::new("store_42", "refund", name, effect).unwrap();
    let run = validator.guard().run(&operation, move |call: EffectCall| {
        counter.fetch_add(1, Ordering::Relaxed);
        let key = call.provider_key().to_owned();
        async move { Ok::<_, ProviderError>(key) }
    });
    let code = run.await.err().map(|error| error.code());
    (code, sent.load(Ordering::Relaxed))
}

#[tokio::test]
async fn what_a_setup_loses_at_a_restart_decides_what_is_taken() {
    for (lines, loss) in SETUPS {
        let server = RedisConfig::new().disk(lines).start().await;
        let validator = over(store(server.url()), &provider()).build().unwrap();
        let redeemed = validator.redeem(proof_of(&validator, intent("pi_1")).await).await;
        let unkeyed = guarded(&validator, "unkeyed", Effect::write()).await;
        let outcome = if redeemed.is_ok() { "taken" } else { "refused" };
        println!("| {} | {} | {outcome} |", lines.replace('\n', ", "), loss.as_str());
        match redeemed {
            Ok(_) => {
                assert!(matches!(loss, RestartLoss::Nothing | RestartLoss::Second), "{lines}");
                assert_eq!(unkeyed, (None, 1), "{lines}");
            }
            Err(RedeemError::RestartLoses { loss: said }) => {
                assert_eq!(said, loss, "{lines}");
                assert_eq!(unkeyed, (Some("restart_loses"), 0), "{lines}");
                let accepting = over(store(server.url()), &provider()).restart_loses_at_most(loss).build().unwrap();
                let _ = accepting.redeem(proof_of(&accepting, intent("pi_1")).await).await.unwrap();
                assert_eq!(guarded(&accepting, "accepted", Effect::write()).await, (None, 1), "{lines}");
            }
            Err(other) => panic!("{lines}: {other}"),
        }
        assert_eq!(store(server.url()).restart_loss().await, Ok(loss), "{lines}");
        // These do without the store's memory.
        assert_eq!(guarded(&validator, "keyed", Effect::keyed_write(24 * 60 * MINUTE)).await, (None, 1), "{lines}");
        assert_eq!(guarded(&validator, "read", Effect::Read).await, (None, 1), "{lines}");
    }
}

#[tokio::test]
async fn a_server_as_debian_ships_it_forgets_in_a_crash_and_so_takes_no_redemption() {
    let mut server = RedisConfig::new().disk(DEBIAN).start().await;
    let accepting =
        over(store(server.url()), &provider()).restart_loses_at_most(RestartLoss::Snapshot).build().unwrap();
    let proof = proof_of(&accepting, intent("pi_1")).await;
    let _ = accepting.redeem(&proof).await.unwrap();
    server.restart().await;
    assert!(redemption_at_last(&accepting, &proof).await.is_none(), "the crash took it");

    let strict = over(store(server.url()), &provider()).build().unwrap();
    let error = strict.redeem(proof_of(&strict, intent("pi_1")).await).await.unwrap_err();
    assert!(matches!(error, RedeemError::RestartLoses { loss: RestartLoss::Snapshot }), "{error}");
    assert!(error.to_string().contains("set `appendonly yes` and `appendfsync everysec`"), "{error}");
    assert!(strict.redemption(proof.payment()).await.unwrap().is_none());
    let findings = strict.check_store().await.findings;
    assert!(findings.iter().any(|finding| finding.code() == "restart_loses_since_snapshot"), "{findings:?}");
}

#[tokio::test]
async fn a_server_with_a_log_keeps_a_redemption_over_a_crash() {
    // Synced each second, a write may wait for the sync before it, in the memory of the process that is killed here.
    let mut server = RedisConfig::new().line("appendfsync always").start().await;
    let validator = over(store(server.url()), &provider()).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    let receipt = validator.redeem(&proof).await.unwrap().receipt().clone();
    server.restart().await;
    // The next connection is asked before the next redemption, which finds what was there.
    assert_eq!(redemption_at_last(&validator, &proof).await.unwrap().receipt(), &receipt);
}

/// What is recorded of a payment, as soon as the server that was started again can be asked. A connection that was tried while it
/// was gone is tried again after a moment only.
async fn redemption_at_last(validator: &Validator, proof: &Proof) -> Option<Redemption> {
    let server_is_back = Instant::now();
    loop {
        match validator.redemption(proof.payment()).await {
            Ok(redemption) => return redemption,
            Err(error) => assert!(server_is_back.elapsed() < MINUTE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks until the connections that are there are new ones.
pub(crate) async fn loss_becomes(store: &RedisStore, loss: RestartLoss) {
    let begun = Instant::now();
    loop {
        let said = store.restart_loss().await;
        if said == Ok(loss) {
            return;
        }
        assert!(begun.elapsed() < MINUTE, "{said:?} instead of {loss:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_answer_is_kept_on_its_connection_and_asked_for_anew_on_the_next() {
    let mut server = RedisServer::start().await;
    let store = store(server.url());
    let validator = over(store.clone(), &provider()).build().unwrap();
    let proof = proof_of(&validator, intent("pi_1")).await;
    let _ = validator.redeem(&proof).await.unwrap();
    let asked = server.calls("config|get");
    for _ in 0..20 {
        let _ = validator.redeem(&proof).await.unwrap();
    }
    assert_eq!(server.calls("config|get"), asked, "a redemption waits for no further round trip");

    server.command(&["CONFIG", "SET", "appendonly", "no"]);
    assert_eq!(store.restart_loss().await, Ok(RestartLoss::Second), "not yet asked anew");
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    loss_becomes(&store, RestartLoss::All).await;
    assert!(matches!(validator.redeem(&proof).await, Err(RedeemError::RestartLoses { loss: RestartLoss::All })));

    // What it starts with the next time.
    server.command(&["CONFIG", "SET", "appendonly", "yes"]);
    server.command(&["CONFIG", "SET", "appendfsync", "always"]);
    until("the log is written", || server.command(&["INFO", "persistence"]).contains("aof_rewrite_in_progress:0"))
        .await;
    server.command(&["CONFIG", "REWRITE"]);
    server.restart().await;
    loss_becomes(&store, RestartLoss::Nothing).await;
    let _ = validator.redeem(&proof).await.unwrap();
}

#[tokio::test]
async fn every_connection_to_a_server_counts_once_one_of_them_is_new() {
    let server = RedisServer::start().await;
    let store = patient(RedisStore::builder(server.url()).connections(3));
    for _ in 0..6 {
        assert_eq!(store.restart_loss().await, Ok(RestartLoss::Second));
    }
    server.command(&["CONFIG", "SET", "appendfsync", "no"]);
    // The newest of the three.
    let clients = server.command(&["CLIENT", "LIST", "TYPE", "normal"]);
    let ours = clients.lines().filter(|client| client.contains("name=payproof"));
    let newest = ours.filter_map(|client| client.split(' ').next()?.strip_prefix("id=")?.parse::<u64>().ok()).max();
    server.command(&["CLIENT", "KILL", "ID", &newest.unwrap().to_string()]);
    loss_becomes(&store, RestartLoss::Snapshot).await;
    for _ in 0..6 {
        assert_eq!(store.restart_loss().await, Ok(RestartLoss::Snapshot));
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_is_refused_until_the_operator_says_it() {
    let server = RedisServer::start().await;
    let rights =
        "ACL SETUSER managed on >openSesame ~payproof:* +multi +exec +get +set +pttl +del +eval +evalsha +info";
    server.command(&rights.split(' ').collect::<Vec<_>>());
    let url = format!("redis://managed:openSesame@127.0.0.1:{}", server.port());
    let strict = over(store(&url), &provider()).build().unwrap();
    let error = strict.redeem(proof_of(&strict, intent("pi_1")).await).await.unwrap_err();
    assert!(matches!(error, RedeemError::RestartLoses { loss: RestartLoss::Unknown }), "{error}");
    assert!(error.to_string().contains("`restart_loses_at_most`"), "{error}");
    assert_eq!(guarded(&strict, "strict", Effect::write()).await, (Some("restart_loses"), 0));

    let stated = over(store(&url), &provider()).restart_loses_at_most(RestartLoss::Second).build().unwrap();
    let _ = stated.redeem(proof_of(&stated, intent("pi_1")).await).await.unwrap();
    assert_eq!(guarded(&stated, "stated", Effect::write()).await, (None, 1));

    // A word of the operator's is none against the server's own.
    server.command(&["CONFIG", "SET", "appendonly", "no"]);
    let contradicted =
        over(store(server.url()), &provider()).restart_loses_at_most(RestartLoss::Second).build().unwrap();
    let error = contradicted.redeem(proof_of(&contradicted, intent("pi_1")).await).await.unwrap_err();
    assert!(matches!(error, RedeemError::RestartLoses { loss: RestartLoss::All }), "{error}");
}
