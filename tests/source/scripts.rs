//! The scripts say what they do.

use std::process::{Command, Stdio};

use crate::root;

#[test]
fn each_script_helps_and_does_nothing_else() {
    let mut seen = 0;
    for entry in root().join("scripts").read_dir().unwrap() {
        let path = entry.unwrap().path();
        for option in ["--help", "-h"] {
            let run = Command::new(&path).arg(option).output().unwrap();
            let text = String::from_utf8(run.stdout).unwrap();
            assert!(run.status.success() && run.stderr.is_empty(), "{} {option}: {:?}", path.display(), run.status);
            let first = text.lines().next().unwrap_or_default();
            assert!(first.len() > 30 && first.starts_with(char::is_uppercase), "{} {option}: {text}", path.display());
            assert!(text.lines().count() <= 12 && !text.contains("set -euo"), "{} {option}: {text}", path.display());
        }
        seen += 1;
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn a_reader_that_leaves_early_ends_a_script_without_a_trace() {
    for entry in root().join("scripts").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let mut run = Command::new(&path);
        let mut run = run.arg("--help").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(run.stdout.take());
        let said = run.wait_with_output().unwrap().stderr;
        assert!(said.is_empty(), "{}: {}", path.display(), String::from_utf8_lossy(&said));
    }
}
