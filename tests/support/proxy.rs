//! A TCP proxy that does to a connection what networks do: cut it, swallow what comes back, stand still.
#![allow(dead_code, reason = "each test binary uses its own share")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::resp::{RespReader, RespTraffic};

/// What happens to what passes through. Requests always reach the server, except in `Stall`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Everything passes.
    None,
    /// So many bytes of replies pass on each connection from now on, then it is closed.
    CutAfter(usize),
    /// Replies pass up to these bytes, in the first that have them; then the connection is closed.
    CutBefore(&'static [u8]),
    /// In replies the second of these stands wherever the first one did, which is as long.
    Instead(&'static [u8], &'static [u8]),
    /// Replies are read and thrown away.
    DropReplies,
    /// Nothing passes in either direction, and nothing is closed.
    Stall,
}

/// What passed, of all connections together.
type Traffic = Arc<Mutex<RespTraffic>>;

/// It ends when this is dropped, with every connection.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    connections: Arc<AtomicUsize>,
    traffic: Traffic,
    task: AbortHandle,
}

impl Proxy {
    /// Listens on a free port of this machine, and forwards to a port of this machine.
    pub(crate) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("no port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (fault, seen) = watch::channel(Fault::None);
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, traffic) = (Arc::clone(&connections), Traffic::default());
        let passed = Arc::clone(&traffic);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(carry(client, to, seen.clone(), Arc::clone(&passed)));
            }
        });
        Self { address, fault, connections, traffic, task: task.abort_handle() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes what happens from now on, to open connections too.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// What passed since it was asked last, as Redis reads it.
    pub(crate) fn take_traffic(&self) -> RespTraffic {
        std::mem::take(&mut *self.traffic.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many connections were ever made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, to: u16, fault: watch::Receiver<Fault>, traffic: Traffic) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    // Whether the client was told something since it sent something.
    let is_answered = AtomicBool::new(true);
    // Whichever direction ends first closes both.
    tokio::select! {
        () = requests(&mut from_client, &mut to_server, fault.clone(), &traffic, &is_answered) => {}
        () = replies(&mut from_server, &mut to_client, fault, &traffic, &is_answered) => {}
    }
}

type Reader<'a> = tokio::net::tcp::ReadHalf<'a>;
type Writer<'a> = tokio::net::tcp::WriteHalf<'a>;

async fn requests(
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    mut fault: watch::Receiver<Fault>,
    traffic: &Mutex<RespTraffic>,
    is_answered: &AtomicBool,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut commands = RespReader::default();
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        {
            let mut traffic = traffic.lock().unwrap_or_else(PoisonError::into_inner);
            traffic.sent += count;
            if is_answered.swap(false, Ordering::SeqCst) {
                let at = traffic.commands.len();
                traffic.bursts.push(at);
            }
            traffic.commands.extend(commands.read(&buffer[..count]));
        }
        if fault.wait_for(|fault| *fault != Fault::Stall).await.is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            return;
        }
    }
}

async fn replies(
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    mut fault: watch::Receiver<Fault>,
    traffic: &Mutex<RespTraffic>,
    is_answered: &AtomicBool,
) {
    let mut buffer = vec![0; 16 << 10];
    let mut left = None;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        traffic.lock().unwrap_or_else(PoisonError::into_inner).received += count;
        let Ok(now) = fault.wait_for(|fault| *fault != Fault::Stall).await.map(|fault| *fault) else { return };
        if let Fault::Instead(said, told) = now {
            let starts: Vec<_> = (0..count).filter(|start| buffer[*start..count].starts_with(said)).collect();
            for start in starts {
                buffer[start..start + told.len()].copy_from_slice(told);
            }
        }
        let at = |bytes: &[u8]| buffer[..count].windows(bytes.len()).position(|window| window == bytes);
        let cut = if let Fault::CutBefore(bytes) = now { at(bytes) } else { None };
        let passing = match now {
            Fault::None | Fault::Stall | Fault::Instead(..) => count,
            Fault::CutBefore(_) => cut.unwrap_or(count),
            Fault::DropReplies => 0,
            Fault::CutAfter(most) => count.min(*left.get_or_insert(most)),
        };
        is_answered.store(true, Ordering::SeqCst);
        if to.write_all(&buffer[..passing]).await.is_err() || cut.is_some() {
            return;
        }
        if let (Fault::CutAfter(_), Some(left)) = (now, &mut left) {
            *left = left.saturating_sub(passing);
            if *left == 0 {
                return;
            }
        }
    }
}
