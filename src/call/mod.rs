//! How a provider is asked: attempts, the retry loop, and what holds calls back: gate, breaker, budget, permits.

pub(crate) mod attempt;
pub(crate) mod audience;
pub(crate) mod breaker;
pub(crate) mod concurrency;
pub(crate) mod contained;
pub(crate) mod deadline;
pub(crate) mod error;
pub(crate) mod gate;
pub(crate) mod leases;
pub(crate) mod refusals;
pub(crate) mod retry;
pub(crate) mod rolling;
pub(crate) mod shares;
