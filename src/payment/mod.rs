//! What is true of a payment, and the verdict on a claim about it. Pure: nothing here waits or asks.

pub(crate) mod alias;
pub(crate) mod dispute;
pub(crate) mod facts;
pub(crate) mod judge;
pub(crate) mod metadata;
pub(crate) mod method;
pub(crate) mod order;
pub(crate) mod policy;
pub(crate) mod request_ids;
pub(crate) mod shelf_life;
pub(crate) mod verdict;
pub(crate) mod waiting;
pub(crate) mod waits_for;
