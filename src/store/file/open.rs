//! Opening the file: who may read it, whether it is ours, and what stands in the way.

use std::fs::{File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::redb::Database;

use super::fault::{DatabaseFault, unusable};
use super::tables::{self, FORMAT, FileKind};
use crate::settings::build_error::BuildError;

/// Pages kept in memory, in bytes. What is not in here comes from the system's own cache.
const CACHE: usize = 32 * 1024 * 1024;

/// A file that this process alone has open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) identity: FileIdentity,
    /// The latest time that was written to it.
    pub(super) seen: u64,
}

/// Which file it is, whatever its name; the same for all where the system does not say.
pub(super) type FileIdentity = (u64, u64);

/// Opens a store, and creates it if there is none. Blocks.
pub(super) fn open(path: &Path) -> Result<Opened, BuildError> {
    let io = |error: io::Error| unusable(path, error.to_string());
    let failed = |fault: DatabaseFault| fault.at(path);
    let file = for_its_owner_alone(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(unusable(path, "it is not a regular file"));
    }
    let identity = identity(&metadata);
    let database = whole(file).map_err(|_panicked| unusable(path, "it is damaged"))?.map_err(failed)?;
    let seen = match tables::kind(&database).map_err(failed)? {
        FileKind::Empty => {
            tables::create(&database).map_err(failed)?;
            keep_name(path).map_err(io)?;
            0
        }
        FileKind::Store { format: FORMAT, clock } => clock,
        FileKind::Store { format, .. } => {
            let reason =
                format!("it has format {format} and this version knows {FORMAT}; use the version that wrote it");
            return Err(unusable(path, reason));
        }
        FileKind::Foreign => return Err(unusable(path, "it is a database of something else")),
    };
    Ok(Opened { database, identity, seen })
}

/// Opens the database, and reads all of it to see that it is what was written. The database itself does that only after a
/// crash, and where a damaged page is met later it panics in the middle of a call. Some damage makes it panic even here.
fn whole(file: File) -> std::thread::Result<Result<Database, DatabaseFault>> {
    let open = move || -> Result<Database, DatabaseFault> {
        let checked = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&checked);
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE).set_repair_callback(move |_| seen.store(true, Ordering::Relaxed));
        let mut database = builder.create_file(file)?;
        if !checked.load(Ordering::Relaxed) {
            // What it can mend is its account of free pages; a record that is damaged is an error.
            database.check_integrity()?;
        }
        Ok(database)
    };
    // Nothing of it is used after a panic.
    catch_unwind(AssertUnwindSafe(open))
}

/// A new file can be read by its owner alone: who can write it can forge what it says, and it says who paid.
fn for_its_owner_alone(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A new file's name has to be on the disk as well, or a crash of the machine takes the file with it.
#[cfg(unix)]
fn keep_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn keep_name(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> FileIdentity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(_metadata: &std::fs::Metadata) -> FileIdentity {
    (0, 0)
}

/// Whether the file under this name is still the one that was opened.
pub(super) fn is_still(path: &Path, opened: FileIdentity) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| identity(&metadata) == opened)
}

/// Whether the file is on a file system that ends with the machine, as far as the system says.
#[cfg(target_os = "linux")]
pub(super) fn is_in_memory(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = std::fs::metadata(path).map(|metadata| metadata.dev());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo");
    device.is_ok_and(|device| mounts.is_ok_and(|mounts| is_kept_in_memory(&mounts, device)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_in_memory(_path: &Path) -> bool {
    false
}

/// Reads proc(5): `36 35 98:0 /root /mount options [tags] - type source options`.
#[cfg(target_os = "linux")]
fn is_kept_in_memory(mounts: &str, device: u64) -> bool {
    // As the C library takes a device's number apart.
    let major = (device >> 8) & 0xfff | (device >> 32) & 0xffff_f000;
    let minor = device & 0xff | (device >> 12) & 0xffff_ff00;
    let place = format!("{major}:{minor}");
    mounts.lines().filter(|line| line.split(' ').nth(2) == Some(&*place)).any(|line| {
        let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
        matches!(kind, Some("tmpfs" | "ramfs" | "devtmpfs"))
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::is_kept_in_memory;

    #[test]
    fn a_file_system_in_memory_is_told_by_its_device() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      25 22 0:22 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=1g\n\
                      26 22 0:300 / /mnt/a\\040b rw - ramfs none rw\n";
        assert!(is_kept_in_memory(mounts, 22));
        assert!(is_kept_in_memory(mounts, 0x10_002c));
        assert!(!is_kept_in_memory(mounts, 8 << 8 | 1));
        assert!(!is_kept_in_memory(mounts, 99));
    }
}
