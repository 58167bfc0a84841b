//! A checkout service, and a page that shows what payproof does in it. No account, nothing to set up:
//!
//! ```sh
//! cargo run --release --all-features --example checkout_service                # then open http://127.0.0.1:8080
//! PORT=0 cargo run --release --all-features --example checkout_service         # on a free port, which it prints
//! REDIS_URL=redis://127.0.0.1 cargo run --release --all-features --example checkout_service   # one with `appendonly yes`
//! cargo run --release --all-features --example checkout_service -- --self-test # says whether it works, and ends
//! ```
//!
//! By hand, a second time with the same key and then with another body:
//!
//! ```sh
//! curl -i http://127.0.0.1:8080/checkouts -H 'Authorization: Bearer demo-anna' -H 'Idempotency-Key: 8e03978e' \
//!   --json '{"payment":"pi_demo","amount":"19.99","currency":"USD","order":"6735"}'
//! ```
//!
//! The provider is the sandbox that comes with the feature `test-util`, a server of its own in this process. The page makes
//! it slow, failing, rate-limiting or down, switches the store off and tries what each part does then, lets shoppers in, and
//! has one of them click fifty times at once. Everything on the page is counted where it happens: requests by the service,
//! calls by the provider, orders by the database.
//!
//! | to learn | read |
//! |---|---|
//! | how a service builds its validator, and lays the routes around it | `service.rs` |
//! | how it authenticates before anything is replayed | `caller.rs` |
//! | how a checkout is validated, redeemed and answered | `checkouts.rs` |
//! | how the database has the last word | `orders.rs` |
//! | how webhooks are received | `webhooks.rs` |
//! | what operators see | `operations.rs` |
//!
//! The rest is there for the page: `journal.rs`, `history.rs`, `snapshot.rs`, `page.rs` and `page.html` show, `stage/` acts.
//!
//! Exit status: 0 after Ctrl-C or a good self-test, 1 when the self-test found something, 2 when the service did not start.

mod caller;
mod checkouts;
mod folder;
mod history;
mod journal;
mod operations;
mod orders;
mod page;
mod self_test;
mod service;
mod snapshot;
mod stage;
mod webhooks;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use folder::Folder;
use service::Service;
use stage::{Browser, Stage};

/// Requests under way get so long to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(5);

/// Serves checkouts on the loopback device, with a page at `/` that shows what happens.
#[derive(Debug, Parser)]
struct Args {
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,
    /// Starts on a free port, checks out through it, says whether one order came of many clicks, and ends.
    #[arg(long)]
    self_test: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // In a task, since the body of `#[tokio::main]` runs beside the workers.
    let ran = tokio::spawn(run(Args::parse())).await;
    match ran.unwrap_or_else(|panicked| Err(panicked.into())) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(args: Args) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let folder = Folder::new()?;
    let sandbox = stage::provider().await?;
    let service = Service::start(&sandbox.url(), folder.path())?;
    let port = if args.self_test { 0 } else { args.port };
    let listener = TcpListener::bind(("127.0.0.1", port)).await;
    let listener = listener.map_err(|error| format!("port {port}: {error}; choose another one with PORT"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let stage = Arc::new(Stage::new(sandbox, Arc::clone(&service), Browser::new(url.clone())?));

    let (current, publishing) = page::publish(Arc::clone(&service), Arc::clone(&stage));
    let (publishing, shopping) = (tokio::spawn(publishing), tokio::spawn(stage::shop(Arc::clone(&stage))));
    let routes = service::routes(&service)?.merge(stage::routes(Arc::clone(&stage))).merge(page::routes(current));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) });
    let serving = tokio::spawn(serving.into_future());

    let status = if args.self_test {
        self_test::run(&stage, &Browser::new(url)?).await
    } else {
        println!("payproof checkout service: {url} (records in {}), Ctrl-C ends it", service.store);
        interrupted().await?;
        ExitCode::SUCCESS
    };
    // The shoppers leave, the page's events end, requests under way are answered, and the port is closed.
    shopping.abort();
    publishing.abort();
    drop(stop);
    if timeout(GRACE, serving).await.is_err() {
        eprintln!("requests were still running after {GRACE:?}, and are cut");
    }
    Ok(status)
}

/// Ctrl-C, or what a supervisor sends.
async fn interrupted() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
