//! What every server of a test needs: a folder, a free port, signals, and the patience to wait for it.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be made fails the test"
)]

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Long enough for a machine that has other things to do: no test is decided by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A port that was free may be taken a moment later.
pub(crate) const TRIES: usize = 5;

/// Waits until something holds.
///
/// # Panics
/// When it does not hold within 30 seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A folder of its own below the target folder.
pub(crate) fn new_folder(what: &str) -> PathBuf {
    // Cargo names a folder for tests and benches, and none for examples.
    new_folder_in(&option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from), what)
}

/// A folder of its own below this one.
pub(crate) fn new_folder_in(parent: &Path, what: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = parent.join(format!("{what}-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the folder cannot be made");
    folder
}

/// A port that no process listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("no port is free");
    listener.local_addr().expect("a listener has an address").port()
}

/// Sends a signal to these processes, of which one may have ended.
pub(crate) fn signal(name: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    let sent = Command::new("kill").arg(format!("-{name}")).args(processes).output();
    assert!(sent.is_ok(), "no signal could be sent");
}
