//! Two checkout services that share a store. Nothing to set up but what the store itself needs:
//!
//! ```sh
//! cargo run --release --all-features --example store -- memory
//! cargo run --release --all-features --example store -- file
//! cargo run --release --all-features --example store -- redis       # starts a redis-server of its own
//! cargo run --release --all-features --example store -- postgres    # starts a PostgreSQL server of its own
//! cargo run --release --all-features --example store -- upstash     # starts a stand-in for the REST server
//! cargo run --release --all-features --example store -- vercel-kv   # the same
//! cargo run --release --all-features --example store -- env         # what the environment asks for
//! ```
//!
//! The first service asks the provider, the second gets the answer from the store; then both try to use the payment for an
//! order of theirs, and one gets it. Exit status: 0 when exactly that happened, 1 when not, 2 when it could not be run.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use payproof::redeem::{Occasion, RedeemError};
use payproof::store::{
    EnvStore, FileStore, MemoryStore, PostgresStore, RedisStore, RestartLoss, Store, UpstashStore, from_env,
};
use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use payproof::{BuildError, Currency, Money, PaymentIntent, Proof, Provenance, Stripe, Validator, Verdict};

#[path = "../../tests/support/postgres_server.rs"]
mod postgres_server;
#[path = "../../tests/support/redis_server.rs"]
mod redis_server;
#[path = "../../tests/support/servers.rs"]
mod servers;
#[path = "../../tests/support/upstash/mod.rs"]
mod upstash;

use upstash::UpstashStandIn;

/// Two checkout services that share a store.
#[derive(Debug, Parser)]
struct Args {
    /// Which store.
    #[arg(value_enum, default_value_t = Kind::Memory)]
    store: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Memory,
    File,
    Redis,
    Postgres,
    Upstash,
    VercelKv,
    Env,
}

/// The payment, and the two orders that want it.
const PAYMENT: &str = "pi_3MtwBw";

#[tokio::main]
async fn main() -> ExitCode {
    match open_and_run(Args::parse().store).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("error: both services were told that the payment is theirs, or neither was");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: the example could not be run: {error}");
            ExitCode::from(2)
        }
    }
}

/// Opens the store, and with it what it needs, which lives as long as the run.
async fn open_and_run(kind: Kind) -> Result<bool, Box<dyn Error>> {
    match kind {
        Kind::Memory => run(MemoryStore::new()).await,
        Kind::File => {
            let path = std::env::temp_dir().join(format!("payproof-example-{}.redb", std::process::id()));
            // One process opens the file; here both services are in it, and there is no other.
            let outcome = run(FileStore::builder(&path).only_instance().build()?).await;
            std::fs::remove_file(&path)?;
            outcome
        }
        Kind::Redis => {
            let server = redis_server::RedisServer::start().await;
            run(RedisStore::new(server.url())?).await
        }
        Kind::Postgres => {
            let server = postgres_server::PostgresConfig::new().syncs().start().await;
            let store = PostgresStore::new(server.url())?;
            // In production `payproof migrate` does this, before the service starts.
            store.create_table().await?;
            run(store).await
        }
        Kind::Upstash => {
            let server = UpstashStandIn::start().await?;
            run(UpstashStore::new(server.url(), server.token())?).await
        }
        Kind::VercelKv => {
            let server = UpstashStandIn::start().await?;
            run(UpstashStore::vercel_kv(server.url(), server.token())?).await
        }
        Kind::Env => {
            let store: EnvStore = from_env()?;
            println!("chosen: {store}");
            run(store).await
        }
    }
}

async fn run(store: impl Store + Clone) -> Result<bool, Box<dyn Error>> {
    let sandbox = Sandbox::builder().latency(Duration::from_millis(20)..Duration::from_millis(40)).start().await?;
    sandbox.put(SandboxPayment::paid(PAYMENT, 1999, "usd").tenant("store_42"));
    let (first, second) = (service(&sandbox, store.clone())?, service(&sandbox, store)?);

    let store_check = first.check_store().await;
    match &store_check.store {
        Some(seen) => println!("store: {} {}", seen.server, seen.version.as_deref().unwrap_or("")),
        None => println!("store: does not answer"),
    }
    for finding in &store_check.findings {
        println!("  {:?}: {finding}", finding.severity());
    }
    if !store_check.is_fit() {
        return Err("the store cannot be used like this".into());
    }

    let intent = PaymentIntent::new("store_42", PAYMENT, Money::parse("19.99", Currency::USD)?)?;
    let (one, provenance) = prove(&first, &intent).await?;
    println!("first service:  valid, {}", provenance.as_str());
    let (two, provenance) = prove(&second, &intent).await?;
    println!("second service: valid, {}", provenance.as_str());
    println!("the provider was asked {} time(s)", sandbox.requests());

    let (one, two) = tokio::join!(redeem(&first, one, "6735"), redeem(&second, two, "6736"));
    let winners = [one?, two?];
    // So that the same payment can be shown again, in a store that remembers.
    if let Some(redemption) = first.redemption(intent.payment()).await? {
        println!(
            "{} belongs to order {}; it is released",
            redemption.receipt().payment(),
            redemption.receipt().order()
        );
        first.release(redemption.receipt(), "the example").await?;
    }
    first.forget(intent.payment()).await?;
    Ok(winners.into_iter().filter(|won| *won).count() == 1)
}

fn service(sandbox: &Sandbox, store: impl Store) -> Result<Validator, BuildError> {
    let stripe = Stripe::builder("sk_live_sandbox").base_url(sandbox.url()).own_account("acct_sandbox").build()?;
    // Redemptions want a store that every process sees and that keeps them at a restart. Here any store will do: nothing of
    // the example is needed after it.
    let builder = Validator::builder(stripe).store(store).only_instance().restart_loses_at_most(RestartLoss::All);
    // What a store in PostgreSQL asks for: no payment was redeemed in another one before.
    builder.no_redemptions_before().build()
}

async fn prove(service: &Validator, intent: &PaymentIntent) -> Result<(Proof, Provenance), Box<dyn Error>> {
    let validation = service.validate(intent).await?;
    let provenance = validation.provenance();
    match validation.into_verdict() {
        Verdict::Valid(proof) => Ok((proof, provenance)),
        verdict => Err(format!("the payment is {}", verdict.as_str()).into()),
    }
}

async fn redeem(service: &Validator, proof: Proof, order: &str) -> Result<bool, RedeemError> {
    match service.redeem(proof).order(order).await {
        // Two calls for one order would both get the receipt, and one of them be the first: that one ships.
        Ok(redeemed) => {
            let payment = redeemed.receipt().payment();
            match redeemed.occasion() {
                Occasion::First => println!("order {order}: paid by {payment}; ship it"),
                Occasion::Repeat { age } => println!("order {order}: paid by {payment} {age:?} ago"),
            }
            Ok(true)
        }
        Err(error @ RedeemError::AlreadyRedeemed { .. }) => {
            println!("order {order}: {error}");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
