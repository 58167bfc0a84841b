//! An order's row, its redemption and what follows from it, in one transaction on PostgreSQL. Nothing to set up but PostgreSQL:
//!
//! ```sh
//! cargo run --release --features postgres,test-util --example one_transaction   # starts a PostgreSQL server of its own
//! ```
//!
//! Shoppers have paid, and their orders are placed by processes that kill themselves at the worst moments: between the redemption
//! and the order's row, before the commit, and after it. Another process places the same order again, until one comes to its end.
//! With the order's row a letter to the shopper is written down, and workers that kill themselves as well have it sent. In the end
//! the rows are counted.
//!
//! Exit status: 0 when nothing is lost and nothing is doubled, 1 when something is, 2 when the example could not be run.
//!
//! | to learn | read |
//! |---|---|
//! | how an order and its redemption become one | `order.rs` |
//! | how an effect goes with the order, and happens once | `letters.rs` |

mod letters;
mod order;
mod process;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use payproof::store::PostgresStore;
use payproof::testing::sandbox::{Sandbox, SandboxPayment};
use tokio::time::{sleep, timeout};

use postgres_server::{PostgresConfig, PostgresServer};
use process::{Stop, Task, Work};

#[path = "../../tests/support/postgres_server.rs"]
mod postgres_server;
#[path = "../../tests/support/servers.rs"]
mod servers;

const ORDERS: usize = 6;

/// It takes about ten seconds.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Work::of_this_process() {
        Some(work) => work.carry_out().await.map(|()| true),
        None => timeout(LIMIT, run()).await.unwrap_or_else(|_| Err(format!("it took longer than {LIMIT:?}").into())),
    };
    match outcome {
        Ok(adds_up) => ExitCode::from(u8::from(!adds_up)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<bool, Box<dyn Error>> {
    let server = PostgresConfig::new().syncs().start().await;
    let sandbox = Sandbox::start().await?;
    // In production `payproof migrate` and the shop's own migrations do this, before the service starts.
    PostgresStore::new(server.url())?.create_table().await?;
    server.sql(order::TABLE).await;
    server.sql(letters::TABLES).await;

    let work = |task, stop| Work { provider: sandbox.url(), database: server.url(), task, stop };
    for number in 0..ORDERS {
        let order = format!("order-{number}");
        let payment = SandboxPayment::paid(&order::payment_of(&order), 1999, "usd").tenant("store_42");
        sandbox.put(payment.order(&order));
        let mut killed = Vec::new();
        for stop in [Stop::Redeemed, Stop::OrderWritten, Stop::Committed, Stop::Never] {
            let has_ended = work(Task::Place { order: order.clone() }, stop).in_a_process().await?;
            killed.extend((!has_ended).then(|| format!("{stop:?}")));
        }
        println!("{order}: killed at {}, and placed", killed.join(", "));
    }
    for stop in [Stop::Taken, Stop::Sent, Stop::Never] {
        while !letters::waiting(&server).await.is_empty() {
            let has_ended = work(Task::Send, stop).in_a_process().await?;
            println!("letters: a worker was {}", if has_ended { "done" } else { "killed" });
            if !has_ended {
                break;
            }
            sleep(letters::AGAIN_AFTER).await;
        }
    }
    let adds_up = count(&server).await;
    sandbox.stop().await;
    Ok(adds_up)
}

/// Whether there is one row, one redemption and one letter for each order.
async fn count(server: &PostgresServer) -> bool {
    let counts = [
        ("orders", "SELECT count(*)::text FROM orders"),
        ("payments that pay them", "SELECT count(DISTINCT payment)::text FROM orders"),
        (
            "redemptions",
            "SELECT count(*)::text FROM payproof_records WHERE convert_from(key, 'UTF8') LIKE '%:payment:%'",
        ),
        ("letters", "SELECT count(*)::text FROM letters"),
    ];
    let mut adds_up = letters::waiting(server).await.is_empty();
    for (what, query) in counts {
        let count = server.sql(query).await.concat();
        println!("{what}: {count}");
        adds_up &= count == ORDERS.to_string();
    }
    adds_up
}
