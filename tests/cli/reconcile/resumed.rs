//! Runs that are killed, and go on.

use std::time::Duration;

use tokio::time::sleep;

use crate::folder::Folder;
use crate::program::{Program, finish, sandbox_with};

use super::{midnight, orders_in, paid, program};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_killed_goes_on_without_its_orders_and_reports_the_same() {
    let (at, folder) = (midnight(8), Folder::new("reconcile-killed"));
    let sandbox =
        sandbox_with((0..350).map(|number| paid(&format!("pi_{number}"), &number.to_string(), at + number))).await;
    let orders: Vec<String> = (0..340).map(|number| format!("{number},,19.99,usd,paid,{at},,,")).collect();
    let orders = orders_in(folder.path(), &orders);
    let whole = program(&sandbox, &["--orders", &orders, "--orders-as-of", "1h"]).run().await;
    assert_eq!((whole.code(), whole.rows().len()), (1, 10), "{whole:?}");

    let work = folder.path().join("work");
    let work = work.to_str().unwrap();
    let asked = sandbox.requests();
    // So slow that it is killed long before its last page.
    let arguments = ["--orders", "-", "--orders-as-of", "1h", "--work", work, "--pace", "1"];
    let window = [midnight(11).to_string(), midnight(1).to_string()];
    let common = ["reconcile", "--since", &window[0], "--until", &window[1], "--tenant", "store_42"];
    let mut killed = Program::at(&sandbox, &[&common[..], &arguments].concat()).spawn();
    let mut pipe = killed.stdin.take().unwrap();
    let text = std::fs::read(&orders).unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut pipe, &text).await.unwrap();
    drop(pipe);
    for _ in 0..600 {
        if sandbox.requests() >= asked + 2 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    killed.kill().await.unwrap();
    assert_eq!(sandbox.requests(), asked + 2, "it is killed in the middle");
    assert_eq!(finish(killed).await.stdout, "");

    std::fs::remove_file(&orders).unwrap();
    let resume = ["reconcile", "--resume", "--work", work, "--pace", "1000", "--tenant", "store_42"];
    let resumed = Program::at(&sandbox, &resume).run().await;
    assert_eq!((resumed.code(), &resumed.stdout), (1, &whole.stdout), "{}", resumed.stderr);
    // It is over, and says the same again.
    let again = sandbox.requests();
    assert_eq!(Program::at(&sandbox, &resume).run().await.stdout, whole.stdout);
    assert_eq!(sandbox.requests(), again);
}
