use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::answer::Answer;
use super::desk::{Desk, Fate};
use super::fault::Fault;
use super::loopback::connection::{HeadRead, INPUT_ROOM, drain, finish, read_head};
use super::request::Head;

/// The service's own limit is 10 MB.
const MAX_BODY: usize = 10_000_000;

/// More than any cap a client would set for a record.
const HUGE: usize = 4 * 1024 * 1024;

pub(super) async fn converse(mut stream: TcpStream, desk: Arc<Desk>) {
    // An error here is a client that went away, which clients under test do all the time.
    let _ = serve_connection(&mut stream, &desk).await;
}

async fn serve_connection(stream: &mut TcpStream, desk: &Desk) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(INPUT_ROOM);
    let mut output = Vec::with_capacity(INPUT_ROOM);
    loop {
        let length = match read_head(stream, &mut input).await? {
            HeadRead::Ended => return Ok(()),
            HeadRead::TooLong => return refuse(stream, &mut output, 431).await,
            HeadRead::Head(length) => length,
        };
        let raw = input.get(..length).unwrap_or_default().to_vec();
        let Some(head) = Head::parse(&raw) else { return refuse(stream, &mut output, 505).await };
        let body = match head.content_length {
            Some(body) if body > MAX_BODY => return refuse(stream, &mut output, 413).await,
            Some(body) => body,
            None if head.method == "POST" => return refuse(stream, &mut output, 411).await,
            None => 0,
        };
        let end = length.saturating_add(body);
        read_until(stream, &mut input, end).await?;
        let fate = desk.decide(&raw, &head, input.get(length..end).unwrap_or_default());
        if !answer(stream, &mut output, &fate, head.keep_alive).await? {
            return Ok(());
        }
        input.drain(..end);
    }
}

/// Reads on until so many bytes are there.
async fn read_until(stream: &mut TcpStream, input: &mut Vec<u8>, end: usize) -> io::Result<()> {
    while input.len() < end {
        input.reserve(end.saturating_sub(input.len()));
        if stream.read_buf(input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Answers one request; says whether the connection goes on.
async fn answer(stream: &mut TcpStream, output: &mut Vec<u8>, fate: &Fate, keep_alive: bool) -> io::Result<bool> {
    match &fate.fault {
        Some(Fault::DropRequest | Fault::DropReply) => return Ok(false),
        Some(Fault::Stall | Fault::StallReply) => {
            drain(stream).await?;
            return Ok(false);
        }
        Some(Fault::Late(wait)) => sleep(*wait).await,
        _ => {}
    }
    let page;
    let answer = match &fate.fault {
        Some(Fault::PageAfter(status)) => {
            page = Answer::page(*status);
            &page
        }
        _ => &fate.answer,
    };
    let mut body = answer.body.clone();
    if fate.fault == Some(Fault::HugeReply) {
        body.resize(body.len().saturating_add(HUGE), b' ');
    }
    output.clear();
    answer.write_head(output, body.len(), fate.sync_token, keep_alive)?;
    if fate.fault == Some(Fault::CutReply) {
        body.truncate(body.len() / 2);
    }
    output.extend_from_slice(&body);
    stream.write_all(output).await?;
    if fate.fault == Some(Fault::CutReply) || !keep_alive {
        finish(stream).await?;
        return Ok(false);
    }
    Ok(true)
}

/// Answers a request that cannot be read, and ends the connection.
async fn refuse(stream: &mut TcpStream, output: &mut Vec<u8>, status: u16) -> io::Result<()> {
    let answer = Answer::error(status, "ERR the request cannot be read");
    output.clear();
    answer.write_head(output, answer.body.len(), 0, false)?;
    output.extend_from_slice(&answer.body);
    stream.write_all(output).await?;
    finish(stream).await
}
