//! Reads requests' heads, and ends connections.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;

/// The longest request head that is read. Common servers allow 8 to 16 KiB.
const HEAD_LIMIT: usize = 16 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Room for a client's usual head: a connection then grows no buffer.
pub(crate) const INPUT_ROOM: usize = 2 * 1024;

/// Bytes that are read and dropped while waiting for a client to close.
const DRAIN: u64 = 1024 * 1024;

/// What became of the connection while a head was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadRead {
    /// A head of this many bytes, line ends included, is at the front of the buffer.
    Head(usize),
    /// The client closed, perhaps within a head.
    Ended,
    TooLong,
}

pub(crate) async fn read_head(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<HeadRead> {
    loop {
        if let Some(start) = input.windows(HEAD_END.len()).position(|window| window == HEAD_END) {
            let length = start.saturating_add(HEAD_END.len());
            return Ok(if length > HEAD_LIMIT { HeadRead::TooLong } else { HeadRead::Head(length) });
        }
        if input.len() >= HEAD_LIMIT {
            return Ok(HeadRead::TooLong);
        }
        input.reserve(INPUT_ROOM);
        if stream.read_buf(input).await? == 0 {
            return Ok(HeadRead::Ended);
        }
    }
}

/// Ends a connection so that the answer arrives although the client may still be sending.
pub(crate) async fn finish(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    drain(stream).await
}

/// Reads and drops what the client still sends, until it closes or has sent too much.
///
/// A socket that is closed with unread bytes resets, and the reset can overtake the answer.
pub(crate) async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    copy(&mut stream.take(DRAIN), &mut sink()).await.map(drop)
}

/// Makes the coming close a reset instead of an orderly end.
#[allow(deprecated, reason = "`set_zero_linger` needs tokio 1.50; the warning is about linger times above zero")]
pub(crate) fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    stream.set_linger(Some(Duration::ZERO))
}
