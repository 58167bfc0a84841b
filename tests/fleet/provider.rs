//! The provider in the parent: real connections on loopback, and books of everything that reached it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

use crate::desk::{Course, Desk, LookUp, Then};
use crate::language::{Reply, Request};

/// Longer than any attempt.
const HANGS_FOR: Duration = Duration::from_secs(5);

/// It ends when this is dropped, with every connection.
#[derive(Debug)]
pub(crate) struct Provider {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    task: AbortHandle,
}

impl Provider {
    /// Starts one that misbehaves as the seed says.
    pub(crate) async fn start(seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Mutex::new(Desk::new(seed)));
        let books = Arc::clone(&desk);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while open.try_join_next().is_some() {}
                open.spawn(converse(stream, Arc::clone(&books)));
            }
        });
        Self { address, desk, task: task.abort_handle() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    /// Workers that looked this payment up, in order.
    pub(crate) fn lookers(&self, payment: &str) -> Vec<u32> {
        self.desk().look_ups.get(payment).map_or_else(Vec::new, |all| all.iter().map(|one| one.worker).collect())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap()
}

/// One request and its answer. Once it was let in it goes through, whether or not its client still listens.
async fn converse(mut stream: TcpStream, desk: Arc<Mutex<Desk>>) {
    let (from, mut to) = stream.split();
    let (mut from, mut line) = (BufReader::new(from), String::new());
    if from.read_line(&mut line).await.is_err() {
        return;
    }
    // A worker that died in the middle of a line sent no request.
    let Ok(request) = serde_json::from_str(&line) else { return };
    let reply = match request {
        Request::Send { operation, key, worker, run } => {
            let course = lock(&desk).receive(operation, &key, worker);
            match course {
                Course::Close => return,
                Course::Say(reply) => reply,
                Course::Execute { takes, then } => {
                    sleep(takes).await;
                    let result = lock(&desk).execute(operation, run);
                    match then {
                        Then::Answer => Reply { status: 200, text: result },
                        Then::Fail => Reply { status: 500, text: "failed".into() },
                        Then::Close => return,
                        Then::Hang => return sleep(HANGS_FOR).await,
                    }
                }
            }
        }
        Request::Inquire { operation, key } => Reply { status: 200, text: lock(&desk).inquire(operation, &key) },
        Request::LookUp { payment, worker } => {
            let (at, is_held, takes) = {
                let mut desk = lock(&desk);
                let (is_held, takes) = (desk.held.remove(&payment), desk.look_up_takes);
                let all = desk.look_ups.entry(payment.clone()).or_default();
                all.push(LookUp { worker, asked: Instant::now(), answered: None });
                (all.len() - 1, is_held, takes)
            };
            if is_held {
                let _ = from.read_u8().await;
                return;
            }
            sleep(takes).await;
            lock(&desk).look_ups.get_mut(&payment).unwrap()[at].answered = Some(Instant::now());
            Reply { status: 200, text: String::new() }
        }
    };
    let mut line = serde_json::to_vec(&reply).unwrap();
    line.push(b'\n');
    let _ = to.write_all(&line).await;
}
