//! What a server of the Redis family says about its disk, and what follows for a restart.
//!
//! The docs of `RedisStore` have the table of it. `no-appendfsync-on-rewrite yes` makes each `appendfsync` a `no` while the
//! server rewrites its log, and a log whose last write failed is one that is not written. What `INFO` says without `CONFIG GET` is not enough: it does not tell
//! `appendfsync`, and a managed server without such a log may keep its records in another way.

use super::RestartLoss;
use super::server_info::info_field;

/// What `CONFIG GET` is asked, each in one command; the first stands for `appendonly`, `appendfsync` and
/// `no-appendfsync-on-rewrite`, since servers before 7.0 take one pattern at a time.
pub(super) const PATTERNS: [&str; 2] = ["*append*", "save"];

/// What the server says, as far as it does.
#[derive(Debug, Default)]
pub(super) struct Disk {
    settings: Vec<(Box<str>, Box<str>)>,
    info: Box<str>,
}

impl Disk {
    /// Takes in a reply to `CONFIG GET`.
    pub(super) fn add_setting(&mut self, name: &str, value: &str) {
        self.settings.push((name.into(), value.into()));
    }

    /// Takes in the reply to `INFO persistence`.
    pub(super) fn set_info(&mut self, info: &str) {
        self.info = info.into();
    }

    pub(super) fn restart_loss(&self) -> RestartLoss {
        match self.setting("appendonly") {
            Some("yes") if info_field(&self.info, "aof_enabled") != Some("0") => self.with_log(),
            Some("yes" | "no") => match self.setting("save") {
                Some("") => RestartLoss::All,
                Some(_) => RestartLoss::Snapshot,
                None => RestartLoss::Unknown,
            },
            _ => RestartLoss::Unknown,
        }
    }

    fn with_log(&self) -> RestartLoss {
        let is_broken = info_field(&self.info, "aof_last_write_status").is_some_and(|status| status != "ok");
        let pauses = self.setting("no-appendfsync-on-rewrite") == Some("yes");
        match self.setting("appendfsync") {
            Some("always" | "everysec" | "no") if is_broken || pauses => RestartLoss::Snapshot,
            Some("always") => RestartLoss::Nothing,
            Some("everysec") => RestartLoss::Second,
            Some("no") => RestartLoss::Snapshot,
            _ => RestartLoss::Unknown,
        }
    }

    fn setting(&self, wanted: &str) -> Option<&str> {
        self.settings.iter().find(|(name, _)| **name == *wanted).map(|(_, value)| &**value)
    }
}

/// What a service states of its servers, which tell nothing of their disks: at Upstash, to which Vercel KV moved, each
/// write is on block storage, and `WAITAOF` waits until it is, so an acknowledgment may come a moment before.
pub(super) fn stated_by_service(host: &str) -> Option<RestartLoss> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_theirs = [".upstash.io", ".kv.vercel-storage.com"].into_iter().any(|service| host.ends_with(service));
    is_theirs.then_some(RestartLoss::Second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(settings: &[(&str, &str)], info: &str) -> RestartLoss {
        let mut disk = Disk::default();
        for (name, value) in settings {
            disk.add_setting(name, value);
        }
        disk.set_info(info);
        disk.restart_loss()
    }

    #[test]
    fn a_log_that_is_not_written_counts_as_none() {
        let with_log = [("appendonly", "yes"), ("appendfsync", "everysec"), ("save", "3600 1")];
        for (info, loss) in [
            ("", RestartLoss::Second),
            ("# Persistence\r\naof_enabled:1\r\naof_last_write_status:ok\r\n", RestartLoss::Second),
            ("# Persistence\r\naof_enabled:1\r\naof_last_write_status:err\r\n", RestartLoss::Snapshot),
            ("# Persistence\r\naof_enabled:0\r\n", RestartLoss::Snapshot),
        ] {
            assert_eq!(disk(&with_log, info), loss, "{info:?}");
        }
    }

    #[test]
    fn what_is_not_said_is_unknown() {
        let info = "aof_enabled:1\r\naof_last_write_status:ok\r\n";
        assert_eq!(disk(&[], info), RestartLoss::Unknown);
        assert_eq!(disk(&[], "aof_enabled:0\r\n"), RestartLoss::Unknown);
        assert_eq!(disk(&[("appendonly", "yes")], info), RestartLoss::Unknown);
        assert_eq!(disk(&[("appendonly", "no")], ""), RestartLoss::Unknown);
        assert_eq!(disk(&[("appendonly", "perhaps"), ("save", "")], ""), RestartLoss::Unknown);
        assert_eq!(disk(&[("appendonly", "yes"), ("appendfsync", "later")], info), RestartLoss::Unknown);
    }

    #[test]
    fn the_word_of_a_service_is_for_its_own_servers() {
        for theirs in ["eu1-tidy-cat-1.upstash.io", "Tidy-Cat.UPSTASH.io.", "tidy-cat-1.kv.vercel-storage.com"] {
            assert_eq!(stated_by_service(theirs), Some(RestartLoss::Second), "{theirs}");
        }
        for other in ["upstash.io", "notupstash.io", "upstash.io.example.com", "127.0.0.1", "localhost"] {
            assert_eq!(stated_by_service(other), None, "{other}");
        }
    }
}
