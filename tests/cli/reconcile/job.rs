//! The nightly job of docs/reconciling.md, as it stands there, over five nights.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use payproof::testing::sandbox::{Faults, Sandbox, SandboxPayment};
use tokio::process::Command;

use crate::folder::Folder;
use crate::program::{finish, sandbox_with, secret_key};

use super::{DAY, HOUR, midnight, orders_in, paid};

const PAGE: &str = include_str!("../../../docs/reconciling.md");

/// The job's folder, with what it calls: a database that prints a file, and a clock that stands.
struct Job<'s> {
    sandbox: &'s Sandbox,
    folder: &'s Path,
}

impl<'s> Job<'s> {
    fn new(sandbox: &'s Sandbox, folder: &'s Path) -> Self {
        let job = Self { sandbox, folder };
        let (_, script) = PAGE.split_once("```sh\n#!").expect("the job is on the page");
        let (script, _) = script.split_once("```").expect("it ends");
        let here = folder.display().to_string();
        let script = format!("#!{script}").replace("/var/lib/reconcile", &here);
        let script = script.replace("/var/lib/node_exporter/textfile", &here);
        assert_eq!(script.matches(&here).count(), 4, "{script}");
        // As quickly as the sandbox answers.
        job.program("job", &script.replace("payproof reconcile", "payproof reconcile --pace 1000 --retries 0"));
        job.program("bin/psql", "#!/bin/sh\ncat bin/orders.csv\n");
        let clock = "#!/bin/sh\ncase $2 in +%F) cat today;; *) echo \"$(cat today)T02:30:00Z\";; esac\n";
        job.program("bin/date", clock);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_payproof"), folder.join("bin/payproof")).unwrap();
        // As its first lines say.
        let known =
            script.lines().find_map(|line| line.split_once("and: echo ")?.1.split_once(" > ")).expect("a header");
        fs::write(folder.join("known.csv"), format!("{}\n", known.0)).unwrap();
        job
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Runs the job in the night that begins this day. How it ended, and what it tells.
    async fn night(&self, days_ago: u64, orders: &[&str]) -> (i32, Vec<String>) {
        fs::write(self.folder.join("today"), date(days_ago)).unwrap();
        let orders: Vec<String> = orders.iter().map(|line| (*line).to_owned()).collect();
        orders_in(&self.folder.join("bin"), &orders);
        let path = format!("{}:/usr/bin:/bin", self.folder.join("bin").display());
        let mut command = Command::new(self.folder.join("job"));
        command.env_clear().env("PATH", path).env("STRIPE_SECRET_KEY", secret_key()).kill_on_drop(true);
        command.env("STRIPE_API_BASE", self.sandbox.url()).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash is there");
        let run = finish(child).await;
        let report = self.folder.join(format!("discrepancies-{}.csv", date(days_ago)));
        let report = fs::read_to_string(report).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        let cells = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{} {} {}", cells[0], cells[2], cells[4])
        };
        (run.code(), report.lines().skip(1).map(cells).collect())
    }

    fn reads(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap().trim().to_owned()
    }
}

/// The date of so many days ago.
fn date(days_ago: u64) -> String {
    let at = i64::try_from(midnight(days_ago)).unwrap();
    jiff::Timestamp::from_second(at).unwrap().to_string()[..10].to_owned()
}

#[tokio::test]
async fn the_job_of_the_page_tells_each_thing_once_over_five_nights() {
    let folder = Folder::new("reconcile-job");
    let day = |number: u64| midnight(6) + number * DAY;
    let at = |number: u64| day(number) + HOUR;
    let debit = SandboxPayment::paid("pi_debit", 1999, "usd").tenant("store_42").order("9").created(at(0));
    let sandbox = sandbox_with([
        paid("pi_1", "1", at(0)),
        paid("pi_lost", "2", at(0)),
        paid("pi_late", "8", at(1)),
        // It was under way for two days, and its webhook was lost.
        debit.final_at(at(2)),
    ])
    .await;
    let job = Job::new(&sandbox, folder.path());
    fs::write(folder.path().join("reconciled"), date(6)).unwrap();

    let first = format!("1,pi_1,19.99,usd,paid,{0},{0},,", at(0));
    let (broken, mended) = (format!("3,,19.99,usd,sent,{},,,", at(0)), format!("3,,19.99,usd,paid,{},,,", at(0)));
    let found = |told: &[&str]| (1, told.iter().map(|told| (*told).to_owned()).collect::<Vec<_>>());
    // A line that cannot be used is told, and the job goes on.
    assert_eq!(job.night(5, &[&first, &broken]).await, found(&["paid_not_ordered pi_lost 2", "unknown  3"]));
    assert_eq!(job.reads("reconciled"), date(5));

    // The provider is away: the window is not over.
    sandbox.set_faults(Faults::down());
    assert_eq!(job.night(4, &[&first, &broken]).await, (2, vec!["unknown pi_debit ".to_owned()]));
    assert_eq!(job.reads("reconciled"), date(5));
    assert!(job.reads("payproof_reconcile.prom").contains("mode=\"live\"} 0\n"));
    sandbox.set_faults(Faults::none());

    // Two days are told together, and nothing of the first night again.
    let both = found(&["paid_not_ordered pi_late 8", "paid_not_ordered pi_debit 9"]);
    assert_eq!(job.night(3, &[&first, &broken]).await, both);
    assert_eq!(job.reads("reconciled"), date(3));

    // The line is mended, and its order is judged.
    assert_eq!(job.night(2, &[&first, &mended]).await, found(&["ordered_not_paid  3"]));
    // Killed before it could say that it was over: it reports the same again.
    fs::write(folder.path().join("reconciled"), date(3)).unwrap();
    fs::write(folder.path().join("running"), date(2)).unwrap();
    assert_eq!(job.night(2, &[]).await, found(&["ordered_not_paid  3"]));
    assert_eq!(job.reads("reconciled"), date(2));
    assert!(!folder.path().join("running").exists());
    assert_eq!(job.night(1, &[&first, &mended]).await, (0, vec![]));
}
