use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::answer::{AnswerDelivery, Framing, Heading, SandboxAnswer, half};
use crate::testing::loopback::connection::{drain, reset_on_close};

/// One chunk of padding. 160 of them make 10 MiB: more than any cap a client would set for a payment, or for a page of them.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 160;

impl AnswerDelivery {
    /// Sends `answer`, and says whether the connection serves on; `out` is scratch space that it reuses.
    pub(super) async fn send(
        self,
        stream: &mut TcpStream,
        out: &mut Vec<u8>,
        answer: &SandboxAnswer,
        heading: Heading<'_>,
    ) -> io::Result<bool> {
        out.clear();
        match self {
            Self::Whole => {}
            Self::Late(wait) => sleep(wait).await,
            Self::Dripping(every) => {
                answer.write_head(out, heading, Framing::Length)?;
                stream.write_all(out).await?;
                for byte in answer.body.iter() {
                    sleep(every).await;
                    stream.write_all(std::slice::from_ref(byte)).await?;
                }
                return Ok(heading.keep_alive);
            }
            Self::CutShort => {
                answer.write_head(out, heading, Framing::Length)?;
                out.extend_from_slice(half(&answer.body));
                stream.write_all(out).await?;
                return Ok(false);
            }
            Self::Padded => {
                answer.write_head(out, heading, Framing::Chunked)?;
                stream.write_all(out).await?;
                send_padded(stream, out, &answer.body).await?;
                return Ok(heading.keep_alive);
            }
            Self::Reset => {
                reset_on_close(stream)?;
                return Ok(false);
            }
            Self::HangUp => return Ok(false),
            Self::Never => {
                drain(stream).await?;
                return Ok(false);
            }
        }
        answer.write_head(out, heading, Framing::Length)?;
        out.extend_from_slice(&answer.body);
        stream.write_all(out).await?;
        Ok(heading.keep_alive)
    }
}

/// A JSON object whose first member is the padding and whose others are those of `body`.
async fn send_padded(stream: &mut TcpStream, out: &mut Vec<u8>, body: &[u8]) -> io::Result<()> {
    send_chunk(stream, out, b"{\"padding\":\"").await?;
    let padding = vec![b'.'; CHUNK];
    for _ in 0..CHUNKS {
        send_chunk(stream, out, &padding).await?;
    }
    send_chunk(stream, out, b"\",").await?;
    send_chunk(stream, out, body.strip_prefix(b"{").unwrap_or(b"\"rest\":null}")).await?;
    stream.write_all(b"0\r\n\r\n").await
}

/// Sends one chunk, which must not be empty: an empty one would end the body.
async fn send_chunk(stream: &mut TcpStream, out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    out.clear();
    out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    stream.write_all(out).await
}
