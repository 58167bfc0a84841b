use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::answer::{Answer, Heading};
use super::delivery::{Delivery, Next};
use super::desk::Desk;
use super::request::Head;
use crate::testing::loopback::connection::{INPUT_ROOM, Read, finish, read_head};
use crate::testing::loopback::date::{self, DateLine};

/// Room for a payment with its charge: a connection then grows no buffer.
const OUTPUT_ROOM: usize = 8 * 1024;

pub(super) async fn converse(mut stream: TcpStream, desk: Arc<Desk>) {
    // An error here is a client that went away, which clients under test do all the time.
    let _ = serve_connection(&mut stream, &desk).await;
}

async fn serve_connection(stream: &mut TcpStream, desk: &Desk) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::with_capacity(INPUT_ROOM);
    let mut output = Vec::with_capacity(OUTPUT_ROOM);
    let mut dates = DateLine::default();
    loop {
        match read_head(stream, &mut input).await? {
            Read::Ended => return Ok(()),
            Read::TooLong => return refuse(stream, &mut output, &mut dates, desk.record(b""), 431).await,
            Read::Head(length) => {
                let raw = input.get(..length).unwrap_or_default();
                let Some(head) = Head::parse(raw) else {
                    return refuse(stream, &mut output, &mut dates, desk.record(raw), 505).await;
                };
                if answer(stream, &mut output, &mut dates, desk, raw, &head).await? == Next::Close {
                    return Ok(());
                }
                input.drain(..length);
            }
        }
    }
}

/// Answers one request whose head is complete.
async fn answer(
    stream: &mut TcpStream,
    output: &mut Vec<u8>,
    dates: &mut DateLine,
    desk: &Desk,
    raw: &[u8],
    head: &Head<'_>,
) -> io::Result<Next> {
    // Read again after a delay: one moment dates the answer and whatever it says about later.
    let mut now = date::unix_now();
    let (number, answer, delivery) = match head.payment() {
        None => (desk.record(raw), Answer::unrecognised(head.method, head.target), Delivery::Whole),
        Some((id, _)) if !head.has_key => (desk.turn_away(raw, &id), Answer::without_key(), Delivery::Whole),
        Some((id, expansion)) => {
            let (number, fate) = desk.decide(raw, &id);
            if !fate.delay.is_zero() {
                sleep(fate.delay).await;
                now = date::unix_now();
            }
            let healthy = Answer::about(&id, expansion, fate.kept.as_deref());
            let (answer, delivery) = match fate.fault {
                None => (healthy, Delivery::Whole),
                Some(fault) => healthy.distorted(fault, &id, now),
            };
            (number, answer, delivery)
        }
    };
    let heading =
        Heading { number, date: dates.at(now), stripe_version: head.stripe_version, keep_alive: head.keep_alive };
    let next = delivery.send(stream, output, &answer, heading).await?;
    if next == Next::Close && delivery == Delivery::Whole {
        finish(stream).await?;
    }
    Ok(next)
}

/// Answers a head that cannot be read, and ends the connection.
async fn refuse(
    stream: &mut TcpStream,
    output: &mut Vec<u8>,
    dates: &mut DateLine,
    number: u64,
    status: u16,
) -> io::Result<()> {
    let heading = Heading { number, date: dates.at(date::unix_now()), stripe_version: None, keep_alive: false };
    Delivery::Whole.send(stream, output, &Answer::unreadable(status), heading).await?;
    finish(stream).await
}
