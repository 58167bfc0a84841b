//! The HTTP client under the adapters that speak HTTP, and what answers mean before their body is read.

pub(crate) mod object;
pub(crate) mod retry_after;
pub(crate) mod status_meaning;
#[cfg(any(feature = "postgres", feature = "redis", feature = "stripe", feature = "upstash"))]
pub(crate) mod tls;
#[cfg(any(feature = "stripe", feature = "upstash"))]
pub(crate) mod transport;
