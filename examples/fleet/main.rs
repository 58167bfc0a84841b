//! Four processes that share one Redis and validate the same payments. Needs Redis, and nothing else:
//!
//! ```sh
//! cargo run --release --features redis --example fleet                               # starts a redis-server of its own
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --release --features redis --example fleet   # or uses this one
//! ```
//!
//! The provider is the sandbox in the parent process, which counts what really reaches it. Shoppers click several times,
//! and each click lands at another process. One process is killed in the middle of a call, and another one takes over. Then
//! all that are left want one payment for an order of theirs, and one gets it.
//!
//! Exit status: 0 when the numbers add up, 1 when they do not, 2 when the example could not be run.
//!
//! | to learn | read |
//! |---|---|
//! | how a service builds its validator on the shared store | `service.rs` |
//! | what to watch | `report.rs` |

mod process;
mod report;
mod service;

use std::error::Error;
use std::process::{Command, ExitCode};
use std::time::Duration;

use payproof::store::RedisStore;
use payproof::testing::sandbox::{Fault, Sandbox, SandboxPayment};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use process::{Gone, Process};
use report::Report;
use service::{Reply, Request, Settings};

#[path = "../../tests/support/redis_server.rs"]
mod redis_server;
#[path = "../../tests/support/servers.rs"]
mod servers;

const PROCESSES: usize = 4;

/// The one that is killed.
const VICTIM: usize = 2;

/// Payments that shoppers have made.
const PAYMENTS: usize = 40;

/// How often each is clicked.
const CLICKS: usize = 9;

/// The payment that is being asked about when the process is killed.
const CUT: &str = "pi_cut";

/// The payment that several orders want.
const WANTED: &str = "pi_wanted";

/// It takes about five seconds.
const LIMIT: Duration = Duration::from_secs(14);

#[tokio::main]
async fn main() -> ExitCode {
    if let Ok(settings) = std::env::var(service::SETTINGS) {
        return match service::serve(&settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&*error),
        };
    }
    match timeout(LIMIT, run()).await {
        Ok(Ok(report)) => {
            println!("{report}");
            ExitCode::from(u8::from(!report.adds_up()))
        }
        Ok(Err(error)) => failed(&*error),
        Err(_) => failed(&*Box::<dyn Error>::from(format!("it took longer than {LIMIT:?}"))),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("error: the example could not be run: {error}");
    ExitCode::from(2)
}

async fn run() -> Result<Report, Box<dyn Error>> {
    let begin = Instant::now();
    let (own, redis_url) = redis().await?;
    let sandbox = Sandbox::builder().latency(Duration::from_millis(20)..Duration::from_millis(60)).start().await?;
    let payments: Vec<String> = (0..PAYMENTS).map(|number| format!("pi_{number}")).collect();
    for id in payments.iter().map(String::as_str).chain([CUT, WANTED]) {
        sandbox.put(SandboxPayment::paid(id, 1999, "usd").tenant("store_42"));
    }
    // Keys of this run, which meet no other run's.
    let prefix = format!("payproof-fleet-{}", std::process::id());
    let settings = Settings { provider: sandbox.url(), redis: redis_url, prefix };
    let fleet: Vec<Process> = (0..PROCESSES).map(|_| Process::start(&settings)).collect::<Result<_, _>>()?;
    for process in &fleet {
        match process.ask(Request::Check).await {
            Ok(Reply::Fit) => {}
            Ok(Reply::Unfit(findings)) => return Err(format!("the store cannot be used: {findings}").into()),
            other => return Err(format!("a process did not start: {other:?}").into()),
        }
    }

    let mut report = Report::new(PROCESSES, own.is_some());
    rush(&fleet, &payments, &mut report).await;
    kill_in_the_middle(&fleet, &sandbox, &payments, &mut report).await?;
    redeem(&fleet, &mut report).await;
    clean_up(&fleet, &payments).await;
    report.finish(&sandbox, begin.elapsed());
    sandbox.stop().await;
    Ok(report)
}

/// The given Redis, or one of our own, which lives as long as the first part of the answer.
async fn redis() -> Result<(Option<redis_server::RedisServer>, String), Box<dyn Error>> {
    if let Ok(url) = std::env::var("REDIS_URL") {
        // Whether it can be used at all is better said once than by each process.
        RedisStore::new(&url)?;
        return Ok((None, url));
    }
    if Command::new("redis-server").arg("--version").output().is_err() {
        return Err("redis-server is missing; run: sudo apt-get install redis-server; or set REDIS_URL".into());
    }
    let server = redis_server::RedisServer::start().await;
    let url = server.url();
    Ok((Some(server), url))
}

/// Every shopper clicks several times, and each click lands at the next process, as behind a load balancer.
async fn rush(fleet: &[Process], payments: &[String], report: &mut Report) {
    let mut clicks = JoinSet::new();
    for click in 0..CLICKS {
        for (number, payment) in payments.iter().enumerate() {
            let place = click.wrapping_add(number).checked_rem(PROCESSES).unwrap_or_default();
            spawn_click(&mut clicks, fleet, place, payment);
        }
        // Impatient shoppers click at once, others when the page has answered.
        sleep(Duration::from_millis(if click < 4 { 5 } else { 200 })).await;
    }
    report.add_clicks(clicks.join_all().await);
}

/// Kills a process while it waits for the provider. All others that ask about that payment wait for it too.
async fn kill_in_the_middle(
    fleet: &[Process],
    sandbox: &Sandbox,
    payments: &[String],
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    sandbox.script(CUT, [Fault::Stall]);
    let mut clicks = JoinSet::new();
    spawn_click(&mut clicks, fleet, VICTIM, CUT);
    let asked = timeout(Duration::from_secs(5), async {
        while sandbox.requests_for(CUT) == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    });
    asked.await.map_err(|_| "the process that is to be killed does not ask")?;
    for place in (0..PROCESSES).filter(|place| *place != VICTIM) {
        for payment in payments.iter().map(String::as_str).take(5).chain([CUT; 3]) {
            spawn_click(&mut clicks, fleet, place, payment);
        }
    }
    sleep(Duration::from_millis(300)).await;
    if let Some(victim) = fleet.get(VICTIM) {
        victim.kill();
    }
    report.killed(VICTIM);
    report.add_clicks(clicks.join_all().await);
    for (place, process) in fleet.iter().enumerate() {
        if let Ok(Reply::TakenOver(payments)) = process.ask(Request::TakenOver).await {
            report.taken_over(place, payments);
        }
    }
    Ok(())
}

/// Every process that is left wants the same payment, each for an order of its own.
async fn redeem(fleet: &[Process], report: &mut Report) {
    let mut wishes = JoinSet::new();
    for (place, process) in fleet.iter().enumerate().filter(|(place, _)| *place != VICTIM) {
        let (process, order) = (process.clone(), format!("order {place}"));
        wishes.spawn(async move {
            let reply = process.ask(Request::Redeem { payment: WANTED.into(), order }).await;
            (place, reply)
        });
    }
    let mut ends = wishes.join_all().await;
    ends.sort_by_key(|(place, _)| *place);
    report.add_redemptions(ends);
}

/// Leaves nothing behind in a Redis that is not ours.
async fn clean_up(fleet: &[Process], payments: &[String]) {
    let Some(process) = fleet.first() else { return };
    for payment in payments.iter().map(String::as_str).chain([CUT, WANTED]) {
        // What stays all the same ends by itself within a day.
        let _ = process.ask(Request::Forget { payment: payment.into() }).await;
    }
}

/// One click: which process answered, about which payment, and what. A click whose process dies is made again elsewhere.
type Click = (usize, String, Result<Reply, Gone>);

fn spawn_click(clicks: &mut JoinSet<Click>, fleet: &[Process], place: usize, payment: &str) {
    let (fleet, payment) = (fleet.to_vec(), payment.to_owned());
    clicks.spawn(async move {
        for place in
            (0..PROCESSES).map(|further| place.wrapping_add(further).checked_rem(PROCESSES).unwrap_or_default())
        {
            let Some(process) = fleet.get(place) else { break };
            if let Ok(reply) = process.ask(Request::Validate { payment: payment.clone() }).await {
                return (place, payment, Ok(reply));
            }
        }
        (place, payment, Err(Gone))
    });
}
