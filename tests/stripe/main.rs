//! The Stripe adapter and the sandbox, beside servers and clients of others.

#[cfg(feature = "stripe")]
#[path = "../support/mod.rs"]
mod support;

mod adapter;
mod amounts;
mod clients;
mod danger;
mod disputes;
mod localstripe;
mod refunds;
mod rights;
mod sandbox;
mod sessions;
mod settings;
mod waiting;
