//! Many payments: order, formats, memory, and readers who leave.

use std::fmt::Write as _;
use std::iter::repeat_n;
use std::time::Duration;

use payproof::testing::sandbox::{Fault, Faults, SandboxPayment};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::program::{Program, finish, paid, sandbox_with};

const HEADER: &str = "payment,amount,currency,tenant,order\n";

/// So many lines about payments with these numbers.
fn lines(numbers: impl IntoIterator<Item = usize>) -> String {
    numbers.into_iter().fold(HEADER.to_owned(), |mut csv, number| {
        let _ = writeln!(csv, "pi_{number},19.99,usd,store_42,6735");
        csv
    })
}

/// The most memory that a process has used, as the kernel counts it.
fn peak_bytes(child: &Child) -> u64 {
    let id = child.id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is told");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// Far above what it needs, and far below what 100,000 lines with their results take.
const MOST_MEMORY: u64 = 100 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_come_in_the_order_of_the_input_however_slow_each_is() {
    let sandbox = sandbox_with((0..200).map(|number| paid(&format!("pi_{number}")))).await;
    sandbox.set_faults(Faults::none().chance(Fault::SlowHeaders(Duration::from_millis(30)), 0.3));
    let run = Program::at(&sandbox, &["validate"]).run_with(lines(0..200)).await;
    assert_eq!(run.code(), 0, "{}", run.stderr);
    let payments: Vec<String> = run.rows().iter().map(|row| row["payment"].as_str().unwrap().to_owned()).collect();
    assert_eq!(payments, (0..200).map(|number| format!("pi_{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_worst_result_decides_the_exit_status() {
    let sandbox = sandbox_with([
        paid("pi_0"),
        SandboxPayment::processing("pi_1", 1999, "usd").tenant("store_42").order("6735"),
        SandboxPayment::requires_action("pi_2", 1999, "usd").tenant("store_42").order("6735"),
    ])
    .await;
    let run = Program::at(&sandbox, &["validate"]).run_with(lines(0..4)).await;
    let verdicts: Vec<_> = run.rows().iter().map(|row| row["verdict"].as_str().unwrap().to_owned()).collect();
    assert_eq!(verdicts, ["valid", "pending", "action_required", "invalid"]);
    assert_eq!(run.code(), 1);
    assert!(run.stderr.contains("1 valid, 1 invalid, 1 pending, 1 action required"), "{}", run.stderr);
    sandbox.script("pi_5", [Fault::ShouldNotRetry]);
    let run = Program::at(&sandbox, &["validate", "--quiet"]).run_with(lines([0, 3, 5])).await;
    assert_eq!((run.code(), &run.rows()[2]["error"]["code"]), (2, &"provider_unavailable".into()), "{run:?}");
    assert!(run.error().starts_with("error: line 4: "), "{}", run.stderr);
}

#[tokio::test]
async fn every_format_tells_the_same() {
    let sandbox = sandbox_with([paid("pi_0")]).await;
    let input = lines([0, 1]);
    let csv = Program::at(&sandbox, &["validate", "--format", "csv"]).run_with(&input).await;
    let rows: Vec<&str> = csv.stdout.lines().collect();
    assert_eq!(rows[0], "line,payment,tenant,order,verdict,findings,error,message,provenance,age_ms");
    assert!(rows[1].starts_with("2,pi_0,store_42,6735,valid,,,,fresh,"), "{rows:?}");
    assert!(rows[2].starts_with("3,pi_1,store_42,6735,invalid,not_found: "), "{rows:?}");
    let table = Program::at(&sandbox, &["validate", "--format", "table"]).run_with(&input).await;
    let rows: Vec<&str> = table.stdout.lines().collect();
    assert!(rows[0].contains("payment") && rows[1].contains("19.99 USD, captured"), "{rows:?}");
    assert!(rows[2].contains("invalid") && !table.stdout.contains('\u{1b}'), "{rows:?}");
    assert_eq!((csv.code(), table.code()), (1, 1));
}

#[tokio::test]
async fn the_same_payment_on_many_lines_is_asked_about_once() {
    let sandbox = sandbox_with([paid("pi_0")]).await;
    let run = Program::at(&sandbox, &["validate"]).run_with(lines(repeat_n(0, 500))).await;
    assert_eq!((run.code(), run.rows().len(), sandbox.requests()), (0, 500, 1), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_the_given_number_is_asked_about_at_once() {
    let sandbox = sandbox_with([]).await;
    sandbox.set_faults(Faults::none().chance(Fault::Stall, 1.0));
    let mut child = Program::at(&sandbox, &["validate", "--concurrency", "5"]).spawn();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines(0..1000).as_bytes()).await.unwrap();
    for _ in 0..200 {
        if sandbox.requests() >= 5 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(sandbox.requests(), 5);
    child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_stalls_holds_up_the_reader_and_memory_stays_small() {
    let sandbox = sandbox_with([]).await;
    sandbox.set_faults(Faults::none().chance(Fault::Stall, 1.0));
    let mut child = Program::at(&sandbox, &["validate"]).spawn();
    let (mut input, text) = (child.stdin.take().unwrap(), lines(0..100_000).into_bytes());
    let mut taken = 0;
    // Until nothing more is taken for a while.
    while let Ok(written) = timeout(Duration::from_secs(2), input.write(&text[taken..])).await {
        taken += written.expect("it still reads");
        assert!(taken < text.len(), "the reader took everything while nothing was answered");
    }
    assert_eq!(sandbox.requests(), 32, "as many as may be under way");
    assert!(taken < 1 << 20, "the reader took {taken} of {} bytes ahead of 32 answers", text.len());
    assert!(peak_bytes(&child) < MOST_MEMORY, "{} bytes", peak_bytes(&child));
    child.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_lines_fit_into_little_memory() {
    let sandbox = sandbox_with((0..5_000).map(|number| paid(&format!("pi_{number}")))).await;
    let mut child = Program::at(&sandbox, &["validate", "--quiet"]).spawn();
    let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let feeding = tokio::spawn(async move {
        input.write_all(lines((0..100_000).map(|line| line % 5_000)).as_bytes()).await.expect("it reads everything");
    });
    let (mut row, mut valid) = (String::new(), 0);
    let mut peak = 0;
    while output.read_line(&mut row).await.unwrap() > 0 {
        assert!(row.contains(r#""verdict":"valid""#), "{row}");
        valid += 1;
        if valid % 10_000 == 0 && valid < 100_000 {
            peak = peak_bytes(&child).max(peak);
        }
        row.clear();
    }
    feeding.await.unwrap();
    assert_eq!((valid, finish(child).await.code()), (100_000, 0));
    assert!(peak > 0 && peak < MOST_MEMORY, "{peak} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_that_is_closed_early_ends_quietly() {
    let sandbox = sandbox_with([paid("pi_0")]).await;
    let mut child = Program::at(&sandbox, &["validate"]).spawn();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let feeding = tokio::spawn(async move {
        // It stops reading at some point.
        let _ = input.write_all(lines(repeat_n(0, 100_000)).as_bytes()).await;
    });
    let mut first = String::new();
    output.read_line(&mut first).await.unwrap();
    assert!(first.contains("valid"), "{first}");
    drop(output);
    let run = finish(child).await;
    // What was not validated cannot be told.
    assert_eq!((run.code(), &*run.stderr), (2, ""));
    feeding.await.unwrap();
}

#[tokio::test]
async fn a_result_is_written_while_the_input_is_still_open() {
    let sandbox = sandbox_with([paid("pi_0")]).await;
    let mut child = Program::at(&sandbox, &["validate"]).spawn();
    let mut input = child.stdin.take().unwrap();
    input.write_all(lines([0]).as_bytes()).await.unwrap();
    let mut byte = [0];
    let read = child.stdout.as_mut().unwrap().read_exact(&mut byte);
    timeout(Duration::from_secs(30), read).await.expect("it does not wait for more").unwrap();
    drop(input);
    assert_eq!(finish(child).await.code(), 0);
}

#[tokio::test]
async fn a_result_is_not_held_up_by_the_beginning_of_the_next_line() {
    let sandbox = sandbox_with([paid("pi_0")]).await;
    let mut child = Program::at(&sandbox, &["validate"]).spawn();
    let mut input = child.stdin.take().unwrap();
    input.write_all((lines([0]) + "pi_0,19").as_bytes()).await.unwrap();
    let mut byte = [0];
    let read = child.stdout.as_mut().unwrap().read_exact(&mut byte);
    timeout(Duration::from_secs(30), read).await.expect("it does not wait for more").unwrap();
    input.write_all(b".99,usd,store_42,6735").await.unwrap();
    drop(input);
    let run = finish(child).await;
    assert_eq!((run.code(), run.stdout.lines().count()), (0, 2), "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_outage_is_waited_out() {
    let sandbox = sandbox_with((0..400).map(|number| paid(&format!("pi_{number}")))).await;
    sandbox.set_faults(Faults::down());
    let child = Program::at(&sandbox, &["validate", "--retries", "0", "--concurrency", "8"]).spawn();
    let feeding = async {
        let mut child = child;
        child.stdin.take().unwrap().write_all(lines(0..400).as_bytes()).await.unwrap();
        child
    };
    let child = feeding.await;
    sleep(Duration::from_secs(2)).await;
    sandbox.set_faults(Faults::none());
    let run = finish(child).await;
    let valid = run.rows().iter().filter(|row| row["verdict"] == "valid").count();
    assert!(valid >= 350, "only those lines fail that opened the breaker: {valid} are valid; {}", run.stderr);
    assert_eq!(run.code(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_is_not_waited_out_line_by_line() {
    let sandbox = sandbox_with([]).await;
    sandbox.set_faults(Faults::down());
    let options = ["validate", "--retries", "0", "--deadline", "3s", "--attempt-timeout", "1s"];
    let run = Program::at(&sandbox, &options).run_with(lines(0..2_000)).await;
    assert_eq!((run.code(), run.rows().len()), (2, 2_000), "{}", run.stderr);
    assert!(sandbox.requests() < 500, "{} requests", sandbox.requests());
    assert!(run.stderr.contains("further errors are told in the results only"), "{}", run.stderr);
}
