//! The store in a file, when its process is killed at any moment, meets another one, or has no room on the disk.
//!
//! What has to die runs in a child: this test binary again, told by a variable to do a child's part.
#![cfg(all(feature = "file", unix))]
#![allow(clippy::unwrap_used, reason = "a store that fails where it should not fails the test that asked it")]
#![allow(clippy::arithmetic_side_effects, reason = "counts of a few thousand")]

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::folder::Folder;
use crate::support::secs;
use payproof::BuildError;
use payproof::store::{Claim, FileStore, Store, Swap};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Runtime;

/// Where the child finds the file; without it the children's tests do nothing.
const FILE: &str = "PAYPROOF_FILE_STORE_CHILD";

const TTL: Duration = secs(24 * 60 * 60);

/// A child that is killed when it is dropped.
struct Killed(Child);

impl Killed {
    /// Runs one of this file's tests in a process of its own.
    fn run(test: &str, file: &Path) -> Self {
        Self::spawn(
            Command::new(env::current_exe().unwrap()).args([
                &format!("file_crashes::{test}"),
                "--exact",
                "--nocapture",
            ]),
            file,
        )
    }

    fn spawn(command: &mut Command, file: &Path) -> Self {
        Self(command.env(FILE, file).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap())
    }

    /// What it prints, line by line, to its end.
    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        BufReader::new(self.0.stdout.take().unwrap()).lines().map_while(Result::ok)
    }

    /// SIGKILL, and wait until nothing of it is left.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One line, out of the process before anything else happens.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The test runner leaves its own line open.
    writeln!(out, "\nsaid {line}").unwrap();
    out.flush().unwrap();
}

fn said(line: &str) -> Option<&str> {
    line.strip_prefix("said ")
}

fn first_value(key: &str) -> Vec<u8> {
    format!("claimed {key}").repeat(20).into_bytes()
}

fn second_value(key: &str) -> Vec<u8> {
    format!("replaced {key}").into_bytes()
}

/// Claims, replaces and removes for as long as it lives, and says what was answered.
#[test]
fn child_that_writes_until_it_dies() {
    let Some(file) = env::var_os(FILE) else { return };
    let store = FileStore::open(file).unwrap();
    let life = u128::from(std::process::id());
    Runtime::new().unwrap().block_on(async {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    for number in 0..1_000_000 {
                        let key = format!("{life}-{writer}-{number}");
                        let (first, second) = (first_value(&key), second_value(&key));
                        assert_eq!(store.claim(&key, &first, TTL).await, Ok(Claim::Claimed));
                        say(&format!("claimed {key}"));
                        if number % 2 == 0 {
                            assert_eq!(store.replace(&key, &first, &second, TTL).await, Ok(Swap::Swapped));
                            say(&format!("replaced {key}"));
                        }
                        if number % 4 == 0 {
                            assert_eq!(store.remove(&key, &second).await, Ok(Swap::Swapped));
                            say(&format!("removed {key}"));
                        }
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

/// What has to be stored under a key after its last answer: that, or what the next write would make of it.
async fn is_as_answered(store: &FileStore, key: &str, last: &str) {
    let stored = store.get(key).await.unwrap().map(|stored| stored.bytes);
    let number: u32 = key.rsplit('-').next().unwrap().parse().unwrap();
    let (claimed, replaced) = (Some(first_value(key)), Some(second_value(key)));
    let allowed = match last {
        "claimed" if number.is_multiple_of(2) => vec![claimed, replaced],
        "claimed" => vec![claimed],
        "replaced" if number.is_multiple_of(4) => vec![replaced, None],
        "replaced" => vec![replaced],
        _ => vec![None],
    };
    assert!(allowed.contains(&stored), "{key} was {last}, and is {stored:?}");
}

#[test]
fn nothing_that_was_answered_is_lost_when_the_process_is_killed() {
    let folder = Folder::new("killed");
    let runtime = Runtime::new().unwrap();
    let mut rng = StdRng::seed_from_u64(7);
    let mut answered: HashMap<String, String> = HashMap::new();
    for round in 0..10 {
        let mut child = Killed::run("child_that_writes_until_it_dies", &folder.file());
        let (mut lines, answers) = (child.lines(), rng.random_range(1..400));
        let mut take = |line: String| {
            if let Some((what, key)) = said(&line).and_then(|said| said.split_once(' ')) {
                answered.insert(key.to_owned(), what.to_owned());
                return 1;
            }
            0
        };
        let mut seen = 0;
        while seen < answers {
            seen += take(lines.next().unwrap());
        }
        child.kill();
        // What it had said before it died was answered too.
        for line in lines {
            take(line);
        }
        runtime.block_on(async {
            let store = FileStore::open(folder.file()).unwrap();
            for (key, last) in &answered {
                is_as_answered(&store, key, last).await;
            }
            assert_eq!(store.claim(&format!("after {round}"), b"value", TTL).await, Ok(Claim::Claimed));
        });
    }
    assert!(answered.len() > 100, "{} keys", answered.len());
}

/// Holds the file until it dies.
#[test]
fn child_that_holds_the_file() {
    let Some(file) = env::var_os(FILE) else { return };
    let _store = FileStore::open(file).unwrap();
    say("open");
    // Ends with the pipe that its parent holds, and by its parent's hand before that.
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn a_second_process_is_refused_until_the_first_is_dead() {
    let folder = Folder::new("second_process");
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["file_crashes::child_that_holds_the_file", "--exact", "--nocapture"]).stdin(Stdio::piped());
    let mut child = Killed::spawn(&mut command, &folder.file());
    assert!(child.lines().any(|line| said(&line) == Some("open")));
    for _ in 0..3 {
        let refused = FileStore::open(folder.file()).unwrap_err();
        assert_eq!(refused, BuildError::StoreFileInUse { path: folder.file() });
    }
    child.kill();
    FileStore::open(folder.file()).unwrap();
}

/// Fills the file until the disk refuses, and goes on with what room there is.
#[test]
fn child_that_fills_the_disk() {
    let Some(file) = env::var_os(FILE) else { return };
    let store = FileStore::open(&file).unwrap();
    Runtime::new().unwrap().block_on(async {
        let value = vec![7; 64 * 1024];
        let mut kept = 0;
        let error = loop {
            match store.claim(&format!("key {kept}"), &value, TTL).await {
                Ok(claim) => assert_eq!(claim, Claim::Claimed),
                Err(error) => break error,
            }
            kept += 1;
            assert!(kept < 1000, "the disk has no end");
        };
        assert!(error.is_refused() || error.is_outcome_unknown(), "{error}");
        let said = error.to_string();
        assert!(
            ["too large", "No space"].iter().any(|reason| said.contains(reason)),
            "the system's reason is lost: {said}"
        );
        say(&format!("refused after {kept}"));

        // The database has to be opened anew for this, which it is at most once a second.
        let mut reads = 0;
        while store.get("key 0").await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            reads += 1;
            assert!(reads < 300, "it never comes back");
        }
        for number in 0..kept {
            let key = format!("key {number}");
            assert_eq!(store.get(&key).await.unwrap().unwrap().bytes, value, "{key}");
        }
        assert_eq!(store.remove("key 0", &value).await, Ok(Swap::Swapped));
        assert_eq!(store.remove("key 1", &value).await, Ok(Swap::Swapped));
        assert_eq!(store.claim("small", b"fits", TTL).await, Ok(Claim::Claimed));
        say("recovered");
    });
    drop(store);
    FileStore::open(file).unwrap();
    say("closed");
}

#[test]
fn a_full_disk_refuses_claims_and_loses_nothing() {
    let folder = Folder::new("full_disk");
    // A limit on the size of files stands for the end of the disk. The signal that comes with it would end the process.
    let mut command = Command::new("sh");
    let script = r#"trap "" XFSZ; ulimit -f 40000; exec "$0" "$@""#;
    command.args(["-c", script]).arg(env::current_exe().unwrap());
    command.args(["file_crashes::child_that_fills_the_disk", "--exact", "--nocapture"]);
    let mut child = Killed::spawn(&mut command, &folder.file());
    let said: Vec<String> = child.lines().filter_map(|line| said(&line).map(str::to_owned)).collect();
    assert!(child.0.wait().unwrap().success(), "{said:?}");
    assert_eq!(&said[1..], ["recovered", "closed"], "{said:?}");
}
