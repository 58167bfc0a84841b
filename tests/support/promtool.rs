//! Prometheus' own tool, which `scripts/setup-tests` brings.
#![allow(clippy::unwrap_used, reason = "a tool that does not run fails the test that asked for it")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Has it look at something, from the crate's root.
pub(crate) fn promtool(arguments: &[&str]) {
    look(arguments, Stdio::null());
}

/// Has it look at a page of metrics.
#[allow(dead_code, reason = "each test binary uses its own share")]
pub(crate) fn promtool_takes(metrics: &Path) {
    look(&["check", "metrics"], std::fs::File::open(metrics).unwrap().into());
}

fn look(arguments: &[&str], input: Stdio) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let promtool = root.join("target/test-tools/prometheus/promtool");
    assert!(promtool.exists(), "promtool is not installed; run: scripts/setup-tests");
    let output = Command::new(promtool).args(arguments).current_dir(root).stdin(input).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "promtool {arguments:?}:\n{}", String::from_utf8_lossy(&said));
}
