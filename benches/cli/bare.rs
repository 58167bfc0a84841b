//! The bare loop, which is this program started again.

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Client;
use tokio::runtime::Runtime;

use crate::{KEY, answer, client, id};

/// As many requests under way as the command line has by default.
pub(crate) const CONCURRENCY: usize = 32;

const URL: &str = "PAYPROOF_BENCH_BARE_URL";
const COUNT: &str = "PAYPROOF_BENCH_BARE_COUNT";

/// What a process started for it has to do.
pub(crate) struct Task {
    url: String,
    count: usize,
}

impl Task {
    pub(crate) fn of_this_process() -> Option<Self> {
        Some(Self { url: env::var(URL).ok()?, count: env::var(COUNT).ok()?.parse().ok()? })
    }

    pub(crate) fn command(url: &str, count: usize) -> Command {
        let mut command = Command::new(env::current_exe().expect("this program is a file"));
        command.env(URL, url).env(COUNT, count.to_string());
        command
    }
}

/// So many tasks that each ask for one payment after the other.
pub(crate) fn run(task: &Task) {
    let runtime = Runtime::new().expect("there are threads");
    let (client, next) = (client::bare(None), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..CONCURRENCY)
        .map(|_| {
            let (client, next, url, count) = (client.clone(), Arc::clone(&next), task.url.clone(), task.count);
            runtime.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    ask(&client, &format!("{url}/v1/payment_intents/{}?expand%5B%5D=latest_charge", id(number))).await;
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).expect("nothing panics");
    }
}

/// With the headers that payproof sends, and the fields read that it reads.
async fn ask(client: &Client, address: &str) {
    let call = client.get(address).bearer_auth(KEY).header("stripe-version", "2026-10-28.endive").send();
    let answer = call.await.expect("the sandbox answers").error_for_status().expect("it answers 200");
    let payment: answer::PaymentIntent = answer.json().await.expect("it is a payment intent");
    assert!(black_box(payment).status == "succeeded");
}
