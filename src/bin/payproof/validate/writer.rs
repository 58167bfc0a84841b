//! Writes results on a thread of its own: a reader who is slow holds up no validation's clock.

use std::io::{self, Write};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, spawn_blocking};

/// Enough for the writer to be busy while more is gathered; the gathering stage waits beyond that.
const CHUNKS: usize = 2;

/// Standard output, behind its thread.
pub(crate) struct Writer {
    chunks: Sender<Vec<u8>>,
    thread: JoinHandle<io::Result<()>>,
}

/// The reader is gone, or nothing can be written: see [`Writer::finish`].
pub(crate) struct Closed;

impl Writer {
    pub(crate) fn start() -> Self {
        let (chunks, arriving) = channel(CHUNKS);
        Self { chunks, thread: spawn_blocking(move || write_all(arriving)) }
    }

    /// Hands over what was gathered.
    pub(crate) async fn write(&self, chunk: &mut Vec<u8>) -> Result<(), Closed> {
        if chunk.is_empty() {
            return Ok(());
        }
        self.chunks.send(std::mem::take(chunk)).await.map_err(|_| Closed)
    }

    /// Waits until everything is written.
    pub(crate) async fn finish(self) -> io::Result<()> {
        drop(self.chunks);
        self.thread.await.map_err(io::Error::other)?
    }
}

fn write_all(mut chunks: Receiver<Vec<u8>>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    while let Some(chunk) = chunks.blocking_recv() {
        out.write_all(&chunk)?;
        out.flush()?;
    }
    Ok(())
}
