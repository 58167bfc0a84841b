use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Accepting fails when the process has no file handle left; asking again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// A port and the task that serves it; dropping it ends the server and every connection.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    /// One task, which accepts and owns those of the connections: all of them end with it.
    accepting: JoinSet<()>,
}

impl Server {
    /// Binds a loopback port, a free one for 0, and starts serving in a task of the current runtime.
    pub(crate) async fn start<C>(port: u16, converse: impl Fn(TcpStream) -> C + Send + 'static) -> io::Result<Self>
    where
        C: Future<Output = ()> + Send + 'static,
    {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let mut accepting = JoinSet::new();
        accepting.spawn_on(serve(listener, converse), &runtime);
        Ok(Self { address, accepting })
    }

    /// `http://127.0.0.1:PORT`, without a trailing slash.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the server and returns once its port refuses connections.
    pub(crate) async fn stop(mut self) {
        self.accepting.shutdown().await;
    }
}

/// Accepts connections until it is dropped; owns their tasks, which end with it.
async fn serve<C>(listener: TcpListener, converse: impl Fn(TcpStream) -> C)
where
    C: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Finished tasks are let go here, so that the set is as large as the open connections are many.
                while connections.try_join_next().is_some() {}
                connections.spawn(converse(stream));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}
