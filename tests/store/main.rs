//! The stores of the crate, one by one; the one in Redis has a binary of its own.

#[cfg(all(feature = "file", unix))]
#[path = "../support/folder.rs"]
mod folder;
#[cfg(all(feature = "file", feature = "redis", feature = "upstash", feature = "vercel-kv"))]
#[path = "../support/generated.rs"]
mod generated;
#[path = "../support/mod.rs"]
mod support;

mod canary;
mod contract;
mod file;
mod file_crashes;
mod flaky;
mod from_env;
mod memory;
mod rest;
