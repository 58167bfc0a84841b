//! How much of standard input was read, where it is a file and so its size is known.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The bytes of the input, and those of them that were read. A few lines that were read are not validated yet.
#[derive(Clone)]
pub(crate) struct InputProgress {
    size: Option<u64>,
    read: Arc<AtomicU64>,
}

impl InputProgress {
    /// A pipe does not say how much will come.
    pub(crate) fn new() -> Self {
        Self { size: size_of_input(), read: Arc::default() }
    }

    pub(crate) fn counting<R: Read>(self, from: R) -> impl Read {
        CountingReader { from, progress: self }
    }

    /// `42 %, `, or nothing where the size is unknown. It is 100 once all is read.
    pub(crate) fn shown(&self) -> String {
        let read = self.read.load(Relaxed);
        let percent = self.size.and_then(|size| read.saturating_mul(100).checked_div(size));
        percent.map(|percent| format!("{} %, ", percent.min(100))).unwrap_or_default()
    }
}

struct CountingReader<R> {
    from: R,
    progress: InputProgress,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.progress.read.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Relaxed);
        Ok(count)
    }
}

#[cfg(unix)]
fn size_of_input() -> Option<u64> {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    let metadata = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?).metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

#[cfg(not(unix))]
fn size_of_input() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_percent_where_the_size_is_known() {
        let read = |size, length| {
            let progress = InputProgress { size, read: Arc::default() };
            let mut text = Vec::new();
            progress.clone().counting(&vec![b'x'; length][..]).read_to_end(&mut text).unwrap();
            progress.shown()
        };
        assert_eq!(read(Some(200), 84), "42 %, ");
        assert_eq!(read(Some(200), 200), "100 %, ");
        assert_eq!(read(Some(100), 200), "100 %, ", "a file that grows");
        assert_eq!((&*read(None, 200), &*read(Some(0), 0)), ("", ""));
    }
}
