//! What the servers for tests share: HTTP/1.1 on a free port of 127.0.0.1.

pub(crate) mod connection;
pub(crate) mod date;
pub(crate) mod head;
mod recorded;
mod server;

pub use recorded::RecordedRequest;
pub(crate) use server::Server;
