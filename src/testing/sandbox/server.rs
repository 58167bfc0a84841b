use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::answer::{AnswerDelivery, Heading, SandboxAnswer};
use super::request::{RequestHead, Subject};
use super::state::SandboxState;
use crate::testing::loopback::connection::{HeadRead, INPUT_ROOM, finish, read_head};
use crate::testing::loopback::date;

/// Room for a payment with its charge: a connection then grows no buffer.
const OUTPUT_ROOM: usize = 8 * 1024;

pub(super) async fn converse(mut stream: TcpStream, state: Arc<SandboxState>) {
    // An error here is a client that went away, which clients under test do all the time.
    let _ = serve_connection(&mut stream, &state).await;
}

async fn serve_connection(stream: &mut TcpStream, state: &SandboxState) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(INPUT_ROOM);
    let mut output = Vec::with_capacity(OUTPUT_ROOM);
    loop {
        match read_head(stream, &mut input).await? {
            HeadRead::Ended => return Ok(()),
            HeadRead::TooLong => return refuse(stream, &mut output, state.record(b""), 431).await,
            HeadRead::Head(length) => {
                let raw = input.get(..length).unwrap_or_default();
                let Some(head) = RequestHead::parse(raw) else {
                    return refuse(stream, &mut output, state.record(raw), 505).await;
                };
                if !answer(stream, &mut output, state, raw, &head).await? {
                    return Ok(());
                }
                input.drain(..length);
            }
        }
    }
}

/// Answers one request whose head is complete, and says whether the connection serves on.
async fn answer(
    stream: &mut TcpStream,
    output: &mut Vec<u8>,
    state: &SandboxState,
    raw: &[u8],
    head: &RequestHead<'_>,
) -> io::Result<bool> {
    // Read again after a delay: one moment dates the answer and whatever it says about later.
    let mut now = state.now();
    let (number, answer, delivery) = match head.payment() {
        None => (state.record(raw), SandboxAnswer::unrecognized(head.method, head.target), AnswerDelivery::Whole),
        Some((id, _)) if !head.has_key => {
            (state.turn_away(raw, &id), SandboxAnswer::without_key(), AnswerDelivery::Whole)
        }
        Some((id, subject)) => {
            let (number, fate) = state.decide(raw, &id);
            if !fate.delay.is_zero() {
                sleep(fate.delay).await;
                now = state.now();
            }
            let healthy = match subject {
                Subject::List(page) => SandboxAnswer::listed(&page, &state.owners(), now),
                Subject::Related(asked) => SandboxAnswer::about_object(asked.kind, &id, state.find(asked, &id)),
                subject => SandboxAnswer::about(&id, &subject, fate.kept.as_deref(), fate.session.as_ref()),
            };
            let (answer, delivery) = match fate.fault {
                None => (healthy, AnswerDelivery::Whole),
                Some(fault) => healthy.distorted(fault, &id, now),
            };
            (number, answer, delivery)
        }
    };
    let heading = Heading {
        number,
        date: date::http_date(now),
        stripe_version: head.stripe_version,
        keep_alive: head.keep_alive,
    };
    let serves_on = delivery.send(stream, output, &answer, heading).await?;
    if !serves_on && delivery == AnswerDelivery::Whole {
        finish(stream).await?;
    }
    Ok(serves_on)
}

/// Answers a head that cannot be read, and ends the connection.
async fn refuse(stream: &mut TcpStream, output: &mut Vec<u8>, number: u64, status: u16) -> io::Result<()> {
    let date = date::http_date(date::unix_now());
    let heading = Heading { number, date, stripe_version: None, keep_alive: false };
    AnswerDelivery::Whole.send(stream, output, &SandboxAnswer::unreadable(status), heading).await?;
    finish(stream).await
}
