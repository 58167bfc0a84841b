//! What is claimed: the payment's id, its money, the caller's key.

pub(crate) mod currency;
pub(crate) mod fingerprint;
pub(crate) mod invalid_intent;
pub(crate) mod key;
pub(crate) mod money;
pub(crate) mod payment_intent;
